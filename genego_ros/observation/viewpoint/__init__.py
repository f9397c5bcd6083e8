"""X: where the person's eyes are, as the transformation from the exo to the ego optical frame."""

from __future__ import annotations

from typing import Protocol

from genego_ros.backends import load_backend
from genego_ros.errors import GenEgoError
from genego_ros.parameters import Parameters
from genego_ros.types import FloatArray, Frame, Hand, Viewpoint

BACKENDS = {
    "phi_ego": "genego_ros.observation.viewpoint.phi_ego:PhiEgoViewpoint",
    "head": "genego_ros.observation.viewpoint.head:HeadViewpoint",
    "auto": "genego_ros.observation.viewpoint.auto:AutoViewpoint",
    "nominal": "genego_ros.observation.viewpoint.nominal:NominalViewpoint",
}


class ViewpointEstimator(Protocol):
    parameters: Parameters

    def begin(self, frame: Frame) -> None:
        """`locate` will be asked for `frame` soon; what needs the picture alone may run until then."""
        ...

    def locate(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> Viewpoint | None:
        """X for `frame`; None where it cannot be told.

        Args:
            hands: P_exo.
            depth: D'_exo, float32 (H, W), metres, NaN invalid; all NaN where nothing but the hands' own depth is known.
        """
        ...

    def forget(self) -> None:
        """The next frame has nothing to do with the last one."""
        ...

    def close(self) -> None:
        """Gives back what it holds."""
        ...


def load_viewpoint_estimator(parameters: Parameters) -> ViewpointEstimator:
    """The backend that `viewpoint.backend` names, with what stands in for it.

    Raises:
        GenEgoError: there is no such backend, or its weights or packages are missing.
    """
    if parameters.viewpoint.backend == "tf":
        raise GenEgoError("viewpoint backend 'tf' reads the camera's pose from TF, so it works in the ROS nodes only")
    # Here, since both know this module's Protocol.
    from genego_ros.observation.viewpoint.nominal import NominalViewpoint
    from genego_ros.observation.viewpoint.steady import SteadyViewpoint

    estimator = load_backend("viewpoint", parameters.viewpoint.backend, BACKENDS)(parameters)
    return SteadyViewpoint(parameters, estimator, NominalViewpoint(parameters))
