"""Messages and arrays: against bytes that are written out here."""

from __future__ import annotations

import array
import struct
from dataclasses import replace
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from genego_ros.msg import ExoObservation as ExoObservationMessage
from genego_ros.msg import Hand as HandMessage
from rclpy.serialization import deserialize_message, serialize_message
from scene import CAMERA, as_hand, rest_hand
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from genego_ros.errors import GenEgoError
from genego_ros.ros import conversions, observation_message
from genego_ros.types import Camera, CameraSource, Cloud, ExoObservation, Scale, SparseView, Viewpoint

STAMP = 1_700_000_000_123_456_789
RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)


def message(rows: np.ndarray, encoding: str, padding: int = 0, big_endian: bool = False) -> Image:
    """An Image as a driver fills it: rows of bytes, each followed by `padding` bytes of rubbish."""
    height, width = rows.shape[:2]
    if big_endian:
        rows = rows.astype(rows.dtype.newbyteorder(">"))
    data = b"".join(row.tobytes() + b"\xaa" * padding for row in rows)
    step = len(data) // height
    return Image(
        height=height, width=width, encoding=encoding, step=step, is_bigendian=big_endian, data=array.array("B", data)
    )


def over_the_wire(sent: Any) -> Any:
    return deserialize_message(serialize_message(sent), type(sent))


def with_alpha(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 99, np.uint8)], axis=2)


# Pictures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [0, 1, 13])
@pytest.mark.parametrize(
    ("encoding", "rows", "expected"),
    [
        ("rgb8", RGB, RGB),
        ("bgr8", RGB[..., ::-1], RGB),
        ("rgba8", with_alpha(RGB), RGB),
        ("bgra8", with_alpha(RGB[..., ::-1]), RGB),
        ("mono8", GREY, np.repeat(GREY[..., None], 3, axis=2)),
        ("8UC1", GREY, np.repeat(GREY[..., None], 3, axis=2)),
        ("8UC3", RGB[..., ::-1], RGB),
    ],
)
def test_a_picture_is_read_in_every_encoding(
    encoding: str, rows: np.ndarray, expected: np.ndarray, padding: int
) -> None:
    read = conversions.from_image(over_the_wire(message(np.ascontiguousarray(rows), encoding, padding)))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, expected)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(["rgb8", "mono8"]))
def test_a_picture_goes_out_and_comes_back(height: int, width: int, seed: int, encoding: str) -> None:
    channels = (3,) if encoding == "rgb8" else ()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, *channels), dtype=np.uint8)
    sent = conversions.to_image(pixels, encoding, STAMP, "camera")
    assert (sent.height, sent.width, sent.step) == (height, width, width * (channels or (1,))[0])
    assert sent.data.tobytes() == pixels.tobytes()
    assert (sent.header.stamp.sec, sent.header.stamp.nanosec) == (1_700_000_000, 123_456_789)
    assert sent.header.frame_id == "camera"
    back = conversions.from_image(over_the_wire(sent))
    np.testing.assert_array_equal(back, pixels if channels else np.repeat(pixels[..., None], 3, axis=2))


def test_pictures_that_are_views_go_out_as_they_look() -> None:
    for view in (RGB[::-1], RGB[:, ::2], RGB[..., ::-1]):
        assert conversions.to_image(view, "rgb8", 0, "").data.tobytes() == view.tobytes()


def test_a_picture_of_another_type_is_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError, match="32FC1 wants"):
        conversions.to_image(np.zeros((2, 2)), "32FC1", 0, "")


