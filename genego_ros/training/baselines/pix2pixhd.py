"""`./genego train baseline pix2pixhd`: generator and critics against one another."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from genego_ros.evaluation.baselines.network import byte_pictures, shown
from genego_ros.evaluation.baselines.pix2pixhd import SIZES, Made, Pix2PixHD, halved
from genego_ros.training.baselines.moments import (
    PICTURED,
    SHOWN,
    PairsApart,
    cached_pairs_apart,
    chosen_network,
    pair,
    picture_measures,
    picture_sheet,
    spread,
)
from genego_ros.training.critic import fixed
from genego_ros.training.loop import Settings
from genego_ros.training.pairs import PicturePairs
from genego_ros.types import Array, ByteArray

MATCHING = 10.0
"""Weight of the critics' features against their verdicts, the paper's."""


def prepare(args: argparse.Namespace) -> tuple[Pix2PixHDTask, Settings]:
    """What `./genego train baseline pix2pixhd` trains.

    Raises:
        GenEgoError: see `cached_pairs_apart` and `chosen_network`.
    """
    network, configuration = chosen_network(args, Pix2PixHD, SIZES)
    task = Pix2PixHDTask(network, configuration, cached_pairs_apart(args, network.side))
    # Adam with the paper's rate and momentum, which is lower than usual: the two chase one another.
    return task, Settings(
        batch=1,
        rate=2e-4,
        momentum=0.5,
        warmup=0.0,
        weight_decay=0.0,
        averaging=0.998,
        largest_gradient=100.0,
        workers=1,
    )


class PictureSamples:
    """`training.loop.Samples`: pairs, in a mirror as often as not."""

    def __init__(self, pairs: PicturePairs) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def batch(self, indices: NDArray[np.int64], rng: np.random.Generator) -> Mapping[str, Array]:
        """`exo`, `ego`: uint8 (N, S, S, 3)."""
        found = [pair(self._pairs, int(index), bool(rng.random() < 0.5)) for index in indices]
        return {"exo": np.stack([one.exo for one in found]), "ego": np.stack([one.ego for one in found])}


class Pix2PixHDTask:
    """A `training.loop.Task`."""

    rates: Mapping[str, float] = {}

    def __init__(self, network: Pix2PixHD, configuration: Mapping[str, Any], pairs: PairsApart) -> None:
        self.network: nn.Module = network
        self.samples = PictureSamples(pairs.learned)
        self.configuration: Mapping[str, Any] = {"baseline": "pix2pixhd", **configuration}
        self.fingerprint = pairs.fingerprint
        self._held_out = pairs.held_out

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the generator minimises, `fooling` and `matching`, and what the critics do, `telling`."""
        assert isinstance(network, Pix2PixHD)
        exo, truth = (batch[name].permute(0, 3, 1, 2).float() / 127.5 - 1 for name in ("exo", "ego"))
        made: Made = network.generator(exo)
        of_fine = contest(network, exo, truth, made.picture.float(), 0)
        of_coarse = contest(network, halved(exo), halved(truth), made.coarse.float(), 1)
        fooling, matching, telling = (fine + coarse for fine, coarse in zip(of_fine, of_coarse, strict=True))
        loss = fooling + MATCHING * matching + telling
        return {"loss": loss, "fooling": fooling, "matching": matching, "telling": telling}

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """PSNR in dB of pictures of recordings that are not learned from."""
        places = spread(len(self._held_out), PICTURED)
        return picture_measures(self._held_out, lambda place: self._made(network, place), places)

    @torch.no_grad()
    def sheet(self, network: nn.Module) -> ByteArray | None:
        """Pictures made of held-out pairs."""
        places = spread(len(self._held_out), SHOWN)
        return picture_sheet(self._held_out, lambda place: self._made(network, place), places)

    def _made(self, network: nn.Module, place: int) -> ByteArray:
        assert isinstance(network, Pix2PixHD)
        exo = shown(np.array(self._held_out.pictures[place]), network.side, network)
        return byte_pictures(network.generator(exo).picture)[0]


def contest(
    network: Pix2PixHD, shown: Tensor, truth: Tensor, made: Tensor, first: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Least squares between generator and critics, from the critic `first` on, summed over critics.

    Args:
        shown, truth, made: float (N, 3, H, W) in [-1, 1].

    Returns:
        fooling: how far the critics' verdicts of what was made are from 1; the generator's alone.
        matching: the distance of their features of it from those of the truth, summed over layers; likewise.
        telling: half of how far their verdicts are from 1 for the truth and from 0 for what was made; the critics'.
    """
    of_truth = network.judged(shown, truth, first)
    of_made = network.judged(shown, made.detach(), first)
    with fixed(network.critics):
        of_fooling = network.judged(shown, made, first)
    zero = made.new_zeros(())
    fooling = sum(((found[-1].float() - 1).square().mean() for found in of_fooling), zero)
    matching = sum((_distance(*both) for both in zip(of_fooling, of_truth, strict=True)), zero)
    true = sum(((found[-1].float() - 1).square().mean() for found in of_truth), zero)
    false = sum((found[-1].float().square().mean() for found in of_made), zero)
    return fooling, matching, 0.5 * (true + false)


def _distance(of_made: Sequence[Tensor], of_truth: Sequence[Tensor]) -> Tensor:
    distances = [functional.l1_loss(a, b.detach()) for a, b in zip(of_made[:-1], of_truth[:-1], strict=True)]
    return torch.stack(distances).sum()
