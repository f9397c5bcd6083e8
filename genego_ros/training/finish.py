"""`./genego train finish`: pictures of one to four steps against a critic: the U-Net and the decoder together.

A squared error in the latents' space asks for the mean of all pictures that may be meant; where few steps are taken,
that mean is what comes, and where the splat lies beside its place, a blur of it. Here each step's own guess of the
picture is decoded. It has to be the truth from afar, to look like a true picture to a critic of textures, and to keep
what the splat shows (adversarial diffusion distillation, Sauer et al., ECCV 2024, without its
teacher, whose place the true pictures take). A second critic sees all of the latents beside what they were made of, and
so where a table has to end and a wall to begin. The encoder is left alone.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from genego_ros.errors import GenEgoError
from genego_ros.reconstruction.autoencoder import FACTOR, LATENT_CHANNELS, LiteAutoencoder
from genego_ros.reconstruction.pipeline import TIMES, EgoPipeline
from genego_ros.training.critic import Critic, duel
from genego_ros.training.forms import Form
from genego_ros.training.loop import Settings
from genego_ros.training.unet import (
    EgoDenoiser,
    Learning,
    MomentSamples,
    UnetTask,
    chosen_settings,
    trained,
)

WAYS = (1, 2, 4)
"""Steps that pictures are made in; each as often as the others, and each of its steps."""
FAR, KEPT, MATCHING, FOOLING = 4.0, 4.0, 2.0, 0.05
"""Weights: of the latents from afar, of the splat, of the critics' features, of their verdicts. With a quarter of the
first, the critic of layouts drove colours from one side to the other instead of to where they belong; with four times
the last, holes were paved with bricks."""
LAYOUT = (64, 128)
"""Channels of the critic of latents, which judges patches of 18 elements a side, 144 pixels."""
DECODED = 0.5
"""Share of the pictures of which a window is decoded."""
BLOT = 2
"""Elements a side that latents are averaged over to be seen from afar, 16 pixels: an estimated splat lies a little
beside its place, and an error of every element by itself would ask for a blur."""
WINDOW = 16
"""Elements of a latent a side that are decoded of a picture, at a random place: all of it costs four times as much
and tells little more."""
MARGIN = 1
"""Elements at the border of the window that are not judged: what lies beyond it is missing to them."""
SWAPPED, LIGHT, TINT = 0.5, 0.2, 0.1
"""Share of the moments whose colours change places, and the deviations of the logarithms of their light and of each
colour's share in it. What the rooms of a data set have in common is otherwise painted into others."""
_BESIDE = LATENT_CHANNELS + 3 + 1
"""Channels of what latents are made of: the filled splat, P_ego, and where the splat landed."""


def prepare(args: argparse.Namespace) -> tuple[FinishTask, Settings]:
    """What `./genego train finish` trains.

    Raises:
        GenEgoError: see `unet.trained`; the network is no flow from the splat.
    """
    network, form, vae, learning = trained(args)
    if form.start_noise is None:
        raise GenEgoError(f"{args.start}: only a flow that begins at the splat is finished: train unet --form flow")
    settings = replace(chosen_settings(), batch=8, rate=2e-4, weight_decay=0.0, averaging=0.998, precision="no")
    return FinishTask(network, form, vae, learning), settings


class Studio(nn.Module):
    """All that learns here."""

    def __init__(self, denoiser: EgoDenoiser, vae: LiteAutoencoder) -> None:
        super().__init__()
        self.denoiser, self.vae = denoiser, vae
        self.critic_of_textures = Critic()
        self.critic_of_layouts = Critic(LAYOUT, LATENT_CHANNELS + _BESIDE)

    def train(self, mode: bool = True) -> Studio:
        super().train(mode)
        self.vae.encoder.eval()  # its statistics stay what they are, too
        return self


