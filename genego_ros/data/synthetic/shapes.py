"""Surfaces of turned, extruded and bent things, and how far points are from them.

Three ways of making cover the things on a table: a profile turned about z (bottles, cans, bowls), an outline
extruded along z (boxes, books, cartons) and a path with a thickness (handles, grips). Corners are rounded where
the profile or outline is: `rounded` does it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from genego_ros.data.synthetic.scene import IndexArray
from genego_ros.geometry.rigid import Floating
from genego_ros.types import Float64Array, FloatArray

Distance = Callable[[Float64Array], Float64Array]
"""Signed distances (N,) in metres of points (N, 3), negative inside."""


class Surface(NamedTuple):
    """Triangles with texture coordinates; the fields are those of `scene.Mesh`."""

    vertices: FloatArray
    faces: IndexArray
    uv: FloatArray

    def moved(self, T: Float64Array) -> Surface:
        """The surface in another frame, by a rigid T (4, 4)."""
        moved = self.vertices.astype(np.float64) @ T[:3, :3].T + T[:3, 3]
        return self._replace(vertices=moved.astype(np.float32))


def rounded(corners: ArrayLike, radius: ArrayLike, steps: int = 4, closed: bool = False) -> Float64Array:
    """A polyline (N, 2) whose corners are arcs of a radius (one for all, or one each; 0 keeps the corner).

    An arc takes at most 45 percent of the shorter edge beside it.
    """
    points = np.asarray(corners, np.float64)
    radii = np.broadcast_to(radius, len(points))
    out: list[Float64Array] = []
    for i, (corner, r) in enumerate(zip(points, radii, strict=True)):
        if r <= 0 or (not closed and i in (0, len(points) - 1)):
            out.append(corner)
            continue
        back, ahead = points[i - 1] - corner, points[(i + 1) % len(points)] - corner
        short = 0.45 * min(np.linalg.norm(back), np.linalg.norm(ahead))
        back, ahead = back / np.linalg.norm(back), ahead / np.linalg.norm(ahead)
        half = np.arccos(np.clip(back @ ahead, -1.0, 1.0)) / 2
        if half > np.pi / 2 - 0.02:
            out.append(corner)
            continue
        reach = min(r / np.tan(half), short)
        centre = corner + (back + ahead) / np.linalg.norm(back + ahead) * reach / np.cos(half)
        start, end = corner + back * reach - centre, corner + ahead * reach - centre
        turn = np.arctan2(start[0] * end[1] - start[1] * end[0], start @ end)
        for angle in np.linspace(0.0, turn, steps + 1):
            c, s = np.cos(angle), np.sin(angle)
            out.append(centre + np.array([c * start[0] - s * start[1], s * start[0] + c * start[1]]))
    return np.array(out)


def rectangle(width: float, depth: float, radius: float, steps: int = 4) -> Float64Array:
    """An outline (N, 2) about the origin, counter-clockwise from the front left corner: front is -y."""
    x, y = width / 2, depth / 2
    return rounded([[-x, -y], [x, -y], [x, y], [-x, y]], radius, steps, closed=True)


def circle(radius: float, sides: int = 32) -> Float64Array:
    angle = np.arange(sides) * 2 * np.pi / sides
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def turned(profile: ArrayLike, sides: int = 56) -> Surface:
    """A profile (N, 2) of radius and height turned about z.

    The profile runs from the axis below outwards and up; hollow things go on over the rim and down again.
    u runs around, v from 0 at the profile's end to 1 at its start.
    """
    profile = np.asarray(profile, np.float64)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    vertices = np.empty((len(profile), sides + 1, 3))
    vertices[..., :2] = profile[:, None, :1] * ring
    vertices[..., 2] = profile[:, None, 1]
    return _grid(vertices, _lengths(profile), angle / (2 * np.pi))


def extruded(outline: ArrayLike, height: float, bevel: float, steps: int = 3) -> tuple[Surface, Surface, Surface]:
    """An outline (N, 2), counter-clockwise and star-shaped about the origin, from z = -height / 2 to height / 2.

    Returns side, bottom and top. The side (with the bevels) has u along the outline and v down; bottom and top
    have the unit square over the outline's bounding box, each upright as seen from its own side with -y below.
    """
    outline = np.asarray(outline, np.float64)
    loop = np.vstack([outline, outline[:1]])
    turn = np.linspace(0, np.pi / 2, steps + 1)
    inset = bevel * (1 - np.sin(turn))
    rise = -height / 2 + bevel * (1 - np.cos(turn))
    inset, rise = np.append(inset, inset[::-1]), np.append(rise, -rise[::-1])
    rings = np.empty((len(inset), len(loop), 3))
    rings[..., :2] = loop - inset[:, None, None] * _outward(outline)
    rings[..., 2] = rise[:, None]
    side = _grid(rings, (rise - rise[0]) / (rise[-1] - rise[0]), _lengths(loop))
    return side, _lid(rings[0, :-1], below=True), _lid(rings[-1, :-1], below=False)


def bent(path: ArrayLike, radii: ArrayLike, sides: int = 20) -> Surface:
    """A tube along a path (N, 3) with half-axes `radii` (N, 2), across and in the plane of the path; closed ends.

    A straight path lies in the plane of itself and x, or y where it runs along x.
    """
    path, radii = np.asarray(path, np.float64), np.asarray(radii, np.float64)
    tangent, across, inner = _frames(path)
    # Hemispheres close the ends, or they would look sawn off.
    cap = np.linspace(0, np.pi / 2, 5)[:-1]
    stations = [(0, -np.cos(c), np.sin(c)) for c in cap] + [(i, 0.0, 1.0) for i in range(len(path))]
    stations += [(len(path) - 1, np.sin(c), np.cos(c)) for c in (np.pi / 2 - cap[::-1])]
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    rings = np.empty((len(stations), sides + 1, 3))
    for row, (i, along, share) in enumerate(stations):
        size = share * radii[i]
        rings[row] = path[i] + along * radii[i].min() * tangent[i]
        rings[row] += size[0] * np.cos(angle)[:, None] * across[i] + size[1] * np.sin(angle)[:, None] * inner[i]
    return _grid(rings, _lengths(rings.mean(axis=1)), angle / (2 * np.pi))


def weld(vertices: NDArray[Floating], per_metre: float = 1e6) -> IndexArray:
    """int32 (V,): the first of vertices (V, 3) in the same place, as `scene.Mesh.weld` wants it.

    Places are the cells of a grid with `per_metre` cells a metre, by default micrometres.
    """
    cells = np.round(vertices * per_metre).astype(np.int64)
    _, first, inverse = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    return first[inverse.ravel()].astype(np.int32)


def _lengths(points: Float64Array) -> Float64Array:
    """Share of the way along a polyline, 0 to 1."""
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    return way / way[-1]


def _grid(rings: Float64Array, rows: Float64Array, columns: Float64Array) -> Surface:
    """Rings (R, C, 3), from below to above and counter-clockwise from above, joined by triangles."""
    count, width = rings.shape[:2]
    corner = (np.arange(count - 1)[:, None] * width + np.arange(width - 1)).ravel()
    below, above = corner, corner + width
    faces = np.concatenate(
        [np.stack([below, below + 1, above + 1], axis=1), np.stack([below, above + 1, above], axis=1)]
    )
    vertices = rings.reshape(-1, 3)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    keep = np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-12
    u, v = np.meshgrid(columns, 1.0 - rows)
    uv = np.stack([u.ravel(), v.ravel()], axis=1)
    return Surface(vertices.astype(np.float32), faces[keep].astype(np.int32), uv.astype(np.float32))


def _lid(ring: Float64Array, below: bool) -> Surface:
    """A flat end: a fan about the middle."""
    vertices = np.vstack([ring.mean(axis=0), ring])
    first = np.arange(1, len(ring) + 1)
    second = np.roll(first, -1)
    order = [second, first] if below else [first, second]
    faces = np.stack([np.zeros_like(first), *order], axis=1)
    low, high = ring[:, :2].min(axis=0), ring[:, :2].max(axis=0)
    uv = (vertices[:, :2] - low) / (high - low)
    uv[:, 1] = 1 - uv[:, 1]
    if below:
        uv[:, 0] = 1 - uv[:, 0]
    return Surface(vertices.astype(np.float32), faces.astype(np.int32), uv.astype(np.float32))


def _outward(outline: Float64Array) -> Float64Array:
    """(N + 1, 2) outward directions at the corners, closed, as long as shifts every edge by one."""
    edge = np.roll(outline, -1, axis=0) - outline
    normal = np.stack([edge[:, 1], -edge[:, 0]], axis=1) / np.linalg.norm(edge, axis=1, keepdims=True)
    total = normal + np.roll(normal, 1, axis=0)
    miter = 2 * total / np.maximum((total**2).sum(axis=1, keepdims=True), 1e-6)
    return np.vstack([miter, miter[:1]])


def _frames(path: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Tangent, the direction across the path's plane, and the one in it, (N, 3) each."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    spread = path - path.mean(axis=0)
    _, extent, axes = np.linalg.svd(spread, full_matrices=False)
    if extent[1] > 1e-4 * extent[0]:
        plane = np.cross(axes[0], axes[1])
        # The singular vectors' signs are the library's whim.
        plane *= np.sign(plane[np.argmax(np.abs(plane))])
    else:
        plane = np.cross(tangent[0], [0.0, 1.0, 0.0] if abs(tangent[0, 0]) > 0.7 else [1.0, 0.0, 0.0])
    across = plane - (tangent @ plane)[:, None] * tangent
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return tangent, across, np.cross(tangent, across)


def turned_distance(profile: ArrayLike) -> Distance:
    """How far from the body of `turned`; exact."""
    profile = np.ascontiguousarray(profile, np.float64)

    def distance(points: Float64Array) -> Float64Array:
        flat = np.stack([np.sqrt(points[:, 0] ** 2 + points[:, 1] ** 2), points[:, 2]], axis=1)
        return _polygon_distance(flat, profile, False)

    return distance


def extruded_distance(outline: ArrayLike, height: float, bevel: float) -> Distance:
    """How far from the body of `extruded`; exact but for the mitred corners of the outline's inset."""
    outline = np.asarray(outline, np.float64)
    inner = np.ascontiguousarray(outline - bevel * _outward(outline)[:-1])

    def distance(points: Float64Array) -> Float64Array:
        across = _polygon_distance(np.ascontiguousarray(points[:, :2]), inner, True)
        along = np.abs(points[:, 2]) - (height / 2 - bevel)
        outside = np.sqrt(np.maximum(across, 0) ** 2 + np.maximum(along, 0) ** 2)
        return outside + np.minimum(np.maximum(across, along), 0) - bevel

    return distance


