"""The depth image where one comes, a network's where none does."""

from __future__ import annotations

from dataclasses import replace

from genego_ros.observation.depth import DepthMap
from genego_ros.observation.depth.given import TopicDepth
from genego_ros.observation.depth.lite import LiteDepth
from genego_ros.parameters import Parameters
from genego_ros.types import Frame


class AutoDepth:
    """The depth backend `auto`: `topic`, frame by frame replaced by `lite` where there is no depth image.

    Raises:
        GenEgoError: as `LiteDepth`.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self._topic, self._lite = TopicDepth(parameters), LiteDepth(parameters)

    def estimate(self, frame: Frame) -> DepthMap:
        given = self._topic.estimate(frame)
        if given is None:
            return self._lite.estimate(frame)
        # K_exo is the same in frames with and without a depth image.
        return replace(given, camera=self._lite.estimate(frame).camera) if frame.camera_source == "assumed" else given
