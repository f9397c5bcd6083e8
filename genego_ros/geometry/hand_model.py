"""A hand mesh that is fitted to 21 keypoints in closed form.

It takes the place that MANO has in the paper: the surface behind D_hand. Every bone of the rest hand
is rotated and stretched onto its two keypoints, and linear blend skinning carries the skin along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from genego_ros.errors import GenEgoError, loading
from genego_ros.types import KEYPOINTS, Array, Float64Array, FloatArray, Side

FaceArray = NDArray[np.uint32]

PARENTS = np.array([0, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19])
"""Bone k leads from keypoint PARENTS[k] to keypoint k; bone 0 is the palm."""
PALM = np.array([0, 5, 9, 13, 17])
"""The keypoints that keep their distances in every pose: the wrist and the four knuckles."""
MIRROR = np.array([-1.0, 1.0, 1.0])

MANO_TIPS = (745, 317, 444, 556, 673)
"""Vertices of MANO's right hand at the tips of thumb, index, middle, ring and pinky, as manopth takes them."""
MANO_OPENPOSE = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
"""Keypoints from MANO's 16 joints (wrist, index, middle, pinky, ring, thumb) with the 5 tips behind them."""

LEAST_BONE = 0.05
"""A bone shorter than this share of its rest length has no direction; it takes its parent's."""
LEAST_PALM = 0.05
"""A palm narrower than this share of its length has no orientation; the rest hand's share is 0.4."""


