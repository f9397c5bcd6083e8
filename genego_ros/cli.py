"""The `genego` command: a table of sub-commands.

A command is a module that offers `add_arguments(parser)` and `run(arguments) -> exit status`. It is imported
only when its command is called, so that start-up and `--help` stay fast, and this module needs the
standard library alone: `--help` works before anything is installed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from genego_ros.errors import GenEgoError
from genego_ros.resources import resource

COMMANDS = {
    "demo": ("genego_ros.ros.demo", "play a recording through the running nodes and show what comes out"),
    "up": ("genego_ros.ros.up", "start the nodes, as `ros2 launch genego_ros genego.launch.py` does"),
    "image": ("genego_ros.commands.image", "both stages on one photo, without ROS"),
    "synth": ("genego_ros.commands.synth", "render recordings in H2O's folder format"),
    "splits": ("genego_ros.commands.splits", "write down which samples of a data set train and which test"),
    "show": ("genego_ros.commands.show", "draw samples of a data set or a bag: frames, hands, depth, reprojection"),
    "evaluate": ("genego_ros.commands.evaluate", "measure methods on recordings with a true first-person view"),
    "evaluate observation": ("genego_ros.commands.evaluate_observation", "measure stage 1 alone on such recordings"),
    "evaluate flicker": ("genego_ros.commands.evaluate_flicker", "measure how much made pictures of a stream flicker"),
    "evaluate wild": ("genego_ros.commands.evaluate_wild", "look at what is made of photos without truth"),
    "convert": ("genego_ros.commands.convert", "make bags of the recordings of a data set"),
    "play": ("genego_ros.ros.play", "publish a bag, a video, a photo or a folder of pictures"),
    "record": ("genego_ros.ros.record", "write topics into a bag"),
    "doctor": ("genego_ros.ros.doctor", "what is installed and running, what is wrong, and the cure"),
    "parameters": ("genego_ros.commands.parameters", "list every parameter"),
    "weights": ("genego_ros.commands.weights", "install, list or verify the weights of models"),
    "train": ("genego_ros.commands.train", "train a network on recordings"),
    "train baseline": ("genego_ros.commands.train_baseline", "train a method that the network is measured against"),
    "bench": ("genego_ros.commands.bench", "measure speed and accuracy against a reference"),
    "test": ("genego_ros.commands.test", "run the linters, the type checker and the tests"),
}
"""Command, of one word or two -> (module, help in one line)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if " ".join(argv[:2]) in COMMANDS:
        argv[:2] = [" ".join(argv[:2])]
    parser = argparse.ArgumentParser(
        prog="genego",
        description="The first-person view from a third-person camera, on ROS 2.",
        epilog="./genego setup sets up what is missing and does nothing else.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    try:
        for name, (module_name, text) in COMMANDS.items():
            command = commands.add_parser(name, help=text, description=text)
            if argv[:1] == [name]:
                if name in ("play", "record", "doctor"):
                    # What starts nodes chooses the profile by its argument `hosts`.
                    os.environ.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", str(resource("config/fastdds.xml")))
                module = import_module(module_name)
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
