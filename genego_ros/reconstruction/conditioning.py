"""What stage 2's networks are shown of an observation, in use and in training alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genego_ros.geometry.skeleton import pose_map
from genego_ros.geometry.squeeze import squeeze
from genego_ros.reconstruction.geometric import push_pull
from genego_ros.types import BoolArray, ByteArray, ExoObservation, SparseView

_COVERED = 128
"""Of 255: how much of a squeezed pixel the splat has to cover to count as landed."""


@dataclass(frozen=True)
class Conditions:
    """The maps of an observation, squeezed to a network's own square."""

    sparse: ByteArray
    """S_ego, uint8 (S, S, 3), RGB; black where nothing landed."""
    projected: BoolArray
    """bool (S, S): where the splat landed."""
    pose_map: ByteArray
    """P_ego, uint8 (S, S, 3), RGB: the picture that is published as `ego/pose_map`."""

    @property
    def filled(self) -> ByteArray:
        """S_ego with its holes filled from their surroundings, uint8 (S, S, 3)."""
        return push_pull(self.sparse, self.projected)

    def tensors(self, fill: bool) -> dict[str, Tensor]:
        """The pipeline's arguments of these names, for one picture, on the CPU.

        Args:
            fill: the pipeline's `config.fill`; else `filled` comes beside `sparse`.
        """
        filled = picture_tensor(self.filled)
        seen = {"sparse": filled} if fill else {"sparse": picture_tensor(self.sparse), "filled": filled}
        return {
            **seen,
            "projected": torch.from_numpy(self.projected.astype(np.float32))[None, None],
            "pose_map": picture_tensor(self.pose_map) / 2 + 0.5,
        }


def condition(observation: ExoObservation, size: int) -> Conditions:
    """What a network of `size` pixels a side is shown."""
    camera = observation.ego_camera
    pose = pose_map(camera.height, camera.width, observation.hands_ego)
    return Conditions(*squeeze_sparse(observation.sparse, size), squeeze(pose, size, size))


def squeeze_sparse(sparse: SparseView, size: int) -> tuple[ByteArray, BoolArray]:
    """S_ego and where it landed, squeezed: a pixel's colour is the mean of what landed in it, without the holes."""
    cover = squeeze(sparse.projected * np.uint8(255), size, size)
    landed = cover >= _COVERED
    # Holes are black, so that they add nothing to the mean but the share of the pixel that they take.
    share = np.where(landed, cover, 255)[..., None] / np.float32(255)
    colors = np.clip(squeeze(sparse.rgb, size, size) / share + 0.5, 0, 255).astype(np.uint8)
    return colors * landed[..., None], landed


def picture_tensor(picture: ByteArray) -> Tensor:
    """uint8 (H, W, 3) as float32 (1, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1.0
