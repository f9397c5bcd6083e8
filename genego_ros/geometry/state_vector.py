"""The hands as 146 numbers for a policy; EgoObservation.msg is the specification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genego_ros.geometry.rigid import unit
from genego_ros.types import FloatArray, Hand

SIDE_LENGTH = 73
STATE_LENGTH = 2 * SIDE_LENGTH


def state_vector(hands: Sequence[Hand]) -> FloatArray:
    """float32 (146,): left, then right; a side without a hand is all zero. `hands` in the ego optical frame."""
    state = np.zeros(STATE_LENGTH, np.float32)
    for hand in hands:
        start = 0 if hand.side == "left" else SIDE_LENGTH
        state[start : start + SIDE_LENGTH] = _side(hand.keypoints)
    return state


def _side(keypoints: FloatArray) -> FloatArray:
    wrist = keypoints[0]
    y = unit(keypoints[9] - wrist)
    across = keypoints[5] - keypoints[17]
    x = unit(across - y * (across @ y))
    return np.concatenate([wrist, x, y, (keypoints - wrist).ravel(), [1.0]]).astype(np.float32)
