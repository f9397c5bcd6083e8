"""A description that somebody wrote."""

from __future__ import annotations

from genego_ros.parameters import Parameters
from genego_ros.types import FloatArray, Frame, Hand


class ParameterDescription:
    """The text of the parameter `description.text`."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def describe(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> str:
        return self.parameters.description.text
