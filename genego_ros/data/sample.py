"""One recorded pair of views, whatever data set it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from genego_ros.geometry import rigid
from genego_ros.types import SIDES, Float64Array, Frame, Side


class SampleId(NamedTuple):
    """Names one sample of a data set; orders by recording, camera and time."""

    sequence: str
    """The recording, as the path below the data set's folder: "subject1/h1/0"."""
    camera: str
    """The third-person camera: "cam2"."""
    frame: int

    def __str__(self) -> str:
        return f"{self.sequence}/{self.camera}/{self.frame:06d}"


@dataclass(frozen=True)
class View:
    """What one camera of a recording saw."""

    camera: str
    """Its name in the data set: "cam2"."""
    frame: Frame
    """Picture, intrinsics, registered metric depth where the data set has it, and time in the recording."""
    T_world_camera: Float64Array
    """float64 (4, 4), rigid; "world" is the recording's."""
    keypoints: Float64Array
    """float64 (2, 21, 3): left, right, in the order of `types.SIDES`; metres in this camera's optical frame,
    OpenPose's order; NaN where the data set has no such hand."""

    def has_hand(self, side: Side) -> bool:
        return bool(np.isfinite(self.keypoints[SIDES.index(side)]).all())


@dataclass(frozen=True)
class Sample:
    """Third-person and first-person view of one moment, with what is known of it."""

    id: SampleId
    exo: tuple[View, ...]
    """The camera of `id` first; further third-person cameras where they were asked for."""
    ego: View
    T_world_object: Float64Array | None
    """float64 (4, 4) of the object in the hands; None where the data set has none."""
    object_class: int
    """As the data set numbers it; 0 is no object."""
    object_name: str
    verb: int
    """0 is background."""
    verb_name: str
    action: int
    """0 is background."""
    subject: str
    scene: str
    description: str
    """T_exo as the data set gives it; empty where it has none."""

    @property
    def T_ego_exo(self) -> Float64Array:
        """X as the recording's own poses say it: maps the exo optical frame to the ego optical frame."""
        return rigid.invert(self.ego.T_world_camera) @ self.exo[0].T_world_camera


class Dataset(Protocol):
    """A folder of recordings. Reading is lazy and by random access; nothing but names is kept."""

    @property
    def ids(self) -> Sequence[SampleId]:
        """All samples, in order."""

    @property
    def rate_hz(self) -> float:
        """Frames a second of the recordings."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def sample(self, id: SampleId) -> Sample:
        """The sample of that name.

        Raises:
            GenEgoError: there is none, or a file of it is missing or damaged; names the path.
        """
