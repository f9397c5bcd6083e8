"""Real nodes in processes of their own, in a ROS domain of their own, and a node of the test's to talk to them."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from genego_ros.msg import PipelineStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from genego_ros.data.bags import read_bag
from genego_ros.resources import resource
from genego_ros.ros import conversions, up
from genego_ros.ros.deployment import complete
from genego_ros.types import ByteArray, Camera, FloatArray

ROOT = Path(__file__).resolve().parents[1]
FRAME_ID = "camera_optical_frame"
_domains = itertools.count(101 + os.getpid() % 100)


class Rig:
    """Talks to the nodes from the test."""

    def __init__(self, processes: list[subprocess.Popen[bytes]], context: rclpy.Context) -> None:
        self.processes = processes
        self.node = rclpy.create_node("rig", context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self.received: dict[str, list[Any]] = defaultdict(list)
        self.images = self.node.create_publisher(Image, "/camera/image_raw", 1)
        self.infos = self.node.create_publisher(CameraInfo, "/camera/camera_info", 1)
        self.depths = self.node.create_publisher(Image, "/camera/depth/image_raw", 1)
        self.listen("/genego/status", PipelineStatus)

    def listen(self, topic: str, kind: type, qos: QoSProfile | int = 20) -> None:
        self.node.create_subscription(kind, topic, self.received[topic].append, qos)

    def until(self, happened: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
        """Spins until `happened` gives something true, and gives that."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)
            if result := happened():
                return result
            for process in self.processes:
                assert process.poll() is None, f"a node ended with {process.returncode}"
        words = [f"{s.node}: {s.message}" for s in self.received["/genego/status"][-3:]]
        raise AssertionError(f"{what} did not come within {seconds:g} s; status: {words}")

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)

    def until_active(self, nodes: int = 1) -> None:
        def active() -> bool:
            return len({s.node for s in self.received["/genego/status"] if s.message != "inactive"}) == nodes

        self.until(active, "an active node", 40.0)
        self.until(self.images.get_subscription_count, "a subscription to the camera")

    def status(self, text: str, seconds: float = 20.0) -> PipelineStatus:
        """The first status from now on whose message holds `text`."""
        seen = self.received["/genego/status"]
        start = len(seen)
        return self.until(
            lambda: next((s for s in seen[start:] if text in s.message), None), f"a status with '{text}'", seconds
        )

    def send(
        self,
        rgb: ByteArray,
        camera: Camera | None = None,
        depth: FloatArray | None = None,
        stamp_ns: int | None = None,
    ) -> int:
        """Publishes one frame; its stamp."""
        stamp = self.node.get_clock().now().nanoseconds if stamp_ns is None else stamp_ns
        if camera is not None:
            self.infos.publish(conversions.to_camera_info(camera, stamp, FRAME_ID))
        if depth is not None:
            self.depths.publish(conversions.to_image(depth, "32FC1", stamp, FRAME_ID))
        self.images.publish(conversions.to_image(rgb, "rgb8", stamp, FRAME_ID))
        return stamp

    def answer(self, topic: str, stamp_ns: int, seconds: float = 20.0) -> Any:
        """The message on `topic` that was made from the frame with this stamp."""
        messages = self.received[topic]

        def found() -> Any:
            return next((m for m in messages if conversions.from_time(m.header.stamp) == stamp_ns), None)

        return self.until(found, f"an answer on {topic}", seconds)


@contextmanager
def rig(environment: Mapping[str, str] | None = None, nodes: bool = True, **arguments: str) -> Iterator[Rig]:
    """Nodes with these launch arguments, in a free domain, and a `Rig` beside them; all ended afterwards."""
    domain = next(_domains)
    changed = {"ROS_DOMAIN_ID": str(domain), **up.node_environment(), **(environment or {})}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed, ROS_DOMAIN_ID=str(domain))
    context = rclpy.Context()
    processes: list[subprocess.Popen[bytes]] = []
    try:
        rclpy.init(context=context, domain_id=domain)
        processes = up.start(complete(arguments)) if nodes else []
        yield Rig(processes, context)
    finally:
        up.stop(processes)
        rclpy.try_shutdown(context=context)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def sample_frames(count: int) -> list[tuple[ByteArray, FloatArray, Camera]]:
    """The first pictures of the sample that ships with the package: colour, depth in metres, camera."""
    colors, depths, cameras = [], [], []
    for message in read_bag(resource("examples/sample")):
        if not message.topic.startswith("/camera/"):
            continue  # where things truly are
        if message.type.endswith("CameraInfo"):
            cameras.append(conversions.from_camera_info(deserialize_message(message.data, CameraInfo)))
        elif "depth" in message.topic:
            kind = CompressedImage if "Compressed" in message.type else Image
            read = conversions.depth_from_compressed if kind is CompressedImage else conversions.depth_from_image
            depths.append(read(deserialize_message(message.data, kind)))
        elif message.topic.endswith("compressed"):
            colors.append(np.array(conversions.from_compressed(deserialize_message(message.data, CompressedImage))))
        if min(len(colors), len(depths), len(cameras)) >= count:
            break
    return list(zip(colors, depths, cameras, strict=False))[:count]


def write_yaml(path: Path, text: str) -> str:
    """A parameter file for all nodes; its path."""
    path.write_text("/**:\n  ros__parameters:\n" + "".join(f"    {line}\n" for line in text.splitlines()))
    return str(path)
