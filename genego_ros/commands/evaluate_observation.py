"""`./genego evaluate observation`: measures stage 1 on recordings that have the truth of it."""

from __future__ import annotations

import argparse
import shlex
import sys
from itertools import chain
from pathlib import Path

from genego_ros.commands.evaluate import add_shared_arguments, chosen_splits, shared_parameters
from genego_ros.data.datasets import open_dataset
from genego_ros.data.fingerprint import fingerprint
from genego_ros.data.sample import Dataset, SampleId
from genego_ros.data.sample_ids import SampleIds
from genego_ros.data.splits import ALL, FILE, TRAIN, Splits
from genego_ros.evaluation.observation.report import write_report
from genego_ros.evaluation.observation.run import LEARNED, Measurements, measure_missing, results
from genego_ros.evaluation.observation.watch import Watcher
from genego_ros.evaluation.run import common_settings, spread


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared_arguments(parser, Path("out/observation"))
    parser.add_argument("--split", default=ALL, help="all (the whole folder), paper (its four), or a name")


def run(args: argparse.Namespace) -> int:
    """Writes observation.md, observation.json and measurements/; goes on where it was interrupted.

    Raises:
        GenEgoError: an unknown or empty split, no such data set, a backend or its weights are missing, a sample is
            damaged, the folder holds something else.
    """
    parameters = shared_parameters(args)
    dataset = open_dataset(args.dataset)
    chosen = chosen_splits(args.dataset, dataset, args.split, "--split")
    splits = {name: spread(ids, args.limit) for name, ids in chosen.items()}
    train = _train_lists(args.dataset, dataset, list(splits))
    ids = sorted(set().union(*splits.values()))
    with Watcher(dataset, parameters) as watcher:
        kept = Measurements(args.out, common_settings(args.dataset, parameters))
        recordings = {id.sequence for id in chain(ids, *train.values())}
        kept.check_data({name: fingerprint(args.dataset, name) for name in sorted(recordings)})
        measure_missing(dataset, ids, watcher, kept)
    found = results(dataset, splits, train, kept, args.seed)
    command = "./genego " + shlex.join(sys.argv[1:])
    print(write_report(found, args.out, command, nested=len(splits) > 1))
    print(f"written to {args.out}")
    return 0


def _train_lists(folder: Path, dataset: Dataset, names: list[str]) -> dict[str, list[SampleId]]:
    """What the mean pose is learned from for each split; for the whole folder, its one train list where it has one."""
    path = folder / FILE
    if not path.is_file():
        return {}
    splits = Splits.read(path, SampleIds.of(dataset.ids))
    lists = {name: TRAIN if name == ALL else splits.train_name(name) for name in names}
    return {name: spread(splits.ids(train), LEARNED) for name, train in lists.items() if train in splits.lists}
