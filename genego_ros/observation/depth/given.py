"""Depth that need not be estimated: from a depth camera, or from the hands alone."""

from __future__ import annotations

from genego_ros.observation.depth import DepthMap
from genego_ros.parameters import Parameters
from genego_ros.types import FloatArray, Frame


class HandDepth:
    """Depth where a hand mesh is, and nowhere else: what can be known without a camera's or a network's help."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def estimate(self, frame: Frame, hand_depth: FloatArray) -> DepthMap:
        return DepthMap(hand_depth, "hands", metric=True)


class TopicDepth(HandDepth):
    """The depth image that came with the picture; the hands' own depth while none comes."""

    def estimate(self, frame: Frame, hand_depth: FloatArray) -> DepthMap:
        if frame.depth is None:
            return super().estimate(frame, hand_depth)
        return DepthMap(frame.depth, "topic", metric=True)
