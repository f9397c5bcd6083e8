"""Pinhole projection between pixels, rays and points."""

from __future__ import annotations

import cv2
import numpy as np
from numba import float32, intp, njit, types, uint8

from genego_ros.errors import GenEgoError
from genego_ros.types import Array, BoolArray, ByteArray, Camera, Cloud, Float64Array, FloatArray

STEEPEST = np.float32(4.0)
"""Tangent of the largest slant that one surface is believed to have, 76 degrees."""
FLYING = np.float32(15.0)
"""Tangent of the slant, 86 degrees, from which a pixel between two others belongs to neither of their surfaces."""


def rays(camera: Camera) -> FloatArray:
    """Directions through the pixel centres, float32 (H, W, 3), camera frame, z = 1.

    A ray times its pixel's depth is the point seen there.
    """
    directions = np.ones((camera.height, camera.width, 3), np.float32)
    directions[..., 0] = (np.arange(camera.width) - camera.cx) / camera.fx
    directions[..., 1] = ((np.arange(camera.height) - camera.cy) / camera.fy)[:, None]
    return directions


def project(points: Array, camera: Camera) -> tuple[Float64Array, Float64Array]:
    """Where points of the camera frame fall in the picture.

    Args:
        points: (N, 3), metres, camera frame.

    Returns:
        Pixels, float64 (N, 2), (column, row), outside the picture too; NaN where z <= 0.
        Depths z, float64 (N,), metres.
    """
    x, y, z = np.asarray(points, np.float64).T
    in_front = np.where(z > 0, z, np.nan)
    pixels = np.stack([camera.fx * x / in_front + camera.cx, camera.fy * y / in_front + camera.cy], axis=1)
    return pixels, z


def as_seen_by(picture: ByteArray, camera: Camera, wanted: Camera) -> tuple[ByteArray, BoolArray]:
    """A picture of one camera as another in the same place, turned the same way, would have taken it.

    Args:
        picture: uint8 (H, W, 3), of `camera`.

    Returns:
        uint8 (H', W', 3) of `wanted`, black beyond the picture, and bool (H', W'): where the picture reaches.
    """
    # To the wanted scale by area first, so that nothing is left out; the rest is a shift and a little more.
    size = (round(camera.width * wanted.fx / camera.fx), round(camera.height * wanted.fy / camera.fy))
    way = cv2.INTER_AREA if size[0] < camera.width else cv2.INTER_LINEAR
    scaled = cv2.resize(picture, size, interpolation=way) if size != (camera.width, camera.height) else picture
    source = camera.resized(*size)
    to_source = source.matrix @ np.linalg.inv(wanted.matrix)
    target = (wanted.width, wanted.height)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(np.asarray(scaled), to_source[:2], target, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    u = to_source[0, 0] * np.arange(wanted.width) + to_source[0, 2]
    v = to_source[1, 1] * np.arange(wanted.height) + to_source[1, 2]
    known = ((v > -0.5) & (v < size[1] - 0.5))[:, None] & ((u > -0.5) & (u < size[0] - 0.5))
    moved[~known] = 0
    return np.asarray(moved), known


def unproject(depth: FloatArray, rgb: ByteArray, camera: Camera, near: float, far: float) -> Cloud:
    """The cloud of a depth image, in the camera frame, in row order.

    A point's `spacing` is sqrt(g^2 + d^2): the gap g = z max(1 / fx, 1 / fy) between neighbouring rays
    at its depth, and the larger difference of depth d to a neighbouring pixel, (next - last) / 2 along
    the row or the column. A step above `STEEPEST` gaps spans an edge and does not count; the step to the
    other side does alone.

    Flying pixels are left out: where depth cameras and networks mix what lies before an edge with what
    lies behind it, depth steps the same way by more than `FLYING` gaps on both sides of a pixel.

    Args:
        depth: float32 (H, W), metres along z, NaN invalid.
        rgb: uint8 (H, W, 3), RGB, registered to `depth`.
        near, far: metres; depth outside of [near, far], and zero, is left out.

    Raises:
        GenEgoError: the pictures are of another size or type than the camera wants.
    """
    shape = (camera.height, camera.width)
    if depth.shape != shape or depth.dtype != np.float32:
        raise GenEgoError(f"depth is {depth.dtype} {depth.shape}, its camera wants float32 {shape}")
    if rgb.shape != (*shape, 3) or rgb.dtype != np.uint8:
        raise GenEgoError(f"picture is {rgb.dtype} {rgb.shape}, its camera wants uint8 {(*shape, 3)}")
    points = np.empty((depth.size, 3), np.float32)
    colors = np.empty((depth.size, 3), np.uint8)
    spacing = np.empty(depth.size, np.float32)
    n = _unproject(
        np.require(depth, requirements=["C", "A"]),
        np.require(rgb, requirements=["C", "A"]),
        ((np.arange(camera.width) - camera.cx) / camera.fx).astype(np.float32),
        ((np.arange(camera.height) - camera.cy) / camera.fy).astype(np.float32),
        max(1.0 / camera.fx, 1.0 / camera.fy),
        near,
        far,
        points,
        colors,
        spacing,
    )
    return Cloud(points[:n], colors[:n], spacing[:n])


@njit(inline="always")
def _step(depth, neighbour):  # type: ignore[no-untyped-def]
    return neighbour - depth if neighbour > 0 else np.float32(np.nan)


@njit(inline="always")
def _flies(before, after, limit):  # type: ignore[no-untyped-def]
    """Steps the same way on both sides of a pixel; false for NaN."""
    return (before > limit and after > limit) or (before < -limit and after < -limit)


@njit(inline="always")
def _slope(before, after, limit):  # type: ignore[no-untyped-def]
    """Depth from pixel to pixel, by both neighbours or, beside an edge, by the one on the same surface."""
    back, on = abs(before), abs(after)
    if back <= limit and on <= limit:  # false for NaN
        return np.float32(0.5) * abs(before + after)
    if back <= limit:
        return back
    return on if on <= limit else np.float32(0)


# Compiled when imported, not at the first frame. Inputs are declared read-only because arrays that
# look into a message's bytes are; writable ones are accepted too.
@njit(
    intp(
        types.Array(float32, 2, "C", readonly=True),
        types.Array(uint8, 3, "C", readonly=True),
        float32[::1],
        float32[::1],
        float32,
        float32,
        float32,
        float32[:, ::1],
        uint8[:, ::1],
        float32[::1],
    ),
    cache=True,
    nogil=True,
)
def _unproject(depth, rgb, ray_x, ray_y, pitch, near, far, points, colors, spacing):  # type: ignore[no-untyped-def]
    n = 0
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            z = depth[row, column]
            if z > 0 and near <= z <= far:  # false for NaN
                gap = pitch * z
                west = -_step(z, depth[row, max(column - 1, 0)])
                east = _step(z, depth[row, min(column + 1, depth.shape[1] - 1)])
                north = -_step(z, depth[max(row - 1, 0), column])
                south = _step(z, depth[min(row + 1, depth.shape[0] - 1), column])
                if _flies(west, east, FLYING * gap) or _flies(north, south, FLYING * gap):
                    continue
                points[n, 0] = ray_x[column] * z
                points[n, 1] = ray_y[row] * z
                points[n, 2] = z
                colors[n, 0] = rgb[row, column, 0]
                colors[n, 1] = rgb[row, column, 1]
                colors[n, 2] = rgb[row, column, 2]
                limit = STEEPEST * gap
                slope = max(_slope(west, east, limit), _slope(north, south, limit))
                spacing[n] = np.sqrt(gap * gap + slope * slope)
                n += 1
    return n
