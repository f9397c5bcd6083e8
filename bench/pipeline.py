"""The nodes on real topics: frames a second and delay from camera to ego image.

640 x 480 pictures of two hands at 30 Hz, hands tracked, no depth network, `geometric` reconstruction; this
process is the camera and the policy, the nodes are processes of their own. The other side is the same core
called frame after frame in one thread, without ROS.
"""

from __future__ import annotations

import os
import time

import cv2
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from bench import Result
from genego_ros.data.bags import read_bag
from genego_ros.genego import GenEgo
from genego_ros.resources import resource
from genego_ros.ros import up
from genego_ros.ros.conversions import from_compressed, from_time, to_camera_info, to_image
from genego_ros.ros.deployment import complete
from genego_ros.types import ByteArray, Camera, Frame

SECONDS = 12
RATE_HZ = 30
WARM_UP = 2 * RATE_HZ
CAMERA = Camera.from_hfov(640, 480, 60.0)
FEWEST_FPS, LARGEST_P95_MS = 15.0, 150.0


def run() -> list[Result]:
    frames = pictures()
    alone_fps, alone_ms = without_ros(frames)
    results = []
    for composed, name in (("true", "one process"), ("false", "a process a stage")):
        fps, p95 = through_topics(frames, composed)
        results += [
            Result(
                f"ego images a second, VGA at 30 Hz, {name}",
                fps,
                "Hz",
                "the core in one thread, without ROS",
                alone_fps,
                f">= {FEWEST_FPS:g} Hz",
                fps >= FEWEST_FPS,
            ),
            Result(
                f"camera to ego/image, 95th percentile, {name}",
                p95,
                "ms",
                "the core in one thread, without ROS",
                alone_ms,
                f"<= {LARGEST_P95_MS:g} ms",
                p95 <= LARGEST_P95_MS,
            ),
        ]
    return results


def pictures() -> list[ByteArray]:
    """The sample's pictures, forth and back, so that the hands move without a jump."""
    from rclpy.serialization import deserialize_message

    found = [
        np.array(from_compressed(deserialize_message(message.data, CompressedImage)))
        for message in read_bag(resource("examples/sample"))
        if message.topic.endswith("image_raw/compressed")
    ]
    scaled = [np.asarray(cv2.resize(picture, (640, 480))) for picture in found]
    return scaled + scaled[-2:0:-1]


def without_ros(frames: list[ByteArray]) -> tuple[float, float]:
    """Frames a second, and the 95th percentile of a frame's milliseconds."""
    taken = []
    with GenEgo() as genego:
        for i in range(WARM_UP + 4 * RATE_HZ):
            frame = Frame(frames[i % len(frames)], CAMERA)
            start = time.perf_counter()
            genego(frame)
            taken.append(time.perf_counter() - start)
    counted = taken[WARM_UP:]
    return len(counted) / sum(counted), 1e3 * float(np.percentile(counted, 95))


def through_topics(frames: list[ByteArray], composed: str) -> tuple[float, float]:
    """Ego images a second, and the 95th percentile of their age in milliseconds when they arrive."""
    os.environ.update(up.node_environment())
    domain = 1 + os.getpid() % 100
    os.environ["ROS_DOMAIN_ID"] = str(domain)
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    processes = up.start(complete({"composed": composed}))
    try:
        return _Probe(context).measure(frames)
    finally:
        up.stop(processes)
        rclpy.try_shutdown(context=context)
        del os.environ["ROS_DOMAIN_ID"]


class _Probe:
    """The camera and the policy."""

    def __init__(self, context: rclpy.Context) -> None:
        self._node = rclpy.create_node("bench", context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self._node)
        self._images = self._node.create_publisher(Image, "/camera/image_raw", 1)
        self._infos = self._node.create_publisher(CameraInfo, "/camera/camera_info", 1)
        self._arrivals: list[tuple[float, float]] = []
        self._node.create_subscription(Image, "/genego/ego/image", self._on_ego_image, 1)

    def measure(self, frames: list[ByteArray]) -> tuple[float, float]:
        deadline = time.monotonic() + 60
        while not self._images.get_subscription_count():
            if time.monotonic() > deadline:
                raise RuntimeError("the nodes did not subscribe to the camera within 60 s")
            self._spin_until(time.monotonic() + 0.1)
        self._publish(frames, WARM_UP)
        self._arrivals.clear()
        start = time.monotonic()
        self._publish(frames, SECONDS * RATE_HZ)
        ages = [age for when, age in self._arrivals if when >= start]
        return len(ages) / (time.monotonic() - start), float(np.percentile(ages, 95))

    def _publish(self, frames: list[ByteArray], count: int) -> None:
        start = time.monotonic()
        for i in range(count):
            stamp = self._node.get_clock().now().nanoseconds
            self._infos.publish(to_camera_info(CAMERA, stamp, "camera_optical_frame"))
            self._images.publish(to_image(frames[i % len(frames)], "rgb8", stamp, "camera_optical_frame"))
            self._spin_until(start + (i + 1) / RATE_HZ)

    def _spin_until(self, when: float) -> None:
        while (left := when - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def _on_ego_image(self, message: Image) -> None:
        age_ns = self._node.get_clock().now().nanoseconds - from_time(message.header.stamp)
        self._arrivals.append((time.monotonic(), 1e-6 * age_ns))
