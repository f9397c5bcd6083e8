"""Classical completion: the baseline that learned models must beat, and their fallback."""

from __future__ import annotations

import cv2
import numpy as np

from genego_ros.parameters import Parameters
from genego_ros.reconstruction import Reconstruction
from genego_ros.types import BoolArray, ByteArray, ExoObservation


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
    weight = known.astype(np.float32)
    levels = [_halved(rgb * weight[..., None], weight)]
    while levels[-1][1].min() == 0 and max(levels[-1][1].shape) > 1:
        levels.append(_halved(*levels[-1]))
    color, weight = levels.pop()
    filled = color / np.maximum(weight, 1e-6)[..., None]
    while levels:
        color, weight = levels.pop()
        above = cv2.resize(filled, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        # Premultiplied colour over what lies above: a pixel that is half known is half filled.
        filled = color + above * (1.0 - weight)[..., None]
    # Only the last step is at full size, and in bytes: what is made up is smooth anyway.
    half = np.clip(filled + 0.5, 0, 255).astype(np.uint8)
    result = np.asarray(cv2.resize(half, known.shape[::-1], interpolation=cv2.INTER_LINEAR))
    np.copyto(result, rgb, where=known[..., None])
    return result


def _halved(color: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Premultiplied colour and weight at half the size; one known pixel in four is enough to know a colour."""
    size = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
    color = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    scale = np.minimum(1.0, 4.0 * weight) / np.maximum(weight, 1e-6)
    return color * scale[..., None], weight * scale
