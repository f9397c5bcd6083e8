"""What both stages say of photos whose truth nobody knows: no errors, but what gives them away."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from genego_ros.data.sheet import captioned, contact_sheet, drawn, mask_picture, nobody_seen
from genego_ros.evaluation.run import spread
from genego_ros.genego import GenEgo
from genego_ros.inputs import observe_alone
from genego_ros.types import SIDES, ByteArray, EgoView, Frame

_ROWS = 60
"""Of the picture sheet."""
_WIDTH = 480
"""Pixels of a picture that is kept for the sheet."""
_TITLES = ("third person, hands", "S_ego", "white: seen, black: made up", "first person")
_LEGEND = """Each photo by itself; no truth is known. Hands: found in the photo. X: which backend placed the eyes, and
the root mean square distance between X P_exo and P_ego (-: nothing was fitted). Seen: share of the view whose pixels
come from the camera. s*: metres a unit of the depth network's map, where it is from, and its relative spread. Time: of
both stages, but for the description, which a stream does not wait for."""
_BESIDE = 24
"""Grey beside a photo that is higher than wide."""


@dataclass(frozen=True)
class Look:
    """One photo, and what is kept of its view."""

    name: str
    numbers: Mapping[str, Any]
    """What JSON can hold, see `numbers`."""
    pictures: Sequence[ByteArray]
    """Under `_TITLES`, each uint8 (H, W, 3), RGB."""


def look(genego: GenEgo, frame: Frame, name: str) -> Look:
    """Both stages of one photo by itself.

    Raises:
        GenEgoError: as the stages.
    """
    view = genego.reconstructor.reconstruct(observe_alone(genego.observer, frame))
    observation = view.observation
    shown = drawn(frame.rgb, observation.hands_exo) if observation.hands_exo else nobody_seen(frame.rgb)
    pictures = (_widened(shown), observation.sparse.rgb, mask_picture(view.seen), view.image)
    small = [_shrunk(picture) for picture in pictures]
    return Look(name, numbers(view), [captioned(small[0], name), *small[1:]])


def numbers(view: EgoView) -> dict[str, Any]:
    """What a view says of itself, as JSON: metres, milliseconds, shares from 0 to 1; null where there is none."""
    observation = view.observation
    stages = {**observation.stage_ms, **view.stage_ms}
    return {
        "valid": observation.valid,
        "hands": [hand.side for hand in observation.hands_exo],
        "viewpoint": observation.viewpoint.source,
        "residual_m": _known(observation.viewpoint.residual),
        "seen": float(view.seen.mean()),
        "scale": observation.scale.factor if observation.scale.source != "none" else None,
        "scale_source": observation.scale.source,
        "scale_spread": _known(observation.scale.spread),
        "depth": observation.depth_source,
        "camera": observation.camera_source,
        "reconstruction": view.source,
        "notice": view.notice,
        "description": observation.description,
        "ms": sum(taken for stage, taken in stages.items() if stage != "description"),
        "stage_ms": stages,
    }


def markdown(looks: Sequence[Look], skipped: Mapping[str, str], command: str) -> str:
    """The text of wild.md.

    Args:
        skipped: photos that cannot be read, and why.
    """
    lines = ["# In the wild", "", f"`{command}`", "", *_LEGEND.splitlines(), "", _summary(looks), "", *_table(looks)]
    if skipped:
        lines += ["", f"Skipped, {len(skipped)} that cannot be read:", ""]
        lines += [f"- {why}" for why in skipped.values()]
    notices = dict.fromkeys(look.numbers["notice"] for look in looks if look.numbers["notice"])
    return "\n".join([*lines, *(f"\n{notice}" for notice in notices)]) + "\n"


def sheet(looks: Sequence[Look]) -> ByteArray:
    """uint8 (H, W, 3), RGB: photos, evenly spread where they are more than 60, each with S_ego, seen mask and view."""
    return contact_sheet(_TITLES, [one.pictures for one in spread(looks, _ROWS)])


def _summary(looks: Sequence[Look]) -> str:
    counts = [sum(len(look.numbers["hands"]) == hands for look in looks) for hands in range(len(SIDES) + 1)]
    nobody = sum(not look.numbers["valid"] for look in looks)
    times = np.median([look.numbers["ms"] for look in looks])
    return (
        f"{len(looks)} photos: both hands found in {counts[2]}, one in {counts[1]}, none in {counts[0]}. In {nobody} "
        f"there is nobody to look through: their view is black. {times:.0f} ms a photo in the median."
    )


def _table(looks: Sequence[Look]) -> Iterator[str]:
    yield "| photo | hands | X from | residual (mm) | seen (%) | s* | s* from | spread (%) | depth from | ms |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for one in looks:
        said = one.numbers
        cells = [
            one.name.replace("|", "\\|"),
            ", ".join(said["hands"]) or "none",
            said["viewpoint"],
            _shown(said["residual_m"], 1e3, 0),
            _shown(said["seen"], 1e2, 1),
            _shown(said["scale"], 1, 3),
            said["scale_source"],
            _shown(said["scale_spread"], 1e2, 1),
            said["depth"],
            _shown(said["ms"], 1, 0),
        ]
        yield f"| {' | '.join(cells)} |"


def _shown(value: float | None, unit: float, digits: int) -> str:
    return "-" if value is None else f"{unit * value:.{digits}f}"


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _widened(photo: ByteArray) -> ByteArray:
    """With margins where it is narrower than 4:3: one such photo would make every row of the sheet as high."""
    height, width = photo.shape[:2]
    margin = max(0, -(-height * 4 // 3) - width)
    return np.pad(photo, ((0, 0), (margin // 2, margin - margin // 2), (0, 0)), constant_values=_BESIDE)


def _shrunk(picture: ByteArray) -> ByteArray:
    """At the sheet's size, so that hundreds of photos need no memory for what is not shown."""
    height, width = picture.shape[:2]
    return np.asarray(cv2.resize(picture, (_WIDTH, round(height * _WIDTH / width)), interpolation=cv2.INTER_AREA))
