"""pix2pixHD (Wang et al., CVPR 2018): the first-person picture as a translation of the third-person one.

A global generator works at half the size; a local enhancer around it adds what the whole size shows. Critics of
patches judge pictures at several sizes by least squares (LSGAN, Mao et al., ICCV 2017), and features of theirs are
matched. There are no label and no instance maps, since the input is a picture. Like all learned methods here it has no
perceptual loss.

Where the paper trains the global generator, then the enhancer, then both, both learn at once: the global generator's
own picture of half the size is judged too, so that it learns to be one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from genego_ros.evaluation.baselines.network import byte_pictures, load_network, shown
from genego_ros.evaluation.inputs import Case
from genego_ros.parameters import Parameters
from genego_ros.types import ByteArray

SIZES: dict[str, dict[str, Any]] = {
    "small": {
        "side": 256,
        "channels": 32,
        "down": 3,
        "blocks": 6,
        "enhancer_blocks": 2,
        "critic_channels": 24,
        "critic_layers": 3,
        "critics": 2,
    },
    "paper": {
        "side": 256,
        "channels": 64,
        "down": 4,
        "blocks": 9,
        "enhancer_blocks": 3,
        "critic_channels": 64,
        "critic_layers": 3,
        "critics": 2,
    },
}
_SLOPE = 0.2
_WIDEST = 8
"""Times the first layer's channels, of a critic."""


class Made(NamedTuple):
    """Of a third-person picture."""

    picture: Tensor
    """float (N, 3, S, S) in [-1, 1]."""
    coarse: Tensor
    """By the global generator alone, float (N, 3, S / 2, S / 2)."""


class Pix2PixHD(nn.Module):
    """Generator and critics.

    Args:
        side: S, pixels a side of both pictures; a multiple of 2 ** (down + 1).
        channels: of the global generator at its own size; half as many of the enhancer at the whole size.
        down: how often the global generator halves its size, with twice the channels each time.
        blocks, enhancer_blocks: residual blocks in the middle of each.
        critic_channels: of each critic's first layer.
        critic_layers: that halve the size.
        critics: judges, each at half the size of the one before.
    """

    def __init__(
        self,
        side: int,
        channels: int,
        down: int,
        blocks: int,
        enhancer_blocks: int,
        critic_channels: int,
        critic_layers: int,
        critics: int,
    ) -> None:
        super().__init__()
        self.side = side
        self.generator = Generator(channels, down, blocks, enhancer_blocks)
        self.critics = nn.ModuleList(Critic(critic_channels, critic_layers) for _ in range(critics))
        self.apply(_begin)

    def judged(self, shown: Tensor, picture: Tensor, first: int = 0) -> list[list[Tensor]]:
        """What each critic says of a picture beside the one that it was made of, from the critic `first` on.

        Args:
            shown: I_exo, float (N, 3, H, W).
            picture: made or true, of the same shape; H and W are S / 2 ** first.

        Returns:
            For each critic its features, from fine to coarse, and last the verdict, float (N, 1, h, w).
        """
        pair, found = torch.cat((shown, picture), 1), []
        for place in range(first, len(self.critics)):
            found.append(self.critics[place](pair))
            pair = halved(pair)
        return found


class Generator(nn.Module):
    """The global generator within its local enhancer."""

    def __init__(self, channels: int, down: int, blocks: int, enhancer_blocks: int) -> None:
        super().__init__()
        half = channels // 2
        self.trunk = nn.Sequential(
            _first(channels),
            *(_halving(channels << step) for step in range(down)),
            *(_Residual(channels << down) for _ in range(blocks)),
            *(_doubling(channels << step) for step in reversed(range(1, down + 1))),
        )
        self.coarse = _last(channels)
        self.entrance = nn.Sequential(_first(half), _halving(half))
        self.enhancer = nn.Sequential(*(_Residual(channels) for _ in range(enhancer_blocks)), _doubling(channels))
        self.fine = _last(half)

    def forward(self, shown: Tensor) -> Made:
        """Of I_exo, float (N, 3, S, S) in [-1, 1]."""
        features = self.trunk(halved(shown))
        return Made(self.fine(self.enhancer(self.entrance(shown) + features)), self.coarse(features))


class Critic(nn.Module):
    """A PatchGAN (Isola et al., CVPR 2017) of two pictures over one another."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        widths = [min(channels << layer, channels * _WIDEST) for layer in range(layers + 1)]
        self.layers = nn.ModuleList([nn.Conv2d(6, widths[0], 4, stride=2, padding=2)])
        for layer, (before, after) in enumerate(pairwise(widths)):
            stride = 2 if layer < layers - 1 else 1
            self.layers.append(
                nn.Sequential(nn.Conv2d(before, after, 4, stride=stride, padding=2), nn.InstanceNorm2d(after))
            )
        self.verdict = nn.Conv2d(widths[-1], 1, 4, padding=2)

    def forward(self, pair: Tensor) -> list[Tensor]:
        found = []
        for layer in self.layers:
            pair = functional.leaky_relu(layer(pair), _SLOPE)
            found.append(pair)
        return [*found, self.verdict(pair)]


def halved(pictures: Tensor) -> Tensor:
    """Of half the size; the border counts no more than the rest."""
    return functional.avg_pool2d(pictures, 3, stride=2, padding=1, count_include_pad=False)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(_same(channels), nn.InstanceNorm2d(channels), nn.ReLU(), _same(channels))
        self.norm = nn.InstanceNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.norm(self.layers(x))
        return found


def _same(channels: int) -> nn.Module:
    return nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")


def _first(channels: int) -> nn.Module:
    return _normal(nn.Conv2d(3, channels, 7, padding=3, padding_mode="reflect"), channels)


def _halving(channels: int) -> nn.Module:
    return _normal(nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1), 2 * channels)


def _doubling(channels: int) -> nn.Module:
    half = channels // 2
    return _normal(nn.ConvTranspose2d(channels, half, 3, stride=2, padding=1, output_padding=1), half)


def _normal(convolution: nn.Module, channels: int) -> nn.Module:
    return nn.Sequential(convolution, nn.InstanceNorm2d(channels), nn.ReLU())


def _last(channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, 3, 7, padding=3, padding_mode="reflect"), nn.Tanh())


def _begin(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)  # the paper's


class Pix2PixHDView:
    """The method `pix2pixhd`.

    Raises:
        GenEgoError: see `load_network`.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._network = load_network(parameters, "pix2pixhd", Pix2PixHD)

    @torch.inference_mode()
    def predict(self, case: Case) -> ByteArray:
        exo = shown(case.frame.rgb, self._network.side, self._network)
        return byte_pictures(self._network.generator(exo).picture)[0]
