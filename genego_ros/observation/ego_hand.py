"""phi_ego: where the hands are for the person's own eyes, read off the third-person picture (paper section 2.1)."""

from __future__ import annotations

from typing import Protocol

from genego_ros.types import EgoHands, Frame


class EgoHandEstimator(Protocol):
    def estimate(self, frame: Frame) -> EgoHands:
        """P_ego of `frame`."""
        ...
