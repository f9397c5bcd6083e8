"""What a camera sees of a head, point by point."""

from __future__ import annotations

import numpy as np

from genego_ros.data.synthetic.rig import Head
from genego_ros.geometry import rigid
from genego_ros.types import Camera, Float64Array


def sphere(centre: Float64Array, radius: float, count: int = 4000) -> Float64Array:
    """Points evenly spread over a sphere (a Fibonacci lattice)."""
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    ring = np.sqrt(1 - z**2)
    return centre + radius * np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)


def in_picture(camera: Camera, T_world_camera: Float64Array, points: Float64Array) -> np.ndarray:
    local = rigid.apply(rigid.invert(T_world_camera), points)
    u, v, w = (local @ camera.matrix.T).T
    x, y = u / w, v / w
    return (w > 0) & (x >= -0.5) & (x <= camera.width - 0.5) & (y >= -0.5) & (y <= camera.height - 0.5)


def head_seen(camera: Camera, T_world_camera: Float64Array, eyes: Float64Array) -> Head:
    """How much of the ball of 12 cm around the eyes (3,), world, is in the picture."""
    share = in_picture(camera, T_world_camera, sphere(eyes, 0.1199)).mean()
    return "visible" if share == 1 else "cropped" if share > 0 else "absent"
