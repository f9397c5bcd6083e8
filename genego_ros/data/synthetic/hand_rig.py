"""A hand that is posed by the angles of its joints: 20 degrees of freedom on 21 keypoints.

The wrist frame, for both sides (the state vector's formula): y points from the wrist to the middle
knuckle, x from the pinky's knuckle to the index finger's, orthogonal to y, and z = x cross y, which points out of
the palm of a right hand and out of the back of a left one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from genego_ros.geometry.hand_model import PARENTS, FaceArray
from genego_ros.types import KEYPOINTS, Float64Array, FloatArray, Side

ANGLES = 20
"""Thumb: base bend, base opposition, middle, end; then for index, middle, ring and pinky: spread, bend of
knuckle, middle joint, end joint. Radians; 0 is the rest pose, positive bends towards the palm, opposes the thumb or
spreads away from the middle finger (the middle one towards the index)."""
ANGLE_BONES = np.array([2, 2, 3, 4, 6, 6, 7, 8, 10, 10, 11, 12, 14, 14, 15, 16, 18, 18, 19, 20])
"""The bone that each angle turns, about the keypoint PARENTS[bone] that it begins in."""


def wrist_frame(keypoints: Float64Array) -> Float64Array:
    """T_any_wrist, float64 (4, 4), of keypoints (21, 3) in any frame: origin in the wrist, axes as above."""
    along = keypoints[9] - keypoints[0]
    y = along / np.linalg.norm(along)
    across = keypoints[5] - keypoints[17]
    across = across - (across @ y) * y
    x = across / np.linalg.norm(across)
    T = np.eye(4)
    T[:3, 0], T[:3, 1], T[:3, 2], T[:3, 3] = x, y, np.cross(x, y), keypoints[0]
    return T


@dataclass(frozen=True)
class HandRig:
    """One hand of one person, at rest, in its wrist frame."""

    side: Side
    vertices: FloatArray
    """float32 (V, 3), metres."""
    faces: FaceArray
    """uint32 (F, 3), counter-clockwise from outside."""
    skin_weights: FloatArray
    """float32 (V, 21), rows sum to 1; bone k ends in keypoint k, bone 0 is the palm."""
    keypoints: Float64Array
    """float64 (21, 3), metres."""

    @property
    def palm(self) -> Float64Array:
        """Unit vector out of the palm, wrist frame."""
        return np.array([0.0, 0.0, 1.0 if self.side == "right" else -1.0])

    @cached_property
    def axes(self) -> Float64Array:
        """float64 (20, 3): unit axis of each angle at rest, wrist frame."""
        axes = np.zeros((ANGLES, 3))
        x = np.array([1.0, 0.0, 0.0])
        for angle, bone in enumerate(ANGLE_BONES):
            finger, joint = divmod(angle, 4)
            first = (2, 6, 10, 14, 18)[finger]
            direction = self.keypoints[first] - self.keypoints[PARENTS[first]]
            if finger == 0:
                # The thumb bends across the palm and opposes out of its plane.
                towards = self.palm if joint == 1 else 0.5 * self.palm - x
            elif joint == 0:
                towards = x if finger <= 2 else -x
            else:
                towards = self.palm
            if finger == 0 and joint >= 2:
                direction = self.keypoints[bone] - self.keypoints[PARENTS[bone]]
            axis = np.cross(direction, towards)
            axes[angle] = axis / np.linalg.norm(axis)
        return axes

    def bone_transforms(self, angles: Float64Array) -> Float64Array:
        """float64 (..., 21, 4, 4), wrist frame: what moves each bone from rest to the poses `angles` (..., 20)."""
        vectors = self.axes * angles[..., None]
        turns = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(*vectors.shape, 3)
        transforms = np.tile(np.eye(4), (*angles.shape[:-1], KEYPOINTS, 1, 1))
        for bone in range(1, KEYPOINTS):
            turn = np.eye(3)
            for angle in np.flatnonzero(bone == ANGLE_BONES):
                turn = turn @ turns[..., angle, :, :]
            pivot = self.keypoints[PARENTS[bone]]
            local = np.zeros((*turn.shape[:-2], 4, 4))
            local[..., :3, :3], local[..., :3, 3], local[..., 3, 3] = turn, pivot - turn @ pivot, 1.0
            transforms[..., bone, :, :] = transforms[..., PARENTS[bone], :, :] @ local
        return transforms

    def pose(self, angles: Float64Array) -> tuple[FloatArray, Float64Array]:
        """Skin float32 (V, 3) and keypoints float64 (21, 3), metres in the wrist frame, of `angles` (20,)."""
        transforms = self.bone_transforms(angles)
        keypoints = np.einsum("kij,kj->ki", transforms[:, :3, :3], self.keypoints) + transforms[:, :3, 3]
        blended = np.tensordot(self.skin_weights.astype(np.float64), transforms[:, :3], axes=1)
        skin = np.einsum("vij,vj->vi", blended[..., :3], self.vertices) + blended[..., 3]
        return skin.astype(np.float32), keypoints
