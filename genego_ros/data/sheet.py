"""Pictures for people: tiles with captions, side by side. Topics never carry these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from genego_ros.errors import GenEgoError
from genego_ros.geometry.skeleton import draw_hands
from genego_ros.types import BoolArray, ByteArray, FloatArray, Hand

_TILE_WIDTH = 320
_GAP = 6
_CAPTION_HEIGHT = 26
_BACKGROUND = 24
_NOBODY = "nobody seen"


def save_picture(path: Path, picture: ByteArray) -> None:
    """Writes uint8 (H, W, 3) RGB or (H, W) to a png.

    Raises:
        GenEgoError: it cannot be written there.
    """
    stored = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture
    if not cv2.imwrite(str(path), stored):
        raise GenEgoError(f"'{path}' cannot be written: is the folder writable, is there room on the disk?")


def depth_picture(depth: FloatArray, near: float | None = None, far: float | None = None) -> ByteArray:
    """uint8 (H, W, 3) RGB of float32 (H, W) metres: near is bright, NaN is black.

    The range is that of the middle 96% of the picture where it is not given.
    """
    valid = np.isfinite(depth)
    if not valid.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    low, high = np.percentile(depth[valid], (2, 98)).tolist()
    near, far = low if near is None else near, high if far is None else far
    share = np.where(valid, (far - depth) / max(far - near, 1e-6), 0.0)
    picture = cv2.applyColorMap((np.clip(share, 0, 1) * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    picture[~valid] = 0
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def mask_picture(mask: BoolArray) -> ByteArray:
    """uint8 (H, W, 3): white where True."""
    return np.repeat((mask * np.uint8(255))[..., None], 3, axis=2)


def drawn(rgb: ByteArray, hands: Sequence[Hand]) -> ByteArray:
    """A copy of the picture with hands drawn in."""
    picture = rgb.copy()
    draw_hands(picture, hands)
    return picture


def captioned(picture: ByteArray, text: str) -> ByteArray:
    """A copy of uint8 (H, W, 3) with a line of text at its lower edge, readable on a sheet."""
    marked = picture.copy()
    height, width = picture.shape[:2]
    scale = width / 320
    (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.36 * scale, 1)
    size = 0.36 * scale * min(1.0, 0.97 * width / max(length, 1))
    place = (round(4 * scale), height - round(6 * scale))
    for color, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        thickness = max(1, round(thick * scale))
        cv2.putText(marked, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, color, thickness, cv2.LINE_AA)
    return marked


def nobody_seen(picture: ByteArray) -> ByteArray:
    """A copy of uint8 (H, W, 3) that says across itself that there is no person to look through."""
    marked = picture.copy()
    scale = picture.shape[1] / 320
    cv2.putText(
        marked,
        _NOBODY,
        (round(12 * scale), round(28 * scale)),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.8 * scale,
        (255, 96, 96),
        max(1, round(2 * scale)),
        cv2.LINE_AA,
    )
    return marked


def contact_sheet(titles: Sequence[str], rows: Sequence[Sequence[ByteArray]]) -> ByteArray:
    """uint8 (H, W, 3) RGB: one line of titles, then the rows; every picture is scaled to one width."""
    height = max(_scaled(picture).shape[0] for row in rows for picture in row)
    lines = [np.hstack([_with_margin(_caption(title)) for title in titles])]
    lines += [np.hstack([_with_margin(_padded(_scaled(picture), height)) for picture in row]) for row in rows]
    return np.vstack(lines)


def _scaled(picture: ByteArray) -> ByteArray:
    height = round(picture.shape[0] * _TILE_WIDTH / picture.shape[1])
    return np.asarray(cv2.resize(picture, (_TILE_WIDTH, height), interpolation=cv2.INTER_AREA))


def _padded(picture: ByteArray, height: int) -> ByteArray:
    above = (height - picture.shape[0]) // 2
    below = height - picture.shape[0] - above
    return np.pad(picture, ((above, below), (0, 0), (0, 0)), constant_values=_BACKGROUND)


def _with_margin(picture: ByteArray) -> ByteArray:
    return np.pad(picture, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=_BACKGROUND)


def _caption(text: str) -> ByteArray:
    line = np.full((_CAPTION_HEIGHT, _TILE_WIDTH, 3), _BACKGROUND, np.uint8)
    cv2.putText(line, text, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (235, 235, 235), 1, cv2.LINE_AA)
    return line
