"""The people that can be: a mesh, its skeleton and how both vary, from models/body.safetensors.

The rest frame: z up, metres, origin in the pelvis, the face looks along -y, the person's left is +x.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from genego_ros import weights
from genego_ros.data.synthetic.hand_rig import HandRig, wrist_frame
from genego_ros.errors import loading
from genego_ros.types import KEYPOINTS, BoolArray, Float64Array, FloatArray, Side

REGIONS = ("trunk", "hands", "feet", "face", "scalp", "lips", "mouth", "lids", "nails", "eyes")
"""Of a vertex; the number is the place in this list."""
HAND_BONES = (
    *("wrist", "", "finger1-1", "finger1-2", "finger1-3"),
    *("metacarpal1", "finger2-1", "finger2-2", "finger2-3", "metacarpal2", "finger3-1", "finger3-2", "finger3-3"),
    *("metacarpal3", "finger4-1", "finger4-2", "finger4-3", "metacarpal4", "finger5-1", "finger5-2", "finger5-3"),
)
"""The body's bone that is bone k of a `HandRig`; no skin follows bone 1."""


@dataclass(frozen=True)
class BodyModel:
    """The content of the file."""

    vertices: FloatArray
    """float32 (V, 3), the mean adult at rest."""
    shapes: NDArray[np.float16]
    """float16 (S, V, 3), offsets a standard deviation of each coefficient."""
    bone_heads: FloatArray
    """float32 (B, 3)."""
    bone_head_shapes: FloatArray
    """float32 (S, B, 3)."""
    parents: NDArray[np.int64]
    """int64 (B,); the root is its own."""
    names: tuple[str, ...]
    skin_weights: Float64Array
    """float64 (V, 6), rows sum to 1."""
    skin_bones: NDArray[np.int64]
    """int64 (V, 6)."""
    regions: NDArray[np.uint8]
    """uint8 (V,), see `REGIONS`."""
    corner_vertices: NDArray[np.int64]
    """int64 (C,): the vertex of each corner; seams of the texture have several at one vertex."""
    corner_uv: FloatArray
    """float32 (C, 2), v points down."""
    faces: NDArray[np.int64]
    """int64 (F, 3), of corners, counter-clockwise from outside."""
    people: FloatArray
    """float32 (N, S): coefficients of people that are likely."""
    people_traits: FloatArray
    """float32 (N, 2): gender (0 man, 1 woman) and age (0 young, 1 old) of each."""

    def bone(self, name: str) -> int:
        return self.names.index(name)

    def region(self, *names: str) -> BoolArray:
        """bool (V,): the vertices in one of these regions."""
        return np.isin(self.regions, [REGIONS.index(name) for name in names])

    def rest(self, shape: tuple[float, ...], stature: float) -> tuple[Float64Array, Float64Array]:
        """Vertices (V, 3) and bone heads (B, 3), float64, of the person with these coefficients, scaled to a stature
        in metres."""
        coefficients = np.asarray(shape, np.float64)
        vertices = self.vertices + np.tensordot(coefficients, self.shapes.astype(np.float64), axes=1)
        heads = self.bone_heads + np.tensordot(coefficients, self.bone_head_shapes.astype(np.float64), axes=1)
        scale = stature / np.ptp(vertices[:, 2])
        return scale * vertices, scale * heads

    def dense_weights(self, vertices: NDArray[np.int64]) -> Float64Array:
        """float64 (len(vertices), B): skin weights by bone."""
        dense = np.zeros((len(vertices), len(self.names)))
        np.add.at(dense, (np.arange(len(vertices))[:, None], self.skin_bones[vertices]), self.skin_weights[vertices])
        return dense


@cache
def load() -> BodyModel:
    """The model that comes with the package; read once.

    Raises:
        GenEgoError: the file is missing, damaged or holds other tensors.
    """
    path = weights.locate("body")
    cure = "restore models/body.safetensors or rebuild it with models/build_body.py"
    with loading(path, cure):
        tensors = load_file(path)
        strength = tensors["skin_weights"].astype(np.float64)
        return BodyModel(
            vertices=tensors["vertices"],
            shapes=tensors["shapes"],
            bone_heads=tensors["bone_heads"],
            bone_head_shapes=tensors["bone_head_shapes"],
            parents=tensors["bone_parents"].astype(np.int64),
            names=tuple(tensors["bone_names"].tobytes().decode().split("\n")),
            skin_weights=strength / strength.sum(axis=1, keepdims=True),
            skin_bones=tensors["skin_bones"].astype(np.int64),
            regions=tensors["regions"],
            corner_vertices=tensors["corner_vertices"].astype(np.int64),
            corner_uv=_downwards(tensors["corner_uv"]),
            faces=tensors["faces"].astype(np.int64),
            people=tensors["people"],
            people_traits=tensors["people_traits"],
        )


