"""The best that is there: the network where its weights lie, else the classical filling."""

from __future__ import annotations

from dataclasses import replace

from genego_ros.backends import load_backend
from genego_ros.errors import GenEgoError
from genego_ros.parameters import Parameters
from genego_ros.reconstruction import BACKENDS, Reconstruction, Reconstructor
from genego_ros.types import ExoObservation


class AutoReconstruction:
    """The reconstruction backend `auto`: `lite`, or `geometric` with a notice of what `lite` lacks."""

    def __init__(self, parameters: Parameters) -> None:
        self._notice = ""
        try:
            self._chosen: Reconstructor = load_backend("reconstruction", "lite", BACKENDS)(parameters)
        except GenEgoError as error:
            self._chosen = load_backend("reconstruction", "geometric", BACKENDS)(parameters)
            self._notice = f"'geometric' reconstructs, since 'lite' cannot: {error}"

    @property
    def parameters(self) -> Parameters:
        return self._chosen.parameters

    @parameters.setter
    def parameters(self, parameters: Parameters) -> None:
        self._chosen.parameters = parameters

    def reconstruct(self, observation: ExoObservation, confidence: bool = False) -> Reconstruction:
        made = self._chosen.reconstruct(observation, confidence)
        return replace(made, notice=made.notice or self._notice)
