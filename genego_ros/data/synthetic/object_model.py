"""What an object is to hands: its surface, where it ends, and how it is held.

The object's frame: origin in the middle of the closed object's bounding box, z up as it stands on a table, front
towards -y.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from scipy.spatial.transform import Rotation

from genego_ros.data.synthetic import shapes
from genego_ros.data.synthetic.scene import Material, Mesh
from genego_ros.data.synthetic.shapes import Distance, DistanceField, Surface
from genego_ros.geometry import rigid
from genego_ros.types import SIDES, Float64Array, Side

GripKind = Literal["wrap", "pinch", "span"]


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

    def tilted(self, angle: float) -> Grip:
        """The grip with the hand swung by radians about its thumb's axis through the grip's middle."""
        return replace(self, approach=Rotation.from_rotvec(angle * self.thumb).apply(self.approach))

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
    face: Float64Array
    """float64 (3,), unit, object frame: out of the side that is looked at, read or sprayed from."""

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


def opposed(
    kind: GripKind, centre: Float64Array, approach: Float64Array, across: Float64Array, width: float, **more: Any
) -> list[Grip]:
    """A grip for each hand with the fingers on the side of the thing that `across` (3,) points to."""
    along = approach / np.linalg.norm(approach)
    across = across - (across @ along) * along
    thumb = np.cross(across / np.linalg.norm(across), along)
    return [
        Grip(kind, centre, along, sign * thumb, width, sides=(side,), **more)
        for side, sign in zip(SIDES, (-1, 1), strict=True)
    ]


@dataclass
class Made:
    """An object as its maker leaves it, in any frame with z up."""

    color: str
    surfaces: list[tuple[Surface, Material]]
    distance: Distance
    grips: list[Grip]
    verbs: tuple[str, ...] = ()
    face: tuple[float, float, float] = (0.0, -1.0, 0.0)
    lid: list[tuple[Surface, Material]] = field(default_factory=list)
    lid_distance: Distance | None = None


def centred(number: int, name: str, made: Made) -> ObjectModel:
    """The object with its frame in the middle of its bounding box."""
    points = np.concatenate([s.vertices for s, _ in made.surfaces + made.lid]).astype(np.float64)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    T = rigid.compose(np.eye(3), -middle)
    parts = []
    for part, surfaces, distance in (("body", made.surfaces, made.distance), ("lid", made.lid, made.lid_distance)):
        if distance is None:
            continue
        meshes = []
        for k, (surface, material) in enumerate(surfaces):
            vertices, faces, uv = surface.moved(T)
            mesh = Mesh(f"object.{part}.{k}", vertices, faces, uv, material, weld=shapes.weld(vertices))
            meshes.append(mesh)
        parts.append(Part(part, tuple(meshes), shapes.placed(distance, T)))
    grips = tuple(grip.moved(-middle) for grip in made.grips)
    return ObjectModel(number, name, made.color, tuple(parts), grips, made.verbs, np.array(made.face))
