"""T_exo: the scene and the hands in words."""

from __future__ import annotations

from typing import Protocol

from genego_ros.backends import load_backend
from genego_ros.parameters import Parameters
from genego_ros.types import Frame, Hand

BACKENDS = {
    "template": "genego_ros.observation.description.template:TemplateDescription",
    "parameter": "genego_ros.observation.description.given:ParameterDescription",
}


class Describer(Protocol):
    parameters: Parameters

    def describe(self, frame: Frame, hands: tuple[Hand, ...]) -> str:
        """T_exo of `frame`, in which `hands` (P_exo) were found."""
        ...


def load_describer(parameters: Parameters) -> Describer:
    describer: Describer = load_backend("description", parameters.description.backend, BACKENDS)(parameters)
    return describer
