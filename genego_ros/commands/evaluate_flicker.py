"""`./genego evaluate flicker`: how much the made pictures of a stream change where nothing changes."""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from genego_ros.commands.evaluate import add_shared_arguments, chosen_splits, shared_parameters
from genego_ros.data.datasets import open_dataset
from genego_ros.errors import GenEgoError
from genego_ros.evaluation.flicker import SCORES, clips, measure
from genego_ros.evaluation.inputs import INPUTS
from genego_ros.evaluation.intervals import Estimate
from genego_ros.evaluation.report import numbers
from genego_ros.evaluation.store import save

_LEGEND = """Mean difference, in grey levels of 255, between a pixel and what the frame before showed of the same point
of the scene, where the truth stands still: over all such pixels, and over those of them that were made up. In brackets:
95% intervals by bootstrap over recordings. `truth` is what sampling alone gives. Lower is better, but nothing flickers
less than a picture that never changes: read it beside the measures of `./genego evaluate`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shared_arguments(parser, Path("out/flicker"))
    parser.add_argument(
        "--splits", default="all", help="all (the whole folder), paper (its four), or names with commas"
    )
    parser.add_argument(
        "--inputs", choices=INPUTS, default="estimated", help="what stage 2 sees: stage 1's estimates, or the truth"
    )
    parser.add_argument("--frames", type=int, default=16, help="of a recording, in a row (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Writes flicker.md and flicker.json; `--limit` is of recordings.

    Raises:
        GenEgoError: an unknown or empty split, no such data set, a recording too short, a backend or its weights are
            missing.
    """
    parameters = shared_parameters(args)
    if args.frames < 2:
        raise GenEgoError(f"--frames is {args.frames}: it must be 2 or more")
    dataset = open_dataset(args.dataset)
    tables = {}
    for name, ids in chosen_splits(args.dataset, dataset, args.splits, "--splits").items():
        chosen = clips(ids, args.limit or len(ids), args.frames)
        tables[name] = measure(dataset, chosen, args.inputs, parameters, args.seed)
    command = "./genego " + shlex.join(sys.argv[1:])
    text = "\n".join(["# Flicker", "", f"`{command}`", "", *_LEGEND.splitlines(), "", *_lines(tables)]) + "\n"
    as_json = {
        name: {row: {score: numbers(cell) for score, cell in cells.items()} for row, cells in table.items()}
        for name, table in tables.items()
    }
    save(args.out / "flicker.md", text.encode())
    save(args.out / "flicker.json", (json.dumps(as_json, indent=1) + "\n").encode())
    print(text)
    print(f"written to {args.out}")
    return 0


def _lines(tables: Mapping[str, Mapping[str, Mapping[str, Estimate]]]) -> list[str]:
    lines = []
    for name, table in tables.items():
        count = next(iter(table.values()))["all"].n
        lines += [f"## {name}", "", f"{count} pairs of frames.", "", f"| | {' | '.join(SCORES)} |", "|---|---|---|"]
        lines += [f"| {row} | {' | '.join(_cell(cells[score]) for score in SCORES)} |" for row, cells in table.items()]
        lines.append("")
    return lines


def _cell(estimate: Estimate) -> str:
    if math.isnan(estimate.low):
        return f"{estimate.mean:.2f}" if estimate.n else "none"
    return f"{estimate.mean:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"
