"""`genego parameters`: every parameter with its default, range and meaning, as a Markdown table."""

from __future__ import annotations

import argparse
from typing import Any

from genego_ros.parameters import Declaration, declarations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(args: argparse.Namespace) -> int:
    """Prints the table."""
    print(table())
    return 0


def table() -> str:
    """The table that stands in docs/parameters.md."""
    lines = ["| parameter | default | range | changes while running | meaning |", "|---|---|---|---|---|"]
    for name, default, declaration in declarations():
        changes = "no" if declaration.read_only else "yes"
        lines.append(f"| `{name}` | {_value(default)} | {_range(declaration)} | {changes} | {declaration.meaning} |")
    return "\n".join(lines)


def _value(default: Any) -> str:
    return f"`{default}`" if default != "" else '`""`'


def _range(declaration: Declaration) -> str:
    if declaration.choices:
        return ", ".join(f"`{choice}`" for choice in declaration.choices)
    if declaration.low is None or declaration.high is None:
        return declaration.unit
    return f"{declaration.low:g} to {declaration.high:g} {declaration.unit}".rstrip()
