"""The one loop that trains every network.

What a run learns from is a function of its seed and the number of the step alone, so a run that was interrupted
goes on as if it never had been. OUT holds

    checkpoint.pt        the last state: network, averaged weights, optimizer
    weights.safetensors  the averaged weights for use, float16, as of that checkpoint
    settings.json        what it is trained with
    log.jsonl            a line every few steps and every validation; events.* is the same for TensorBoard
    curve.png            the log as a picture
    sheet.png            what the averaged weights made of a few samples when they were last measured, where that is
                         something to look at; events.* has the earlier ones too

and what a task exports.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset, default_convert
from tqdm import tqdm

from genego_ros.atomic import whole
from genego_ros.data.sheet import save_picture
from genego_ros.errors import GenEgoError
from genego_ros.training.checkpoint import read_checkpoint, save_weights
from genego_ros.training.curve import draw_curve, read_log
from genego_ros.types import Array, ByteArray

try:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState
    from torch.utils.tensorboard import SummaryWriter
except ModuleNotFoundError as missing:
    raise GenEgoError(
        f"training needs the Python package '{missing.name}': pip install accelerate transformers tensorboard"
    ) from missing

CHECKPOINT, WEIGHTS, SETTINGS = "checkpoint.pt", "weights.safetensors", "settings.json"
LOG, CURVE, SHEET = "log.jsonl", "curve.png", "sheet.png"
_TIMINGS = 3

_log = logging.getLogger(__name__)


class Samples(Protocol):
    """What there is to learn from; handed to worker processes, so it holds no network."""

    def __len__(self) -> int: ...

    def batch(self, indices: NDArray[np.int64], rng: np.random.Generator) -> Mapping[str, Array]:
        """Arrays of these samples, which become tensors on the device; `rng` is for the augmentation."""
        ...


class Task(Protocol):
    """A network, and how it learns."""

    network: nn.Module
    samples: Samples
    configuration: Mapping[str, Any]
    """All that is needed to build the network again; what JSON can hold. Goes into the metadata of the weights."""
    fingerprint: str
    """Of the data."""
    rates: Mapping[str, float]
    """Beginning of a parameter's name -> factor on the learning rate, where it is not 1; the first that fits. 0 keeps
    it as it is, and saves the time to learn it."""

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalars of a batch; `loss` is minimised, the others are logged."""
        ...

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Measures of the averaged weights, which are in evaluation mode; empty where there is nothing to measure."""
        ...


@runtime_checkable
class Exports(Protocol):
    """A task of whose network more is made than its weights."""

    def export(self, network: nn.Module, out: Path) -> None:
        """Writes it into the run's folder, of the averaged weights; called at every checkpoint."""
        ...


@runtime_checkable
class Drawing(Protocol):
    """A task whose results are pictures."""

    def sheet(self, network: nn.Module) -> ByteArray | None:
        """What the averaged weights make of a few samples, uint8 (H, W, 3), RGB; None where there is none to look
        at."""
        ...


@dataclass(frozen=True)
class Settings:
    """How long and how a network is trained. One of `steps` and `minutes` says how long."""

    steps: int = 0
    minutes: float = 0.0
    """The run takes as many steps as fit, interruptions not counted."""
    batch: int = 64
    rate: float = 1e-3
    """The highest learning rate: AdamW (Loshchilov and Hutter, 2019), raised linearly over the share `warmup` of the
    run, then lowered along a cosine to 0."""
    warmup: float = 0.05
    cosine: bool = True
    """Otherwise it stays where it is after the warmup."""
    momentum: float = 0.9
    """Of AdamW's mean of gradients (beta 1)."""
    weight_decay: float = 0.05
    """Not for biases and normalisations."""
    averaging: float = 0.999
    """Decay a step of the exponential average of the weights, faster at the beginning: min(averaging, (1 + n) /
    (10 + n)) at step n."""
    largest_gradient: float = 1.0
    """Norm to which gradients are clipped."""
    seed: int = 0
    precision: str = "auto"
    """`no` (float32), `bf16` or `fp16`; `auto` is bf16 where this network learns faster in it on this device, else
    `no`. A run keeps the precision that it began with."""
    device: str = "cpu"
    """As `resolve_device` gives it."""
    workers: int = 0
    """Processes that prepare batches beside the training."""
    checkpoint_minutes: float = 5.0
    validate_minutes: float = 5.0
    log_steps: int = 20

    def __post_init__(self) -> None:
        if self.batch < 1 or self.log_steps < 1 or self.workers < 0 or self.seed < 0:
            raise GenEgoError("--batch must be at least 1, --workers and --seed at least 0")
        if not self.rate > 0:
            raise GenEgoError(f"the learning rate is {self.rate}: it must be positive")


class _Stop:
    """Raised by a signal, looked at between steps."""

    def __init__(self) -> None:
        self.wanted = False


