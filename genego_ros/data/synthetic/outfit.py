"""Skin, eyes, hair and clothes of a person, as surfaces that bones carry along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from genego_ros.data.synthetic import anatomy as bones
from genego_ros.data.synthetic import textures
from genego_ros.data.synthetic.anatomy import ARM, Anatomy, Skin
from genego_ros.data.synthetic.person import Color, Person
from genego_ros.data.synthetic.scene import EGO_CAMERA, Material, Mesh
from genego_ros.data.synthetic.tailoring import Layer, cut, drape, hemmed, waves
from genego_ros.types import SIDES, ByteArray, Float64Array, FloatArray, Side

COVERED = 0.03
"""Metres below a hem from which on there is no skin under the cloth."""
UV_METRES = 1.9
"""Metres of skin that the body's texture coordinates span."""
HAIRLINE = ((-0.06, 0.066), (0.0, 0.068), (0.03, 0.052), (0.06, 0.036), (0.105, 0.034), (0.125, -0.03), (0.2, -0.075))
"""How far back of the eyes (metres), and how far above them hair begins there."""
THICKNESS = {"cropped": 0.004, "short": 0.013, "full": 0.026, "bun": 0.009, "ponytail": 0.009}


@dataclass(frozen=True)
class Part:
    """A mesh of a person, and what moves it."""

    mesh: Mesh
    rest: Float64Array
    """float64 (V, 3)."""
    skin: Skin


def dress(person: Person, body: Anatomy, T_rest_wrist: Mapping[Side, Float64Array]) -> tuple[Part, ...]:
    """All surfaces of a person."""
    rng = np.random.default_rng(person.seed)
    shirt, trousers = shirt_border(person, body), trousers_border(body)
    covered = np.maximum(shirt, trousers)
    parts = [
        _skin(person, body, cut(body, COVERED - covered - 0.2 * _eyeballs(body)), T_rest_wrist, rng),
        _eyes(person, body),
        _cloth("shirt", person, cut(body, shirt), person.shirt, person.pattern, rng),
        _cloth("trousers", person, cut(body, trousers), (person.trousers,) * 3, "plain", rng),
    ]
    if person.hair != "bald":
        parts += _hair(person, body, rng)
    if person.watch:
        parts.append(_watch(body, rng))
    return tuple(parts)


# --- where things end ------------------------------------------------------------------------------


def along_arm(body: Anatomy) -> Float64Array:
    """float64 (V,): metres from the shoulder joint along the arm's bones; NaN elsewhere than on the arms."""
    dense = body.skin.dense()
    place = np.full(len(body.vertices), np.nan)
    for index in range(2):
        first = bones.UPPER_ARM + ARM * index
        on_arm = dense[:, first : first + 24].sum(axis=1) > 0.4
        joints = body.heads[[first, bones.ELBOW + ARM * index, bones.WRIST + ARM * index]]
        vertices = body.vertices[on_arm]
        upper, lower = joints[1] - joints[0], joints[2] - joints[1]
        lengths = np.linalg.norm([upper, lower], axis=1)
        on_upper = (vertices - joints[0]) @ upper / lengths[0]
        on_lower = (vertices - joints[1]) @ lower / lengths[1]
        # The plane that halves the elbow's angle parts the two.
        beyond = (vertices - joints[1]) @ (upper / lengths[0] + lower / lengths[1]) > 0
        place[on_arm] = np.where(beyond, lengths[0] + np.maximum(on_lower, 0), np.minimum(on_upper, lengths[0]))
    return place


def shirt_border(person: Person, body: Anatomy) -> Float64Array:
    """float64 (V,): metres inside the shirt's border."""
    arm = along_arm(body)
    shoulder, elbow, wrist = body.heads[[bones.UPPER_ARM, bones.ELBOW, bones.WRIST]]
    upper, lower = np.linalg.norm(elbow - shoulder), np.linalg.norm(wrist - elbow)
    end = min(person.sleeve, 1.0) * upper + max(person.sleeve - 1.0, 0.0) * lower
    sleeve = np.where(np.isnan(arm), 1.0, end - np.nan_to_num(arm))
    neck = body.heads[bones.NECK[0]]
    centre = neck + (0, -0.025, 0.02)
    collar = (np.linalg.norm((body.vertices - centre) / (1.0, 1.0, 0.8), axis=1) - 0.088) * 0.9
    below_neck = neck[2] + 0.035 - body.vertices[:, 2]
    hem = body.vertices[:, 2] - (body.heads[bones.ROOT, 2] - 0.1)
    return np.minimum.reduce([sleeve, collar, below_neck, hem])


