"""How far an estimated depth map is from the true one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genego_ros.types import Array, BoolArray, Float64Array

CLOSE = 1.25


class DepthError(NamedTuple):
    """The usual three (Eigen et al., NIPS 2014)."""

    abs_rel: float
    """Mean of |estimate - truth| / truth."""
    rmse: float
    """Root of the mean squared difference, metres."""
    delta: float
    """Share of the pixels for which max(estimate / truth, truth / estimate) < 1.25."""


def depth_error(estimate: Array, truth: Array, factor: float = 1.0) -> DepthError:
    """Over the pixels that both have; NaN where there is none.

    Args:
        estimate, truth: (H, W), along z, NaN or 0 invalid; the truth in metres.
        factor: put before the estimate: s*, or `median_factor`.
    """
    both = comparable(estimate, truth)
    if not both.any():
        return DepthError(np.nan, np.nan, np.nan)
    z, true = factor * _values(estimate, both), _values(truth, both)
    difference = z - true
    return DepthError(
        float(np.mean(np.abs(difference) / true)),
        float(np.sqrt(np.mean(difference**2))),
        float(np.mean(np.maximum(z / true, true / z) < CLOSE)),
    )


def median_factor(estimate: Array, truth: Array) -> float:
    """The factor that gives the estimate the truth's median (median scaling, Zhou et al., CVPR 2017); NaN where they
    have no pixel in common."""
    both = comparable(estimate, truth)
    return float(np.median(_values(truth, both)) / np.median(_values(estimate, both))) if both.any() else np.nan


def comparable(estimate: Array, truth: Array) -> BoolArray:
    """bool (H, W): where both are finite and positive."""
    found: BoolArray = np.isfinite(estimate) & np.isfinite(truth) & (np.nan_to_num(estimate) > 0)
    return found & (np.nan_to_num(truth) > 0)


def _values(depth: Array, where: BoolArray) -> Float64Array:
    return depth[where].astype(np.float64)
