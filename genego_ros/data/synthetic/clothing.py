"""Clothes: pieces of the body's surface, lifted off, smoothed, folded and given an edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genego_ros.data.synthetic import sewing, surface
from genego_ros.data.synthetic.body_model import BodyModel
from genego_ros.data.synthetic.person import Garment, Person
from genego_ros.data.synthetic.scene import Material, Mesh
from genego_ros.data.synthetic.skinning import skin
from genego_ros.types import BoolArray, Float64Array, FloatArray, Side

EDGE = 0.003
"""Thickness of cloth at a hem, metres."""
WATCH = 1.82
"""Where on the forearm a watch's strap is: 1 elbow, 2 wrist."""
WATCH_COLOR = (0.02, 0.02, 0.022)
TUCK = 0.035
"""Metres behind a hem from which on there is no skin under the cloth."""


@dataclass(frozen=True)
class Places:
    """Where the body's vertices are on a dressed person: float64 (V,) each."""

    arm: Float64Array
    """0 at a shoulder, 1 at the elbow, 2 at the wrist; negative off the arms."""
    arm_length: float
    """Metres of the upper arm."""
    shin: Float64Array
    """0 at a knee, 1 at the ankle; negative above."""
    height: Float64Array
    """Metres above the hip joints."""
    neck: Float64Array
    """Metres from the middle of the neck."""


@dataclass(frozen=True)
class Draped:
    """A piece of clothing that follows a body."""

    mesh: Mesh
    rest: Float64Array
    """float64 (N, 3), without the folds of bent elbows."""
    folds: Float64Array
    """float64 (2, N, 3): metres that a bend of one radian of the left and right elbow adds."""
    bones: NDArray[np.int64]
    weights: Float64Array

    def pose(self, transforms: Float64Array, elbow_bend: Float64Array) -> FloatArray:
        """float32 (N, 3), world."""
        bend = elbow_bend - 0.75  # the rest pose's
        return skin(self.rest + bend[0] * self.folds[0] + bend[1] * self.folds[1], self.bones, self.weights, transforms)


def places(model: BodyModel, vertices: Float64Array, heads: Float64Array) -> Places:
    """Of a person at rest, vertices (V, 3) and bone heads (B, 3)."""
    arm = np.full(len(vertices), -1.0)
    shin = np.full(len(vertices), -1.0)
    dense = model.dense_weights(np.arange(len(vertices)))
    arm_length = 0.0
    for letter in "LR":
        shoulder, elbow, wrist, knee, ankle = (
            heads[model.bone(f"{name}.{letter}")]
            for name in ("upperarm01", "lowerarm01", "wrist", "lowerleg01", "foot")
        )
        arm_length = float(np.linalg.norm(elbow - shoulder))
        upper = (vertices - shoulder) @ (elbow - shoulder) / arm_length**2
        fore = (vertices - elbow) @ (wrist - elbow) / ((wrist - elbow) @ (wrist - elbow))
        names = [name for name in model.names if name.endswith(f".{letter}")]
        on_arm = [model.bone(n) for n in names if n.startswith(("upperarm", "lowerarm", "wrist", "finger", "meta"))]
        follows = dense[:, on_arm].sum(axis=1)
        along = np.where((fore > 0) & (upper > 0.75), 1 + fore, np.minimum(upper, 1.0))
        arm = np.where(follows > 0.5, np.maximum(along, arm), arm)
        down = (vertices - knee) @ (ankle - knee) / ((ankle - knee) @ (ankle - knee))
        on_leg = dense[:, [model.bone(f"{n}.{letter}") for n in ("upperleg02", "lowerleg01", "lowerleg02", "foot")]]
        shin = np.where(on_leg.sum(axis=1) > 0.5, np.maximum(down, shin), shin)
    height = vertices[:, 2] - heads[model.bone("upperleg01.L")][2]
    middle = heads[model.bone("neck01")] + np.array([0.0, -0.012, 0.022])
    offset = vertices - middle
    offset[:, 2] = np.minimum(offset[:, 2], 0.0)
    return Places(arm, arm_length, shin, height, np.linalg.norm(offset, axis=1))


def top_field(model: BodyModel, where: Places, garment: Garment) -> Float64Array:
    """float64 (V,): metres inside the upper garment's outline."""
    trunk = model.region("trunk", "hands", "nails")
    sleeve = (garment.sleeve - where.arm) * where.arm_length
    hem = np.where(where.arm > -0.5, 1.0, where.height + 0.005)
    field = np.minimum(np.minimum(sleeve, hem), where.neck - garment.neckline)
    return np.where(trunk, np.minimum(field, 0.3), -0.05)


