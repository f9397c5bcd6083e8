"""The network of the depth backend `lite`: EfficientNet-Lite0 with a light decoder.

The decoder is a U-Net's (Ronneberger et al., 2015): it doubles the size step by step and mixes in the encoder's
features of that size. What only the whole picture tells, the field of view and how far away everything is, is read
from the smallest features, and given back to them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from genego_ros.efficientnet import DEVIATION, MEAN, EfficientNetLite0, fold, load_efficientnet
from genego_ros.errors import loading

STEP = 32
"""Pictures' sides are multiples of this."""
LEAST_BLOCKS, MOST_BLOCKS = 54, 64
"""Of STEP x STEP pixels, that a picture has."""
LONGEST = 3.5
"""Ratio of the sides above which a picture is squeezed."""
NEAREST, FARTHEST = 0.05, 50.0
"""Metres; the depth that the network says is held within, so that it is finite whatever it is shown."""
_ENCODED = (16, 24, 40, 112, 192)
"""Channels of the encoder at 1/2, 1/4, 1/8, 1/16 and 1/32; its last block is left out."""
_DECODED = (24, 48, 96, 160)
"""Channels of the decoder at 1/2, 1/4, 1/8 and 1/16."""
_HFOV = math.radians(60.0)
"""Where the field of view starts out from."""
_DISTANCE = 1.0
"""Metres, likewise."""


class Prediction(NamedTuple):
    log_depth: Tensor
    """float (N, H / 2, W / 2): natural logarithm of the depth along z, in metres but for one factor a picture; the
    factor is as near to 1 as one picture can tell."""
    log_tangent: Tensor
    """float (N,): natural logarithm of the tangent of half the horizontal field of view; any number, which
    `lite.predict` holds within `HFOV_DEG`."""


def network_size(width: int, height: int) -> tuple[int, int]:
    """Width and height that the network sees a picture at: its own shape as nearly as multiples of `STEP` allow, and
    always about the same area, so that every picture takes the same time. 4:3 becomes 288 x 224, 16:9 320 x 192; shapes
    longer than `LONGEST` are squeezed to that.
    """
    ratio = min(max(width / height, 1 / LONGEST), LONGEST)
    sides = range(1, MOST_BLOCKS + 1)
    sizes = [(x, y) for x in sides for y in sides if LEAST_BLOCKS <= x * y <= MOST_BLOCKS]
    x, y = min(sizes, key=lambda size: (abs(math.log(size[0] / size[1] / ratio)), -size[0] * size[1]))
    return x * STEP, y * STEP


class LiteNetwork(nn.Module):
    """From a picture to its depth and field of view.

    Args:
        encoder: folded; by default one whose weights are yet to be loaded.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, encoder: EfficientNetLite0 | None = None) -> None:
        super().__init__()
        self.encoder = encoder or fold(EfficientNetLite0().eval())
        del self.encoder.stages[6:]
        deepest = _ENCODED[-1]
        self.around = nn.Linear(deepest, deepest)
        self.context = _convolution(deepest, deepest)
        skipped, below = _ENCODED[-2::-1], (deepest, *_DECODED[:0:-1])
        mixed = zip(below, skipped, _DECODED[::-1], strict=True)
        self.up = nn.ModuleList(_convolution(low + skip, out) for low, skip, out in mixed)
        self.depth = nn.Conv2d(_DECODED[0], 1, 3, padding=1)
        self.whole = nn.Sequential(nn.Linear(deepest, 96), nn.ReLU(), nn.Linear(96, 2))
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Prediction:
        """What is seen.

        Args:
            pictures: float (N, 3, H, W), RGB in [0, 1]; H and W divisible by `STEP`.
        """
        *skipped, x = self.encode((pictures - self.mean) / self.deviation)
        x = self.context(x + self.around(x.mean((2, 3)))[:, :, None, None])
        distance, tangent = self.whole(x.mean((2, 3))).unbind(1)
        for up, skip in zip(self.up, reversed(skipped), strict=True):
            x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = up(torch.cat((x, skip), 1))
        log_depth = self.depth(x).squeeze(1) + (distance + math.log(_DISTANCE))[:, None, None]
        log_depth = log_depth.clamp(math.log(NEAREST), math.log(FARTHEST))
        return Prediction(log_depth, tangent + math.log(math.tan(_HFOV / 2)))

    def encode(self, pictures: Tensor) -> list[Tensor]:
        """Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size."""
        x = self.encoder.stem(pictures)
        features = []
        for index, stage in enumerate(self.encoder.stages):
            x = stage(x)
            if index in (0, 1, 2, 4, 5):
                features.append(x)
        return features


def _convolution(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True))


def start_network() -> LiteNetwork:
    """For training: the encoder as ImageNet left it, its normalisations folded so that they stay; the decoder random.

    Raises:
        GenEgoError: the encoder's weights are not installed.
    """
    return LiteNetwork(fold(load_efficientnet()))


def load_network(path: Path) -> LiteNetwork:
    """The network for inference: in evaluation mode, normalisations folded, float32, on the CPU.

    Raises:
        GenEgoError: no such file, or not this network's weights.
    """
    return fold(load_network_to_train(path).eval()).requires_grad_(False)


def load_network_to_train(path: Path) -> LiteNetwork:
    """The network as `./genego train depth` left it.

    Raises:
        GenEgoError: no such file, or not this network's weights.
    """
    network = LiteNetwork()
    cure = "make weights of the depth backend `lite` with ./genego train depth, or leave depth.weights empty"
    with loading(path, cure):
        network.load_state_dict(load_file(path))
    return network