class _Batches(Dataset[Mapping[str, Array]]):
    """Batch `step` of a run, whoever asks for it and when: every epoch is a new order of all samples.

    Args:
        part: which of how many processes takes its share of it.
    """

    def __init__(self, samples: Samples, size: int, seed: int, part: tuple[int, int] = (0, 1)) -> None:
        if not len(samples):
            raise GenEgoError("there is no sample to train on; choose another split or data set")
        self._samples, self._size, self._seed, self._part = samples, size, seed, part

    def __getitem__(self, step: int) -> Mapping[str, Array]:
        rank, processes = self._part
        places = np.arange(step * self._size, (step + 1) * self._size)[rank::processes]
        epochs, within = np.divmod(places, len(self._samples))
        indices = np.concatenate([self._order(epoch)[within[epochs == epoch]] for epoch in np.unique(epochs)])
        return self._samples.batch(indices, np.random.default_rng((self._seed, 1, step, rank)))

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self._seed, 0, int(epoch))).permutation(len(self._samples))


def check(settings: Settings) -> None:
    """What no training takes.

    Raises:
        GenEgoError: it has no length or two, or a precision that the device has not.
    """
    if (settings.steps > 0) == (settings.minutes > 0):
        raise GenEgoError("how long to train? Give --steps, --minutes or --epochs, a positive number, and only one")
    if settings.device == "cpu" and settings.precision == "fp16":
        raise GenEgoError("a CPU does not train in fp16: leave --precision out")


def train(task: Task, settings: Settings, out: Path) -> bool:
    """Trains, or goes on with the run that lies in `out`.

    A run may be given another length when it goes on; the schedule is then that of the new length. Ctrl-C or SIGTERM
    ends it after the current step with a checkpoint.

    Returns:
        Whether the run came to its end.

    Raises:
        GenEgoError: nothing to train on, a folder that cannot be written or holds a run with other settings, a
            damaged checkpoint, a loss that is not finite.
    """
    check(settings)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GenEgoError(f"{out}: cannot be made ({error.strerror}); choose another --out") from error
    return _Run(task, settings, out).go()


def together(on_cpu: bool) -> PartialState:
    """The processes of a run: one, or as many as torchrun started. Those that wait for the one that makes a cache do so
    for long."""
    return PartialState(cpu=on_cpu, timeout=timedelta(days=7))


