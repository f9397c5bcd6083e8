"""Checkpoints of the latent-diffusion repository's layout, which EgoWorld published its weights in, as this pipeline.

Such a checkpoint is a flat list of tensors. Their names tell the architecture, and their shapes every width: nothing
of it is assumed here but the number of attention heads, which no tensor shows.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from genego_ros.errors import GenEgoError
from genego_ros.reconstruction.pipeline import EgoPipeline
from genego_ros.reconstruction.pose_encoder import EgoWorldPoseEncoder
from genego_ros.reconstruction.text_models import clip_tokenizer

UNET, VAE, TEXT, POSE = (
    "model.diffusion_model.",
    "first_stage_model.",
    "cond_stage_model.transformer.",
    "channel_reducer.",
)
"""What the names of each part's tensors begin with."""
SCALING_FACTOR = 0.18215
UNET_HEADS = 8
CLIP_HEAD_WIDTH = 64
_CURE = "give EgoWorld's step=7000.ckpt, or another checkpoint that its repository trained"
_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_VAE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}

Tensors = Mapping[str, Tensor]


def convert(tensors: Tensors, source: Path | str, tokenizer: Any | None = None) -> EgoPipeline:
    """The pipeline that a checkpoint of EgoWorld holds.

    Args:
        tensors: of the whole checkpoint, by name; those that are float32 are taken as they lie in memory.
        source: what they are from, for errors.
        tokenizer: CLIP's; None: from the installed weights `clip_vocabulary`.

    Raises:
        GenEgoError: the tensors are of another layout or do not fit together.
    """
    for prefix in (UNET, VAE, TEXT, POSE):
        if not any(name.startswith(prefix) for name in tensors):
            raise GenEgoError(f"{source}: has no tensors '{prefix}*', so it is of another layout; {_CURE}")
    try:
        unet, vae, text_encoder, pose_encoder = (
            _filled(*make(_part(tensors, prefix)))
            for make, prefix in ((_unet, UNET), (_vae, VAE), (_text_encoder, TEXT), (_pose_encoder, POSE))
        )
    except (LookupError, RuntimeError, StopIteration, ValueError) as error:
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" ...")
        raise GenEgoError(f"{source}: its tensors do not fit EgoWorld's layout ({reason}); {_CURE}") from error
    return EgoPipeline(vae, unet, text_encoder, tokenizer or clip_tokenizer(), scheduler(), pose_encoder)


def scheduler() -> DDIMScheduler:
    """As Stable Diffusion 1.5 and EgoWorld were trained, and sampled."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def _part(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    found = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in found.items()}


def _filled(network: Any, tensors: Tensors) -> Any:
    """A network that was built without memory, with these tensors as its own."""
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)


def _count(tensors: Tensors, pattern: str) -> int:
    """How many different numbers the group of `pattern` matches at the beginning of names."""
    return len({match[1] for name in tensors if (match := re.match(pattern, name))})


# U-Net ---------------------------------------------------------------------------------------------


def _unet(tensors: Tensors) -> tuple[Any, dict[str, Tensor]]:
    downs = [
        int(re.findall(r"\d+", name)[0]) for name in tensors if re.fullmatch(r"input_blocks\.\d+\.0\.op\.weight", name)
    ]
    levels = len(downs) + 1
    layers = (_count(tensors, r"input_blocks\.(\d+)\.") - levels) // levels
    firsts = [1 + level * (layers + 1) for level in range(levels)]
    attends = [f"input_blocks.{first}.1.norm.weight" in tensors for first in firsts]
    widths = [len(tensors[f"input_blocks.{first}.0.out_layers.3.weight"]) for first in firsts]
    context = next(t.shape[1] for name, t in tensors.items() if name.endswith("attn2.to_k.weight"))
    places = _unet_places(tensors, levels, layers)
    renamed = {}
    for name, tensor in tensors.items():
        if ".dim2dim." in name:  # of EgoWorld's own, for images in the place of texts; without effect here
            continue
        place = next((place for place in places if name.startswith(f"{place}.")), "")
        if not place:
            raise ValueError(f"'{name}' belongs nowhere")
        rest = name.removeprefix(f"{place}.")
        inner, _, kind = rest.rpartition(".")
        renamed[".".join(filter(None, (places[place], _RESNET.get(inner, inner), kind)))] = tensor
    with torch.device("meta"):
        network = UNet2DConditionModel(
            in_channels=tensors["input_blocks.0.0.weight"].shape[1],
            out_channels=len(tensors["out.2.weight"]),
            block_out_channels=tuple(widths),
            layers_per_block=layers,
            down_block_types=tuple("CrossAttnDownBlock2D" if attend else "DownBlock2D" for attend in attends),
            up_block_types=tuple("CrossAttnUpBlock2D" if attend else "UpBlock2D" for attend in attends[::-1]),
            cross_attention_dim=context,
            attention_head_dim=UNET_HEADS,
            sample_size=64,
        )
    return network, renamed


def _unet_places(tensors: Tensors, levels: int, layers: int) -> dict[str, str]:
    """Where each module of the layout is in diffusers' network."""
    places = {
        "input_blocks.0.0": "conv_in",
        "time_embed.0": "time_embedding.linear_1",
        "time_embed.2": "time_embedding.linear_2",
        "middle_block.0": "mid_block.resnets.0",
        "middle_block.1": "mid_block.attentions.0",
        "middle_block.2": "mid_block.resnets.1",
        "out.0": "conv_norm_out",
        "out.2": "conv_out",
    }
    for level in range(levels):
        for layer in range(layers):
            block = f"input_blocks.{1 + level * (layers + 1) + layer}"
            places[f"{block}.0"] = f"down_blocks.{level}.resnets.{layer}"
            places[f"{block}.1"] = f"down_blocks.{level}.attentions.{layer}"
        places[f"input_blocks.{(level + 1) * (layers + 1)}.0.op"] = f"down_blocks.{level}.downsamplers.0.conv"
        for layer in range(layers + 1):
            block = f"output_blocks.{level * (layers + 1) + layer}"
            places[f"{block}.0"] = f"up_blocks.{level}.resnets.{layer}"
            # The upsampling follows the attention, and takes its number where there is none.
            for number in (1, 2):
                upsamples = f"{block}.{number}.conv.weight" in tensors
                places[f"{block}.{number}" + (".conv" if upsamples else "")] = (
                    f"up_blocks.{level}.upsamplers.0.conv" if upsamples else f"up_blocks.{level}.attentions.{layer}"
                )
    return places


