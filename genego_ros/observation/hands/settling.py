"""The most likely hand between what is seen of it and what is known of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numba import float64, int64, njit, types

from genego_ros.geometry.skeleton import FINGERS
from genego_ros.types import Camera, Float64Array, FloatArray

LENGTH_DEVIATION = 0.002
"""Metres: how well the distance between two keypoints on one bone is known."""
DIRECTION_DEVIATION = 0.03
"""Metres, of a bone's far end: how well it is known where the bone points. A landmarker guesses depth, it hardly sees
it, so this is as loose as a bone is long."""
ROBUST = 3.0
"""Deviations beyond which a pixel pulls less than in proportion."""
ROUNDS = 8
"""Gauss-Newton steps; the last one moves no keypoint by more than 0.1 mm."""

_PALM = ((0, 1), (0, 5), (0, 9), (0, 13), (0, 17), (5, 9), (9, 13), (13, 17), (5, 17), (1, 5), (1, 17))
"""Across the palm, which is as stiff as a bone."""
PAIRS = np.array((*_PALM, *(bone for finger in FINGERS for bone in pairwise(finger))))
"""int (26, 2): keypoints that keep their distance."""


def settle(placed: Float64Array, pixels: FloatArray, camera: Camera, deviations: FloatArray) -> FloatArray:
    """The keypoints P that minimise, over keypoints k and pairs (i, j) of `PAIRS`,

        sum rho(|pi(P_k) - p_k| z / (f s_k)) + sum (|P_j - P_i| - L_ij)^2 / s_L^2 + sum |P_j - P_i - D_ij|^2 / s_D^2

    with the projection pi, pixels p, deviations s, and lengths L and directions D from `placed`; rho is
    Cauchy's, a square up to about `ROBUST`. Iteratively reweighted Gauss-Newton from `placed`.

    Args:
        placed: float64 (21, 3), metres, camera frame: bones of the right length, roughly in the right place.
        pixels: float32 (21, 2), where the keypoints are seen.
        deviations: float32 (21,), metres on the hand: how well each of `pixels` is known.

    Returns:
        float32 (21, 3), metres, camera frame; NaN where the sum has no minimum.
    """
    bones = placed[PAIRS[:, 1]] - placed[PAIRS[:, 0]]
    settled: FloatArray = _settle(
        placed,
        bones,
        np.linalg.norm(bones, axis=1),
        PAIRS,
        pixels.astype(np.float64),
        deviations.astype(np.float64),
        np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
    ).astype(np.float32)
    return settled


# Compiled when imported, not at the first hand.
@njit(
    float64[:, ::1](
        types.Array(float64, 2, "C", readonly=True),
        types.Array(float64, 2, "C", readonly=True),
        float64[::1],
        int64[:, ::1],
        float64[:, ::1],
        float64[::1],
        float64[::1],
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _settle(placed, bones, lengths, pairs, pixels, deviations, K):  # type: ignore[no-untyped-def]
    P, n = placed.copy(), 3 * len(placed)
    length_weight, direction_weight = 1.0 / LENGTH_DEVIATION**2, 1.0 / DIRECTION_DEVIATION**2
    for _ in range(ROUNDS):
        # A trace on the diagonal, for what nothing else holds.
        H, g = 1e-3 * np.eye(n), np.zeros(n)
        distance = P[:, 2].mean()
        for k in range(len(P)):
            x, y, z = P[k]
            spread = deviations[k] / distance
            du, dv = (K[0] * x / z + K[2] - pixels[k, 0]) / K[0], (K[1] * y / z + K[3] - pixels[k, 1]) / K[1]
            squared = (du * du + dv * dv) / spread**2
            w = 1.0 / (spread**2 * (1.0 + squared / ROBUST**2))
            J = np.array([[1.0 / z, 0.0, -x / z**2], [0.0, 1.0 / z, -y / z**2]])
            for a in range(3):
                g[3 * k + a] += w * (J[0, a] * du + J[1, a] * dv)
                for b in range(3):
                    H[3 * k + a, 3 * k + b] += w * (J[0, a] * J[0, b] + J[1, a] * J[1, b])
        for p in range(len(pairs)):
            i, j = 3 * pairs[p, 0], 3 * pairs[p, 1]
            bone = P[pairs[p, 1]] - P[pairs[p, 0]]
            length = np.sqrt((bone * bone).sum()) + 1e-9
            axis = bone / length
            for a in range(3):
                pull = length_weight * (length - lengths[p]) * axis[a] + direction_weight * (bone[a] - bones[p, a])
                g[j + a] += pull
                g[i + a] -= pull
                for b in range(3):
                    h = length_weight * axis[a] * axis[b] + (direction_weight if a == b else 0.0)
                    H[i + a, i + b] += h
                    H[j + a, j + b] += h
                    H[i + a, j + b] -= h
                    H[j + a, i + b] -= h
        P = P - np.linalg.solve(H, g).reshape(P.shape)
        if not P[:, 2].min() > 0.0:
            return np.full_like(P, np.nan)
    return P
