"""Splatting a VGA cloud into 512 x 512, against a loop-free numpy z-sort with the same squares."""

from __future__ import annotations

import numpy as np

from bench import Result, interleaved_ms
from genego_ros.geometry.camera import unproject
from genego_ros.geometry.rigid import invert, look_at
from genego_ros.geometry.splatting import LARGEST, NEAR, SMALLEST, WIDTH, splat
from genego_ros.types import BoolArray, ByteArray, Camera, Cloud, Float64Array

EGO = Camera.from_hfov(512, 512, 60.0)


def scene() -> tuple[Cloud, Float64Array]:
    """307,200 points of a slanted, bumpy wall with boxes before it, and T_ego_exo: 20 cm to the side."""
    camera = Camera(640, 480, 525.0, 525.0, 319.5, 239.5)
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:480, :640]
    depth = 1.2 + 0.0008 * column + 0.02 * np.sin(row / 9.0) + rng.normal(0, 0.002, (480, 640))
    depth[150:330, 100:250] -= 0.3
    depth[200:400, 380:500] -= 0.5
    rgb = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    cloud = unproject(depth.astype(np.float32), rgb, camera, 0.1, 8.0)
    return cloud, invert(look_at((0.2, 0.0, 0.0), (0.0, 0.0, 1.3), (0.0, -1.0, 0.0)))


def splat_numpy(cloud: Cloud, T_ego_exo: Float64Array, camera: Camera) -> tuple[ByteArray, BoolArray]:
    """Painter's algorithm: squares sorted from far to near, written in that order."""
    T = T_ego_exo.astype(np.float32)
    x, y, z = (cloud.points @ T[:3, :3].T + T[:3, 3]).T
    in_front = np.flatnonzero(z > NEAR)
    order = in_front[np.argsort(-z[in_front])]
    x, y, z = x[order], y[order], z[order]
    u, v = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
    focal = max(camera.fx, camera.fy)
    side = np.ceil(np.clip(WIDTH * focal * cloud.spacing[order] / z, SMALLEST, LARGEST)).astype(np.int32)
    left, top = np.ceil(u - side / 2).astype(np.int32), np.ceil(v - side / 2).astype(np.int32)
    area = side * side
    owner = np.repeat(np.arange(len(order)), area)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(area) - area, area)
    column, row = left[owner] + within % side[owner], top[owner] + within // side[owner]
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    column, row, owner = column[inside], row[inside], owner[inside]
    rgb = np.zeros((camera.height, camera.width, 3), np.uint8)
    depth = np.full((camera.height, camera.width), np.nan, np.float32)
    rgb[row, column] = cloud.colors[order][owner]
    depth[row, column] = z[owner]
    return rgb, ~np.isnan(depth)


def run() -> list[Result]:
    cloud, T = scene()
    projected = splat(cloud, T, EGO).projected
    differing = np.mean(projected != splat_numpy(cloud, T, EGO)[1])
    if differing > 1e-4:  # rounding may move a square by a pixel, no more
        raise AssertionError(f"the two sides cover other pixels: {differing:.2%} differ")
    ours, theirs = interleaved_ms(lambda: splat(cloud, T, EGO), lambda: splat_numpy(cloud, T, EGO), rounds=15)
    return [
        Result(
            name=f"splatting, {len(cloud.points):,} points into 512 x 512",
            value=ours,
            unit="ms",
            reference="loop-free numpy z-sort, same squares",
            reference_value=theirs,
            target="<= 10 ms, >= 5x",
            met=ours <= 10.0 and theirs >= 5.0 * ours,
        )
    ]
