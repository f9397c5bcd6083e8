"""X: where the person's eyes are, as the transformation from the exo to the ego optical frame."""

from __future__ import annotations

from typing import Protocol

from genego_ros.backends import load_backend
from genego_ros.errors import GenEgoError
from genego_ros.parameters import Parameters
from genego_ros.types import Frame, Hand, Viewpoint

BACKENDS = {"nominal": "genego_ros.observation.viewpoint.nominal:NominalViewpoint"}


class ViewpointEstimator(Protocol):
    parameters: Parameters

    def locate(self, frame: Frame, hands: tuple[Hand, ...]) -> Viewpoint | None:
        """X for `frame`, in which `hands` (P_exo) were found; None where it cannot be told."""
        ...


def load_viewpoint_estimator(parameters: Parameters) -> ViewpointEstimator:
    if parameters.viewpoint.backend == "tf":
        raise GenEgoError("viewpoint backend 'tf' reads the camera's pose from TF, so it works in the ROS nodes only")
    estimator: ViewpointEstimator = load_backend("viewpoint", parameters.viewpoint.backend, BACKENDS)(parameters)
    return estimator
