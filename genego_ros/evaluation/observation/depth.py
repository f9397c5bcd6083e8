"""Depth: D_exo as the backend gave it, D'_exo after s*, and two predictors that do not look at the picture."""

from __future__ import annotations

import numpy as np

from genego_ros.evaluation.observation.case import UNAVAILABLE, Case, Values
from genego_ros.geometry.depth_errors import comparable, depth_error, median_factor
from genego_ros.types import Float64Array, FloatArray

_RAMP = 2.0
"""How much farther the top of the picture is than its bottom, for the fixed ramp."""


def measure(case: Case) -> Values:
    """`before` (but for disparity), `after` s*, `aligned` by the median, `constant` and `ramp`.

    `constant` is the truth's median everywhere. `ramp` is a plane whose inverse depth is linear in the picture, twice
    as far at the top as at the bottom, aligned by the median.
    """
    truth = case.true_depth
    if truth is None:
        return {f"depth/{UNAVAILABLE}": "the recording has no true depth"}
    values: Values = {}
    raw = case.depth_map
    if raw is not None and raw.kind != "disparity":
        values |= _row("before", raw.values, truth)
    after = case.estimated_depth
    relative = after if raw is None or raw.kind == "disparity" else raw.values
    if after is not None:
        values |= _row("after", after, truth)
    if relative is not None:
        values |= _row("aligned", relative, truth, median_factor(relative, truth))
    constant = np.full(truth.shape, np.nanmedian(truth) if np.isfinite(truth).any() else np.nan)
    values |= _row("constant", constant, truth)
    plane = ramp(*truth.shape)
    return values | _row("ramp", plane, truth, median_factor(plane, truth))


def ramp(height: int, width: int) -> Float64Array:
    """float64 (height, width), without unit."""
    inverse = np.linspace(1 / _RAMP, 1, height)
    return np.repeat(1 / inverse[:, None], width, axis=1)


def _row(name: str, estimate: FloatArray | Float64Array, truth: FloatArray, factor: float = 1.0) -> Values:
    error = depth_error(estimate, truth, factor)
    valid = np.count_nonzero(np.nan_to_num(truth) > 0)
    covered = np.count_nonzero(comparable(estimate, truth)) / valid if valid else np.nan
    found = {"abs_rel": error.abs_rel, "rmse_m": error.rmse, "delta": error.delta, "covered": covered}
    return {f"depth/{name}/{measure}": [value] for measure, value in found.items()}
