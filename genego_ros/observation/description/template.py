"""A description from the hands' shape and place, without a language model."""

from __future__ import annotations

import numpy as np

from genego_ros.geometry.skeleton import FINGERS
from genego_ros.observation.description.held import Thing, touched
from genego_ros.parameters import Parameters
from genego_ros.types import FloatArray, Frame, Hand

_PINCH = 0.2
"""Thumb tip to index tip below this share of the hand's length is a pinch."""
_TUCKED = 0.55
"""An index finger less straight than this has its tip in the palm: the thumb lies on it in a fist."""
_STRAIGHT, _BENT = 0.93, 0.75
"""Base-to-tip distance over bone length of a finger: 1 is straight, a fist has about 0.4."""
_NEAR = 0.12
"""Metres between palms that work together."""


class TemplateDescription:
    """Says which hands are seen, what they do and touch and how far apart they are; nothing that is not measured."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def describe(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> str:
        if not hands:
            return "No hands are visible."
        things = touched(frame, depth, hands)
        sentences = [
            f"The person's {hand.side} hand is {posture(hand.keypoints)}{_touching(thing)}."
            for hand, thing in zip(hands, things, strict=True)
        ]
        if len(hands) == 2:
            gap = float(np.linalg.norm(hands[0].keypoints[9] - hands[1].keypoints[9]))
            sentences.append(
                "Both hands are close together." if gap < _NEAR else f"The hands are {100 * gap:.0f} cm apart."
            )
            if things[0] and things[1] and (things[0].pixels & things[1].pixels).any():
                sentences.append("They touch the same thing.")
        return " ".join(sentences)


def _touching(thing: Thing | None) -> str:
    return f" and touches something {thing.color}, about {100 * thing.length:.0f} cm long" if thing else ""


def posture(keypoints: FloatArray) -> str:
    """`pinching`, `open`, `closed` or `half closed`, from float32 (21, 3) keypoints of any unit."""
    fingers = [_straightness(keypoints[list(finger)]) for finger in FINGERS[1:]]
    gap = np.linalg.norm(keypoints[4] - keypoints[8])
    if gap < _PINCH * np.linalg.norm(keypoints[9] - keypoints[0]) * 2 and fingers[0] > _TUCKED:
        return "pinching"
    straightness = np.mean(fingers)
    if straightness > _STRAIGHT:
        return "open"
    return "closed" if straightness < _BENT else "half closed"


def _straightness(finger: FloatArray) -> float:
    bones = np.linalg.norm(np.diff(finger, axis=0), axis=1).sum()
    return float(np.linalg.norm(finger[-1] - finger[0]) / bones) if bones > 0 else 1.0
