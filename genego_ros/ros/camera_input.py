"""The third-person camera: image, camera_info and depth topics become frames."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import cv2
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from genego_ros.errors import GenEgoError
from genego_ros.parameters import InputParameters
from genego_ros.ros import conversions
from genego_ros.ros.newest import Newest
from genego_ros.ros.rectification import Rectifier
from genego_ros.ros.subscription import WatchedSubscription
from genego_ros.types import Camera, CameraSource, FloatArray, Frame

_DEPTH_KEPT = 8
"""Depth images kept for pairing: a quarter of a second at 30 Hz."""
_DEPTH_WAIT_S = 0.04
"""How long a picture waits for a depth image that usually comes: a depth camera sends it just after."""
_FIRST_PICTURES = 3
"""Pictures that wait for a depth topic of which nothing has come yet."""
_INFO_WAIT_S = 1.0
"""How long the first pictures wait for a camera_info that somebody publishes."""
_SAME_ASPECT = 0.01


class CameraInput:
    """Subscribes to `image`, `camera_info` and `depth` and gives the newest frame.

    Bad input never raises out of here but for one frame (`GenEgoError` from `take`); what is merely
    doubtful is told to `warn` and the frame goes on with what can be used of it.
    """

    def __init__(self, node: Node, parameters: InputParameters, warn: Callable[[str], None]) -> None:
        self.parameters = parameters
        self.newest: Newest[Image | CompressedImage] = Newest()
        self._node = node
        self._warn = warn
        self._depths: deque[Image | CompressedImage] = deque(maxlen=_DEPTH_KEPT)
        self._info: CameraInfo | None = None
        self._camera: Camera | None = None
        self._rectifier: Rectifier | None = None
        self._last_stamp = 0
        self._opened = time.monotonic()
        self._image_topic = WatchedSubscription(node, (Image, CompressedImage), "image", self.newest.put)
        self._info_topic = WatchedSubscription(node, (CameraInfo,), "camera_info", self._on_info)
        self._depth_topic = WatchedSubscription(node, (Image, CompressedImage), "depth", self._depths.append)

    def close(self) -> None:
        for topic in (self._image_topic, self._info_topic, self._depth_topic):
            topic.close()

    def check(self) -> str:
        """What is wrong with the inputs, "" when all is well; to be called about once a second."""
        trouble = self._image_topic.check(self.parameters.silent_s)
        depth_trouble = self._depth_topic.check(self.parameters.silent_s)
        self._info_topic.check(self.parameters.silent_s)
        if not trouble and self._depth_topic.received:
            # A depth topic is optional until it has served once.
            trouble = depth_trouble and f"{depth_trouble}; what depth.backend has beside it serves meanwhile"
        if not trouble and self._image_topic.received and self._camera is None:
            trouble = self._without_camera_info()
        return trouble

    def take(self, timeout_s: float) -> Frame | None:
        """The newest frame, or None where none came in time.

        Raises:
            GenEgoError: the picture cannot be used; the next one may be.
        """
        message = self.newest.take(timeout_s)
        if message is None:
            return None
        if self._info is None and self._info_topic.published and time.monotonic() - self._opened < _INFO_WAIT_S:
            self._wait_for_info()
        compressed = isinstance(message, CompressedImage)
        stamp = self._stamp(message)
        depth_message = self._depth_for(conversions.from_time(message.header.stamp))
        rgb = conversions.from_compressed(message) if compressed else conversions.from_image(message)
        camera, rectifier, source = self._camera_for(rgb.shape[1], rgb.shape[0])
        depth = None if depth_message is None else self._depth(depth_message, rgb.shape[:2])
        return Frame(
            rgb=rectifier.rgb(rgb) if rectifier else rgb,
            camera=camera,
            depth=rectifier.depth(depth) if rectifier and depth is not None else depth,
            stamp_ns=stamp,
            frame_id=message.header.frame_id or "exo_camera_optical_frame",
            camera_source=source,
        )

    def _on_info(self, message: CameraInfo) -> None:
        if self._info is not None and _same_calibration(message, self._info):
            return
        self._info = message
        try:
            camera = conversions.from_camera_info(message)
            self._rectifier = Rectifier(message)
            self._camera = camera
        except GenEgoError as error:
            self._camera, self._rectifier = None, None
            self._warn(f"camera_info on '{self._info_topic.topic}' cannot be used: {error}")

    def _wait_for_info(self) -> None:
        until = self._opened + _INFO_WAIT_S
        while self._info is None and time.monotonic() < until:
            time.sleep(0.005)

    def _without_camera_info(self) -> str:
        missing = f"no usable camera_info on '{self._info_topic.topic}'"
        if degrees := self.parameters.assumed_hfov_deg:
            return f"{missing}: the horizontal field of view is {degrees:g} degrees, as input.assumed_hfov_deg says"
        return (
            f"{missing}: the field of view is estimated or assumed, so distances are off by a tenth and more; publish "
            "camera_info or set input.assumed_hfov_deg"
        )

    def _camera_for(self, width: int, height: int) -> tuple[Camera, Rectifier | None, CameraSource]:
        """K_exo for a picture of this size, and what undoes its distortion."""
        camera, rectifier = self._camera, self._rectifier
        if camera is None:
            return self._without(width, height)
        if (camera.width, camera.height) == (width, height):
            return camera, rectifier, "given"
        sizes = f"camera_info is for {camera.width} x {camera.height}, the picture has {width} x {height}"
        if abs(camera.width * height / (camera.height * width) - 1) > _SAME_ASPECT or (rectifier and rectifier.needed):
            self._warn(f"{sizes}: it cannot be used; publish the camera_info of the picture")
            return self._without(width, height)
        self._warn(f"{sizes}: the intrinsics are scaled to it")
        return camera.resized(width, height), None, "given"

    def _without(self, width: int, height: int) -> tuple[Camera, Rectifier | None, CameraSource]:
        camera, source = self.parameters.lens(width, height)
        return camera, None, source

    def _stamp(self, message: Image | CompressedImage) -> int:
        stamp = conversions.from_time(message.header.stamp)
        if stamp == 0:
            self._warn("pictures carry no stamp (zero): the time of reception is used; let the driver stamp them")
            return int(self._node.get_clock().now().nanoseconds)
        if stamp < self._last_stamp:
            back = 1e-9 * (self._last_stamp - stamp)
            self._warn(f"stamps went back by {back:.3f} s: a recording that starts over, or two cameras on one topic?")
        self._last_stamp = stamp
        return stamp

    def _depth_for(self, stamp_ns: int) -> Image | CompressedImage | None:
        """The depth image nearest in time to the picture, within the slop; waits a moment for one that is due."""
        slop_ns = 1e6 * self.parameters.depth_slop_ms
        began = self._depth_topic.received > 0
        first = self.newest.received <= _FIRST_PICTURES and self._depth_topic.published
        due = self._depth_topic.idle_s < 1.0 if began else first
        until = time.monotonic() + (_DEPTH_WAIT_S if due else 0.0)
        while True:
            candidates = list(self._depths)[::-1]  # of equal stamps the newest
            offsets = [abs(conversions.from_time(m.header.stamp) - stamp_ns) for m in candidates]
            if offsets and min(offsets) <= slop_ns:
                return candidates[int(np.argmin(offsets))]
            # A newer picture makes this one pointless to wait for.
            if time.monotonic() >= until or self.newest.waiting:
                break
            time.sleep(0.002)
        if due and began:
            nearest = f"the nearest is {1e-6 * min(offsets):.0f} ms away" if offsets else "none came"
            self._warn(
                f"no depth image within {self.parameters.depth_slop_ms:g} ms of the picture ({nearest}): the hands' "
                "own depth serves; synchronise the camera or raise input.depth_slop_ms"
            )
        return None

    def _depth(self, message: Image | CompressedImage, shape: tuple[int, int]) -> FloatArray | None:
        """float32 metres at the picture's size, or None where the depth cannot be used."""
        try:
            compressed = isinstance(message, CompressedImage)
            depth = conversions.depth_from_compressed(message) if compressed else conversions.depth_from_image(message)
        except GenEgoError as error:
            self._warn(f"depth is left out: {error}")
            return None
        if depth.shape != shape:
            sizes = f"depth has {depth.shape[1]} x {depth.shape[0]}, the picture {shape[1]} x {shape[0]}"
            if abs(depth.shape[1] * shape[0] / (depth.shape[0] * shape[1]) - 1) > _SAME_ASPECT:
                self._warn(f"depth is left out: {sizes}, another shape; register it to the colour camera")
                return None
            self._warn(f"{sizes}: it is resized, as if registered to the colour camera")
            depth = np.asarray(cv2.resize(depth, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST))
        # A middle row tells a unit as well as the whole picture does.
        middle = depth[shape[0] // 2]
        typical = float(np.median(middle[np.isfinite(middle)])) if np.isfinite(middle).any() else 1.0
        if typical > 100.0 and getattr(message, "encoding", "") == "32FC1":
            self._warn(
                f"32FC1 depth of typically {typical:.0f} m: these look like millimetres, which REP 118 sends as 16UC1; "
                "depth is left out"
            )
            return None
        return depth


def _same_calibration(a: CameraInfo, b: CameraInfo) -> bool:
    return (
        (a.width, a.height, a.distortion_model) == (b.width, b.height, b.distortion_model)
        and np.array_equal(a.k, b.k, equal_nan=True)
        and np.array_equal(a.d, b.d, equal_nan=True)
    )
