"""`./genego train decoder`: pictures of a VAE's latents, sharper: its decoder against a critic.

Its encoder and thus its latents stay what they are, so that a U-Net that works on them needs nothing new.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from genego_ros.data.h2o import H2O
from genego_ros.errors import GenEgoError
from genego_ros.reconstruction.autoencoder import LiteAutoencoder, load_autoencoder
from genego_ros.training.checkpoint import save_weights
from genego_ros.training.critic import Critic, duel
from genego_ros.training.loop import Settings
from genego_ros.training.vae import EDGES, VaeTask, fidelity
from genego_ros.training.views import ViewId, views_of
from genego_ros.types import ByteArray

MATCHING, FOOLING = 0.2, 0.03
"""Weights, against that of the pixels."""
VAE = "vae.safetensors"


def prepare(args: argparse.Namespace) -> tuple[DecoderTask, Settings]:
    """What `./genego train decoder` trains.

    Raises:
        GenEgoError: no VAE, no such data set or split, weights that do not fit.
    """
    if args.start is None:
        raise GenEgoError("train decoder goes on from a trained VAE: give --start weights.safetensors of train vae")
    dataset, learned, held_out = views_of(args.dataset, args.split)
    return DecoderTask(load_autoencoder(args.start), dataset, learned, held_out), Settings(
        batch=8, rate=3e-4, weight_decay=0.0, precision="no", workers=1
    )


class Contest(nn.Module):
    """The two who learn from each other."""

    def __init__(self, autoencoder: LiteAutoencoder) -> None:
        super().__init__()
        self.autoencoder, self.critic = autoencoder, Critic()

    def train(self, mode: bool = True) -> Contest:
        super().train(mode)
        self.autoencoder.encoder.eval()  # its statistics stay what they are, too
        return self


class DecoderTask(VaeTask):
    """A `training.loop.Task`."""

    rates: Mapping[str, float] = {"autoencoder.encoder": 0.0}

    def __init__(
        self, network: LiteAutoencoder, dataset: H2O, learned: Sequence[ViewId], held_out: Sequence[ViewId]
    ) -> None:
        super().__init__(network, dataset, learned, held_out)
        self.network = Contest(network)

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The VAE's, what the critic says of the pictures, and what they teach it."""
        assert isinstance(network, Contest)
        truth = batch["pictures"].permute(0, 3, 1, 2) / 127.5 - 1
        with torch.no_grad():
            latents = network.autoencoder.encode(truth).latents
        noisy = latents + network.autoencoder.config.noise * torch.randn_like(latents)
        made = network.autoencoder.decode(noisy).sample
        pixels, edges = fidelity(made, truth)
        fooling, matching, telling = duel(network.critic, made, truth)
        loss = pixels + EDGES * edges + MATCHING * matching + FOOLING * fooling + telling
        parts = {"pixels": pixels, "edges": edges, "fooling": fooling, "matching": matching, "telling": telling}
        return {"loss": loss, **parts}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """As that of the VAE."""
        assert isinstance(network, Contest)
        return super().validate(network.autoencoder)

    def sheet(self, network: nn.Module) -> ByteArray | None:
        """Likewise."""
        assert isinstance(network, Contest)
        return super().sheet(network.autoencoder)

    def export(self, network: nn.Module, out: Path) -> None:
        """Writes the VAE without the critic."""
        assert isinstance(network, Contest)
        save_weights(network.autoencoder, self.configuration, out / VAE)
