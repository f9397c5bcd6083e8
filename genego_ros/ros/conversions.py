"""ROS messages to numpy arrays and back: the one place where that happens.

The common encodings are read by numpy and OpenCV directly, because a node does it for every frame;
whatever else a camera sends (Bayer, YUV, 16-bit colour) goes through cv_bridge where ROS provides it.
"""

from __future__ import annotations

import array
import struct
from functools import cache
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from genego_ros.data.encoding import metres
from genego_ros.errors import GenEgoError
from genego_ros.msg import Hand as HandMessage
from genego_ros.types import SIDES, Array, BoolArray, ByteArray, Camera, Cloud, FloatArray, Hand

NANOSECONDS = 1_000_000_000

# encoding -> (dtype, channels, what turns it into RGB)
_COLOR = {
    "rgb8": (np.uint8, 3, None),
    "bgr8": (np.uint8, 3, cv2.COLOR_BGR2RGB),
    "rgba8": (np.uint8, 4, cv2.COLOR_RGBA2RGB),
    "bgra8": (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    "mono8": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "8UC1": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "8UC3": (np.uint8, 3, cv2.COLOR_BGR2RGB),
}
# encoding -> (dtype, metres a unit), REP 118
_DEPTH = {"16UC1": (np.uint16, 0.001), "mono16": (np.uint16, 0.001), "32FC1": (np.float32, 1.0)}
_MESSAGE_DTYPES = {
    "rgb8": np.uint8,
    "mono8": np.uint8,
    "16UC1": np.uint16,
    "32FC1": np.float32,
}
_DEPTH_HEADER = struct.Struct("<iff")


def to_time(stamp_ns: int) -> Time:
    return Time(sec=stamp_ns // NANOSECONDS, nanosec=stamp_ns % NANOSECONDS)


def from_time(stamp: Time) -> int:
    """Nanoseconds."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def stamp_in(data: bytes) -> int:
    """The header's stamp of a message that begins with one, from its CDR bytes (after 4 bytes of encapsulation)."""
    seconds, nanoseconds = np.frombuffer(data, "<i4", 2, 4).tolist()
    return int(seconds) * NANOSECONDS + int(nanoseconds)


def to_header(stamp_ns: int, frame_id: str) -> Header:
    return Header(stamp=to_time(stamp_ns), frame_id=frame_id)


def to_image(pixels: Array, encoding: str, stamp_ns: int, frame_id: str) -> Image:
    """A message from uint8 (H, W, 3) `rgb8`, uint8 (H, W) `mono8`, uint16 (H, W) `16UC1` (millimetres)
    or float32 (H, W) `32FC1` (metres).

    The data goes in by one copy of memory; assigning an array or bytes to `data` would be converted
    element by element.
    """
    if pixels.dtype != _MESSAGE_DTYPES[encoding]:
        raise TypeError(f"{encoding} wants {_MESSAGE_DTYPES[encoding]}, not {pixels.dtype}")
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    message = Image(header=to_header(stamp_ns, frame_id), encoding=encoding)
    message.height, message.width = pixels.shape[:2]
    message.step = pixels.nbytes // pixels.shape[0]
    message.data = data
    return message


def mask_to_image(mask: BoolArray, stamp_ns: int, frame_id: str) -> Image:
    """mono8 from bool (H, W): 255 where True."""
    return to_image(mask.view(np.uint8) * np.uint8(255), "mono8", stamp_ns, frame_id)


def mask_from_image(message: Image) -> BoolArray:
    """bool (H, W) from mono8: True where it is not 0.

    Raises:
        GenEgoError: another encoding, an empty picture, a wrong step or data length.
    """
    if message.encoding != "mono8":
        raise GenEgoError(f"mask has encoding '{message.encoding}': mono8 is wanted")
    return _pixels(message, np.dtype(np.uint8), 1) != 0


def from_image(message: Image) -> ByteArray:
    """uint8 (H, W, 3) RGB, contiguous; a view of the message where that is possible.

    Raises:
        GenEgoError: unknown encoding, an empty picture, a wrong step or data length.
    """
    if message.encoding not in _COLOR:
        return _by_cv_bridge(message)
    dtype, channels, conversion = _COLOR[message.encoding]
    pixels = np.ascontiguousarray(_pixels(message, np.dtype(dtype), channels))
    return pixels if conversion is None else np.asarray(cv2.cvtColor(pixels, conversion))


def depth_from_image(message: Image) -> FloatArray:
    """float32 (H, W), metres, NaN where the sensor saw nothing (0, infinite or NaN in the message).

    Raises:
        GenEgoError: an encoding that is no depth, an empty picture, a wrong step or data length.
    """
    if message.encoding not in _DEPTH:
        raise GenEgoError(
            f"depth image has encoding '{message.encoding}': 16UC1 (millimetres) or 32FC1 (metres) is wanted; "
            "is this the depth topic?"
        )
    dtype, unit = _DEPTH[message.encoding]
    return metres(_pixels(message, np.dtype(dtype), 1), unit)


def from_compressed(message: CompressedImage) -> ByteArray:
    """uint8 (H, W, 3) RGB from a jpeg or png.

    Raises:
        GenEgoError: the data is not a picture.
    """
    # A camera's intrinsics are of the pixels as they are stored, whatever EXIF says of how it was held.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return np.asarray(cv2.cvtColor(_decoded(message, flags), cv2.COLOR_BGR2RGB))


def depth_from_compressed(message: CompressedImage) -> FloatArray:
    """float32 (H, W), metres, NaN invalid, from a 16-bit png in millimetres.

    image_transport's `compressedDepth` puts a header of 12 bytes before the png: an enum and two float32
    a, b. Where the picture was 32FC1, a pixel is a / metres + b (compressed_depth_image_transport, codec.cpp).

    Raises:
        GenEgoError: the data is not a 16-bit picture.
    """
    with_header = "compressedDepth" in message.format
    depth = _decoded(message, cv2.IMREAD_UNCHANGED, _DEPTH_HEADER.size if with_header else 0)
    if depth.dtype != np.uint16 or depth.ndim != 2:
        raise GenEgoError(
            f"compressed depth ('{message.format}') decodes to {depth.dtype} {depth.shape}: a png of 16 bits in "
            "millimetres is wanted"
        )
    if with_header and message.format.startswith("32FC1"):
        _, a, b = _DEPTH_HEADER.unpack_from(message.data)
        with np.errstate(divide="ignore"):
            inverse = np.float32(a) / (depth.astype(np.float32) - np.float32(b))
        return metres(np.where(depth > 0, inverse, np.nan), 1.0)
    return metres(depth)


def to_compressed(rgb: ByteArray, stamp_ns: int, frame_id: str, quality: int = 90) -> CompressedImage:
    """A jpeg from uint8 (H, W, 3) RGB."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return CompressedImage(
        header=to_header(stamp_ns, frame_id), format="rgb8; jpeg compressed bgr8", data=encoded.tobytes()
    )


def to_camera_info(camera: Camera, stamp_ns: int, frame_id: str) -> CameraInfo:
    """CameraInfo of an undistorted picture."""
    k = camera.matrix
    message = CameraInfo(header=to_header(stamp_ns, frame_id), height=camera.height, width=camera.width)
    message.distortion_model = "plumb_bob"
    message.d = [0.0] * 5
    message.k = k.ravel()
    message.r = np.eye(3).ravel()
    message.p = np.hstack([k, np.zeros((3, 1))]).ravel()
    return message


def from_camera_info(message: CameraInfo) -> Camera:
    """The pinhole part of CameraInfo; `rectification.Rectifier` undoes its distortion.

    Raises:
        GenEgoError: zero or NaN intrinsics, zero size.
    """
    k = message.k
    return Camera(int(message.width), int(message.height), float(k[0]), float(k[4]), float(k[2]), float(k[5]))


def to_hand(hand: Hand) -> HandMessage:
    return HandMessage(
        side=SIDES.index(hand.side),
        score=float(hand.score),
        keypoints=hand.keypoints.ravel(),
        keypoints_2d=hand.keypoints_2d.ravel(),
        keypoint_scores=hand.keypoint_scores,
        scale_source=hand.scale_source,
    )


def from_hand(message: HandMessage) -> Hand:
    """
    Raises:
        GenEgoError: a side that is neither.
    """
    if message.side >= len(SIDES):
        raise GenEgoError(f"hand of side {message.side}: the sender must set LEFT (0) or RIGHT (1)")
    return Hand(
        side=SIDES[message.side],
        score=float(message.score),
        keypoints=np.asarray(message.keypoints, np.float32).reshape(21, 3),
        keypoints_2d=np.asarray(message.keypoints_2d, np.float32).reshape(21, 2),
        keypoint_scores=np.asarray(message.keypoint_scores, np.float32),
        scale_source=message.scale_source,
    )


def to_point_cloud(cloud: Cloud, stamp_ns: int, frame_id: str) -> PointCloud2:
    """An unorganised PointCloud2 with fields x, y, z, rgb (the PCL packing)."""
    return _point_cloud(cloud.points, cloud.colors, 1, len(cloud.points), stamp_ns, frame_id, dense=True)


def to_organised_cloud(points: FloatArray, rgb: ByteArray, stamp_ns: int, frame_id: str) -> PointCloud2:
    """A PointCloud2 shaped like the picture from float32 (H, W, 3) metres, NaN invalid, and uint8 RGB."""
    height, width = rgb.shape[:2]
    return _point_cloud(points.reshape(-1, 3), rgb.reshape(-1, 3), height, width, stamp_ns, frame_id, dense=False)


def _point_cloud(
    points: FloatArray,
    colors: ByteArray,
    height: int,
    width: int,
    stamp_ns: int,
    frame_id: str,
    *,
    dense: bool,
) -> PointCloud2:
    packed = np.empty((len(points), 4), np.float32)
    packed[:, :3] = points
    bgra = packed[:, 3:].view(np.uint8)
    bgra[:, 2], bgra[:, 1], bgra[:, 0], bgra[:, 3] = colors[:, 0], colors[:, 1], colors[:, 2], 0
    data = array.array("B")
    data.frombytes(packed.view(np.uint8).reshape(-1).data)
    fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate(("x", "y", "z", "rgb"))
    ]
    message = PointCloud2(header=to_header(stamp_ns, frame_id), height=height, width=width, fields=fields)
    message.point_step, message.row_step, message.is_dense = 16, 16 * width, dense
    message.data = data
    return message


def _pixels(message: Image, dtype: np.dtype[Any], channels: int) -> Array:
    """A view of the message as (H, W, channels), or (H, W) for one channel."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    if height == 0 or width == 0:
        raise GenEgoError(f"image of {width} x {height} pixels: it is empty")
    row = width * channels * dtype.itemsize
    if step < row or step % dtype.itemsize:
        raise GenEgoError(
            f"image of {width} x {height} '{message.encoding}' has step {step}: at least {row} bytes a row are wanted"
        )
    if len(message.data) < step * (height - 1) + row:
        raise GenEgoError(
            f"image of {width} x {height} '{message.encoding}' carries {len(message.data)} bytes: its step of {step} "
            f"wants {step * height}"
        )
    order = dtype.newbyteorder(">" if message.is_bigendian else "<")
    pixels = np.ndarray(
        (height, width, channels),
        order,
        buffer=memoryview(message.data),
        strides=(step, channels * dtype.itemsize, dtype.itemsize),
    )
    return pixels[..., 0] if channels == 1 else pixels


def _decoded(message: CompressedImage, flags: int, skip: int = 0) -> Array:
    data = np.frombuffer(memoryview(message.data), np.uint8)[skip:]
    picture = cv2.imdecode(data, flags) if data.size else None
    if picture is None:
        raise GenEgoError(
            f"compressed image of {data.size} bytes ('{message.format}') cannot be decoded; jpeg and png are read"
        )
    return np.asarray(picture)


def _by_cv_bridge(message: Image) -> ByteArray:
    bridge = _cv_bridge()
    if bridge is None:
        raise GenEgoError(
            f"image encoding '{message.encoding}' is not one of {', '.join(_COLOR)}; others need ROS's cv_bridge "
            "(apt install ros-$ROS_DISTRO-cv-bridge) or a camera driver set to one of these"
        )
    try:
        return np.asarray(bridge.imgmsg_to_cv2(message, "rgb8"))
    except Exception as error:  # cv_bridge raises its own and OpenCV's
        raise GenEgoError(f"cv_bridge cannot read image encoding '{message.encoding}': {error}") from error


@cache
def _cv_bridge() -> Any | None:
    try:
        from cv_bridge import CvBridge
    except ImportError:
        return None
    return CvBridge()
