"""The training loop: interrupted runs, checkpoints, the schedule, what it writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from genego_ros.errors import GenEgoError
from genego_ros.training import loop
from genego_ros.training.loop import Settings, train
from genego_ros.types import Array

SETTINGS = Settings(steps=12, batch=5, rate=0.01, log_steps=2, validate_minutes=0.0, seed=3, precision="no")
SLOPE = np.array([[1.0, -2.0], [0.5, 3.0], [0.0, 1.0]], np.float32)


class Lines:
    """y = x SLOPE: 13 samples, so that batches of 5 reach across epochs. Remembers what was asked for."""

    def __init__(self) -> None:
        self.x = np.random.default_rng(0).normal(size=(13, 3)).astype(np.float32)
        self.asked: list[list[int]] = []
        self.interrupt_at = -1

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: NDArray[np.int64], rng: np.random.Generator) -> Mapping[str, Array]:
        self.asked.append(indices.tolist())
        if len(self.asked) == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGTERM)
        x = self.x[indices]
        noise = 0.1 * rng.normal(size=(len(x), 2)).astype(np.float32)
        return {"x": x, "y": x @ SLOPE + noise}


class LinesTask:
    fingerprint = "lines"
    rates: Mapping[str, float] = {"0.": 0.5}

    def __init__(self, width: int = 8) -> None:
        torch.manual_seed(0)
        self.configuration = {"width": width}
        self.network: nn.Module = nn.Sequential(
            nn.Linear(3, width), nn.BatchNorm1d(width), nn.Dropout(0.2), nn.Linear(width, 2)
        )
        self.samples = Lines()

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": (network(batch["x"]) - batch["y"]).square().mean()}

    def validate(self, network: nn.Module) -> dict[str, float]:
        assert not network.training
        return {"norm": sum(float(p.detach().norm()) for p in network.parameters())}


def log_of(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def test_a_resumed_run_is_the_unbroken_run(tmp_path: Path) -> None:
    whole = LinesTask()
    assert train(whole, SETTINGS, tmp_path / "whole")
    first = LinesTask()
    first.samples.interrupt_at = 7
    assert not train(first, SETTINGS, tmp_path / "parts")  # SIGTERM while the seventh batch is prepared
    assert torch.load(tmp_path / "parts/checkpoint.pt", weights_only=True)["step"] == 6
    second = LinesTask()
    assert train(second, SETTINGS, tmp_path / "parts")

    assert first.samples.asked[:6] + second.samples.asked[:6] == whole.samples.asked[:12]
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name
    assert [line for line in log_of(tmp_path / "whole") if line["kind"] == "train"] == [
        line for line in log_of(tmp_path / "parts") if line["kind"] == "train"
    ]


def test_bfloat16_computes_and_float32_is_kept(tmp_path: Path) -> None:
    task = LinesTask()
    train(task, replace(SETTINGS, precision="bf16"), tmp_path / "half")
    train(LinesTask(), SETTINGS, tmp_path / "full")
    half, full = ([line["loss"] for line in log_of(tmp_path / name) if "loss" in line] for name in ("half", "full"))
    assert half != full and half == pytest.approx(full, rel=0.05)
    assert task.network.state_dict()["0.weight"].dtype == torch.float32


def test_every_epoch_shows_every_sample_once_in_a_new_order(tmp_path: Path) -> None:
    task = LinesTask()
    train(task, replace(SETTINGS, steps=11), tmp_path)
    order = [index for batch in task.samples.asked for index in batch]
    first, second = order[:13], order[13:26]
    assert sorted(first) == sorted(second) == list(range(13))
    assert first != second


def test_workers_do_not_change_the_result(tmp_path: Path) -> None:
    train(LinesTask(), replace(SETTINGS, steps=3), tmp_path / "alone")
    train(LinesTask(), replace(SETTINGS, steps=3, workers=2), tmp_path / "helped")
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in ("alone", "helped"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_it_learns_and_exports_half_precision_with_its_configuration(tmp_path: Path) -> None:
    train(LinesTask(width=64), replace(SETTINGS, steps=150), tmp_path)
    network = LinesTask(width=64).network.eval()
    network.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    with torch.no_grad():
        error = network(torch.from_numpy(Lines().x)).numpy() - Lines().x @ SLOPE
    assert np.square(error).mean() < 0.05 * np.square(Lines().x @ SLOPE).mean()
    with safe_open(tmp_path / "weights.safetensors", "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["configuration"]) == {"width": 64}
    assert (metadata["seed"], metadata["steps"], metadata["data"]) == ("3", "150", "lines")
    assert load_file(tmp_path / "weights.safetensors")["3.weight"].dtype == torch.float16
    said = json.loads((tmp_path / "settings.json").read_text())
    assert (said["steps"], said["batch"], said["configuration"]) == (150, 5, {"width": 64})
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_rates_rise_then_fall_along_a_cosine(tmp_path: Path) -> None:
    train(LinesTask(), replace(SETTINGS, steps=40, warmup=0.25, log_steps=1), tmp_path)
    # The first group is that of the first layer, which learns at half the rate; step 20 is at a third of the cosine.
    rates = [line["rate"] for line in log_of(tmp_path) if line["kind"] == "train"]
    assert rates[5] == pytest.approx(0.5 * 0.01 * 0.5)
    assert max(rates) == rates[10] == pytest.approx(0.5 * 0.01)
    assert rates[20] == pytest.approx(0.5 * 0.01 * 0.5 * (1 + np.cos(np.pi / 3)))


def test_minutes_end_a_run(tmp_path: Path) -> None:
    assert train(LinesTask(), replace(SETTINGS, steps=0, minutes=0.01), tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert 0.6 <= state["seconds"] < 3 and state["step"] > 5


def files_of(folder: Path) -> set[str]:
    """All but TensorBoard's, of which every run writes its own."""
    return {path.name for path in folder.iterdir() if not path.name.startswith("events.")}


