"""pixelNeRF (Yu et al., CVPR 2021): a radiance field from one picture, rendered from the eyes by the known X.

An encoder makes features of the third-person picture. A point of space is told those of the pixel that sees it, beside
its own place and the ray's direction in the third-person camera's frame; a network of residual blocks says its colour
and density, which are rendered along the rays of K_ego: coarsely first, then more finely where something is.

The paper's encoder is a ResNet-34 that was trained on ImageNet. Here the same kind of network begins untrained, with
group instead of batch normalisation. Samples lie ever further apart along a ray, as a room begins at the hands and ends
at a wall, and densities are softplus of what the network says, so that none is stuck at zero.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from genego_ros.evaluation.baselines.network import byte_pictures, load_network, shown
from genego_ros.evaluation.baselines.rendering import rays, resampled, seen_at, spaced, stopped
from genego_ros.evaluation.inputs import Case
from genego_ros.geometry import rigid
from genego_ros.parameters import Parameters
from genego_ros.types import ByteArray, Camera, Float64Array

SIZES: dict[str, dict[str, Any]] = {
    "small": {
        "side": 256,
        "rays_side": 128,
        "channels": (32, 32, 64, 128),
        "depths": (2, 2, 2),
        "features": 64,
        "width": 64,
        "blocks": 3,
        "coarse": 32,
        "fine": 16,
        "near": 0.15,
        "far": 8.0,
    },
    "paper": {
        "side": 256,
        "rays_side": 256,
        "channels": (64, 64, 128, 256),
        "depths": (3, 4, 6),
        "features": 512,
        "width": 512,
        "blocks": 5,
        "coarse": 64,
        "fine": 32,
        "near": 0.15,
        "far": 8.0,
    },
}
FREQUENCIES, LOWEST = 6, 1.5
"""Of the positional encoding: sin and cos of 1.5 x 2^k times each coordinate in metres."""
_TOLD_FIRST = 3
"""Blocks that are told the features."""
_GROUPS = 8
_AT_ONCE = 4096
"""Rays that are rendered together."""


class View(NamedTuple):
    """From where what is looked at."""

    T_exo_ego: Tensor
    """The inverse of X, float (N, 4, 4)."""
    exo: Tensor
    """K_exo, float (N, 4): fx, fy, cx, cy in pixels of the squeezed picture."""
    ego: Tensor
    """K_ego, likewise of the picture whose pixels are asked for."""


class Rendered(NamedTuple):
    """Colours of rays, float (N, R, 3) in [-1, 1]."""

    coarse: Tensor
    fine: Tensor


class PixelNeRF(nn.Module):
    """Encoder, and a coarse and a fine field.

    Args:
        side: S, pixels a side of the third-person picture.
        rays_side: pixels a side of the picture that is rendered.
        channels: of the encoder at 1/2, 1/4, 1/8 and 1/16.
        depths: residual blocks at the last three of these.
        features: that a point is told.
        width, blocks: of the fields.
        coarse, fine: samples a ray; the fine field sees both.
        near, far: metres along a ray between which there is something.
    """

    def __init__(
        self,
        side: int,
        rays_side: int,
        channels: tuple[int, ...],
        depths: tuple[int, ...],
        features: int,
        width: int,
        blocks: int,
        coarse: int,
        fine: int,
        near: float,
        far: float,
    ) -> None:
        super().__init__()
        self.side, self.rays_side = side, rays_side
        self.counts, self.range = (coarse, fine), (near, far)
        self.encoder = Encoder(channels, depths, features)
        self.coarse, self.fine = (Field(features, width, blocks) for _ in range(2))

    def forward(self, features: Tensor, view: View, pixels: Tensor) -> Rendered:
        """What the ego camera sees at its pixels.

        While it is trained samples are drawn at random; otherwise the same picture is always the same.

        Args:
            features: of the encoder, float (N, F, h, w).
            pixels: float (N, R, 2), column and row.
        """
        origins, directions = rays(pixels, view.ego, view.T_exo_ego)
        shape, (many, more) = (len(pixels), pixels.shape[1]), self.counts
        jitter = torch.rand(*shape, many, device=pixels.device) if self.training else None
        distances = spaced(*self.range, shape, many, jitter).to(pixels)
        coarse, weights = self._along(self.coarse, features, view, origins, directions, distances)
        even = (torch.arange(more, device=pixels.device) + 0.5) / more
        places = torch.rand(*shape, more, device=pixels.device) if self.training else even.expand(*shape, more)
        drawn = resampled(distances, weights.detach(), places)
        distances = torch.cat((distances, drawn), -1).sort(-1).values
        fine, _ = self._along(self.fine, features, view, origins, directions, distances)
        return Rendered(coarse, fine)

    def _along(
        self, field: Field, features: Tensor, view: View, origins: Tensor, directions: Tensor, distances: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Colours of rays, float (N, R, 3), and the share that each of their samples has in them, float (N, R, S)."""
        points = (origins[..., None, :] + distances[..., None] * directions[..., None, :]).flatten(1, 2)
        told = self.at(features, points, view.exo)
        turned = directions[..., None, :].expand(*distances.shape, 3).flatten(1, 2)
        colours, density = field(told, points, turned)
        weights = stopped(density.unflatten(1, distances.shape[1:]), distances)
        return (weights[..., None] * colours.unflatten(1, distances.shape[1:])).sum(-2), weights

    def at(self, features: Tensor, points: Tensor, intrinsics: Tensor) -> Tensor:
        """The features of the pixels that see points, float (N, P, F): 0 behind the camera, the edge's beyond it.

        Args:
            points: float (N, P, 3), metres, exo optical frame.
            intrinsics: K_exo, float (N, 4).
        """
        places, before = seen_at(points, intrinsics, self.side)
        found = functional.grid_sample(features, places[:, None], padding_mode="border", align_corners=False)
        return found[:, :, 0].transpose(1, 2) * before[..., None]

    @torch.no_grad()
    def picture(self, exo: Tensor, view: View) -> Tensor:
        """What the eyes see, float (1, 3, R, R) in [-1, 1], for R of `rays_side`; one picture at a time.

        Args:
            exo: I_exo, float (1, 3, S, S) in [-1, 1].
            view: K_ego of a picture of R pixels a side.
        """
        features, side = self.encoder(exo), self.rays_side
        place = torch.arange(side, device=exo.device, dtype=exo.dtype)
        rows, columns = torch.meshgrid(place, place, indexing="ij")
        pixels = torch.stack((columns, rows), -1).view(1, -1, 2)
        parts = [self(features, view, some).fine for some in pixels.split(_AT_ONCE, dim=1)]
        return torch.cat(parts, 1).view(1, side, side, 3).permute(0, 3, 1, 2)


