"""What viewpoint estimators share that are made of others."""

from __future__ import annotations

from genego_ros.observation.viewpoint import ViewpointEstimator
from genego_ros.parameters import Parameters
from genego_ros.types import Frame


class SeveralViewpoints:
    """Hands on to all of `estimators` what concerns all of them."""

    def __init__(self, parameters: Parameters, estimators: tuple[ViewpointEstimator, ...]) -> None:
        self._estimators = estimators
        self.parameters = parameters

    @property
    def parameters(self) -> Parameters:
        return self._parameters

    @parameters.setter
    def parameters(self, parameters: Parameters) -> None:
        self._parameters = parameters
        for estimator in self._estimators:
            estimator.parameters = parameters

    def begin(self, frame: Frame) -> None:
        for estimator in self._estimators:
            estimator.begin(frame)

    def forget(self) -> None:
        for estimator in self._estimators:
            estimator.forget()

    def close(self) -> None:
        for estimator in self._estimators:
            estimator.close()