def bent_distance(path: ArrayLike, radii: ArrayLike) -> Distance:
    """How far from the body of `bent`; exact for round tubes, to first order for flat ones."""
    path, radii = np.ascontiguousarray(path, np.float64), np.ascontiguousarray(radii, np.float64)
    _, across, inner = _frames(path)
    return lambda points: _path_distance(points, path, radii, across, inner)


def placed(distance: Distance, T: Float64Array) -> Distance:
    """The distance of a body that a rigid T (4, 4) has moved."""
    return lambda points: distance((points - T[:3, 3]) @ T[:3, :3])


def union(*distances: Distance) -> Distance:
    def distance(points: Float64Array) -> Float64Array:
        return np.minimum.reduce([part(points) for part in distances])

    return distance


@njit(cache=True, nogil=True)
def _polygon_distance(points: Float64Array, polygon: Float64Array, closed: bool) -> Float64Array:
    """Signed distance of points (N, 2) from a polygon; not `closed`: its last edge bounds it but has no surface."""
    count = len(polygon)
    out = np.empty(len(points))
    for n in range(len(points)):
        px, py = points[n, 0], points[n, 1]
        best = np.inf
        inside = False
        for i in range(count):
            j = (i + 1) % count
            ax, ay, bx, by = polygon[i, 0], polygon[i, 1], polygon[j, 0], polygon[j, 1]
            if (ay > py) != (by > py) and px < ax + (py - ay) / (by - ay) * (bx - ax):
                inside = not inside
            if j == 0 and not closed:
                continue
            ex, ey = bx - ax, by - ay
            square = ex * ex + ey * ey
            t = 0.0 if square == 0.0 else min(1.0, max(0.0, ((px - ax) * ex + (py - ay) * ey) / square))
            dx, dy = px - ax - t * ex, py - ay - t * ey
            best = min(best, dx * dx + dy * dy)
        out[n] = -np.sqrt(best) if inside else np.sqrt(best)
    return out