def trousers_border(body: Anatomy) -> Float64Array:
    """float64 (V,): metres inside the trousers' border."""
    z = body.vertices[:, 2]
    arms = np.where(np.isnan(along_arm(body)), 1.0, -1.0)
    return np.minimum.reduce([arms, body.heads[bones.ROOT, 2] + 0.02 - z, z - body.heads[bones.FOOT, 2] - 0.02])


def _eyeballs(body: Anatomy) -> Float64Array:
    """1 on the eyeballs, which are meshes of their own."""
    dense = body.skin.dense()
    return (dense[:, list(bones.EYES)].sum(axis=1) > 0.5).astype(np.float64)


# --- surfaces --------------------------------------------------------------------------------------


def linear(color: Color | Float64Array) -> Float64Array:
    """Linear RGB, 0 to 1, of sRGB 0 to 255 (IEC 61966-2-1)."""
    value = np.asarray(color, np.float64) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _part(
    name: str, layer: Layer, material: Material, colors: FloatArray | None = None, in_front: bool = False
) -> Part:
    """`in_front`: the head camera would look through it."""
    mesh = Mesh(
        name,
        layer.vertices.astype(np.float32),
        layer.faces,
        layer.uv,
        material,
        colors=colors,
        weld=layer.weld,
        hidden_from=frozenset({EGO_CAMERA}) if in_front else frozenset(),
    )
    return Part(mesh, np.ascontiguousarray(layer.vertices), layer.skin)


def _skin(
    person: Person, body: Anatomy, layer: Layer, T_rest_wrist: Mapping[Side, Float64Array], rng: np.random.Generator
) -> Part:
    tone = linear(person.skin)
    fairness = float(tone.mean())
    colors = np.tile(tone, (len(layer.vertices), 1))
    colors *= 1 + 0.05 * waves(rng, layer.vertices, 0.05)[:, None] * (1.0, 0.9, 0.8)
    _redden(colors, 0.06 * np.clip(waves(rng, layer.vertices, 0.08), 0, 2))
    eyes = body.heads[list(bones.EYES)].mean(axis=0)
    face = layer.vertices - eyes
    front = (face[:, 1] < 0.02) & (np.abs(face[:, 0]) < 0.08)
    lips = front & (np.hypot(face[:, 0] / 0.026, (face[:, 2] + 0.073) / 0.0095) < 1) & (face[:, 1] < -0.002)
    colors[lips] *= (1.0, 0.62, 0.62)
    brows = front & (np.abs(np.abs(face[:, 0]) - 0.031) < 0.019) & (np.abs(face[:, 2] - 0.022) < 0.005)
    colors[brows] = 0.55 * linear(person.hair_color) + 0.25 * colors[brows]
    if person.hair in ("cropped", "bald"):
        stubble = front & (face[:, 2] < -0.045) & (face[:, 2] > -0.13) & ~lips
        colors[stubble] = 0.8 * colors[stubble] + 0.12 * linear(person.hair_color)
    normals = layer.normals
    for side in SIDES:
        T = T_rest_wrist[side]
        local = (layer.vertices - T[:3, 3]) @ T[:3, :3]
        on_hand = (np.linalg.norm(local - (0, 0.09, 0), axis=1) < 0.13) & (local[:, 1] > -0.02)
        palm = np.clip(normals @ T[:3, 2] * (1 if side == "right" else -1), 0, 1) * on_hand
        # Palms carry little pigment whoever they belong to.
        colors += (palm * 0.75)[:, None] * (
            np.maximum(colors, linear((205, 150, 125)) * (0.55 + 0.45 * fairness)) - colors
        )
        _redden(colors, 0.16 * palm + 0.1 * on_hand * np.clip(local[:, 1] / 0.15 - 0.4, 0, 1))
    pores = 0.00012 * cv2.GaussianBlur(
        rng.standard_normal((256, 256)).astype(np.float32),
        (0, 0),
        1.2,
    )
    material = Material(roughness=0.48, bump=pores, tile=0.05, subsurface=0.3)
    scaled = replace(layer, uv=(layer.uv * (UV_METRES / 0.05)).astype(np.float32))
    return _part("skin", scaled, material, np.clip(colors, 0, 1).astype(np.float32))


