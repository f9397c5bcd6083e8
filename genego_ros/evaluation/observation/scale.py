"""s*: how far it is from the best possible factor."""

from __future__ import annotations

import numpy as np

from genego_ros.evaluation.observation.case import UNAVAILABLE, Case, Values
from genego_ros.geometry.depth_errors import comparable
from genego_ros.types import ExoObservation, FloatArray

_FITTED = ("hands", "carried")
"""Sources of an s* that was fitted; metric depth needs none."""
_FEWEST = 40
"""Pixels; below this a median over the hand region means nothing."""


def measure(case: Case) -> Values:
    """Errors of s* relative to the factor that gives the picture, or the true hands' region, the true median ratio.

    s* / best - 1 is measured on D'_exo = s* D_exo, whose best factor is best / s*; so a disparity's shift counts too.
    `known_length` is the same with the true hand length given, and `from_hand_size` the ratio of the two - 1: what is
    wrong because the hand's size was not known.
    """
    scale = case.observation.scale
    values: Values = {"scale/source": scale.source}
    if scale.source not in _FITTED:
        return values
    values["scale/spread"] = [scale.spread]
    if case.true_depth is None:
        return values | {f"scale/{UNAVAILABLE}": "the recording has no true depth"}
    values |= _errors("unknown_length", case.observation, case)
    known = case.known_length
    if known is None or known.scale.source not in _FITTED:
        return values
    if case.observation.exo_depth is not None and known.exo_depth is not None:
        size = relative_error(case.observation.exo_depth, known.exo_depth)
        values |= {"scale/from_hand_size/error": [size], "scale/from_hand_size/absolute": [abs(size)]}
    return values | _errors("known_length", known, case)


def _errors(name: str, observation: ExoObservation, case: Case) -> Values:
    values: Values = {}
    for where, truth in (("picture", case.true_depth), ("hands", case.region)):
        if observation.exo_depth is None or truth is None:
            continue
        error = relative_error(observation.exo_depth, truth)
        path = f"scale/{name}/{where}"
        values |= {f"{path}/error": [error], f"{path}/absolute": [abs(error)]}
    return values


def relative_error(depth: FloatArray, truth: FloatArray) -> float:
    """s* / best - 1 of a depth that s* is in; NaN where fewer than 40 pixels can be compared."""
    both = comparable(depth, truth)
    if np.count_nonzero(both) < _FEWEST:
        return float("nan")
    return float(1.0 / np.median(truth[both].astype(np.float64) / depth[both]) - 1.0)