@given(st.integers(-(2**31) * 10**9, (2**31 - 1) * 10**9 + 999_999_999))
def test_stamps_keep_every_nanosecond(stamp_ns: int) -> None:
    stamp = conversions.to_time(stamp_ns)
    assert stamp.sec * 10**9 + stamp.nanosec == stamp_ns and 0 <= stamp.nanosec < 10**9
    assert conversions.from_time(stamp) == stamp_ns


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"step": 20}, "step 20: at least 21 bytes a row"),
        ({"step": 0}, "step 0: at least 21"),
        ({"data": array.array("B", bytes(104))}, "carries 104 bytes"),
        ({"data": array.array("B")}, "carries 0 bytes"),
        ({"height": 0}, "7 x 0 pixels: it is empty"),
        ({"width": 0}, "0 x 5 pixels: it is empty"),
        ({"height": 2**31}, "carries 105 bytes"),
        ({"width": 2**31, "step": 2**32 - 1}, "step"),
        ({"encoding": "bayer_rggb17"}, "'bayer_rggb17'"),
        ({"encoding": ""}, "encoding ''"),
        ({"encoding": "RGB8"}, "'RGB8'"),
    ],
)
def test_a_broken_picture_is_named(changes: dict[str, Any], said: str) -> None:
    broken = message(RGB, "rgb8")
    for name, value in changes.items():
        setattr(broken, name, value)
    with pytest.raises(GenEgoError, match=said):
        conversions.from_image(broken)


def test_the_last_row_needs_no_padding() -> None:
    padded = message(RGB, "rgb8", padding=5)
    padded.data = padded.data[:-5]
    np.testing.assert_array_equal(conversions.from_image(padded), RGB)


@given(st.integers(0, 2**32 - 1))
def test_masks_go_out_and_come_back(seed: int) -> None:
    mask = np.random.default_rng(seed).random((6, 9)) < 0.5
    sent = conversions.mask_to_image(mask, STAMP, "ego")
    assert sent.encoding == "mono8" and set(sent.data) <= {0, 255}
    np.testing.assert_array_equal(conversions.mask_from_image(over_the_wire(sent)), mask)
    turned = conversions.mask_to_image(mask.T, STAMP, "ego")
    np.testing.assert_array_equal(conversions.mask_from_image(turned), mask.T)
    with pytest.raises(GenEgoError, match="mask has encoding 'rgb8'"):
        conversions.mask_from_image(message(RGB, "rgb8"))


# Depth -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 6])
def test_millimetres_become_metres(encoding: str, big_endian: bool, padding: int) -> None:
    millimetres = np.array([[0, 1, 999], [1000, 65535, 256]], np.uint16)
    depth = conversions.depth_from_image(over_the_wire(message(millimetres, encoding, padding, big_endian)))
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, [[np.nan, 0.001, 0.999], [1.0, 65.535, 0.256]], rtol=1e-6)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 4])
def test_metres_stay_and_what_was_not_seen_is_nan(big_endian: bool, padding: int) -> None:
    metres = np.array([[0.0, -0.0, 1.5], [np.nan, np.inf, -np.inf], [-1.0, 1e-3, 3e38]], np.float32)
    depth = conversions.depth_from_image(over_the_wire(message(metres, "32FC1", padding, big_endian)))
    nan = np.nan
    np.testing.assert_array_equal(depth, np.array([[nan, nan, 1.5], [nan] * 3, [nan, 1e-3, 3e38]], np.float32))
    assert depth.dtype == np.float32 and depth.dtype.isnative


def test_depth_may_be_changed_without_changing_the_message() -> None:
    sent = message(np.full((2, 2), 1.5, np.float32), "32FC1")
    conversions.depth_from_image(sent)[:] = 7.0
    np.testing.assert_array_equal(conversions.depth_from_image(sent), 1.5)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (message(RGB, "rgb8"), "encoding 'rgb8': 16UC1 .millimetres. or 32FC1 .metres. is wanted"),
        (message(np.zeros((2, 2)), "64FC1"), "is this the depth topic"),
        (message(np.zeros((2, 3), np.uint16), "16UC1", padding=1), "step 7"),
        (Image(encoding="16UC1"), "it is empty"),
    ],
    ids=["colour", "double", "odd step", "nothing"],
)
def test_depth_that_is_none_is_named(sent: Image, said: str) -> None:
    with pytest.raises(GenEgoError, match=said):
        conversions.depth_from_image(sent)


# Compressed ------------------------------------------------------------------------------------------


def encoded(extension: str, pixels: np.ndarray) -> bytes:
    ok, data = cv2.imencode(extension, pixels)
    assert ok
    return data.tobytes()


