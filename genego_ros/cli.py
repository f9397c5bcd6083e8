"""The `genego` command: a table of sub-commands, each in a module of `genego_ros.commands`.

A command's module offers `add_arguments(parser)` and `run(arguments) -> exit status`. It is imported
only when its command is called, so that start-up and `--help` stay fast, and this module needs the
standard library alone: `--help` works before anything is installed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from genego_ros.errors import GenEgoError

COMMANDS = {
    "test": "run the linters, the type checker and the tests; further arguments go to pytest",
    "weights": "install, list or verify the weights of models",
}
"""Name of a command, which is its module's too, and its help in one line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="genego",
        description="The first-person view from a third-person camera, on ROS 2.",
        epilog="./genego setup sets up what is missing and does nothing else.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    try:
        for name, text in COMMANDS.items():
            command = commands.add_parser(name, help=text, description=text)
            if argv[:1] == [name]:
                module = import_module(f"genego_ros.commands.{name}")
                module.add_arguments(command)
        arguments, further = parser.parse_known_args(argv)
        if further and "further" not in arguments:
            parser.error(f"unrecognized arguments: {' '.join(further)}")
        arguments.further = further
        return int(module.run(arguments))
    except GenEgoError as error:
        sys.stderr.write(f"genego: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
