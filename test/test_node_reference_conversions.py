"""Our conversions against ROS's own sensor_msgs_py and cv_bridge, where ROS provides them."""

from __future__ import annotations

import array

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, PointCloud2

from genego_ros.ros import conversions
from genego_ros.types import Array, Cloud

RNG = np.random.default_rng(11)


@pytest.mark.parametrize("count", [1, 5000])
def test_points_as_sensor_msgs_py_reads_them(count: int) -> None:
    point_cloud2 = pytest.importorskip(
        "sensor_msgs_py.point_cloud2", reason="sensor_msgs_py comes with a ROS 2 install"
    )
    points = RNG.normal(size=(count, 3)).astype(np.float32)
    colors = RNG.integers(0, 256, (count, 3), dtype=np.uint8)
    cloud = Cloud(points, colors, np.full(count, 0.002, np.float32))
    read = point_cloud2.read_points(wired(conversions.to_point_cloud(cloud, 5, "cam")))
    np.testing.assert_array_equal(np.stack([read["x"], read["y"], read["z"]], axis=1), points)
    np.testing.assert_array_equal(unpacked(read["rgb"]), colors)


def test_an_organised_cloud_as_sensor_msgs_py_reads_it() -> None:
    point_cloud2 = pytest.importorskip(
        "sensor_msgs_py.point_cloud2", reason="sensor_msgs_py comes with a ROS 2 install"
    )
    points = RNG.normal(size=(12, 17, 3)).astype(np.float32)
    points[RNG.random((12, 17)) < 0.3] = np.nan
    rgb = RNG.integers(0, 256, (12, 17, 3), dtype=np.uint8)
    message = wired(conversions.to_organised_cloud(points, rgb, 5, "cam"))
    flat = point_cloud2.read_points(message)
    np.testing.assert_array_equal(np.stack([flat[name] for name in "xyz"], axis=1), points.reshape(-1, 3))
    np.testing.assert_array_equal(unpacked(flat["rgb"]), rgb.reshape(-1, 3))
    valid = point_cloud2.read_points_numpy(message, field_names=["x", "y", "z"], skip_nans=True)
    np.testing.assert_array_equal(valid, points[np.isfinite(points[..., 0])])


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"])
def test_pictures_as_cv_bridge_reads_them(encoding: str) -> None:
    cv_bridge = pytest.importorskip("cv_bridge", reason="cv_bridge comes with a ROS 2 install")
    channels = {"mono8": 1, "rgb8": 3, "bgr8": 3}.get(encoding, 4)
    message = picture(RNG.integers(0, 256, (9, 14, channels), dtype=np.uint8), encoding)
    np.testing.assert_array_equal(conversions.from_image(message), cv_bridge.CvBridge().imgmsg_to_cv2(message, "rgb8"))


def test_depth_as_cv_bridge_reads_it() -> None:
    bridge = pytest.importorskip("cv_bridge", reason="cv_bridge comes with a ROS 2 install").CvBridge()
    millimetres = picture(RNG.integers(1, 9000, (9, 14, 1), dtype=np.uint16), "16UC1")
    expected = bridge.imgmsg_to_cv2(millimetres).astype(np.float64) / 1000
    np.testing.assert_allclose(conversions.depth_from_image(millimetres), expected, rtol=1e-6)
    metres = picture(RNG.uniform(0.1, 9, (9, 14, 1)).astype(np.float32), "32FC1")
    np.testing.assert_array_equal(conversions.depth_from_image(metres), bridge.imgmsg_to_cv2(metres))


def test_cv_bridge_reads_what_we_send() -> None:
    bridge = pytest.importorskip("cv_bridge", reason="cv_bridge comes with a ROS 2 install").CvBridge()
    rgb = RNG.integers(0, 256, (9, 14, 3), dtype=np.uint8)
    depth = RNG.uniform(0.1, 9, (9, 14)).astype(np.float32)
    mask = RNG.random((9, 14)) < 0.5
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(conversions.to_image(rgb, "rgb8", 5, "cam")), rgb)
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(conversions.to_image(depth, "32FC1", 5, "cam")), depth)
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(conversions.mask_to_image(mask, 5, "cam")) == 255, mask)


def picture(pixels: Array, encoding: str) -> Image:
    """A message with a row that is longer than its pixels, as some drivers send it."""
    height, width, channels = pixels.shape
    step = (width + 2) * channels * pixels.itemsize
    padded = np.zeros((height, width + 2, channels), pixels.dtype)
    padded[:, :width] = pixels
    return Image(height=height, width=width, step=step, encoding=encoding, data=array.array("B", padded.tobytes()))


def wired(message: PointCloud2) -> PointCloud2:
    """The message as it comes out of the middleware."""
    return deserialize_message(serialize_message(message), type(message))


def unpacked(rgb: Array) -> Array:
    """uint8 (N, 3) from PCL's float that holds 0x00rrggbb."""
    bits = np.ascontiguousarray(rgb).view(np.uint32)
    return np.stack([bits >> 16 & 255, bits >> 8 & 255, bits & 255], axis=1).astype(np.uint8)
