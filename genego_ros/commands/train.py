"""`./genego train MODEL DATASET`: trains the networks of this package."""

from __future__ import annotations

import argparse
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from genego_ros.device import resolve_device
from genego_ros.errors import GenEgoError

MODELS = {
    "depth": "genego_ros.training.depth",
    "distill": "genego_ros.training.distill",
    "ego-hand": "genego_ros.training.ego_hand",
    "unet": "genego_ros.training.unet",
    "vae": "genego_ros.training.vae",
}
"""What can be trained -> its module, which offers `prepare(args) -> (Task, Settings)`. Of the settings it chooses,
those that the command line gives are exchanged."""
OBSERVING = ("unet", "distill")
"""Those that learn from what stage 1 makes of recordings, and so take its parameters."""
INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", choices=sorted(MODELS))
    parser.add_argument("dataset", type=Path, help="recordings: H2O, TACO or rendered")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a run that lies here is gone on with")
    parser.add_argument("--split", default="train", help="list of splits.json to learn from, or all (default train)")
    parser.add_argument("--size", default="", help="of the network, where it comes in several")
    parser.add_argument("--start", type=Path, metavar="PATH", help="weights to start from")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, default=0.0, help="how long to train, or")
    length.add_argument("--steps", type=int, default=0, help="how many steps")
    parser.add_argument("--batch", type=int, help="samples a step")
    parser.add_argument("--rate", type=float, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=("auto", "no", "bf16", "fp16"))
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:N")
    parser.add_argument("--workers", type=int, help="processes that prepare batches")
    stage2 = parser.add_argument_group(", ".join(OBSERVING))
    stage2.add_argument("--vae", type=Path, metavar="FILE", help="weights that train vae made")
    stage2.add_argument("--form", choices=("epsilon", "v", "flow"), default="flow", help="what the U-Net predicts")
    stage2.add_argument(
        "--start-noise", type=float, metavar="SD", help="of a flow: noise on the splat that it begins at (default 0.5)"
    )
    stage2.add_argument("--stride", type=int, default=2, metavar="N", help="frames between samples (default 2)")
    stage2.add_argument("--cache", type=Path, metavar="DIR", help="for what is made of the samples (default OUT/cache)")
    stage2.add_argument("parameters", nargs="*", metavar="name:=value", help="of stage 1, such as depth.backend:=lite")
    # argparse gives positionals to the first gap between options alone; those after it come as `further`.
    parser.set_defaults(further=[])


def run(args: argparse.Namespace) -> int:
    """Trains until the steps or minutes are over; exit status 130 where Ctrl-C or SIGTERM ended it before.

    Raises:
        GenEgoError: see `training.loop.train`; no such data set, split or size, a package for training is missing,
            arguments that this model does not take.
    """
    import torch

    from genego_ros.training.loop import WEIGHTS, train

    if args.model not in OBSERVING and (unknown := [*args.parameters, *args.further]):
        raise GenEgoError(f"train {args.model} takes no {' '.join(unknown)}; only {' and '.join(OBSERVING)} do")
    torch.manual_seed(args.seed)  # weights that are yet to be trained are drawn in `prepare`
    task, settings = import_module(MODELS[args.model]).prepare(args)
    chosen = ("batch", "rate", "precision", "workers")
    given = {name: getattr(args, name) for name in chosen if getattr(args, name) is not None}
    settings = replace(
        settings,
        steps=args.steps,
        minutes=args.minutes,
        seed=args.seed,
        device=resolve_device(args.device),
        **given,
    )
    finished = train(task, settings, args.out)
    print(f"weights: {args.out / WEIGHTS}" + ("" if finished else "; stopped early: the same command goes on"))
    return 0 if finished else INTERRUPTED