class Encoder(nn.Module):
    """Features of a picture at 1/2 of its size, from four levels that are laid over one another."""

    def __init__(self, channels: tuple[int, ...], depths: tuple[int, ...], features: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels[0], 7, stride=2, padding=3, bias=False), nn.GroupNorm(_GROUPS, channels[0]), nn.ReLU()
        )
        self.levels = nn.ModuleList()
        for level, depth in enumerate(depths):
            before, after = channels[level : level + 2]
            blocks = [_Block(before if place == 0 else after, after, 1 + (place == 0)) for place in range(depth)]
            self.levels.append(nn.Sequential(*blocks))
        # A linear map before points are looked up is one after it, and cheaper.
        self.joined = nn.Conv2d(sum(channels), features, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """float (N, F, S / 2, S / 2), of float (N, 3, S, S) in [-1, 1]."""
        found = [self.stem(pictures)]
        for level in self.levels:
            found.append(level(found[-1]))
        size = found[0].shape[-2:]
        over = [functional.interpolate(one, size, mode="bilinear", align_corners=False) for one in found]
        joined: Tensor = self.joined(torch.cat(over, 1))
        return joined


class _Block(nn.Module):
    """Two convolutions around which the input is led (He et al., CVPR 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.GroupNorm(_GROUPS, after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.GroupNorm(_GROUPS, after),
        )
        same = before == after and stride == 1
        self.around = nn.Identity() if same else nn.Conv2d(before, after, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.layers(x) + self.around(x))


class Field(nn.Module):
    """Colour and density of points."""

    def __init__(self, features: int, width: int, blocks: int) -> None:
        super().__init__()
        self.entrance = nn.Linear(3 + 6 * FREQUENCIES + 3, width)
        self.told = nn.ModuleList(nn.Linear(features, width) for _ in range(min(_TOLD_FIRST, blocks)))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), _zero(nn.Linear(width, width)))
            for _ in range(blocks)
        )
        self.exit = nn.Linear(width, 4)

    def forward(self, told: Tensor, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Colours, float (N, P, 3) in [-1, 1], and densities, float (N, P), 1 / metre.

        Args:
            told: features, float (N, P, F).
            points: float (N, P, 3), metres, exo optical frame.
            directions: of the rays, likewise, of length 1.
        """
        x = self.entrance(torch.cat((points, encoded(points), directions), -1))
        for place, block in enumerate(self.blocks):
            if place < len(self.told):
                x = x + self.told[place](told)
            x = x + block(x)
        said = self.exit(functional.relu(x)).float()
        return torch.tanh(said[..., :3]), functional.softplus(said[..., 3])


def _zero(layer: nn.Linear) -> nn.Linear:
    """Adds nothing at the beginning."""
    nn.init.zeros_(layer.weight)
    return layer


def encoded(points: Tensor) -> Tensor:
    """The positional encoding (NeRF, equation 4), float (..., 6 FREQUENCIES)."""
    waves = LOWEST * 2.0 ** torch.arange(FREQUENCIES, device=points.device)
    angles = (points[..., None] * waves).flatten(-2)
    return torch.cat((angles.sin(), angles.cos()), -1)


def numbers(camera: Camera) -> Tensor:
    """K as `View` has it, float32 (1, 4)."""
    return torch.tensor([[camera.fx, camera.fy, camera.cx, camera.cy]])


def view_of(network: PixelNeRF, T_ego_exo: Float64Array, exo: Camera, ego: Camera) -> View:
    """For `PixelNeRF.picture`, on its device.

    Args:
        T_ego_exo: X, float64 (4, 4).
        exo, ego: K_exo and K_ego, of pictures of any size.
    """
    inverse = torch.from_numpy(rigid.invert(T_ego_exo).astype(np.float32))[None]
    cameras = exo.resized(network.side, network.side), ego.resized(network.rays_side, network.rays_side)
    device = next(network.parameters()).device
    return View(*(tensor.to(device) for tensor in (inverse, *map(numbers, cameras))))


class PixelNeRFView:
    """The method `pixelnerf`. With estimated inputs it looks by the estimated X, and where stage 1 found nobody by the
    nominal one that the observation holds.

    Raises:
        GenEgoError: see `load_network`.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._network = load_network(parameters, "pixelnerf", PixelNeRF)

    def predict(self, case: Case) -> ByteArray:
        T_ego_exo = case.observation.viewpoint.T_ego_exo
        view = view_of(self._network, T_ego_exo, case.frame.camera, case.ego_camera)
        exo = shown(case.frame.rgb, self._network.side, self._network)
        return byte_pictures(self._network.picture(exo, view))[0]
