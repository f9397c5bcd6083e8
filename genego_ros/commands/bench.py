"""`genego bench`: measures speed and accuracy, each against a reference in the same run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from genego_ros.errors import GenEgoError

ROOT = Path(__file__).resolve().parents[2]
_HEAD = """# Benchmarks

Made by `./genego bench --markdown docs/benchmarks.md`. With `--only NAME` that benchmark's section is made anew and
the others stay. Both sides of a ratio come from one run; a value is so many times better than its reference.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help=f"of {', '.join(names())}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write them there as tables; sections of other benchmarks stay"
    )


def names() -> list[str]:
    """The benchmarks: the modules in bench/."""
    return sorted(file.stem for file in (ROOT / "bench").glob("*.py") if file.stem != "__init__")


def run(args: argparse.Namespace) -> int:
    """Runs the benchmarks and prints a line a figure; 1 where a target is missed or something was not measured.

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
    report: dict[str, Any] = {"machine": machine(), "benchmarks": [], "unmeasured": {}}
    for name in args.only or names():
        _measure(name, report)
        # After each, so that what was measured stays whatever happens to the next.
        if args.json:
            args.json.write_text(json.dumps(report, indent=2) + "\n")
        if args.markdown:
            args.markdown.write_text(_page(report, args.markdown.read_text() if args.markdown.is_file() else ""))
    return 0 if not report["unmeasured"] and all(figure["met"] for figure in report["benchmarks"]) else 1


def _measure(name: str, report: dict[str, Any]) -> None:
    """Adds the figures of a benchmark to the report, and why there are none, or no more; prints them."""
    try:
        for result in import_module(f"bench.{name}").run():
            report["benchmarks"].append({"benchmark": name, **vars(result), "ratio": result.ratio})
            print(_line(report["benchmarks"][-1]), flush=True)
        return
    except GenEgoError as error:
        reason = str(error)
    except Exception as error:  # whatever it is, the others can be measured all the same
        traceback.print_exc()
        reason = f"failed with {type(error).__name__}: {error}"
    report["unmeasured"][name] = " ".join(reason.split())
    print(f"MISSED  {name}: not measured, {report['unmeasured'][name]}", flush=True)


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
    value, other, ratio = _value(figure), figure["reference_value"], figure["ratio"]
    against = "" if other is None else f"; {figure['reference']}: {other:.4g} {figure['unit']}"
    times = "" if ratio is None else f" ({ratio:.2f}x)"
    verdict = "met   " if figure["met"] else "MISSED"
    return f"{verdict}  {figure['name']}: {value}, target {figure['target']}{against}{times}"


def _page(report: dict[str, Any], before: str) -> str:
    """The page for docs/: a section a benchmark, those that this run did not measure as the page had them before."""
    found = re.split(r"^## (\w+)$", before, flags=re.MULTILINE)
    sections = dict(zip(found[1::2], found[2::2], strict=True))
    measured = {figure["benchmark"] for figure in report["benchmarks"]} | set(report["unmeasured"])
    sections |= {name: _section(name, report) for name in measured}
    return _HEAD + "".join(f"\n## {name}\n\n{sections[name].strip()}\n" for name in names() if name in sections)


def _section(name: str, report: dict[str, Any]) -> str:
    lines = ["Machine: " + ", ".join(f"{name} {value}" for name, value in report["machine"].items()) + ".", ""]
    if name in report["unmeasured"]:
        lines += [f"Not measured: {report['unmeasured'][name]}", ""]
    figures = [figure for figure in report["benchmarks"] if figure["benchmark"] == name]
    if figures:
        lines += ["| what | value | target | met | reference | its value | ratio |", "|---|---|---|---|---|---|---|"]
    for figure in figures:
        other, ratio = figure["reference_value"], figure["ratio"]
        cells = [
            figure["name"],
            _value(figure),
            figure["target"],
            "yes" if figure["met"] else "**no**",
            figure["reference"],
            "" if other is None else f"{other:.4g} {figure['unit']}",
            "" if ratio is None else f"{ratio:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _value(figure: dict[str, Any]) -> str:
    return f"{figure['value']:.4g} {figure['unit']}".strip()
