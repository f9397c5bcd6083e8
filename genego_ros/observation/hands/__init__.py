"""P_exo: the hands of the person, metric and in the exo optical frame."""

from __future__ import annotations

from typing import Protocol

from genego_ros.backends import load_backend
from genego_ros.parameters import Parameters
from genego_ros.types import Frame, Hand

BACKENDS = {
    "mediapipe": "genego_ros.observation.hands.mediapipe:MediaPipeHands",
    "wilor": "genego_ros.observation.hands.crops:WiLoRHands",
    "hamer": "genego_ros.observation.hands.crops:HaMeRHands",
    "acr": "genego_ros.observation.hands.acr:ACRHands",
}


class HandEstimator(Protocol):
    parameters: Parameters

    def estimate(self, frame: Frame) -> tuple[Hand, ...]:
        """The hands in `frame`, at most one a side, the left one first."""
        ...

    def forget(self) -> None:
        """Follows no hand any further: the next frame has nothing to do with the last one."""
        ...

    def close(self) -> None:
        """Gives back what it holds."""
        ...


def load_hand_estimator(parameters: Parameters) -> HandEstimator:
    estimator: HandEstimator = load_backend("hands", parameters.hands.backend, BACKENDS)(parameters)
    return estimator
