"""A bag and the nodes in its time: what launch/replay.launch.py starts.

It imports nothing of ROS and, as all that launch files read, nothing but YAML: `ros2 launch` may run in the system's
Python, without what is in the activated environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from genego_ros.errors import GenEgoError
from genego_ros.ros import deployment
from genego_ros.ros.deployment import Argument

_BOOLEAN = ("true", "false")
_NOT_FROM_HERE = {"use_sim_time"}
"""Which would make no sense here: the nodes live in the bag's time."""
_FROM_THE_BAG = {"image_topic": "image", "camera_info_topic": "camera_info", "depth_topic": "depth"}

OWN_ARGUMENTS = (
    Argument("bag", "", "the recording: a folder, .mcap or .db3"),
    Argument("loop", "false", "begin again at the end", _BOOLEAN),
    Argument("player", "auto", "who plays it; auto: ros2bag where it is installed", ("auto", "ros2bag", "genego")),
)
ARGUMENTS = (
    *OWN_ARGUMENTS,
    *(
        replace(argument, default="", meaning=f"{argument.meaning}; empty: what the bag has")
        if argument.name in _FROM_THE_BAG
        else argument
        for argument in deployment.ARGUMENTS
        if argument.name not in _NOT_FROM_HERE
    ),
)


def node_arguments(given: Mapping[str, str]) -> dict[str, str]:
    """Complete arguments for the nodes, with the bag's topics where none are given.

    Raises:
        GenEgoError: no bag, one without pictures, or as `deployment.complete`.
    """
    if not given.get("bag"):
        raise GenEgoError("no recording is named: give bag:=FOLDER")
    topics = _topics_of(given["bag"], given.get("image_topic", ""))
    own = {argument.name for argument in OWN_ARGUMENTS}
    arguments = {name: value for name, value in given.items() if name not in own}
    for name, part in _FROM_THE_BAG.items():
        arguments[name] = arguments.get(name) or topics[part]
    return deployment.complete({**arguments, "use_sim_time": "true"})


def await_command(arguments: Mapping[str, str]) -> list[str]:
    """What ends once the nodes of complete arguments are active."""
    nodes = [node.executable for node in deployment.describe_nodes(arguments)]
    prefix = deployment.topic_prefix(arguments["namespace"])
    return [_python(), "-m", "genego_ros.ros.await_active", prefix, *nodes]


def player_command(given: Mapping[str, str]) -> list[str]:
    """What plays the bag with its clock, once it has found the nodes."""
    bag = str(Path(given["bag"]).expanduser())
    if _with_ros2bag(given["player"].lower()):
        command = ["ros2", "bag", "play", bag, "--clock", "--delay", "1"]
    else:
        command = [_python(), "-m", "genego_ros", "play", bag, "--clock"]
    return command + ["--loop"] * (given["loop"].lower() == "true")


def _topics_of(bag: str, image_topic: str) -> dict[str, str]:
    """What `camera_topics` finds in the bag."""
    command = [_python(), "-m", "genego_ros.ros.camera_topics", str(Path(bag).expanduser()), image_topic]
    asked = subprocess.run(command, capture_output=True, text=True)
    if asked.returncode == 1 and "ModuleNotFoundError" in asked.stderr:
        lacking = asked.stderr.strip().splitlines()[-1]
        raise GenEgoError(f"the bag cannot be looked into ({lacking}): activate the environment of `./genego setup`")
    if asked.returncode:
        raise GenEgoError(asked.stderr.strip())
    topics: dict[str, str] = json.loads(asked.stdout.splitlines()[-1])
    return topics


def _python() -> str:
    """Where the package's own requirements are installed."""
    return sys.executable if find_spec("rosbags") else "python3"


def _with_ros2bag(player: str) -> bool:
    if player == "auto":
        # Humble's rosbag2 does not read metadata of version 9, which newer ones, and we, write.
        return find_spec("ros2bag") is not None and os.environ.get("ROS_DISTRO") != "humble"
    return player == "ros2bag"
