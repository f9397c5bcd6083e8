"""The log of a training as a picture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from genego_ros.data.sheet import save_picture
from genego_ros.types import ByteArray, Float64Array

_WIDTH, _HEIGHT, _MARGIN, _COLUMNS = 420, 240, 36, 3
_PAPER, _INK = 250, 40
_COLORS = {"train": (60, 120, 200), "validation": (210, 90, 40)}
_NOT_DRAWN = ("step", "seconds", "kind")
_LOGARITHMIC = 5.0
"""Values that are all positive and span such a factor are drawn on a logarithmic axis."""


def read_log(log: Path) -> list[dict[str, Any]]:
    """The lines of log.jsonl; one that was cut off (power failed) is left out."""
    lines = []
    for text in log.read_text(encoding="utf-8").splitlines() if log.exists() else ():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def draw_curve(log: Path, picture: Path) -> None:
    """Draws every quantity of log.jsonl over the steps into a png, one panel each.

    Raises:
        GenEgoError: the picture cannot be written.
    """
    lines = read_log(log)
    names = {(line["kind"], name): None for line in lines for name in line if name not in _NOT_DRAWN}
    panels = [_panel(kind, name, [line for line in lines if line["kind"] == kind]) for kind, name in names]
    if not panels:
        return
    columns = min(_COLUMNS, len(panels))
    panels += [np.full_like(panels[0], _PAPER)] * (-len(panels) % columns)
    save_picture(picture, np.vstack([np.hstack(panels[i : i + columns]) for i in range(0, len(panels), columns)]))


def _panel(kind: str, name: str, lines: Sequence[dict[str, Any]]) -> ByteArray:
    """uint8 (_HEIGHT, _WIDTH, 3)."""
    found = np.array([(line["step"], line[name]) for line in lines if name in line], np.float64)
    found = found[np.isfinite(found[:, 1])]
    panel = np.full((_HEIGHT, _WIDTH, 3), _PAPER, np.uint8)
    left, top, right, bottom = _MARGIN + 20, _MARGIN, _WIDTH - 12, _HEIGHT - 24
    cv2.rectangle(panel, (left, top), (right, bottom), (200, 200, 200), 1)
    if not len(found):
        return panel
    _write(panel, f"{kind} {name}: {found[-1, 1]:.4g}", (left, top - 12))
    steps, values = found.T
    low, high = float(values.min()), float(values.max())
    _write(panel, f"{high:.3g}", (4, top + 8))
    _write(panel, f"{low:.3g}", (4, bottom))
    _write(panel, f"step {steps[-1]:.0f}", (right - 90, _HEIGHT - 6))
    y = np.log(values) if low > 0 and high > _LOGARITHMIC * low else values
    across = left + (right - left) * _share(steps, 0.0, float(steps[-1]))
    down = bottom - (bottom - top) * _share(y, float(y.min()), float(y.max()))
    line = np.rint(np.stack([across, down], axis=1)).astype(np.int32)
    cv2.polylines(panel, [line], False, _COLORS.get(kind, (0, 0, 0)), 1, cv2.LINE_AA)
    return panel


def _share(values: Float64Array, low: float, high: float) -> Float64Array:
    return (values - low) / max(high - low, 1e-12)


def _write(panel: ByteArray, text: str, place: Iterable[int]) -> None:
    cv2.putText(panel, text, tuple(place), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (_INK,) * 3, 1, cv2.LINE_AA)
