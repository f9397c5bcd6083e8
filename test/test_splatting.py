from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genego_ros.errors import GenEgoError
from genego_ros.geometry.camera import unproject
from genego_ros.geometry.rigid import compose, invert, look_at
from genego_ros.geometry.splatting import splat
from genego_ros.geometry.splatting_torch import splat_torch
from genego_ros.types import Camera, Cloud, Float64Array, SparseView

CAMERA = Camera(48, 36, 40.0, 44.0, 23.5, 17.5)


def cloud_of(points: list[list[float]], spacing: float) -> Cloud:
    colors = np.arange(1, 3 * len(points) + 1, dtype=np.uint8).reshape(-1, 3)
    positions = np.array(points, np.float32).reshape(-1, 3)
    return Cloud(positions, colors, np.full(len(points), spacing, np.float32))


def random_cloud(seed: int, n: int) -> Cloud:
    rng = np.random.default_rng(seed)
    points = rng.uniform([-1.5, -1.5, -0.5], [1.5, 1.5, 3.0], (n, 3)).astype(np.float32)
    spacing = rng.choice([0.005, 0.05, 0.3], n).astype(np.float32)
    return Cloud(points, rng.integers(0, 256, (n, 3), dtype=np.uint8), spacing)


def wall(distance: float, tilt_deg: float = 0.0) -> Cloud:
    """A wall that goes through (0, 0, distance), turned about y, as a depth camera at the origin sees it."""
    camera = Camera(80, 60, 70.0, 70.0, 39.5, 29.5)
    slope = math.tan(math.radians(tilt_deg))
    column = (np.arange(80) - camera.cx) / camera.fx
    depth = np.tile(distance / (1.0 - slope * column), (60, 1)).astype(np.float32)
    return unproject(depth, np.full((60, 80, 3), 200, np.uint8), camera, 0.1, 8.0)


def splat_slowly(cloud: Cloud, T: Float64Array, camera: Camera) -> SparseView:
    """The documented rule, pixel by pixel, in float32 where rounding decides."""
    f = np.float32
    T, K = T.astype(f), [f(k) for k in (camera.fx, camera.fy, camera.cx, camera.cy)]
    drawn: dict[tuple[int, int], list[tuple[np.float32, np.float32, np.float32, int]]] = {}
    for i, (x, y, z) in enumerate(cloud.points):
        xe, ye, ze = (T[k, 0] * x + T[k, 1] * y + T[k, 2] * z + T[k, 3] for k in range(3))
        if ze <= f(0.05):
            continue
        u, v = K[0] * xe / ze + K[2], K[1] * ye / ze + K[3]
        side = f(math.sqrt(2) * max(camera.fx, camera.fy)) * cloud.spacing[i] / ze
        reach = ze - (f(0.015) * ze + f(math.sqrt(2)) * cloud.spacing[i])
        side = math.ceil(min(max(side, 2), 32))
        left, top = math.ceil(u - f(0.5) * f(side)), math.ceil(v - f(0.5) * f(side))
        for row in range(max(top, 0), min(top + side, camera.height)):
            for column in range(max(left, 0), min(left + side, camera.width)):
                du, dv = f(column) - u, f(row) - v
                drawn.setdefault((row, column), []).append((ze, reach, du * du + dv * dv, i))
    rgb = np.zeros((camera.height, camera.width, 3), np.uint8)
    depth = np.full((camera.height, camera.width), np.nan, f)
    for pixel, candidates in drawn.items():
        nearest = min(ze for ze, *_ in candidates)
        _, i, ze = min((distance, i, ze) for ze, reach, distance, i in candidates if reach <= nearest)
        rgb[pixel], depth[pixel] = cloud.colors[i], ze
    return SparseView(rgb, depth, ~np.isnan(depth))


def assert_same(a: SparseView, b: SparseView) -> None:
    np.testing.assert_array_equal(a.projected, b.projected)
    np.testing.assert_array_equal(a.depth, b.depth)
    np.testing.assert_array_equal(a.rgb, b.rgb)


poses = st.builds(
    lambda seed: look_at(np.random.default_rng(seed).uniform(-0.5, 0.5, 3), (0, 0, 1.5), (0.1, -1, 0)),
    st.integers(0, 2**32 - 1),
).map(invert)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=25, deadline=None)
@given(seeds, poses)
def test_agrees_with_the_rule_applied_pixel_by_pixel(seed: int, T: Float64Array) -> None:
    cloud = random_cloud(seed, 150)
    assert_same(splat(cloud, T, CAMERA), splat_slowly(cloud, T, CAMERA))


@settings(max_examples=25, deadline=None)
@given(seeds, poses, st.integers(0, 5000))
def test_torch_gives_the_same_bits(seed: int, T: Float64Array, n: int) -> None:
    cloud = random_cloud(seed, n)
    assert_same(splat(cloud, T, CAMERA), splat_torch(cloud, T, CAMERA, "cpu"))


