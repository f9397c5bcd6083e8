"""The made picture and the splat as one: what the camera saw stays, what the splat got wrong does not."""

from __future__ import annotations

import cv2
import numpy as np

from genego_ros.types import ByteArray, FloatArray, SparseView

BORDER = 4.0
"""Pixels beside a hole over which the splat gives way to the made picture."""
AGREES, DIFFERS = 16.0, 48.0
"""Grey levels between splat and made picture, over a neighbourhood, up to which the splat is believed and from which
it is not. The network saw the splat: where it paints something else there, it has learned that such a splat is wrong;
details, which a small network blurs, vanish in the neighbourhood's mean."""
NEIGHBOURHOOD = 24
"""How many of them make up the picture's height."""


def splat_weight(sparse: SparseView, made: ByteArray) -> FloatArray:
    """How much of each pixel is the splat's: 0 where nothing landed, 1 where it is believed.

    Args:
        made: the whole view as the network made it, uint8, the size of S_ego.

    Returns:
        float32 (H, W).
    """
    inside = sparse.projected.astype(np.uint8)
    if not inside.all():
        # To the middle of the nearest hole's pixel, which is half a pixel inside it.
        distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        border = np.clip((distance - 0.5) / BORDER, 0, 1).astype(np.float32)
    else:
        border = np.ones(inside.shape, np.float32)
    side = max(3, sparse.rgb.shape[0] // NEIGHBOURHOOD) | 1
    known = sparse.projected.astype(np.float32)
    difference = (sparse.rgb.astype(np.float32) - made) * known[..., None]
    mean = cv2.blur(difference, (side, side)) / np.maximum(cv2.blur(known, (side, side)), 1e-6)[..., None]
    return border * np.clip((DIFFERS - np.abs(mean).max(axis=2)) / (DIFFERS - AGREES), 0, 1)


def blend(sparse: SparseView, made: ByteArray, weight: FloatArray) -> ByteArray:
    """The view, uint8 (H, W, 3): the splat's bytes where `weight` is 1, the made ones where it is 0."""
    mixed = made + weight[..., None] * (sparse.rgb.astype(np.float32) - made)
    return np.rint(mixed).astype(np.uint8)
