"""Steadier hands: the One-Euro filter on metric keypoints.

G. Casiez, N. Roussel and D. Vogel, "1 Euro filter: a simple speed-based low-pass filter for noisy input in interactive
systems", CHI 2012.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from genego_ros.geometry.camera import project
from genego_ros.types import FloatArray, Frame, Hand, Side

SPEED_COEFFICIENT = 10.0
"""Hz of cut-off a metre a second (beta): at half a metre a second a keypoint lags by 13 mm behind."""
SPEED_CUTOFF_HZ = 1.0
"""Of the filter of the speed itself, as in the paper."""
LONGEST_GAP_S = 0.5
"""A hand that was away for longer starts anew."""


@dataclass(frozen=True)
class _State:
    stamp_ns: int
    keypoints: FloatArray
    speed: FloatArray
    """float32 (21, 3), metres a second."""


class OneEuro:
    """Remembers each side's hand from frame to frame."""

    def __init__(self) -> None:
        self._states: dict[Side, _State] = {}

    def forget(self) -> None:
        """The next hands have nothing to do with the last ones."""
        self._states.clear()

    def smooth(self, hands: tuple[Hand, ...], frame: Frame, time_constant: float) -> tuple[Hand, ...]:
        """`hands` with smoothed keypoints.

        A hand that the frame before did not show, or that comes with an earlier stamp, starts anew.

        Args:
            time_constant: seconds, 1 / (2 pi f_cmin) in the paper's terms; 0 leaves the hands as they are.
        """
        if time_constant <= 0:
            self.forget()
            return hands
        before, self._states = self._states, {}
        return tuple(self._smoothed(hand, before.get(hand.side), frame, time_constant) for hand in hands)

    def _smoothed(self, hand: Hand, before: _State | None, frame: Frame, time_constant: float) -> Hand:
        gap = math.inf if before is None else 1e-9 * (frame.stamp_ns - before.stamp_ns)
        if before is None or not 0 < gap <= LONGEST_GAP_S:
            self._states[hand.side] = _State(frame.stamp_ns, hand.keypoints, np.zeros_like(hand.keypoints))
            return hand
        speed = before.speed + _share(SPEED_CUTOFF_HZ, gap) * ((hand.keypoints - before.keypoints) / gap - before.speed)
        cutoff = 1.0 / (2.0 * math.pi * time_constant) + SPEED_COEFFICIENT * np.linalg.norm(
            speed, axis=1, keepdims=True
        )
        keypoints = (before.keypoints + _share(cutoff, gap) * (hand.keypoints - before.keypoints)).astype(np.float32)
        self._states[hand.side] = _State(frame.stamp_ns, keypoints, speed.astype(np.float32))
        pixels, _ = project(keypoints, frame.camera)
        return replace(hand, keypoints=keypoints, keypoints_2d=pixels.astype(np.float32))


def _share(cutoff_hz: float | FloatArray, gap: float) -> float | FloatArray:
    """How much of a new value an exponential filter takes over after `gap` seconds (the paper's alpha)."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff_hz * gap))