def trousers_field(model: BodyModel, where: Places) -> Float64Array:
    leg = (0.97 - where.shin) * 0.4
    field = np.minimum(0.03 - where.height, leg)
    return np.where(model.region("trunk", "feet") & (where.arm < -0.5), np.minimum(field, 0.3), -0.05)


def shoes_field(model: BodyModel, where: Places) -> Float64Array:
    feet = model.region("feet")
    above = np.where(feet, np.maximum(where.shin - 0.9, 0.15), where.shin - 0.9)
    return np.where(feet | (model.region("trunk") & (where.shin > 0.5)), 0.4 * above, -0.05)


def watch_field(where: Places, vertices: Float64Array, side: Side) -> Float64Array:
    on_side = vertices[:, 0] > 0 if side == "left" else vertices[:, 0] < 0
    return np.where(on_side, 0.011 - abs(where.arm - WATCH) * where.arm_length, -0.05)


def dress(
    model: BodyModel, vertices: Float64Array, heads: Float64Array, person: Person
) -> tuple[dict[str, Draped], Float64Array]:
    """The clothes by name, and for each vertex of the body how many metres it is covered beyond the hems."""
    where = places(model, vertices, heads)
    rng = np.random.default_rng([person.seed, 1])
    shoes = Garment(person.shoes, looseness=0.007)
    fields = {
        "trousers": (trousers_field(model, where), person.trousers, 12),
        "shoes": (shoes_field(model, where), shoes, 25),
        "top": (top_field(model, where, person.top), person.top, 40),
    }
    if person.watch != "none" and person.top.sleeve < WATCH - 0.1:
        strap = Garment(WATCH_COLOR, looseness=0.003, sleeve=2.0)
        fields["watch"] = (watch_field(where, vertices, person.watch), strap, 4)
    clothes = {}
    for name, (field, garment, smoothing) in fields.items():
        gap = gaps(name, where, garment)
        clothes[name] = drape(model, vertices, heads, where, field, garment, gap, smoothing, name, rng)
    return clothes, np.max([field for field, _, _ in fields.values()], axis=0)


def gaps(name: str, where: Places, garment: Garment) -> Float64Array:
    """float64 (V,): metres between skin and cloth. A waistband lies close, a shirt hangs over it."""
    gap = np.full(len(where.arm), garment.looseness)
    if name == "trousers":
        return gap * np.clip((0.19 - where.height) / 0.16, 0.35, 1)
    if name == "top":
        waist = np.clip((0.22 - where.height) / 0.12, 0, 1) * (where.arm < -0.5)
        return gap * np.where(where.arm < 0, 1.4, 1.0) + 0.013 * waist
    return gap


def drape(
    model: BodyModel, vertices: Float64Array, heads: Float64Array, where: Places, field: Float64Array,
    garment: Garment, gap: Float64Array, smoothing: int, name: str, rng: np.random.Generator,
) -> Draped:  # fmt: skip
    piece = surface.cut(model, field)
    body, depth, arm = piece.of(vertices), piece.of(field), piece.of(where.arm)
    mean = surface.neighbours(piece.faces, piece.weld)
    out = surface.normals(body, piece.faces, piece.weld)
    # Over the trunk cloth does not follow what is smaller than a hand's breadth.
    under = body
    even = np.clip(-arm, 0, 1)[:, None]
    body = (1 - even) * body + even * surface.smoothed(body, mean, 24)
    out = surface.smoothed(out, mean, 3)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    waves = _waves(rng, 14, 0.05, 0.16)
    wanted = piece.of(gap)
    least = np.clip(0.6 * wanted, 0.003, None)
    lifted = wanted * (1 + 0.3 * waves(body)) + 0.004 * np.exp(-depth / 0.03)
    rest = body + lifted[:, None] * out
    # Cloth spans hollows: it is smoothed as a whole, then pushed out again where it came too near.
    loose = np.where(arm > 0.1, 8, smoothing)
    for step in range(smoothing):
        rest = np.where((step < loose)[:, None], surface.smoothed(rest, mean, 1), rest)
    for _ in range(4):
        rest = surface.smoothed(_kept_off(rest, body, out, least), mean, 1)
    out = surface.normals(rest, piece.faces, piece.weld)
    rest = rest + _wrinkles(rng, body, arm, where.arm_length, garment)[:, None] * out
    rest = _kept_off(rest, body, out, least)
    # Near hems there is skin under the cloth, or the waistband of the trousers under the shirt.
    near = np.clip((0.12 - depth) / 0.03, 0, 1)
    rest = _kept_off(rest, under, out, near * 0.7 * wanted - (1 - near) * 0.03)
    if garment.rolled:
        cuff = np.clip((arm - garment.sleeve) * where.arm_length + 0.035, 0, 0.004) / 0.004
        rest = rest + (0.0045 * cuff)[:, None] * out
    folds = _elbow_folds(rng, body, arm, where.arm_length)[:, :, None] * out
    bones, weights = piece.skinning(model)
    faces, rest, folds, bones, weights, uv, weld = _hemmed(piece, rest, out, folds, bones, weights)
    if name == "top":
        inner = np.unique(surface.rim(piece.faces, piece.weld))
        sewn = sewing.sew(model, heads, rest, np.concatenate([arm, arm[inner]]), faces, weld)
        source, faces, uv, weld = sewn.source, sewn.faces, sewn.uv, sewn.weld
        rest, folds, bones, weights = rest[source], folds[:, source], bones[source], weights[source]
    else:
        uv = uv * _texture_span(rest, uv, faces)
    mesh = Mesh(
        name=name,
        vertices=rest.astype(np.float32),
        faces=faces.astype(np.int32),
        uv=(uv / CLOTH_TILE).astype(np.float32),
        material=cloth(garment, rng) if name in ("top", "trousers") else Material(color=garment.color, roughness=0.5),
        weld=weld.astype(np.int32),
    )
    return Draped(mesh, rest, folds, bones, weights)