def test_png_and_jpeg_come_out_in_rgb() -> None:
    png = CompressedImage(format="rgb8; png compressed bgr8", data=encoded(".png", RGB[..., ::-1]))
    np.testing.assert_array_equal(conversions.from_compressed(over_the_wire(png)), RGB)
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    jpeg = conversions.to_compressed(red, STAMP, "ego")
    assert jpeg.format == "rgb8; jpeg compressed bgr8" and bytes(jpeg.data[:2]) == b"\xff\xd8"
    np.testing.assert_allclose(conversions.from_compressed(over_the_wire(jpeg)).astype(int), red, atol=4)
    grey = CompressedImage(format="mono8; png compressed", data=encoded(".png", GREY))
    np.testing.assert_array_equal(conversions.from_compressed(grey), np.repeat(GREY[..., None], 3, axis=2))


@pytest.mark.parametrize("data", [b"", b"\x00", b"no picture at all", encoded(".png", RGB)[:30]])
def test_what_cannot_be_decoded_is_named(data: bytes) -> None:
    for read in (conversions.from_compressed, conversions.depth_from_compressed):
        with pytest.raises(GenEgoError, match="cannot be decoded; jpeg and png"):
            read(CompressedImage(format="jpeg", data=data))


MILLIMETRES = np.array([[0, 500, 65535], [1000, 2, 3]], np.uint16)


@pytest.mark.parametrize(
    ("form", "before"),
    [("png", b""), ("16UC1; png compressed", b""), ("16UC1; compressedDepth png", bytes(12))],
)
def test_compressed_millimetres(form: str, before: bytes) -> None:
    sent = CompressedImage(format=form, data=before + encoded(".png", MILLIMETRES))
    depth = conversions.depth_from_compressed(over_the_wire(sent))
    np.testing.assert_allclose(depth, [[np.nan, 0.5, 65.535], [1.0, 0.002, 0.003]], rtol=1e-6)
    assert depth.dtype == np.float32


def test_compressed_metres_are_inverse_depth() -> None:
    """compressed_depth_image_transport: the header holds an enum and a, b; a pixel is a / depth + b, 0 unseen."""
    depth_max, quantisation = 10.0, 100.0
    a = quantisation * (quantisation + 1.0)
    b = 1.0 - a / depth_max
    metres = np.array([[0.4, 1.0, np.nan], [2.5, 9.0, 0.75]])
    with np.errstate(invalid="ignore"):
        pixels = np.where(np.isnan(metres), 0, a / metres + b).astype(np.uint16)
    data = struct.pack("<iff", 0, a, b) + encoded(".png", pixels)
    read = conversions.depth_from_compressed(CompressedImage(format="32FC1; compressedDepth png", data=data))
    # A step of the quantisation is depth^2 / a.
    np.testing.assert_allclose(read, metres, atol=81 / a)
    np.testing.assert_allclose(read[0, :2], metres[0, :2], atol=1.1 / a)
    assert read.dtype == np.float32


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("png", encoded(".png", GREY)),
        ("jpeg", encoded(".jpg", RGB)),
        ("png", encoded(".png", RGB.astype(np.uint16))),
        ("16UC1; compressedDepth png", bytes(5)),
        ("32FC1; compressedDepth png", bytes(11)),
        ("16UC1; compressedDepth rvl", bytes(12) + b"\x05\x00\x00\x00\x05\x00\x00\x00rvl data"),
    ],
    ids=["eight bits", "colour", "colour of 16 bits", "short", "short metres", "rvl"],
)
def test_compressed_depth_that_is_none_is_named(form: str, data: bytes) -> None:
    with pytest.raises(GenEgoError, match=r"16 bits in millimetres is wanted|cannot be decoded"):
        conversions.depth_from_compressed(CompressedImage(format=form, data=data))


# Cameras and hands -----------------------------------------------------------------------------------


def test_a_camera_goes_out_and_comes_back() -> None:
    sent = conversions.to_camera_info(CAMERA, STAMP, "ego")
    assert conversions.from_camera_info(over_the_wire(sent)) == CAMERA
    assert np.array(sent.k).reshape(3, 3).tolist() == CAMERA.matrix.tolist()
    assert np.array(sent.p).reshape(3, 4)[:, :3].tolist() == CAMERA.matrix.tolist()
    assert np.array(sent.r).reshape(3, 3).tolist() == np.eye(3).tolist() and not any(sent.d)


