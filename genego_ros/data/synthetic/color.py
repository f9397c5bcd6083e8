"""sRGB, in which pictures are stored, and linear light, in which they are drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from genego_ros.types import Float64Array


def linear(encoded: ArrayLike) -> Float64Array:
    """Linear light, 0 to 1, float64 of the same shape, of sRGB values 0 to 255 (IEC 61966-2-1)."""
    share = np.asarray(encoded, np.float64) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
