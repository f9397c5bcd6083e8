from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from genego_ros.geometry.plane import dominant_plane

seeds = st.integers(0, 2**32 - 1)


def table(rng: np.random.Generator, count: int, noise: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Points on a random plane in front of the origin, its unit normal towards the origin, its distance."""
    turn, distance = Rotation.random(random_state=rng), rng.uniform(0.3, 1.5)
    flat = np.c_[rng.uniform(-0.5, 0.5, (count, 2)), rng.normal(0, noise, count) - distance]
    return turn.apply(flat), turn.apply([0.0, 0.0, 1.0]), distance


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_the_plane_is_found_among_sixty_percent_of_other_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, normal, distance = table(rng, 400, 0.002)
    clutter = rng.uniform(-1, 1, (600, 3)) - normal * distance
    plane = dominant_plane(rng.permutation(np.vstack([points, clutter])), 0.015)
    assert plane is not None
    assert np.degrees(np.arccos(np.clip(plane.normal @ normal, -1, 1))) < 2.0
    assert plane.offset == pytest.approx(-distance, abs=0.01)
    assert 0.39 < plane.share < 0.6
    assert np.linalg.norm(plane.normal) == pytest.approx(1.0)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_without_noise_it_is_exact_and_its_front_faces_the_origin(seed: int) -> None:
    points, normal, distance = table(np.random.default_rng(seed), 50, 0.0)
    plane = dominant_plane(points, 0.001)
    assert plane is not None
    np.testing.assert_allclose(plane.normal, normal, atol=1e-9)
    assert plane.offset == pytest.approx(-distance, abs=1e-9)
    assert plane.share == 1.0


def test_the_same_points_give_the_same_plane() -> None:
    points = np.random.default_rng(5).normal(size=(300, 3))
    first, second = dominant_plane(points, 0.1), dominant_plane(points, 0.1)
    assert first is not None and second is not None
    assert first.normal.tolist() == second.normal.tolist()


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((0, 3)),
        np.eye(3)[:2],
        np.ones((50, 3)),
        np.outer(np.arange(50), [0.1, 0.2, -0.1]) + np.array([0, 0, 1]),
        np.full((50, 3), np.nan),
    ],
    ids=["none", "two", "one place", "a line", "NaN"],
)
def test_where_there_is_no_plane_there_is_none(points: np.ndarray) -> None:
    assert dominant_plane(points, 0.015) is None


def test_nan_points_do_not_count_as_on_the_plane() -> None:
    points, normal, _ = table(np.random.default_rng(1), 300, 0.001)
    plane = dominant_plane(np.vstack([points, np.full((100, 3), np.nan)]), 0.015)
    assert plane is not None and plane.normal @ normal > 0.999
    assert plane.share == pytest.approx(0.75)
