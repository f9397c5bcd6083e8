"""phi_ego: where the hands are for the person's own eyes, read off the third-person picture (paper section 2.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, TypeVar

from genego_ros import weights
from genego_ros.parameters import Parameters
from genego_ros.types import EgoHands, Frame, Hand

G = TypeVar("G")


class EgoHandEstimator(Protocol[G]):
    def look(self, frame: Frame) -> G:
        """What takes the time, and needs the picture alone."""
        ...

    def tell(self, glance: G, hands: tuple[Hand, ...] = ()) -> EgoHands:
        """P_ego of the frame that was looked at.

        Args:
            hands: P_exo, from which more can be told; the paper's phi_ego goes without.
        """
        ...


def load_ego_hand_estimator(parameters: Parameters) -> EgoHandEstimator[Any]:
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
