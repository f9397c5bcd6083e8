#!/usr/bin/env python3
"""Both stages in one process: camera topics in, the egocentric view out."""

from __future__ import annotations

from genego_ros.parameters import Parameters
from genego_ros.ros.exo_observation_node import ExoObservationNode
from genego_ros.ros.pipeline_node import run_node
from genego_ros.ros.stages import EgoStage
from genego_ros.types import ExoObservation


class GenEgoNode(ExoObservationNode):
    """Stage 1 whose observation goes to stage 2 in memory."""

    def __init__(self, name: str = "genego_node") -> None:
        super().__init__(name)

    def set_up(self) -> None:
        super().set_up()
        self._ego_stage = EgoStage(self)
        self.status.models = [*self.status.models, f"reconstruction: {self.parameters.reconstruction.backend}"]

    def tear_down(self) -> None:
        self._ego_stage.close()
        super().tear_down()

    def apply(self, parameters: Parameters) -> None:
        super().apply(parameters)
        self._ego_stage.update(parameters)

    def complete(self, observation: ExoObservation) -> None:
        view = self._ego_stage.process(observation)
        self.report(observation, {**observation.stage_ms, **view.stage_ms}, float(view.seen.mean()))


def main() -> None:
    run_node(GenEgoNode)


if __name__ == "__main__":
    main()
