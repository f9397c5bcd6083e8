from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genego_ros.errors import GenEgoError
from genego_ros.geometry.camera import as_seen_by, project, rays, unproject
from genego_ros.types import Camera

cameras = st.builds(
    Camera,
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    fx=st.floats(5, 2000),
    fy=st.floats(5, 2000),
    cx=st.floats(-50, 100),
    cy=st.floats(-50, 100),
)
seeds = st.integers(0, 2**32 - 1)


@given(cameras, seeds)
def test_projection_agrees_with_opencv(camera: Camera, seed: int) -> None:
    points = np.random.default_rng(seed).uniform([-2, -2, 0.1], [2, 2, 5], (20, 3))
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.matrix, None)
    pixels, z = project(points, camera)
    np.testing.assert_allclose(pixels, expected[:, 0], rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(z, points[:, 2])


def test_points_behind_the_camera_have_no_pixel() -> None:
    pixels, z = project(np.array([[0.1, 0.1, -1.0], [0.1, 0.1, 0.0]]), Camera(4, 4, 2, 2, 1.5, 1.5))
    assert np.isnan(pixels).all()
    assert z.tolist() == [-1.0, 0.0]


@given(cameras, seeds)
def test_unprojected_pixels_project_back_in_row_order(camera: Camera, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (camera.height, camera.width)
    # Two depths alone: nothing lies between them that might fly.
    depth = rng.choice(rng.uniform(0.2, 6.0, 2), shape).astype(np.float32)
    depth[rng.random(shape) < 0.3] = np.nan
    depth[rng.random(shape) < 0.1] = 0.0
    rgb = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    cloud = unproject(depth, rgb, camera, 0.5, 4.0)
    rows, columns = np.nonzero((depth >= 0.5) & (depth <= 4.0))
    pixels, z = project(cloud.points, camera)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], axis=1), atol=0.01)
    np.testing.assert_array_equal(z, depth[rows, columns])
    np.testing.assert_array_equal(cloud.colors, rgb[rows, columns])


def test_spacing_is_the_distance_of_neighbours_on_a_wall() -> None:
    camera = Camera(40, 30, 50.0, 80.0, 20.0, 15.0)
    depth = np.full((30, 40), 2.0, np.float32)
    cloud = unproject(depth, np.zeros((30, 40, 3), np.uint8), camera, 0.1, 8.0)
    gaps = np.linalg.norm(np.diff(cloud.points.reshape(30, 40, 3), axis=1), axis=-1)
    np.testing.assert_allclose(cloud.spacing.reshape(30, 40)[:, 1:], gaps, rtol=1e-5)


def test_spacing_grows_with_slant_but_not_across_an_edge() -> None:
    camera = Camera(40, 30, 50.0, 50.0, 19.5, 14.5)
    row, column = np.mgrid[:30, :40]
    depth = (1.0 + 0.02 * column - 0.05 * row + 3.0 * (column >= 20)).astype(np.float32)
    depth[10, 10] = np.nan
    cloud = unproject(depth, np.zeros((30, 40, 3), np.uint8), camera, 0.3, 8.0)
    valid = depth >= 0.3
    spacing = np.full((30, 40), np.nan)
    spacing[valid] = cloud.spacing
    expected = np.hypot(depth / 50.0, np.where(4 * depth / 50.0 >= 0.05, 0.05, 0.0))
    plain = np.s_[1:6, 1:39]  # away from the border, the hole and where the depth runs out
    np.testing.assert_allclose(spacing[plain], expected[plain], rtol=1e-4)
    # Beside the hole, and beside the edge, the other side tells.
    assert spacing[9, 10] == pytest.approx(math.hypot(depth[9, 10] / 50.0, 0.05), rel=1e-4)


def test_a_steep_surface_beside_an_edge_keeps_its_wide_patches() -> None:
    """A finger's flank before a table: seen from aside, its points must cover what lies between them."""
    camera = Camera(40, 30, 50.0, 50.0, 19.5, 14.5)
    depth = np.tile(np.where(np.arange(40) < 20, 1.0 + 0.04 * (np.arange(40) - 20), 3.0), (30, 1)).astype(np.float32)
    spacing = unproject(depth, np.zeros((30, 40, 3), np.uint8), camera, 0.01, 8.0).spacing.reshape(30, 40)
    np.testing.assert_allclose(spacing[:, 15:20], np.hypot(depth / 50.0, 0.04)[:, 15:20], rtol=1e-4)
    np.testing.assert_allclose(spacing[:, 20:], 3.0 / 50.0, rtol=1e-5)


def test_pixels_that_fly_between_two_surfaces_are_left_out() -> None:
    """An edge that a lens or a network smeared over three pixels."""
    camera = Camera(40, 30, 500.0, 500.0, 19.5, 14.5)
    profile = np.full(40, 1.0)
    profile[20:23], profile[23:] = [1.5, 2.0, 2.5], 3.0
    for depth in (np.tile(profile, (30, 1)), np.tile(profile[:30, None], (1, 40))):
        points = unproject(depth.astype(np.float32), np.zeros((30, 40, 3), np.uint8), camera, 0.01, 8.0).points
        assert set(np.unique(points[:, 2]).tolist()) == {1.0, 3.0}