@pytest.mark.parametrize(("index", "value"), [(0, 0.0), (4, 0.0), (0, np.nan), (2, np.nan), (5, np.inf), (4, -1.0)])
def test_intrinsics_that_are_none_are_named(index: int, value: float) -> None:
    sent = conversions.to_camera_info(CAMERA, 0, "")
    sent.k[index] = value
    with pytest.raises(GenEgoError, match="camera intrinsics"):
        conversions.from_camera_info(sent)


def test_an_empty_camera_info_is_named() -> None:
    with pytest.raises(GenEgoError, match="0 x 0 pixels"):
        conversions.from_camera_info(CameraInfo())


@pytest.mark.parametrize(("side", "number"), [("left", HandMessage.LEFT), ("right", HandMessage.RIGHT)])
def test_a_hand_goes_out_and_comes_back(side: Any, number: int) -> None:
    hand = as_hand(rest_hand(side) + np.array([0.1, 0.0, 0.6]), side, score=float(np.float32(0.8)))
    sent = over_the_wire(conversions.to_hand(hand))
    assert sent.side == number and list(sent.keypoints[3:6]) == hand.keypoints[1].tolist()
    assert list(sent.keypoints_2d[2:4]) == hand.keypoints_2d[1].tolist()
    back = conversions.from_hand(sent)
    for name in ("keypoints", "keypoints_2d", "keypoint_scores"):
        np.testing.assert_array_equal(getattr(back, name), getattr(hand, name))
        assert getattr(back, name).dtype == np.float32
    assert (back.side, back.score, back.scale_source) == (side, hand.score, "average")


def test_a_hand_of_no_side_is_named() -> None:
    with pytest.raises(GenEgoError, match=r"side 2.*LEFT.*RIGHT"):
        conversions.from_hand(HandMessage(side=2))


# Clouds ----------------------------------------------------------------------------------------------


def parsed(cloud: PointCloud2) -> tuple[np.ndarray, np.ndarray]:
    """Points and colours by the fields' own offsets, colours as PCL packs them: 0x00RRGGBB in a float's bits."""
    offsets = {field.name: field.offset for field in cloud.fields}
    assert all(field.datatype == 7 and field.count == 1 for field in cloud.fields)
    points, colors = [], []
    data = bytes(cloud.data)
    for row in range(cloud.height):
        for column in range(cloud.width):
            at = row * cloud.row_step + column * cloud.point_step
            points.append([struct.unpack_from("<f", data, at + offsets[axis])[0] for axis in "xyz"])
            (packed,) = struct.unpack_from("<I", data, at + offsets["rgb"])
            colors.append([packed >> 16 & 255, packed >> 8 & 255, packed & 255])
    return np.array(points, np.float32).reshape(-1, 3), np.array(colors, np.uint8).reshape(-1, 3)


@pytest.mark.parametrize("count", [0, 1, 23])
def test_a_cloud_is_what_pcl_reads(count: int) -> None:
    points = RNG.normal(size=(count, 3)).astype(np.float32)
    colors = RNG.integers(0, 256, (count, 3), dtype=np.uint8)
    sent = conversions.to_point_cloud(Cloud(points, colors, np.ones(count, np.float32)), STAMP, "ego")
    read = over_the_wire(sent)
    assert (read.height, read.width, read.is_dense, read.is_bigendian) == (1, count, True, False)
    assert len(read.data) == read.row_step * read.height
    got_points, got_colors = parsed(read)
    np.testing.assert_array_equal(got_points, points)
    np.testing.assert_array_equal(got_colors, colors)


def test_an_organised_cloud_is_shaped_like_the_picture() -> None:
    points = RNG.normal(size=(5, 7, 3)).astype(np.float32)
    points[2, 3] = np.nan
    read = over_the_wire(conversions.to_organised_cloud(points, RGB, STAMP, "exo"))
    assert (read.height, read.width, read.is_dense, read.row_step) == (5, 7, False, 7 * read.point_step)
    got_points, got_colors = parsed(read)
    np.testing.assert_array_equal(got_points.reshape(5, 7, 3), points)
    np.testing.assert_array_equal(got_colors.reshape(5, 7, 3), RGB)


# The observation -------------------------------------------------------------------------------------