@dataclass(frozen=True)
class HandModel:
    """The rest hand: a right one; the left is its mirror image."""

    vertices: FloatArray
    """float32 (V, 3), metres, wrist at the origin."""
    keypoints: Float64Array
    """float64 (21, 3), the joints and fingertips of the same hand."""
    right_faces: FaceArray
    """uint32 (F, 3), counter-clockwise seen from outside; the mesh is closed."""
    skinning: FloatArray
    """float32 (V, 84): for every bone its weight times (x, y, z, 1), so that one product with the
    stacked bone transformations skins the whole mesh."""

    @classmethod
    def load(cls, path: Path | str) -> HandModel:
        """The hand of a file that models/build_hand_mesh.py wrote.

        Raises:
            GenEgoError: the file is missing, is no safetensors file or holds other tensors.
        """
        cure = "restore models/hand_mesh.safetensors or rebuild it with models/build_hand_mesh.py"
        if not Path(path).is_file():
            raise GenEgoError(f"hand mesh '{path}' does not exist; {cure}")
        with loading(path, cure):
            tensors = load_file(path)
        missing = {"vertices", "faces", "skin_weights", "skin_bones", "keypoints", "parents"} - tensors.keys()
        if missing or not np.array_equal(tensors["parents"], PARENTS):
            raise GenEgoError(f"'{path}' is no hand mesh of 21 bones; {cure}")
        vertices = tensors["vertices"]
        weights = np.zeros((len(vertices), KEYPOINTS), np.float32)
        np.add.at(weights, (np.arange(len(vertices))[:, None], tensors["skin_bones"]), tensors["skin_weights"])
        return cls._of(vertices, tensors["faces"], weights, tensors["keypoints"])

    @classmethod
    def load_mano(cls, path: Path | str) -> HandModel:
        """The right hand of MANO, flat, from an .npz that `genego weights import-mano` wrote.

        Its skin follows the same 21 bones: what MANO binds to a finger's joint goes with the bone that begins there,
        what it binds to the wrist with the palm. The mesh is open at the wrist.

        Raises:
            GenEgoError: the file is missing, cannot be read or holds another model.
        """
        cure = "run ./genego weights import-mano DIR again, or remove the file"
        with loading(path, cure), np.load(path) as file:
            arrays = {name: file[name] for name in ("v_template", "weights", "J_regressor", "f")}
        template = arrays["v_template"].astype(np.float64)
        if (
            template.shape != (778, 3)
            or arrays["weights"].shape != (778, 16)
            or arrays["J_regressor"].shape != (16, 778)
        ):
            raise GenEgoError(f"'{path}' is no model of MANO; {cure}")
        joints = np.concatenate([arrays["J_regressor"] @ template, template[list(MANO_TIPS)]])
        keypoints = joints[list(MANO_OPENPOSE)]
        weights = np.zeros((len(template), KEYPOINTS), np.float32)
        for keypoint, joint in enumerate(MANO_OPENPOSE):
            if joint < 16:
                weights[:, 0 if keypoint == 0 else keypoint + 1] = arrays["weights"][:, joint]
        vertices = (template - keypoints[0]).astype(np.float32)
        return cls._of(vertices, arrays["f"], weights, keypoints - keypoints[0])

    @classmethod
    def _of(cls, vertices: FloatArray, faces: Array, weights: FloatArray, keypoints: Array) -> HandModel:
        """From skin weights float32 (V, 21), bone by bone."""
        homogeneous = np.hstack([vertices, np.ones((len(vertices), 1), np.float32)])
        skinning = (weights[:, :, None] * homogeneous[:, None, :]).reshape(len(vertices), 4 * KEYPOINTS)
        return cls(
            vertices=vertices,
            keypoints=keypoints.astype(np.float64),
            right_faces=faces.astype(np.uint32),
            skinning=np.ascontiguousarray(skinning),
        )

    def faces(self, side: Side) -> FaceArray:
        """uint32 (F, 3), counter-clockwise seen from outside, for the vertices that `fit` returns."""
        return self.right_faces if side == "right" else np.ascontiguousarray(self.right_faces[:, ::-1])

    def rest_keypoints(self, side: Side) -> FloatArray:
        """float32 (21, 3), metres, wrist at the origin: an open hand, fingers slightly bent."""
        return (self.keypoints if side == "right" else self.keypoints * MIRROR).astype(np.float32)

    def fit(self, keypoints: FloatArray, side: Side) -> FloatArray:
        """The skin of a hand with these keypoints.

        Args:
            keypoints: float32 (21, 3), metres, any frame, OpenPose's order.
            side: whose mirror image to take; keypoints alone hardly tell.

        Returns:
            float32 (V, 3), metres, the same frame.

        Raises:
            GenEgoError: see `bone_transforms`.
        """
        transforms = self.bone_transforms(keypoints, side)
        if side == "left":
            transforms = transforms * np.array([-1.0, 1.0, 1.0, 1.0])
        stacked = transforms.transpose(0, 2, 1).reshape(4 * KEYPOINTS, 3).astype(np.float32)
        fitted: FloatArray = self.skinning @ stacked
        return fitted

    def bone_transforms(self, keypoints: FloatArray, side: Side) -> Float64Array:
        """What moves each bone of the rest hand of that side onto its two keypoints, exactly.

        The palm is turned and scaled as a whole (Umeyama 1991, with the scale as the ratio of
        extents). Each further bone takes over its parent's orientation and from there the smallest
        rotation that points it at its keypoint, so twist comes from the palm alone; along itself it
        is stretched to length, across itself it has the palm's scale.

        Args:
            keypoints: float32 (21, 3), metres, any frame.

        Returns:
            float64 (21, 3, 4), affine; entry k maps rest keypoints PARENTS[k] and k onto their
            targets. A bone too short for a direction keeps its length but not its end.

        Raises:
            GenEgoError: keypoints of another shape, NaN or infinite, or a palm without extent.
        """
        targets = np.asarray(keypoints, np.float64)
        if targets.shape != (KEYPOINTS, 3) or not np.isfinite(targets).all():
            raise GenEgoError(
                f"hand keypoints of shape {targets.shape} with {np.count_nonzero(~np.isfinite(targets))} "
                f"numbers NaN or infinite: a hand needs {KEYPOINTS} finite points; leave this hand out"
            )
        # A left hand is fitted in the mirror, where it is a right one.
        mirror = MIRROR if side == "left" else np.ones(3)
        targets = targets * mirror
        palm_rotation, scale = self._palm(targets)
        linear = np.empty((KEYPOINTS, 3, 3))
        linear[0] = scale * palm_rotation
        hinge = palm_rotation @ (self.keypoints[17] - self.keypoints[5])
        orientation = np.broadcast_to(palm_rotation, (5, 3, 3))
        for level in range(4):
            bones = np.arange(1 + level, KEYPOINTS, 4)
            rest = self.keypoints[bones] - self.keypoints[PARENTS[bones]]
            rest_length = np.linalg.norm(rest, axis=1, keepdims=True)
            axis = rest / rest_length
            target = targets[bones] - targets[PARENTS[bones]]
            length = np.linalg.norm(target, axis=1, keepdims=True)
            carried = np.einsum("bij,bj->bi", orientation, axis)
            has_direction = length > LEAST_BONE * scale * rest_length
            direction = np.where(has_direction, target / np.where(has_direction, length, 1.0), carried)
            orientation = smallest_rotations(carried, direction, hinge) @ orientation
            stretch = (length / rest_length - scale)[:, :, None] * axis[:, :, None] * axis[:, None, :]
            linear[bones] = orientation @ (scale * np.eye(3) + stretch)
        heads = self.keypoints[PARENTS]
        offset = targets[PARENTS] - np.einsum("bij,bj->bi", linear, heads)
        transforms = np.concatenate([linear, offset[:, :, None]], axis=2)
        # Back out of the mirror: M A M for the linear part, M b for the offset.
        return transforms * mirror[:, None] * np.append(mirror, 1.0)

    def _palm(self, targets: Float64Array) -> tuple[Float64Array, float]:
        """Rotation (3, 3) and scale that lay the rest palm onto the targets' one."""
        rest = self.keypoints[PALM] - self.keypoints[PALM].mean(axis=0)
        palm = targets[PALM] - targets[PALM].mean(axis=0)
        extent = np.linalg.svd(palm, compute_uv=False)
        if extent[1] <= LEAST_PALM * extent[0]:
            raise GenEgoError(
                f"the wrist and knuckles of a hand lie on a line or a point (extents {extent[0]:.4f} and "
                f"{extent[1]:.4f} m), so its palm has no orientation; leave this hand out"
            )
        u, _, vt = np.linalg.svd(palm.T @ rest)
        proper = np.array([1.0, 1.0, np.linalg.det(u @ vt)])
        return (u * proper) @ vt, float(np.linalg.norm(palm) / np.linalg.norm(rest))


