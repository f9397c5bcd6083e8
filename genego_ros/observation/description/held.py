"""What a hand touches: found in the depth around it, without knowing what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from genego_ros.geometry.camera import rays
from genego_ros.geometry.plane import dominant_plane
from genego_ros.geometry.skeleton import BONES
from genego_ros.types import Array, BoolArray, ByteArray, Float64Array, FloatArray, Frame, Hand

_STRIDE_PX = 320
"""The search runs on a picture about this wide: an object is many pixels even there."""
_FINGER, _PALM = 0.016, 0.03
"""Metres from the bones of fingers and of the palm that are still hand: half their thickness, and the fold of skin
beside the thumb."""
_REACH = 0.028
"""Metres from the bones within which a surface is touched."""
_GRASPING = [bone for bone in BONES if bone[0] != 0]
"""The fingers: the wrist rests on tables."""
_PALM_BONES = [(0, 1), (0, 5), (0, 9), (0, 13), (0, 17), (1, 2), (5, 9), (9, 13), (13, 17)]
_FOREARM, _SLEEVE = 0.25, 0.08
"""Metres behind the wrist, and to its side, that are arm and sleeve."""
_AROUND = 0.35
"""Metres around the hand in which the table is looked for."""
_TABLE_TOLERANCE = 0.015
_TABLE_SHARE = 0.3
_STEP = 0.02
"""Metres of depth between neighbouring pixels of one surface."""
_LONGEST = 0.5
"""Metres; what reaches further than this is furniture."""
_FEWEST = 30
"""Pixels (of the small picture) that a hand must touch."""

_COLORS: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("black", (25, 25, 25)),
    ("grey", (120, 120, 120)),
    ("white", (225, 225, 225)),
    ("red", (180, 35, 35)),
    ("orange", (225, 125, 35)),
    ("yellow", (225, 200, 50)),
    ("green", (60, 130, 60)),
    ("blue", (45, 85, 165)),
    ("purple", (110, 60, 140)),
    ("pink", (225, 140, 165)),
    ("brown", (110, 70, 40)),
    ("beige", (205, 185, 150)),
)
"""The basic colour terms (Berlin and Kay, 1969), and beige, which much tableware is."""


@dataclass(frozen=True)
class Thing:
    """An unnamed thing in a hand."""

    color: str
    """One of the basic colour terms."""
    length: float
    """Metres, of what is seen of it, along its longest side."""
    pixels: BoolArray
    """bool (H, W), where it is seen; of the picture that was searched."""


def touched(frame: Frame, depth: FloatArray, hands: Sequence[Hand]) -> list[Thing | None]:
    """What each of `hands` touches; None where that is nothing but the table, or where the depth does not tell.

    A surface is touched when it lies within 3 cm of the hand's bones and is not the hand itself, nor the
    plane that most of the surroundings lie on. It is followed from there over neighbours of like depth.

    Args:
        depth: D'_exo, float32 (H, W), metres, NaN invalid.
        hands: P_exo.
    """
    rgb, points = _smaller(frame, depth)
    flesh, near = _by_distance(points, hands)
    return [_thing(points, rgb, flesh, near[index], hand) for index, hand in enumerate(hands)]


def color_name(rgb: Array) -> str:
    """The basic colour term nearest to uint8 (N, 3) RGB pixels: of their median, in CIELAB."""
    palette = np.array([value for _, value in _COLORS], np.uint8)
    seen = np.median(rgb, axis=0).astype(np.uint8)
    lab = cv2.cvtColor(np.vstack([palette, seen[None]])[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    # A shadow changes lightness far more than hue.
    distances = np.linalg.norm((lab[:-1] - lab[-1]) * [0.5, 1.0, 1.0], axis=1)
    return _COLORS[int(distances.argmin())][0]


def _smaller(frame: Frame, depth: FloatArray) -> tuple[ByteArray, FloatArray]:
    """The picture that is searched, and its points: float32 (H, W, 3), metres, exo optical frame, NaN invalid."""
    stride = max(1, round(frame.camera.width / _STRIDE_PX))
    rgb, depth = frame.rgb[::stride, ::stride], depth[::stride, ::stride]
    return rgb, rays(frame.camera.thinned(stride)) * depth[..., None]


def _by_distance(points: FloatArray, hands: Sequence[Hand]) -> tuple[BoolArray, list[BoolArray]]:
    """Where the surface is a hand's own, and for each hand where it is within its reach."""
    flesh = np.zeros(points.shape[:2], bool)
    near = []
    for hand in hands:
        flesh |= _to_bones(points, hand.keypoints, _GRASPING) < _FINGER
        flesh |= _to_bones(points, hand.keypoints, _PALM_BONES) < _PALM
        flesh |= _forearm(points, hand.keypoints)
        near.append(_to_bones(points, hand.keypoints, _GRASPING) < _REACH)
    return flesh, near


