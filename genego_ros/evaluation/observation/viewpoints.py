"""X against the recording's own poses."""

from __future__ import annotations

import math

from genego_ros.evaluation.observation.case import GROUPS, UNAVAILABLE, Case, Values
from genego_ros.geometry.pose_errors import pose_error
from genego_ros.geometry.rigid import invert
from genego_ros.types import Float64Array, Viewpoint

BACKENDS = ("nominal", "phi_ego", "head", "auto")
"""Measured beside the configured one, where they can be had."""


def measure(case: Case) -> Values:
    """Angle and distance between the estimated and the true ego camera, by backend and by head's visibility.

    `found` has a 1 where a backend gave a viewpoint and a 0 where it gave none; only what was found has an error.
    """
    observation = case.observation
    configured = observation.viewpoint if observation.valid else None
    values: Values = {"x/configured/source": configured.source if configured else "none"}
    for name, viewpoint in {"configured": configured, **case.viewpoints}.items():
        if isinstance(viewpoint, str):
            values[f"x/{name}/{UNAVAILABLE}"] = viewpoint
        else:
            values |= _row(f"x/{name}", viewpoint, case)
    if configured is not None:
        values |= _errors(f"x/configured/by_source/{configured.source}", configured, case.sample.T_ego_exo)
    return values


def _row(path: str, viewpoint: Viewpoint | None, case: Case) -> Values:
    values: Values = {}
    for group in GROUPS:
        counts = group in ("all", case.head)
        values[f"{path}/{group}/found"] = [float(viewpoint is not None)] if counts else []
        if viewpoint is not None and counts:
            values |= _errors(f"{path}/{group}", viewpoint, case.sample.T_ego_exo)
    return values


def _errors(path: str, viewpoint: Viewpoint, truth: Float64Array) -> Values:
    error = pose_error(invert(viewpoint.T_ego_exo), invert(truth))
    return {f"{path}/degrees": [math.degrees(error.rotation)], f"{path}/cm": [1e2 * error.translation]}
