"""Shapes that rooms and things are built of, with texture coordinates in metres.

A `Solid` is moved about and then merged with others of its material into a `Mesh` (`merge`). Edges are rounded,
because nothing real has sharp ones and the glint along an edge is what makes a thing look solid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from genego_ros.data.synthetic.scene import IndexArray, Material, Mesh
from genego_ros.data.synthetic.shapes import weld
from genego_ros.geometry import rigid
from genego_ros.types import Float64Array

Tint = tuple[float, float, float]
"""Linear RGB that multiplies the material's colour."""


@dataclass(frozen=True)
class Solid:
    """A surface without a material."""

    vertices: Float64Array
    """float64 (V, 3), metres."""
    faces: IndexArray
    """int32 (F, 3), counter-clockwise from outside."""
    uv: Float64Array
    """float64 (V, 2): metres along the surface, or 0 to 1 over it where it is to show a whole picture."""
    tint: Tint = (1.0, 1.0, 1.0)
    sharp: bool = False
    """Faces that do not share vertices meet at an edge, even where the vertices are at the same place."""

    def at(self, place: ArrayLike, yaw: float = 0.0) -> Solid:
        """Turned about its own z by `yaw` radians, then moved."""
        turn = Rotation.from_rotvec([0.0, 0.0, yaw]).as_matrix()
        return self.posed(rigid.compose(turn, place))

    def turned(self, axis: ArrayLike, radians: float) -> Solid:
        """Turned about an axis through the origin."""
        turn = Rotation.from_rotvec(np.asarray(axis, np.float64) * radians).as_matrix()
        return self.posed(rigid.compose(turn, np.zeros(3)))

    def posed(self, T: Float64Array) -> Solid:
        return replace(self, vertices=rigid.apply(T, self.vertices))

    def tinted(self, tint: Tint) -> Solid:
        return replace(self, tint=tint)

    def shifted(self, uv: ArrayLike) -> Solid:
        """Showing another part of the texture."""
        return replace(self, uv=self.uv + np.asarray(uv, np.float64))


def merge(name: str, solids: Sequence[Solid], material: Material, whole: bool = False) -> Mesh:
    """One mesh of all solids. `whole`: their texture coordinates are 0 to 1 instead of metres."""
    starts = np.cumsum([0, *(len(solid.vertices) for solid in solids[:-1])])
    vertices = np.concatenate([solid.vertices for solid in solids])
    uv = np.concatenate([solid.uv for solid in solids]) / (1.0 if whole else material.tile)
    faces = np.concatenate([solid.faces + start for solid, start in zip(solids, starts, strict=True)])
    tints = None
    if any(solid.tint != (1.0, 1.0, 1.0) for solid in solids):
        counts = [len(solid.vertices) for solid in solids]
        tints = np.repeat(np.asarray([solid.tint for solid in solids], np.float32), counts, axis=0)
    welds = [_weld(solid) + start for solid, start in zip(solids, starts, strict=True)]
    return Mesh(
        name=name,
        vertices=vertices.astype(np.float32),
        faces=faces.astype(np.int32),
        uv=uv.astype(np.float32),
        material=material,
        colors=tints,
        weld=np.concatenate(welds).astype(np.int32),
    )


def _weld(solid: Solid) -> IndexArray:
    """The first vertex at the same place within a hundredth of a millimetre, int32 (V,)."""
    return np.arange(len(solid.vertices), dtype=np.int32) if solid.sharp else weld(solid.vertices, 1e5)


@dataclass
class Assembly:
    """Collects solids by material, so that each look becomes one mesh."""

    _groups: dict[tuple[int, bool], tuple[Material, list[Solid]]] = field(default_factory=dict)

    def add(self, material: Material, *solids: Solid, whole: bool = False) -> None:
        _, group = self._groups.setdefault((id(material), whole), (material, []))
        group.extend(solids)

    def place(self, other: Assembly, T: Float64Array) -> None:
        """All of another assembly, moved."""
        for (_, whole), (material, solids) in other._groups.items():
            self.add(material, *(solid.posed(T) for solid in solids), whole=whole)

    def meshes(self, prefix: str) -> tuple[Mesh, ...]:
        """Named prefix0, prefix1, ..."""
        return tuple(
            merge(f"{prefix}{number}", solids, material, whole)
            for number, ((_, whole), (material, solids)) in enumerate(self._groups.items())
        )

    @property
    def vertices(self) -> Float64Array:
        """float64 (V, 3), of all solids."""
        return np.concatenate([solid.vertices for _, group in self._groups.values() for solid in group])


