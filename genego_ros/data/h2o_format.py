"""H2O's text files, line by line: what `h2o` reads and what writes recordings in the same format.

Every `format_*` has its `parse_*`, but for what nobody reads. A file is one line of numbers with blanks between them;
ours have ten decimals, so that a label comes back to 1e-10. `source` in a `parse_*` is the file's path, for the error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from genego_ros.data.plausible import check_hand, check_pose
from genego_ros.errors import GenEgoError
from genego_ros.types import KEYPOINTS, SIDES, Camera, Float64Array

OBJECTS = ("background", "book", "espresso", "lotion", "spray", "milk", "cocoa", "chips", "cappuccino")
VERBS = (
    *("background", "grab", "place", "open", "close", "pour", "take out", "put in", "apply", "read", "spray"),
    "squeeze",
)
ACTIONS = (
    "background",
    *(f"grab {name}" for name in OBJECTS[1:]),
    *(f"place {name}" for name in OBJECTS[1:]),
    *("open lotion", "open milk", "open chips", "close lotion", "close milk", "close chips", "pour milk"),
    *("take out espresso", "take out cocoa", "take out chips", "take out cappuccino"),
    *("put in espresso", "put in cocoa", "put in cappuccino", "apply lotion", "apply spray"),
    *("read book", "read espresso", "spray spray", "squeeze lotion"),
)
"""The names of H2O's numbers (its README); rendered recordings bring their own in meta.json."""

EXO_CAMERAS = ("cam0", "cam1", "cam2", "cam3")
"""They stand still."""
EGO_CAMERA = "cam4"
"""On the head."""
CAMERAS = (*EXO_CAMERAS, EGO_CAMERA)

META = "meta.json"
UNFINISHED = ".unfinished"
"""In a data set's folder: where rendered recordings lie until they are whole."""
RATE_HZ = 30.0
OBJECT_POINTS = 21
"""Of `obj_pose`: the box's centre, its 8 corners and the middles of its 12 edges."""
RATES_HZ = (0.01, 1000.0)
"""The slowest and the fastest recording; beyond, times of frames are no times."""
Head = Literal["visible", "cropped", "absent"]
HEADS: tuple[Head, ...] = get_args(Head)


@dataclass(frozen=True)
class Meta:
    """What meta.json says of a recording; H2O itself has no such file and is described by the defaults."""

    rate_hz: float = RATE_HZ
    object_name: str = ""
    """Of the object whose class the recording's obj_pose gives; empty: H2O's name of that class."""
    verbs: tuple[str, ...] = VERBS
    actions: tuple[str, ...] = ACTIONS
    head: Head | Literal[""] = ""
    """How much of the person's head the third-person cameras see, of `HEADS`; empty where nobody said."""
    further: dict[str, Any] = field(default_factory=dict)
    """All other keys."""


def format_pose(T: Float64Array) -> str:
    """`cam_pose`: float64 (4, 4), camera to world, row by row."""
    return _line(T)


def parse_pose(text: str, source: Path | str) -> Float64Array:
    """T_world_camera, float64 (4, 4).

    Raises:
        GenEgoError: not 16 numbers, NaN, or no rigid transformation.
    """
    T = _numbers(text, 16, source).reshape(4, 4)
    check_pose(T, source)
    return T


def format_hands(keypoints: Float64Array) -> str:
    """`hand_pose`: float64 (2, 21, 3), left, right, metres in the camera's frame; a hand with a NaN is absent."""
    hands = [(1, hand) if np.isfinite(hand).all() else (0, np.zeros_like(hand)) for hand in keypoints]
    return " ".join(f"{flag} {_line(hand)}" for flag, hand in hands)


def parse_hands(text: str, source: Path | str) -> Float64Array:
    """float64 (2, 21, 3), left, right, metres in the camera's frame; NaN for a hand whose flag is 0.

    Raises:
        GenEgoError: not 128 numbers, a flag that is neither 0 nor 1; with flag 1, a hand with NaN, or larger or
            further away than hands are.
    """
    numbers = _split(text, 2 * (1 + 3 * KEYPOINTS), source).reshape(2, 1 + 3 * KEYPOINTS)
    keypoints = numbers[:, 1:].reshape(2, KEYPOINTS, 3).copy()
    for side, flag, hand in zip(SIDES, numbers[:, 0], keypoints, strict=True):
        if flag not in (0.0, 1.0):
            raise GenEgoError(f"{source}: the {side} hand's flag is {flag:g}, it must be 0 or 1; copy the file again")
        if not flag:
            hand[:] = np.nan
        elif not np.isfinite(hand).all():
            raise GenEgoError(
                f"{source}: the {side} hand is NaN or infinite although its flag is 1; copy the file again, or set "
                "the flag to 0"
            )
        else:
            check_hand(hand, side, source)
    return keypoints


def format_object(number: int, points: Float64Array) -> str:
    """`obj_pose`: class and float64 (21, 3), metres in the camera's frame: the box's centre, its 8 corners and the
    middles of its 12 edges."""
    return f"{number} {_line(points)}"


def parse_object(text: str, source: Path | str) -> tuple[int, Float64Array]:
    """Class and box points, float64 (21, 3): centre, 8 corners, 12 middles of edges; metres, camera frame.

    Raises:
        GenEgoError: not 64 numbers, NaN, or an impossible class.
    """
    numbers = _numbers(text, 1 + 3 * OBJECT_POINTS, source)
    return _whole(numbers[0], source), numbers[1:].reshape(OBJECT_POINTS, 3)


