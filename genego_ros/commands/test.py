"""`genego test`: everything that must pass before a change goes in."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from genego_ros.errors import GenEgoError

ROOT = Path(__file__).resolve().parents[2]

# A ROS install brings pytest plugins that do not know this pytest.
FOREIGN_PLUGINS = ("-p", "no:launch_testing", "-p", "no:launch_ros")
CHECKS = {
    "lint": ("ruff", "check", "."),
    "format": ("ruff", "format", "--check", "."),
    "types": ("mypy",),
    "tests": ("pytest", *FOREIGN_PLUGINS),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "genego test [PYTEST ARGUMENTS]"
    parser.set_defaults(further=[])


def run(arguments: argparse.Namespace) -> int:
    """Runs all checks, the failing ones too, and returns 0 only if every one passed."""
    if not (ROOT / "test").is_dir():
        raise GenEgoError(f"the tests are in the source tree, and {ROOT} is not one: run ./genego test there")
    failed = []
    for name, command in CHECKS.items():
        further = arguments.further if name == "tests" else []
        print(f"genego test: {name}: {' '.join([*command, *further])}", flush=True)
        if subprocess.run([sys.executable, "-m", *command, *further], cwd=ROOT).returncode:
            failed.append(name)
    if failed:
        print(f"genego test: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0
