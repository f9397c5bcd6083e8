"""One sample: the truth, and what stage 1 made of its picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from genego_ros.data.h2o_format import HEADS
from genego_ros.data.sample import Sample
from genego_ros.observation.depth import DepthMap
from genego_ros.types import EgoHands, ExoObservation, Float64Array, FloatArray, Side, Viewpoint

Values: TypeAlias = dict[str, list[float] | str]
"""By a path of names ("hands/rgb/left/mpjpe_mm"): numbers, none or more a sample, or a word that is counted."""
GROUPS = ("all", *HEADS)
"""Samples by how much of the person's head is seen."""
UNAVAILABLE = "unavailable"
"""Last name of a path whose word says why there are no numbers beside it."""


@dataclass(frozen=True)
class Case:
    """What the parts are measured on."""

    sample: Sample
    observation: ExoObservation
    """Of the picture and its intrinsics alone."""
    description_ms: float | None
    """How long its description was written, beside the stream; None where there is none yet."""
    known_length: ExoObservation | None
    """Likewise, with the person's true hand length; None where no hand tells it."""
    depth_topic: ExoObservation | None
    """With the true depth as a depth camera's; None where there is none."""
    depth_map: DepthMap | None
    """D_exo as the backend gave it; None where the backend gives none."""
    viewpoints: Mapping[str, Viewpoint | str | None]
    """What each viewpoint backend makes of the observation's hands and depth; a text says why there is none."""
    ego_hands: EgoHands | str
    """phi_ego's estimate; a text says why there is none."""
    visible: tuple[Side, ...]
    """Hands that the third-person picture shows, see `truth.visible_hands`."""
    touching: Mapping[Side, bool]
    """Which hands touch the object; empty where the data does not tell."""
    region: FloatArray | None
    """True depth where the true hands are seen, float32 (H, W), metres, NaN elsewhere; None without true depth."""
    head: str
    """How much of the person's head is seen, of `h2o_format.HEADS`; empty where the data does not tell."""

    @property
    def estimated_depth(self) -> FloatArray | None:
        return self.observation.exo_depth

    @property
    def true_depth(self) -> FloatArray | None:
        return self.sample.exo[0].frame.depth

    @property
    def estimated_x(self) -> Float64Array | None:
        return self.observation.viewpoint.T_ego_exo if self.observation.valid else None
