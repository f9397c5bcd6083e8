"""`./genego train MODEL DATASET`: trains the networks of this package."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from genego_ros.device import resolve_device
from genego_ros.errors import GenEgoError, loading

MODELS = {
    "decoder": "genego_ros.training.decoder",
    "depth": "genego_ros.training.depth",
    "distill": "genego_ros.training.distill",
    "ego-hand": "genego_ros.training.ego_hand",
    "finish": "genego_ros.training.finish",
    "sd15": "genego_ros.training.sd15",
    "unet": "genego_ros.training.unet",
    "vae": "genego_ros.training.vae",
}
"""What can be trained -> its module, which offers `prepare(args) -> (Task, Settings)`. Of the settings it chooses,
those that the command line gives are exchanged."""
BASELINES = {
    "pix2pixhd": "genego_ros.training.baselines.pix2pixhd",
    "pixelnerf": "genego_ros.training.baselines.pixelnerf",
    "cfld": "genego_ros.training.baselines.cfld",
    "egoworld": "genego_ros.training.baselines.egoworld",
}
"""What GenEgo is measured against, likewise; `./genego train baseline NAME`."""
OBSERVING = ("unet", "distill", "finish", "sd15", "cfld", "egoworld")
"""Those that learn from what stage 1 makes of recordings, and so take its parameters."""
_CACHING = tuple(dict.fromkeys((*OBSERVING, *BASELINES)))
PRECISIONS = ("auto", "no", "bf16", "fp16")
FORMS = ("epsilon", "v", "flow")
INTERRUPTED = 130


class Option(NamedTuple):
    """One that the command line and a configuration have alike."""

    kind: Callable[[str], Any]
    default: Any
    help: str
    placeholder: str = ""
    choices: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """That take it; none: all."""


LENGTHS = {
    "minutes": Option(float, 0.0, "how long to train, or"),
    "steps": Option(int, 0, "how many steps, or"),
    "epochs": Option(float, 0.0, "how often each sample"),
}
"""One of them says how long."""
OPTIONS = {
    **LENGTHS,
    "split": Option(str, "train", "list of splits.json to learn from, or all (default train)"),
    "size": Option(
        str,
        "",
        "of the network: tiny (default) or base of ego-hand, small (default) or paper of a baseline",
        models=("ego-hand", *BASELINES),
    ),
    "start": Option(Path, None, "weights to start from", "PATH"),
    "batch": Option(int, None, "samples a step"),
    "rate": Option(float, None, "highest learning rate"),
    "seed": Option(int, 0, "of what is drawn (default 0)"),
    "precision": Option(str, None, "of the sums; auto is bf16 where that is faster", choices=PRECISIONS),
    "device": Option(str, "auto", "auto, cpu or cuda:N"),
    "workers": Option(int, None, "processes that prepare batches"),
    "vae": Option(
        Path,
        None,
        "weights of train vae or decoder; for all but unet by default that of --start",
        "FILE",
        models=("unet", "distill", "finish", "cfld", "egoworld"),
    ),
    "form": Option(
        str, None, "what the U-Net predicts (default flow, or that of --start)", choices=FORMS, models=("unet",)
    ),
    "start-noise": Option(
        float, None, "of a flow: noise on the splat that it begins at (default 0.5)", "SD", models=("unet",)
    ),
    "critics": Option(
        float,
        0.0,
        "weight of critics that ask for pictures that look true, which takes far more samples (default 0: none)",
        "WEIGHT",
        models=("finish",),
    ),
    "stride": Option(int, 2, "frames between samples (default 2)", "N", models=_CACHING),
    "cache": Option(Path, None, "for what is made of the samples (default OUT/cache)", "DIR", models=_CACHING),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_training_arguments(parser, MODELS)


def add_training_arguments(parser: argparse.ArgumentParser, models: Mapping[str, str]) -> None:
    """Those of a command that trains one of `models`; what none of them takes is left out."""
    parser.add_argument("model", choices=sorted(models))
    parser.add_argument("dataset", type=Path, help="recordings: H2O, TACO or rendered")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a run that lies here is gone on with")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="options from a file, config/train/*.yaml; those given here win"
    )
    length = parser.add_mutually_exclusive_group()
    some = parser.add_argument_group("of some trainings")
    for name, option in OPTIONS.items():
        takers = [model for model in option.models if model in models]
        if option.models and not takers:
            continue
        group: Any = length if name in LENGTHS else some if option.models else parser
        more: dict[str, Any] = {"metavar": option.placeholder} if option.placeholder else {}
        # Without a default, so that what is given can be told from what is not.
        text = f"{', '.join(takers)}: {option.help}" if takers else option.help
        group.add_argument(f"--{name}", type=option.kind, choices=option.choices or None, help=text, **more)
    observing = ", ".join(model for model in OBSERVING if model in models)
    some.add_argument("parameters", nargs="*", metavar="name:=value", help=f"{observing}: parameters of stage 1")
    # argparse gives positionals to the first gap between options alone; those after it come as `further`.
    parser.set_defaults(further=[])


def complete(args: argparse.Namespace) -> argparse.Namespace:
    """The arguments with what the command line leaves open: from the configuration, else the defaults.

    Raises:
        GenEgoError: the configuration cannot be read, or holds what is no option, or no value of one; an option that
            this model does not take.
    """
    configured = _configuration(args.config) if args.config else {}
    for name, option in OPTIONS.items():
        given = _given(args, name) is not None or name in configured
        if given and option.models and args.model not in option.models:
            raise GenEgoError(f"{_called(args.model)} takes no --{name}; only {_takers(option.models, args.model)} do")
    if any(_given(args, name) is not None for name in LENGTHS):
        configured = {name: value for name, value in configured.items() if name not in LENGTHS}
    complete = argparse.Namespace(**vars(args))
    for name, option in OPTIONS.items():
        if _given(args, name) is None:
            setattr(complete, name.replace("-", "_"), configured.get(name, option.default))
    return complete


def _takers(models: Sequence[str], model: str) -> str:
    """Those of `models` that the command which trains `model` trains; all where it trains none of them."""
    alike = [each for each in models if (each in BASELINES) == (model in BASELINES)]
    return ", ".join(alike or models)


def _called(model: str) -> str:
    return f"train baseline {model}" if model in BASELINES else f"train {model}"


def _given(args: argparse.Namespace, name: str) -> Any:
    return getattr(args, name.replace("-", "_"), None)


def _configuration(path: Path) -> dict[str, Any]:
    with loading(path, "give one such as config/train/unet.yaml"):
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise GenEgoError(f"{path}: a line 'option: value' for each option is wanted")
    if unknown := sorted(str(name) for name in found.keys() - OPTIONS.keys()):
        raise GenEgoError(f"{path}: there is no option {', '.join(unknown)}; known: {', '.join(OPTIONS)}")
    if len(lengths := sorted(found.keys() & LENGTHS.keys())) > 1:
        raise GenEgoError(f"{path}: {' and '.join(lengths)} both say how long; keep one")
    values = {}
    for name, value in found.items():
        option = OPTIONS[name]
        try:
            values[name] = option.kind(str(value))
        except ValueError as error:
            raise GenEgoError(f"{path}: {name} is '{value}', which is no {option.kind.__name__}") from error
        if option.choices and values[name] not in option.choices:
            raise GenEgoError(f"{path}: {name} is '{value}'; choose {', '.join(option.choices)}")
    return values


def run(args: argparse.Namespace) -> int:
    """Trains until the steps or minutes are over; exit status 130 where Ctrl-C or SIGTERM ended it before.

    Raises:
        GenEgoError: see `training.loop.train`; no such data set, split or size, a package for training is missing,
            arguments that this model does not take.
    """
    import torch

    from genego_ros.training.loop import WEIGHTS, Settings, check, together, train

    args = complete(args)
    if args.model not in OBSERVING and (unknown := [*args.parameters, *args.further]):
        takers = _takers(OBSERVING, args.model)
        raise GenEgoError(f"{_called(args.model)} takes no {' '.join(unknown)}; only {takers} do")
    device = resolve_device(args.device)
    chosen = ("batch", "rate", "precision", "workers")
    given = {name: getattr(args, name) for name in chosen if getattr(args, name) is not None}
    given |= {"steps": args.steps or int(args.epochs > 0), "minutes": args.minutes, "seed": args.seed, "device": device}
    check(replace(Settings(), **given))  # before hours of observing
    torch.manual_seed(args.seed)  # weights that are yet to be trained are drawn in `prepare`
    with together(device == "cpu").main_process_first():  # who finds what the others need
        task, settings = import_module((MODELS | BASELINES)[args.model]).prepare(args)
    settings = replace(settings, **given)
    if args.epochs:
        settings = replace(settings, steps=max(1, round(args.epochs * len(task.samples) / settings.batch)))
    finished = train(task, settings, args.out)
    print(f"weights: {args.out / WEIGHTS}" + ("" if finished else "; stopped early: the same command goes on"))
    return 0 if finished else INTERRUPTED