def _downwards(stored: NDArray[np.uint16]) -> FloatArray:
    """Texture coordinates of 65535 with v up -> float32 with v down."""
    uv = stored.astype(np.float32) / np.float32(65535)
    uv[:, 1] = 1 - uv[:, 1]
    return uv


@dataclass(frozen=True)
class RestHand:
    """A hand as part of a body at rest."""

    rig: HandRig
    vertices: NDArray[np.int64]
    """int64 (N,): the body's vertex of each of the rig's, but for its last one, which closes the wrist."""
    T_rest_wrist: Float64Array
    """float64 (4, 4): the wrist frame in the body's rest frame."""


def rest_hand(model: BodyModel, vertices: Float64Array, heads: Float64Array, side: Side) -> RestHand:
    """The hand of a person at rest; a joint is the area-weighted centre of the skin that its two bones share.

    It is the rule by which models/build_hand_mesh.py places keypoints.

    Args:
        vertices, heads: float64 (V, 3) and (B, 3), as `BodyModel.rest` gives them.
    """
    letter = side[0].upper()
    on_side = vertices[:, 0] > 0 if side == "left" else vertices[:, 0] < 0
    # Nails are the hands' too; feet have none here.
    inside = model.region("hands", "nails") & on_side
    members = np.flatnonzero(inside)
    number = np.full(len(vertices), -1)
    number[members] = np.arange(len(members))
    faces = number[model.corner_vertices[model.faces]]
    faces = faces[(faces >= 0).all(axis=1)]
    skin = vertices[members]
    dense = model.dense_weights(members)
    by_bone = np.zeros((len(members), KEYPOINTS))
    for k, name in enumerate(HAND_BONES):
        if name:
            by_bone[:, k] = dense[:, model.bone(f"{name}.{letter}")]
    by_bone /= by_bone.sum(axis=1, keepdims=True)
    keypoints = _keypoints(skin, faces, heads[model.bone(f"wrist.{letter}")], by_bone)
    T_rest_wrist = wrist_frame(keypoints)
    skin, faces, by_bone = _close(skin, faces, by_bone)
    rotation, origin = T_rest_wrist[:3, :3], T_rest_wrist[:3, 3]
    rig = HandRig(
        side=side,
        vertices=((skin - origin) @ rotation).astype(np.float32),
        faces=faces.astype(np.uint32),
        skin_weights=by_bone.astype(np.float32),
        keypoints=(keypoints - origin) @ rotation,
    )
    return RestHand(rig, members, T_rest_wrist)


def _keypoints(
    skin: Float64Array, faces: NDArray[np.int64], wrist: Float64Array, weights: Float64Array
) -> Float64Array:
    """float64 (21, 3) of skin (N, 3) with weights (N, 21)."""
    a, b, c = (skin[faces[:, corner]] for corner in range(3))
    areas = np.bincount(faces.ravel(), np.repeat(np.linalg.norm(np.cross(b - a, c - a), axis=1), 3), len(skin))
    keypoints = np.tile(wrist, (KEYPOINTS, 1))
    for base in range(1, KEYPOINTS, 4):
        for joint in range(base, base + 3):
            shared = weights[:, 0 if joint == 1 else joint] * weights[:, joint + 1] * areas
            keypoints[joint] = shared @ skin / shared.sum()
        last = np.flatnonzero(weights.argmax(axis=1) == base + 3)
        reach = np.linalg.norm(skin[last] - keypoints[base + 2], axis=1)
        keypoints[base + 3] = skin[last[reach.argmax()]]
    return keypoints


def _close(
    skin: Float64Array, faces: NDArray[np.int64], weights: Float64Array
) -> tuple[Float64Array, NDArray[np.int64], Float64Array]:
    """The hand with a fan over its one opening, at the wrist, so that it has an inside."""
    edges = {(int(a), int(b)) for face in faces for a, b in zip(face, np.roll(face, -1), strict=True)}
    rim = sorted(edge for edge in edges if edge[::-1] not in edges)
    ring = sorted({a for a, _ in rim})
    fan = np.array([(b, a, len(skin)) for a, b in rim])
    return (
        np.vstack([skin, skin[ring].mean(axis=0)]),
        np.vstack([faces, fan]),
        np.vstack([weights, weights[ring].mean(axis=0)]),
    )
