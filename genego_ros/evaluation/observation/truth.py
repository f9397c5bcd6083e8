"""What a recording says of which hands its third-person picture shows, and what they touch."""

from __future__ import annotations

import numpy as np

from genego_ros.data.h2o import H2O
from genego_ros.data.sample import Dataset, SampleId, View
from genego_ros.geometry.camera import project
from genego_ros.geometry.hand_model import HandModel
from genego_ros.observation.hands.hand_depth import hand_depth
from genego_ros.types import SIDES, Array, Float64Array, FloatArray, Side

_LEAST = 40
"""Pixels along the longer side of the box around a hand's keypoints; a smaller one counts as not visible."""
_INSIDE = 0.75
"""Share of the keypoints that the picture must hold."""
_UNHIDDEN = 0.5
"""Share of those that nothing may hide; a hand hides some of its own."""
_COVER = 0.04
"""Metres from a joint to the surface seen there that may be the hand's own."""
_SKIN = 0.03
"""Metres between the hand mesh and the true depth that are still the hand."""
_TOUCH = 0.015
"""Metres from a joint to the object's box: a finger's half thickness, and a box fits loosely."""
_TOUCHING_JOINTS = 3
_FINGERS = np.array([k for k in range(21) if k not in (0, 1, 5, 9, 13, 17)])
"""What grasps: not the wrist and the knuckles."""


def visible_hands(view: View) -> tuple[Side, ...]:
    """Hands with at least 40 pixels, three quarters of whose joints are in the picture and half of those in view.

    A joint is in view where the true depth at its pixel is no more than 4 cm nearer than it; where there is no true
    depth it counts as in view.
    """
    return tuple(side for side, hand in zip(SIDES, view.keypoints, strict=True) if _visible(hand, view))


def _visible(hand: Float64Array, view: View) -> bool:
    if not np.isfinite(hand).all():
        return False
    camera, depth = view.frame.camera, view.frame.depth
    pixels, z = project(hand, camera)
    size = np.array([camera.width, camera.height])
    inside = (z > 0) & (pixels > -0.5).all(axis=1) & (pixels < size - 0.5).all(axis=1)
    if inside.mean() < _INSIDE or np.ptp(pixels[inside], axis=0).max() < _LEAST:
        return False
    if depth is None:
        return True
    column, row = np.rint(pixels[inside]).astype(int).T
    hidden = depth[row, column] < z[inside] - _COVER  # false for NaN: an unknown surface hides nothing
    return float(np.mean(~hidden)) >= _UNHIDDEN


def touches(hand: Array, box: Float64Array) -> bool:
    """Whether at least three finger joints are within 15 mm of the object's box.

    Args:
        hand: (21, 3), metres.
        box: float64 (21, 3), same frame, see `h2o_format.parse_object`.
    """
    centre, sides = box[0], _sides(box[1:9])
    local = np.abs((hand[_FINGERS] - centre) @ sides.T / np.linalg.norm(sides, axis=1))
    beyond = np.maximum(local - np.linalg.norm(sides, axis=1) / 2, 0.0)
    return int(np.count_nonzero(np.linalg.norm(beyond, axis=1) < _TOUCH)) >= _TOUCHING_JOINTS


def _sides(corners: Float64Array) -> Float64Array:
    """The three sides (3, 3) that meet in the first of a box's eight corners.

    Of the vectors to the other corners the shortest is a side; the shortest across it is another; the shortest across
    both is the third.
    """
    others = corners[1:] - corners[0]
    sides: list[Float64Array] = []
    for vector in others[np.argsort(np.linalg.norm(others, axis=1))]:
        if all(abs(vector @ side) < 1e-2 * np.linalg.norm(vector) * np.linalg.norm(side) for side in sides):
            sides.append(vector)
    return np.array(sides[:3])


def head_of(dataset: Dataset, id: SampleId) -> str:
    """How much of the person's head the third-person cameras see, of `h2o_format.HEADS`; empty where nobody said."""
    return dataset.meta(id.sequence).head if isinstance(dataset, H2O) else ""


def hand_region(view: View, model: HandModel) -> FloatArray | None:
    """True depth where the true hands are seen, float32 (H, W), metres, NaN elsewhere; None without true depth.

    The hand mesh is fitted to the true joints; where it and the true depth agree within 3 cm a hand is seen.
    """
    depth = view.frame.depth
    if depth is None:
        return None
    sides = [side for side in SIDES if view.has_hand(side)]
    hands = [view.keypoints[SIDES.index(side)].astype(np.float32) for side in sides]
    meshes = [(model.fit(hand, side), model.faces(side)) for side, hand in zip(sides, hands, strict=True)]
    rendered = hand_depth(meshes, view.frame.camera).depth
    return np.where(np.abs(rendered - depth) < _SKIN, depth, np.float32(np.nan))
