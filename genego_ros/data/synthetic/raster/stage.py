"""A scene on the graphics card: what never changes, where all is at two moments, and the lamps' shadow maps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genego_ros.data.synthetic.raster import light, materials
from genego_ros.data.synthetic.raster.card import ROW, context, image, program, set_uniforms, table
from genego_ros.data.synthetic.raster.geometry import Geometry, Placed, in_view
from genego_ros.data.synthetic.scene import Moment, Scene
from genego_ros.types import Array, BoolArray

SHADOW_MAP = 1024
"""Side of a lamp's shadow map."""
LIT_RADIUS = 1.1
"""Metres around a lamp's target within which shadows are fine and of everything; beyond, only of what stands still."""


@dataclass
class Slot:
    """Room for the vertices of one moment."""

    buffer: Any
    table: Any
    visible: Any
    """Vertex array for what a camera sees."""
    shadows: Any
    """Vertex array for shadow maps."""
    placed: Placed
    moment: Moment | None = None


class Stage:
    """What is drawn; `moving` names the meshes that moments place or bend."""

    def __init__(self, scene: Scene, moving: Collection[str]) -> None:
        card = context()
        self._owned: list[Any] = []
        self.geometry = Geometry(scene.meshes, moving)
        triangles = self.geometry.triangles
        self.mesh_of = np.append(triangles[:, 3], np.int32(-1))
        self.triangles = self._own(table(triangles, "i4"))
        self.attributes = self._own(table(self.geometry.attributes, "u4"))
        self._index = self._own(card.buffer(np.ascontiguousarray(triangles[:, :3]).tobytes()))
        meshes = self.geometry.meshes
        pictures = _distinct([mesh.material.texture for mesh in meshes])
        bumps = _distinct([mesh.material.bump for mesh in meshes])
        self.pictures = self._own(_layers([materials.linear(picture) for picture in pictures], 4))
        self.slopes = self._own(_layers([materials.slopes(bump) for bump in bumps], 2))
        rows = materials.material_rows(meshes, _numbered(pictures), _numbered(bumps))
        self.materials = self._own(card.texture((3, len(rows)), 4, rows.tobytes(), dtype="f4"))
        self._rest = self.geometry.place(Moment({}))
        self._slots = [self._slot(), self._slot()]

        lamps = scene.lights
        self.narrow_views = [light.lamp_view(lamp, LIT_RADIUS, 150.0, SHADOW_MAP) for lamp in lamps]
        self.wide_views = [light.lamp_view(lamp, 8.0, 150.0, SHADOW_MAP) for lamp in lamps]
        self._still_maps, self.maps = self._maps(len(lamps)), self._maps(len(lamps))
        self._shadows_of: Moment | None = None
        still = np.arange(len(meshes)) < self.geometry.still
        self._draw_shadows(self._slots[0], self.narrow_views, self._still_maps, 0, still)
        self._draw_shadows(self._slots[0], self.wide_views, self._still_maps, 1, still)

    def close(self) -> None:
        for owned in self._owned:
            owned.release()

    def at(self, moment: Moment, keep: Slot | None = None) -> Slot:
        """The slot with that very moment's vertices; written into one that is not `keep` where it is not there."""
        for slot in self._slots:
            if slot.moment is moment:
                return slot
        slot = self._slots[1] if keep is self._slots[0] else self._slots[0]
        slot.moment, slot.placed = moment, self.geometry.place(moment)
        first = int(self.geometry.starts[self.geometry.still])
        slot.buffer.write(np.ascontiguousarray(slot.placed.vertices[first:]).tobytes(), offset=16 * first)
        _write_rows(slot.table, slot.placed.vertices, first)
        return slot

    def cast_shadows(self, slot: Slot) -> None:
        """Makes `maps` those of the slot's moment."""
        if self._shadows_of is slot.moment:
            return
        self._shadows_of = slot.moment
        context().copy_framebuffer(self.maps, self._still_maps)
        moves = np.arange(len(self.geometry.meshes)) >= self.geometry.still
        self._draw_shadows(slot, self.narrow_views, self.maps, 0, moves)

    def ranges(self, shown: BoolArray) -> list[tuple[int, int]]:
        """First triangle and number of triangles of each run of meshes that are shown, bool (M,)."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], shown, [False]]).astype(np.int8)))
        firsts = self.geometry.first_triangle[edges]
        return [(int(a), int(b - a)) for a, b in zip(firsts[::2], firsts[1::2], strict=True)]

    def _draw_shadows(
        self, slot: Slot, views: Sequence[light.LampView], maps: Any, column: int, meshes: BoolArray
    ) -> None:
        card = context()
        card.enable_only(card.BLEND)  # the least distance stays, whatever the order
        card.blend_equation, card.blend_func = card.MIN, (card.ONE, card.ONE)
        maps.use()
        for number, view in enumerate(views):
            maps.viewport = (column * SHADOW_MAP, number * SHADOW_MAP, SHADOW_MAP, SHADOW_MAP)
            set_uniforms(program("triangles.vert", "distance.frag"), clip_from_world=view.clip_from_world)
            for first, count in self.ranges(meshes & in_view(slot.placed, view.clip_from_world)):
                slot.shadows.render(vertices=3 * count, first=3 * first)

    def _slot(self) -> Slot:
        card = context()
        buffer = self._own(card.buffer(self._rest.vertices.tobytes()))
        layout = [(buffer, "3f 4x", "position")]
        visible, shadows = (
            self._own(card.vertex_array(program("triangles.vert", fragment), layout, self._index))
            for fragment in ("visibility.frag", "distance.frag")
        )
        return Slot(buffer, self._own(table(self._rest.vertices, "u4")), visible, shadows, self._rest)

    def _maps(self, lamps: int) -> Any:
        """A framebuffer with a row of two shadow maps a lamp: the narrow one, the wide one."""
        distances = self._own(image((2 * SHADOW_MAP, SHADOW_MAP * max(lamps, 1)), 1, "f4"))
        maps = self._own(context().framebuffer([distances]))
        maps.clear(1e9)
        return maps

    def _own(self, made: Any) -> Any:
        self._owned.append(made)
        return made


def _distinct(arrays: Sequence[Array | None]) -> list[Array]:
    """The arrays, each once."""
    return list({id(array): array for array in arrays if array is not None}.values())


def _numbered(arrays: Sequence[Array]) -> dict[int, int]:
    return {id(array): number for number, array in enumerate(arrays)}


def _layers(pictures: Sequence[Array], channels: int) -> Any:
    """A mip-mapped texture array that repeats."""
    side = materials.side_of(pictures)
    layers = np.ones((max(len(pictures), 1), side, side, channels), np.float16)
    for layer, picture in zip(layers, pictures, strict=False):
        layer[..., : picture.shape[-1]] = materials.squared(picture, side)
    made = context().texture_array((side, side, len(layers)), channels, layers.tobytes(), dtype="f2")
    made.build_mipmaps()
    # A change of level shows in colours, hardly in slopes; one level is quicker than two.
    card = context()
    made.filter = (card.LINEAR_MIPMAP_LINEAR if channels == 4 else card.LINEAR_MIPMAP_NEAREST, card.LINEAR)
    return made


def _write_rows(texture: Any, vertices: Array, first: int) -> None:
    """Writes the vertices from `first` on into a table, by whole rows."""
    row, last = first // ROW, -(-len(vertices) // ROW)
    if row < last:
        padded = np.zeros(((last - row) * ROW, 4), vertices.dtype)
        padded[: len(vertices) - row * ROW] = vertices[row * ROW :]
        texture.write(padded.tobytes(), viewport=(0, row, ROW, last - row))
