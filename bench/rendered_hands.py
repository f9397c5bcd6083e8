"""Hands that MediaPipe finds in rendered third-person pictures, as it finds those of real recordings.

When a hand is visible, how a picture is shown, and when a hand is found, is all as in `genego evaluate observation`, so
that its figures on real recordings compare.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import Result
from genego_ros.data.h2o import H2O
from genego_ros.data.synthetic.recipe import Recipe, sequences
from genego_ros.data.synthetic.rendering import render
from genego_ros.evaluation.observation.hands import matches
from genego_ros.evaluation.observation.truth import visible_hands
from genego_ros.observation.hands.mediapipe import MediaPipeHands
from genego_ros.observation.observer import SETTLING_FRAMES
from genego_ros.parameters import Parameters
from genego_ros.types import Side

RECORDINGS = 10
FRAMES = (12, 32, 52, 72)
LENGTH, RATE_HZ = 90, 10.0
CAMERAS = ("cam0", "cam1", "cam2", "cam4")
SIZE = (640, 360)
SEED = 7
TARGETS = {"one": 0.9, "both": 0.6}


class Found(NamedTuple):
    """Of one picture."""

    visible: tuple[Side, ...]
    found: tuple[Side, ...]
    """Of the visible ones, whichever side they were taken for."""


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        render(recipe(), Path(folder), SIZE, workers=2)
        pictures = list(look(H2O(folder)))
    one = [bool(picture.found) for picture in pictures if picture.visible]
    both = [picture.found == picture.visible for picture in pictures if len(picture.visible) == 2]
    return [
        Result(
            name=f"rendered pictures in which MediaPipe finds {which} of {len(found)} with {visible}",
            value=float(np.mean(found)),
            unit="share",
            reference="",
            reference_value=None,
            target=f">= {target:g}",
            met=bool(np.mean(found) >= target),
        )
        for which, found, visible, target in (
            ("a hand", one, "a visible hand", TARGETS["one"]),
            ("both hands", both, "two visible hands", TARGETS["both"]),
        )
    ]


def recipe() -> Recipe:
    """Few frames, far apart, of many people, rooms and objects."""
    whole = sequences(RECORDINGS, LENGTH, SEED, CAMERAS, rate_hz=RATE_HZ)
    return Recipe(whole.name, tuple(replace(plan, frames=FRAMES) for plan in whole.recordings))


def look(dataset: H2O) -> Iterator[Found]:
    """What is visible, and found of it, in every third-person picture."""
    detector = MediaPipeHands(Parameters())
    for sample in dataset:
        view = sample.exo[0]
        detector.forget()
        for _ in range(SETTLING_FRAMES):
            hands = detector.estimate(view.frame)
        same, visible = matches(hands, view), visible_hands(view)
        yield Found(visible, tuple(side for side in visible if side in same))
    detector.close()
