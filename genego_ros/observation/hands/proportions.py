"""The proportions of one person's hands, learnt while they are seen."""

from __future__ import annotations

from collections import deque

import numpy as np

from genego_ros.geometry.hand_model import PARENTS, hand_length
from genego_ros.types import Float64Array, FloatArray

FEWEST, MOST = 15, 120
"""Hands seen: before so many nothing is believed, and no more are remembered."""
BOUND = 0.1
"""Bones are at most this share longer or shorter than those of the rest hand, beside the size of the whole hand; among
adults the standard deviation is about 4 %."""


class Proportions:
    """Bone lengths against a rest hand's: the median over the last `MOST` hands, of both sides, which are taken to be
    mirror images."""

    def __init__(self) -> None:
        self._seen: deque[Float64Array] = deque(maxlen=MOST)

    def forget(self) -> None:
        """Another person may come next."""
        self._seen.clear()

    def learn(self, hand: FloatArray, rest: FloatArray) -> None:
        """Adds what was seen.

        Args:
            hand: float32 (21, 3), any pose, unit and frame.
            rest: float32 (21, 3): `applied_to` is relative to this hand.
        """
        self._seen.append(_bones(hand) / _bones(rest) * (hand_length(rest) / hand_length(hand)))

    def applied_to(self, rest: FloatArray) -> FloatArray:
        """`rest`, float32 (21, 3), with the bones of this person, as long as it was (`hand_length`)."""
        if len(self._seen) < FEWEST:
            return rest
        ratios = np.clip(np.median(self._seen, axis=0), 1.0 - BOUND, 1.0 + BOUND)
        bones = rest[1:] - rest[PARENTS[1:]]
        changed = rest.astype(np.float64)
        for k in range(1, len(rest)):
            changed[k] = changed[PARENTS[k]] + ratios[k - 1] * bones[k - 1]
        changed = changed[0] + (changed - changed[0]) * (hand_length(rest) / hand_length(changed.astype(np.float32)))
        return changed.astype(np.float32)


def _bones(hand: FloatArray) -> Float64Array:
    """float64 (20,): the lengths of the bones from keypoint PARENTS[k] to keypoint k."""
    lengths: Float64Array = np.linalg.norm(hand[1:].astype(np.float64) - hand[PARENTS[1:]], axis=1)
    return lengths
