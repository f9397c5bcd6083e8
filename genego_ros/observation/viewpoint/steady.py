"""What stands in when a viewpoint cannot be told for a moment, and what keeps it from shaking."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from genego_ros.geometry.rigid import apply, interpolate, invert
from genego_ros.observation.viewpoint import ViewpointEstimator
from genego_ros.observation.viewpoint.several import SeveralViewpoints
from genego_ros.parameters import Parameters
from genego_ros.types import Float64Array, FloatArray, Frame, Hand, Viewpoint

_NEAREST, _FARTHEST = 0.12, 1.3
"""Metres from the eyes to the middle of the hands: nobody's arms are longer."""
_WIDEST = math.cos(math.radians(75.0))
"""Hands further aside of the viewing direction than this are not what the person works with."""
_GAP_S = 1.0
"""Pictures further apart do not belong to one motion."""


class SteadyViewpoint(SeveralViewpoints):
    """A viewpoint estimator whose gaps are filled: by its last pose for `viewpoint.hold_s`, then by `nominal`.

    A pose from which the hands cannot be worked with counts as a gap. With `viewpoint.smoothing_s` the pose follows
    what is estimated with that time constant, along the shortest turn and the straight line.
    """

    def __init__(self, parameters: Parameters, estimator: ViewpointEstimator, nominal: ViewpointEstimator) -> None:
        super().__init__(parameters, (estimator, nominal))
        self._estimator, self._nominal = estimator, nominal
        self._found: Viewpoint | None = None
        self._found_ns = 0
        self._smooth: Float64Array | None = None
        self._smooth_ns = 0

    def locate(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> Viewpoint | None:
        """None without hands: there is nothing then that the person would look at."""
        found = self._estimator.locate(frame, hands, depth)
        if not hands:
            return None
        if found is not None and sees(found.T_ego_exo, hands):
            self._found, self._found_ns = found, frame.stamp_ns
        else:
            found = self._held(frame, hands) or self._nominal.locate(frame, hands, depth)
        return None if found is None else self._smoothed(found, frame.stamp_ns)

    def forget(self) -> None:
        self._found = self._smooth = None
        super().forget()

    def _held(self, frame: Frame, hands: tuple[Hand, ...]) -> Viewpoint | None:
        age_s = 1e-9 * (frame.stamp_ns - self._found_ns)
        if self._found is None or not 0 <= age_s <= self._parameters.viewpoint.hold_s:
            return None
        return replace(self._found, source="previous") if sees(self._found.T_ego_exo, hands) else None

    def _smoothed(self, found: Viewpoint, stamp_ns: int) -> Viewpoint:
        constant = self._parameters.viewpoint.smoothing_s
        passed = 1e-9 * (stamp_ns - self._smooth_ns)
        eyes = invert(found.T_ego_exo)
        if constant > 0 and self._smooth is not None and 0 <= passed <= _GAP_S:
            eyes = interpolate(self._smooth, eyes, 1.0 - math.exp(-passed / constant))
            found = replace(found, T_ego_exo=invert(eyes))
        self._smooth, self._smooth_ns = eyes, stamp_ns
        return found


def sees(T_ego_exo: Float64Array, hands: tuple[Hand, ...]) -> bool:
    """Whether a person whose eyes are there can work with these hands: before them, and within reach."""
    middle = apply(T_ego_exo, np.mean([hand.keypoints for hand in hands], axis=(0, 1), dtype=np.float64))
    distance = float(np.linalg.norm(middle))
    return _NEAREST < distance < _FARTHEST and float(middle[2]) > _WIDEST * distance
