"""`./genego train finish`: pictures of one to four steps: the U-Net and the decoder together.

A squared error of noisy latents asks for velocities at all places of a way that is hardly ever walked, and for a
decoder that never saw what the U-Net makes. Here each step's own guess is decoded, and the picture has to be the truth,
pixel by pixel and in its structure (L1 and SSIM together: Zhao et al., Loss functions for image restoration, 2017),
its latents from afar.

What is not known is a blur then. Critics ask for pictures that look true instead (adversarial diffusion distillation,
Sauer et al., ECCV 2024, without its teacher, whose place the true pictures take): one of textures, and one that sees
all of the latents beside what they were made of, and so where a table has to end and a wall to begin. They take far
more samples than the errors do, and before that pave what is hidden with pebbles, which every measure counts as worse
than a blur; so they are asked for by `--critics`. The encoder is left alone.
"""

from __future__ import annotations

import argparse
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

WAYS = (1, 1, 1, 2, 4)
"""Steps that pictures are made in, and each of those steps as often as the others."""
FAR, PIXELS, UNLIKE = 1.0, 4.0, 1.0
"""Weights: of the latents from afar, of the pixels and of 1 - SSIM, which then have about the same say."""
MATCHING, FOOLING = 2.0, 0.05
"""Of `--critics 1`: of the critics' features and of their verdicts. With four times the last, holes were paved with
bricks."""
LAYOUT = (64, 128)
"""Channels of the critic of latents, which judges patches of 18 elements a side, 144 pixels."""
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
_STRUCTURE = 7
"""Pixels a side of what `similarity` compares."""
_C1, _C2 = 0.01**2, 0.03**2
_BESIDE = LATENT_CHANNELS + 3 + 1
"""Channels of what latents are made of: the filled splat, P_ego, and where the splat landed."""


def prepare(args: argparse.Namespace) -> tuple[FinishTask, Settings]:
    """What `./genego train finish` trains.

    Raises:
        GenEgoError: see `unet.trained`; the network is no flow from the splat; critics of less than no weight.
    """
    network, form, vae, learning = trained(args)
    if form.start_noise is None:
        raise GenEgoError(f"{args.start}: only a flow that begins at the splat is finished: train unet --form flow")
    if args.critics < 0:
        raise GenEgoError(f"--critics {args.critics:g}: a weight of 0 (none) or more is wanted")
    settings = replace(chosen_settings(), batch=16, rate=4e-4, weight_decay=0.0, averaging=0.998)
    return FinishTask(network, form, vae, learning, args.critics), settings


class Studio(nn.Module):
    """All that learns here."""

    def __init__(self, denoiser: EgoDenoiser, vae: LiteAutoencoder, judged: bool) -> None:
        super().__init__()
        self.denoiser, self.vae = denoiser, vae
        critics = {"textures": Critic(), "layouts": Critic(LAYOUT, LATENT_CHANNELS + _BESIDE)} if judged else {}
        self.critics = nn.ModuleDict(critics)

    def critic(self, name: str) -> Critic:
        """Of those that there are."""
        found = self.critics[name]
        assert isinstance(found, Critic)
        return found

    def train(self, mode: bool = True) -> Studio:
        super().train(mode)
        self.vae.encoder.eval()  # its statistics stay what they are, too
        return self


