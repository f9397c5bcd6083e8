"""A critic that learns to tell made pictures from true ones, for networks that learn to leave it nothing to tell.

A mean over all pictures that may be meant is a blur, and the squared error asks for just that; a critic sees it at once
(Goodfellow et al., 2014; patches: Isola et al., CVPR 2017; least squares: Mao et al., ICCV 2017; feature matching: Wang
et al., pix2pixHD, CVPR 2018). Instance normalisation lets it tell within a hundred steps what spectral normalisation
and a hinge had not told after four hundred.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

_SLOPE = 0.2


class Critic(nn.Module):
    """Judges patches of about 46 pixels a side, of pictures in [-1, 1] or of latents.

    Args:
        channels: at 1/2, 1/4 and 1/8 of the size.
        entering: channels of what it judges, and of what lies beside that.
    """

    def __init__(self, channels: Sequence[int] = (32, 64, 128), entering: int = 3) -> None:
        super().__init__()
        widths = (entering, *channels)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 4, stride=2, padding=1),
                nn.InstanceNorm2d(after) if number else nn.Identity(),  # colours and contrast are to be judged, too
                nn.LeakyReLU(_SLOPE),
            )
            for number, (before, after) in enumerate(pairwise(widths))
        )
        self.verdict = nn.Conv2d(channels[-1], 1, 3, padding=1)

    def forward(self, judged: Tensor) -> list[Tensor]:
        """Its features, from fine to coarse, and last the verdict, float (N, 1, h, w): 1 is true, 0 is made."""
        found = []
        for layer in self.layers:
            judged = layer(judged)
            found.append(judged)
        return [*found, self.verdict(judged)]


def duel(critic: Critic, made: Tensor, truth: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """What is minimised by whom.

    Args:
        made, truth: float (N, C, H, W), about [-1, 1].
        beside: what both have to fit, float (N, D, H, W); None: nothing.

    Returns:
        fooling: by what makes pictures: how little the critic takes them for true ones.
        matching: by the same: how far the critic's features of them are from those of the truth.
        telling: by the critic alone: how little it tells the two apart.
    """
    if beside is not None:
        made, truth = (torch.cat((judged, beside), 1) for judged in (made, truth))
    with fixed(critic):
        *seen, verdict = critic(made)
        with torch.no_grad():
            *meant, _ = critic(truth)
    matching = torch.stack([functional.l1_loss(a, b) for a, b in zip(seen, meant, strict=True)]).mean()
    of_made, of_truth = critic(torch.cat((made.detach(), truth)))[-1].chunk(2)
    telling = of_made.square().mean() + (of_truth - 1).square().mean()
    return (verdict - 1).square().mean(), matching, telling


@contextmanager
def fixed(critic: nn.Module) -> Iterator[None]:
    """In here it learns nothing."""
    critic.requires_grad_(False)
    try:
        yield
    finally:
        critic.requires_grad_(True)
