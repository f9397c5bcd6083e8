"""A dressed person whose hands go where they are told and whose arms, trunk and head follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genego_ros.data.synthetic import body_model, clothing, complexion, hair
from genego_ros.data.synthetic.body_model import BodyModel
from genego_ros.data.synthetic.hand_rig import HandRig
from genego_ros.data.synthetic.person import Person
from genego_ros.data.synthetic.posing import Posture, Skeleton, Solved
from genego_ros.data.synthetic.scene import Material, Mesh
from genego_ros.data.synthetic.skinning import skin
from genego_ros.types import SIDES, BoolArray, Float64Array, FloatArray, Side

__all__ = ["Body", "Person", "Posed", "Posture"]


@dataclass(frozen=True)
class Posed:
    """A body at one moment; world frame, metres."""

    vertices: Mapping[str, FloatArray]
    """Mesh name to float32 (V, 3), for every mesh of the body."""
    keypoints: Float64Array
    """float64 (2, 21, 3): left, right."""
    T_world_eyes: Float64Array
    """float64 (4, 4): optical axes of the face, origin midway between the eyes."""
    reach_error: Float64Array
    """float64 (2,): metres by which the arms are too short for the wrists asked for; 0 within reach. The hands are
    where they were asked to be; the forearms' skin is drawn out to them."""
    wrist_bend: Float64Array
    """float64 (2,): see `Body.wrist_bend`."""


@dataclass(frozen=True)
class _Part:
    """Part of the body's own surface as a mesh."""

    mesh: Mesh
    vertices: NDArray[np.int64]
    """int64 (N,): the body's vertices."""
    rest: Float64Array
    bones: NDArray[np.int64]
    weights: Float64Array


class Body:
    """One person, ready to be posed. Building one takes about a second, posing it milliseconds."""

    def __init__(self, person: Person) -> None:
        self.person = person
        model = body_model.load()
        vertices, heads = model.rest(person.shape, person.stature)
        self._hands = tuple(body_model.rest_hand(model, vertices, heads, side) for side in SIDES)
        sole = float(vertices[:, 2].min()) - 0.012  # shoes have soles
        self._skeleton = Skeleton(model, heads, sole, (self._hands[0], self._hands[1]))
        self._clothes, depth = clothing.dress(model, vertices, heads, person)
        self._hair = hair.grow(model, vertices, heads, person)
        eyes = np.all(model.region("eyes")[model.corner_vertices[model.faces]], axis=1)
        self._parts = {
            "skin": _part(
                "skin", model, clothing.shrunk(model, vertices, depth), ~eyes & ~clothing.covered(model, depth),
                complexion.skin_colors(model, vertices, heads, person),
                Material(roughness=0.5, subsurface=0.3, bump=_pores(person.seed), tile=0.06), 2.0 / 0.06,
            ),
            "eyes": _part(
                "eyes", model, vertices, eyes, complexion.eye_colors(model, vertices, heads, person),
                Material(roughness=0.12), 1.0,
            ),
        }  # fmt: skip

    @property
    def meshes(self) -> tuple[Mesh, ...]:
        """Skin, eyes, hair (unless bald) and clothes, at rest; `pose` gives the vertices of every one."""
        worn = [piece.mesh for piece in self._clothes.values()]
        grown = [self._hair.mesh] if self._hair else []
        return (*(part.mesh for part in self._parts.values()), *grown, *worn)

    def hand_rig(self, side: Side) -> HandRig:
        """The person's bare hand. Placed by a wrist's pose it is the posed body's, but for the last centimetre
        before the wrist, where the body's skin goes over into the forearm."""
        return self._hands[SIDES.index(side)].rig

    def hand_vertices(self, side: Side) -> NDArray[np.int64]:
        """int64 (N,): where in the mesh "skin" each vertex of the hand's rig is, its last one aside."""
        skin_vertices = self._parts["skin"].vertices
        first = np.full(skin_vertices.max() + 1, -1)
        first[skin_vertices[::-1]] = np.arange(len(skin_vertices))[::-1]
        return first[self._hands[SIDES.index(side)].vertices]

    def pose(self, posture: Posture) -> Posed:
        """Everything at one moment."""
        solved = self._skeleton.solve(posture)
        posed = {
            name: skin(part.rest, part.bones, part.weights, solved.transforms) for name, part in self._parts.items()
        }
        if self._hair:
            posed["hair"] = self._hair.pose(solved.transforms)
        posed |= clothing.poses(self._clothes, solved.transforms, solved.elbow_bend)
        return Posed(posed, solved.keypoints, solved.T_world_eyes, solved.reach_error, solved.wrist_bend)

    def solve(self, posture: Posture) -> Solved:
        """The skeleton alone: what a motion costs the joints, without any mesh."""
        return self._skeleton.solve(posture)

    @property
    def arm_length(self) -> float:
        """Metres from shoulder joint to wrist, stretched."""
        return self._skeleton.arm_length

    def shoulders(self, seat: Float64Array, seated: bool = True, lean: float = 0.0) -> Float64Array:
        """float64 (2, 3), world: the shoulder joints, left and right, before the trunk helps to reach."""
        return self._skeleton.shoulders(seat, seated, lean)

    def wrist_bend(self, posture: Posture) -> Float64Array:
        """float64 (2,), left, right: radians by which each wrist is bent from rest, twist of the forearm aside.
        Up to 0.6 is comfortable, 1.2 is the most that a wrist can do."""
        return self._skeleton.solve(posture).wrist_bend


def _part(
    name: str, model: BodyModel, vertices: Float64Array, kept: BoolArray, colors: FloatArray, material: Material,
    texture_scale: float,
) -> _Part:  # fmt: skip
    """The kept faces (F,) of the body as a mesh."""
    corners, faces = np.unique(model.faces[kept], return_inverse=True)
    members = model.corner_vertices[corners]
    _, first, back = np.unique(members, return_index=True, return_inverse=True)
    mesh = Mesh(
        name=name,
        vertices=vertices[members].astype(np.float32),
        faces=faces.reshape(-1, 3).astype(np.int32),
        uv=(model.corner_uv[corners] * texture_scale).astype(np.float32),
        material=material,
        colors=colors[members],
        weld=first[back.ravel()].astype(np.int32),
    )
    return _Part(mesh, members, vertices[members], model.skin_bones[members], model.skin_weights[members])


def _pores(seed: int) -> FloatArray:
    """float32 (128, 128): metres of fine relief."""
    rng = np.random.default_rng([seed, 4])
    size = 128
    grain = rng.normal(size=(size, size))
    # Smoothed around the borders, since it repeats.
    for axis in (0, 1):
        grain = (np.roll(grain, 1, axis) + 2 * grain + np.roll(grain, -1, axis)) / 4
    return (0.00006 * grain / grain.std()).astype(np.float32)
