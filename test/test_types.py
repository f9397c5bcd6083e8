from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genego_ros.errors import GenEgoError
from genego_ros.types import Camera, Frame

GOOD = {"width": 4, "height": 3, "fx": 5.0, "fy": 5.0, "cx": 1.5, "cy": 1.0}


@pytest.mark.parametrize("name", ["fx", "fy", "cx", "cy"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_intrinsics_must_be_finite(name: str, value: float) -> None:
    with pytest.raises(GenEgoError, match=r"all must be finite.*calibrate"):
        Camera(**{**GOOD, name: value})


@pytest.mark.parametrize("name", ["fx", "fy"])
@pytest.mark.parametrize("value", [0.0, -500.0])
def test_focal_lengths_must_be_positive(name: str, value: float) -> None:
    with pytest.raises(GenEgoError, match="focal lengths positive"):
        Camera(**{**GOOD, name: value})


@pytest.mark.parametrize("size", [(0, 3), (4, 0), (-4, 3), (4, -3)])
def test_a_camera_has_pixels(size: tuple[int, int]) -> None:
    with pytest.raises(GenEgoError, match="both must be positive"):
        Camera(*size, 5.0, 5.0, 1.5, 1.0)


def test_the_principal_point_may_lie_outside() -> None:
    assert Camera(**{**GOOD, "cx": -100.0, "cy": 0.0}).matrix.tolist() == [[5, 0, -100], [0, 5, 0], [0, 0, 1]]


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(10.0, 150.0))
def test_a_field_of_view_is_the_angle_between_the_pictures_edges(width: int, height: int, degrees: float) -> None:
    camera = Camera.from_hfov(width, height, degrees)
    left, right = (math.atan2(u - camera.cx, camera.fx) for u in (-0.5, width - 0.5))
    assert math.degrees(right - left) == pytest.approx(degrees, rel=1e-9)
    top, bottom = (math.atan2(v - camera.cy, camera.fy) for v in (-0.5, height - 0.5))
    assert top == pytest.approx(-bottom) and right == pytest.approx(-left)
    assert camera.fx == camera.fy


@given(st.integers(1, 300), st.integers(1, 300), st.floats(20.0, 140.0))
def test_a_resized_camera_keeps_its_field_of_view(width: int, height: int, degrees: float) -> None:
    camera = Camera.from_hfov(640, 480, degrees).resized(width, height)
    same = Camera.from_hfov(width, height, degrees)
    assert (camera.fx, camera.cx, camera.cy) == pytest.approx((same.fx, same.cx, same.cy))
    assert (camera.width, camera.height) == (width, height)


def test_a_frame_holds_a_picture_of_its_cameras_size() -> None:
    camera = Camera(**GOOD)
    frame = Frame(np.zeros((3, 4, 3), np.uint8), camera, np.zeros((3, 4), np.float32))
    assert frame.depth is not None


@pytest.mark.parametrize(
    "rgb",
    [
        np.zeros((4, 3, 3), np.uint8),
        np.zeros((3, 4), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((3, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
    ids=["turned", "grey", "alpha", "float", "empty"],
)
def test_another_picture_is_refused(rgb: np.ndarray) -> None:
    with pytest.raises(GenEgoError, match=r"picture is .*its camera wants uint8 \(3, 4, 3\)"):
        Frame(rgb, Camera(**GOOD))


@pytest.mark.parametrize(
    "depth",
    [
        np.zeros((4, 3), np.float32),
        np.zeros((3, 4), np.float64),
        np.zeros((3, 4), np.uint16),
        np.zeros((3, 4, 1), "f4"),
    ],
    ids=["turned", "double", "millimetres", "channel"],
)
def test_another_depth_is_refused(depth: np.ndarray) -> None:
    with pytest.raises(GenEgoError, match=r"the picture wants float32 \(3, 4\); register"):
        Frame(np.zeros((3, 4, 3), np.uint8), Camera(**GOOD), depth)