class FinishTask(UnetTask):
    """A `training.loop.Task`."""

    rates: Mapping[str, float] = {"vae.encoder": 0.0}

    def __init__(
        self, network: EgoDenoiser, form: Form, vae: LiteAutoencoder, learning: Learning, critics: float = 0.0
    ) -> None:
        super().__init__(network, form, vae, learning)
        self.network = Studio(network, vae.requires_grad_(True), judged=critics > 0)
        self.critics = critics
        self.fingerprint += f" critics {critics:g}"
        self.samples = MomentSamples(learning.learned, pictured=True)

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """How far a step's decoded guess is off, from afar, by pixels and in structure, and what critics say of it."""
        assert isinstance(network, Studio)
        batch = self._recoloured(network.vae, batch)
        steps = WAYS[int(torch.randint(len(WAYS), ()))]
        taken = int(torch.randint(steps, ()))
        guess = self._guess(network.denoiser, batch, steps, taken)
        row, column = torch.randint(guess.shape[-1] - WINDOW + 1, (2,)).tolist()
        window = guess[:, :, row : row + WINDOW, column : column + WINDOW]
        made = _judged(network.vae.decode(window).sample.float())
        truth = _judged(_cut(batch["truth"], row, column))
        parts = {
            "far": functional.avg_pool2d(guess - batch["target"], BLOT).abs().mean(),
            "pixels": (made - truth).abs().mean(),
            "unlike": 1 - similarity(made, truth).mean(),
        }
        loss = FAR * parts["far"] + PIXELS * parts["pixels"] + UNLIKE * parts["unlike"]
        if self.critics:
            duels = {
                "textures": duel(network.critic("textures"), made, truth),
                "layouts": duel(network.critic("layouts"), guess, batch["target"], _beside(batch)),
            }
            for name, (fooling, matching, telling) in duels.items():
                loss = loss + self.critics * (MATCHING * matching + FOOLING * fooling) + telling
                parts |= {f"{name}_fooling": fooling, f"{name}_matching": matching, f"{name}_telling": telling}
        return {"loss": loss, **parts}

    @torch.no_grad()
    def _recoloured(self, vae: LiteAutoencoder, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The batch in other light and other colours, with the latents of those; `truth` as float (N, 3, S, S) in
        [-1, 1]."""
        pictures = torch.stack([batch["truth"], batch["splat"]]).permute(0, 1, 4, 2, 3) / 255
        kinds, n, colours = pictures.shape[:3]
        orders = torch.rand(n, colours).argsort(1)
        orders = torch.where(torch.rand(n, 1) < SWAPPED, orders, torch.arange(colours)).to(pictures.device)
        gains = (LIGHT * torch.randn(n, 1) + TINT * torch.randn(n, colours)).exp().to(pictures.device)
        swapped = pictures.gather(2, orders[None, :, :, None, None].expand_as(pictures))
        pictures = (swapped * gains[:, :, None, None]).clamp(0, 1) * 2 - 1
        target, filled = vae.encode(pictures.flatten(0, 1)).latents.float().unflatten(0, (kinds, n))
        return {**batch, "truth": pictures[0], "target": target, "filled": filled}

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


def similarity(made: Tensor, truth: Tensor) -> Tensor:
    """SSIM (Wang et al., 2004) of pictures, float (N, C, H, W) in [-1, 1], around each pixel that a window of
    `_STRUCTURE` pixels a side fits around, all of its pixels counting the same."""
    made, truth = made / 2 + 0.5, truth / 2 + 0.5
    mean_made, mean_truth = _smoothed(made), _smoothed(truth)
    products = mean_made * mean_truth
    squares = mean_made.square() + mean_truth.square()
    variances = _smoothed(made.square() + truth.square()) - squares
    covariance = _smoothed(made * truth) - products
    return (2 * products + _C1) * (2 * covariance + _C2) / ((squares + _C1) * (variances + _C2))


def _smoothed(pictures: Tensor) -> Tensor:
    return functional.avg_pool2d(pictures, _STRUCTURE, 1)


def _cut(pictures: Tensor, row: int, column: int) -> Tensor:
    """The window of (N, C, S, S) pictures, (N, C, h, w)."""
    side = WINDOW * FACTOR
    top, left = row * FACTOR, column * FACTOR
    return pictures[..., top : top + side, left : left + side]


def _judged(pictures: Tensor) -> Tensor:
    margin = MARGIN * FACTOR
    return pictures[..., margin:-margin, margin:-margin]