def _quads(rows: int, columns: int) -> IndexArray:
    """Faces of a grid of rows x columns vertices."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    a, b, c, d = corner, corner + 1, corner + columns + 1, corner + columns
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)


def panel(width: float, height: float, whole: bool = True) -> Solid:
    """An upright rectangle in the plane y = 0 that faces -y, its lower edge centred on the origin; u runs to +x, which
    is to the right for who looks at it. The picture fills it, or texture coordinates are metres.
    """
    x = np.array([-0.5, 0.5, 0.5, -0.5]) * width
    z = np.array([0.0, 0.0, 1.0, 1.0]) * height
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float64)
    if not whole:
        uv *= [width, height]
    return Solid(np.stack([x, np.zeros(4), z], axis=1), np.array([[0, 1, 2], [0, 2, 3]], np.int32), uv)


def sheet(
    point: Callable[[Float64Array, Float64Array], Float64Array], size: tuple[float, float], columns: int, rows: int = 0
) -> Solid:
    """A surface over the unit square: `point` maps u, v, each (N,), to (N, 3); `size` is its extent in metres.

    `columns` x `rows` is how it is divided, by default into squares.

    Seen from outside, u x v points at the viewer.
    """
    rows = rows or max(2, round(columns * size[1] / size[0]))
    u, v = (grid.ravel() for grid in np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1)))
    return Solid(point(u, v), _quads(rows + 1, columns + 1), np.stack([u * size[0], v * size[1]], axis=1))


def box(size: ArrayLike, edge: float = 0.0, grain: int = 0, segments: int = 1) -> Solid:
    """A box on the plane z = 0, centred above the origin, with rounded edges.

    Args:
        size: (3,), metres.
        edge: radius of the edges; 0 leaves them sharp.
        grain: the axis along which texture's u runs.
        segments: of a quarter of an edge's rounding, times two.
    """
    extent = np.asarray(size, np.float64)
    # Built with the grain along x and the thinner of the other two along z, where the texture unfolds best.
    across = [axis for axis in range(3) if axis != grain]
    flat = min(across, key=lambda axis: extent[axis])
    order = [grain, 3 - grain - flat, flat]
    solid = _rounded(extent[order] / 2, min(edge, 0.49 * float(extent.min())), segments)
    vertices = np.empty_like(solid.vertices)
    vertices[:, order] = solid.vertices
    odd = order in ([1, 0, 2], [0, 2, 1], [2, 1, 0])
    faces = solid.faces[:, ::-1] if odd else solid.faces
    return Solid(vertices + np.array([0, 0, extent[2] / 2]), np.ascontiguousarray(faces), solid.uv, sharp=edge == 0)


def _rounded(half: Float64Array, edge: float, segments: int) -> Solid:
    """A box about the origin; texture coordinates unfold from its +z side."""
    vertices, faces, uvs = [], [], []
    start = 0
    for axis in range(3):
        for sign in (-1.0, 1.0):
            a, b = (axis + 1) % 3, (axis + 2) % 3
            if sign < 0:
                a, b = b, a
            lines = [_lines(half[k], edge, segments) for k in (a, b)]
            grid_a, grid_b = np.meshgrid(*lines)
            points = np.empty((grid_a.size, 3))
            points[:, a], points[:, b], points[:, axis] = grid_a.ravel(), grid_b.ravel(), sign * half[axis]
            uvs.append(_unfold(points, half, axis, sign))
            if edge > 0:
                inner = np.clip(points, edge - half, half - edge)
                away = points - inner
                points = inner + edge * away / np.linalg.norm(away, axis=1, keepdims=True)
            vertices.append(points)
            faces.append(_quads(len(lines[1]), len(lines[0])) + start)
            start += len(points)
    return Solid(np.concatenate(vertices), np.concatenate(faces).astype(np.int32), np.concatenate(uvs))


def _lines(half: float, edge: float, segments: int) -> Float64Array:
    """Where a side of a rounded box is divided: its flat part once, its two edges by equal angles."""
    if edge == 0:
        return np.array([-half, half])
    rounding = edge * np.tan(np.linspace(0, np.pi / 4, segments + 1))
    outer = half - edge + rounding
    return np.concatenate([-outer[::-1], outer])


def _unfold(points: Float64Array, half: Float64Array, axis: int, sign: float) -> Float64Array:
    """Texture coordinates in metres of points on one side: +z as seen from above, the others folded down from it."""
    x, y, z = points.T
    if axis == 0:
        return np.stack([sign * (half[0] + half[2] - z), y], axis=1)
    if axis == 1:
        return np.stack([x, sign * (half[1] + half[2] - z)], axis=1)
    if sign > 0:
        return np.stack([x, y], axis=1)
    return np.stack([x, y + 2 * (half[1] + half[2])], axis=1)


def lathe(profile: ArrayLike, segments: int = 24) -> Solid:
    """What turning a profile about z makes.

    Args:
        profile: (P, 2), radius and height in metres, from the bottom up along the outside (and down again inside).
        segments: around.
    """
    outline = np.asarray(profile, np.float64)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    angle[-1] = 0.0  # the same place to the last bit
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(outline, axis=0), axis=1))])
    radius, height = outline[:, :1], outline[:, 1:]
    points = np.stack(
        [radius * np.cos(angle), radius * np.sin(angle), np.broadcast_to(height, (len(outline), len(angle)))]
    )
    around = np.linspace(0, 2 * np.pi, segments + 1) * outline[:, 0].max()
    uv = np.stack(np.broadcast_arrays(around[None], -along[:, None]), axis=-1)
    return Solid(points.reshape(3, -1).T, _quads(len(outline), segments + 1), uv.reshape(-1, 2))


def cylinder(radius: float, height: float, edge: float = 0.0015, segments: int = 20) -> Solid:
    """A closed cylinder that stands on the plane z = 0."""
    edge = min(edge, 0.4 * radius, 0.4 * height)
    profile = [
        (1e-6, 0),
        (radius - edge, 0),
        (radius, edge),
        (radius, height - edge),
        (radius - edge, height),
        (1e-6, height),
    ]
    return lathe(profile, segments)


def vessel(outside: ArrayLike, wall: float, floor: float, segments: int = 28) -> Solid:
    """An open vessel: its outer profile (P, 2) from the foot's rim up, made `wall` metres thick with a `floor`."""
    outer = np.asarray(outside, np.float64)
    inner = outer[::-1] - np.array([wall, 0.0])
    low = np.interp(2 * floor, outer[:, 1], outer[:, 0]) - wall
    inner = np.vstack([inner[inner[:, 1] > 2 * floor], [low, 2 * floor]])
    lip = [(outer[-1, 0] - wall / 2, outer[-1, 1] + wall / 2)]
    bottom = [(1e-6, 0.0), (outer[0, 0] * 0.97, 0.0)]
    inside = [(low * 0.85, floor), (1e-6, floor)]
    return lathe([*bottom, *outer, *lip, *inner, *inside], segments)


