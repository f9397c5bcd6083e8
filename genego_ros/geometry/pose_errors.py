"""How far estimated hands and camera poses are from the true ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genego_ros.geometry import rigid
from genego_ros.geometry.umeyama import align
from genego_ros.types import Array, Float64Array


class PoseError(NamedTuple):
    translation: float
    """Metres between the two origins."""
    rotation: float
    """Radians, 0 to pi: the angle of the rotation between the two."""


def mpjpe(estimate: Array, truth: Array) -> float:
    """Mean per-joint position error: the mean distance of corresponding joints, as they stand in the camera's frame.

    Args:
        estimate, truth: (N, 3), one unit, one frame.
    """
    return float(np.linalg.norm(_difference(estimate, truth), axis=1).mean())


def pa_mpjpe(estimate: Array, truth: Array) -> float:
    """MPJPE after Procrustes alignment: once the estimate was moved, turned and scaled to come nearest to the truth in
    the least-squares sense (Umeyama, 1991). What is left is an error of shape.

    Args:
        estimate, truth: (N, 3), one unit.

    Raises:
        GenEgoError: NaN or infinite values.
    """
    fit = align(estimate, truth, with_scale=True)
    return mpjpe(rigid.apply(fit.matrix, np.asarray(estimate, np.float64)), truth)


def pose_error(T_estimate: Float64Array, T_truth: Float64Array) -> PoseError:
    """Between two poses of one thing in one frame, float64 (4, 4).

    For X this asks for the ego camera's pose in the exo frame, T_exo_ego; the translation is then the distance between
    the cameras' centres.
    """
    distance = float(np.linalg.norm(T_estimate[:3, 3] - T_truth[:3, 3]))
    return PoseError(distance, rigid.rotation_angle(T_estimate, T_truth))


def _difference(estimate: Array, truth: Array) -> Float64Array:
    return np.asarray(estimate, np.float64) - np.asarray(truth, np.float64)
