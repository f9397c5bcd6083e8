"""The splat of splatting.py on a device of torch: the same float32 steps in the same order.

Minima do not depend on the order in which a device writes them, so the result is the same to the bit.
"""

from __future__ import annotations

import torch

from genego_ros.geometry.splatting import (
    DEPTH_TOLERANCE,
    LARGEST,
    NEAR,
    NOBODY,
    SMALLEST,
    WIDTH,
    single_precision,
)
from genego_ros.types import Camera, Cloud, Float64Array, SparseView


def splat_torch(cloud: Cloud, T_ego_exo: Float64Array, camera: Camera, device: str) -> SparseView:
    """What `splatting.splat` documents, on `device` (`cuda:0`, or `cpu` to compare)."""
    transform, intrinsics = single_precision(T_ego_exo, camera)
    points = torch.tensor(cloud.points, device=device)
    u, v, z = _project(points, transform.tolist(), intrinsics.tolist())
    spacing = torch.tensor(cloud.spacing, device=device)
    reach = z - (DEPTH_TOLERANCE * z + WIDTH * spacing)
    side = (float(intrinsics[4]) * spacing / z).clamp(SMALLEST, LARGEST).ceil()
    left, top = (u - 0.5 * side).ceil(), (v - 0.5 * side).ceil()
    seen = (z > float(NEAR)) & (left > -side) & (left < camera.width) & (top > -side) & (top < camera.height)

    # One entry a pixel of a square from here on; a border of LARGEST pixels saves the clipping.
    drawn = seen.nonzero().squeeze(1)
    area = side[drawn].long().square()
    owner = drawn.repeat_interleave(area)
    within = torch.arange(len(owner), device=device) - (area.cumsum(0) - area).repeat_interleave(area)
    width = side[owner].long()
    column, row = left[owner].long() + within % width, top[owner].long() + within // width
    stride = camera.width + 2 * LARGEST
    pixel = (row + LARGEST) * stride + column + LARGEST

    count = (camera.height + 2 * LARGEST) * stride
    nearest = torch.full((count,), torch.inf, device=device)
    nearest.scatter_reduce_(0, pixel, z[owner], "amin")
    du, dv = column.float() - u[owner], row.float() - v[owner]
    distance = du * du + dv * dv
    key = (distance.view(torch.int32).long() << 32) | owner
    key = torch.where(reach[owner] <= nearest[pixel], key, int(NOBODY))
    best = torch.full((count,), int(NOBODY), device=device)
    best.scatter_reduce_(0, pixel, key, "amin")

    best = best.view(-1, stride)[LARGEST:-LARGEST, LARGEST:-LARGEST].contiguous()
    landed = best != int(NOBODY)
    winner = best[landed] & 0xFFFFFFFF
    rgb = torch.zeros((*best.shape, 3), dtype=torch.uint8, device=device)
    rgb[landed] = torch.tensor(cloud.colors, device=device)[winner]
    depth = torch.full(best.shape, torch.nan, device=device)
    depth[landed] = z[winner]
    return SparseView(rgb.cpu().numpy(), depth.cpu().numpy(), landed.cpu().numpy())


def _project(
    points: torch.Tensor, T: list[list[float]], K: list[float]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """u, v in pixels and z in metres. One operation at a time: torch then fuses nothing."""
    x, y, z = points.unbind(1)
    depth = T[2][0] * x + T[2][1] * y + T[2][2] * z + T[2][3]
    u = K[0] * (T[0][0] * x + T[0][1] * y + T[0][2] * z + T[0][3]) / depth + K[2]
    v = K[1] * (T[1][0] * x + T[1][1] * y + T[1][2] * z + T[1][3]) / depth + K[3]
    return u, v, depth