def _redden(colors: Float64Array, amount: Float64Array) -> None:
    colors *= 1 + amount[:, None] * (0.35, -0.45, -0.4)


def _eyes(person: Person, body: Anatomy) -> Part:
    layer = cut(body, _eyeballs(body) - 0.5)
    colors = np.tile(linear((226, 218, 212)), (len(layer.vertices), 1))
    for eye in bones.EYES:
        mine = np.abs(layer.vertices[:, 0] - body.heads[eye, 0]) < 0.025
        centre = layer.vertices[mine].mean(axis=0)
        radius = np.linalg.norm(layer.vertices - centre, axis=1)
        forward = (centre[1] - layer.vertices[:, 1]) / radius
        colors[mine & (forward > 0.86)] = linear(person.eye_color)
        colors[mine & (forward > 0.975)] = 0.004
    return _part("eyes", layer, Material(roughness=0.08), colors.astype(np.float32), in_front=True)


def _cloth(
    name: str, person: Person, layer: Layer, colors: tuple[Color, ...], pattern: str, rng: np.random.Generator
) -> Part:
    loose = person.loose if name == "shirt" else 0.4
    away = 0.005 + 0.013 * loose + (0.002 + 0.004 * loose) * waves(rng, layer.vertices, 0.11)
    # Folds lie across the limbs, where the cloth is pushed together.
    away += (0.001 + 0.003 * loose) * np.abs(waves(rng, layer.vertices * (0.6, 0.6, 1.5), 0.05))
    draped = hemmed(drape(layer, np.maximum(away, 0.003), rounds=6), depth=0.002)
    material = textures.cloth(rng, colors, pattern)
    draped = replace(draped, uv=(draped.uv * (UV_METRES / material.tile)).astype(np.float32))
    return _part(name, draped, material)


def _watch(body: Anatomy, rng: np.random.Generator) -> Part:
    """A strap around the left wrist."""
    arm = along_arm(body)
    elbow, wrist = body.heads[[bones.ELBOW, bones.WRIST]]
    upper = np.linalg.norm(elbow - body.heads[bones.UPPER_ARM])
    middle = upper + np.linalg.norm(wrist - elbow) - 0.035
    near = np.where(np.isnan(arm) | (body.vertices[:, 0] < 0), -1.0, 0.011 - np.abs(np.nan_to_num(arm) - middle))
    strap = hemmed(drape(cut(body, near), np.full(1, 0.0035), rounds=0), depth=0.003)
    tone = float(rng.uniform(0.01, 0.2))
    return _part(
        "watch", strap, Material((tone, 0.9 * tone, 0.85 * tone), roughness=0.35, metallic=float(rng.integers(2)))
    )


# --- hair ------------------------------------------------------------------------------------------


def _hair(person: Person, body: Anatomy, rng: np.random.Generator) -> list[Part]:
    eyes = body.heads[list(bones.EYES)].mean(axis=0)
    place = body.vertices - eyes
    back, above = np.asarray(HAIRLINE).T
    border = place[:, 2] - np.interp(place[:, 1], back, above) + 0.004 * waves(rng, body.vertices, 0.02)
    ear = (np.abs(place[:, 0]) > 0.068) & (place[:, 2] < 0.035) & (place[:, 1] < 0.135)
    outer = np.linalg.norm((place - (0, 0.07, 0.02)) / (0.075, 0.1, 0.1), axis=1) > 0.75
    scalp = np.where((body.skin.dense()[:, bones.HEAD] > 0.5) & ~ear & outer, border, -0.02)
    layer = cut(body, scalp)
    thick = THICKNESS[person.hair]
    away = 0.002 + thick * np.minimum(layer.margin / (0.012 + thick), 1.0) ** 0.6
    away *= 1 + 0.22 * waves(rng, layer.vertices, 0.03) + 0.12 * waves(rng, layer.vertices, 0.012)
    rough = drape(layer, np.maximum(away, 0.0015), rounds=1)
    local = rough.vertices - eyes - (0, 0.08, 0.02)
    azimuth = np.arctan2(local[:, 0], -local[:, 1])
    around = np.stack([azimuth * 0.1, np.linalg.norm(local[:, :2], axis=1) - local[:, 2]], axis=1) / 0.12
    material = _strands(person.hair_color, rng)
    parts = [_part("hair", replace(rough, uv=around.astype(np.float32)), material, in_front=True)]
    if person.hair in ("bun", "ponytail"):
        parts.append(_tail(person, eyes, material, rng))
    return parts


