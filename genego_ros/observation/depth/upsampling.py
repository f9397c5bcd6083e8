"""Depth of a network's size brought to a picture's, with the picture's own edges."""

from __future__ import annotations

import numpy as np
from numba import float32, njit, types, uint8

from genego_ros.geometry.squeeze import squeeze
from genego_ros.types import ByteArray, FloatArray

SMOOTH = np.float32(1.03)
"""Ratio of neighbours up to which they are one surface, which needs no colours."""
_DEVIATION = 10.0
"""Of colours of one surface, grey levels, over red, green and blue together."""
_ALIKE = np.exp(-2 * np.arange(1024) / (2 * _DEVIATION**2)).astype(np.float32) + np.float32(1e-4)
"""Weight of a neighbour by half the squared difference of colours."""


def upsample(inverse: FloatArray, rgb: ByteArray) -> FloatArray:
    """Joint bilateral upsampling (Kopf et al., SIGGRAPH 2007) over the four nearest samples.

    Args:
        inverse: float32 (h, w), inverse depth, which on a plane is linear in the picture; positive.
        rgb: uint8 (H, W, 3), of the same view; larger.

    Returns:
        Depth, float32 (H, W).
    """
    height, width = inverse.shape
    guide = squeeze(rgb, width, height)
    depth = np.empty(rgb.shape[:2], np.float32)
    _upsample(
        np.require(inverse, requirements=["C", "A"]),
        np.ascontiguousarray(guide),
        np.require(rgb, requirements=["C", "A"]),
        _ALIKE,
        depth,
    )
    return depth


@njit(cache=True, nogil=True, inline="always")
def _difference(rgb, row, column, guide, guide_row, guide_column):  # type: ignore[no-untyped-def]
    """Half the squared difference of two colours, at most 1023."""
    square = 0
    for channel in range(3):
        off = int(rgb[row, column, channel]) - int(guide[guide_row, guide_column, channel])
        square += off * off
    return min(square >> 1, 1023)


# Compiled when imported, not at the first frame; see geometry/camera.py.
@njit(
    types.void(
        types.Array(float32, 2, "C", readonly=True),
        types.Array(uint8, 3, "C", readonly=True),
        types.Array(uint8, 3, "C", readonly=True),
        types.Array(float32, 1, "C", readonly=True),
        float32[:, ::1],
    ),
    cache=True,
    nogil=True,
)
def _upsample(inverse, guide, rgb, alike, depth):  # type: ignore[no-untyped-def]
    height, width = inverse.shape
    one, half = np.float32(1), np.float32(0.5)
    scale_y, scale_x = np.float32(height / depth.shape[0]), np.float32(width / depth.shape[1])
    for row in range(depth.shape[0]):
        y = min(max((row + half) * scale_y - half, np.float32(0)), np.float32(height - 1))
        top = int(y)
        bottom = min(top + 1, height - 1)
        down = np.float32(y - top)
        for column in range(depth.shape[1]):
            x = min(max((column + half) * scale_x - half, np.float32(0)), np.float32(width - 1))
            left = int(x)
            right = min(left + 1, width - 1)
            along = np.float32(x - left)
            a, b = inverse[top, left], inverse[top, right]
            c, d = inverse[bottom, left], inverse[bottom, right]
            wa, wb = (one - down) * (one - along), (one - down) * along
            wc, wd = down * (one - along), down * along
            if max(max(a, b), max(c, d)) > SMOOTH * min(min(a, b), min(c, d)):
                wa *= alike[_difference(rgb, row, column, guide, top, left)]
                wb *= alike[_difference(rgb, row, column, guide, top, right)]
                wc *= alike[_difference(rgb, row, column, guide, bottom, left)]
                wd *= alike[_difference(rgb, row, column, guide, bottom, right)]
            depth[row, column] = (wa + wb + wc + wd) / (wa * a + wb * b + wc * c + wd * d)