def _kept_off(rest: Float64Array, body: Float64Array, out: Float64Array, least: Float64Array) -> Float64Array:
    """Cloth (N, 3) that lies at least so many metres (N,) above the skin."""
    short = least - np.einsum("ni,ni->n", rest - body, out)
    kept: Float64Array = rest + np.maximum(short, 0)[:, None] * out
    return kept


CLOTH_TILE = 0.4
"""Metres of cloth that a texture spans."""


def _texture_span(vertices: Float64Array, uv: Float64Array, faces: NDArray[np.int64]) -> float:
    """Metres of surface a unit of the body's texture coordinates, the median over edges."""
    a, b = faces[:, 0], faces[:, 1]
    flat = np.linalg.norm(uv[a] - uv[b], axis=1)
    real = np.linalg.norm(vertices[a] - vertices[b], axis=1)
    return float(np.median(real[flat > 0] / flat[flat > 0]))


def _waves(
    rng: np.random.Generator, count: int, shortest: float, longest: float
) -> Callable[[Float64Array], Float64Array]:
    """A smooth random function of places (N, 3), of standard deviation 1: plane waves, lengths in metres."""
    length = np.exp(rng.uniform(np.log(shortest), np.log(longest), count))
    direction = rng.normal(size=(count, 3))
    direction *= (2 * np.pi / length / np.linalg.norm(direction, axis=1))[:, None]
    phase = rng.uniform(0, 2 * np.pi, count)
    return lambda points: np.sqrt(2 / count) * np.sin(points @ direction.T + phase).sum(axis=1)


def _wrinkles(
    rng: np.random.Generator, body: Float64Array, arm: Float64Array, arm_length: float, garment: Garment
) -> Float64Array:
    """Metres (N,) of lasting folds: along the trunk they are long, across sleeves they are rings that break off."""
    broad, breaks = _waves(rng, 12, 0.06, 0.2), _waves(rng, 10, 0.05, 0.12)
    wobble = _waves(rng, 8, 0.06, 0.2)
    rings = np.sin(2 * np.pi * arm * arm_length / 0.045 + 1.6 * wobble(body)) * np.clip(breaks(body), 0, 1.2)
    on_sleeve = np.clip((arm - 0.15) / 0.3, 0, 1)
    depth = 0.0008 + 0.3 * garment.looseness
    folds: Float64Array = depth * ((1 - on_sleeve) * (0.8 - abs(broad(body * [1.0, 1.0, 0.55]))) + on_sleeve * rings)
    return folds


def _elbow_folds(rng: np.random.Generator, body: Float64Array, arm: Float64Array, arm_length: float) -> Float64Array:
    """Metres a radian, (2, N), left and right: rings about the elbow that deepen as it bends."""
    wobble = _waves(rng, 8, 0.06, 0.2)
    rings = np.cos(2 * np.pi * (arm - 1) * arm_length / 0.038 + wobble(body))
    folds = 0.0022 * rings * np.exp(-(((arm - 1) / 0.22) ** 2))
    return np.stack([np.where(body[:, 0] > 0, folds, 0), np.where(body[:, 0] < 0, folds, 0)])


