"""Rigid transformations as float64 (4, 4) matrices; `T_a_b` maps coordinates of frame b to frame a."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from genego_ros.errors import GenEgoError
from genego_ros.types import Float64Array

Floating = TypeVar("Floating", bound=np.floating[Any])


def compose(rotation: ArrayLike, translation: ArrayLike) -> Float64Array:
    """The transformation x -> rotation x + translation, from (3, 3) and (3,) in metres."""
    T = np.eye(4)
    T[:3, :3] = rotation
    T[:3, 3] = translation
    return T


def invert(T_a_b: Float64Array) -> Float64Array:
    """T_b_a, by the transpose of the rotation: exact where a general inverse only comes close."""
    inverse = T_a_b[:3, :3].T
    return compose(inverse, -inverse @ T_a_b[:3, 3])


def apply(T_a_b: Float64Array, points: NDArray[Floating]) -> NDArray[Floating]:
    """Points (..., 3) of frame b in frame a, in metres; float32 stays float32."""
    T = T_a_b.astype(points.dtype)
    return points @ T[:3, :3].T + T[:3, 3]


def unit(vectors: NDArray[Floating], least: float = 0.0) -> NDArray[Floating]:
    """Vectors (..., 3) at length 1, or 0 where they are no longer than `least`; float32 stays float32."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    # So that NaN stays NaN, where a comparison the other way round would hide it.
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=~(length <= least))


def rotation_from_quaternion(quaternion: ArrayLike) -> Float64Array:
    """The rotation matrix (3, 3) of a quaternion (x, y, z, w), which need not be of unit length.

    Raises:
        GenEgoError: the quaternion is zero, NaN or infinite.
    """
    q = np.asarray(quaternion, np.float64)
    length = np.linalg.norm(q)
    # An unset geometry_msgs Quaternion outside of ROS 2's defaults is all zeros.
    if not np.isfinite(length) or length < 1e-6:
        raise GenEgoError(
            f"quaternion (x, y, z, w) = {tuple(q.tolist())} is no rotation; the sender must set it, "
            "(0, 0, 0, 1) for none"
        )
    return Rotation.from_quat(q).as_matrix()


def quaternion_from_rotation(rotation: Float64Array) -> Float64Array:
    """The unit quaternion (x, y, z, w), w >= 0, of a rotation matrix (3, 3)."""
    return Rotation.from_matrix(rotation).as_quat(canonical=True)


def rotation_angle(T_a: Float64Array, T_b: Float64Array) -> float:
    """The angle in radians, 0 to pi, that turns the rotation of one pose into that of the other."""
    return float(Rotation.from_matrix(T_a[:3, :3].T @ T_b[:3, :3]).magnitude())


def interpolate(T_a: Float64Array, T_b: Float64Array, fraction: float) -> Float64Array:
    """The pose at `fraction` (0 to 1) of the way from `T_a` to `T_b`.

    Rotations turn at constant speed about one axis (slerp, Shoemake 1985), translations go straight.
    """
    turn = Rotation.from_matrix(T_a[:3, :3].T @ T_b[:3, :3]).as_rotvec()
    rotation = T_a[:3, :3] @ Rotation.from_rotvec(fraction * turn).as_matrix()
    return compose(rotation, (1.0 - fraction) * T_a[:3, 3] + fraction * T_b[:3, 3])


def look_at(eye: ArrayLike, target: ArrayLike, up: ArrayLike) -> Float64Array:
    """T_world_camera of a camera at `eye` that looks at `target`, with `up` upwards in its picture.

    The camera frame is optical (x right, y down, z forward); all arguments are (3,), world frame, the
    first two in metres.

    Raises:
        GenEgoError: `eye` and `target` are closer than a micrometre, or `up` is zero or within a
            thousandth of a radian of the viewing direction.
    """
    position, upwards = np.asarray(eye, np.float64), np.asarray(up, np.float64)
    view = np.asarray(target, np.float64) - position
    distance, length = np.linalg.norm(view), np.linalg.norm(upwards)
    if not distance > 1e-6:
        raise GenEgoError(f"a camera at {position.tolist()} cannot look at itself; move it off its target")
    forward = view / distance
    right = np.cross(forward, upwards)
    sine = np.linalg.norm(right)
    if not sine > 1e-3 * length:
        raise GenEgoError(
            f"up = {upwards.tolist()} says nothing about a camera that looks along {forward.tolist()}; "
            "choose another up"
        )
    right /= sine
    return compose(np.stack([right, np.cross(forward, right), forward], axis=1), position)