class _Run:
    def __init__(self, task: Task, settings: Settings, out: Path) -> None:
        self.task, self.settings, self.out = task, settings, out
        on_cpu = settings.device == "cpu"
        AcceleratorState._reset_state(reset_partial_state=True)  # it would keep the precision of an earlier run
        processes = together(on_cpu)
        self.rank, self.processes = processes.process_index, processes.num_processes
        self.leads = processes.is_main_process
        if settings.batch < self.processes:
            raise GenEgoError(f"a batch of {settings.batch} for {self.processes} processes: give a larger --batch")
        self.device = processes.device if self.processes > 1 else torch.device(settings.device)
        batches = _Batches(task.samples, settings.batch, settings.seed, (self.rank, self.processes))
        self.state = read_checkpoint(out / CHECKPOINT, str(self.device))
        precision = self.state["precision"] if self.state else settings.precision
        if precision == "auto":
            # Timings of several processes on one CPU need not agree.
            timed = on_cpu and self.processes > 1
            precision = "no" if timed else _faster(task, default_convert(batches[0]), self.device)
        self.batches, self.precision = batches, precision
        check(replace(settings, precision=precision))
        self.accelerator = Accelerator(mixed_precision=precision, cpu=on_cpu)
        if not on_cpu:
            torch.cuda.set_device(self.device)
        network = task.network.to(self.device)
        groups = _groups(network, task.rates, settings.weight_decay)
        self.average = AveragedModel(network, multi_avg_fn=self._averaged, use_buffers=True)
        optimizer = torch.optim.AdamW(groups, lr=settings.rate, betas=(settings.momentum, 0.999))
        self.peaks = [group["lr"] * group.pop("factor") for group in optimizer.param_groups]
        # In evaluation mode: `_learn` joins gradients, since tasks call parts of networks by name, which a wrapper
        # for several processes would not see.
        self.network = self.accelerator.prepare_model(network, device_placement=False, evaluation_mode=True)
        self.optimizer = self.accelerator.prepare_optimizer(optimizer, device_placement=False)
        self.board: Any = None
        self.step, self.seconds = 0, 0.0
        self.losses: dict[str, Tensor] = {}

    def go(self) -> bool:
        if self.state:
            self._resume(self.state)
            self.state = {}
        if self.leads:
            _drop_after(self.out / LOG, self.step)
            self._write_settings()
        began = time.monotonic() - self.seconds
        saved = validated = self.seconds
        settings = self.settings
        with (
            _signals() as stop,
            SummaryWriter(str(self.out), purge_step=self.step) if self.leads else nullcontext() as self.board,
            tqdm(
                total=settings.steps or None,
                initial=self.step,
                unit="step",
                dynamic_ncols=True,
                disable=None if self.leads else True,
            ) as bar,
        ):
            self.network.train()
            for batch in self._batches():
                if self._agreed(stop.wanted) or self._progress() >= 1:
                    break
                self.losses = self._learn(batch)
                self.step += 1
                self.seconds = time.monotonic() - began
                bar.update()
                if not self.leads:
                    continue
                if self.step % settings.log_steps == 0:
                    self._note_losses(self.losses, bar)
                if self.seconds - validated > 60 * settings.validate_minutes:
                    self._validate()
                    validated = self.seconds = time.monotonic() - began
                if self.seconds - saved > 60 * settings.checkpoint_minutes:
                    self._save()
                    saved = self.seconds
            if self.leads and self._progress() >= 1:
                self._validate()
        if self.leads:
            self._save()
        self.accelerator.wait_for_everyone()
        return self._progress() >= 1

    def _agreed(self, stop: bool) -> bool:
        """Whether any process was asked to stop; all take the time of the one that leads."""
        if self.processes > 1:
            said = torch.tensor([self.seconds if self.leads else 0.0, float(stop)], device=self.device)
            self.seconds, asked = self.accelerator.reduce(said, "sum").tolist()
            return asked > 0
        return stop

    def _write_settings(self) -> None:
        said = {**asdict(self.settings), "precision": self.precision}
        said |= {"configuration": dict(self.task.configuration), "data": self.task.fingerprint}
        (self.out / SETTINGS).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")

    def _progress(self) -> float:
        """Share of the run that is done: steps done over steps planned, which for a run of so many minutes is the same
        as time over time."""
        if self.settings.steps:
            return self.step / self.settings.steps
        return self.seconds / (60 * self.settings.minutes)

    def _batches(self) -> Iterator[dict[str, Tensor]]:
        settings = self.settings
        loader: DataLoader[Mapping[str, Array]] = DataLoader(
            self.batches,
            batch_size=None,
            sampler=itertools.count(self.step),
            num_workers=settings.workers,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_begin_worker,
        )
        for batch in loader:
            yield {name: values.to(self.device, non_blocking=True) for name, values in batch.items()}

    def _learn(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # Whatever a network draws (dropout) depends on the step too, not on what ran before.
        torch.manual_seed((self.settings.seed * 1_000_003 + self.step + (self.rank << 40)) % 2**63)
        factor = _schedule(self._progress(), self.settings.warmup, self.settings.cosine)
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * factor
        # The network computes in mixed precision and gives float32 back, so that losses are summed in float32.
        losses = self.task.losses(self.network, batch)
        self.accelerator.backward(losses["loss"])
        if self.processes > 1:
            self._join_gradients()
        self.accelerator.clip_grad_norm_(self.network.parameters(), self.settings.largest_gradient)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update_parameters(self.accelerator.unwrap_model(self.network))
        return {name: value.detach() for name, value in losses.items()}

    def _join_gradients(self) -> None:
        """Each gradient becomes the mean over all processes; in one message, since each has to be waited for."""
        learned = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        own = [torch.zeros_like(each) if each.grad is None else each.grad for each in learned]
        joined = self.accelerator.reduce(torch.cat([gradient.flatten() for gradient in own]), "mean")
        for parameter, gradient in zip(learned, joined.split([each.numel() for each in learned]), strict=True):
            parameter.grad = gradient.view_as(parameter)

    @torch.no_grad()
    def _averaged(self, average: Sequence[Tensor], current: Sequence[Tensor], number: Tensor | int) -> None:
        n = int(number)
        decay = min(self.settings.averaging, (1 + n) / (10 + n))
        if average[0].is_floating_point():
            torch._foreach_lerp_(list(average), list(current), 1 - decay)
        else:
            torch._foreach_copy_(list(average), list(current))  # counters of batch normalisations

    def _note_losses(self, losses: Mapping[str, Tensor], bar: tqdm[Any]) -> None:
        self._check(losses)
        values = {name: float(value) for name, value in losses.items()}
        bar.set_postfix(loss=f"{values['loss']:.4g}", refresh=False)
        rate = self.optimizer.param_groups[0]["lr"]
        self._note("train", {**values, "rate": rate})

    def _check(self, losses: Mapping[str, Tensor]) -> None:
        if not math.isfinite(loss := float(losses["loss"])):
            raise GenEgoError(
                f"{self.out}: the loss is {loss} at step {self.step}; begin anew in another --out with a lower --rate, "
                "or with --precision no"
            )

    def _validate(self) -> None:
        network = self.average.module.eval()
        if measures := self.task.validate(network):
            self._note("validation", measures)
        if isinstance(self.task, Drawing) and (sheet := self.task.sheet(network)) is not None:
            save_picture(self.out / SHEET, sheet)
            self.board.add_image("sheet", sheet, self.step, dataformats="HWC")

    def _note(self, kind: str, values: Mapping[str, float]) -> None:
        line = {"step": self.step, "seconds": round(self.seconds, 2), "kind": kind, **values}
        with (self.out / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        for name, value in values.items():
            self.board.add_scalar(f"{kind}/{name}", value, self.step)

    def _save(self) -> None:
        if self.losses:
            self._check(self.losses)
        scaler = self.accelerator.scaler
        state = {
            "settings": self._identity(),
            "precision": self.precision,
            "step": self.step,
            "seconds": self.seconds,
            "network": self.accelerator.unwrap_model(self.network).state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else {},
        }
        try:
            with whole(self.out / CHECKPOINT) as growing:
                torch.save(state, growing)
            metadata = {"seed": self.settings.seed, "steps": self.step, "data": self.task.fingerprint}
            save_weights(self.average.module, self.task.configuration, self.out / WEIGHTS, metadata)
            draw_curve(self.out / LOG, self.out / CURVE)
            if isinstance(self.task, Exports):
                self.task.export(self.average.module, self.out)
        except GenEgoError:
            raise
        except (OSError, RuntimeError) as error:  # the latter is torch's for a full disk
            raise GenEgoError(f"{self.out}: cannot be written ({error}); make room, then run it again") from error

    def _resume(self, state: dict[str, Any]) -> None:
        # A checkpoint from before a setting was one had its default.
        mine, theirs = self._identity(), {"momentum": Settings.momentum, **state["settings"]}
        if differing := [name for name, value in mine.items() if theirs.get(name) != value]:
            raise GenEgoError(
                f"{self.out} holds a run with other {' and '.join(differing)}: choose another --out, or delete it"
            )
        try:
            self.accelerator.unwrap_model(self.network).load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(state["scaler"])
        except (ValueError, RuntimeError) as error:
            raise GenEgoError(
                f"{self.out / CHECKPOINT}: the checkpoint is of another network ({error}); delete it to begin anew"
            ) from error
        self.step, self.seconds = state["step"], state["seconds"]
        _log.info("%s: going on at step %d", self.out, self.step)

    def _identity(self) -> dict[str, Any]:
        """All that a run's result depends on, but for its length."""
        settings = asdict(self.settings)
        names = ("batch", "rate", "momentum", "warmup", "cosine", "weight_decay", "averaging", "seed")
        return {
            **{name: settings[name] for name in names},
            "configuration": json.dumps(dict(self.task.configuration)),
            "data": self.task.fingerprint,
        }


def _faster(task: Task, batch: Mapping[str, Tensor], device: torch.device) -> str:
    """The precision in which `task` learns faster. A CPU that computes in bfloat16 is timed: small convolutions can
    lose more by converting than they win."""
    if device.type != "cpu":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no"
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return "no"
    network = deepcopy(task.network)
    times: dict[str, list[float]] = {"no": [], "bf16": []}
    for _ in range(_TIMINGS):
        for name, taken in times.items():
            began = time.perf_counter()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=name == "bf16"):
                loss = task.losses(network, batch)["loss"]
            loss.backward()
            taken.append(time.perf_counter() - began)
    return "bf16" if min(times["bf16"]) < min(times["no"]) else "no"


def _groups(network: nn.Module, rates: Mapping[str, float], weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups by factor on the learning rate and by whether they decay."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        factor = next((rates[start] for start in rates if name.startswith(start)), 1.0)
        if not factor:
            parameter.requires_grad_(False)
        if parameter.requires_grad:
            groups.setdefault((factor, parameter.ndim > 1), []).append(parameter)
    return [
        {"params": parameters, "factor": factor, "weight_decay": weight_decay if decays else 0.0}
        for (factor, decays), parameters in groups.items()
    ]


def _schedule(progress: float, warmup: float, cosine: bool) -> float:
    """Factor on the learning rate, 0 to 1, after a share of the run."""
    if progress < warmup:
        # The first step must not be lost on a factor of 0.
        return max(progress / warmup, 1e-3)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup)))) if cosine else 1.0


@contextmanager
def _signals() -> Iterator[_Stop]:
    """SIGINT and SIGTERM ask for an end; a second one is answered as ever."""
    stop = _Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _: Any) -> None:
        stop.wanted = True
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _begin_worker(_: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # both can reach the whole group; the main process answers them
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(0)


def _drop_after(log: Path, step: int) -> None:
    """Takes out the lines of steps that are done again."""
    if log.exists():
        kept = [line for line in read_log(log) if line["step"] <= step]
        log.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
