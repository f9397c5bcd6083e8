#!/usr/bin/env python3
"""Stage 2 as a node: exo/observation in, the egocentric view out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.qos import QoSProfile

from genego_ros.msg import ExoObservation as ExoObservationMessage
from genego_ros.parameters import Parameters
from genego_ros.ros import observation_message
from genego_ros.ros.newest import Newest
from genego_ros.ros.pipeline_node import PipelineNode, run_node
from genego_ros.ros.stages import EgoStage
from genego_ros.ros.subscription import WatchedSubscription


class EgoReconstructionNode(PipelineNode):
    """PHI_ego for observations that another process makes."""

    def __init__(self, name: str = "ego_reconstruction_node") -> None:
        self._stage: EgoStage | None = None
        super().__init__(name)

    def set_up(self) -> None:
        self._stage = EgoStage(self)
        self.status.models = [f"reconstruction: {self.parameters.reconstruction.backend}"]

    def tear_down(self) -> None:
        if self._stage is not None:
            self._stage.close()
            self._stage = None

    def open_inputs(self) -> None:
        self._newest: Newest[ExoObservationMessage] = Newest()
        # Reliable: one observation is large, and between two hosts a lost fragment would lose all of it.
        self._topic = WatchedSubscription(
            self, (ExoObservationMessage,), "exo/observation", self._newest.put, QoSProfile(depth=1)
        )

    def close_inputs(self) -> None:
        self._topic.close()

    def slots(self) -> list[Newest[Any]]:
        return [self._newest]

    def check_inputs(self) -> str:
        return self._topic.check(self.parameters.input.silent_s)

    def apply(self, parameters: Parameters) -> None:
        if self._stage is not None:
            self._stage.update(parameters)

    def steps(self) -> list[Callable[[float], None]]:
        return [self._reconstruct]

    def _reconstruct(self, timeout_s: float) -> None:
        message = self._newest.take(timeout_s)
        if message is not None and self._stage is not None:
            observation = observation_message.from_message(message)
            view = self._stage.process(observation, message.ego_frame_id)
            self.report(observation, view.stage_ms, float(view.seen.mean()))


def main() -> None:
    run_node(EgoReconstructionNode)


if __name__ == "__main__":
    main()
