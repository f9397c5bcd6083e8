"""Hand-size things of everyday life as procedural meshes; every instance has its own size, colours and print.

The object's frame: origin in the middle of the closed object's bounding box, z up as it stands on a table, front
towards -y.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from genego_ros.data.synthetic import labels, shapes
from genego_ros.data.synthetic.labels import Paint
from genego_ros.data.synthetic.scene import Material, Mesh
from genego_ros.data.synthetic.shapes import Distance, DistanceField, Surface
from genego_ros.errors import GenEgoError
from genego_ros.geometry import rigid
from genego_ros.types import SIDES, Float64Array, Side

GripKind = Literal["wrap", "pinch", "span"]

X, Y, Z = np.eye(3)


@dataclass(frozen=True)
class Grip:
    """A way to take hold of an object, said roughly; `grasp.find_grasp` finds the hand's pose for it."""

    kind: GripKind
    """`wrap`: all fingers and the palm around it; `pinch`: thumb against two or three finger tips; `span`: a wide
    thing between thumb and finger tips."""
    centre: Float64Array
    """float64 (3,), metres, object frame: the point between the thumb and the fingers."""
    approach: Float64Array
    """float64 (3,), unit, object frame: from the hand's palm to the object."""
    thumb: Float64Array
    """float64 (3,), unit, object frame: where the thumb's side of the hand (the wrist's x axis) looks."""
    width: float
    """Metres between thumb and fingers."""
    turns: bool = False
    """The object is round: the hand may come from any side, by turning the grip about the object's z axis."""
    table: bool = True
    """It can be reached while the object stands on the table."""
    part: int = 0
    """Which of the object's parts is held."""
    sides: tuple[Side, ...] = SIDES
    """The hands that it is for."""

    def turned(self, yaw: float) -> Grip:
        """The grip from another side: turned about the object's z axis by radians."""
        turn = Rotation.from_rotvec([0.0, 0.0, yaw])
        return replace(
            self, centre=turn.apply(self.centre), approach=turn.apply(self.approach), thumb=turn.apply(self.thumb)
        )

    def moved(self, shift: Float64Array) -> Grip:
        return replace(self, centre=self.centre + shift)


@dataclass(frozen=True)
class Part:
    """A rigid piece of an object."""

    name: str
    meshes: tuple[Mesh, ...]
    """In the object's frame, where the closed object has them."""
    distance: Distance
    """Signed distance in metres from points (N, 3) of the object's frame. What a hand meets: cavities too small
    for a hand count as full."""

    @cached_property
    def bounds(self) -> tuple[Float64Array, Float64Array]:
        """Lowest and highest corner (3,), metres, object frame."""
        vertices = np.concatenate([mesh.vertices for mesh in self.meshes]).astype(np.float64)
        return vertices.min(axis=0), vertices.max(axis=0)

    @cached_property
    def field(self) -> DistanceField:
        return DistanceField.sample(self.distance, *self.bounds)


@dataclass(frozen=True)
class ObjectModel:
    """One object: how it looks, where it ends and how it is held."""

    number: int
    """Its class, from 1: the number of its folder in a data set."""
    name: str
    color: str
    parts: tuple[Part, ...]
    """The body, and a lid or cap where it has one that comes off."""
    grips: tuple[Grip, ...]
    verbs: tuple[str, ...]
    """What is done with it besides taking and placing; names of `action.VERBS`."""

    @property
    def meshes(self) -> tuple[Mesh, ...]:
        return tuple(mesh for part in self.parts for mesh in part.meshes)

    @cached_property
    def size(self) -> Float64Array:
        """float64 (3,), metres: the closed object's bounding box, which is centred on the origin."""
        bounds = np.array([part.bounds for part in self.parts])
        return bounds[:, 1].max(axis=0) - bounds[:, 0].min(axis=0)

    @property
    def base(self) -> float:
        """z of the table's top in the object's frame, metres."""
        return -float(self.size[2]) / 2

    def distance(self, points: Float64Array) -> Float64Array:
        """Signed distance (N,) in metres of points (N, 3), object frame, from the closed object; negative inside."""
        return np.minimum.reduce([part.distance(points) for part in self.parts])


def make_object(number: int, rng: Generator) -> ObjectModel:
    """An instance of a class.

    Raises:
        GenEgoError: there is no class of that number.
    """
    if number not in OBJECT_NAMES:
        raise GenEgoError(f"there is no object class {number}; the classes are 1 to {len(OBJECT_NAMES)}")
    built = MAKERS[number - 1][1](rng)
    return _centred(number, OBJECT_NAMES[number], built)


@dataclass
class _Built:
    """An object as its maker leaves it, in any frame with z up."""

    color: str
    parts: list[tuple[str, list[tuple[Surface, Material]], Distance]]
    grips: list[Grip]
    verbs: tuple[str, ...]


def _centred(number: int, name: str, built: _Built) -> ObjectModel:
    points = np.concatenate([s.vertices for _, surfaces, _ in built.parts for s, _ in surfaces]).astype(np.float64)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    T = rigid.compose(np.eye(3), -middle)
    parts = []
    for part_name, surfaces, distance in built.parts:
        meshes = []
        for k, (surface, material) in enumerate(surfaces):
            vertices, faces, uv = surface.moved(T)
            mesh = Mesh(f"object.{part_name}.{k}", vertices, faces, uv, material, weld=shapes.weld(vertices))
            meshes.append(mesh)
        parts.append(Part(part_name, tuple(meshes), shapes.placed(distance, T)))
    grips = tuple(grip.moved(-middle) for grip in built.grips)
    return ObjectModel(number, name, built.color, tuple(parts), grips, built.verbs)


