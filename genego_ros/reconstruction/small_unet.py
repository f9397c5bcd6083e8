"""The U-Net of the small pipelines, before it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffusers import UNet2DConditionModel

from genego_ros.reconstruction.autoencoder import LATENT_CHANNELS
from genego_ros.reconstruction.pipeline import INPUT_CHANNELS


def small_unet(channels: Sequence[int], width: int) -> UNet2DConditionModel:
    """One for `EgoPipeline`.

    Args:
        channels: at the latents' size, at 1/2 and at 1/4 of it.
        width: of the tokens that it attends to at the latter two.
    """
    unet: Any = UNet2DConditionModel(
        in_channels=INPUT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=tuple(channels),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=min(16, *channels),
        cross_attention_dim=width,
        attention_head_dim=4,
    )
    network: UNet2DConditionModel = unet
    return network
