"""D_exo: the depth of the third-person picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from genego_ros.backends import load_backend
from genego_ros.parameters import Parameters
from genego_ros.types import Camera, FloatArray, Frame

BACKENDS = {
    "topic": "genego_ros.observation.depth.given:TopicDepth",
    "hands": "genego_ros.observation.depth.given:NoDepth",
    "auto": "genego_ros.observation.depth.auto:AutoDepth",
    "lite": "genego_ros.observation.depth.lite:LiteDepth",
    "depth_anything": "genego_ros.observation.depth.depth_anything:DepthAnything",
    "moge": "genego_ros.observation.depth.moge:MoGe",
    "vggt": "genego_ros.observation.depth.vggt:VGGT",
}

HFOV_DEG = (10.0, 150.0)
"""Degrees; a field of view that a network tells is held within, whatever picture it is shown."""

DepthKind = Literal["metric", "relative", "disparity"]


@dataclass(frozen=True)
class DepthMap:
    """What a depth backend knows of a frame."""

    values: FloatArray
    """float32 (H, W), along z, NaN invalid; `kind` says of what."""
    source: str
    """The backend that served."""
    kind: DepthKind
    """`metric`: metres. `relative`: metres but for an unknown factor. `disparity`: linear in 1 / metres, with unknown
    factor and shift. What is unknown is found from the hands."""
    camera: Camera | None = None
    """K_exo as the backend sees it, for the size of the frame; None where it does not tell."""
    deviation: float | None = None
    """Of `relative`: how far off its own metres are, the standard deviation of their logarithm; None where they mean
    nothing."""


class DepthEstimator(Protocol):
    parameters: Parameters

    def estimate(self, frame: Frame) -> DepthMap | None:
        """D_exo of `frame`; None where there is none, so that the hands' own depth has to serve."""
        ...


def load_depth_estimator(parameters: Parameters) -> DepthEstimator:
    estimator: DepthEstimator = load_backend("depth", parameters.depth.backend, BACKENDS)(parameters)
    return estimator
