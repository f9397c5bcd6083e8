"""Stage 2 (PHI_ego): from the sparse egocentric map to the whole view."""

from __future__ import annotations

from typing import Protocol

from genego_ros.backends import load_backend
from genego_ros.parameters import Parameters
from genego_ros.types import BoolArray, ByteArray, ExoObservation

BACKENDS = {"geometric": "genego_ros.reconstruction.geometric:GeometricReconstruction"}


class Reconstructor(Protocol):
    parameters: Parameters

    def reconstruct(self, observation: ExoObservation) -> tuple[ByteArray, BoolArray]:
        """The ego image, uint8 (H, W, 3), and where it comes from the camera, bool (H, W)."""
        ...


def load_reconstructor(parameters: Parameters) -> Reconstructor:
    reconstructor: Reconstructor = load_backend("reconstruction", parameters.reconstruction.backend, BACKENDS)(
        parameters
    )
    return reconstructor