class FinishTask(UnetTask):
    """A `training.loop.Task`."""

    rates: Mapping[str, float] = {"vae.encoder": 0.0}

    def __init__(self, network: EgoDenoiser, form: Form, vae: LiteAutoencoder, learning: Learning) -> None:
        super().__init__(network, form, vae, learning)
        self.network = Studio(network, vae.requires_grad_(True))
        self.samples = MomentSamples(learning.learned, pictured=True)

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """How far a step's decoded guess is off, from afar and from the splat, and what the critics say of it."""
        assert isinstance(network, Studio)
        batch = self._recoloured(network.vae, batch)
        steps = WAYS[int(torch.randint(len(WAYS), ()))]
        taken = int(torch.randint(steps, ()))
        guess = self._guess(network.denoiser, batch, steps, taken)
        target = batch["target"]
        some = math.ceil(DECODED * len(guess))
        row, column = torch.randint(guess.shape[-1] - WINDOW + 1, (2,)).tolist()
        window = guess[:some, :, row : row + WINDOW, column : column + WINDOW]
        made = _judged(network.vae.decode(window).sample)
        truth, splat = (_judged(_cut(batch[name][:some], row, column)) for name in ("truth", "splat"))
        landed = _judged(_cut(batch["projected"][:some], row, column))
        far = functional.avg_pool2d(guess - target, BLOT).abs().mean()
        kept = ((made - splat).abs() * landed).mean()
        duels = {
            "textures": duel(network.critic_of_textures, made, truth),
            "layouts": duel(network.critic_of_layouts, guess, target, _beside(batch)),
        }
        loss, parts = FAR * far + KEPT * kept, {"far": far, "kept": kept}
        for name, (fooling, matching, telling) in duels.items():
            loss = loss + MATCHING * matching + FOOLING * fooling + telling
            parts |= {f"{name}_fooling": fooling, f"{name}_matching": matching, f"{name}_telling": telling}
        return {"loss": loss, **parts}

    @torch.no_grad()
    def _recoloured(self, vae: LiteAutoencoder, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The batch in other light and other colours, with the latents of those; `truth` and `splat` as float
        (N, 3, S, S) in [-1, 1]."""
        pictures = torch.stack([batch["truth"], batch["splat"]]).permute(0, 1, 4, 2, 3) / 255
        kinds, n, colours = pictures.shape[:3]
        orders = torch.rand(n, colours).argsort(1)
        orders = torch.where(torch.rand(n, 1) < SWAPPED, orders, torch.arange(colours)).to(pictures.device)
        gains = (LIGHT * torch.randn(n, 1) + TINT * torch.randn(n, colours)).exp().to(pictures.device)
        swapped = pictures.gather(2, orders[None, :, :, None, None].expand_as(pictures))
        pictures = (swapped * gains[:, :, None, None]).clamp(0, 1) * 2 - 1
        target, filled = vae.encode(pictures.flatten(0, 1)).latents.unflatten(0, (kinds, n))
        return {**batch, "truth": pictures[0], "splat": pictures[1], "target": target, "filled": filled}

    def _guess(self, denoiser: EgoDenoiser, batch: Mapping[str, Tensor], steps: int, taken: int) -> Tensor:
        """The picture's latents, float (N, 4, s, s), as one step of the way sees them; those before it, which learn
        nothing, lead there."""
        z = self.form.origin(batch["filled"].float(), batch["noise"])
        for step in range(taken + 1):
            share = 1 - step / steps
            with torch.set_grad_enabled(step == taken):
                velocity = denoiser(z, torch.full((len(z),), TIMES * share, device=z.device), batch).float()
            if step < taken:
                z = z - velocity / steps
        return z - share * velocity

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """PSNR in dB of pictures of recordings that are not learned from."""
        return self.measured(self.pipeline(network)) if len(self.held_out.usable) else {}

    def pipeline(self, network: nn.Module) -> EgoPipeline:
        """The whole, with the decoder as it is now, and without the critics."""
        assert isinstance(network, Studio)
        return self.joined(network.denoiser, network.vae)


def _beside(batch: Mapping[str, Tensor]) -> Tensor:
    """What the latents are made of, of their size, float (N, `_BESIDE`, s, s)."""
    drawn = batch["pose_map"].permute(0, 3, 1, 2).float() / 255
    maps = torch.cat((drawn, batch["projected"].float()), 1)
    return torch.cat((batch["filled"].float(), functional.avg_pool2d(maps, FACTOR)), 1)


def _cut(pictures: Tensor, row: int, column: int) -> Tensor:
    """The window of (N, C, S, S) pictures, (N, C, h, w)."""
    side = WINDOW * FACTOR
    top, left = row * FACTOR, column * FACTOR
    return pictures[..., top : top + side, left : left + side]


def _judged(pictures: Tensor) -> Tensor:
    margin = MARGIN * FACTOR
    return pictures[..., margin:-margin, margin:-margin]
