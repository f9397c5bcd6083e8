"""The made picture and the splat as one: what the camera saw stays, what the splat got wrong does not."""

from __future__ import annotations

import cv2
import numpy as np

from genego_ros.reconstruction.conditioning import Conditions
from genego_ros.types import BoolArray, ByteArray, FloatArray, SparseView

BORDER = 4.0
"""Pixels beside a hole over which the splat gives way to the made picture."""
AGREES, DIFFERS = 24.0, 64.0
"""Grey levels between splat and made picture, over a neighbourhood, up to which the splat is believed and from which
it is not. The network saw the splat: where it paints something else there, it has learned that such a splat is wrong.
Details, which a small network blurs, vanish in the neighbourhood's mean, and so does most of how it pales what it is
not sure of: half these limits, over a third of the neighbourhood, gained 0.2 dB (0.5 with estimated conditions) and
left hands as ghosts, with Frechet distances 3% (11%) larger."""
NEIGHBOURHOOD = 16
"""How many of them make up the picture's height."""

BESIDE, REACH = 0.5, 0.27
"""Confidence right beside what was seen, and the distance, of the picture's height, over which it falls to 1 / e: about
the share of pixels that `lite` made up on held-out rendered recordings within 20 grey levels of the truth (0.49 within
2 pixels, 0.34 at 24, 0.20 from 64 on, of 256)."""


def splat_weight(projected: BoolArray, small: Conditions, made: ByteArray) -> FloatArray:
    """How much of each pixel is the splat's: 0 where nothing landed, 1 where it is believed.

    Args:
        projected: bool (H, W), where the splat landed.
        small: the same splat as the network saw it.
        made: what the network made of it, uint8 (S, S, 3), at its own size.

    Returns:
        float32 (H, W).
    """
    height, width = projected.shape
    believed = cv2.resize(_belief(small, made), (width, height), interpolation=cv2.INTER_LINEAR)
    if projected.all():
        return np.asarray(believed)
    # To the middle of the nearest hole's pixel, which is half a pixel inside it.
    distance = cv2.distanceTransform(projected.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    border = np.clip((distance - np.float32(0.5)) / np.float32(BORDER), 0, 1)
    return np.asarray(border * believed)


def _belief(small: Conditions, made: ByteArray) -> FloatArray:
    """float32 (S, S): 1 where splat and made picture agree, 0 where they differ."""
    side = max(3, len(made) // NEIGHBOURHOOD) | 1
    known = small.projected.astype(np.float32)
    difference = (small.sparse.astype(np.float32) - made) * known[..., None]
    mean = cv2.blur(difference, (side, side)) / np.maximum(cv2.blur(known, (side, side)), 1e-6)[..., None]
    return np.clip((DIFFERS - np.abs(mean).max(axis=2)) / (DIFFERS - AGREES), 0, 1)


def nearness(seen: BoolArray) -> FloatArray:
    """How far a made-up pixel may be believed for what was seen beside it, float32 (H, W); 0 where nothing was."""
    if not seen.any():
        return np.zeros(seen.shape, np.float32)
    distance = cv2.distanceTransform((~seen).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(np.float32(BESIDE) * np.exp(-distance / np.float32(REACH * len(seen))))


def blend(sparse: SparseView, made: ByteArray, weight: FloatArray) -> ByteArray:
    """The view, uint8 (H, W, 3): the splat's bytes where `weight` is 1, the made ones where it is 0."""
    mixed = made + weight[..., None] * (sparse.rgb.astype(np.float32) - made)
    return np.rint(mixed).astype(np.uint8)
