"""The scene's triangles as the graphics card wants them, and where they are at a moment."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from genego_ros.data.synthetic.scene import Mesh, Moment
from genego_ros.errors import GenEgoError
from genego_ros.types import Array, Float64Array, FloatArray

WordArray = NDArray[np.uint32]


@dataclass(frozen=True)
class Placed:
    """All vertices at one moment."""

    vertices: WordArray
    """uint32 (V, 4): x, y, z as float32, world, and the normal in octahedral coordinates, two 16-bit numbers."""
    low: FloatArray
    """float32 (M, 3): least coordinates of each mesh, world."""
    high: FloatArray


class Geometry:
    """Meshes one behind the other, those that stand still first.

    Args:
        meshes: all of the scene.
        moving: names of those that a `Moment` places or bends.
    """

    def __init__(self, meshes: Collection[Mesh], moving: Collection[str]) -> None:
        self.meshes = sorted(meshes, key=lambda mesh: mesh.name in moving)
        counts = [len(mesh.vertices) for mesh in self.meshes]
        self.starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.first_triangle = np.concatenate([[0], np.cumsum([len(mesh.faces) for mesh in self.meshes])])
        self.still = sum(mesh.name not in moving for mesh in self.meshes)
        """How many meshes stand still."""
        self.numbers = {mesh.name: index for index, mesh in enumerate(self.meshes)}
        self._at_rest = Placed(
            np.zeros((self.starts[-1], 4), np.uint32),
            np.zeros((len(self.meshes), 3), np.float32),
            np.zeros((len(self.meshes), 3), np.float32),
        )
        for index, mesh in enumerate(self.meshes):
            self._write(self._at_rest, index, mesh.vertices, _own_normals(mesh, mesh.vertices))
        self._own = {mesh.name: _own_normals(mesh, mesh.vertices) for mesh in self.meshes[self.still :]}

    @property
    def triangles(self) -> NDArray[np.int32]:
        """int32 (F, 4): three vertices and the mesh."""
        rows = [
            np.column_stack([mesh.faces + start, np.full(len(mesh.faces), index)])
            for index, (mesh, start) in enumerate(zip(self.meshes, self.starts, strict=False))
        ]
        return np.concatenate(rows).astype(np.int32)

    @property
    def attributes(self) -> WordArray:
        """uint32 (V, 4): u, v as float32; red, green and blue as float16, and nothing."""
        packed = np.zeros((self.starts[-1], 4), np.uint32)
        for mesh, start in zip(self.meshes, self.starts, strict=False):
            rows = packed[start : start + len(mesh.vertices)]
            rows.view(np.float32)[:, :2] = mesh.uv
            colors = rows.view(np.float16)[:, 4:7]
            colors[:] = 1.0 if mesh.colors is None else mesh.colors
        return packed

    def place(self, moment: Moment) -> Placed:
        """Where everything is at a moment.

        Raises:
            GenEgoError: the moment bends a mesh into another number of vertices.
        """
        placed = Placed(self._at_rest.vertices.copy(), self._at_rest.low.copy(), self._at_rest.high.copy())
        for index, mesh in enumerate(self.meshes[self.still :], self.still):
            if (bent := moment.vertices.get(mesh.name)) is not None:
                if bent.shape != mesh.vertices.shape:
                    raise GenEgoError(
                        f"mesh '{mesh.name}' has {mesh.vertices.shape} vertices, the moment gives {bent.shape}"
                    )
                self._write(placed, index, bent, _own_normals(mesh, bent))
            elif (T := moment.T_world_mesh.get(mesh.name)) is not None:
                vertices = mesh.vertices @ T[:3, :3].T + T[:3, 3]
                self._write(placed, index, vertices, self._own[mesh.name] @ T[:3, :3].T)
        return placed

    def _write(self, placed: Placed, index: int, vertices: Array, normals: Array) -> None:
        vertices = np.ascontiguousarray(vertices, np.float32)
        rows = placed.vertices[self.starts[index] : self.starts[index + 1]]
        rows.view(np.float32)[:, :3] = vertices
        rows.view(np.int16)[:, 6:] = _octahedral(np.ascontiguousarray(normals, np.float32))
        placed.low[index], placed.high[index] = vertices.min(axis=0), vertices.max(axis=0)


def in_view(placed: Placed, clip_from_world: Float64Array) -> NDArray[np.bool_]:
    """bool (M,): meshes whose boxes are not wholly beyond one side of a view."""
    sides = np.stack([placed.low, placed.high])  # (2, M, 3)
    picks = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners = np.stack([sides[picks[:, axis], :, axis] for axis in range(3)], axis=-1)  # (8, M, 3)
    clip = corners @ clip_from_world[:, :3].T + clip_from_world[:, 3]
    x, y, w = clip[..., 0], clip[..., 1], clip[..., 3]
    beyond = [(x > w), (x < -w), (y > w), (y < -w), (w < 0)]
    seen: NDArray[np.bool_] = ~np.any([side.all(axis=0) for side in beyond], axis=0)
    return seen


def _own_normals(mesh: Mesh, vertices: Array) -> FloatArray:
    """float32 (V, 3), unit: area-weighted means around each vertex, seams closed."""
    weld = np.arange(len(vertices), dtype=np.int32) if mesh.weld is None else mesh.weld
    normals: FloatArray = _vertex_normals(
        np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(mesh.faces, np.int32), weld.astype(np.int32)
    )
    return normals


@njit(cache=True, nogil=True)
def _vertex_normals(vertices, faces, weld):  # type: ignore[no-untyped-def]
    normals = np.zeros_like(vertices)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in range(3):
            v = weld[faces[f, corner]]
            normals[v, 0] += x
            normals[v, 1] += y
            normals[v, 2] += z
    for v in range(vertices.shape[0]):
        w = weld[v]
        x, y, z = normals[w, 0], normals[w, 1], normals[w, 2]
        length = np.sqrt(x * x + y * y + z * z)
        if w <= v:
            normals[v, 0], normals[v, 1], normals[v, 2] = x, y, z
        if length == 0:
            normals[v, 2] = 1
    return normals


@njit(cache=True, nogil=True)
def _octahedral(normals):  # type: ignore[no-untyped-def]
    """int16 (N, 2): a direction as a point of the unfolded octahedron (Cigolle et al. 2014); need not be unit."""
    packed = np.empty((normals.shape[0], 2), np.int16)
    for i in range(normals.shape[0]):
        x, y, z = normals[i, 0], normals[i, 1], normals[i, 2]
        scale = np.float32(1) / (abs(x) + abs(y) + abs(z))
        u, v = x * scale, y * scale
        if z < 0:
            u, v = (1 - abs(v)) * (1 if u >= 0 else -1), (1 - abs(u)) * (1 if v >= 0 else -1)
        packed[i, 0] = np.int16(round(u * 32767))
        packed[i, 1] = np.int16(round(v * 32767))
    return packed