def format_object_pose(number: int, T_camera_object: Float64Array) -> str:
    """`obj_pose_RT`: class and float64 (4, 4), object to camera."""
    return f"{number} {_line(T_camera_object)}"


def parse_object_pose(text: str, source: Path | str) -> tuple[int, Float64Array]:
    """Class and T_camera_object, float64 (4, 4), which means nothing for class 0, no object.

    Raises:
        GenEgoError: not 17 numbers, NaN, an impossible class, or of an object no rigid transformation.
    """
    numbers = _numbers(text, 17, source)
    number, T_camera_object = _whole(numbers[0], source), numbers[1:].reshape(4, 4)
    if number:
        check_pose(T_camera_object, source, "object's pose")
    return number, T_camera_object


def format_intrinsics(camera: Camera) -> str:
    """`cam_intrinsics.txt`: fx fy cx cy width height, pixels."""
    return f"{_line((camera.fx, camera.fy, camera.cx, camera.cy))} {camera.width} {camera.height}"


def parse_intrinsics(text: str, source: Path | str) -> Camera:
    """The camera.

    Raises:
        GenEgoError: not 6 numbers, or an impossible camera.
    """
    fx, fy, cx, cy, width, height = _numbers(text, 6, source).tolist()
    try:
        return Camera(_whole(width, source), _whole(height, source), fx, fy, cx, cy)
    except GenEgoError as error:
        raise GenEgoError(f"{source}: {error}") from error


def format_label(number: int) -> str:
    """`verb_label`, `action_label`: one number."""
    return f"{number}"


def parse_label(text: str, source: Path | str) -> int:
    """The number.

    Raises:
        GenEgoError: not one whole number from 0.
    """
    return _whole(_numbers(text, 1, source)[0], source)


def format_meta(meta: Meta) -> str:
    """meta.json; the same text for the same recording."""
    known = {
        "rate_hz": meta.rate_hz,
        "object_name": meta.object_name,
        "verbs": meta.verbs,
        "actions": meta.actions,
        "head": meta.head,
    }
    return json.dumps({**meta.further, **known}, indent=1, sort_keys=True) + "\n"


def parse_meta(text: str, source: Path | str) -> Meta:
    """What meta.json says; keys that are not there keep their defaults.

    Raises:
        GenEgoError: no JSON object, or a key of another kind than `Meta` has.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GenEgoError(f"{source}: cannot be read ({error}); copy it again") from error
    if not isinstance(found, dict):
        raise GenEgoError(f"{source}: cannot be read (no JSON object, {{...}}); copy it again")
    rate_hz, object_name, head = found.pop("rate_hz", RATE_HZ), found.pop("object_name", ""), found.pop("head", "")
    verbs, actions = found.pop("verbs", [*VERBS]), found.pop("actions", [*ACTIONS])
    slowest, fastest = RATES_HZ
    if isinstance(rate_hz, bool) or not isinstance(rate_hz, (int, float)) or not slowest <= rate_hz <= fastest:
        raise GenEgoError(
            f"{source}: rate_hz is {str(rate_hz)[:40]}, a number of frames a second from {slowest:g} to {fastest:g} "
            "belongs there; copy the file again, or put the recording's rate there"
        )
    if head != "" and head not in HEADS:
        raise GenEgoError(f"{source}: head is '{head}', it must be one of {', '.join(HEADS)}; copy the file again")
    if not all(isinstance(names, list) for names in (verbs, actions)) or not all(
        isinstance(name, str) for name in (object_name, *verbs, *actions)
    ):
        raise GenEgoError(f"{source}: object_name must be a text, verbs and actions lists of texts; copy it again")
    return Meta(float(rate_hz), object_name, tuple(verbs), tuple(actions), head, found)


def read_meta(path: Path) -> Meta:
    """What the file says; H2O's own defaults where there is none.

    Raises:
        GenEgoError: it cannot be read, or see `parse_meta`.
    """
    try:
        return parse_meta(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        return Meta()
    except (OSError, UnicodeDecodeError) as error:
        raise GenEgoError(f"{path}: cannot be read ({error}); copy it again") from error


def _line(numbers: Float64Array | Iterable[float]) -> str:
    return " ".join(f"{number:.10f}" for number in np.asarray(numbers, np.float64).ravel().tolist())


def _split(text: str, count: int, source: Path | str) -> Float64Array:
    words = text.split()
    if len(words) != count:
        raise GenEgoError(f"{source}: {len(words)} numbers where {count} belong; copy the file again")
    try:
        return np.array([float(word) for word in words])
    except ValueError as error:
        raise GenEgoError(f"{source}: {error}; copy the file again") from error


def _numbers(text: str, count: int, source: Path | str) -> Float64Array:
    numbers = _split(text, count, source)
    if not np.isfinite(numbers).all():
        raise GenEgoError(f"{source}: holds NaN or infinity; copy the file again, or leave the frame out")
    return numbers


def _whole(number: float, source: Path | str) -> int:
    if number != int(number) or number < 0:
        raise GenEgoError(f"{source}: {number:g} where a whole number from 0 belongs; copy the file again")
    return int(number)
