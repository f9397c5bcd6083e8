"""What the hands say and what the head says of the viewpoint, weighed by how sure each is."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from genego_ros.backends import load_backend
from genego_ros.geometry.rigid import compose, interpolate, invert, rotation_angle
from genego_ros.observation.viewpoint import BACKENDS, ViewpointEstimator
from genego_ros.observation.viewpoint.several import SeveralViewpoints
from genego_ros.parameters import Parameters
from genego_ros.types import FloatArray, Frame, Hand, Viewpoint


class AutoViewpoint(SeveralViewpoints):
    """`phi_ego` and `head` together; the other alone where one abstains.

    Args:
        estimators: two others, instead of these.
    """

    def __init__(self, parameters: Parameters, estimators: tuple[ViewpointEstimator, ...] = ()) -> None:
        made = estimators or tuple(
            load_backend("viewpoint", name, BACKENDS)(parameters) for name in ("phi_ego", "head")
        )
        super().__init__(parameters, made)

    def locate(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> Viewpoint | None:
        """None where both abstain."""
        found = [estimator.locate(frame, hands, depth) for estimator in self._estimators]
        certain = [viewpoint for viewpoint in found if viewpoint is not None]
        return reduce(fused, certain) if certain else None


def fused(one: Viewpoint, other: Viewpoint) -> Viewpoint:
    """The mean of two poses of the eyes, each weighted by the inverse of its variance; turn and place apart.

    A deviation that is not known counts as the other one's, so that both weigh the same. Where the two lie further
    apart than their deviations explain, that of the mean is widened as much (Birge 1932).
    """
    eyes, others = invert(one.T_ego_exo), invert(other.T_ego_exo)
    apart = rotation_angle(eyes, others), float(np.linalg.norm(eyes[:3, 3] - others[:3, 3]))
    turn, turn_deviation = _shares(one.turn_deviation, other.turn_deviation, apart[0])
    shift, shift_deviation = _shares(one.shift_deviation, other.shift_deviation, apart[1])
    rotation = interpolate(eyes, others, turn)[:3, :3]
    place = (1.0 - shift) * eyes[:3, 3] + shift * others[:3, 3]
    residual = one.residual if math.isfinite(one.residual) else other.residual
    source = "+".join(dict.fromkeys((one.source, other.source)))
    return Viewpoint(invert(compose(rotation, place)), source, residual, turn_deviation, shift_deviation)


def _shares(one: float, other: float, apart: float) -> tuple[float, float]:
    """The second one's share, 0 to 1, and the deviation of the weighted mean of two that lie `apart`."""
    if not (math.isfinite(one) and math.isfinite(other)):
        known = one if math.isfinite(one) else other
        return 0.5, known
    variances = np.array([one, other], np.float64).clip(1e-9) ** 2
    # A distance has three coordinates.
    unexplained = max(1.0, apart**2 / (3.0 * variances.sum()))
    return float(variances[0] / variances.sum()), float(np.sqrt(unexplained / (1.0 / variances).sum()))