def _hemmed(
    piece: surface.Piece, rest: Float64Array, out: Float64Array, folds: Float64Array,
    bones: NDArray[np.int64], weights: Float64Array,
) -> tuple[NDArray[np.int64], Float64Array, Float64Array, NDArray[np.int64], Float64Array, Float64Array,
           NDArray[np.int64]]:  # fmt: skip
    """The piece with a strip that turns inwards along its edges, so that cloth is not as thin as paper."""
    edges = surface.rim(piece.faces, piece.weld)
    members = np.unique(edges)
    inner = np.full(len(rest), -1)
    inner[members] = len(rest) + np.arange(len(members))
    a, b = edges.T
    strip = np.concatenate([np.stack([b, a, inner[a]], 1), np.stack([b, inner[a], inner[b]], 1)])
    weld = np.concatenate([piece.weld, inner[piece.weld[members]]])
    weld = np.where(weld < 0, np.arange(len(weld)), weld)
    return (
        np.concatenate([piece.faces, strip]),
        np.concatenate([rest, rest[members] - EDGE * out[members]]),
        np.concatenate([folds, folds[:, members]], axis=1),
        np.concatenate([bones, bones[members]]),
        np.concatenate([weights, weights[members]]),
        np.concatenate([piece.uv, piece.uv[members]]),
        weld,
    )


def cloth(garment: Garment, rng: np.random.Generator) -> Material:
    """Weave and pattern."""
    size, threads = 384, 128
    v, u = np.mgrid[0:size, 0:size] / size
    weave = np.where(
        (np.floor(u * threads) + np.floor(v * threads)) % 2 == 0,
        abs(np.sin(np.pi * u * threads)),
        abs(np.sin(np.pi * v * threads)),
    )
    weave = weave + 0.5 * rng.normal(size=(size, size))
    shade = np.ones((size, size))
    if garment.pattern == "heather":
        grain = rng.normal(size=(size, size))
        shade = np.exp(0.22 * (grain + np.roll(grain, 1, axis=1) + np.roll(grain, 2, axis=1)) / np.sqrt(3))
    shade = shade * (0.93 + 0.07 * weave / weave.max())
    color = shade[..., None] * np.array(garment.color)
    if garment.pattern in ("stripes", "checks"):
        period, width = (int(rng.integers(7, 19)), rng.uniform(0.15, 0.5))
        along_v = (v * period) % 1 < width
        second = along_v.astype(float)
        if garment.pattern == "checks":
            second = 0.5 * along_v + 0.5 * ((u * period) % 1 < width)
        color = color + second[..., None] * (shade[..., None] * np.array(garment.second_color) - color)
    texture = np.clip(color, 0, 1) ** (1 / 2.2)
    return Material(
        texture=(255 * texture + 0.5).astype(np.uint8),
        bump=(0.0002 * weave + 0.002 * _creases(u, v, rng)).astype(np.float32),
        tile=CLOTH_TILE,
        roughness=0.85,
    )


def _creases(u: Float64Array, v: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Folds with sharp valleys at texture coordinates (H, W), about -1 to 1; they repeat with the texture."""
    height = np.zeros_like(u)
    for _ in range(7):
        across, down = rng.integers(-5, 6), rng.integers(-3, 4)
        height += np.sin(2 * np.pi * (across * u + down * v + rng.uniform())) / np.sqrt(7 / 2)
    return abs(height) - 0.8


def covered(model: BodyModel, depth: Float64Array) -> BoolArray:
    """bool (F,): faces of the body that lie so far under clothes that nobody sees them."""
    return np.all(depth[model.corner_vertices[model.faces]] > TUCK, axis=1)


def shrunk(model: BodyModel, vertices: Float64Array, depth: Float64Array) -> Float64Array:
    """Skin (V, 3) at rest that draws back from the cloth that covers it, by up to 4 mm."""
    every = np.arange(len(vertices))
    out = surface.normals(vertices, model.corner_vertices[model.faces], every)
    back = 0.004 * np.clip(depth / 0.012, 0, 1)
    back = np.where(model.region("hands", "nails"), 0.0, back)
    drawn: Float64Array = vertices - back[:, None] * out
    return drawn


def poses(clothes: Mapping[str, Draped], transforms: Float64Array, elbow_bend: Float64Array) -> dict[str, FloatArray]:
    """Mesh name to float32 (N, 3), world."""
    return {name: piece.pose(transforms, elbow_bend) for name, piece in clothes.items()}
