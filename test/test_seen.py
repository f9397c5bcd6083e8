"""The seen mask against the truth, as `genego evaluate` measures it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from genego_ros.data.sample import View
from genego_ros.evaluation.seen import scores
from genego_ros.observation.observer import empty_view
from genego_ros.types import Camera, EgoView, ExoObservation, Frame, Scale, SparseView, Viewpoint

CAMERA = Camera.from_hfov(40, 20, 90.0)
SHAPE = (20, 40)


def truth(depth: np.ndarray | None) -> View:
    """A grey wall."""
    frame = Frame(np.full((*SHAPE, 3), 100, np.uint8), CAMERA, depth)
    return View("cam4", frame, np.eye(4), np.full((2, 21, 3), np.nan))


def view(depth: np.ndarray, seen: np.ndarray, grey: np.ndarray) -> EgoView:
    """A splat at this depth, all of which has landed, and a picture of these grey levels, made of it."""
    sparse = SparseView(np.zeros((*SHAPE, 3), np.uint8), depth, np.ones(SHAPE, bool))
    observation = ExoObservation(
        0, "exo", True, (), (), CAMERA, Viewpoint(np.eye(4), "tf"), sparse, "", Scale(), "topic"
    )
    return EgoView(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8), seen, observation, "here")


def test_what_is_marked_is_compared_with_the_true_depth_and_the_true_grey() -> None:
    depth = np.full(SHAPE, 0.8, np.float32)
    splat, grey, seen = depth.copy(), np.full(SHAPE, 115), np.zeros(SHAPE, bool)
    seen[:, :16] = True
    splat[:5, :16] += 0.03  # a quarter of what is marked lies behind the wall,
    splat[5:10, :16] -= 0.015  # another is off by less than 2 cm,
    splat[:, 16:] = 3.0  # and what is not marked may be anywhere.
    grey[:, :4] = 121  # A quarter is too bright; what is not marked may have any grey.
    grey[:, 16:] = 255
    found = scores(view(splat, seen, grey), truth(depth))
    assert found == {"seen_2cm": 0.75, "seen_20_grey": 0.75}
    # Where the truth is not known, depth says nothing, and grey still does.
    hidden = depth.copy()
    hidden[:5] = np.nan
    assert scores(view(splat, seen, grey), truth(hidden)) == {"seen_2cm": 1.0, "seen_20_grey": 0.75}
    found = scores(view(splat, seen, grey), truth(None))
    assert math.isnan(found["seen_2cm"]) and found["seen_20_grey"] == 0.75


def test_who_marks_nothing_has_no_share() -> None:
    depth = np.full(SHAPE, 0.8, np.float32)
    nothing = view(depth, np.zeros(SHAPE, bool), np.zeros(SHAPE))
    nothing = replace(nothing, observation=replace(nothing.observation, sparse=empty_view(CAMERA), valid=False))
    assert all(math.isnan(score) for score in scores(nothing, truth(depth)).values())
