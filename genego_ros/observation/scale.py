"""s*: how a depth map and the hands agree on what a metre is (paper section 2.1)."""

from __future__ import annotations

import numpy as np

from genego_ros.types import FloatArray, Scale

_FEWEST_PIXELS = 40
"""Below this the hand region is too small for its median to mean anything."""
_GAUSSIAN_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


def fit_scale(hand_depth: FloatArray, exo_depth: FloatArray) -> Scale | None:
    """The factor between D_hand and D_exo over the hand region Omega_hand.

    The paper compares the two maps over the hand region; the median of the ratios does that without
    being drawn away by the object in the hand or by pixels past the hand's edge. Ratios further than
    three deviations (by the median absolute deviation) from it are dropped, and the median taken again.

    Args:
        hand_depth: D_hand, float32, metres, NaN outside the hand region; the picture or some of its pixels.
        exo_depth: D_exo, float32, of the same pixels, any unit, NaN invalid.

    Returns:
        s* such that s* D_exo is metric, or None where fewer than 40 pixels can be compared.
    """
    both = np.isfinite(hand_depth) & np.isfinite(exo_depth) & (exo_depth > 0)
    ratios = hand_depth[both] / exo_depth[both]
    if len(ratios) < _FEWEST_PIXELS:
        return None
    median = np.median(ratios)
    deviation = _GAUSSIAN_MAD * np.median(np.abs(ratios - median))
    inliers = ratios[np.abs(ratios - median) <= 3 * deviation + 1e-6 * median]
    factor = float(np.median(inliers))
    spread = _GAUSSIAN_MAD * float(np.median(np.abs(inliers - factor))) / factor
    return Scale(factor, spread, len(inliers), "hands")