@njit(cache=True, nogil=True)
def _path_distance(
    points: Float64Array, path: Float64Array, radii: Float64Array, across: Float64Array, inner: Float64Array
) -> Float64Array:
    out = np.empty(len(points))
    for n in range(len(points)):
        nearest = np.inf
        for i in range(len(path) - 1):
            e0, e1, e2 = path[i + 1, 0] - path[i, 0], path[i + 1, 1] - path[i, 1], path[i + 1, 2] - path[i, 2]
            d0, d1, d2 = points[n, 0] - path[i, 0], points[n, 1] - path[i, 1], points[n, 2] - path[i, 2]
            t = min(1.0, max(0.0, (d0 * e0 + d1 * e1 + d2 * e2) / (e0 * e0 + e1 * e1 + e2 * e2)))
            d0, d1, d2 = d0 - t * e0, d1 - t * e1, d2 - t * e2
            size_a = radii[i, 0] + t * (radii[i + 1, 0] - radii[i, 0])
            size_i = radii[i, 1] + t * (radii[i + 1, 1] - radii[i, 1])
            a = d0 * across[i, 0] + d1 * across[i, 1] + d2 * across[i, 2]
            b = d0 * inner[i, 0] + d1 * inner[i, 1] + d2 * inner[i, 2]
            length = np.sqrt(d0 * d0 + d1 * d1 + d2 * d2)
            flat = np.sqrt(a * a + b * b)
            # The section's half-axis towards the point.
            size = flat / np.sqrt((a / size_a) ** 2 + (b / size_i) ** 2) if flat > 1e-9 else min(size_a, size_i)
            nearest = min(nearest, length - size)
        out[n] = nearest
    return out


