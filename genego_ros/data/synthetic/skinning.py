"""Skin that follows bones: linear blend skinning of one mesh."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from genego_ros.types import Float64Array, FloatArray


@numba.njit(cache=True, nogil=True)
def skin(
    vertices: Float64Array, bones: NDArray[np.int64], weights: Float64Array, transforms: Float64Array
) -> FloatArray:
    """Vertices (V, 3) float64 at rest -> posed, float32 (V, 3).

    Args:
        bones, weights: int64 and float64 (V, K), rows of weights sum to 1.
        transforms: float64 (B, 3, 4), rest to world.
    """
    posed = np.empty(vertices.shape, np.float32)
    blended = np.empty((3, 4))
    for v in range(len(vertices)):
        blended[:] = 0.0
        for k in range(bones.shape[1]):
            weight = weights[v, k]
            if weight > 0.0:
                transform = transforms[bones[v, k]]
                for i in range(3):
                    for j in range(4):
                        blended[i, j] += weight * transform[i, j]
        x, y, z = vertices[v]
        for i in range(3):
            posed[v, i] = blended[i, 0] * x + blended[i, 1] * y + blended[i, 2] * z + blended[i, 3]
    return posed