def test_thin_things_and_slanted_ones_do_not_fly() -> None:
    camera = Camera(40, 30, 50.0, 50.0, 19.5, 14.5)
    wire = np.full((30, 40), 2.0, np.float32)
    wire[:, 20] = 1.0
    slant = 1.0 / (1.0 - np.tan(np.radians(80)) * (np.arange(40) - 38) / 50.0)
    table = np.tile(slant.astype(np.float32), (30, 1))
    for depth in (wire, table):
        cloud = unproject(depth, np.zeros((30, 40, 3), np.uint8), camera, 0.01, 100.0)
        assert len(cloud.points) == np.count_nonzero((depth >= 0.01) & (depth <= 100.0))


def test_pictures_that_look_into_a_message_are_accepted() -> None:
    depth = np.frombuffer(np.full(12, 1.0, np.float32).tobytes(), np.float32).reshape(3, 4)
    rgb = np.frombuffer(bytes(range(36)), np.uint8).reshape(3, 4, 3)
    cloud = unproject(depth, rgb, Camera(4, 3, 4, 4, 1.5, 1), 0.1, 8.0)
    assert cloud.colors.tobytes() == bytes(range(36))


def test_no_valid_depth_gives_an_empty_cloud() -> None:
    cloud = unproject(np.zeros((3, 4), np.float32), np.zeros((3, 4, 3), np.uint8), Camera(4, 3, 4, 4, 1.5, 1), 0.0, 8.0)
    assert cloud.points.shape == (0, 3) and cloud.colors.shape == (0, 3) and cloud.spacing.shape == (0,)


@pytest.mark.parametrize(
    ("depth", "rgb"),
    [
        (np.zeros((3, 5), np.float32), np.zeros((3, 4, 3), np.uint8)),
        (np.zeros((3, 4), np.uint16), np.zeros((3, 4, 3), np.uint8)),
        (np.zeros((3, 4), np.float32), np.zeros((3, 4), np.uint8)),
    ],
)
def test_pictures_of_another_size_or_type_are_refused(depth: np.ndarray, rgb: np.ndarray) -> None:
    with pytest.raises(GenEgoError, match="its camera wants"):
        unproject(depth, rgb, Camera(4, 3, 4, 4, 1.5, 1), 0.1, 8.0)


@given(cameras)
def test_rays_go_through_the_pixel_centres(camera: Camera) -> None:
    directions = rays(camera)
    assert directions.dtype == np.float32 and directions.shape == (camera.height, camera.width, 3)
    pixels, _ = project(3.0 * directions.reshape(-1, 3), camera)
    columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    np.testing.assert_allclose(pixels, np.stack([columns, rows], axis=-1).reshape(-1, 2), atol=0.01)


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_a_resized_camera_sees_a_point_where_the_resized_picture_shows_it(sx: int, sy: int, x: float, y: float) -> None:
    """A picture of one bright pixel, enlarged by whole pixels: its block's middle is the projection."""
    camera = Camera(40, 30, 30.0, 35.0, 19.5, 14.5)
    (column, row), _ = (values[0] for values in project(np.array([[x, y, 1.0]]), camera))
    picture = np.zeros((30, 40))
    picture[round(row), round(column)] = 1.0
    rows, columns = np.nonzero(np.kron(picture, np.ones((sy, sx))))
    shown = np.array([columns.mean(), rows.mean()])
    centre = np.array([[(round(column) - camera.cx) / camera.fx, (round(row) - camera.cy) / camera.fy, 1.0]])
    pixels, _ = project(centre, camera.resized(40 * sx, 30 * sy))
    np.testing.assert_allclose(pixels[0], shown, atol=1e-9)


def test_a_picture_as_another_camera_sees_it() -> None:
    """Colour is the direction of the ray, which does not depend on the camera."""

    def shot(camera: Camera) -> np.ndarray:
        x, y, _ = np.moveaxis(rays(camera), -1, 0)
        return np.stack([128 + 100 * x, 128 + 100 * y, 128 - 50 * x], axis=-1).round().astype(np.uint8)

    wide = Camera(1280, 720, 636.7, 636.3, 635.3, 366.9)
    ours = Camera.from_hfov(640, 360, 80.0)
    picture, known = as_seen_by(shot(wide), wide, ours)
    assert known.all()
    assert np.abs(picture.astype(int) - shot(ours)).max() <= 1
    same, known = as_seen_by(shot(wide), wide, wide)
    assert known.all()
    np.testing.assert_array_equal(same, shot(wide))


def test_beyond_the_picture_nothing_is_known() -> None:
    narrow = Camera(64, 48, 64.0, 64.0, 31.5, 23.5)
    wide = Camera(64, 48, 32.0, 32.0, 31.5, 23.5)
    picture, known = as_seen_by(np.full((48, 64, 3), 200, np.uint8), narrow, wide)
    inside = np.zeros((48, 64), bool)
    inside[12:36, 16:48] = True  # half the focal length shows half the size
    np.testing.assert_array_equal(known, inside)
    assert (picture[inside] == 200).all() and (picture[~inside] == 0).all()


@given(cameras, st.integers(1, 7))
def test_a_thinned_camera_sees_along_every_so_many_rays(camera: Camera, stride: int) -> None:
    np.testing.assert_allclose(rays(camera.thinned(stride)), rays(camera)[::stride, ::stride], rtol=1e-5, atol=1e-6)
