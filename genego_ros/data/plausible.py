"""What poses and hands of a recording must be, whatever its format: beyond that a file is damaged or not in metres."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from genego_ros.data.sample import SampleId
from genego_ros.errors import GenEgoError
from genego_ros.types import Float64Array, Side

FAR = 100.0
"""Metres from the origin that no camera, object or hand of a recording is away."""
HAND = 1.0
"""Metres from the wrist that no joint is away; a grown man's hand has 0.2."""
RIGID = 1e-3
"""How far R R^T of a pose may be from the identity."""


def check_pose(T: Float64Array, source: Path | str | SampleId, what: str = "camera pose") -> None:
    """Refuses what is no rigid transformation, or of something further away than `FAR`.

    Args:
        T: float64 (4, 4), metres.
        source: the file or sample that it comes from, for the error.

    Raises:
        GenEgoError: as said; also NaN.
    """
    rotation = T[:3, :3]
    # Size first: products of absurd numbers overflow. No comparison holds for NaN.
    if not (
        np.abs(T).max() <= FAR
        and np.abs(rotation @ rotation.T - np.eye(3)).max() <= RIGID
        and np.linalg.det(rotation) > 0
        and np.abs(T[3] - (0, 0, 0, 1)).max() <= 1e-6
    ):
        raise GenEgoError(
            f"{source}: the {what} is no rigid transformation within {FAR:g} m: {T.tolist()}; copy its file again, or "
            "leave the recording out"
        )


def check_hand(keypoints: Float64Array, side: Side, source: Path | str) -> None:
    """Refuses a hand that is further away than `FAR` or larger than `HAND`.

    Args:
        keypoints: float64 (21, 3), metres.
        source: the file that it comes from, for the error.

    Raises:
        GenEgoError: as said; also NaN.
    """
    if not (np.abs(keypoints).max() <= FAR and np.linalg.norm(keypoints - keypoints[0], axis=1).max() <= HAND):
        far, size = np.abs(keypoints).max(), np.ptp(keypoints, axis=0).max()
        raise GenEgoError(
            f"{source}: the {side} hand is {size:.3g} m large and reaches to {far:.3g} m, hands are of metres within "
            f"{HAND:g} m and {FAR:g} m; copy the file again, or bring it to metres"
        )