def _at(x: float, y: float, z: float) -> Float64Array:
    return rigid.compose(np.eye(3), [x, y, z])


def _point(x: float, y: float, z: float) -> Float64Array:
    return np.array([x, y, z], np.float64)


def _plain(color: Paint, roughness: float = 0.45, metallic: float = 0.0) -> Material:
    return Material(color.linear, roughness=roughness, metallic=metallic)


STEEL = Material((0.56, 0.56, 0.55), roughness=0.28, metallic=1.0)


def _can(rng: Generator) -> _Built:
    """A drink can: 0.25 to 0.5 litres."""
    radius, height = rng.uniform(0.029, 0.034), rng.uniform(0.112, 0.165)
    color = labels.paint(rng)
    neck = 0.8 * radius
    profile = shapes.rounded(
        [[0, 0.008], [0.6 * radius, 0.004], [neck, 0], [radius, 0.012], [radius, height - 0.016], [neck, height - 0.003],
         [neck, height], [neck - 0.002, height], [neck - 0.003, height - 0.004], [0, height - 0.004]],
        [0, 0.003, 0.004, 0.012, 0.012, 0.002, 0.001, 0.001, 0.001, 0],
    )  # fmt: skip
    band = [
        [radius - 0.001, 0.013],
        [radius + 0.0003, 0.013],
        [radius + 0.0003, height - 0.017],
        [radius - 0.001, height - 0.017],
    ]
    printed = Material(texture=labels.label(rng, color, 1024, 512, 2), roughness=0.3, metallic=0.3)
    outer = shapes.turned_distance(profile)
    wrap = Grip("wrap", _point(0, 0, 0.5 * height), Y, Z, 2 * radius, turns=True)
    top = Grip("pinch", _point(0, 0, height - 0.012), -Z, -X, 2 * radius, turns=True)
    surfaces = [(shapes.turned(profile), STEEL), (shapes.turned(shapes.rounded(band, 0)), printed)]
    return _Built(color.name, [("body", surfaces, outer)], [wrap, top], ("pour",))


def _cereal_box(rng: Generator) -> _Built:
    width, depth, height = rng.uniform(0.13, 0.18), rng.uniform(0.045, 0.065), rng.uniform(0.2, 0.27)
    color = labels.paint(rng)
    outline = shapes.rectangle(width, depth, 0.002, 2)
    side, bottom, top = shapes.extruded(outline, height, 0.0015, 2)
    share = width / (2 * (width + depth))
    front = labels.label(rng, color, 512, 768)
    edge = labels.label(rng, color, max(32, int(512 * (1 - 2 * share) / (2 * share))), 768, 1)
    around = np.concatenate([front, edge, front, edge], axis=1)
    card = Material(texture=around, roughness=0.55)
    plain = _plain(color, 0.6)
    surfaces = [(side, card), (bottom, plain), (top, plain)]
    grips = [Grip("wrap", _point(0.25 * width * s, 0, 0.05 * height), -s * X, Z, depth) for s in (-1.0, 1.0)]
    grips += [Grip("pinch", _point(0, 0, height / 2 - 0.02), -Z, s * X, depth) for s in (-1.0, 1.0)]
    return _Built(
        color.name, [("body", surfaces, shapes.extruded_distance(outline, height, 0.0015))], grips, ("pour", "read")
    )


def _book(rng: Generator) -> _Built:
    width, depth, height = rng.uniform(0.11, 0.135), rng.uniform(0.17, 0.21), rng.uniform(0.022, 0.036)
    color = labels.paint(rng)
    board = 0.0022
    sheets = np.full((64, 64, 3), (228, 222, 205), np.uint8)
    sheets[rng.random(64) < 0.4] -= 14
    surfaces: list[tuple[Surface, Material]] = []
    outline = shapes.rectangle(width, depth, 0.002, 2)
    cloth = _plain(color, 0.5)
    printed = Material(texture=labels.cover(rng, color, 384, 576), roughness=0.4)
    for z, face in ((-height / 2 + board / 2, None), (height / 2 - board / 2, printed)):
        hull, bottom, top = (s.moved(_at(0, 0, z)) for s in shapes.extruded(outline, board, 0.0006, 2))
        surfaces += [(hull, cloth), (bottom, cloth), (top, face or cloth)]
    inner = shapes.rectangle(width - 0.006, depth - 0.008, 0.001, 1)
    hull, _, _ = shapes.extruded(inner, height - 2 * board, 0.0002, 1)
    surfaces.append((hull.moved(_at(-0.002, 0, 0)), Material(texture=sheets, roughness=0.8)))
    spine = shapes.rectangle(0.004, depth, 0.0018, 3)
    hull, bottom, top = (s.moved(_at(-width / 2 + 0.002, 0, 0)) for s in shapes.extruded(spine, height, 0.0004, 1))
    surfaces += [(hull, cloth), (bottom, cloth), (top, cloth)]
    span = [Grip("span", _point(0, y, 0), -Z, s * Y, width) for y, s in ((-0.02, 1.0), (0.02, -1.0))]
    edges = [
        Grip("pinch", _point(s * (width / 2 - 0.025), -0.02, 0), -s * X, Y, height, table=False, sides=(side,))
        for s, side in ((-1.0, SIDES[0]), (1.0, SIDES[1]))
    ]
    return _Built(
        color.name, [("body", surfaces, shapes.extruded_distance(outline, height, 0.001))], [*span, *edges], ("read",)
    )


MAKERS: tuple[tuple[str, Callable[[Generator], _Built]], ...] = (
    ("can", _can),
    ("cereal box", _cereal_box),
    ("book", _book),
)
OBJECT_NAMES: dict[int, str] = {number: name for number, (name, _) in enumerate(MAKERS, start=1)}
"""Class number to name."""
