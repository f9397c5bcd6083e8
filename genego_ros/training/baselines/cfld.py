"""`./genego train baseline cfld`: noise in latents, by the scene's looks and the hands' layout."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from genego_ros.evaluation.baselines.cfld import CFLD, SIZES
from genego_ros.evaluation.baselines.diffusion import TIMES, noise_schedule
from genego_ros.evaluation.baselines.network import byte_pictures, shown
from genego_ros.training.baselines.moments import (
    cached_pairs_apart,
    chosen_latent_network,
    pair,
    picture_measures,
    picture_sheet,
    spread,
)
from genego_ros.training.conditions import kept_conditions
from genego_ros.training.latents import cached_latents, encoder_state
from genego_ros.training.loop import Settings
from genego_ros.training.pairs import PicturePairs
from genego_ros.training.unet import conditions_apart, drawn_kind
from genego_ros.types import Array, ByteArray

NOTHING_TOLD = 0.2
"""How often looks and layout are left out, for guidance; the paper's."""
PICTURED, PICTURE_STEPS = 8, 10
"""Held-out moments that pictures are made of, and in how many steps."""
MEASURED_AT_ONCE = 16


def prepare(args: argparse.Namespace) -> tuple[CFLDTask, Settings]:
    """What `./genego train baseline cfld` trains.

    Raises:
        GenEgoError: see `chosen_latent_network`, `cached_pairs_apart` and `conditions_apart`.
    """
    network, configuration = chosen_latent_network(args, CFLD, SIZES)
    pairs, rows = cached_pairs_apart(args, network.side), conditions_apart(args, network.side)
    folder = args.cache or args.out / "cache"
    learned, held_out = (
        Layouts(of, some, cached_latents(some, name, network.vae, folder))
        for of, (some, name) in zip((pairs.learned, pairs.held_out), rows, strict=True)
    )
    fingerprint = " ".join([pairs.fingerprint, *(name for _, name in rows), encoder_state(network.vae)])
    task = CFLDTask(network, configuration, learned, held_out, fingerprint)
    rate = 3e-4 if configuration["channels"][0] < 128 else 5e-5  # a small network bears more
    return task, Settings(batch=16, rate=rate, weight_decay=0.01, workers=1)


class Layouts:
    """Pairs with the conditions of their moments.

    Args:
        pairs: of as many moments, in the same order, as
        rows: see `conditions.row_type`, and
        latents: see `latents.latent_type`.
    """

    def __init__(self, pairs: PicturePairs, rows: Array, latents: Array) -> None:
        self.pairs, self.rows, self.latents = pairs, rows, latents
        self.usable: list[int] = np.flatnonzero(rows["there"].any(axis=1)).tolist()

    def example(self, index: int, kind: int, mirrored: bool = False) -> dict[str, Array]:
        """A moment: a row of `LayoutSamples.batch` without what is drawn."""
        return {
            "exo": pair(self.pairs, index, mirrored).exo,
            "pose_map": kept_conditions(self.rows[index], kind, mirrored).pose_map,
            "target": self.latents[index]["target"][int(mirrored)],
        }


class LayoutSamples:
    """`training.loop.Samples`: moments by one of their kinds of conditions, in a mirror as often as not."""

    def __init__(self, layouts: Layouts) -> None:
        self._layouts = layouts

    def __len__(self) -> int:
        return len(self._layouts.usable)

    def batch(self, indices: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Array]:
        """With S pixels a side and s elements of a latent: `exo`, `pose_map` uint8 (N, S, S, 3); `target` float16 and
        `noise` float32 (N, 4, s, s); `time` int64 (N,); `left_out` bool (N,)."""
        rows = [self._row(self._layouts.usable[index], rng) for index in indices.tolist()]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _row(self, index: int, rng: np.random.Generator) -> dict[str, Array]:
        kind = drawn_kind(self._layouts.rows[index]["there"], rng)
        row = self._layouts.example(index, kind, bool(rng.random() < 0.5))
        # Much noise more often than little: what is where is decided there (the paper's cubic sampling).
        time = np.array(int((1 - rng.random() ** 3) * (TIMES - 1)))
        noise = rng.standard_normal(row["target"].shape, np.float32)
        return {**row, "noise": noise, "time": time, "left_out": np.array(rng.random() < NOTHING_TOLD)}


class CFLDTask:
    """A `training.loop.Task`."""

    rates: Mapping[str, float] = {"vae": 0.0}

    def __init__(
        self, network: CFLD, configuration: Mapping[str, Any], learned: Layouts, held_out: Layouts, fingerprint: str
    ) -> None:
        self.network: nn.Module = network
        self.samples = LayoutSamples(learned)
        self.configuration: Mapping[str, Any] = {"baseline": "cfld", **configuration}
        self.fingerprint = fingerprint
        self._held_out = held_out

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean squared error of the noise."""
        assert isinstance(network, CFLD)
        exo = batch["exo"].permute(0, 3, 1, 2).float() / 127.5 - 1
        pose_map = batch["pose_map"].permute(0, 3, 1, 2).float() / 255
        told = network.without(network.look(exo, pose_map), batch["left_out"])
        noisy = noise_schedule().add_noise(batch["target"].float(), batch["noise"], batch["time"])
        return {"loss": functional.mse_loss(network(noisy, batch["time"], told).float(), batch["noise"])}

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """The loss, by the same draws every time, and PSNR in dB of pictures, of recordings that are not learned
        from."""
        samples, rng, losses = LayoutSamples(self._held_out), np.random.default_rng(0), []
        if not len(samples):
            return {}
        device = next(network.parameters()).device
        for some in np.array_split(np.arange(len(samples)), -(-len(samples) // MEASURED_AT_ONCE)):
            tensors = {name: torch.from_numpy(values).to(device) for name, values in samples.batch(some, rng).items()}
            losses.append(len(some) / len(samples) * float(self.losses(network, tensors)["loss"]))
        made = picture_measures(self._held_out.pairs, lambda place: self._made(network, place), self._pictured())
        return {"loss": sum(losses), **made}

    def sheet(self, network: nn.Module) -> ByteArray | None:
        """Pictures made of held-out moments."""
        return picture_sheet(self._held_out.pairs, lambda place: self._made(network, place), self._pictured())

    def _pictured(self) -> list[int]:
        usable = self._held_out.usable
        return [usable[place] for place in spread(len(usable), PICTURED)]

    def _made(self, network: nn.Module, place: int) -> ByteArray:
        """By the first kind of conditions that is there: estimated ones where anybody was found."""
        assert isinstance(network, CFLD)
        kind = int(np.flatnonzero(self._held_out.rows[place]["there"])[0])
        row = self._held_out.example(place, kind)
        exo, pose_map = (shown(np.array(row[name]), network.side, network) for name in ("exo", "pose_map"))
        return byte_pictures(network.picture(exo, pose_map / 2 + 0.5, PICTURE_STEPS))[0]
