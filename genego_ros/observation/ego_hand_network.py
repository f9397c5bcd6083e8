"""The network of phi_ego: a ViT backbone and an MLP regressor, as in the paper (section 2.1).

The paper's regressor gets the class token alone. Ours also gets where the ViT finds both hands and the head, and what
its patches say there: to find them is learned in a fraction of the time in which a class token learns to say so. It may
be told P_exo, which says much of where the person is. And it has both hands and the eyes' pose in the camera's frame to
begin with, which amount to P_ego but for a rest.

`tiny` gives the ViT the features of EfficientNet-Lite0 at 1/16 of the picture's size for patches: a convolutional stem
(Xiao et al., NeurIPS 2021) that was trained on ImageNet and so knows much that ten thousand pictures do not teach.
`base` is ViT-B/16 (Dosovitskiy et al., ICLR 2021) on pixels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from genego_ros.efficientnet import CHANNELS, DEVIATION, MEAN, EfficientNetLite0, fold, load_efficientnet
from genego_ros.errors import GenEgoError, loading
from genego_ros.types import KEYPOINTS, SIDES, Camera, Float64Array, FloatArray

HANDS = len(SIDES)
SPREAD = 0.1
"""Metres: the unit of what the regressor puts out."""
EYES = 12
HINTS = HANDS * KEYPOINTS * 3 + EYES
LOOKS = HANDS + 1
"""What the ViT looks for: left hand, right hand, head."""
_PATCH = 16
_NEAREST = 0.05
"""Metres before the camera; what is nearer or behind has no place in a picture."""
_STAGES = 5
"""Of EfficientNet-Lite0, up to its features at 1/16."""
_REGRESSOR = 512
"""Hidden units, as the paper's longer version has them (768-512-126)."""
_HANDS = 256
"""Features of the hands that the network is told."""
_TOLD = HANDS * (3 * KEYPOINTS + 7)
"""Numbers of `told_numbers`."""


@dataclass(frozen=True)
class Form:
    """What it takes to build the network."""

    size: str
    width: int
    """Pixels; pictures are squeezed to this width and height, multiples of 16."""
    height: int
    channels: int
    layers: int
    heads: int

    @classmethod
    def parse(cls, text: str) -> Form:
        """Of the JSON that `asdict` gives.

        Raises:
            ValueError, TypeError: another text.
        """
        return cls(**json.loads(text))


FORMS = {
    "tiny": Form("tiny", width=256, height=144, channels=192, layers=4, heads=3),
    "base": Form("base", width=224, height=224, channels=768, layers=12, heads=12),
}
_PIXELS = {"tiny": (MEAN, DEVIATION), "base": ((0.5,) * 3, (0.5,) * 3)}
"""Mean and deviation of RGB in [0, 1], as the weights that training starts from were trained with."""


class Glance(NamedTuple):
    """What the ViT finds in a picture."""

    found: Tensor
    """float (N, 4 * channels + 2 * LOOKS): what the token says, and the patches and their places of each of LOOKS."""
    looks: Tensor
    """float (N, LOOKS, patches): logits of where in the picture each of them is."""


class Prediction(NamedTuple):
    keypoints: Tensor
    """float (N, 2, 21, 3): left, right; metres, ego optical frame."""
    presence: Tensor
    """float (N, 2): logit of the probability that the picture shows the hand."""
    log_variance: Tensor
    """float (N, 2): natural logarithm of the expected square error of a coordinate, metres squared."""
    looks: Tensor
    """float (N, LOOKS, patches): as `Glance` has them; for training."""
    hints: Tensor
    """float (N, HINTS): P_exo and the eyes' pose, as `hint_numbers` gives them; for training."""