def smallest_rotations(a: Float64Array, b: Float64Array, hinge: Float64Array) -> Float64Array:
    """The smallest rotations that take unit vectors a to unit vectors b.

    R = c I + [v]x + v v^T / (1 + c), v = a x b, c = a . b (Moller and Hughes 1999). Opposite vectors
    leave the axis open: there it is the part of `hinge` across a.

    Args:
        a, b: float64 (N, 3).
        hinge: float64 (3,).

    Returns:
        float64 (N, 3, 3).
    """
    c = np.einsum("ni,ni->n", a, b)[:, None, None]
    v = np.cross(a, b)
    opposite = c < -1 + 1e-9
    rotation = c * np.eye(3) + v[:, :, None] * v[:, None, :] / np.where(opposite, 1.0, 1.0 + c)
    rotation[:, (2, 0, 1), (1, 2, 0)] += v
    rotation[:, (1, 2, 0), (2, 0, 1)] -= v
    if opposite.any():
        across = hinge - np.einsum("ni,i->n", a, hinge)[:, None] * a
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        half_turn = 2 * across[:, :, None] * across[:, None, :] - np.eye(3)
        rotation = np.where(opposite, half_turn, rotation)
    return rotation


def mean_pose(hands: Sequence[Array]) -> Float64Array:
    """The mean of (2, 21, 3), NaN where there is no hand: float64 (2, 21, 3), NaN where there never is one."""
    stacked = np.array(hands, np.float64).reshape(-1, 2, KEYPOINTS, 3)
    there = np.isfinite(stacked)
    with np.errstate(invalid="ignore"):
        mean: Float64Array = np.where(there, stacked, 0.0).sum(axis=0) / there.sum(axis=0)
    return mean


def hand_length(keypoints: FloatArray) -> float:
    """The stretched length of a hand, wrist to tip of the middle finger, in the keypoints' unit.

    The sum of the bones 0-9-10-11-12, so that it does not depend on the pose.

    Args:
        keypoints: float32 (21, 3).
    """
    chain = np.asarray(keypoints, np.float64)[[0, 9, 10, 11, 12]]
    return float(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum())