def test_the_nearer_surface_hides_the_farther_whatever_the_order() -> None:
    far, near = [0.0, 0.0, 2.0], [0.0, 0.0, 1.0]
    for points, winner in (([far, near], 1), ([near, far], 0)):
        cloud = cloud_of(points, 0.05)
        view = splat(cloud, np.eye(4), CAMERA)
        assert view.depth[18, 24] == 1.0
        assert view.rgb[18, 24].tolist() == cloud.colors[winner].tolist()


def test_on_one_surface_the_nearest_centre_gives_colour_and_depth() -> None:
    """Two points half a percent apart in depth: each keeps the pixels around its own centre."""
    cloud = cloud_of([[-0.05, 0.0, 1.0], [0.05, 0.0, 0.995]], 0.2)
    view = splat(cloud, np.eye(4), CAMERA)
    assert view.depth[17, 21] == 1.0 and view.rgb[17, 21].tolist() == cloud.colors[0].tolist()
    assert view.depth[17, 26] == np.float32(0.995)
    assert view.rgb[17, 26].tolist() == cloud.colors[1].tolist()


def test_of_equal_points_the_first_is_drawn() -> None:
    cloud = cloud_of([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]], 0.05)
    assert splat(cloud, np.eye(4), CAMERA).rgb[17, 23].tolist() == cloud.colors[0].tolist()


def test_a_small_point_fills_two_by_two_pixels() -> None:
    view = splat(cloud_of([[0.0, 0.0, 1.0]], 1e-4), np.eye(4), CAMERA)
    assert np.argwhere(view.projected).tolist() == [[17, 23], [17, 24], [18, 23], [18, 24]]


def test_squares_grow_with_nearness_up_to_their_bound() -> None:
    sides = {
        z: int(splat(cloud_of([[0.0, 0.0, z]], 0.02), np.eye(4), Camera(99, 99, 100, 100, 49, 49)).projected.sum())
        for z in (4.0, 1.0, 0.5, 0.06)
    }
    assert sides == {4.0: 2**2, 1.0: 3**2, 0.5: 6**2, 0.06: 32**2}


@pytest.mark.parametrize("tilt", [0.0, 45.0])
@pytest.mark.parametrize("roll", [0.0, 0.4, 0.785])
@pytest.mark.parametrize("closer", [0.0, 0.5, 0.8])
def test_a_magnified_wall_has_no_pinholes(closer: float, roll: float, tilt: float) -> None:
    """Where a frame's cloud is seen from nearer and rolled, every pixel inside the wall is covered."""
    up = (math.sin(roll), -math.cos(roll), 0.0)
    T = invert(look_at((0.0, 0.0, closer), (0.0, 0.0, 1.0), up))
    view = splat(wall(1.0, tilt), T, Camera(61, 61, 140.0, 140.0, 30.0, 30.0))
    assert view.projected.all()


@pytest.mark.parametrize("tilt", [45.0, 65.0, 72.0])
def test_a_surface_seen_at_a_grazing_angle_has_no_pinholes_from_above(tilt: float) -> None:
    """A table before the third-person camera, and under the eyes."""
    normal = np.array([math.sin(math.radians(tilt)), 0.0, -math.cos(math.radians(tilt))])
    T = invert(look_at(np.array([0.0, 0.0, 1.0]) + 0.5 * normal, (0.0, 0.0, 1.0), (0.3, -1.0, 0.0)))
    assert splat(wall(1.0, tilt), T, Camera(41, 41, 70.0, 70.0, 20.0, 20.0)).projected.all()


def test_a_wall_behind_does_not_shine_through_a_magnified_one() -> None:
    front, back = wall(1.0), wall(3.0)
    both = Cloud(*(np.concatenate([getattr(back, k), getattr(front, k)]) for k in ("points", "colors", "spacing")))
    T = compose(np.eye(3), [0.0, 0.0, -0.6])
    assert splat(both, T, Camera(61, 61, 140.0, 140.0, 30.0, 30.0)).depth.max() < 0.5


def test_what_is_too_near_behind_or_beside_is_not_drawn() -> None:
    cloud = cloud_of([[0.0, 0.0, 0.04], [0.0, 0.0, -1.0], [0.0, 0.0, 0.0], [9.0, 0.0, 1.0]], 0.01)
    assert not splat(cloud, np.eye(4), CAMERA).projected.any()


def test_an_empty_cloud_gives_an_empty_view() -> None:
    view = splat(cloud_of([], 0.01), np.eye(4), CAMERA)
    assert not view.projected.any() and not view.rgb.any() and np.isnan(view.depth).all()


def test_an_unusable_transformation_is_refused() -> None:
    with pytest.raises(GenEgoError, match="finite 4 x 4"):
        splat(cloud_of([], 0.01), np.full((4, 4), np.nan), CAMERA)
