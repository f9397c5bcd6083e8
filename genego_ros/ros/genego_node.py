#!/usr/bin/env python3
"""Both stages in one process: camera topics in, the egocentric view out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from genego_ros.parameters import Parameters
from genego_ros.ros.exo_observation_node import ExoObservationNode
from genego_ros.ros.newest import Newest
from genego_ros.ros.pipeline_node import run_node
from genego_ros.ros.stages import EgoStage
from genego_ros.types import ExoObservation


class GenEgoNode(ExoObservationNode):
    """Stage 1 whose observation goes to stage 2 in memory."""

    def __init__(self, name: str = "genego_node") -> None:
        self._ego_stage: EgoStage | None = None
        super().__init__(name)

    def set_up(self) -> None:
        super().set_up()
        self._ego_stage = EgoStage(self)
        self.status.models = [*self.status.models, f"reconstruction: {self.parameters.reconstruction.backend}"]

    def tear_down(self) -> None:
        if self._ego_stage is not None:
            self._ego_stage.close()
            self._ego_stage = None
        super().tear_down()

    def apply(self, parameters: Parameters) -> None:
        super().apply(parameters)
        if self._ego_stage is not None:
            self._ego_stage.update(parameters)

    def open_inputs(self) -> None:
        self._observations: Newest[ExoObservation] = Newest()
        super().open_inputs()

    def slots(self) -> list[Newest[Any]]:
        return [*super().slots(), self._observations]

    def steps(self) -> list[Callable[[float], None]]:
        return [*super().steps(), self._reconstruct]

    def complete(self, observation: ExoObservation) -> None:
        self._observations.put(observation)

    def _reconstruct(self, timeout_s: float) -> None:
        observation = self._observations.take(timeout_s)
        if observation is not None and self._ego_stage is not None:
            view = self._ego_stage.process(observation, self.ego_frame_id)
            self.report(observation, {**observation.stage_ms, **view.stage_ms}, float(view.seen.mean()))


def main() -> None:
    run_node(GenEgoNode)


if __name__ == "__main__":
    main()
