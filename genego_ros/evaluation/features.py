"""EfficientNet-Lite0 as the eye of the measures fd_effnet, kd_effnet and pd_effnet."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genego_ros.efficientnet import DEVIATION, MEAN, fold, load_efficientnet
from genego_ros.types import ByteArray, Float64Array

_SMALLEST_NORM = 1e-10


@dataclass(frozen=True)
class Seen:
    """What the network makes of N pictures."""

    pooled: Float64Array
    """float64 (N, 320), the mean over space of the last features."""
    directions: list[Tensor]
    """Of each of the five sizes, float32 (N, C, h, w): features of unit length over the channels."""


class Eye:
    """On the CPU and in float32 wherever it runs, so that a figure does not depend on the machine.

    Raises:
        GenEgoError: the weights are not installed.
    """

    def __init__(self) -> None:
        # In this layout depthwise convolutions on a CPU take half the time.
        self._network = fold(load_efficientnet()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._scale = (255 * torch.tensor(DEVIATION)).view(1, 3, 1, 1)
        self._shift = (torch.tensor(MEAN) / torch.tensor(DEVIATION)).view(1, 3, 1, 1)

    @torch.inference_mode()
    def __call__(self, pictures: ByteArray) -> Seen:
        """uint8 (N, H, W, 3), RGB; H and W divisible by 32."""
        # A view in this order is channels_last already.
        batch = torch.from_numpy(pictures).permute(0, 3, 1, 2)
        features = self._network(batch / self._scale - self._shift)
        pooled = features[-1].double().mean(dim=(2, 3)).numpy()
        return Seen(pooled, [f / (f.norm(dim=1, keepdim=True) + _SMALLEST_NORM) for f in features])


@torch.inference_mode()
def perceptual(truth: Seen, pictures: Seen) -> Float64Array:
    """float64 (N,): the squared distance between unit features, averaged over space, then over the five sizes.

    LPIPS (Zhang et al., 2018, equation 1) without its learned weights, over another network; 0 to 4.
    """
    per_size = [
        (a - b).square().sum(dim=1).mean(dim=(1, 2)).double()
        for a, b in zip(truth.directions, pictures.directions, strict=True)
    ]
    distances: Float64Array = torch.stack(per_size).mean(dim=0).numpy()
    return distances