def observation(valid: bool = True) -> ExoObservation:
    rng = np.random.default_rng(3)
    projected = rng.random((36, 64)) < 0.4
    hands = (
        as_hand(rest_hand("left") + np.array([0, 0, 0.6]), "left", score=float(np.float32(0.7))),
        as_hand(rest_hand("right") + np.array([0, 0, 0.7]), "right", score=1.0),
    )
    return ExoObservation(
        stamp_ns=STAMP,
        frame_id="camera",
        valid=valid,
        hands_exo=hands if valid else (),
        hands_ego=hands[::-1] if valid else (),
        ego_camera=Camera.from_hfov(64, 36, 83.7),
        viewpoint=Viewpoint(rng.normal(size=(4, 4)), "phi_ego", *(float(np.float32(x)) for x in (0.012, 0.2, 0.03))),
        sparse=SparseView(
            rng.integers(0, 256, (36, 64, 3), dtype=np.uint8),
            np.where(projected, rng.uniform(0.1, 3, (36, 64)), np.nan).astype(np.float32),
            projected,
        ),
        description="Zwei Hände.",
        scale=Scale(float(np.float32(1.1)), float(np.float32(0.05)), 4321, "hands", float(np.float32(-0.3))),
        depth_source="topic",
        camera_source="assumed",
    )


@pytest.mark.parametrize("source", get_args(CameraSource))
@pytest.mark.parametrize("valid", [True, False])
def test_an_observation_crosses_to_the_last_bit(valid: bool, source: CameraSource) -> None:
    sent = replace(observation(valid), camera_source=source)
    read = observation_message.from_message(over_the_wire(observation_message.to_message(sent, "ego")))
    for name in (
        "stamp_ns",
        "frame_id",
        "valid",
        "ego_camera",
        "description",
        "scale",
        "depth_source",
        "camera_source",
    ):
        assert getattr(read, name) == getattr(sent, name), name
    assert read.viewpoint.T_ego_exo.tobytes() == sent.viewpoint.T_ego_exo.tobytes()
    for name in ("source", "residual", "turn_deviation", "shift_deviation"):
        assert getattr(read.viewpoint, name) == getattr(sent.viewpoint, name), name
    for name in ("rgb", "depth", "projected"):
        one, other = getattr(read.sparse, name), getattr(sent.sparse, name)
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes(), name
    for one, other in zip(read.hands_exo + read.hands_ego, sent.hands_exo + sent.hands_ego, strict=True):
        assert one.keypoints.tobytes() == other.keypoints.tobytes()
        assert one.keypoints_2d.tobytes() == other.keypoints_2d.tobytes()
        assert (one.side, one.score, one.scale_source) == (other.side, other.score, other.scale_source)
    assert read.exo_depth is None and read.exo_cloud is None


def test_images_of_an_observation_carry_the_pictures_stamp_and_the_ego_frame() -> None:
    sent = observation_message.to_message(observation(), "robot/ego")
    for image in (sent.sparse, sent.sparse_depth, sent.projected):
        assert conversions.from_time(image.header.stamp) == STAMP and image.header.frame_id == "robot/ego"
    assert (sent.header.frame_id, sent.ego_frame_id) == ("camera", "robot/ego")
    assert (sent.sparse.encoding, sent.sparse_depth.encoding, sent.projected.encoding) == ("rgb8", "32FC1", "mono8")


def without(name: str) -> ExoObservationMessage:
    sent = observation_message.to_message(observation(), "ego")
    getattr(sent, name).data = array.array("B")
    return sent


@pytest.mark.parametrize("name", ["sparse", "sparse_depth", "projected"])
def test_a_broken_observation_is_named(name: str) -> None:
    with pytest.raises(GenEgoError, match="carries 0 bytes"):
        observation_message.from_message(without(name))
    with pytest.raises(GenEgoError, match="0 x 0 pixels"):
        observation_message.from_message(ExoObservationMessage())


def test_images_of_several_sizes_are_refused() -> None:
    one = observation()
    other = replace(one, sparse=replace(one.sparse, projected=np.zeros((18, 32), bool)))
    with pytest.raises(GenEgoError, match=r"ego_camera is 64 x 36.*\(18, 32\)"):
        observation_message.from_message(observation_message.to_message(other, "ego"))
