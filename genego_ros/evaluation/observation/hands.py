"""P_exo against the true hands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from genego_ros.data.sample import View
from genego_ros.evaluation.observation.case import UNAVAILABLE, Case, Values
from genego_ros.geometry.camera import project
from genego_ros.geometry.pose_errors import mpjpe, pa_mpjpe
from genego_ros.types import SIDES, ExoObservation, Float64Array, Hand, Side

_SAME = 0.5
"""A hand is found where the mean distance of its joints in the picture is below this share of its size there."""
_NOT_FOUND = 1e3
_DISTANCES = (1.0, 1.5)
"""Metres from the camera to the wrist, for the group `at_1_to_1.5_m`."""
_GROUPS = ("all", *SIDES, "grasping", "free", "at_1_to_1.5_m")
_ERRORS = ("pa_mpjpe_mm", "mpjpe_mm", "wrist_cm", "wrist_share")


def measure(case: Case) -> Values:
    """How many of the visible hands are found, on which side, and how far off those are.

    `detected` and `wrong_side` have a 1 or a 0 a hand, `false` a 1 or 0 an estimated hand: whether it is none of the
    true ones. Errors are over visible hands that were found, by their true side, whichever side they were taken for;
    from the picture alone (`rgb`), with the true hand length (`known_length`) and with true depth (`depth_topic`).
    """
    view = case.sample.exo[0]
    if not np.isfinite(view.keypoints).all(axis=(1, 2)).any():
        return {f"hands/{UNAVAILABLE}": "the recording has no true hands"}
    found = matches(case.observation.hands_exo, view)
    estimated = case.observation.hands_exo
    values: Values = {
        "hands/detected": [float(side in found) for side in case.visible],
        "hands/wrong_side": [float(found[side].side != side) for side in case.visible if side in found],
        "hands/false": [float(all(hand is not other for other in found.values())) for hand in estimated],
    }
    runs: dict[str, ExoObservation | None] = {
        "rgb": case.observation,
        "known_length": case.known_length,
        "depth_topic": case.depth_topic,
    }
    for run, observation in runs.items():
        if observation is not None:
            _add_errors(values, f"hands/{run}", matches(observation.hands_exo, view), case)
    return values


def _add_errors(values: Values, run: str, found: Mapping[Side, Hand], case: Case) -> None:
    view = case.sample.exo[0]
    numbers: dict[str, list[float]] = {f"{run}/{group}/{name}": [] for group in _GROUPS for name in _ERRORS}
    for side in case.visible:
        if side not in found:
            continue
        truth = view.keypoints[SIDES.index(side)]
        groups = ["all", side]
        if side in case.touching:
            groups.append("grasping" if case.touching[side] else "free")
        if _DISTANCES[0] <= np.linalg.norm(truth[0]) <= _DISTANCES[1]:
            groups.append("at_1_to_1.5_m")
        for name, value in errors(found[side], truth).items():
            for group in groups:
                numbers[f"{run}/{group}/{name}"].append(value)
    values.update(numbers)


def errors(hand: Hand, truth: Float64Array) -> dict[str, float]:
    """By the names of `_ERRORS`, of one hand; truth float64 (21, 3), metres, same frame."""
    wrist = float(np.linalg.norm(hand.keypoints[0] - truth[0]))
    return {
        "pa_mpjpe_mm": 1e3 * pa_mpjpe(hand.keypoints, truth),
        "mpjpe_mm": 1e3 * mpjpe(hand.keypoints, truth),
        "wrist_cm": 1e2 * wrist,
        "wrist_share": wrist / float(np.linalg.norm(truth[0])),
    }


def matches(hands: Sequence[Hand], view: View) -> dict[Side, Hand]:
    """Which true hand each estimated one is, by where it is in the picture; by the true hand's side."""
    sides = [side for side in SIDES if view.has_hand(side)]
    costs = np.full((len(sides), len(hands)), _NOT_FOUND)
    for row, side in enumerate(sides):
        pixels, _ = project(view.keypoints[SIDES.index(side)], view.frame.camera)
        size = max(float(np.ptp(pixels, axis=0).max()), 1.0)
        if not np.isfinite(pixels).all():  # behind the camera in part
            continue
        for column, hand in enumerate(hands):
            costs[row, column] = np.linalg.norm(hand.keypoints_2d - pixels, axis=1).mean() / size
    pairs = zip(*linear_sum_assignment(np.minimum(costs, _NOT_FOUND)), strict=True)
    return {sides[row]: hands[column] for row, column in pairs if costs[row, column] < _SAME}
