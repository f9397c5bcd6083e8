"""The whole system without ROS: a third-person frame in, the first-person view out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from genego_ros.observation.observer import ExoObserver, StageClock
from genego_ros.observation.viewpoint import ViewpointEstimator
from genego_ros.parameters import Parameters
from genego_ros.reconstruction import load_reconstructor
from genego_ros.types import EgoView, ExoObservation, Frame


class EgoReconstructor:
    """PHI_ego: stage 2 (paper section 2.2).

    Raises:
        GenEgoError: the backend or its weights are missing.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._reconstructor = load_reconstructor(parameters)
        self.update(parameters)

    def update(self, parameters: Parameters) -> None:
        """Exchanges the parameters that are not read-only, from the next frame on."""
        self.parameters = parameters
        self._reconstructor.parameters = parameters

    def reconstruct(self, observation: ExoObservation) -> EgoView:
        """The view of `observation`; black and nowhere seen where that is not valid."""
        clock = StageClock()
        with clock.measure("reconstruction"):
            if observation.valid:
                image, seen = self._reconstructor.reconstruct(observation)
            else:
                image, seen = np.zeros_like(observation.sparse.rgb), np.zeros_like(observation.sparse.projected)
        return EgoView(image, seen, observation, self.parameters.reconstruction.backend, clock.stage_ms)


class GenEgo:
    """Both stages; a context manager.

    Args:
        parameters: a `Parameters`, or full names to values such as {"ego.width": 320}.
        viewpoint: where X comes from, instead of the backend that `parameters` name.
    """

    def __init__(
        self,
        parameters: Parameters | Mapping[str, object] | None = None,
        viewpoint: ViewpointEstimator | None = None,
    ) -> None:
        if not isinstance(parameters, Parameters):
            parameters = Parameters.from_mapping(parameters or {})
        self.reconstructor = EgoReconstructor(parameters)
        self.observer = ExoObserver(parameters, viewpoint)

    def update(self, parameters: Parameters) -> None:
        """Exchanges the parameters that are not read-only, from the next frame on."""
        self.observer.update(parameters)
        self.reconstructor.update(parameters)

    def __call__(self, frame: Frame) -> EgoView:
        return self.reconstructor.reconstruct(self.observer.observe(frame))

    def __enter__(self) -> GenEgo:
        return self

    def __exit__(self, *_: object) -> None:
        self.observer.close()
