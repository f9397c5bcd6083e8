"""Against OpenCV's own undistortion, and against the lens equation at single pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from sensor_msgs.msg import CameraInfo

from genego_ros.errors import GenEgoError
from genego_ros.ros.rectification import Rectifier

WIDTH, HEIGHT = 320, 240
K = np.array([[260.0, 0, 163.0], [0, 255.0, 118.0], [0, 0, 1]])
PLUMB_BOB = [-0.28, 0.07, 0.001, -0.0005, 0.0]
RATIONAL = [-0.25, 0.05, 0.001, 0.0, 0.01, 0.02, -0.01, 0.003]
EQUIDISTANT = [-0.02, 0.01, -0.003, 0.001]


def info(model: str, distortion: list[float]) -> CameraInfo:
    return CameraInfo(width=WIDTH, height=HEIGHT, distortion_model=model, d=distortion, k=K.ravel())


def grid() -> np.ndarray:
    """Lines every 16 pixels over a smooth ramp."""
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    rgb = np.stack([column / 2, row / 2, (column + row) / 4], axis=-1)
    rgb[(row % 16 < 2) | (column % 16 < 2)] = 255
    return rgb.astype(np.uint8)


def source_pixels(model: str, d: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Column and row in the distorted picture of each pixel of the straight one, by the lens equations."""
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    x, y = (column - K[0, 2]) / K[0, 0], (row - K[1, 2]) / K[1, 1]
    if model == "equidistant":
        radius = np.hypot(x, y)
        angle = np.arctan(radius)
        bent = angle * (1 + d[0] * angle**2 + d[1] * angle**4 + d[2] * angle**6 + d[3] * angle**8)
        factor = np.where(radius > 0, bent / np.where(radius > 0, radius, 1), 1)
        x, y = x * factor, y * factor
    else:
        k = [*d, 0.0, 0.0, 0.0][:8]
        r2 = x * x + y * y
        radial = (1 + k[0] * r2 + k[1] * r2**2 + k[4] * r2**3) / (1 + k[5] * r2 + k[6] * r2**2 + k[7] * r2**3)
        x, y = (
            x * radial + 2 * k[2] * x * y + k[3] * (r2 + 2 * x * x),
            y * radial + k[2] * (r2 + 2 * y * y) + 2 * k[3] * x * y,
        )
    return K[0, 0] * x + K[0, 2], K[1, 1] * y + K[1, 2]


@pytest.mark.parametrize(("model", "d"), [("plumb_bob", PLUMB_BOB), ("", PLUMB_BOB), ("rational_polynomial", RATIONAL)])
def test_pinhole_lenses_are_undone_as_opencv_does(model: str, d: list[float]) -> None:
    rectifier = Rectifier(info(model, d))
    assert rectifier.needed
    expected = cv2.undistort(grid(), K, np.array(d))
    difference = np.abs(rectifier.rgb(grid()).astype(int) - expected)
    # OpenCV goes by 32nds of a pixel, which at the edge of a line is some grey values.
    assert difference.mean() < 0.5 and difference.max() <= 12
    assert (rectifier.rgb(grid()) == rectifier.rgb(grid())).all()


@pytest.mark.parametrize("model", ["equidistant", "fisheye"])
def test_fisheye_lenses_are_undone_as_opencv_does(model: str) -> None:
    expected = cv2.fisheye.undistortImage(grid(), K, np.array(EQUIDISTANT), Knew=K)
    difference = np.abs(Rectifier(info(model, EQUIDISTANT)).rgb(grid()).astype(int) - expected)
    # OpenCV goes by 32nds of a pixel, which at the edge of a line is some grey values.
    assert difference.mean() < 0.5 and difference.max() <= 12


@pytest.mark.parametrize(
    ("model", "d"),
    [("plumb_bob", PLUMB_BOB), ("rational_polynomial", RATIONAL), ("equidistant", EQUIDISTANT)],
)
def test_depth_is_that_of_the_nearest_pixel_and_never_mixed(model: str, d: list[float]) -> None:
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    ramp = (1.0 + column + 1000.0 * row).astype(np.float32)  # tells which pixel it came from
    straight = Rectifier(info(model, d)).depth(ramp)
    u, v = source_pixels(model, d)
    inside = (u > 0) & (u < WIDTH - 1) & (v > 0) & (v < HEIGHT - 1)
    assert inside.mean() > 0.8
    got = straight[inside] - 1.0
    got_row, got_column = np.divmod(np.round(got), 1000)
    np.testing.assert_array_equal(got, np.round(got))  # a value of the depth image, not a mean of some
    # Half a pixel, and what the map's own fractions of 1/32 add.
    assert np.abs(got_column - u[inside]).max() < 0.55
    assert np.abs(got_row - v[inside]).max() < 0.55
    outside = (u < -1) | (u > WIDTH) | (v < -1) | (v > HEIGHT)
    assert outside.sum() == 0 or np.isnan(straight[outside]).all()


def test_nan_stays_nan_and_beyond_the_picture_nothing_is_seen() -> None:
    barrel = [0.4, 0.0, 0.0, 0.0, 0.0]  # the straight picture reaches beyond the distorted one
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth[100:140, 100:220] = np.nan
    straight = Rectifier(info("plumb_bob", barrel)).depth(depth)
    assert straight.dtype == np.float32 and np.isnan(straight[118, 163]) and np.isnan(straight[0, 0])
    assert set(np.unique(straight[np.isfinite(straight)])) == {2.0}
    assert not Rectifier(info("plumb_bob", barrel)).rgb(np.full((HEIGHT, WIDTH, 3), 9, np.uint8))[0, 0].any()


@pytest.mark.parametrize("model", ["plumb_bob", "", "equidistant", "a model nobody knows"])
@pytest.mark.parametrize("d", [[], [0.0] * 4, [0.0] * 5])
def test_without_distortion_pictures_are_passed_on_as_they_are(model: str, d: list[float]) -> None:
    rectifier = Rectifier(info(model, d))
    rgb, depth = grid(), np.ones((HEIGHT, WIDTH), np.float32)
    assert not rectifier.needed and rectifier.rgb(rgb) is rgb and rectifier.depth(depth) is depth


@pytest.mark.parametrize(
    ("model", "d", "said"),
    [
        ("a model nobody knows", [0.1], "distortion model 'a model nobody knows': plumb_bob"),
        ("plumb_bob", [0.1, 0.2, 0.3], "3 distortion coefficients"),
        ("equidistant", PLUMB_BOB, "5 distortion coefficients"),
        ("plumb_bob", [np.nan, 0.0, 0.0, 0.0, 0.0], "finite"),
        ("equidistant", [0.0, np.inf, 0.0, 0.0], "finite"),
    ],
)
def test_a_lens_that_cannot_be_undone_is_refused_at_once(model: str, d: list[float], said: str) -> None:
    with pytest.raises(GenEgoError, match=said):
        Rectifier(info(model, d))
