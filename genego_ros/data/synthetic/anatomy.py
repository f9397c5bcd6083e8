"""The bodies of models/body.safetensors: shapes, bones and skin, at rest.

At rest a person stands with the arms held out a little, faces -y, and +z is up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from safetensors.numpy import load_file
from scipy.sparse import coo_array, csr_array, diags_array

from genego_ros.data.synthetic.hand_rig import HandRig, wrist_frame
from genego_ros.data.synthetic.scene import IndexArray
from genego_ros.geometry import rigid
from genego_ros.resources import resource
from genego_ros.types import KEYPOINTS, SIDES, Float64Array, FloatArray, Side

BONES = 104
ROOT = 0
SPINE = (41, 42, 43, 44, 45)
NECK = (98, 99, 100, 101)
"""The neck's three bones and the head."""
HEAD = 101
EYES = (102, 103)
CLAVICLE, SHOULDER, UPPER_ARM, UPPER_ARM_LOW, ELBOW, FOREARM_LOW, WRIST = range(46, 53)
"""The left arm's bones; the right arm's follow ARM later."""
ARM = 26
HIP, THIGH, THIGH_LOW, KNEE, SHIN_LOW, FOOT = range(1, 7)
"""The left leg's bones; the right leg's follow LEG later, and toes follow the feet."""
LEG = 20
HAND_BONES = 20
HAND_KEYPOINTS = np.array([0, *range(2, KEYPOINTS)])
"""The wrist bone and the 19 after it -> the keypoint each ends in (models/build_hand_mesh.py)."""


@dataclass(frozen=True)
class Skin:
    """What moves vertices: up to six bones each."""

    weights: FloatArray
    """float32 (V, 6); rows sum to 1."""
    bones: NDArray[np.uint8]
    """uint8 (V, 6)."""

    def of(self, chosen: NDArray[np.int_]) -> Skin:
        """The skin of some of the vertices."""
        return Skin(self.weights[chosen], self.bones[chosen])

    def dense(self) -> FloatArray:
        """float32 (V, 104)."""
        dense = np.zeros((len(self.weights), BONES), np.float32)
        np.add.at(dense, (np.arange(len(dense))[:, None], self.bones), self.weights)
        return dense


@dataclass(frozen=True)
class Anatomy:
    """One person's body, at rest."""

    vertices: Float64Array
    """float64 (V, 3), metres."""
    faces: IndexArray
    """int32 (F, 3) into the corners."""
    corners: IndexArray
    """int32 (C,): the vertex of each corner; seams of the texture double vertices."""
    uv: FloatArray
    """float32 (C, 2)."""
    skin: Skin
    heads: Float64Array
    """float64 (104, 3): where each bone begins."""

    @property
    def triangles(self) -> IndexArray:
        """int32 (F, 3) into the vertices."""
        return self.corners[self.faces]

    def rig(self, side: Side) -> tuple[HandRig, Float64Array]:
        """The hand from the wrist on, in its wrist frame, and T_rest_wrist, float64 (4, 4).

        Keypoints follow models/build_hand_mesh.py: the wrist bone's head, the area-weighted centres of the skin that
        two bones share, and the fingers' ends.
        """
        wrist = wrist_bone(side)
        dense = self.skin.dense()[:, wrist : wrist + HAND_BONES]
        chosen = np.flatnonzero(dense.sum(axis=1) > 0.5)
        weights = np.zeros((len(chosen), KEYPOINTS), np.float32)
        np.add.at(weights.T, HAND_KEYPOINTS, dense[chosen].T)
        weights /= weights.sum(axis=1, keepdims=True)
        triangles = self.triangles
        renumbered = np.full(len(self.vertices), -1)
        renumbered[chosen] = np.arange(len(chosen))
        faces = renumbered[triangles]
        faces = faces[(faces >= 0).all(axis=1)]
        vertices = self.vertices[chosen]
        keypoints = keypoint_positions(vertices, faces, self.heads[wrist], weights)
        T_rest_wrist = wrist_frame(keypoints)
        T_wrist_rest = rigid.invert(T_rest_wrist)
        rig = HandRig(
            side,
            rigid.apply(T_wrist_rest, vertices).astype(np.float32),
            faces.astype(np.uint32),
            weights,
            rigid.apply(T_wrist_rest, keypoints),
        )
        return rig, T_rest_wrist