def test_a_checkpoint_that_finds_no_room_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(LinesTask(), SETTINGS, tmp_path)
    before, files = (tmp_path / "checkpoint.pt").read_bytes(), files_of(tmp_path)

    def fill(state: object, path: Path) -> None:
        path.write_bytes(b"as much as fits")
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", fill)
    with pytest.raises(GenEgoError, match=f"{tmp_path}: cannot be written .*make room"):
        train(LinesTask(), replace(SETTINGS, steps=SETTINGS.steps + 1), tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before and files_of(tmp_path) == files


def test_a_damaged_checkpoint_is_refused_with_a_cure(tmp_path: Path) -> None:
    train(LinesTask(), SETTINGS, tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(GenEgoError, match=r"checkpoint\.pt: cannot be loaded .* or delete it to begin anew"):
        train(LinesTask(), SETTINGS, tmp_path)


@pytest.mark.parametrize(
    ("task", "settings", "named"),
    [
        (LinesTask(), replace(SETTINGS, seed=4), "other seed"),
        (LinesTask(width=9), SETTINGS, "other configuration"),
    ],
)
def test_a_run_of_another_kind_is_not_gone_on_with(
    tmp_path: Path, task: LinesTask, settings: Settings, named: str
) -> None:
    train(LinesTask(), replace(SETTINGS, steps=2), tmp_path)
    with pytest.raises(GenEgoError, match=f"{named}: choose another --out"):
        train(task, settings, tmp_path)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    task = LinesTask()
    task.samples.x[4] = np.nan
    with pytest.raises(GenEgoError, match=r"the loss is nan at step .* lower --rate"):
        train(task, SETTINGS, tmp_path)


def test_a_run_without_a_length_or_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GenEgoError, match="--steps, --minutes or --epochs"):
        train(LinesTask(), replace(SETTINGS, minutes=1.0), tmp_path)
    task = LinesTask()
    task.samples.x = task.samples.x[:0]
    with pytest.raises(GenEgoError, match="no sample to train on"):
        train(task, SETTINGS, tmp_path)


def test_numbers_too_large_for_half_precision_stay_as_they_are(tmp_path: Path) -> None:
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.weight, 1e5)
    loop.save_weights(layer, {}, tmp_path / "large.safetensors")
    assert load_file(tmp_path / "large.safetensors")["weight"].tolist() == [[1e5, 1e5]] * 2


EVEN = """
import sys
from dataclasses import replace
from pathlib import Path

sys.path[:0] = sys.argv[2:]
from test_training_loop import SETTINGS, SLOPE, LinesTask, train


def even(indices, rng):
    x = task.samples.x[indices]
    return {"x": x, "y": x @ SLOPE}


task = LinesTask()
task.network[1], task.network[2] = task.network[2].eval(), task.network[1].eval()  # nothing that a batch decides
task.network = task.network[0:1].append(task.network[3])
task.samples.batch = even
assert train(task, replace(SETTINGS, batch=4), Path(sys.argv[1]))
"""


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    script = tmp_path / "even.py"
    script.write_text(EVEN)

    def run(name: str, *launcher: str) -> dict[str, Tensor]:
        command = [sys.executable, *launcher, str(script), str(tmp_path / name)]
        command += [str(folder) for folder in Path(__file__).parents[:2]]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        return load_file(tmp_path / name / loop.WEIGHTS)

    one = run("one")
    two = run("two", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=2e-3, rtol=0)  # float16
    assert [line["step"] for line in log_of(tmp_path / "two")] == [line["step"] for line in log_of(tmp_path / "one")]
