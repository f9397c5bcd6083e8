"""`genego splits DIR`: which samples of a data set train and which test."""

from __future__ import annotations

import argparse
from pathlib import Path

from genego_ros.data.datasets import open_dataset
from genego_ros.data.h2o import H2O
from genego_ros.data.h2o_format import META, UNFINISHED
from genego_ros.data.sample_ids import SampleIds
from genego_ros.data.splits import FILE, Splits, h2o_splits, read_official, rendered_splits, taco_splits
from genego_ros.errors import GenEgoError

RULES = ("h2o", "taco", "rendered")
OFFICIAL = "v1_overall_data_train_test_split.txt"
_HELD_OUT = 5
"""Of the objects, scenes and subjects of rendered recordings one in so many is held out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="a data set: H2O, TACO or rendered recordings")
    parser.add_argument("--rules", choices=RULES, help="by what to split (default: by what the folder holds)")


def run(arguments: argparse.Namespace) -> int:
    """Writes DIR/splits.json where it is missing, checks it where it is there, and prints what its lists hold.

    Raises:
        GenEgoError: no such data set, one that is rendered in part, rules of another one, or a file that does not fit
            the folder.
    """
    dataset = open_dataset(arguments.folder)
    path = arguments.folder / FILE
    there = path.exists()
    if there:
        splits = Splits.read(path, dataset.ids)
        if arguments.rules not in (None, splits.dataset):
            raise GenEgoError(f"{path} was made by the rules '{splits.dataset}'; take it away to make another one")
    else:
        splits = _made(arguments.folder, dataset.ids, arguments.rules or _rules_for(dataset))
        splits.write(path)
    print(table(splits))
    print(f"rules: {splits.dataset}; {'checked' if there else 'written to'} {path}")
    return 0


def table(splits: Splits) -> str:
    """A line a list: samples, recordings, cameras."""
    rows = [("list", "samples", "recordings", "cameras")]
    for name, ids in {**splits.lists, "all": splits.whole}.items():
        sequences, cameras = {run.sequence for run in ids.runs}, {run.camera for run in ids.runs}
        rows.append((name, f"{len(ids):,}", f"{len(sequences):,}", str(len(cameras))))
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{row[0]:<{width}} {row[1]:>10} {row[2]:>11} {row[3]:>8}" for row in rows)


def _rules_for(dataset: object) -> str:
    if not isinstance(dataset, H2O):
        return "taco"
    rendered = any((dataset.root / name / META).is_file() for name in dataset.recordings)
    return "rendered" if rendered else "h2o"


def _made(folder: Path, ids: SampleIds, rules: str) -> Splits:
    unfinished = folder / UNFINISHED
    if unfinished.is_dir() and any(unfinished.iterdir()):
        raise GenEgoError(
            f"{unfinished}: recordings that are not finished, which the splits would lack; run the same genego synth "
            "again, which also writes the splits of a recipe, or delete that folder"
        )
    parts = {len(run.sequence.split("/")) for run in ids.runs}
    if parts != {2 if rules == "taco" else 3}:
        raise GenEgoError(f"{folder}: the rules '{rules}' are for another data set; leave --rules out")
    if rules == "h2o":
        return h2o_splits(ids)
    if rules == "taco":
        lists = [path for path in (folder / OFFICIAL, folder / "data_lists" / OFFICIAL) if path.is_file()]
        if not lists:
            print(f"{folder / OFFICIAL} is not there (it comes with TACO's instructions): no official test sets")
        return taco_splits(ids, read_official(lists[0]) if lists else None)
    try:
        return rendered_splits(ids, *(_last_of(ids, part) for part in (2, 1, 0)))
    except GenEgoError as error:
        raise GenEgoError(f"{folder}: {error}") from error


def _last_of(ids: SampleIds, part: int) -> list[str]:
    """The last of the objects, scenes or subjects, by the numbers in their names."""
    names = {run.sequence.split("/")[part] for run in ids.runs}
    ordered = sorted(names, key=lambda name: (len(name), name))
    return ordered[-max(1, len(ordered) // _HELD_OUT) :]
