"""Which nodes run, under which names, with which topics: the one description that the launch file and
`./genego up` both start from. It imports nothing of ROS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from genego_ros.errors import GenEgoError
from genego_ros.resources import resource


@dataclass(frozen=True)
class Argument:
    """An argument of the launch file and of `./genego up`, given as name:=value."""

    name: str
    default: str
    meaning: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeDescription:
    """One process."""

    executable: str
    """In lib/genego_ros; also the module `genego_ros.ros.<executable>` and the node's name."""
    namespace: str
    parameters_file: Path
    parameters: Mapping[str, bool]
    remappings: Mapping[str, str]


EXECUTABLES = ("genego_node", "exo_observation_node", "ego_reconstruction_node")
"""Every node of the package."""
_TOPIC = re.compile(r"(~?/)?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)
_BOOLEAN = ("true", "false")

ARGUMENTS = (
    Argument("namespace", "genego", "namespace of the nodes and of what they publish"),
    Argument("image_topic", "/camera/image_raw", "third-person camera: Image, or CompressedImage"),
    Argument("camera_info_topic", "/camera/camera_info", "its intrinsics"),
    Argument("depth_topic", "/camera/depth/image_raw", "depth registered to it, if there is any"),
    Argument("description_topic", "/scene_description", "std_msgs/String, for the description backend `topic`"),
    Argument("params_file", "", "YAML with parameters; empty: config/genego.yaml of this package"),
    Argument("composed", "true", "both stages in one process; false: one process a stage", _BOOLEAN),
    Argument("use_sim_time", "false", "follow /clock, as when a recording is replayed with it", _BOOLEAN),
    Argument("rviz", "false", "start RViz with config/genego.rviz", _BOOLEAN),
    Argument("autostart", "true", "nodes become active by themselves; false: a lifecycle manager does it", _BOOLEAN),
    Argument("hosts", "one", "which Fast DDS profile: everything on one host, or on several", ("one", "several")),
)


def complete(given: Mapping[str, str]) -> dict[str, str]:
    """The arguments with their defaults filled in, choices in small letters.

    Raises:
        GenEgoError: an unknown name or a value that is not among the choices.
    """
    known = {argument.name: argument for argument in ARGUMENTS}
    values = {name: argument.default for name, argument in known.items()}
    for name, value in given.items():
        if name not in known:
            raise GenEgoError(f"unknown argument '{name}'; known: {', '.join(known)}")
        choices = known[name].choices
        if choices and value.lower() not in choices:
            raise GenEgoError(f"argument '{name}' is '{value}': it must be one of {', '.join(choices)}")
        if name.endswith("_topic") and not _TOPIC.fullmatch(value):
            raise GenEgoError(f"argument '{name}' is '{value}': that is no topic name, /camera/image_raw is one")
        if name == "namespace" and value.strip("/") and not _TOPIC.fullmatch(value.removesuffix("/")):
            raise GenEgoError(
                f"argument 'namespace' is '{value}': that is no namespace, genego or /robot1/genego is one"
            )
        values[name] = value.lower() if choices else value
    return values


def topic_prefix(namespace: str) -> str:
    """What stands before the nodes' topics: `/genego`, or nothing for the root namespace."""
    bare = namespace.strip("/")
    return f"/{bare}" if bare else ""


def _check_parameter_file(file: Path) -> None:
    """rclpy ends a node with a trace when its parameter file is not of the form it wants."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf8"))
    except yaml.YAMLError as error:
        raise GenEgoError(f"params_file '{file}' is not YAML: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise GenEgoError(f"params_file '{file}' cannot be read as text: {error}") from error
    groups = content.values() if isinstance(content, dict) else [content]
    if not all(isinstance(group, dict) and "ros__parameters" in str(group) for group in groups):
        raise GenEgoError(
            f"params_file '{file}' must hold parameters below `/**: ros__parameters:`, as config/genego.yaml"
        )


def describe_nodes(arguments: Mapping[str, str]) -> list[NodeDescription]:
    """The processes for complete arguments.

    Raises:
        GenEgoError: the parameter file is not there, or is not YAML.
    """
    composed = arguments["composed"] == "true"
    file = Path(arguments["params_file"] or resource("config/genego.yaml")).expanduser()
    if not file.is_file():
        raise GenEgoError(f"params_file '{file}' does not exist")
    _check_parameter_file(file)
    executables = ["genego_node"] if composed else ["exo_observation_node", "ego_reconstruction_node"]
    return [
        NodeDescription(
            executable=executable,
            namespace=arguments["namespace"],
            parameters_file=file,
            parameters={name: arguments[name] == "true" for name in ("use_sim_time", "autostart")},
            remappings={
                "image": arguments["image_topic"],
                "camera_info": arguments["camera_info_topic"],
                "depth": arguments["depth_topic"],
                "description_in": arguments["description_topic"],
            }
            if executable != "ego_reconstruction_node"
            else {},
        )
        for executable in executables
    ]


def fastdds_profile(hosts: str) -> Path:
    """The Fast DDS profile, for FASTDDS_DEFAULT_PROFILES_FILE: without one, large images are lost."""
    name = "fastdds.xml" if hosts == "one" else "fastdds_network.xml"
    return resource(f"config/{name}")
