"""`./genego train baseline pixelnerf`: rays of first-person pictures, by the recordings' own X."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genego_ros.evaluation.baselines.network import byte_pictures, shown
from genego_ros.evaluation.baselines.pixelnerf import SIZES, PixelNeRF, View, view_of
from genego_ros.geometry import rigid
from genego_ros.geometry.squeeze import squeeze
from genego_ros.training.baselines.moments import (
    PairsApart,
    cached_pairs_apart,
    chosen_network,
    pair,
    picture_measures,
    picture_sheet,
    spread,
)
from genego_ros.training.loop import Settings
from genego_ros.training.pairs import PicturePairs, intrinsics_of
from genego_ros.types import Array, ByteArray

RAYS = 256
"""Of each picture of a batch, at random places."""
PICTURED, ASKED = 6, 48
"""Held-out pairs that are rendered, which takes seconds each, and those that rays are asked of."""


def prepare(args: argparse.Namespace) -> tuple[PixelNeRFTask, Settings]:
    """What `./genego train baseline pixelnerf` trains.

    Raises:
        GenEgoError: see `cached_pairs_apart` and `chosen_network`.
    """
    network, configuration = chosen_network(args, PixelNeRF, SIZES)
    task = PixelNeRFTask(network, configuration, cached_pairs_apart(args, network.side))
    rate = 5e-4 if configuration["width"] < 256 else 1e-4  # the paper's, for its width
    return task, Settings(batch=4, rate=rate, weight_decay=0.0, workers=1, validate_minutes=10.0)


class RaySamples:
    """`training.loop.Samples`: pairs with some rays each, in a mirror as often as not."""

    def __init__(self, pairs: PicturePairs) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def batch(self, indices: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Array]:
        """`exo` uint8 (N, S, S, 3); float32 `T_exo_ego` (N, 4, 4), `K_exo` and `K_ego` (N, 4), `pixels` (N, RAYS, 2),
        column and row; `colours` uint8 (N, RAYS, 3)."""
        rows = [self._row(int(index), rng) for index in indices]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _row(self, index: int, rng: np.random.Generator) -> dict[str, Array]:
        seen = pair(self._pairs, index, bool(rng.random() < 0.5))
        pixels = rng.integers(0, len(seen.ego), (RAYS, 2))
        return {
            "exo": seen.exo,
            "T_exo_ego": rigid.invert(seen.T_ego_exo).astype(np.float32),
            "K_exo": intrinsics_of(seen.exo_camera).astype(np.float32),
            "K_ego": intrinsics_of(seen.ego_camera).astype(np.float32),
            "pixels": pixels.astype(np.float32),
            "colours": seen.ego[pixels[:, 1], pixels[:, 0]],
        }


class PixelNeRFTask:
    """A `training.loop.Task`."""

    rates: Mapping[str, float] = {}

    def __init__(self, network: PixelNeRF, configuration: Mapping[str, Any], pairs: PairsApart) -> None:
        self.network: nn.Module = network
        self.samples = RaySamples(pairs.learned)
        self.configuration: Mapping[str, Any] = {"baseline": "pixelnerf", **configuration}
        self.fingerprint = pairs.fingerprint
        self._held_out = pairs.held_out

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean squared errors of both fields' colours, in [0, 1]."""
        assert isinstance(network, PixelNeRF)
        features = network.encoder(batch["exo"].permute(0, 3, 1, 2).float() / 127.5 - 1)
        view = View(batch["T_exo_ego"], batch["K_exo"], batch["K_ego"])
        found = network(features.float(), view, batch["pixels"])
        truth = batch["colours"].float() / 127.5 - 1
        coarse, fine = (((colours - truth) / 2).square().mean() for colours in found)
        return {"loss": coarse + fine, "coarse": coarse, "fine": fine}

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """The loss of the same rays every time, and PSNR in dB of pictures, of recordings that are not learned from."""
        places = spread(len(self._held_out), ASKED)
        if not places:
            return {}
        device, rng, samples = next(network.parameters()).device, np.random.default_rng(0), RaySamples(self._held_out)
        losses = []
        for place in places:
            batch = samples.batch(np.array([place]), rng)
            tensors = {name: torch.from_numpy(values).to(device) for name, values in batch.items()}
            losses.append(float(self.losses(network, tensors)["loss"]))
        few = spread(len(self._held_out), PICTURED)
        measured = picture_measures(self._held_out, lambda place: self._made(network, place), few)
        return {"loss": float(np.mean(losses)), **measured}

    def sheet(self, network: nn.Module) -> ByteArray | None:
        """Pictures made of held-out pairs."""
        places = spread(len(self._held_out), PICTURED)
        return picture_sheet(self._held_out, lambda place: self._made(network, place), places)

    def _made(self, network: nn.Module, place: int) -> ByteArray:
        assert isinstance(network, PixelNeRF)
        seen = pair(self._held_out, place)
        view = view_of(network, seen.T_ego_exo, seen.exo_camera, seen.ego_camera)
        made = byte_pictures(network.picture(shown(seen.exo, network.side, network), view))[0]
        return squeeze(made, network.side, network.side)
