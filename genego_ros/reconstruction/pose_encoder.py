"""P_ego as the one channel of the U-Net's nine that it has; the class of the encoder is the layout of the pipeline."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional

FACTOR = 8
"""Pixels a side of what one element of a latent stands for."""
_NEGATIVE_SLOPE = 0.1


class EgoWorldPoseEncoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """EgoWorld's: the pose map through the frozen VAE, whose four channels a convolution mixes to one in (0, 1).

    The published training never changed that convolution, which is why it has to come from the checkpoint.
    """

    @register_to_config
    def __init__(self, latent_channels: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(latent_channels, 1, 3, padding=1)

    def forward(self, pose: Tensor, projected: Tensor, encode: Callable[[Tensor], Tensor]) -> Tensor:
        """The pose channel, float (N, 1, H / 8, W / 8).

        Args:
            pose: the pose map, float (N, 3, H, W) in [0, 1]; the VAE is shown it like that.
            projected: not used.
            encode: from pictures to scaled latents, as the pipeline's VAE does it.
        """
        return torch.sigmoid(self.conv(encode(pose)))


class GenEgoPoseEncoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Ours, learned with the U-Net: the pose map, and where the splat landed, which a latent cannot tell apart from
    black things.

    Each block of 8 x 8 pixels is taken apart into channels, so that the convolutions run at the latents' size alone.
    """

    @register_to_config
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(4 * FACTOR**2, width, 1),
            nn.LeakyReLU(_NEGATIVE_SLOPE),
            nn.Conv2d(width, width, 3, padding=1),
            nn.LeakyReLU(_NEGATIVE_SLOPE),
            nn.Conv2d(width, 1, 3, padding=1),
        )

    def forward(self, pose: Tensor, projected: Tensor, encode: Callable[[Tensor], Tensor]) -> Tensor:
        """The pose channel, float (N, 1, H / 8, W / 8).

        Args:
            pose: the pose map, float (N, 3, H, W) in [0, 1].
            projected: where the splat landed, float (N, 1, H, W) in [0, 1].
            encode: not used.
        """
        channel: Tensor = self.layers(functional.pixel_unshuffle(torch.cat((pose, projected), 1), FACTOR))
        return channel
