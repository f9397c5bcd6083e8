"""Messages of a camera become frames: a real node in this process, fed over real topics."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from ros_rig import FRAME_ID, Rig, rig
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from genego_ros.errors import GenEgoError
from genego_ros.parameters import InputParameters
from genego_ros.ros import conversions
from genego_ros.ros.camera_input import CameraInput
from genego_ros.types import Camera, Frame

CAMERA = Camera(64, 48, 60.0, 61.0, 31.0, 24.0)
RNG = np.random.default_rng(11)
RGB = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)
DEPTH = RNG.uniform(0.5, 2.0, (48, 64)).astype(np.float32)
MS = 1_000_000
T = 5_000 * MS


class Input:
    """A CameraInput on a node of its own, what it warned of, and the rig that feeds it."""

    def __init__(self, made: Rig, compressed: bool = False) -> None:
        self.rig = made
        context = made.node.context
        image = "/camera/image_raw/compressed" if compressed else "/camera/image_raw"
        names = {"image": image, "camera_info": "/camera/camera_info", "depth": "/camera/depth/image_raw"}
        remap = [word for name, topic in names.items() for word in ("-r", f"{name}:={topic}")]
        self.node = rclpy.create_node("input", context=context, cli_args=["--ros-args", *remap])
        made._executor.add_node(self.node)
        self.said: list[str] = []
        self.input = CameraInput(self.node, InputParameters(), self.said.append)
        self.input._opened = -math.inf  # the wait for a first camera_info is over
        publishers = () if compressed else (made.images, made.infos, made.depths)
        for publisher in publishers:
            made.until(publisher.get_subscription_count, publisher.topic_name)
        made.until(lambda: self.node.count_publishers("/camera/camera_info"), "the publishers")

    def info(self, message: CameraInfo) -> None:
        before = self.input._info_topic.received
        self.rig.infos.publish(message)
        self.rig.until(lambda: self.input._info_topic.received > before, "camera_info")

    def depth(self, depth: np.ndarray, stamp_ns: int = T, encoding: str = "32FC1") -> None:
        before = self.input._depth_topic.received
        self.rig.depths.publish(conversions.to_image(depth, encoding, stamp_ns, FRAME_ID))
        self.rig.until(lambda: self.input._depth_topic.received > before, "depth")

    def take(self, rgb: np.ndarray = RGB, stamp_ns: int = T) -> Frame:
        return self.take_message(conversions.to_image(rgb, "rgb8", stamp_ns, FRAME_ID))

    def take_message(self, message: Any) -> Frame:
        self.said.clear()
        self.rig.images.publish(message)
        self.rig.until(lambda: self.input.newest.waiting, "a picture")
        frame = self.input.take(0.0)
        assert frame is not None
        return frame

    def close(self) -> None:
        self.input.close()
        self.rig._executor.remove_node(self.node)
        self.node.destroy_node()


@pytest.fixture(scope="module")
def made() -> Iterator[Rig]:
    with rig(nodes=False) as made:
        yield made


@pytest.fixture
def camera(made: Rig) -> Iterator[Input]:
    opened = Input(made)
    yield opened
    opened.close()


def info(camera: Camera = CAMERA, **changes: Any) -> CameraInfo:
    message = conversions.to_camera_info(camera, 0, FRAME_ID)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def test_a_picture_with_its_intrinsics_and_depth(camera: Input) -> None:
    camera.info(info())
    camera.depth(DEPTH)
    frame = camera.take()
    np.testing.assert_array_equal(frame.rgb, RGB)
    np.testing.assert_array_equal(frame.depth, DEPTH)
    assert (frame.camera, frame.camera_source) == (CAMERA, "given")
    assert (frame.stamp_ns, frame.frame_id) == (T, FRAME_ID)
    assert camera.said == [] and camera.input.check() == ""
    assert camera.input.take(0.0) is None  # taken once


def test_without_camera_info_a_field_of_view_is_assumed_and_said(camera: Input) -> None:
    frame = camera.take()
    assert frame.camera_source == "assumed" and frame.depth is None
    assert 2 * math.degrees(math.atan(32 / frame.camera.fx)) == pytest.approx(60.0)
    assert "the field of view is estimated or assumed" in camera.input.check()
    camera.info(info())
    assert camera.take().camera_source == "given" and camera.input.check() == ""


def test_a_field_of_view_that_the_user_tells_is_believed(camera: Input) -> None:
    camera.input.parameters = InputParameters(assumed_hfov_deg=80.0)
    frame = camera.take()
    assert frame.camera_source == "given"
    assert 2 * math.degrees(math.atan(32 / frame.camera.fx)) == pytest.approx(80.0)
    assert "is 80 degrees, as input.assumed_hfov_deg says" in camera.input.check()
    with pytest.raises(GenEgoError, match="must be 0, or 10 to 150 degrees"):
        InputParameters(assumed_hfov_deg=5.0)


def test_useless_intrinsics_are_said_and_replaced_when_better_ones_come(camera: Input) -> None:
    for broken in (info(k=np.zeros(9)), info(k=np.full(9, np.nan)), info(distortion_model="x", d=[0.5])):
        camera.said.clear()
        camera.info(broken)
        assert len(camera.said) == 1 and "camera_info on '/camera/camera_info' cannot be used" in camera.said[0]
        assert camera.take().camera_source == "assumed"
    camera.info(info())
    assert camera.take().camera == CAMERA


def test_the_same_camera_info_again_is_no_news(camera: Input) -> None:
    camera.info(info())
    rectifier = camera.input._rectifier
    camera.rig.infos.publish(info())
    camera.take()
    assert camera.input._rectifier is rectifier


def test_intrinsics_of_another_size_are_scaled_or_left_out(camera: Input) -> None:
    camera.info(info(CAMERA.resized(128, 96)))
    frame = camera.take()
    assert frame.camera_source == "given"
    assert (frame.camera.fx, frame.camera.cx, frame.camera.cy) == pytest.approx((60.0, 31.0, 24.0))
    assert "the intrinsics are scaled to it" in camera.said[0]
    camera.info(info(Camera(100, 48, 60.0, 60.0, 50.0, 24.0)))
    assert camera.take().camera_source == "assumed" and "it cannot be used" in camera.said[0]
    camera.info(info(CAMERA.resized(128, 96), d=[0.1, 0.0, 0.0, 0.0, 0.0]))
    frame = camera.take()
    assert frame.camera_source == "assumed" and "it cannot be used" in camera.said[0]
    np.testing.assert_array_equal(frame.rgb, RGB)


def test_distortion_is_undone_in_picture_and_depth_alike(camera: Input) -> None:
    d = [-0.3, 0.1, 0.0, 0.0, 0.0]
    camera.info(info(d=d))
    smooth = cv2.GaussianBlur(RGB, (0, 0), 3)
    steps = np.where(np.arange(64) < 20, 1.0, 2.0).astype(np.float32)[None].repeat(48, axis=0)
    camera.depth(steps)
    frame = camera.take(smooth)
    expected = cv2.undistort(smooth, CAMERA.matrix, np.array(d))
    np.testing.assert_allclose(frame.rgb.astype(int), expected, atol=3)
    assert frame.depth is not None
    values = cv2.undistort(steps, CAMERA.matrix, np.array(d))[24]
    np.testing.assert_array_equal(frame.depth[24] < 1.5, values < 1.5)


def test_the_nearest_depth_within_the_slop_is_taken(camera: Input) -> None:
    for offset, value in ((-30, 1.0), (-12, 2.0), (5, 3.0), (18, 4.0)):
        camera.depth(np.full((48, 64), value, np.float32), T + offset * MS)
    for stamp, value in ((T, 3.0), (T - 25 * MS, 1.0), (T - 15 * MS, 2.0), (T + 38 * MS, 4.0)):
        frame = camera.take(stamp_ns=stamp)
        assert frame.depth is not None and frame.depth[0, 0] == value
    assert camera.take(stamp_ns=T + 39 * MS).depth is None
    assert "no depth image within 20 ms of the picture (the nearest is 21 ms away)" in camera.said[0]


@pytest.mark.parametrize(
    ("depth", "encoding", "said"),
    [
        (np.full((30, 64), 1.0, np.float32), "32FC1", "depth has 64 x 30, the picture 64 x 48, another shape"),
        (np.full((48, 64), 900.0, np.float32), "32FC1", "look like millimetres"),
        (np.full((48, 64), 90, np.uint8), "mono8", "depth is left out: depth image has encoding 'mono8'"),
    ],
)
def test_depth_that_does_not_fit_is_left_out(camera: Input, depth: np.ndarray, encoding: str, said: str) -> None:
    camera.depth(depth, encoding=encoding)
    frame = camera.take()
    assert frame.depth is None and said in camera.said[0]
    np.testing.assert_array_equal(frame.rgb, RGB)


def test_depth_of_another_resolution_is_brought_to_the_pictures(camera: Input) -> None:
    half = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) + 500
    camera.depth(half, encoding="16UC1")
    frame = camera.take()
    assert frame.depth is not None and "it is resized" in camera.said[0]
    np.testing.assert_allclose(frame.depth, np.kron(half, np.ones((2, 2))) / 1000, rtol=1e-6)


def test_depth_of_nothing_is_a_depth_without_anything(camera: Input) -> None:
    camera.depth(np.zeros((48, 64), np.uint16), encoding="16UC1")
    frame = camera.take()
    assert frame.depth is not None and np.isnan(frame.depth).all() and camera.said == []


def test_a_stamp_of_zero_becomes_the_time_of_reception(camera: Input) -> None:
    before = camera.node.get_clock().now().nanoseconds
    frame = camera.take(stamp_ns=0)
    assert before <= frame.stamp_ns <= camera.node.get_clock().now().nanoseconds
    assert "carry no stamp" in camera.said[0]


def test_stamps_that_go_back_are_said_and_kept(camera: Input) -> None:
    camera.take(stamp_ns=T)
    assert camera.take(stamp_ns=T - 2000 * MS).stamp_ns == T - 2000 * MS
    assert "stamps went back by 2.000 s" in camera.said[0]
    camera.take(stamp_ns=T - 1900 * MS)
    assert camera.said == []


def test_a_broken_picture_is_named_and_the_next_is_fine(camera: Input) -> None:
    broken = conversions.to_image(RGB, "rgb8", T, FRAME_ID)
    broken.step = 5
    with pytest.raises(GenEgoError, match="step 5"):
        camera.take_message(broken)
    with pytest.raises(GenEgoError, match="it is empty"):
        camera.take_message(Image(encoding="rgb8"))
    np.testing.assert_array_equal(camera.take().rgb, RGB)


def test_the_first_picture_waits_for_a_camera_info_that_somebody_publishes(camera: Input) -> None:
    camera.input._opened = time.monotonic()
    camera.rig.images.publish(conversions.to_image(RGB, "rgb8", T, FRAME_ID))
    camera.rig.until(lambda: camera.input.newest.waiting, "a picture")
    late = threading.Timer(0.1, camera.input._on_info, (info(),))  # as the executor's thread would
    late.start()
    frame = camera.input.take(0.0)
    assert frame is not None and frame.camera_source == "given"


def test_a_picture_without_a_frame_gets_a_name(camera: Input) -> None:
    frame = camera.take_message(conversions.to_image(RGB, "rgb8", T, ""))
    assert frame.frame_id == "exo_camera_optical_frame"


def test_only_the_newest_picture_is_kept(camera: Input) -> None:
    for index in range(5):
        camera.rig.images.publish(conversions.to_image(RGB, "rgb8", T + index * MS, FRAME_ID))
        camera.rig.until(lambda n=index: camera.input.newest.received == n + 1, "a picture")
    frame = camera.input.take(0.0)
    assert frame is not None and frame.stamp_ns == T + 4 * MS
    assert camera.input.newest.dropped == 4


def test_a_compressed_topic_is_told_by_its_name(made: Rig) -> None:
    camera = Input(made, compressed=True)
    try:
        publisher = made.node.create_publisher(CompressedImage, "/camera/image_raw/compressed", 1)
        made.until(publisher.get_subscription_count, "the subscription")
        _, png = cv2.imencode(".png", RGB[..., ::-1])
        message = CompressedImage(header=conversions.to_header(T, FRAME_ID), format="png", data=png.tobytes())
        publisher.publish(message)
        made.until(lambda: camera.input.newest.waiting, "a picture")
        frame = camera.input.take(0.0)
        assert frame is not None
        np.testing.assert_array_equal(frame.rgb, RGB)
    finally:
        camera.close()