@dataclass(frozen=True)
class DistanceField:
    """A signed distance and its gradient on a grid, for points by the thousand."""

    low: Float64Array
    """float64 (3,), metres: the first grid point."""
    cell: float
    values: Float64Array
    """float64 (X, Y, Z, 4): distance in metres, and its gradient."""

    @classmethod
    def sample(
        cls, distance: Distance, low: ArrayLike, high: ArrayLike, cell: float = 0.0025, margin: float = 0.03
    ) -> DistanceField:
        """The field around the box from `low` to `high` (3,), metres."""
        low, high = np.asarray(low) - margin, np.asarray(high) + margin
        counts = np.ceil((high - low) / cell).astype(int) + 1
        axes = [low[k] + cell * np.arange(counts[k]) for k in range(3)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        values = distance(points).reshape(counts)
        gradient = np.stack(list(np.gradient(values, cell)), axis=-1)
        return cls(low, cell, np.concatenate([values[..., None], gradient], axis=-1))

    def at(self, points: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Distances (N,) and unit gradients (N, 3) at points (N, 3); beyond the grid, from its border on."""
        high = self.low + self.cell * (np.array(self.values.shape[:3]) - 1)
        inside = np.clip(points, self.low, high)
        beyond = points - inside
        away = np.linalg.norm(beyond, axis=1)
        grid = (inside - self.low) / self.cell
        base = np.minimum(grid.astype(np.int64), np.array(self.values.shape[:3]) - 2)
        share = grid - base
        found = np.zeros((len(points), 4))
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(corner, share, 1 - share), axis=1)
            found += weight[:, None] * self.values[tuple((base + corner).T)]
        gradient = found[:, 1:]
        outside = away > 0
        gradient[outside] += beyond[outside] / away[outside, None] * 2.0
        gradient /= np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-9)
        return found[:, 0] + away, gradient
