"""`./genego evaluate`: measures methods on recordings that have the true first-person view."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from genego_ros.data.datasets import open_dataset
from genego_ros.data.fingerprint import fingerprint
from genego_ros.data.sample import Dataset
from genego_ros.data.sample_ids import SampleIds
from genego_ros.data.splits import ALL, FILE, Splits
from genego_ros.errors import GenEgoError
from genego_ros.evaluation.inputs import INPUTS, CaseMaker
from genego_ros.evaluation.methods import GROUPS, USUAL, load_method
from genego_ros.evaluation.metrics import Ruler
from genego_ros.evaluation.report import write_report
from genego_ros.evaluation.run import evaluate, settings, spread
from genego_ros.evaluation.store import Store
from genego_ros.parameters import Parameters, parse_assignments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared_arguments(parser, Path("out/evaluate"))
    parser.add_argument(
        "--splits", default="all", help="all (the whole folder), paper (its four), or names, with commas"
    )
    parser.add_argument(
        "--methods", default=",".join(USUAL), help="with commas, by default %(default)s; ablation: without P_ego, T_exo"
    )
    parser.add_argument(
        "--inputs", choices=INPUTS, default="estimated", help="what methods see: stage 1's estimates, or the truth"
    )


def add_shared_arguments(parser: argparse.ArgumentParser, out: Path) -> None:
    """Those of every command that measures on recordings; `out` is where it writes by default."""
    parser.add_argument("--dataset", type=Path, required=True, metavar="DIR", help="recordings: H2O, TACO or rendered")
    parser.add_argument("--out", type=Path, default=out, metavar="DIR", help="folder for what comes out")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="at most N samples a split, evenly spread")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap that gives the intervals")
    parser.add_argument("parameters", nargs="*", metavar="name:=value", help="parameters, for example device:=cpu")
    # argparse gives positionals to the first gap between options alone; those after it come as `further`.
    parser.set_defaults(further=[])


def run(args: argparse.Namespace) -> int:
    """Writes what `report.write_report` does, and predictions/; goes on where it was interrupted.

    Raises:
        GenEgoError: see `evaluate`; an unknown or empty split, no such data set.
    """
    parameters = shared_parameters(args)
    dataset = open_dataset(args.dataset)
    chosen = chosen_splits(args.dataset, dataset, args.splits, "--splits")
    splits = {name: spread(ids, args.limit) for name, ids in chosen.items()}
    named = [name for choice in _names(args.methods, "--methods") for name in GROUPS.get(choice, (choice,))]
    methods = {name: load_method(name, parameters) for name in dict.fromkeys(named)}
    ruler = Ruler()
    # Last: what is refused until here leaves no folder behind.
    store = Store(args.out, settings(args.dataset, args.inputs, parameters))
    sequences = {id.sequence for ids in splits.values() for id in ids}
    store.check_data({sequence: fingerprint(args.dataset, sequence) for sequence in sorted(sequences)})
    with CaseMaker(args.inputs, parameters) as cases:
        results = evaluate(dataset, splits, methods, ruler, store, cases, args.seed)
    command = "./genego " + shlex.join(sys.argv[1:])
    print(write_report(results, dataset, store, command))
    print(f"written to {args.out}")
    return 0


def shared_parameters(args: argparse.Namespace) -> Parameters:
    """The parameters given; checks the numbers of `add_shared_arguments`.

    Raises:
        GenEgoError: a negative number, or no such parameter.
    """
    if args.seed < 0:
        raise GenEgoError(f"--seed is {args.seed}: it must be 0 or more")
    if args.limit < 0:
        raise GenEgoError(f"--limit is {args.limit}: it must be 0, which is no limit, or more")
    return Parameters.from_mapping(parse_assignments([*args.further, *args.parameters]))


def chosen_splits(folder: Path, dataset: Dataset, wanted: str, option: str) -> dict[str, SampleIds]:
    """The samples of each split that `wanted`, the value of `option`, names.

    Raises:
        GenEgoError: there is no such split, it has no samples, or the folder has no list of splits.
    """
    whole = SampleIds.of(dataset.ids)
    choices = _names(wanted, option)
    splits = Splits("", {}, whole) if choices == [ALL] else Splits.read(folder / FILE, whole)
    return {name: splits.ids(name) for choice in choices for name in splits.names(choice)}


def _names(text: str, option: str) -> list[str]:
    """The names of a list with commas, each once."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise GenEgoError(f"{option} names nothing")
    return names
