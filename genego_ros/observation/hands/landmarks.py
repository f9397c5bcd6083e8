"""Where MediaPipe's landmarks lie on the hand whose keypoints everything else speaks of.

MediaPipe was taught by people who clicked on pictures: its finger tips lie further in than those of the mesh, its wrist
nearer to the fingers. Taken for the mesh's keypoints they make a hand look smaller than it is, and so farther away.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genego_ros.geometry.hand_model import MIRROR, HandModel
from genego_ros.types import KEYPOINTS, FloatArray, Side

OFFSETS = 1e-3 * np.array(
    [
        [-11.0, -9.6, 0.0],
        [-7.2, -10.8, 4.1],
        [-6.9, -7.7, 3.7],
        [-10.3, 5.7, 9.0],
        [-9.4, 12.4, 8.1],
        [-5.0, 6.3, 7.3],
        [-1.3, -1.4, 0.3],
        [-1.3, 0.1, 1.6],
        [-0.2, 7.5, 6.6],
        [-6.4, 0.1, 8.4],
        [-0.6, -1.5, 2.5],
        [0.7, 1.2, 2.3],
        [3.1, 6.8, 6.9],
        [-3.5, -1.2, 6.7],
        [-1.0, -1.0, -1.5],
        [-0.8, 0.0, 0.9],
        [5.3, 2.6, 9.1],
        [-1.7, -2.3, 9.5],
        [-0.8, 0.9, 2.4],
        [0.5, -0.5, 0.1],
        [3.0, 3.0, 6.5],
    ]
)
"""Metres on the rest hand (a right one), landmark minus keypoint: the places that, carried along by their bones, are
nearest to the landmarks in the pictures, by robust least squares over 535 hands of 8 rendered recordings (4 people, 2
cameras each; models/measure_landmarks.py). Two halves of the recordings differ by less than 4 mm but for the thumb."""
DEVIATIONS = 1e-3 * np.array([5.5, 5.0, 6.7, 9.5, 13.0] + (KEYPOINTS - 5) * [2.8], np.float32)
"""Metres on the hand: how far landmarks lie from there, 1.4826 times the median."""


class LandmarkedHand:
    """The hand mesh with MediaPipe's landmarks on it."""

    def __init__(self, model: HandModel) -> None:
        self._model = model
        self._marked = replace(model, keypoints=model.keypoints + OFFSETS)

    def rest(self, side: Side) -> FloatArray:
        """float32 (21, 3), metres: the landmarks of the rest hand."""
        return self._marked.rest_keypoints(side)

    def keypoints(self, landmarks: FloatArray, side: Side) -> FloatArray:
        """The keypoints of the hand whose landmarks these are.

        Args:
            landmarks: float32 (21, 3), metres, any frame.

        Returns:
            float32 (21, 3), metres, the same frame.

        Raises:
            GenEgoError: see `HandModel.bone_transforms`.
        """
        transforms = self._marked.bone_transforms(landmarks, side)
        rest = self._model.keypoints * (MIRROR if side == "left" else 1.0)
        found: FloatArray = (np.einsum("kab,kb->ka", transforms[:, :, :3], rest) + transforms[:, :, 3]).astype(
            np.float32
        )
        return found
