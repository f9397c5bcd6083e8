"""Pieces of the body's surface: cut out along a line, smoothed, given an edge. What clothes and hair are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from genego_ros.data.synthetic.body_model import BodyModel
from genego_ros.types import Float64Array

INFLUENCES = 6


@dataclass(frozen=True)
class Piece:
    """Part of the body's mesh; a vertex lies on the edge between two of the body's, or on one."""

    ends: NDArray[np.int64]
    """int64 (N, 2): the body's vertices between which each lies; twice the same where it is one."""
    share: Float64Array
    """float64 (N,): how far from the first to the second."""
    uv: Float64Array
    """float64 (N, 2)."""
    faces: NDArray[np.int64]
    """int64 (F, 3)."""
    weld: NDArray[np.int64]
    """int64 (N,): the first vertex at the same place."""

    def of(self, values: Float64Array) -> Float64Array:
        """Values (V, ...) of the body's vertices -> (N, ...) of this piece's."""
        share = self.share.reshape(-1, *[1] * (values.ndim - 1))
        blended: Float64Array = (1 - share) * values[self.ends[:, 0]] + share * values[self.ends[:, 1]]
        return blended

    def skinning(self, model: BodyModel) -> tuple[NDArray[np.int64], Float64Array]:
        """Bones int64 and weights float64, (N, 6)."""
        dense = (1 - self.share)[:, None] * model.dense_weights(self.ends[:, 0])
        dense += self.share[:, None] * model.dense_weights(self.ends[:, 1])
        bones = np.argsort(-dense, axis=1, kind="stable")[:, :INFLUENCES]
        weights = np.take_along_axis(dense, bones, axis=1)
        return bones, weights / weights.sum(axis=1, keepdims=True)


def cut(model: BodyModel, field: Float64Array) -> Piece:
    """The part of the body where a field (V,) is positive, cut exactly along its zero line."""
    corner_field = field[model.corner_vertices]
    inside = corner_field > 0
    count = inside[model.faces].sum(axis=1)
    corners: dict[tuple[int, int], int] = {}
    faces: list[tuple[int, ...]] = []

    def number(a: int, b: int) -> int:
        return corners.setdefault((min(a, b), max(a, b)), len(corners))

    for face in model.faces[count == 3].tolist():
        faces.append(tuple(number(c, c) for c in face))
    for face in model.faces[(count > 0) & (count < 3)].tolist():
        while inside[face[0]] == inside[face[2]] or not inside[face[0]]:
            face = face[1:] + face[:1]  # first the corner inside that follows one outside
        a, b, c = face
        if inside[b]:
            outer = number(b, c), number(c, a)
            faces += [(number(a, a), number(b, b), outer[0]), (number(a, a), *outer)]
        else:
            faces.append((number(a, a), number(a, b), number(c, a)))
    pairs = np.array(list(corners), dtype=np.int64).reshape(-1, 2)
    values = corner_field[pairs]
    difference = values[:, 0] - values[:, 1]
    whole = pairs[:, 0] == pairs[:, 1]
    share = np.where(whole, 0.0, values[:, 0] / np.where(whole, 1.0, difference))
    uv = (1 - share)[:, None] * model.corner_uv[pairs[:, 0]] + share[:, None] * model.corner_uv[pairs[:, 1]]
    ends = model.corner_vertices[pairs]
    swap = ends[:, 0] > ends[:, 1]
    ends[swap], share[swap] = ends[swap][:, ::-1], 1 - share[swap]
    _, first, back = np.unique(ends, axis=0, return_index=True, return_inverse=True)
    return Piece(ends, share, uv, np.array(faces, dtype=np.int64).reshape(-1, 3), first[back.ravel()])


def neighbours(faces: NDArray[np.int64], weld: NDArray[np.int64]) -> csr_matrix:
    """(N, N): a row is the mean over a vertex's neighbours; welded vertices are one.

    Those on an edge of the surface have neighbours along that edge alone, so that hems stay smooth lines.
    """
    f = weld[faces]
    a, b = f[:, [0, 1, 2, 1, 2, 0]].ravel(), f[:, [1, 2, 0, 0, 1, 2]].ravel()
    edges = weld[rim(faces, weld)]
    inside = ~np.isin(a, edges)
    a = np.concatenate([a[inside], edges[:, 0], edges[:, 1]])
    b = np.concatenate([b[inside], edges[:, 1], edges[:, 0]])
    graph = csr_matrix((np.ones(len(a)), (a, b)), shape=(len(weld), len(weld)))
    graph.data[:] = 1.0
    degree = np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1.0)
    return csr_matrix((diags(1 / degree) @ graph)[weld])


def smoothed(values: Float64Array, mean: csr_matrix, steps: int) -> Float64Array:
    """Values (N, ...) after steps of Laplacian smoothing by half."""
    for _ in range(steps):
        values = 0.5 * values + 0.5 * (mean @ values)
    return values


def normals(vertices: Float64Array, faces: NDArray[np.int64], weld: NDArray[np.int64]) -> Float64Array:
    """Unit, area-weighted, float64 (N, 3); welded vertices share theirs."""
    f = weld[faces]
    a, b, c = (vertices[f[:, corner]] for corner in range(3))
    cross = np.cross(b - a, c - a)
    summed = np.stack(
        [np.bincount(f.ravel(), np.repeat(cross[:, axis], 3), len(vertices)) for axis in range(3)], axis=1
    )[weld]
    length: Float64Array = np.linalg.norm(summed, axis=1, keepdims=True)
    return summed / np.where(length > 0, length, 1.0)


def rim(faces: NDArray[np.int64], weld: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 (E, 2): the edges, in their face's direction, that have a face on one side alone."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    welded = weld[edges]
    key = welded[:, 0] * len(weld) + welded[:, 1]
    reverse = welded[:, 1] * len(weld) + welded[:, 0]
    alone: NDArray[np.int64] = edges[~np.isin(reverse, key)]
    return alone
