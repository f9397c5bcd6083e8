"""From a hand's shape and its place in the picture to metres in the camera frame."""

from __future__ import annotations

import cv2
import numpy as np

from genego_ros.types import Camera, Float64Array, FloatArray

AVERAGE_HAND_LENGTH = 0.187
"""Metres, wrist to middle fingertip; the mean of the female and male adult medians (180 and 194 mm) of
the 2012 ANSUR II survey. It is a better guess than a network's, whose error is several times the
spread between people."""

_MIDDLE_FINGER = (0, 9, 10, 11, 12)


def hand_length(keypoints: FloatArray) -> float:
    """Length of the chain wrist - middle fingertip (keypoints 0, 9, 10, 11, 12), in the unit of
    `keypoints`, float (21, 3); the length that the stretched hand would have."""
    chain = keypoints[list(_MIDDLE_FINGER)]
    return float(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum())


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
    if not np.isfinite(size) or size <= 0:
        return None
    metric = shape.astype(np.float64) * (length / size)
    found, rotation, translation = cv2.solvePnP(
        metric, pixels.astype(np.float64), camera.matrix, None, flags=cv2.SOLVEPNP_SQPNP
    )
    if not found:
        return None
    found, rotation, translation = cv2.solvePnP(
        metric,
        pixels.astype(np.float64),
        camera.matrix,
        None,
        rotation,
        translation,
        useExtrinsicGuess=True,
        flags=cv2.SOLVEPNP_ITERATIVE,
    )
    depth: Float64Array = (metric @ cv2.Rodrigues(rotation)[0].T + translation.T)[:, 2]
    if not found or not np.isfinite(depth).all() or depth.min() <= 0.02:
        return None
    return on_rays(pixels, depth.astype(np.float32), camera)


def on_rays(pixels: FloatArray, depth: FloatArray, camera: Camera) -> FloatArray:
    """float32 (N, 3): the points at `depth` (N,) metres along z that are seen at `pixels` (N, 2)."""
    x = (pixels[:, 0] - camera.cx) / camera.fx
    y = (pixels[:, 1] - camera.cy) / camera.fy
    return np.stack([x * depth, y * depth, depth], axis=1).astype(np.float32)
