"""CFLD (Lu et al., CVPR 2024): coarse-to-fine latent diffusion, from one look of a scene and the hands' layout.

An appearance encoder (Swin, Liu et al., ICCV 2021) makes features of the third-person picture at four scales. From the
coarsest a perception-refined decoder draws the prompts that the U-Net attends to, by queries that it learned. The finer
ones become biases of the queries of the cross-attention in the U-Net's upward blocks (hybrid-granularity attention).
The layout of the hands in the ego view, P_ego as a picture, is added to the downward blocks.

The paper begins with Stable Diffusion's U-Net, of which it learns little, and a Swin that was trained on ImageNet. Here
all begins untrained, works in the latents of this package's own autoencoder, and all but that is learned. The paper
guides by appearance and by pose one after the other; with the same weight for both, as it has, that is one guidance.
It learns to paint the source picture too, whose pose it knows: here that would be the pose of P_exo, and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional
from transformers import SwinBackbone, SwinConfig

from genego_ros.evaluation.baselines.diffusion import denoised, first_noise
from genego_ros.evaluation.baselines.network import byte_pictures, load_network, shown
from genego_ros.evaluation.inputs import Case
from genego_ros.parameters import Parameters
from genego_ros.reconstruction.autoencoder import FACTOR, LATENT_CHANNELS, LiteAutoencoder
from genego_ros.reconstruction.conditioning import condition
from genego_ros.types import ByteArray

SIZES: dict[str, dict[str, Any]] = {
    "small": {
        "side": 256,
        "channels": (40, 80, 128),
        "attended": (False, True, True),
        "layers": 1,
        "heads": 4,
        "width": 128,
        "queries": 16,
        "decoder_layers": 3,
        "swin": 32,
        "swin_depths": (1, 1, 2, 1),
        "swin_heads": (1, 2, 4, 8),
        "steps": 20,
        "guidance": 2.0,
    },
    "paper": {
        "side": 256,
        "channels": (320, 640, 1280, 1280),
        "attended": (True, True, True, False),
        "layers": 2,
        "heads": 8,
        "width": 768,
        "queries": 16,
        "decoder_layers": 8,
        "swin": 128,
        "swin_depths": (2, 2, 18, 2),
        "swin_heads": (4, 8, 16, 32),
        "steps": 50,
        "guidance": 2.0,
    },
}
_WINDOW = 8
"""Tokens a side that Swin attends to at once: divides the sizes of a picture of 256 pixels."""
_GROUPS = 8


class Told(NamedTuple):
    """What the U-Net is told."""

    prompts: Tensor
    """To attend to, float (N, queries, width)."""
    layout: list[Tensor]
    """To add to the downward blocks, float (N, C, h, w) each."""
    biases: list[Tensor]
    """Of the upward cross-attentions' queries, float (N, h w, C) each."""


