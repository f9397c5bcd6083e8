"""The plane that most points lie on: a table, a floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genego_ros.types import Float64Array

_HYPOTHESES = 120
"""Enough to hit three points of a plane that holds a third of them with a probability of 0.99."""
_JURY = 800
"""Points that choose between the hypotheses, at most."""
_SEED = 0


@dataclass(frozen=True)
class Plane:
    """normal . x = offset."""

    normal: Float64Array
    """float64 (3,), unit, on the side of the origin: a camera there sees the plane from the front."""
    offset: float
    """Metres, not positive."""
    share: float
    """Of the points, how many lie within the tolerance."""


def dominant_plane(points: Float64Array, tolerance: float) -> Plane | None:
    """The plane with most of `points`, float64 (N, 3) metres, within `tolerance` metres.

    Consensus over fixed random triples (Fischler and Bolles, 1981), then least squares over the points
    of the best one. None for fewer than three points or where all of them are on a line.
    """
    if len(points) < 3:
        return None
    triples = points[np.random.default_rng(_SEED).integers(0, len(points), (_HYPOTHESES, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    usable = lengths > 1e-9
    if not usable.any():
        return None
    normals = normals[usable] / lengths[usable, None]
    offsets = np.einsum("ij,ij->i", triples[usable, 0], normals)
    jury = points[:: len(points) // _JURY + 1]
    best = int(np.argmax((np.abs(jury @ normals.T - offsets) < tolerance).sum(axis=0)))
    inliers = points[np.abs(points @ normals[best] - offsets[best]) < tolerance]
    middle = inliers.mean(axis=0)
    normal = np.linalg.svd(inliers - middle, full_matrices=False)[2][2]
    offset = float(normal @ middle)
    sign = -1.0 if offset > 0 else 1.0
    share = float((np.abs(points @ normal - offset) < tolerance).mean())
    return Plane(sign * normal, sign * offset, share)