def tube(path: ArrayLike, radius: float, sides: int = 8) -> Solid:
    """A round bar along points (P, 3), its ends open; radius in metres."""
    points = np.asarray(path, np.float64)
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    first = np.cross(along[0], [0.0, 0.0, 1.0] if abs(along[0, 2]) < 0.9 else [1.0, 0.0, 0.0])
    normals = [first / np.linalg.norm(first)]
    for direction in along[1:]:  # carried along without twist
        carried = normals[-1] - (normals[-1] @ direction) * direction
        normals.append(carried / np.linalg.norm(carried))
    normal = np.asarray(normals)
    binormal = np.cross(along, normal)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    angle[-1] = 0.0
    ring = np.cos(angle)[None, :, None] * normal[:, None] + np.sin(angle)[None, :, None] * binormal[:, None]
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    uv = np.stack(np.broadcast_arrays(length[:, None], np.linspace(0, 2 * np.pi, sides + 1) * radius), axis=-1)
    faces = _quads(len(points), sides + 1)
    return Solid((points[:, None] + radius * ring).reshape(-1, 3), faces, uv.reshape(-1, 2))


def blob(size: ArrayLike, rng: np.random.Generator | None = None, lumps: float = 0.0, segments: int = 14) -> Solid:
    """An ellipsoid on the plane z = 0, of that size (3,) in metres; `lumps` is the share by which it is uneven."""
    polar = np.linspace(np.pi - 1e-3, 1e-3, segments // 2 + 2)
    ball = lathe(np.stack([np.sin(polar), np.cos(polar)], axis=1), segments)
    unit = ball.vertices.copy()
    if rng is not None:
        for _ in range(3):
            direction = rng.normal(size=3)
            unit *= 1 + lumps * np.sin(2 * unit @ direction + rng.uniform(0, 6))[:, None] / 3
    unit = unit / np.abs(unit).max(axis=0)
    vertices = unit * np.asarray(size, np.float64) / 2
    return Solid(vertices - [0, 0, vertices[:, 2].min()], ball.faces, ball.uv * float(np.max(size)) / 2)
