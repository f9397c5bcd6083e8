"""Latent diffusion in the layer order of the original repository, straight from a checkpoint's tensors.

Written from the published layer order with torch's functions alone, so that it shares nothing with diffusers. A tensor
that is missing is made up where it is first needed, which is how the tests come by a whole random checkpoint.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

SCALE = 0.18215


class Checkpoint:
    """A flat list of tensors by name.

    Args:
        tensors: None: made up, of these widths.
        width: channels of the U-Net's first level (320 in Stable Diffusion) and of the VAE's (128).
    """

    def __init__(
        self,
        tensors: dict[str, Tensor] | None = None,
        width: int = 320,
        vae_width: int = 128,
        text_width: int = 768,
        text_layers: int = 12,
        words: int = 49408,
    ) -> None:
        self.tensors: dict[str, Tensor] = {} if tensors is None else tensors
        self.width, self.vae_width = width, vae_width
        self.text_width, self.text_layers, self.words = text_width, text_layers, words
        self._random = torch.Generator().manual_seed(7) if tensors is None else None

    def __call__(self, name: str, *shape: int) -> Tensor:
        if name not in self.tensors and self._random is not None:
            noise = torch.randn(shape, generator=self._random)
            if len(shape) > 1:
                noise *= 1.0 / math.sqrt(math.prod(shape[1:]))
            else:
                noise = noise * 0.1 + (1.0 if name.endswith("weight") else 0.0)
            self.tensors[name] = noise
        return self.tensors[name]


def conv(
    p: Checkpoint, name: str, x: Tensor, out: int, size: int = 3, stride: int = 1, padding: int | None = None
) -> Tensor:
    weight, bias = p(f"{name}.weight", out, x.shape[1], size, size), p(f"{name}.bias", out)
    return F.conv2d(x, weight, bias, stride, size // 2 if padding is None else padding)


def linear(p: Checkpoint, name: str, x: Tensor, out: int, bias: bool = True) -> Tensor:
    return F.linear(x, p(f"{name}.weight", out, x.shape[-1]), p(f"{name}.bias", out) if bias else None)


def group(p: Checkpoint, name: str, x: Tensor, eps: float) -> Tensor:
    return F.group_norm(x, 32, p(f"{name}.weight", x.shape[1]), p(f"{name}.bias", x.shape[1]), eps)


def layer(p: Checkpoint, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], p(f"{name}.weight", x.shape[-1]), p(f"{name}.bias", x.shape[-1]), 1e-5)


def double(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """(N, tokens, channels) each."""
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    weights = (scores if mask is None else scores + mask).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


# U-Net ---------------------------------------------------------------------------------------------


def unet(p: Checkpoint, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
    root, width = "model.diffusion_model", p.width
    frequencies = torch.exp(-math.log(10000) * torch.arange(width // 2, dtype=torch.float32) / (width // 2))
    angles = time[:, None].float() * frequencies[None]
    embedded = torch.cat((angles.cos(), angles.sin()), 1)
    embedded = linear(p, f"{root}.time_embed.0", embedded, 4 * width)
    embedded = linear(p, f"{root}.time_embed.2", F.silu(embedded), 4 * width)
    h = conv(p, f"{root}.input_blocks.0.0", x, width)
    kept, number = [h], 1
    for level, multiple in enumerate((1, 2, 4, 4)):
        for _ in range(2):
            h = residual(p, f"{root}.input_blocks.{number}.0", h, embedded, multiple * width)
            if level < 3:
                h = transformer(p, f"{root}.input_blocks.{number}.1", h, context)
            kept.append(h)
            number += 1
        if level < 3:
            h = conv(p, f"{root}.input_blocks.{number}.0.op", h, h.shape[1], stride=2)
            kept.append(h)
            number += 1
    h = residual(p, f"{root}.middle_block.0", h, embedded, h.shape[1])
    h = transformer(p, f"{root}.middle_block.1", h, context)
    h = residual(p, f"{root}.middle_block.2", h, embedded, h.shape[1])
    number = 0
    for level, multiple in reversed(list(enumerate((1, 2, 4, 4)))):
        for index in range(3):
            block = f"{root}.output_blocks.{number}"
            h = residual(p, f"{block}.0", torch.cat((h, kept.pop()), 1), embedded, multiple * width)
            if level < 3:
                h = transformer(p, f"{block}.1", h, context)
            if level and index == 2:
                h = conv(p, f"{block}.{2 if level < 3 else 1}.conv", double(h), h.shape[1])
            number += 1
    return conv(p, f"{root}.out.2", F.silu(group(p, f"{root}.out.0", h, 1e-5)), 4)


def residual(p: Checkpoint, name: str, x: Tensor, embedded: Tensor, out: int) -> Tensor:
    h = conv(p, f"{name}.in_layers.2", F.silu(group(p, f"{name}.in_layers.0", x, 1e-5)), out)
    h = h + linear(p, f"{name}.emb_layers.1", F.silu(embedded), out)[:, :, None, None]
    h = conv(p, f"{name}.out_layers.3", F.silu(group(p, f"{name}.out_layers.0", h, 1e-5)), out)
    return h + (x if x.shape[1] == out else conv(p, f"{name}.skip_connection", x, out, 1))


def transformer(p: Checkpoint, name: str, x: Tensor, context: Tensor) -> Tensor:
    height, width, channels = x.shape[2], x.shape[3], x.shape[1]
    h = conv(p, f"{name}.proj_in", group(p, f"{name}.norm", x, 1e-6), channels, 1)
    h = h.flatten(2).transpose(1, 2)
    block = f"{name}.transformer_blocks.0"
    for number, other in ((1, None), (2, context)):
        normal = layer(p, f"{block}.norm{number}", h)
        q = linear(p, f"{block}.attn{number}.to_q", normal, channels, bias=False)
        source = normal if other is None else other
        k = linear(p, f"{block}.attn{number}.to_k", source, channels, bias=False)
        v = linear(p, f"{block}.attn{number}.to_v", source, channels, bias=False)
        h = h + linear(p, f"{block}.attn{number}.to_out.0", attend(q, k, v, 8), channels)
    wide = linear(p, f"{block}.ff.net.0.proj", layer(p, f"{block}.norm3", h), 8 * channels)
    value, gate = wide.chunk(2, -1)
    h = h + linear(p, f"{block}.ff.net.2", value * F.gelu(gate), channels)
    return x + conv(p, f"{name}.proj_out", h.transpose(1, 2).unflatten(2, (height, width)), channels, 1)


# VAE -----------------------------------------------------------------------------------------------


def encode(p: Checkpoint, pictures: Tensor) -> Tensor:
    """The scaled middle of the posterior."""
    root, width = "first_stage_model.encoder", p.vae_width
    h = conv(p, f"{root}.conv_in", pictures, width)
    for level, multiple in enumerate((1, 2, 4, 4)):
        for index in range(2):
            h = vae_residual(p, f"{root}.down.{level}.block.{index}", h, multiple * width)
        if level < 3:
            padded = F.pad(h, (0, 1, 0, 1))
            h = conv(p, f"{root}.down.{level}.downsample.conv", padded, h.shape[1], stride=2, padding=0)
    h = vae_middle(p, root, h)
    h = conv(p, f"{root}.conv_out", F.silu(group(p, f"{root}.norm_out", h, 1e-6)), 8)
    return SCALE * conv(p, "first_stage_model.quant_conv", h, 8, 1)[:, :4]


def decode(p: Checkpoint, latents: Tensor) -> Tensor:
    root, width = "first_stage_model.decoder", p.vae_width
    h = conv(p, "first_stage_model.post_quant_conv", latents / SCALE, 4, 1)
    h = vae_middle(p, root, conv(p, f"{root}.conv_in", h, 4 * width))
    for level, multiple in reversed(list(enumerate((1, 2, 4, 4)))):
        for index in range(3):
            h = vae_residual(p, f"{root}.up.{level}.block.{index}", h, multiple * width)
        if level:
            h = conv(p, f"{root}.up.{level}.upsample.conv", double(h), h.shape[1])
    return conv(p, f"{root}.conv_out", F.silu(group(p, f"{root}.norm_out", h, 1e-6)), 3)


def vae_middle(p: Checkpoint, root: str, h: Tensor) -> Tensor:
    h = vae_residual(p, f"{root}.mid.block_1", h, h.shape[1])
    name, (channels, height, width) = f"{root}.mid.attn_1", h.shape[1:]
    normal = group(p, f"{name}.norm", h, 1e-6)
    q, k, v = (conv(p, f"{name}.{part}", normal, channels, 1).flatten(2).transpose(1, 2) for part in "qkv")
    mixed = attend(q, k, v, 1).transpose(1, 2).unflatten(2, (height, width))
    return vae_residual(p, f"{root}.mid.block_2", h + conv(p, f"{name}.proj_out", mixed, channels, 1), channels)


def vae_residual(p: Checkpoint, name: str, x: Tensor, out: int) -> Tensor:
    h = conv(p, f"{name}.conv1", F.silu(group(p, f"{name}.norm1", x, 1e-6)), out)
    h = conv(p, f"{name}.conv2", F.silu(group(p, f"{name}.norm2", h, 1e-6)), out)
    return h + (x if x.shape[1] == out else conv(p, f"{name}.nin_shortcut", x, out, 1))


# Text, pose, and the whole -------------------------------------------------------------------------


def text(p: Checkpoint, ids: Tensor) -> Tensor:
    root, width, length = "cond_stage_model.transformer.text_model", p.text_width, ids.shape[1]
    h = p(f"{root}.embeddings.token_embedding.weight", p.words, width)[ids]
    h = h + p(f"{root}.embeddings.position_embedding.weight", 77, width)[:length]
    mask = torch.full((length, length), -torch.inf).triu(1)
    for index in range(p.text_layers):
        name = f"{root}.encoder.layers.{index}"
        normal = layer(p, f"{name}.layer_norm1", h)
        q, k, v = (linear(p, f"{name}.self_attn.{part}_proj", normal, width) for part in "qkv")
        h = h + linear(p, f"{name}.self_attn.out_proj", attend(q, k, v, max(1, width // 64), mask), width)
        wide = linear(p, f"{name}.mlp.fc1", layer(p, f"{name}.layer_norm2", h), 4 * width)
        h = h + linear(p, f"{name}.mlp.fc2", wide * torch.sigmoid(1.702 * wide), width)
    return layer(p, f"{root}.final_layer_norm", h)


def pose(p: Checkpoint, pose_map: Tensor) -> Tensor:
    """`pose_map` in [0, 1]."""
    return torch.sigmoid(conv(p, "channel_reducer.0", encode(p, pose_map), 1))


def sample(
    p: Checkpoint,
    sparse: Tensor,
    pose_map: Tensor,
    null_and_text: Tensor,
    noise: Tensor,
    steps: int,
    guidance: float,
) -> Tensor:
    """Pictures, about [-1, 1], by DDIM without noise between the steps."""
    root = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64)
    alphas = torch.cumprod(1 - root**2, 0)
    times = list(range(1, 1001, 1000 // steps))
    before = [0, *times[:-1]]
    conditions = torch.cat((pose(p, pose_map), encode(p, sparse)), 1)
    x = noise
    for time, earlier in zip(times[::-1], before[::-1], strict=True):
        channels = torch.cat((x, conditions), 1).repeat(2, 1, 1, 1)
        null, told = unet(p, channels, torch.full((2,), time), null_and_text).chunk(2)
        predicted = null + guidance * (told - null)
        now, then = alphas[time].float(), alphas[earlier].float()
        clean = (x - (1 - now).sqrt() * predicted) / now.sqrt()
        x = then.sqrt() * clean + (1 - then).sqrt() * predicted
    return decode(p, x)
