"""`./genego doctor`: what is installed and running, what is wrong, and the cure."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from genego_ros import weights
from genego_ros.ros.deployment import EXECUTABLES, fastdds_profile

_LOOK_S, _STILL_S = 10.0, 2.0
"""How long the graph is watched at most, and how long it must not change."""
_PACKAGES = {
    # package: (import name, what for, cure)
    "numpy": ("numpy", "arrays", "run ./genego setup"),
    "opencv-contrib-python": ("cv2", "pictures", "run ./genego setup"),
    "numba": ("numba", "splatting on the CPU", "run ./genego setup"),
    "mediapipe": ("mediapipe", "hands", "run ./genego setup, or pip install genego_ros[cpu]"),
    "open3d-cpu": ("open3d", "clouds as PLY", "run ./genego setup; Debian's libusb-1.0-0 is needed too"),
    "torch": ("torch", "networks and splatting on a GPU", "run ./genego setup, or pip install genego_ros[cpu]"),
    "rosbags": ("rosbags", "recordings", "run ./genego setup, or pip install rosbags"),
}
_INTERFACES = {
    "rclpy": "run ./genego setup, or source your ROS 2 install",
    "genego_ros.msg": "run ./genego setup, or build the package by colcon and source install/setup.bash",
    "tf2_msgs.msg": "run ./genego setup, or apt install ros-$ROS_DISTRO-tf2-msgs",
}
_INPUT_TYPES = {
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/CompressedImage",
    "sensor_msgs/msg/CameraInfo",
    "genego_ros/msg/ExoObservation",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report; `cure` is empty where all is well."""

    what: str
    state: str
    cure: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-graph", action="store_true", help="do not look for running nodes")


def run(args: argparse.Namespace) -> int:
    """Prints what is found; 1 where something needs a cure."""
    problems = 0
    for title, section in (
        ("installed", installed),
        ("weights", installed_weights),
        ("device", devices),
        ("transport", transport),
        ("running nodes", running_nodes),
    ):
        if section is running_nodes and args.no_graph:
            continue
        print(f"{title}:")
        for finding in section():
            print(f"  {'!' if finding.cure else ' '} {finding.what}: {finding.state}")
            if finding.cure:
                problems += 1
                print(f"      cure: {finding.cure}")
    print("no problem found" if not problems else f"{problems} problem(s) found")
    return 1 if problems else 0


def installed() -> Iterator[Finding]:
    """Packages and interfaces."""
    yield Finding("python", f"{sys.version.split()[0]} at {sys.executable}")
    for package, (module, purpose, cure) in _PACKAGES.items():
        try:
            importlib.import_module(module)
            yield Finding(package, f"{_version(package, module)} ({purpose})")
        except ImportError as error:
            yield Finding(package, f"cannot be imported: {error}", cure)
    for module, cure in _INTERFACES.items():
        try:
            importlib.import_module(module)
            yield Finding(module, "there")
        except ImportError as error:
            yield Finding(module, f"cannot be imported: {error}", cure)


def installed_weights() -> Iterator[Finding]:
    """Weights, each checked whole, with their licences."""
    wrong = weights.verify()
    for name, weight in weights.manifest().items():
        state = wrong.get(name, "")
        yield Finding(f"{name} ({weight.licence})", state or f"whole, {weight.path}", weight.cure if state else "")


def devices() -> Iterator[Finding]:
    """What networks can run on."""
    import torch

    yield Finding("cpu", f"{os.cpu_count()} cores")
    if not torch.cuda.is_available():
        yield Finding("gpu", "none that torch can use; everything runs on the CPU")
    for i in range(torch.cuda.device_count()):
        yield Finding(f"cuda:{i}", torch.cuda.get_device_name(i))


def transport() -> Iterator[Finding]:
    """What ROS messages travel by."""
    import rclpy

    implementation = rclpy.get_rmw_implementation_identifier()
    yield Finding("middleware", f"{implementation}, domain {os.environ.get('ROS_DOMAIN_ID', '0')}")
    if "fastrtps" not in implementation:
        return
    profile = os.environ.get("FASTDDS_DEFAULT_PROFILES_FILE", "")
    if not Path(profile).is_file():
        cure = f"export FASTDDS_DEFAULT_PROFILES_FILE={fastdds_profile('one')}; without one, large images are lost"
        yield Finding("Fast DDS profile", f"'{profile}' does not exist", cure)
    else:
        yield Finding("Fast DDS profile", f"{profile} (cameras, RViz and policies need it too: export it there)")


def running_nodes() -> Iterator[Finding]:
    """The nodes in this ROS domain, what they wait for and whether it comes to them."""
    import rclpy

    rclpy.init(args=[])
    node = rclpy.create_node("genego_doctor", start_parameter_services=False)
    try:
        _discover(node)
        ours = [(name, space) for name, space in node.get_node_names_and_namespaces() if name in EXECUTABLES]
        if not ours:
            yield Finding("nodes", f"none in domain {os.environ.get('ROS_DOMAIN_ID', '0')}; ./genego up starts them")
        for name, space in ours:
            yield Finding(f"{space.rstrip('/')}/{name}", "runs")
            for topic, types in node.get_subscriber_names_and_types_by_node(name, space):
                if set(types) & _INPUT_TYPES:
                    yield _input(node, name, space, topic)
    finally:
        node.destroy_node()
        rclpy.shutdown()


def _discover(node) -> None:  # type: ignore[no-untyped-def]
    """Waits until the ROS graph has stood still for a moment: nobody says when discovery is complete."""
    end = time.monotonic() + _LOOK_S
    graph, since = None, time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < _STILL_S:
        time.sleep(0.1)
        topics = [(name, node.count_publishers(name)) for name, _ in node.get_topic_names_and_types()]
        if (now := (node.get_node_names(), topics)) != graph:
            graph, since = now, time.monotonic()


def _input(node, name: str, space: str, topic: str) -> Finding:  # type: ignore[no-untyped-def]
    """Whether what is published on an input of a node reaches it."""
    from rclpy.qos import QoSCompatibility, qos_check_compatible

    from genego_ros.ros.subscription import topics_of_others

    publishers = node.get_publishers_info_by_topic(topic)
    mine = next(
        info
        for info in node.get_subscriptions_info_by_topic(topic)
        if (info.node_name, info.node_namespace) == (name, space)
    )
    optional = "depth" in topic or "camera_info" in topic
    if not publishers:
        if optional:
            return Finding(f"  {topic} ({mine.topic_type})", "nobody publishes it; it is optional")
        others = topics_of_others(node, [mine.topic_type])
        hint = f"; of that type there is {', '.join(others[:5])}" if others else ""
        cure = f"start the camera, or name its topic: ./genego up image_topic:=...{hint}"
        return Finding(f"  {topic} ({mine.topic_type})", "nobody publishes it", cure)
    for info in publishers:
        if info.topic_type != mine.topic_type:
            cure = "remap the input to a topic of that type"
            return Finding(f"  {topic} ({mine.topic_type})", f"is published as {info.topic_type}", cure)
        compatible, reason = qos_check_compatible(info.qos_profile, mine.qos_profile)
        if compatible == QoSCompatibility.ERROR:
            cure = f"set qos_overrides.{topic}.subscription.reliability (or durability) in the parameter file"
            return Finding(f"  {topic}", f"the QoS of {info.node_name} do not match: {reason}", cure)
    names = ", ".join(sorted({info.node_name for info in publishers}))
    return Finding(f"  {topic} ({mine.topic_type})", f"published by {names}, QoS match")


def _version(package: str, module: str) -> str:
    for name in (package, module):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "installed"
