"""Volume rendering along rays (Mildenhall et al., NeRF, ECCV 2020, equations 3 and 5), and where a camera sees points.

Distances are metres along rays of unit length, so densities are 1 / metre. Intrinsics are fx, fy, cx, cy in pixels of a
picture with integer pixel centres.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_ENDLESS = 1e10
"""Metres that the last sample of a ray stands for: what was not stopped before is stopped there."""
_NEAREST = 0.05
"""Metres before a camera; what is nearer or behind has no place in its picture."""


def rays(pixels: Tensor, intrinsics: Tensor, T_exo_ego: Tensor) -> tuple[Tensor, Tensor]:
    """The rays through pixels of the ego camera, in the exo optical frame.

    Args:
        pixels: float (N, R, 2), column and row.
        intrinsics: K_ego, float (N, 4).
        T_exo_ego: the inverse of X, float (N, 4, 4).

    Returns:
        Their origins, float (N, R, 3), metres, and directions, of length 1.
    """
    focal, centre = intrinsics[:, None, :2], intrinsics[:, None, 2:]
    seen = functional.pad((pixels - centre) / focal, (0, 1), value=1.0)
    directions = functional.normalize(seen @ T_exo_ego[:, :3, :3].transpose(1, 2), dim=-1)
    return T_exo_ego[:, None, :3, 3].expand_as(directions), directions


def spaced(near: float, far: float, shape: tuple[int, ...], count: int, jitter: Tensor | None) -> Tensor:
    """Distances of samples, float (*shape, count): one in each of `count` parts of [near, far], each as many times as
    long as the one before, since near things fill more of a picture.

    Args:
        jitter: where in its part each lies, float (*shape, count) in [0, 1); None: in the middle.
    """
    place = torch.arange(count, device=None if jitter is None else jitter.device)
    share = (place + (0.5 if jitter is None else jitter)) / count
    return (near * torch.exp(share * math.log(far / near))).expand(*shape, count)


def stopped(density: Tensor, distances: Tensor) -> Tensor:
    """The share of a ray's light that each sample stops, float (..., S); the sum is at most 1.

    A sample's density holds until the next sample: it stops 1 - exp(-density x length) of what reaches it.

    Args:
        density: float (..., S), 1 / metre.
        distances: float (..., S), metres, ascending.
    """
    lengths = functional.pad(distances.diff(dim=-1), (0, 1), value=_ENDLESS)
    depth = density * lengths
    before = functional.pad(depth[..., :-1].cumsum(-1), (1, 0))
    return torch.exp(-before) * (1 - torch.exp(-depth))


def resampled(distances: Tensor, weights: Tensor, places: Tensor) -> Tensor:
    """Distances drawn where the weights are (inverse transform sampling), float (..., F).

    A sample stands for the part of the ray up to halfway to its neighbours; within it all distances are as likely.

    Args:
        distances, weights: float (..., S).
        places: float (..., F) in [0, 1): which quantiles.
    """
    middles = (distances[..., 1:] + distances[..., :-1]) / 2
    edges = torch.cat((distances[..., :1], middles, distances[..., -1:]), -1)
    weights = weights + 1e-5  # a ray that nothing stops is sampled evenly
    total = functional.pad((weights / weights.sum(-1, keepdim=True)).cumsum(-1), (1, 0))
    after = torch.searchsorted(total, places.contiguous(), right=True).clamp(1, distances.shape[-1])
    low, high = (total.gather(-1, after - step) for step in (1, 0))
    start, end = (edges.gather(-1, after - step) for step in (1, 0))
    return start + ((places - low) / (high - low)).clamp(0, 1) * (end - start)


def seen_at(points: Tensor, intrinsics: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Where a camera sees points.

    Args:
        points: float (N, P, 3), metres, camera frame.
        intrinsics: float (N, 4), of a picture of `side` pixels a side.

    Returns:
        Places for `grid_sample` without aligned corners, float (N, P, 2): -1 and 1 are the picture's edges, half a
        pixel beyond the outermost centres. And bool (N, P): whether they lie before the camera; the places of others
        say nothing.
    """
    z = points[..., 2:]
    pixels = intrinsics[:, None, :2] * points[..., :2] / z.clamp(min=_NEAREST) + intrinsics[:, None, 2:]
    return (2 * pixels + 1) / side - 1, z[..., 0] > _NEAREST
