#!/usr/bin/env python3
"""Stage 1 as a node: camera topics in, exo/observation out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from genego_ros.parameters import Parameters
from genego_ros.ros.camera_input import CameraInput
from genego_ros.ros.newest import Newest
from genego_ros.ros.pipeline_node import PipelineNode, run_node
from genego_ros.ros.stages import ExoStage
from genego_ros.types import ExoObservation


class ExoObservationNode(PipelineNode):
    """PHI_exo for a camera topic."""

    def __init__(self, name: str = "exo_observation_node") -> None:
        self._exo_stage: ExoStage | None = None
        super().__init__(name)

    def set_up(self) -> None:
        self._exo_stage = ExoStage(self)
        setting = self.parameters
        self.status.models = [
            f"hands: {setting.hands.backend}",
            f"depth: {setting.depth.backend}",
            f"viewpoint: {setting.viewpoint.backend}",
            f"description: {setting.description.backend}",
        ]

    def tear_down(self) -> None:
        if self._exo_stage is not None:
            self._exo_stage.close()
            self._exo_stage = None

    def open_inputs(self) -> None:
        if self._exo_stage is not None:
            self._exo_stage.forget()  # whatever was seen before a deactivation
        self._camera_input = CameraInput(self, self.parameters.input, self.warn)

    def close_inputs(self) -> None:
        self._camera_input.close()

    def slots(self) -> list[Newest[Any]]:
        return [self._camera_input.newest]

    def check_inputs(self) -> str:
        return self._camera_input.check()

    def apply(self, parameters: Parameters) -> None:
        self._camera_input.parameters = parameters.input
        if self._exo_stage is not None:
            self._exo_stage.update(parameters)

    def steps(self) -> list[Callable[[float], None]]:
        return [self._observe]

    def _observe(self, timeout_s: float) -> None:
        frame = self._camera_input.take(timeout_s)
        if frame is not None and self._exo_stage is not None:
            self.complete(self._exo_stage.process(frame))

    def complete(self, observation: ExoObservation) -> None:
        """What happens with a finished observation."""
        self.report(observation, observation.stage_ms, float("nan"))


def main() -> None:
    run_node(ExoObservationNode)


if __name__ == "__main__":
    main()
