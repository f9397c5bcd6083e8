"""The whole system without ROS: a third-person frame in, the first-person view out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from genego_ros.observation.observer import ExoObserver, StageClock
from genego_ros.observation.viewpoint import ViewpointEstimator
from genego_ros.parameters import Parameters
from genego_ros.reconstruction import Reconstruction, load_reconstructor
from genego_ros.types import EgoView, ExoObservation, Frame, SparseView


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

    def reconstruct(self, observation: ExoObservation, confidence: bool = False) -> EgoView:
        """The view of `observation`, its confidence where asked; black and nowhere seen where that is not valid."""
        clock = StageClock()
        with clock.measure("reconstruction"):
            if observation.valid:
                made = self._reconstructor.reconstruct(observation, confidence)
            else:
                made = self._black(observation.sparse, confidence)
        return EgoView(made.image, made.seen, observation, made.source, clock.stage_ms, made.confidence, made.notice)

    def _black(self, sparse: SparseView, confidence: bool) -> Reconstruction:
        return Reconstruction(
            np.zeros_like(sparse.rgb),
            np.zeros_like(sparse.projected),
            self.parameters.reconstruction.backend,
            np.zeros(sparse.projected.shape, np.float32) if confidence else None,
        )


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
