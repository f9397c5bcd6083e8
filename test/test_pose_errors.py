"""Errors of hands and poses against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from genego_ros.geometry import rigid
from genego_ros.geometry.pose_errors import mpjpe, pa_mpjpe, pose_error

HAND = np.random.default_rng(0).normal((0.1, 0.0, 0.6), 0.05, (21, 3))
CROSS = np.vstack([np.eye(3), -np.eye(3)])


def test_mpjpe_is_the_mean_distance() -> None:
    assert mpjpe(HAND - np.array([0.03, 0.0, 0.04]), HAND) == pytest.approx(0.05, abs=1e-12)
    one_off = HAND.copy()
    one_off[8, 1] += 0.021
    assert mpjpe(one_off, HAND) == pytest.approx(0.001, abs=1e-12)
    assert mpjpe(HAND.astype(np.float32), HAND) < 1e-7


def test_pa_mpjpe_forgives_place_turn_and_size() -> None:
    turn = Rotation.from_euler("xyz", [20, -50, 130], degrees=True)
    assert pa_mpjpe(1.7 * turn.apply(HAND) + (0.3, -0.2, 1.0), HAND) < 1e-12


def test_pa_mpjpe_of_a_stretched_cross() -> None:
    """The points +-e_i, the first pair drawn out to twice its distance. By symmetry only the size is free:
    s = sum(p q) / sum(p p) = (2 * 2 + 4 * 1) / (2 * 4 + 4 * 1) = 2/3, which leaves 1/3 everywhere."""
    stretched = CROSS * (2.0, 1.0, 1.0)
    assert pa_mpjpe(stretched, CROSS) == pytest.approx(1 / 3, abs=1e-12)


def test_pa_mpjpe_does_not_turn_a_hand_into_its_mirror_image() -> None:
    assert pa_mpjpe(HAND * (-1.0, 1.0, 1.0), HAND) > 0.01


def test_pose_error_of_a_known_motion() -> None:
    T = rigid.look_at((0.3, -0.5, 1.2), (0.0, 0.1, 0.7), (0.0, 0.0, 1.0))
    moved = rigid.compose(
        T[:3, :3] @ Rotation.from_euler("y", 25, degrees=True).as_matrix(), T[:3, 3] + (0.0, 0.6, 0.8)
    )
    error = pose_error(moved, T)
    assert error.translation == pytest.approx(1.0, abs=1e-12)
    assert math.degrees(error.rotation) == pytest.approx(25.0, abs=1e-9)
    assert pose_error(T, T) == pytest.approx((0.0, 0.0), abs=1e-7)