class CFLD(nn.Module):
    """All of it, with the autoencoder, which is not trained.

    Args:
        side: S, pixels a side of all pictures.
        channels: of the U-Net at 1/8 of the picture's size, 1/16, ...
        attended: at which of these it attends to the prompts.
        layers: of each of its blocks.
        heads: of all attentions but Swin's.
        width: of the prompts.
        queries, decoder_layers: of the perception-refined decoder.
        swin, swin_depths, swin_heads: Swin's first channels, and blocks and heads at its four scales.
        steps, guidance: of sampling; 1: no guidance.
        vae: configuration of the `LiteAutoencoder`.
    """

    def __init__(
        self,
        side: int,
        channels: Sequence[int],
        attended: Sequence[bool],
        layers: int,
        heads: int,
        width: int,
        queries: int,
        decoder_layers: int,
        swin: int,
        swin_depths: Sequence[int],
        swin_heads: Sequence[int],
        steps: int,
        guidance: float,
        vae: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.side, self.steps, self.guidance = side, steps, guidance
        self.vae = LiteAutoencoder(**vae).eval().requires_grad_(False)
        self.unet: Any = UNet2DConditionModel(
            in_channels=LATENT_CHANNELS,
            out_channels=LATENT_CHANNELS,
            block_out_channels=tuple(channels),
            layers_per_block=layers,
            down_block_types=[f"{'CrossAttn' if here else ''}DownBlock2D" for here in attended],
            up_block_types=[f"{'CrossAttn' if here else ''}UpBlock2D" for here in reversed(attended)],
            norm_num_groups=_GROUPS,
            cross_attention_dim=width,
            attention_head_dim=heads,  # diffusers' name for how many there are
        )
        form: Any = {
            "image_size": side,
            "embed_dim": swin,
            "depths": list(swin_depths),
            "num_heads": list(swin_heads),
            "window_size": _WINDOW,
            "drop_path_rate": 0.0,
            "out_features": ["stage1", "stage2", "stage3", "stage4"],
        }
        self.appearance = SwinBackbone(SwinConfig(**form))
        scales = [swin << stage for stage in range(4)]
        self.decoder = PerceptionRefinedDecoder(scales[-1], (side // 32) ** 2, width, queries, decoder_layers, heads)
        self.layout = LayoutEncoder(channels, attended)
        self.refinements = nn.ModuleList()
        self._attend_with_biases(channels, scales, heads)
        self.nothing = nn.Parameter(torch.randn(1, queries, width))

    def _attend_with_biases(self, channels: Sequence[int], scales: Sequence[int], heads: int) -> None:
        """Gives the upward cross-attentions their places among the biases."""
        processors, place = {}, 0
        for name in self.unet.attn_processors:
            biased = name.startswith("up_blocks") and ".attn2." in name
            processors[name] = _Attention(place if biased else None)
            place += biased
        self.unet.set_attn_processor(processors)
        for number, block in enumerate(self.unet.up_blocks):
            if hasattr(block, "attentions"):
                level = len(channels) - 1 - number
                stage = min(level + 1, len(scales) - 1)  # of the same size: Swin begins at 1/4, latents at 1/8
                refinement = Refinement(scales[stage], channels[level], len(block.attentions), heads, stage, level)
                self.refinements.append(refinement)

    def train(self, mode: bool = True) -> CFLD:
        super().train(mode)
        self.vae.eval()  # its statistics stay what they are
        return self

    def look(self, exo: Tensor, pose_map: Tensor) -> Told:
        """What pictures tell.

        Args:
            exo: I_exo, float (N, 3, S, S), RGB in [-1, 1].
            pose_map: P_ego as a picture, likewise in [0, 1].
        """
        scales = self.appearance(exo).feature_maps
        size = self.side // FACTOR
        biases = [bias for refinement in self.refinements for bias in refinement(scales, size)]
        return Told(self.decoder(scales[-1]), self.layout(pose_map), biases)

    def without(self, told: Told, left_out: Tensor) -> Told:
        """The same, with nothing told for the samples that are `left_out`, bool (N,)."""
        out = left_out.view(-1, 1, 1)
        return Told(
            torch.where(out, self.nothing.to(told.prompts.dtype), told.prompts),
            [one.masked_fill(out[..., None], 0) for one in told.layout],
            [one.masked_fill(out, 0) for one in told.biases],
        )

    def forward(self, noisy: Tensor, time: Tensor, told: Told) -> Tensor:
        """The noise in z_t, float (N, 4, S / 8, S / 8)."""
        said: Tensor = self.unet(
            noisy,
            time,
            encoder_hidden_states=told.prompts,
            down_intrablock_additional_residuals=list(told.layout),  # it is emptied
            cross_attention_kwargs={"biases": told.biases},
        ).sample
        return said

    @torch.no_grad()
    def picture(self, exo: Tensor, pose_map: Tensor, steps: int | None = None) -> Tensor:
        """I_ego, float (N, 3, S, S), about [-1, 1]; the same for the same pictures.

        Args:
            exo, pose_map: as `look`.
            steps: others than its own.
        """
        told = self.look(exo, pose_map)
        nothing = self.without(told, torch.ones(len(exo), dtype=torch.bool, device=exo.device))
        both = _over(nothing, told)

        def predict(noisy: Tensor, time: Tensor) -> Tensor:
            if self.guidance == 1:
                return self(noisy, time, told)
            null, meant = self(noisy.repeat(2, 1, 1, 1), time, both).chunk(2)
            return null + self.guidance * (meant - null)

        shape = (len(exo), LATENT_CHANNELS, self.side // FACTOR, self.side // FACTOR)
        latents = denoised(predict, first_noise(shape, exo.device), steps or self.steps)
        pictures: Tensor = self.vae.decode(latents / self.vae.config.scaling_factor).sample
        return pictures


def _over(first: Told, second: Told) -> Told:
    """Both, one after the other in the batch."""
    return Told(
        torch.cat((first.prompts, second.prompts)),
        [torch.cat(two) for two in zip(first.layout, second.layout, strict=True)],
        [torch.cat(two) for two in zip(first.biases, second.biases, strict=True)],
    )


class PerceptionRefinedDecoder(nn.Module):
    """Coarse prompts: learned queries that look, and look again, at the coarsest features.

    Args:
        features: channels of these.
        tokens: how many they are.
    """

    def __init__(self, features: int, tokens: int, width: int, queries: int, layers: int, heads: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(0.02 * torch.randn(1, queries, width))
        self.query_places = nn.Parameter(0.02 * torch.randn(1, queries, width))
        self.places = nn.Parameter(0.02 * torch.randn(1, tokens, features))
        self.layers = nn.ModuleList(_DecoderLayer(width, features, heads) for _ in range(layers))

    def forward(self, features: Tensor) -> Tensor:
        """float (N, queries, width), of float (N, C, h, w)."""
        seen = features.flatten(2).transpose(1, 2) + self.places
        prompts = self.queries.expand(len(seen), -1, -1)
        for layer in self.layers:
            prompts = layer(prompts, self.query_places, seen)
        return prompts


class _DecoderLayer(nn.Module):
    """Looks at the features first, then at the other prompts."""

    def __init__(self, width: int, features: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.cross = nn.MultiheadAttention(width, heads, kdim=features, vdim=features, batch_first=True)
        self.own = nn.MultiheadAttention(width, heads, batch_first=True)
        self.rest = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, prompts: Tensor, places: Tensor, seen: Tensor) -> Tensor:
        asked = self.norms[0](prompts + places)
        prompts = prompts + self.cross(asked, seen, seen, need_weights=False)[0]
        asked = self.norms[1](prompts + places)
        prompts = prompts + self.own(asked, asked, asked, need_weights=False)[0]
        refined: Tensor = prompts + self.rest(self.norms[2](prompts))
        return refined


class Refinement(nn.Module):
    """Biases of the cross-attentions of one upward block, from the features of one scale."""

    def __init__(self, features: int, channels: int, count: int, heads: int, stage: int, level: int) -> None:
        super().__init__()
        self.stage, self.level = stage, level
        self.entrance = nn.Conv2d(features, channels, 1)
        self.norm = nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.exits = nn.ModuleList(nn.Linear(channels, channels) for _ in range(count))
        for parameter in self.exits.parameters():
            nn.init.zeros_(parameter)  # what is fine comes in gradually

    def forward(self, scales: Sequence[Tensor], size: int) -> list[Tensor]:
        """float (N, h w, C) for each.

        Args:
            scales: of Swin.
            size: of the latents.
        """
        here = size >> self.level
        features = functional.interpolate(scales[self.stage], (here, here), mode="bilinear", align_corners=False)
        tokens = self.entrance(features).flatten(2).transpose(1, 2)
        asked = self.norm(tokens)
        tokens = tokens + self.attention(asked, asked, asked, need_weights=False)[0]
        return [leave(tokens) for leave in self.exits]


class LayoutEncoder(nn.Module):
    """P_ego for each downward block."""

    def __init__(self, channels: Sequence[int], attended: Sequence[bool]) -> None:
        super().__init__()
        self.entrance = nn.Conv2d(3 * FACTOR**2, channels[0], 1)
        last = len(channels) - 1
        # A block that attends adds before it halves its size, one that does not adds after it.
        self._halvings = [level + (not here and level < last) for level, here in enumerate(attended)]
        self.levels, self.exits = nn.ModuleList(), nn.ModuleList()
        before, halvings = channels[0], 0
        for width, wanted in zip(channels, self._halvings, strict=True):
            stride = 2 ** (wanted - halvings)
            self.levels.append(
                nn.Sequential(
                    nn.SiLU(),
                    nn.Conv2d(before, width, 3, stride=stride, padding=1),
                    nn.SiLU(),
                    nn.Conv2d(width, width, 3, padding=1),
                )
            )
            self.exits.append(nn.Conv2d(width, width, 1))
            before, halvings = width, wanted
        for parameter in self.exits.parameters():
            nn.init.zeros_(parameter)

    def forward(self, pose_map: Tensor) -> list[Tensor]:
        """float (N, C, h, w) each, of float (N, 3, S, S) in [0, 1]."""
        found, x = [], self.entrance(functional.pixel_unshuffle(pose_map, FACTOR))
        for level, leave in zip(self.levels, self.exits, strict=True):
            x = level(x)
            found.append(leave(x))
        return found


class _Attention:
    """Of the U-Net, as diffusers calls it; with a place, its queries have the bias of that place added."""

    def __init__(self, place: int | None) -> None:
        self._place = place

    def __call__(
        self,
        attention: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        biases: Sequence[Tensor] = (),
    ) -> Tensor:
        seen = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attention.to_q(hidden_states)
        if self._place is not None:
            query = query + biases[self._place]
        parts = (query, attention.to_k(seen), attention.to_v(seen))
        heads = (part.unflatten(2, (attention.heads, -1)).transpose(1, 2) for part in parts)
        found = functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        out: Tensor = attention.to_out[0](found)
        return out


class CFLDView:
    """The method `cfld`. With estimated inputs its layout of the hands is the estimated one; where stage 1 found nobody
    it is black.

    Raises:
        GenEgoError: see `load_network`.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._network = load_network(parameters, "cfld", CFLD)

    def predict(self, case: Case) -> ByteArray:
        side = self._network.side
        drawn = condition(case.observation, side).pose_map
        exo = shown(case.frame.rgb, side, self._network)
        pose_map = shown(drawn, side, self._network) / 2 + 0.5
        return byte_pictures(self._network.picture(exo, pose_map))[0]
