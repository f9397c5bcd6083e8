"""Pictures and depth as files hold them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from genego_ros.types import Array, FloatArray

_FARTHEST = np.iinfo(np.uint16).max


def png(picture: Array, options: Sequence[int] = ()) -> bytes:
    """A file's content, of RGB uint8 (H, W, 3) or of one channel uint8 or uint16 (H, W); options of `cv2.imencode`."""
    stored = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture
    done, content = cv2.imencode(".png", stored, options)
    assert done
    encoded: bytes = content.tobytes()
    return encoded


def metres(raw: Array, unit: float = 0.001) -> FloatArray:
    """float32 (H, W), metres, NaN where the sensor saw nothing: 0 or less, infinite or NaN.

    Args:
        raw: (H, W), of any type.
        unit: metres that 1 stands for.
    """
    depth = raw.astype(np.float32)
    if unit != 1.0:
        depth *= np.float32(unit)
    depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return depth


def millimetres(depth: FloatArray) -> NDArray[np.uint16]:
    """uint16 (H, W) of float32 metres; 0 where it is unknown (NaN, 0 or less) or beyond 65.535 m.

    To the nearest, so exact for what was in millimetres.
    """
    # fmax takes NaN for 0.
    rounded = np.fmax(np.rint(depth * np.float32(1000.0)), np.float32(0.0))
    # It must not pass for a wall at the farthest distance that can be told.
    rounded[rounded > _FARTHEST] = 0.0
    return rounded.astype(np.uint16)
