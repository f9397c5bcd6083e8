"""Hands that MediaPipe finds in rendered third-person pictures, as it finds those of real recordings.

A hand counts as visible where 17 of its keypoints or more lie in the picture within 3 cm of the surface that the depth
map has there, and its box is larger than 40 pixels. It is found where a hand was detected whose keypoints are off by
less than 0.35 of the box' longer side in the mean.
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
from genego_ros.data.sample import View
from genego_ros.data.synthetic.recipe import Recipe, sequences
from genego_ros.data.synthetic.rendering import render
from genego_ros.geometry.camera import project
from genego_ros.observation.hands.mediapipe import MediaPipeHands
from genego_ros.parameters import Parameters
from genego_ros.types import Float64Array

RECORDINGS = 10
FRAMES = (12, 32, 52, 72)
LENGTH, RATE_HZ = 90, 10.0
CAMERAS = ("cam0", "cam1", "cam2", "cam4")
SIZE = (640, 360)
SEED = 7
SEEN, CLOSE, LARGE = 17, 0.03, 40.0
"""Keypoints; metres; pixels."""
OFF = 0.35
TARGETS = {"one": 0.9, "both": 0.6}


class Found(NamedTuple):
    """Of one picture, by hand."""

    visible: tuple[bool, ...]
    found: tuple[bool, ...]


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        render(recipe(), Path(folder), SIZE, workers=2)
        pictures = [found for _, found in look(H2O(folder))]
    one = [any(picture.found) for picture in pictures if any(picture.visible)]
    both = [all(picture.found) for picture in pictures if all(picture.visible)]
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


def look(dataset: H2O) -> Iterator[tuple[View, Found]]:
    """Every third-person picture, and what is found in it."""
    detector = MediaPipeHands(Parameters())
    for sample in dataset:
        view = sample.exo[0]
        detector.forget()
        detected = [hand.keypoints_2d.astype(np.float64) for hand in detector.estimate(view.frame)]
        pixels = [project(hand, view.frame.camera)[0] for hand in view.keypoints]
        visible = tuple(_visible(view, hand, at) for hand, at in zip(view.keypoints, pixels, strict=True))
        found = tuple(
            seen and any(np.linalg.norm(other - at, axis=1).mean() < OFF * _side(at) for other in detected)
            for seen, at in zip(visible, pixels, strict=True)
        )
        yield view, Found(visible, found)
    detector.close()


def _visible(view: View, keypoints: Float64Array, pixels: Float64Array) -> bool:
    camera, depth = view.frame.camera, view.frame.depth
    assert depth is not None
    at = np.round(pixels).astype(int)
    inside = ((at >= 0) & (at < (camera.width, camera.height))).all(axis=1)
    at = np.clip(at, 0, (camera.width - 1, camera.height - 1))
    close = np.abs(depth[at[:, 1], at[:, 0]] - keypoints[:, 2]) < CLOSE
    return int((inside & close).sum()) >= SEEN and _side(pixels) > LARGE


def _side(pixels: Float64Array) -> float:
    return float(np.ptp(pixels, axis=0).max())
