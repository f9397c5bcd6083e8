"""Hair: a cap on the scalp and many thin locks that leave it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genego_ros.data.h2o_format import EGO_CAMERA
from genego_ros.data.synthetic import surface
from genego_ros.data.synthetic.body_model import BodyModel
from genego_ros.data.synthetic.person import HairStyle, Person
from genego_ros.data.synthetic.scene import Material, Mesh
from genego_ros.data.synthetic.skinning import skin
from genego_ros.types import Float64Array, FloatArray

STEPS = 7
"""Segments of a lock."""


@dataclass(frozen=True)
class Cut:
    """How hair is worn; metres."""

    locks: int
    length: float
    thickness: float
    """Of the cap over the scalp."""
    width: float
    """Of a lock at its root."""
    fall: float
    """How strongly locks follow gravity instead of standing out, 0 to 1."""


CUTS: dict[HairStyle, Cut] = {
    "short": Cut(2600, 0.024, 0.006, 0.0045, 0.45),
    "medium": Cut(2000, 0.085, 0.011, 0.0065, 0.8),
    "long": Cut(1900, 0.27, 0.010, 0.010, 1.0),
    "tied": Cut(1700, 0.05, 0.007, 0.006, 0.8),
}


@dataclass(frozen=True)
class Hair:
    """Hair that follows a head."""

    mesh: Mesh
    rest: Float64Array
    bones: NDArray[np.int64]
    weights: Float64Array

    def pose(self, transforms: Float64Array) -> FloatArray:
        """float32 (N, 3), world."""
        return skin(self.rest, self.bones, self.weights, transforms)


def grow(model: BodyModel, vertices: Float64Array, heads: Float64Array, person: Person) -> Hair | None:
    """The hair of a person at rest, vertices (V, 3) and bone heads (B, 3); None where there is none."""
    if person.hair == "bald":
        return None
    style = CUTS[person.hair]
    rng = np.random.default_rng([person.seed, 3])
    every = np.arange(len(vertices))
    faces = model.corner_vertices[model.faces]
    mean = surface.neighbours(faces, every)
    scalp = surface.smoothed(model.region("scalp").astype(np.float64), mean, 3)
    uneven = surface.smoothed(rng.normal(size=len(vertices)), mean, 2)
    piece = surface.cut(model, scalp - 0.5 + 0.10 * uneven / uneven.std())
    base, depth = piece.of(vertices), np.clip(2 * piece.of(scalp) - 0.8, 0, 1)
    out = surface.normals(vertices, faces, every)
    lift = piece.of(surface.smoothed(rng.normal(size=len(vertices)), mean, 3))
    lift = style.thickness * depth * (1 + 0.3 * lift / lift.std()) + 0.001
    cap = base + lift[:, None] * piece.of(out)
    head, spine = model.bone("head"), model.bone("spine01")
    locks, lock_faces, shade = _locks(piece, cap, piece.of(out), vertices, heads[head], style, person, rng)
    rest = np.concatenate([cap, locks])
    drop = np.clip((heads[head][2] - 0.06 - rest[:, 2]) / 0.12, 0, 0.75)
    colors = np.concatenate([np.exp(rng.normal(0, 0.25, len(cap)))[:, None] * np.ones(3), shade])
    lock_uv = np.tile(np.stack([np.tile([0.0, 0.02], STEPS), np.repeat(np.linspace(0, 1, STEPS), 2)], 1),
                      (len(locks) // (2 * STEPS), 1))  # fmt: skip
    mesh = Mesh(
        name="hair",
        vertices=rest.astype(np.float32),
        faces=np.concatenate([piece.faces, len(cap) + lock_faces]).astype(np.int32),
        uv=np.concatenate([piece.uv * 8, lock_uv]).astype(np.float32),
        material=Material(color=person.hair_color, roughness=0.45, bump=_strands(rng), tile=0.12),
        colors=colors.astype(np.float32),
        hidden_from=frozenset({EGO_CAMERA}),
        weld=np.concatenate([piece.weld, np.arange(len(cap), len(rest))]).astype(np.int32),
    )
    bones = np.tile(np.array([head, spine]), (len(rest), 1))
    return Hair(mesh, rest, bones, np.stack([1 - drop, drop], axis=1))


def _strands(rng: np.random.Generator) -> FloatArray:
    """float32 (128, 128): fine ridges, metres."""
    ridges = np.repeat(rng.normal(size=(1, 128)), 128, axis=0) + 0.3 * rng.normal(size=(128, 128))
    return (0.0004 * ridges).astype(np.float32)


def _locks(
    piece: surface.Piece, cap: Float64Array, out: Float64Array, body: Float64Array, crown: Float64Array,
    style: Cut, person: Person, rng: np.random.Generator,
) -> tuple[Float64Array, NDArray[np.int64], Float64Array]:  # fmt: skip
    """Flat tapering strips from the cap: vertices (N, 3), faces (F, 3), shades (N, 3)."""
    a, b, c = (cap[piece.faces[:, corner]] for corner in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    chosen = rng.choice(len(area), style.locks, p=area / area.sum())
    bary = rng.dirichlet([1, 1, 1], style.locks)
    root = np.einsum("nk,nki->ni", bary, cap[piece.faces[chosen]])
    outward = np.einsum("nk,nki->ni", bary, out[piece.faces[chosen]])
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    middle = crown + np.array([0, 0.02, 0.07])
    radius = np.linalg.norm(root - middle, axis=1)
    # Hair is combed from a whorl on the crown; over the forehead it goes aside or back.
    whorl = crown + np.array([rng.normal(0, 0.01), 0.06, 0.13])
    comb = root - whorl
    parting = rng.choice([-1.0, 1.0])
    front = np.clip((crown[1] - 0.02 - root[:, 1]) / 0.06, 0, 1)
    aside = np.where(abs(root[:, 0]) < 0.02, parting, np.sign(root[:, 0])) * 0.09
    comb = comb + front[:, None] * np.stack([aside, np.full(len(root), 0.13), np.full(len(root), 0.06)], axis=1)
    if person.hair == "tied":
        comb = crown + np.array([0, 0.14, 0.05]) - root
    comb += 0.02 * rng.normal(size=comb.shape)
    direction = _across(comb, outward) + (0.55 - 0.45 * style.fall) * outward + 0.16 * rng.normal(size=root.shape)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = style.length * np.exp(rng.normal(0, 0.22, len(root)))
    # Over the forehead hair is cut short or combed back, so that it does not hang into the face.
    forehead = np.clip((crown[1] - 0.025 - root[:, 1]) / 0.03, 0, 1) * np.clip(1 - abs(root[:, 0]) / 0.07, 0, 1)
    length = length * (1 - forehead) + np.minimum(length, 0.06) * forehead
    down = np.array([0.0, 0.0, -1.0])
    fall = style.fall * (1 - 0.8 * forehead)
    hairline = crown[1] - 0.045 + 0.012 * rng.normal(size=len(root))
    point = root - 0.002 * outward
    line = []
    for _ in range(STEPS):
        line.append(point)
        point = point + direction * (length / (STEPS - 1))[:, None]
        offset = point - middle
        distance = np.linalg.norm(offset, axis=1, keepdims=True)
        near = (radius + 0.003 + style.thickness * 0.4)[:, None]
        above = (point[:, 2] > middle[2] - 0.09)[:, None]
        point = np.where((distance < near) & above, middle + offset / distance * near, point)
        # Locks hang beside the face and behind the neck, not before them.
        nearest = hairline + 0.25 * np.clip(middle[2] - 0.03 - point[:, 2], 0, 0.3)
        point[:, 1] = np.where(point[:, 2] < middle[2] + 0.025, np.maximum(point[:, 1], nearest), point[:, 1])
        beside = np.where(point[:, 2] < middle[2], 0.075, 0.0)
        in_front = point[:, 1] < crown[1] + 0.03
        point[:, 0] = np.where(in_front, np.sign(point[:, 0]) * np.maximum(abs(point[:, 0]), beside), point[:, 0])
        direction = direction + (fall * (length / (STEPS - 1)) / 0.045)[:, None] * down
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    if person.hair == "tied":
        line = _with_tail(line, crown, rng)
    points = np.stack(line, axis=1)
    along = np.gradient(points, axis=1)
    side = np.cross(along, (points - middle))
    side /= np.linalg.norm(side, axis=2, keepdims=True) + 1e-9
    width = (
        style.width
        * np.interp(np.linspace(0, 1, STEPS), [0, 0.5, 1], [1.0, 0.95, 0.12])[None, :, None]
        * rng.uniform(0.6, 1.3, (len(root), 1, 1))
    )
    pairs = np.stack([points - width / 2 * side, points + width / 2 * side], axis=2)
    start = np.arange(len(root))[:, None] * 2 * STEPS + 2 * np.arange(STEPS - 1)
    quads = np.stack([start, start + 1, start + 3, start, start + 3, start + 2], axis=-1).reshape(-1, 3)
    shade = np.exp(rng.normal(0, 0.35, (len(root), 1))) * np.linspace(0.75, 1.25, STEPS)
    return pairs.reshape(-1, 3), quads, np.repeat(shade.reshape(-1, 1), 2, axis=0) * np.ones(3)


def _with_tail(line: list[Float64Array], crown: Float64Array, rng: np.random.Generator) -> list[Float64Array]:
    """The lines of tied hair, of which every fourth is the tail's."""
    knot = crown + np.array([0, 0.135, 0.06])
    count = len(line[0][::4])
    spread = rng.normal(0, 0.011, (count, 3))
    for step, points in enumerate(line):
        share = step / (STEPS - 1)
        curve = np.array([0.0, 0.035 * np.sin(2.2 * share), 0.02 * share - 0.2 * share**1.5])
        points[::4] = knot + curve + spread * (0.4 + np.sin(np.pi * min(share + 0.1, 1.0)))
    return line


def _across(vectors: Float64Array, normals: Float64Array) -> Float64Array:
    """Unit parts of vectors (N, 3) across normals (N, 3)."""
    flat = vectors - np.einsum("ni,ni->n", vectors, normals)[:, None] * normals
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
