"""Depth that need not be estimated: from a depth camera, or from the hands alone."""

from __future__ import annotations

from genego_ros.observation.depth import DepthMap
from genego_ros.parameters import Parameters
from genego_ros.types import Frame


class NoDepth:
    """Leaves it to the hands' own meshes: what can be known without a camera's or a network's help."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def estimate(self, frame: Frame) -> DepthMap | None:
        return None


class TopicDepth:
    """The depth image that came with the picture."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def estimate(self, frame: Frame) -> DepthMap | None:
        return None if frame.depth is None else DepthMap(frame.depth, "topic", "metric")
