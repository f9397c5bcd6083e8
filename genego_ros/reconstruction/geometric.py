"""Classical completion: the baseline that learned models must beat, and their fallback."""

from __future__ import annotations

import cv2
import numpy as np

from genego_ros.parameters import Parameters
from genego_ros.reconstruction import Reconstruction
from genego_ros.types import Array, BoolArray, ByteArray, ExoObservation, FloatArray


class GeometricReconstruction:
    """Fills the holes of S_ego from their surroundings and marks them as made up."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def reconstruct(self, observation: ExoObservation, confidence: bool = False) -> Reconstruction:
        """As the Protocol says; of what is made up it is not sure at all."""
        sparse = observation.sparse
        return Reconstruction(
            push_pull(sparse.rgb, sparse.projected),
            sparse.projected.copy(),
            "geometric",
            sparse.projected.astype(np.float32) if confidence else None,
        )


def push_pull(rgb: ByteArray, known: BoolArray) -> ByteArray:
    """Fills unknown pixels from ever coarser averages of the known ones.

    Pull: halve the picture, averaging known pixels only, until one is left or nothing is unknown.
    Push: on the way back each level fills its unknown pixels from the level above it
    (Gortler et al., The Lumigraph, 1996, section 3.4.2). Known pixels are untouched; a picture with
    nothing known is returned as it is.

    Args:
        rgb: uint8 (H, W, 3).
        known: bool (H, W).
    """
    if known.all() or not known.any():
        return rgb.copy()
    # Only the last step is at full size, and in bytes: what is made up is smooth anyway.
    half = np.clip(_filled(rgb, known) + 0.5, 0, 255).astype(np.uint8)
    result = np.asarray(cv2.resize(half, known.shape[::-1], interpolation=cv2.INTER_LINEAR))
    np.copyto(result, rgb, where=known[..., None])
    return result


def filled_depth(depth: FloatArray) -> FloatArray:
    """A depth image, float32 (H, W), metres, NaN unknown, without holes, in the same way; its inverse is what is
    averaged, since that of a plane is linear in the picture. All NaN stays so."""
    known = np.isfinite(depth)
    if known.all() or not known.any():
        return depth
    inverse = np.where(known, 1 / np.where(known, depth, 1), 0).astype(np.float32)
    half = _filled(inverse[..., None], known)
    grown = np.asarray(cv2.resize(half, known.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    result: FloatArray = np.float32(1) / grown
    np.copyto(result, depth, where=known)
    return result


def _filled(values: Array, known: BoolArray) -> FloatArray:
    """`push_pull` of any (H, W, C), at half the size."""
    weight = known.astype(np.float32)
    levels = [_halved(values * weight[..., None], weight)]
    while levels[-1][1].min() == 0 and max(levels[-1][1].shape) > 1:
        levels.append(_halved(*levels[-1]))
    color, weight = levels.pop()
    filled: Array = color / np.maximum(weight, 1e-6)[..., None]
    while levels:
        color, weight = levels.pop()
        above = cv2.resize(filled, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        # Premultiplied colour over what lies above: a pixel that is half known is half filled.
        filled = color + above.reshape(color.shape) * (1.0 - weight)[..., None]
    return filled


def _halved(color: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Premultiplied colour and weight at half the size; one known pixel in four is enough to know a colour."""
    size = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
    color = cv2.resize(color, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], -1)
    weight = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), np.float32)
    scale = np.minimum(1.0, 4.0 * weight) / np.maximum(weight, 1e-6)
    return color * scale[..., None], weight * scale
