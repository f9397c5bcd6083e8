"""P_ego as phi_ego reads it off the third-person picture, beside guesses that need no network."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from genego_ros.data.sample import Sample
from genego_ros.evaluation.observation.case import GROUPS, UNAVAILABLE, Case, Values
from genego_ros.geometry import rigid
from genego_ros.geometry.pose_errors import mpjpe, pa_mpjpe
from genego_ros.types import SIDES, Array, Float64Array, Viewpoint


def measure(case: Case) -> Values:
    """Errors of the estimator and of `nominal` over the visible hands.

    `nominal` is P_exo moved by the viewpoint backend of that name; it has no number for a hand that was not found.
    `shown` is whether a hand's score says rightly, above or below 0.5, that it is visible.
    """
    values: Values = {}
    truth = only(case.visible, all_hands(case.sample))
    if isinstance(case.ego_hands, str):
        values[f"phi_ego/{UNAVAILABLE}"] = case.ego_hands
    else:
        scores = zip(SIDES, case.ego_hands.scores, strict=True)
        values["phi_ego/shown"] = [float((score >= 0.5) == (side in case.visible)) for side, score in scores]
        values |= errors("estimate", case.ego_hands.keypoints, truth, case.head)
    nominal = case.viewpoints.get("nominal")
    if isinstance(nominal, Viewpoint):
        moved = np.full((2, 21, 3), np.nan)
        for hand in case.observation.hands_exo:
            moved[SIDES.index(hand.side)] = rigid.apply(nominal.T_ego_exo, hand.keypoints)
        values |= errors("nominal", moved, truth, case.head)
    return values


def only(sides: Collection[str], hands: Float64Array) -> Float64Array:
    """Those of float64 (2, 21, 3); NaN for the others."""
    return np.where(np.array([side in sides for side in SIDES])[:, None, None], hands, np.nan)


def all_hands(sample: Sample) -> Float64Array:
    """float64 (2, 21, 3), metres, ego frame: as the ego view lists them, moved by X where it lists none, else NaN."""
    listed = sample.ego.keypoints
    moved = rigid.apply(sample.T_ego_exo, sample.exo[0].keypoints)
    return np.where(np.isfinite(listed).all(axis=(1, 2), keepdims=True), listed, moved)


def errors(name: str, estimate: Array, truth: Array, head: str) -> Values:
    """Of the hands that both have; both (2, 21, 3), metres, ego frame, NaN where there is no hand."""
    pairs = [(e, t) for e, t in zip(estimate, truth, strict=True) if np.isfinite(e).all() and np.isfinite(t).all()]
    found = {
        "mpjpe_mm": [1e3 * mpjpe(*pair) for pair in pairs],
        "pa_mpjpe_mm": [1e3 * pa_mpjpe(*pair) for pair in pairs],
    }
    return {
        f"phi_ego/{name}/{group}/{measure}": list(of) if group in ("all", head) else []
        for group in GROUPS
        for measure, of in found.items()
    }
