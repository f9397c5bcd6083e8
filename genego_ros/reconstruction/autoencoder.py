"""The autoencoder of the reconstruction `lite`: four latent channels at 1/8 of the size, small and quick."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTinyOutput
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from genego_ros.errors import GenEgoError, loading

LATENT_CHANNELS = 4
FACTOR = 8
_RGB = 3
_MOMENTUM = 0.01


class LiteAutoencoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Convolutions that never work at full size: pixels are unshuffled first and shuffled back last (Shi et al., CVPR
    2016), where most of the time of diffusers' AutoencoderTiny goes.

    Latents have mean 0 and variance 1 over what it was trained on, so that `scaling_factor` is 1. Encoding is
    deterministic.

    Args:
        down: channels of the encoder at 1/2, 1/4 and 1/8 of the size.
        up: channels of the decoder at 1/8, 1/4 and 1/2.
        noise: standard deviation of the noise on latents while it is trained, which makes neighbours in their space
            look alike, and the decoder forgive what a diffusion model leaves.
    """

    config: Any

    @register_to_config
    def __init__(
        self,
        down: tuple[int, int, int] = (24, 48, 64),
        up: tuple[int, int, int] = (96, 48, 24),
        noise: float = 0.05,
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()
        half, quarter, eighth = down
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * _RGB, half, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(half, quarter, 3, stride=2, padding=1),
            _Residual(quarter),
            nn.Conv2d(quarter, eighth, 3, stride=2, padding=1),
            *(_Residual(eighth) for _ in range(3)),
            nn.Conv2d(eighth, LATENT_CHANNELS, 3, padding=1),
            _Standardisation(LATENT_CHANNELS, momentum=_MOMENTUM, affine=False),
        )
        eighth, quarter, half = up
        self.decoder = nn.Sequential(
            nn.Conv2d(LATENT_CHANNELS, eighth, 3, padding=1),
            *(_Residual(eighth) for _ in range(3)),
            nn.Conv2d(eighth, 4 * quarter, 3, padding=1),
            nn.PixelShuffle(2),
            *(_Residual(quarter) for _ in range(2)),
            nn.Conv2d(quarter, 4 * half, 3, padding=1),
            nn.PixelShuffle(2),
            _Residual(half),
            nn.Conv2d(half, 4 * _RGB, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def encode(self, x: Tensor) -> AutoencoderTinyOutput:
        """Latents, float (N, 4, H / 8, W / 8), of pictures, float (N, 3, H, W), RGB in [-1, 1].

        Raises:
            GenEgoError: sides that are no multiples of 8.
        """
        if x.shape[-1] % FACTOR or x.shape[-2] % FACTOR:
            raise GenEgoError(
                f"a picture of {x.shape[-1]} x {x.shape[-2]} has no latent: both sides must be multiples of {FACTOR}"
            )
        return AutoencoderTinyOutput(latents=self.encoder(x))

    def decode(self, z: Tensor) -> DecoderOutput:
        """Pictures, float (N, 3, H, W), about [-1, 1], of latents."""
        return DecoderOutput(sample=self.decoder(z))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures by way of their latents, with the noise of the training, and the latents without it."""
        z = self.encode(x).latents
        return self.decode(z + self.config.noise * torch.randn_like(z)).sample, z


class _Standardisation(nn.BatchNorm2d):
    """A batch normalisation by the running statistics while it is trained too: by its own, a batch of a few pictures
    would lose how bright they are, and the decoder learn to guess it."""

    def forward(self, z: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                super().forward(z)  # moves the running statistics
        return functional.batch_norm(z, self.running_mean, self.running_var, eps=self.eps)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(functional.relu(self.first(functional.relu(x))))


def load_autoencoder(path: Path) -> LiteAutoencoder:
    """The network as `./genego train vae` left it, float32, on the CPU, in evaluation mode.

    Raises:
        GenEgoError: no such file, or not this network's weights.
    """
    with loading(path, "give weights.safetensors of ./genego train vae"):
        with safe_open(path, "pt") as file:
            configuration = json.loads((file.metadata() or {})["configuration"])
        network = LiteAutoencoder(**configuration)
        network.load_state_dict(load_file(path))
    return network.eval()
