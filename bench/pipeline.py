"""The nodes on real topics: frames a second and delay from camera to ego image.

The sample's 640 x 480 pictures of two hands at 30 Hz, hands tracked: without networks for depth, viewpoint and the
view, then with those of stage 1, then with all; this process is the camera and the policy, the nodes are processes of
their own. The other side is the same core called frame after frame in one thread, without ROS.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import rclpy
import yaml
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from bench import Result
from genego_ros.data.bags import read_bag
from genego_ros.data.encoding import millimetres
from genego_ros.genego import GenEgo
from genego_ros.resources import resource
from genego_ros.ros import conversions, up
from genego_ros.ros.deployment import complete
from genego_ros.types import Frame

SECONDS = 10
RATE_HZ = 30
WARM_UP = 2 * RATE_HZ
GEOMETRIC = {"reconstruction.backend": "geometric"}
PLAIN = {"depth.backend": "topic", "viewpoint.backend": "nominal", **GEOMETRIC}


def run() -> list[Result]:
    with_depth = frames()
    without_depth = [replace(frame, depth=None) for frame in with_depth]
    results = []
    for given, name, parameters, fewest_fps, largest_p95 in (
        (without_depth, "no depth", PLAIN, 15, 150),
        (with_depth, "depth topic", PLAIN, 15, 150),
        (without_depth, "no depth, networks of stage 1", GEOMETRIC, 8, 300),
        (without_depth, "no depth, all networks", {}, 4, None),
    ):
        alone_fps, alone_ms = without_ros(given, parameters)
        for composed, processes in (("true", "one process"), ("false", "a process a stage")):
            fps, p95 = through_topics(given, composed, parameters)
            reference = "the core in one thread, without ROS"
            results += [
                Result(
                    f"ego images a second, VGA at 30 Hz, {name}, {processes}",
                    fps,
                    "Hz",
                    reference,
                    alone_fps,
                    f">= {fewest_fps} Hz",
                    fps >= fewest_fps,
                ),
                Result(
                    f"camera to ego/image, 95th percentile, {name}, {processes}",
                    p95,
                    "ms",
                    reference,
                    alone_ms,
                    f"<= {largest_p95} ms" if largest_p95 else "none",
                    largest_p95 is None or p95 <= largest_p95,
                ),
            ]
    return results


def frames() -> list[Frame]:
    """The sample's frames, forth and back, so that the hands move without a jump; with black bars to full VGA."""
    colors, depths, cameras = [], [], []
    for message in read_bag(resource("examples/sample")):
        if not message.topic.startswith("/camera/"):
            continue  # where things truly are
        if message.type.endswith("CameraInfo"):
            cameras.append(conversions.from_camera_info(deserialize_message(message.data, CameraInfo)))
        elif "depth" in message.topic:
            depths.append(conversions.depth_from_compressed(deserialize_message(message.data, CompressedImage)))
        else:
            picture = conversions.from_compressed(deserialize_message(message.data, CompressedImage))
            colors.append(np.ascontiguousarray(picture))
    found = [_as_vga(Frame(rgb, camera, depth)) for rgb, depth, camera in zip(colors, depths, cameras, strict=True)]
    return found + found[-2:0:-1]


def _as_vga(frame: Frame) -> Frame:
    bar = (480 - frame.camera.height) // 2
    rows = ((bar, 480 - frame.camera.height - bar), (0, 0))
    assert frame.depth is not None
    return Frame(
        np.pad(frame.rgb, (*rows, (0, 0))),
        replace(frame.camera, height=480, cy=frame.camera.cy + bar),
        np.pad(frame.depth, rows, constant_values=np.nan),
    )


def without_ros(given: list[Frame], parameters: Mapping[str, str]) -> tuple[float, float]:
    """Frames a second, and the 95th percentile of a frame's milliseconds."""
    taken = []
    with GenEgo(parameters) as genego:
        for i in range(WARM_UP + 4 * RATE_HZ):
            start = time.perf_counter()
            genego(given[i % len(given)])
            taken.append(time.perf_counter() - start)
    counted = taken[WARM_UP:]
    return len(counted) / sum(counted), 1e3 * float(np.percentile(counted, 95))


def through_topics(given: list[Frame], composed: str, parameters: Mapping[str, str]) -> tuple[float, float]:
    """Ego images a second, and the 95th percentile of their age in milliseconds when they arrive."""
    values = yaml.safe_load(resource("config/genego.yaml").read_text())
    for name, value in parameters.items():
        part, key = name.split(".")
        values["/**"]["ros__parameters"][part][key] = value
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        return _through_topics(given, {"composed": composed, "params_file": file.name})


def _through_topics(given: list[Frame], arguments: Mapping[str, str]) -> tuple[float, float]:
    domain = 1 + os.getpid() % 100
    before = dict(os.environ)
    os.environ.update(up.node_environment(), ROS_DOMAIN_ID=str(domain))
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    processes = up.start(complete(arguments))
    try:
        return _Probe(context).measure(given)
    finally:
        up.stop(processes)
        rclpy.try_shutdown(context=context)
        os.environ.clear()
        os.environ.update(before)


class _Probe:
    """The camera and the policy."""

    def __init__(self, context: rclpy.Context) -> None:
        self._node = rclpy.create_node("bench", context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self._node)
        self._images = self._node.create_publisher(Image, "/camera/image_raw", 1)
        self._depths = self._node.create_publisher(Image, "/camera/depth/image_raw", 1)
        self._infos = self._node.create_publisher(CameraInfo, "/camera/camera_info", 1)
        self._arrivals: list[tuple[float, float]] = []
        self._node.create_subscription(Image, "/genego/ego/image", self._on_ego_image, 1)

    def measure(self, given: list[Frame]) -> tuple[float, float]:
        deadline = time.monotonic() + 60
        while not self._images.get_subscription_count():
            if time.monotonic() > deadline:
                raise RuntimeError("the nodes did not subscribe to the camera within 60 s")
            self._spin_until(time.monotonic() + 0.1)
        self._publish(given, WARM_UP)
        start = time.monotonic()
        self._publish(given, SECONDS * RATE_HZ)
        ages = [age for when, age in self._arrivals if when >= start]
        return len(ages) / (time.monotonic() - start), float(np.percentile(ages, 95))

    def _publish(self, given: list[Frame], count: int) -> None:
        start = time.monotonic()
        for i in range(count):
            frame = given[i % len(given)]
            stamp = self._node.get_clock().now().nanoseconds
            self._infos.publish(conversions.to_camera_info(frame.camera, stamp, frame.frame_id))
            if frame.depth is not None:
                depth = millimetres(frame.depth)
                self._depths.publish(conversions.to_image(depth, "16UC1", stamp, frame.frame_id))
            self._images.publish(conversions.to_image(frame.rgb, "rgb8", stamp, frame.frame_id))
            self._spin_until(start + (i + 1) / RATE_HZ)

    def _spin_until(self, when: float) -> None:
        while (left := when - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def _on_ego_image(self, message: Image) -> None:
        age_ns = self._node.get_clock().now().nanoseconds - conversions.from_time(message.header.stamp)
        self._arrivals.append((time.monotonic(), 1e-6 * age_ns))
