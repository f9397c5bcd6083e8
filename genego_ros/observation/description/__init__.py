"""T_exo: the scene and the hands in words."""

from __future__ import annotations

from typing import Protocol

from genego_ros.backends import load_backend
from genego_ros.errors import GenEgoError
from genego_ros.parameters import Parameters
from genego_ros.types import FloatArray, Frame, Hand

BACKENDS = {
    "template": "genego_ros.observation.description.template:TemplateDescription",
    "parameter": "genego_ros.observation.description.given:ParameterDescription",
    "qwen_vl": "genego_ros.observation.description.vision_language:VisionLanguageDescription",
}


class Describer(Protocol):
    parameters: Parameters

    def describe(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> str:
        """T_exo of `frame`.

        Args:
            hands: P_exo.
            depth: D'_exo, float32 (H, W), metres, NaN invalid; all NaN where nothing but the hands' own depth is known.
        """
        ...


def load_describer(parameters: Parameters) -> Describer:
    if parameters.description.backend == "topic":
        raise GenEgoError("description backend 'topic' listens to a ROS topic, so it works in the ROS nodes only")
    describer: Describer = load_backend("description", parameters.description.backend, BACKENDS)(parameters)
    return describer
