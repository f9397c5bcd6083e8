from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genego_ros.errors import GenEgoError
from genego_ros.geometry import rigid
from genego_ros.types import Float64Array

coordinates = st.floats(-3, 3)
vectors = st.tuples(coordinates, coordinates, coordinates).map(np.array)


def exponential(turn: Float64Array) -> Float64Array:
    """The rotation matrix of a rotation vector, by OpenCV, which rigid.py does not use."""
    return cv2.Rodrigues(np.asarray(turn, np.float64))[0]


def pose(turn: Float64Array, translation: Float64Array) -> Float64Array:
    return rigid.compose(exponential(turn), translation)


poses = st.builds(pose, vectors, vectors)


def test_unit_vectors() -> None:
    vectors = np.array([[3, 0, 4], [0, 0, 0], [1e-7, 0, 0], [np.nan, 0, 0]], np.float32)
    made = rigid.unit(vectors)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, [[0.6, 0, 0.8], [0, 0, 0], [1, 0, 0], [np.nan, np.nan, np.nan]], rtol=1e-7)
    np.testing.assert_array_equal(rigid.unit(vectors[2], 1e-6), np.zeros(3))


@given(poses, vectors)
def test_the_inverse_takes_points_back(T: Float64Array, point: Float64Array) -> None:
    np.testing.assert_allclose(rigid.invert(T), np.linalg.inv(T), atol=1e-12)
    np.testing.assert_allclose(rigid.apply(rigid.invert(T), rigid.apply(T, point)), point, atol=1e-12)


@given(poses)
def test_apply_keeps_shape_and_type(T: Float64Array) -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (2, 5, 3)).astype(np.float32)
    moved = rigid.apply(T, points)
    assert moved.dtype == np.float32
    homogeneous = np.concatenate([points, np.ones((2, 5, 1))], axis=-1)
    np.testing.assert_allclose(moved, (homogeneous @ T.T)[..., :3], atol=1e-5)


@given(vectors, st.floats(0.1, 10))
def test_quaternions_agree_with_the_exponential(turn: Float64Array, length: float) -> None:
    angle = np.linalg.norm(turn)
    axis = turn / angle if angle > 0 else np.array([0.0, 0.0, 1.0])
    quaternion = np.append(np.sin(angle / 2) * axis, np.cos(angle / 2))
    rotation = rigid.rotation_from_quaternion(length * quaternion)
    np.testing.assert_allclose(rotation, exponential(turn), atol=1e-12)
    back = rigid.quaternion_from_rotation(rotation)
    assert back[3] >= 0
    assert abs(back @ quaternion) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("quaternion", [(0, 0, 0, 0), (np.nan, 0, 0, 1), (np.inf, 0, 0, 1)])
def test_what_is_no_quaternion_is_refused(quaternion: tuple[float, ...]) -> None:
    with pytest.raises(GenEgoError, match=r"\(0, 0, 0, 1\) for none"):
        rigid.rotation_from_quaternion(quaternion)


@given(poses, st.tuples(*3 * [st.floats(-1.7, 1.7)]).map(np.array), vectors, st.floats(0, 1))
def test_interpolation_is_a_constant_turn(
    T_a: Float64Array, turn: Float64Array, shift: Float64Array, fraction: float
) -> None:
    T_b = rigid.compose(T_a[:3, :3] @ exponential(turn), T_a[:3, 3] + shift)
    between = rigid.interpolate(T_a, T_b, fraction)
    np.testing.assert_allclose(between[:3, :3], T_a[:3, :3] @ exponential(fraction * turn), atol=1e-9)
    np.testing.assert_allclose(between[:3, 3], T_a[:3, 3] + fraction * shift, atol=1e-12)
    assert rigid.rotation_angle(T_a, between) == pytest.approx(fraction * np.linalg.norm(turn), abs=1e-7)


@given(poses, poses)
def test_the_angle_between_poses_agrees_with_the_chord(T_a: Float64Array, T_b: Float64Array) -> None:
    """The chord between two rotations is |R_a - R_b| = 2 sqrt(2) sin(angle / 2) in the Frobenius norm."""
    chord = np.linalg.norm(T_a[:3, :3] - T_b[:3, :3])
    assert chord == pytest.approx(2 * np.sqrt(2) * np.sin(rigid.rotation_angle(T_a, T_b) / 2), abs=1e-12)


@given(vectors, vectors, vectors)
def test_a_camera_looks_at_its_target(eye: Float64Array, target: Float64Array, up: Float64Array) -> None:
    view = target - eye
    if np.linalg.norm(np.cross(view, up)) <= 0.01 * np.linalg.norm(view) * np.linalg.norm(up) + 1e-6:
        return
    T = rigid.look_at(eye, target, up)
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    seen = rigid.apply(rigid.invert(T), np.stack([target, target + 0.1 * up]))
    np.testing.assert_allclose(seen[0], [0, 0, np.linalg.norm(view)], atol=1e-9)
    assert seen[1, 1] < 0  # what is up in the world is up in the picture, where y points down
    assert seen[1, 0] == pytest.approx(0.0, abs=1e-9)  # and nothing is tilted


@pytest.mark.parametrize(("target", "up"), [((0, 0, 1), (0, 0, 1)), ((0, 0, 1), (0, 0, 0)), ((0, 0, 0), (0, -1, 0))])
def test_a_camera_that_cannot_look_there_is_refused(target: tuple[float, ...], up: tuple[float, ...]) -> None:
    with pytest.raises(GenEgoError, match="camera"):
        rigid.look_at((0, 0, 0), target, up)