def _strands(color: Color, rng: np.random.Generator) -> Material:
    """Fine lines along v, darker in between."""
    lines = rng.standard_normal((256, 512)).astype(np.float32)
    lines = cv2.GaussianBlur(np.tile(lines, (3, 1)), (0, 0), sigmaX=0.9, sigmaY=30)[256:512]
    lines /= lines.std()
    locks = cv2.GaussianBlur(
        np.tile(rng.standard_normal((256, 512)).astype(np.float32), (3, 1)), (0, 0), sigmaX=7, sigmaY=40
    )[256:512]
    shade = np.clip(1 + 0.2 * lines + 0.25 * locks / locks.std(), 0.3, 1.9)
    texture: ByteArray = np.clip(shade[..., None] * np.asarray(color), 0, 255).astype(np.uint8)
    return Material(
        texture=texture,
        bump=(0.0006 * lines + 0.001 * locks / locks.std()).astype(np.float32),
        tile=0.12,
        roughness=0.42,
    )


def _tail(person: Person, eyes: Float64Array, material: Material, rng: np.random.Generator) -> Part:
    """A bun on the back of the head, or a ponytail down from it; moves with the head."""
    root = eyes + (0, 0.185, 0.03)
    steps = np.linspace(0, 1, 14)
    if person.hair == "bun":
        path = root + steps[:, None] * (0, 0.055, 0.012)
        radius = 0.034 * np.sqrt(np.clip(1 - (2 * steps - 1) ** 2, 0, 1))
    else:
        length = rng.uniform(0.16, 0.3)
        path = root + np.stack([0 * steps, 0.05 * np.sin(2.2 * steps), -length * steps**1.3], axis=1)
        radius = 0.024 * np.sqrt(np.clip(1 - (2 * np.minimum(steps + 0.35, 1.0) - 1) ** 2, 0, 1)) + 0.004 * (1 - steps)
    turn = np.linspace(0, 2 * np.pi, 17)
    ring = np.stack([np.cos(turn), 0 * turn, np.sin(turn)], axis=1)
    if person.hair == "ponytail":
        ring = ring[:, [0, 2, 1]]
    vertices = (path[:, None] + radius[:, None, None] * ring).reshape(-1, 3)
    vertices += 0.0025 * waves(rng, vertices, 0.02)[:, None] * (vertices - np.repeat(path, 17, axis=0)) / 0.02
    i, j = (index.ravel() for index in np.meshgrid(np.arange(13), np.arange(16), indexing="ij"))
    a = i * 17 + j
    faces = np.concatenate([np.stack([a, a + 1, a + 17], axis=1), np.stack([a + 1, a + 18, a + 17], axis=1)])
    grid = np.arange(len(vertices)).reshape(14, 17)
    grid[:, 16] = grid[:, 0]
    uv = np.stack(np.broadcast_arrays(turn * 0.03 / 0.12, steps[:, None] * 1.5), axis=-1).reshape(-1, 2)
    skin = Skin(
        np.tile(np.array([1, 0, 0, 0, 0, 0], np.float32), (len(vertices), 1)),
        np.full((len(vertices), 6), bones.HEAD, np.uint8),
    )
    layer = Layer(
        vertices,
        faces.astype(np.int32),
        grid.ravel().astype(np.int32),
        uv.astype(np.float32),
        skin,
        np.zeros(len(vertices)),
    )
    return _part("tail", layer, material, in_front=True)