# VAE -----------------------------------------------------------------------------------------------


def _vae(tensors: Tensors) -> tuple[Any, dict[str, Tensor]]:
    levels = _count(tensors, r"encoder\.down\.(\d+)\.")
    layers = _count(tensors, r"encoder\.down\.0\.block\.(\d+)\.")
    widths = [len(tensors[f"encoder.down.{level}.block.0.conv2.weight"]) for level in range(levels)]
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith("loss."):
            continue
        attention = re.fullmatch(r"(encoder|decoder)\.mid\.attn_1\.(\w+)\.(\w+)", name)
        if attention:
            side, module, kind = attention.groups()
            name = f"{side}.mid_block.attentions.0.{_VAE_ATTENTION[module]}.{kind}"
            tensor = tensor.flatten(1) if kind == "weight" and module != "norm" else tensor
        renamed[_vae_name(name, levels)] = tensor
    with torch.device("meta"):
        network = AutoencoderKL(
            block_out_channels=tuple(widths),
            layers_per_block=layers,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            latent_channels=tensors["post_quant_conv.weight"].shape[1],
            sample_size=512,
            scaling_factor=SCALING_FACTOR,
        )
    return network, renamed


def _vae_name(name: str, levels: int) -> str:
    name = re.sub(r"\.mid\.block_(\d)\.", lambda match: f".mid_block.resnets.{int(match[1]) - 1}.", name)
    name = re.sub(r"encoder\.down\.(\d+)\.block\.", r"encoder.down_blocks.\1.resnets.", name)
    name = re.sub(r"encoder\.down\.(\d+)\.downsample\.", r"encoder.down_blocks.\1.downsamplers.0.", name)
    # There the way up is counted from the largest size, here from the smallest.
    up = re.match(r"decoder\.up\.(\d+)\.", name)
    if up:
        name = f"decoder.up_blocks.{levels - 1 - int(up[1])}." + name.removeprefix(up[0])
    name = re.sub(r"(up_blocks\.\d+)\.block\.", r"\1.resnets.", name)
    name = re.sub(r"(up_blocks\.\d+)\.upsample\.", r"\1.upsamplers.0.", name)
    return name.replace("nin_shortcut", "conv_shortcut").replace(".norm_out.", ".conv_norm_out.")


# Text encoder and pose encoder ---------------------------------------------------------------------


def _text_encoder(tensors: Tensors) -> tuple[Any, dict[str, Tensor]]:
    words = {name: tensor for name, tensor in tensors.items() if not name.endswith("position_ids")}
    vocabulary, width = words["text_model.embeddings.token_embedding.weight"].shape
    # With memory of its own: it has a buffer that no checkpoint holds.
    network = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            hidden_size=width,
            intermediate_size=len(words["text_model.encoder.layers.0.mlp.fc1.weight"]),
            num_hidden_layers=_count(words, r"text_model\.encoder\.layers\.(\d+)\."),
            num_attention_heads=max(1, width // CLIP_HEAD_WIDTH),
            max_position_embeddings=len(words["text_model.embeddings.position_embedding.weight"]),
            projection_dim=width,
        )
    )
    if not any(name.startswith("text_model.") for name in network.state_dict()):  # transformers from 5 on
        words = {name.removeprefix("text_model."): tensor for name, tensor in words.items()}
    return network, words


def _pose_encoder(tensors: Tensors) -> tuple[Any, dict[str, Tensor]]:
    weight = tensors["0.weight"]
    with torch.device("meta"):
        network = EgoWorldPoseEncoder(latent_channels=weight.shape[1])
    return network, {"conv.weight": weight, "conv.bias": tensors["0.bias"]}
