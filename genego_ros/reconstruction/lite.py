"""The small pipeline that was trained here, for two processor cores."""

from __future__ import annotations

from pathlib import Path

from genego_ros import weights
from genego_ros.parameters import Parameters
from genego_ros.reconstruction.diffusion import DiffusionReconstruction
from genego_ros.reconstruction.lite_file import load_lite

SIZE, STEPS = 256, 1


class LiteReconstruction(DiffusionReconstruction):
    """The reconstruction backend `lite`.

    Raises:
        GenEgoError: its weights, or those of its text encoder, are missing or damaged.
    """

    def __init__(self, parameters: Parameters) -> None:
        chosen = parameters.reconstruction.weights
        path = Path(chosen).expanduser() if chosen else weights.locate("reconstruction_lite")
        super().__init__(parameters, "lite", load_lite(path), SIZE, STEPS)