def wrist_bone(side: Side) -> int:
    return WRIST + ARM * SIDES.index(side)


def keypoint_positions(
    vertices: Float64Array, faces: NDArray[np.int_], wrist: Float64Array, weights: FloatArray
) -> Float64Array:
    """float64 (21, 3); see `Anatomy.rig`."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    thirds = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    areas = np.bincount(faces.ravel(), np.repeat(thirds, 3), minlength=len(vertices))
    keypoints = np.tile(np.asarray(wrist, np.float64), (KEYPOINTS, 1))
    for base in range(1, KEYPOINTS, 4):
        for joint in range(base, base + 3):
            shared = weights[:, 0 if joint == 1 else joint] * weights[:, joint + 1] * areas
            keypoints[joint] = shared @ vertices / shared.sum()
        distal = np.flatnonzero(weights.argmax(axis=1) == base + 3)
        reach = np.linalg.norm(vertices[distal] - keypoints[base + 2], axis=1)
        keypoints[base + 3] = vertices[distal[reach.argmax()]]
    return keypoints


@cache
def _tensors() -> dict[str, Any]:
    return load_file(resource("models/body.safetensors"))


def people() -> int:
    """How many people there are."""
    return len(_tensors()["people"])


def is_male(person: int) -> bool:
    """Of one of the `people()`."""
    return bool(_tensors()["male"][person])


def anatomy(person: int, change: Float64Array, stature: float) -> Anatomy:
    """A body.

    Args:
        person: which of the `people()`.
        change: float64 (16,), added to the coefficients of the shapes; those of the people have standard
            deviations of the same order as `spread()`.
        stature: factor on all lengths.
    """
    tensors = _tensors()
    coefficients = tensors["people"][person].astype(np.float64) + change
    shaped = [
        stature * (tensors[rest].astype(np.float64) + np.tensordot(coefficients, tensors[shapes], axes=1))
        for rest, shapes in (("vertices", "shapes"), ("bone_heads", "bone_shapes"))
    ]
    return Anatomy(
        vertices=shaped[0],
        faces=tensors["faces"].astype(np.int32),
        corners=tensors["corners"].astype(np.int32),
        uv=tensors["uv"].astype(np.float32) / np.float32(65535) * np.array([1, -1], np.float32)
        + np.array([0, 1], np.float32),
        skin=Skin(tensors["skin_weights"].astype(np.float32) / np.float32(255), tensors["skin_bones"]),
        heads=shaped[1],
    )


def spread() -> Float64Array:
    """float64 (16,): standard deviations of the people's coefficients."""
    return np.std(_tensors()["people"].astype(np.float64), axis=0)


def vertex_normals(vertices: Float64Array, triangles: IndexArray) -> Float64Array:
    """float64 (V, 3): unit, area weighted."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    normals = np.stack(
        [np.bincount(triangles.ravel(), np.repeat(across[:, k], 3), minlength=len(vertices)) for k in range(3)], axis=1
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def neighbours(triangles: IndexArray, count: int) -> csr_array:
    """(V, V): row-stochastic; takes the mean over a vertex' neighbours."""
    i, j = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).T
    ones = np.ones(2 * len(i))
    links = coo_array((ones, (np.r_[i, j], np.r_[j, i])), shape=(count, count)).tocsr()
    links.data[:] = 1
    return (diags_array(1 / np.maximum(links.sum(axis=1), 1)) @ links).tocsr()


@njit(cache=True, nogil=True)
def carry(vertices, weights, bones, transforms):  # type: ignore[no-untyped-def]
    """Linear blend skinning.

    Args:
        vertices: float64 (V, 3) at rest.
        weights: float32 (V, 6).
        bones: uint8 (V, 6).
        transforms: float64 (104, 3, 4), rest to pose.

    Returns:
        float32 (V, 3).
    """
    moved = np.empty(vertices.shape, np.float32)
    for v in range(len(vertices)):
        for row in range(3):
            total = 0.0
            for k in range(weights.shape[1]):
                if weights[v, k] > 0:
                    T = transforms[bones[v, k], row]
                    total += weights[v, k] * (
                        T[0] * vertices[v, 0] + T[1] * vertices[v, 1] + T[2] * vertices[v, 2] + T[3]
                    )
            moved[v, row] = total
    return moved
