from __future__ import annotations

import numpy as np
import pytest

from genego_ros.geometry.squeeze import squeeze
from genego_ros.types import Camera


def test_shrinking_averages_over_area() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (12, 32, 3), dtype=np.uint8)
    expected = picture.reshape(4, 3, 8, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(squeeze(picture, 8, 4), expected, atol=0.501)


def test_an_axis_shrinks_over_area_while_the_other_grows() -> None:
    """180 rows to 256, 320 columns to 256: stripes of one column must become even grey, not come and go."""
    stripes = np.zeros((180, 512, 3), np.uint8)
    stripes[:, ::2] = 200
    found = squeeze(stripes, 256, 256)
    assert found.shape == (256, 256, 3) and set(np.unique(found)) == {100}


@pytest.mark.parametrize("size", [(64, 36), (640, 360), (50, 200)])
def test_a_point_moves_as_the_camera_says(size: tuple[int, int]) -> None:
    """The centre of a wide blob before and after, against what `Camera.resized` does to a pixel."""
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    at = (0.3 * width, 0.6 * height)
    blob = np.exp(-(((columns - at[0]) / width) ** 2 + ((rows - at[1]) / height) ** 2) / 0.01)
    found = squeeze((255 * blob + 0.5).astype(np.uint8), 128, 128).astype(float)
    rows, columns = np.mgrid[:128, :128]
    resized = Camera(width, height, 1.0, 1.0, *at).resized(128, 128)
    assert (found * columns).sum() / found.sum() == pytest.approx(resized.cx, abs=0.15)
    assert (found * rows).sum() / found.sum() == pytest.approx(resized.cy, abs=0.15)


def test_a_picture_of_that_size_stays() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(squeeze(picture, 16, 16), picture)
