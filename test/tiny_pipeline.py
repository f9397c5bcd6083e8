"""The whole pipeline at the smallest size: real components, random weights."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from genego_ros.reconstruction.pipeline import EgoPipeline
from genego_ros.reconstruction.pose_encoder import EgoWorldPoseEncoder, GenEgoPoseEncoder
from genego_ros.reconstruction.text import NullText

WIDTH, TOKENS = 24, 8


def tokenizer(length: int = TOKENS) -> Any:
    """Of three words."""
    words = Tokenizer(models.WordLevel({"[PAD]": 0, "a": 1, "mug": 2, "hand": 3}, unk_token="[PAD]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[PAD]", model_max_length=length
    )


def unet(in_channels: int = 9) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
    )


def genego(scheduler: Any = None, **config: Any) -> EgoPipeline:
    """Of our layout; by default trained by flow matching, as far as anything is trained."""
    torch.manual_seed(5)
    narrow = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    null = NullText(TOKENS, WIDTH)
    torch.nn.init.normal_(null.learned)
    vae = AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    )
    return _still(
        vae,
        unet(),
        BertModel(BertConfig(vocab_size=4, hidden_size=WIDTH, **narrow), add_pooling_layer=False),
        tokenizer(),
        scheduler or FlowMatchEulerDiscreteScheduler(),
        GenEgoPoseEncoder(8),
        null,
        **config,
    )


def egoworld() -> EgoPipeline:
    torch.manual_seed(6)
    narrow = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 4}
    marks = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        norm_num_groups=4,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )
    return _still(
        vae,
        unet(),
        CLIPTextModel(CLIPTextConfig(hidden_size=WIDTH, max_position_embeddings=TOKENS, **narrow, **marks)),
        tokenizer(),
        DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        EgoWorldPoseEncoder(),
    )


def _still(*components: Any, **config: Any) -> EgoPipeline:
    for component in components:
        if isinstance(component, torch.nn.Module):
            component.eval().requires_grad_(False)
    return EgoPipeline(*components, **config)
