"""D_exo: the depth of the third-person picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from genego_ros.backends import load_backend
from genego_ros.parameters import Parameters
from genego_ros.types import FloatArray, Frame

BACKENDS = {
    "topic": "genego_ros.observation.depth.given:TopicDepth",
    "hands": "genego_ros.observation.depth.given:HandDepth",
}


@dataclass(frozen=True)
class DepthMap:
    """What a depth backend knows of a frame."""

    depth: FloatArray
    """float32 (H, W) along z, NaN invalid."""
    source: str
    """The backend that served, which is not the chosen one when that had nothing to offer."""
    metric: bool
    """True: metres. False: metres but for one unknown factor, to be found from the hands."""


class DepthEstimator(Protocol):
    parameters: Parameters

    def estimate(self, frame: Frame, hand_depth: FloatArray) -> DepthMap:
        """D_exo of `frame`; `hand_depth` is D_hand, float32 (H, W), metres, NaN without a hand."""
        ...


def load_depth_estimator(parameters: Parameters) -> DepthEstimator:
    estimator: DepthEstimator = load_backend("depth", parameters.depth.backend, BACKENDS)(parameters)
    return estimator
