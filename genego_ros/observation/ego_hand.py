"""phi_ego: where the hands are for the person's own eyes, read off the third-person picture (paper section 2.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from genego_ros import weights
from genego_ros.parameters import Parameters
from genego_ros.types import EgoHands, Frame


class EgoHandEstimator(Protocol):
    def estimate(self, frame: Frame) -> EgoHands:
        """P_ego of `frame`."""
        ...


def load_ego_hand_estimator(parameters: Parameters) -> EgoHandEstimator:
    """The network that `ego_hand.weights` names: an entry of models/manifest.yaml, or a file.

    Raises:
        GenEgoError: there are no such weights, or they are missing, damaged or of something else.
    """
    # Only here is torch needed, whose import takes seconds.
    from genego_ros.observation.phi_ego import PhiEgo

    name = parameters.ego_hand.weights
    path = Path(name).expanduser()
    is_file = path.suffix == ".safetensors" or len(path.parts) > 1
    return PhiEgo(path if is_file else weights.locate(name), parameters.device)
