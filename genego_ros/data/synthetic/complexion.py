"""What colours the skin and the eyes have, vertex by vertex."""

from __future__ import annotations

import numpy as np

from genego_ros.data.synthetic import surface
from genego_ros.data.synthetic.body_model import BodyModel
from genego_ros.data.synthetic.person import Person
from genego_ros.types import Float64Array, FloatArray


def skin_colors(model: BodyModel, vertices: Float64Array, heads: Float64Array, person: Person) -> FloatArray:
    """float32 (V, 3), linear RGB, of the body's vertices (V, 3) at rest; without the eyes."""
    rng = np.random.default_rng([person.seed, 2])
    base = np.array(person.skin)
    faces = model.corner_vertices[model.faces]
    mean = surface.neighbours(faces, np.arange(len(vertices)))
    blotches = surface.smoothed(rng.normal(size=(len(vertices), 3)), mean, 6)
    blotches /= blotches.std(axis=0)
    colors = base * np.exp(0.03 * blotches[:, :1] + blotches * [0.008, 0.018, 0.018])
    pale = float(np.clip(base[0] / 0.6, 0, 1))

    def towards(mask: Float64Array, color: Float64Array) -> None:
        colors[:] = colors + mask[:, None] * (color - colors)

    def soft(*names: str, steps: int) -> Float64Array:
        return surface.smoothed(model.region(*names).astype(np.float64), mean, steps)

    red = base * [1.03, 0.72, 0.70] + [0.012, 0, 0]
    towards(0.55 * soft("lips", steps=2), red * 0.85)
    towards(_knuckles(model, vertices, heads) * 0.3, red * (0.8 + 0.15 * pale))
    lighter = np.maximum(base * [1.03, 0.97, 0.95], base * 0.5 + [0.2, 0.115, 0.08])
    towards(_palms(model, vertices) * (0.75 - 0.35 * pale), lighter)
    towards(0.8 * soft("nails", steps=1), base * 0.65 + np.array([0.24, 0.16, 0.14]) * (0.5 + pale / 2))
    towards(0.9 * soft("lids", "mouth", steps=0), np.array([0.16, 0.05, 0.04]))
    scalp = soft("scalp", steps=2)
    if person.hair != "bald":
        towards(0.85 * scalp, np.array(person.hair_color))
    else:
        towards(0.25 * scalp, np.array(person.hair_color))
    towards(0.8 * _brows(vertices, heads, model), np.array(person.hair_color))
    towards(0.5 * person.beard * _beard(model, vertices, heads, mean), np.array(person.hair_color) + 0.2 * base)
    return np.clip(colors, 0, 1).astype(np.float32)


def eye_colors(model: BodyModel, vertices: Float64Array, heads: Float64Array, person: Person) -> FloatArray:
    """float32 (V, 3) of the body's vertices: white, iris and pupil by the angle from the eye's axis."""
    colors = np.tile([0.62, 0.58, 0.55], (len(vertices), 1))
    for letter in "LR":
        side = vertices[:, 0] > 0 if letter == "L" else vertices[:, 0] < 0
        members = np.flatnonzero(model.region("eyes") & side)
        centre = vertices[members].mean(axis=0)
        offset = vertices[members] - centre
        off_axis = np.arctan2(np.hypot(offset[:, 0], offset[:, 2]), -offset[:, 1])
        colors[members[off_axis < 0.52]] = person.eyes
        colors[members[off_axis < 0.24]] = 0.004
    return colors.astype(np.float32)


def _knuckles(model: BodyModel, vertices: Float64Array, heads: Float64Array) -> Float64Array:
    """(V,), 0 to 1: near the joints of the fingers."""
    near = np.zeros(len(vertices))
    for letter in "LR":
        for finger in range(1, 6):
            for joint in range(1, 4):
                head = heads[model.bone(f"finger{finger}-{joint}.{letter}")]
                distance = np.linalg.norm(vertices - head, axis=1)
                near = np.maximum(near, np.exp(-((distance / 0.009) ** 2)))
    return near * model.region("hands")


def _palms(model: BodyModel, vertices: Float64Array) -> Float64Array:
    """(V,), 0 to 1: skin of the hands that looks to where the palm does."""
    out = surface.normals(vertices, model.corner_vertices[model.faces], np.arange(len(vertices)))
    inner = np.zeros(len(vertices))
    hands = model.region("hands")
    for sign in (-1.0, 1.0):
        members = np.flatnonzero(hands & (np.sign(vertices[:, 0]) == sign))
        _, _, axes = np.linalg.svd(vertices[members] - vertices[members].mean(axis=0), full_matrices=False)
        palm = axes[2] * -np.sign(axes[2][2])  # at rest the hands' backs look up
        inner[members] = np.clip(0.5 + 1.6 * out[members] @ palm, 0, 1)
    return inner


def _brows(vertices: Float64Array, heads: Float64Array, model: BodyModel) -> Float64Array:
    """(V,), 0 to 1: the eyebrows."""
    eye = heads[model.bone("eye.L")]
    across = abs(vertices[:, 0]) - eye[0]
    arch = eye[2] + 0.024 - 2.5 * (across - 0.005) ** 2 * 6
    strip = np.exp(-(((vertices[:, 2] - arch) / 0.0045) ** 2))
    ends = 1 / (1 + np.exp((abs(across - 0.002) - 0.021) / 0.002))
    front = vertices[:, 1] < eye[1] + 0.01
    return strip * ends * front * model.region("face")


def _beard(model: BodyModel, vertices: Float64Array, heads: Float64Array, mean: surface.csr_matrix) -> Float64Array:
    """(V,), 0 to 1: chin, jaw and upper lip."""
    eye, neck = heads[model.bone("eye.L")], heads[model.bone("neck03")]
    below = vertices[:, 2] < eye[2] - 0.058 - 0.25 * (vertices[:, 1] - eye[1]).clip(0)
    cheek = (abs(vertices[:, 0]) < 0.02) | (vertices[:, 2] < eye[2] - 0.078) | (abs(vertices[:, 0]) > 0.055)
    jaw = below & cheek & (vertices[:, 2] > neck[2] - 0.02) & (vertices[:, 1] < eye[1] + 0.085)
    return surface.smoothed((jaw & model.region("face")).astype(np.float64), mean, 4)