class EgoHandNetwork(nn.Module):
    """From a picture and its field of view, and from P_exo where that is known, to both hands as the person's own eyes
    see them."""

    pixel_mean: Tensor
    pixel_deviation: Tensor
    patches: Tensor

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        self.backbone: nn.Module = _Base(form) if form.size == "base" else _Tiny(form)
        self.view = nn.Linear(4, form.channels)
        last = nn.Linear(_REGRESSOR, HANDS * (3 * KEYPOINTS + 2))
        found = (1 + LOOKS) * form.channels + 2 * LOOKS
        self.told = nn.Sequential(nn.Linear(_TOLD, _HANDS), nn.GELU(), nn.Linear(_HANDS, _HANDS), nn.GELU())
        self.regressor = nn.Sequential(nn.Linear(found + _HANDS, _REGRESSOR), nn.GELU(), last)
        self.places = nn.Linear(form.channels, LOOKS)
        self.hints = nn.Linear(_REGRESSOR, HINTS)
        for layer in (last, self.hints):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("patches", torch.from_numpy(patch_places(form)), persistent=False)
        mean, deviation = _PIXELS[form.size]
        self.register_buffer("pixel_mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("pixel_deviation", torch.tensor(deviation).view(1, 3, 1, 1) * 255, persistent=False)

    @torch.no_grad()
    def begin(self, mean_pose: Float64Array, mean_hints: FloatArray) -> None:
        """Lets a network that knows nothing yet say the mean of what it is to learn.

        Args:
            mean_pose: of P_ego, float64 (2, 21, 3).
            mean_hints: of `hint_numbers`, float32 (HINTS,).
        """
        hints = torch.from_numpy(mean_hints)
        self.hints.bias.copy_(hints)
        exo, R_exo_ego, eyes = from_hints(hints[None])
        rest = (torch.from_numpy(mean_pose).float() - seen_by_eyes(exo, R_exo_ego, eyes)[0]) / SPREAD
        bias = self.regressor[-1].bias
        assert isinstance(bias, Tensor)
        bias.view(HANDS, -1)[:, : 3 * KEYPOINTS].copy_(rest.flatten(1))

    def forward(self, pictures: Tensor, views: Tensor, exo: Tensor, known: Tensor) -> Prediction:
        """See `look` and `tell`."""
        return self.tell(self.look(pictures, views), exo, known)

    def look(self, pictures: Tensor, views: Tensor) -> Glance:
        """What takes the time, and needs no hands.

        Args:
            pictures: float (N, 3, H, W), RGB, 0 to 255, of the size of `form`.
            views: float (N, 4), as `view_numbers` gives them.
        """
        normalised = (pictures - self.pixel_mean) / self.pixel_deviation
        tokens = self.backbone(normalised, self.view(views).unsqueeze(1))
        token, patches = tokens[:, 0], tokens[:, 1:]
        looks = self.places(patches).transpose(1, 2).float()
        attention = looks.softmax(-1)
        # From shares of the picture to tangents, in quarters as in `hint_numbers`.
        right_below, left_above = views[:, None, :2], views[:, None, 2:]
        places = 4 * (attention @ self.patches * (right_below + left_above) - left_above)
        return Glance(torch.cat([token, (attention @ patches).flatten(1), places.flatten(1)], dim=1), looks)

    def tell(self, glance: Glance, exo: Tensor, known: Tensor) -> Prediction:
        """P_ego.

        Args:
            exo: P_exo, float (N, 2, 21, 3), metres, exo optical frame; anything finite where it is not known.
            known: float (N, 2), 1 for hands that are known, else 0; the paper's phi_ego knows none.
        """
        told = self.told(told_numbers(exo, known))
        hidden = self.regressor[:-1](torch.cat([glance.found, told.to(glance.found.dtype)], dim=1))
        hints = self.hints(hidden).float()
        hinted, R_exo_ego, eyes = from_hints(hints)
        hands = torch.where(known[..., None, None] > 0, exo, hinted)
        out = self.regressor[-1](hidden).float().unflatten(1, (HANDS, -1))
        rest = out[..., :-2].unflatten(2, (KEYPOINTS, 3))
        log_variance = out[..., -1] + 2 * torch.tensor(SPREAD).log()
        keypoints = seen_by_eyes(hands, R_exo_ego, eyes) + SPREAD * rest
        return Prediction(keypoints, out[..., -2], log_variance, glance.looks, hints)


def told_numbers(exo: Tensor, known: Tensor) -> Tensor:
    """float (N, _TOLD), of order one, 0 for hands that are not known: of each hand its keypoints from their middle and
    the middle from that of all hands, in units of `SPREAD`; the middle as in `hint_numbers`; and that it is known."""
    middle = exo.mean(2)
    among = (known[..., None] * middle).sum(1, keepdim=True) / known.sum(1)[:, None, None].clamp(min=1)
    z = middle[..., 2:].clamp(min=_NEAREST)
    place = torch.cat([4 * middle[..., :2] / z, 2 * (z - 1)], dim=-1)
    shape = (exo - middle[:, :, None]) / SPREAD
    numbers = torch.cat([shape.flatten(2), (middle - among) / SPREAD, place, torch.ones_like(z)], dim=-1)
    return torch.where(known[..., None] > 0, numbers, 0.0).flatten(1)


def from_hints(hints: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """P_exo, float (N, 2, 21, 3), and the eyes' pose in the exo frame, float (N, 3, 3) and (N, 3), metres, of
    `hint_numbers`, float (N, HINTS)."""
    u, v, w = hints[:, :-EYES].unflatten(1, (HANDS, KEYPOINTS, 3)).unbind(-1)
    z = 1 + w / 2
    exo = torch.stack([u / 4 * z, v / 4 * z, z], dim=-1)
    axes, eyes = hints[:, -EYES:-3].unflatten(1, (3, 3)), hints[:, -3:] / 2
    # Gram-Schmidt (Zhou et al., CVPR 2019), from the direction of view.
    forward = nn.functional.normalize(axes[..., 2], dim=1)
    right = axes[..., 0] - (forward * axes[..., 0]).sum(1, keepdim=True) * forward
    right = nn.functional.normalize(right, dim=1)
    return exo, torch.stack([right, torch.cross(forward, right, dim=1), forward], dim=-1), eyes


def seen_by_eyes(exo: Tensor, R_exo_ego: Tensor, eyes: Tensor) -> Tensor:
    """P_ego, float (N, 2, 21, 3), metres, of P_exo and the eyes' pose."""
    return (exo - eyes[:, None, None]) @ R_exo_ego[:, None]


def patch_places(form: Form) -> FloatArray:
    """Where in the picture the middle of each patch is, float32 (patches, 2): x and y, 0 to 1 from border to border."""
    rows, columns = form.height // _PATCH, form.width // _PATCH
    y, x = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    return np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)


class _Tiny(nn.Module):
    """ViT over EfficientNet-Lite0's features; (N, 1 + patches, channels): class token and patches."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.encoder = fold(EfficientNetLite0().eval())
        del self.encoder.stages[_STAGES:]
        self.patch = nn.Linear(CHANNELS[3], form.channels)
        self.token = nn.Parameter(torch.zeros(1, 1, form.channels))
        self.places = nn.Parameter(torch.zeros(1, len(patch_places(form)), form.channels))
        nn.init.trunc_normal_(self.token, std=0.02)
        nn.init.trunc_normal_(self.places, std=0.02)
        layer = nn.TransformerEncoderLayer(
            form.channels, form.heads, 4 * form.channels, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(
            layer, form.layers, norm=nn.LayerNorm(form.channels), enable_nested_tensor=False
        )

    def forward(self, pictures: Tensor, view: Tensor) -> Tensor:
        patches = self.encoder(pictures)[-1].flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(patches), -1, -1), self.patch(patches) + self.places, view], dim=1)
        seen: Tensor = self.layers(tokens)[:, :-1]
        return seen


class _Base(nn.Module):
    """ViT-B/16; (N, 1 + patches, channels): class token and patches, the field of view added to each."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        try:
            from transformers import ViTConfig, ViTModel
        except ModuleNotFoundError as error:
            raise GenEgoError(
                "phi_ego of size base needs the Python package 'transformers': pip install transformers, or use tiny"
            ) from error
        self.vit = ViTModel(
            ViTConfig(
                hidden_size=form.channels,
                num_hidden_layers=form.layers,
                num_attention_heads=form.heads,
                intermediate_size=4 * form.channels,
                image_size=(form.height, form.width),
                patch_size=_PATCH,
            ),
            add_pooling_layer=False,
        )

    def start(self, folder: Path) -> None:
        cure = f"give a folder with a ViT-B/16 for {self.vit.config.image_size} pixels: config.json, model.safetensors"
        with loading(folder, cure):
            vit = type(self.vit).from_pretrained(
                folder, add_pooling_layer=False, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
            self.vit.load_state_dict(vit.state_dict())

    def forward(self, pictures: Tensor, view: Tensor) -> Tensor:
        seen: Tensor = self.vit(pictures).last_hidden_state + view
        return seen


def view_numbers(camera: Camera) -> FloatArray:
    """The field of view as float32 (4,): tangents from the optical axis to the right, lower, left and upper border of
    the picture, whose size does not matter.
    """
    right, below = (camera.width - 0.5 - camera.cx) / camera.fx, (camera.height - 0.5 - camera.cy) / camera.fy
    left, above = (camera.cx + 0.5) / camera.fx, (camera.cy + 0.5) / camera.fy
    return np.array([right, below, left, above], np.float32)


def hint_numbers(exo: Float64Array, T_exo_ego: Float64Array) -> FloatArray:
    """float32 (HINTS,), all of order one, NaN where there is no label: of each keypoint of P_exo its place in the
    picture (tangents, in quarters) and its distance along z (from one metre, in halves), and of the eyes the rotation
    matrix and the place (in halves of a metre).

    Args:
        exo: float64 (2, 21, 3), metres, exo optical frame; NaN where there is no label.
        T_exo_ego: float64 (4, 4), the pose of the eyes in the exo optical frame.
    """
    x, y, z = np.moveaxis(np.where(exo[..., 2:] > _NEAREST, exo, np.nan), -1, 0)
    hands = np.stack([4 * x / z, 4 * y / z, 2 * (z - 1)], axis=-1)
    return np.concatenate([hands.ravel(), T_exo_ego[:3, :3].ravel(), 2 * T_exo_ego[:3, 3]]).astype(np.float32)


def start_network(size: str, folder: Path | None = None) -> EgoHandNetwork:
    """A network that is yet to be trained; the stem of `tiny` knows ImageNet.

    Args:
        folder: with a ViT-B/16 of transformers (config.json, model.safetensors) for `base` to start from.

    Raises:
        GenEgoError: no such size, EfficientNet-Lite0's weights are not installed, or the folder holds no such ViT.
    """
    if size not in FORMS:
        raise GenEgoError(f"there is no phi_ego of size '{size}'; known: {', '.join(FORMS)}")
    network = EgoHandNetwork(FORMS[size])
    if isinstance(network.backbone, _Tiny):
        encoder = fold(load_efficientnet())
        del encoder.stages[_STAGES:]
        network.backbone.encoder = encoder
    if isinstance(network.backbone, _Base) and folder is not None:
        network.backbone.start(folder)
    return network


def load_network(path: Path) -> EgoHandNetwork:
    """A trained network in evaluation mode, float32, on the CPU.

    Raises:
        GenEgoError: the file cannot be read, is damaged, or holds weights of something else; names the path.
    """
    with loading(path, "copy the weights of phi_ego again, or make them with ./genego train ego-hand"):
        with safe_open(path, "pt") as file:
            form = Form.parse((file.metadata() or {})["configuration"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        network = EgoHandNetwork(form)
        network.load_state_dict(tensors)
    return network.eval()
