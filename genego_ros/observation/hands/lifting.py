"""From a hand's shape and its place in the picture to metres in the camera frame."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from genego_ros.geometry.hand_model import hand_length
from genego_ros.geometry.skeleton import FINGERS
from genego_ros.geometry.umeyama import align
from genego_ros.types import Camera, Float64Array, FloatArray

AVERAGE_HAND_LENGTH = 0.187
"""Metres, wrist to middle fingertip (`hand_length`): between adult women (about 18 cm) and men (about 19.4 cm). It
is a better guess than a network's, whose error is several times the spread between people."""
_PALM = [0, 1, 5, 9, 13, 17]
"""Keypoints that hardly move against each other."""


def proportioned(shape: FloatArray, rest: FloatArray) -> FloatArray:
    """The posture of one hand with the proportions of another.

    A landmarker's idea of a hand is bent towards what it sees: MediaPipe makes the palm of a hand that is seen
    aslant half as wide as it is, which puts the hand a third too near. So the palm is taken from a hand of
    measured proportions and turned to fit, and each finger bone keeps its direction but gets its length.

    Args:
        shape: float32 (21, 3), the posture, any scale.
        rest: float32 (21, 3), the proportions, any posture of the palm; of the same side.

    Returns:
        float32 (21, 3), of the size of `rest`, oriented like `shape`.
    """
    turned = rest @ align(rest[_PALM], shape[_PALM], with_scale=True).rotation.T
    for finger in FINGERS:
        for start, end in pairwise(finger):
            bone = shape[end] - shape[start]
            length = np.linalg.norm(rest[end] - rest[start])
            turned[end] = turned[start] + bone * (length / max(float(np.linalg.norm(bone)), 1e-9))
    return turned.astype(np.float32)


def lift(shape: FloatArray, pixels: FloatArray, camera: Camera, length: float) -> FloatArray | None:
    """Places a hand of known shape and length where its keypoints are seen (perspective-n-point).

    Args:
        shape: float32 (21, 3), the hand about its own origin, oriented like the camera, any scale.
        pixels: float32 (21, 2), its keypoints in the picture.
        camera: K_exo.
        length: the hand's true length in metres, see `hand_length`.

    Returns:
        float32 (21, 3), metres, camera frame; each keypoint lies on the ray of its pixel, at the depth
        of the placed shape. None where no place in front of the camera fits.
    """
    size = hand_length(shape)
    if not np.isfinite(shape).all() or not np.isfinite(pixels).all() or size <= 0:
        return None
    metric = shape.astype(np.float64) * (length / size)
    pose = _pose(metric, pixels.astype(np.float64), camera)
    if pose is None:
        return None
    rotation, translation = pose
    depth: Float64Array = (metric @ cv2.Rodrigues(rotation)[0].T + translation.T)[:, 2]
    if not np.isfinite(depth).all() or depth.min() <= 0.02:
        return None
    return on_rays(pixels, depth.astype(np.float32), camera)


def _pose(metric: Float64Array, pixels: Float64Array, camera: Camera) -> tuple[Float64Array, Float64Array] | None:
    """Rotation vector (3, 1) and translation (3, 1) from the shape to the camera."""
    K = camera.matrix
    try:
        found, rotation, translation = cv2.solvePnP(metric, pixels, K, None, flags=cv2.SOLVEPNP_SQPNP)
        if not found:
            return None
        found, rotation, translation = cv2.solvePnP(
            metric, pixels, K, None, rotation, translation, useExtrinsicGuess=True, flags=cv2.SOLVEPNP_ITERATIVE
        )
    except cv2.error:  # how OpenCV says that the points are all in one place
        return None
    return (rotation, translation) if found else None


def on_rays(pixels: FloatArray, depth: FloatArray, camera: Camera) -> FloatArray:
    """float32 (N, 3): the points at `depth` (N,) metres along z that are seen at `pixels` (N, 2)."""
    x = (pixels[:, 0] - camera.cx) / camera.fx
    y = (pixels[:, 1] - camera.cy) / camera.fy
    return np.stack([x * depth, y * depth, depth], axis=1).astype(np.float32)
