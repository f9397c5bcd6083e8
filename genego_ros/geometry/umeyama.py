"""The similarity or rigid transformation between two point sets with known correspondences.

S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
IEEE TPAMI 13(4), 1991. Weighted; robust to outliers by consensus over minimal samples followed by
iteratively reweighted least squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from genego_ros.errors import GenEgoError
from genego_ros.types import Array, Float64Array

SAMPLES = 128
"""Minimal samples of a robust fit. With half of the points wrong, one in eight samples is clean, and
the chance that none is stays below 1e-7."""
REWEIGHTINGS = 10
CUTOFF = 5.0
"""Distance, in standard deviations of one coordinate, from which a point has no weight; 15 in a
million good points lie beyond it."""
MEDIAN = 1.538
"""Median length of a 3-vector whose coordinates have unit standard deviation."""
FINEST = 1e-9
"""Metres; the standard deviation is never taken to be smaller."""
LINE = 0.02
"""Points are collinear when their spread across the main axis is below this share of that along it;
two outstretched hands side by side have 0.2 and more."""


@dataclass(frozen=True)
class Alignment:
    """target = scale rotation source + translation, and how well it is known."""

    scale: float
    rotation: Float64Array
    """float64 (3, 3), a proper rotation, also where the best fit is a reflection."""
    translation: Float64Array
    """float64 (3,), metres."""
    residual: float
    """Weighted root mean square distance in metres between the mapped source and the target."""
    weights: Float64Array
    """float64 (N,), as used in the fit: those given, times 0 (an outlier) to 1 in a robust fit."""
    spread: Float64Array
    """float64 (3,), metres, descending: standard deviations of the common shape along its axes, the
    square roots of the covariance's singular values. The third tells a volume from a plane (0, which
    still fixes the rotation)."""
    degenerate: bool
    """The points do not fix a rotation: fewer than three have weight, or they lie on a line."""

    @property
    def matrix(self) -> Float64Array:
        """float64 (4, 4), the whole map from source to target; rigid where scale is 1."""
        T = np.eye(4)
        T[:3, :3] = self.scale * self.rotation
        T[:3, 3] = self.translation
        return T


def align(
    source: Array,
    target: Array,
    weights: Array | None = None,
    with_scale: bool = False,
    robust: bool = False,
    noise: float = FINEST,
) -> Alignment:
    """The transformation of `source` that comes nearest to `target`, in the weighted square mean.

    Args:
        source, target: (N, 3), metres, corresponding by row.
        weights: (N,), not negative; None for equal ones.
        with_scale: fit a scale too, else it is 1.
        robust: leave outliers out, up to nearly half of the weight. Deterministic.
        noise: metres, the standard deviation of a coordinate that is known to be there: a robust fit takes no point
            for an outlier that is nearer than `CUTOFF` times this.

    Raises:
        GenEgoError: shapes that do not fit together, NaN or infinite values, negative weights, or no
            point with weight.
    """
    p, q, w = _checked(source, target, weights)
    if robust and np.count_nonzero(w) > 3:
        w = w * _inlier_weights(p, q, w, with_scale, noise)
    fit = _umeyama(p[None], q[None], w[None], with_scale)
    distances = _distances(p, q, fit)[0]
    scale, rotation, translation, singular = (part[0] for part in fit)
    spread = np.sqrt(scale * singular)
    return Alignment(
        scale=float(scale),
        rotation=rotation,
        translation=translation,
        residual=float(np.sqrt(np.average(distances**2, weights=w))),
        weights=w,
        spread=spread,
        degenerate=bool(np.count_nonzero(w) < 3 or spread[1] <= LINE * spread[0]),
    )


def _checked(source: Array, target: Array, weights: Array | None) -> tuple[Float64Array, ...]:
    p, q = np.asarray(source, np.float64), np.asarray(target, np.float64)
    w = np.ones(len(p)) if weights is None else np.array(weights, np.float64)
    if p.ndim != 2 or p.shape[1] != 3 or q.shape != p.shape or w.shape != p.shape[:1]:
        raise GenEgoError(
            f"cannot align {p.shape} with {q.shape} points and {w.shape} weights: (N, 3), (N, 3), (N,) needed"
        )
    if not (np.isfinite(p).all() and np.isfinite(q).all() and np.isfinite(w).all()):
        raise GenEgoError("points to align hold NaN or infinite values; leave those points out")
    if (w < 0).any() or not (w > 0).any():
        raise GenEgoError("weights to align by must not be negative, and one at least must be positive")
    return p, q, w


def _umeyama(
    p: Float64Array, q: Float64Array, w: Float64Array, with_scale: bool
) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """Equations 34 to 42 with weights, for a batch: (B, N, 3), (B, N, 3), (B, N).

    Returns:
        Scales (B,), rotations (B, 3, 3), translations (B, 3), singular values (B, 3).
    """
    w = (w / w.sum(axis=1, keepdims=True))[..., None]
    p_mean, q_mean = (w * p).sum(axis=1), (w * q).sum(axis=1)
    p_centred, q_centred = p - p_mean[:, None], q - q_mean[:, None]
    u, singular, vt = np.linalg.svd((w * q_centred).swapaxes(1, 2) @ p_centred)
    signs = np.ones_like(singular)
    signs[:, 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))  # a rotation, never a reflection
    rotation = (u * signs[:, None]) @ vt
    scale = np.ones(len(p))
    if with_scale:
        variance = (w * p_centred**2).sum(axis=(1, 2))
        np.divide((singular * signs).sum(axis=1), variance, out=scale, where=variance > 0)
    translation = q_mean - scale[:, None] * (rotation @ p_mean[..., None])[..., 0]
    return scale, rotation, translation, singular


def _inlier_weights(p: Float64Array, q: Float64Array, w: Float64Array, with_scale: bool, noise: float) -> Float64Array:
    """Tukey's biweights, float64 (N,), 0 to 1: from the minimal sample with the least median of
    distances (Rousseeuw 1984), refined by reweighting."""
    used = np.flatnonzero(w)
    triples = used[_triples(len(used))]
    distances = _distances(p, q, _umeyama(p[triples], q[triples], w[triples], with_scale))
    medians = _medians(distances, w)
    best = np.argmin(medians)
    distance, deviation = distances[best], medians[best] / MEDIAN
    for _ in range(REWEIGHTINGS):
        reach = CUTOFF * max(deviation, noise, FINEST)
        biweights = np.clip(1.0 - (distance / reach) ** 2, 0.0, None) ** 2
        distances = _distances(p, q, _umeyama(p[None], q[None], (w * biweights)[None], with_scale))
        distance, deviation = distances[0], _medians(distances, w)[0] / MEDIAN
    return biweights


def _distances(p: Float64Array, q: Float64Array, fits: tuple[Float64Array, ...]) -> Float64Array:
    """Distances (B, N) in metres between mapped source and target under each fit."""
    scale, rotation, translation, _ = fits
    mapped = scale[:, None, None] * (p @ rotation.swapaxes(1, 2)) + translation[:, None]
    return np.linalg.norm(mapped - q, axis=2)


def _medians(distances: Float64Array, w: Float64Array) -> Float64Array:
    """Weighted medians (B,) of (B, N), raised a little because three points always fit: the order
    statistic (N + 4) / 2 (Rousseeuw and Leroy 1987)."""
    order = np.argsort(distances, axis=1)
    share = np.cumsum(w[order], axis=1) / w.sum()
    n = np.count_nonzero(w)
    rank = np.argmax(share >= min((n + 4) / (2 * n), 1.0) - 1e-9, axis=1)
    return np.take_along_axis(distances, np.take_along_axis(order, rank[:, None], 1), 1)[:, 0]


@lru_cache(maxsize=64)
def _triples(n: int) -> NDArray[np.intp]:
    """(SAMPLES, 3) indices below n, distinct in each row, the same in every run."""
    return np.argsort(np.random.default_rng(0).random((SAMPLES, n)), axis=1)[:, :3]
