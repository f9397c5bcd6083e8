"""`genego bench`: measures speed and accuracy, each against a reference in the same run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from genego_ros.errors import GenEgoError

ROOT = Path(__file__).resolve().parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help=f"of {', '.join(names())}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write them there as a table, for docs/")


def names() -> list[str]:
    """The benchmarks: the modules in bench/."""
    return sorted(file.stem for file in (ROOT / "bench").glob("*.py") if file.stem != "__init__")


def run(args: argparse.Namespace) -> int:
    """Runs the benchmarks and prints a line a figure; 1 where a target is missed.

    Raises:
        GenEgoError: an unknown benchmark, or no source tree.
    """
    if not names():
        raise GenEgoError(f"the benchmarks are in the source tree, and {ROOT} is not one: run ./genego bench there")
    if unknown := set(args.only) - set(names()):
        raise GenEgoError(f"unknown benchmark '{unknown.pop()}'; known: {', '.join(names())}")
    for file in (args.json, args.markdown):
        if file is not None and not file.absolute().parent.is_dir():
            raise GenEgoError(f"'{file}' cannot be written: its folder does not exist")
    sys.path.insert(0, str(ROOT))
    figures: list[dict[str, Any]] = []
    unmeasured = False
    for name in args.only or names():
        try:
            for result in import_module(f"bench.{name}").run():
                figures.append({**vars(result), "ratio": result.ratio})
                print(_line(figures[-1]), flush=True)
        except GenEgoError as error:
            # What it needs is missing; the others can be measured all the same.
            print(f"MISSED  {name}: not measured, {error}", flush=True)
            unmeasured = True
    report = {"machine": machine(), "benchmarks": figures}
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n")
    if args.markdown:
        args.markdown.write_text(_page(report))
    return 0 if not unmeasured and all(figure["met"] for figure in figures) else 1


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text().splitlines()
        processor = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), processor)
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _line(figure: dict[str, Any]) -> str:
    value = f"{figure['value']:.4g} {figure['unit']}"
    other = figure["reference_value"]
    against = "" if other is None else f"; {figure['reference']}: {other:.4g} {figure['unit']} ({figure['ratio']:.2f}x)"
    return f"{'met   ' if figure['met'] else 'MISSED'}  {figure['name']}: {value}, target {figure['target']}{against}"


def _page(report: dict[str, Any]) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Made by `./genego bench --markdown docs/benchmarks.md`. Both sides of a ratio come from one run.",
        "",
        "Machine: " + ", ".join(f"{name} {value}" for name, value in report["machine"].items()) + ".",
        "",
        "| what | value | target | met | reference | its value | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for figure in report["benchmarks"]:
        unit, other = figure["unit"], figure["reference_value"]
        reference = ["", ""] if other is None else [f"{other:.4g} {unit}", f"{figure['ratio']:.2f}"]
        cells = [
            figure["name"],
            f"{figure['value']:.4g} {unit}",
            figure["target"],
            "yes" if figure["met"] else "**no**",
            figure["reference"],
            *reference,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
