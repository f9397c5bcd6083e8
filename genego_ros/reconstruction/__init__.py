"""Stage 2 (PHI_ego): from the sparse egocentric map to the whole view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from genego_ros.backends import load_backend
from genego_ros.parameters import Parameters
from genego_ros.types import BoolArray, ByteArray, ExoObservation, FloatArray

BACKENDS = {
    "geometric": "genego_ros.reconstruction.geometric:GeometricReconstruction",
    "lite": "genego_ros.reconstruction.lite:LiteReconstruction",
    "sd15": "genego_ros.reconstruction.sd15:SD15Reconstruction",
    "auto": "genego_ros.reconstruction.auto:AutoReconstruction",
}


@dataclass(frozen=True)
class Reconstruction:
    """What a backend makes of an observation, at K_ego's size."""

    image: ByteArray
    """I_ego, uint8 (H, W, 3), RGB."""
    seen: BoolArray
    """bool (H, W): True where the pixel comes from the camera."""
    source: str
    """The backend that served."""
    confidence: FloatArray | None = None
    """float32 (H, W), 0 to 1: how sure each pixel is; None where it was not asked for."""
    notice: str = ""
    """What a user should hear of, such as that another backend had to serve."""


class Reconstructor(Protocol):
    parameters: Parameters

    def reconstruct(self, observation: ExoObservation, confidence: bool = False) -> Reconstruction:
        """The view; with its `confidence` where asked, which may cost time.

        Raises:
            GenEgoError: this observation cannot be reconstructed.
        """
        ...


def load_reconstructor(parameters: Parameters) -> Reconstructor:
    reconstructor: Reconstructor = load_backend("reconstruction", parameters.reconstruction.backend, BACKENDS)(
        parameters
    )
    return reconstructor