def _forearm(points: FloatArray, keypoints: FloatArray) -> BoolArray:
    """What lies in the hand's length behind the wrist, and not far to the side."""
    back = keypoints[0] - keypoints[9]
    back = back / max(float(np.linalg.norm(back)), 1e-9)
    from_wrist = points - keypoints[0]
    along = from_wrist @ back
    aside = np.linalg.norm(from_wrist - along[..., None] * back, axis=2)
    forearm: BoolArray = (along > 0) & (along < _FOREARM) & (aside < _SLEEVE)
    return forearm


def _to_bones(points: FloatArray, keypoints: FloatArray, bones: Sequence[tuple[int, int]]) -> FloatArray:
    """Metres to the nearest of `bones`, (H, W); infinite beyond a box around the hand."""
    low, high = keypoints.min(axis=0) - _REACH, keypoints.max(axis=0) + _REACH
    inside = ((points >= low) & (points <= high)).all(axis=2)
    distance = np.full(points.shape[:2], np.inf, np.float32)
    chosen = points[inside]
    nearest = np.full(len(chosen), np.inf, np.float32)
    for start, end in bones:
        a, bone = keypoints[start], keypoints[end] - keypoints[start]
        along = np.clip((chosen - a) @ bone / max(float(bone @ bone), 1e-9), 0.0, 1.0)
        nearest = np.minimum(nearest, np.linalg.norm(chosen - a - along[:, None] * bone, axis=1))
    distance[inside] = nearest
    return distance


def _thing(points: FloatArray, rgb: ByteArray, flesh: BoolArray, near: BoolArray, hand: Hand) -> Thing | None:
    usable = np.isfinite(points[..., 2]) & ~flesh
    usable &= ~_table(points, usable, hand)
    seeds = near & usable
    if seeds.sum() < _FEWEST:
        return None
    surface = _connected(points[..., 2], usable, seeds)
    if surface.sum() < _FEWEST:
        return None
    length = _length(points[surface])
    return Thing(color_name(rgb[surface]), length, surface) if length < _LONGEST else None


def _table(points: FloatArray, usable: BoolArray, hand: Hand) -> BoolArray:
    """The plane that the surroundings of `hand` lie on, and what is behind it; nowhere where there is none."""
    middle = hand.keypoints.mean(axis=0)
    around = points[usable & (np.linalg.norm(points - middle, axis=2) < _AROUND)].astype(np.float64)
    plane = dominant_plane(around, _TABLE_TOLERANCE)
    if plane is None or plane.share < _TABLE_SHARE:
        return np.zeros(points.shape[:2], bool)
    height = points @ plane.normal.astype(np.float32) - np.float32(plane.offset)
    # One side of a box is a plane too.
    if _length(points[usable & (np.abs(height) < _TABLE_TOLERANCE)]) < _LONGEST:
        return np.zeros(points.shape[:2], bool)
    below: BoolArray = height < _TABLE_TOLERANCE
    return below


def _connected(z: FloatArray, usable: BoolArray, seeds: BoolArray) -> BoolArray:
    """The largest piece of surface without steps that holds seeds."""
    step = np.zeros(z.shape, bool)
    filled = np.where(usable, z, np.float32(1e3))
    step[:, 1:] |= np.abs(np.diff(filled, axis=1)) > _STEP
    step[1:] |= np.abs(np.diff(filled, axis=0)) > _STEP
    _, labels = cv2.connectedComponents((usable & ~step).astype(np.uint8), connectivity=4)
    counts = np.bincount(labels[seeds & usable & ~step], minlength=1)
    counts[0] = 0
    piece: BoolArray = labels == counts.argmax() if counts.any() else np.zeros(z.shape, bool)
    return piece


def _length(points: FloatArray) -> float:
    """Metres between the 2nd and 98th percentile along the main axis."""
    centred: Float64Array = (points - points.mean(axis=0)).astype(np.float64)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    low, high = np.percentile(centred @ axis, [2, 98])
    return float(high - low)
