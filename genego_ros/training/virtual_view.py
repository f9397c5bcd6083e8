"""Views that a camera in the same place would have had, turned another way and with another lens.

A turn about the camera's centre moves pixels by a homography, whatever their depth is, so that picture, depth and
field of view of the new view are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from genego_ros.types import ByteArray, Camera, Float64Array, FloatArray

HFOV_DEG = (32.0, 82.0)
TURN_DEG = (20.0, 20.0, 15.0)
"""Largest pitch, yaw and roll."""
SQUEEZE = (0.97, 1.09)
"""A picture's ratio of sides over that of the network's size; 4:3 at 288 x 224 is 1.037, 16:9 at 320 x 192 is 1.067."""
COVERED = 0.8
"""Share of the new view that has to lie in the picture."""
_ATTEMPTS = 8


@dataclass(frozen=True)
class VirtualView:
    """A camera at the centre of another."""

    camera: Camera
    R_source_view: Float64Array
    """float64 (3, 3): maps directions of the view to those of the source camera."""

    @property
    def log_tangent(self) -> float:
        """Natural logarithm of the tangent of half the horizontal field of view."""
        return float(np.log(self.camera.width / (2 * self.camera.fx)))

    def homography(self, source: Camera, camera: Camera) -> Float64Array:
        """float64 (3, 3): from homogeneous pixels of `camera`, which is this view's at any size, to the source's."""
        return source.matrix @ self.R_source_view @ np.linalg.inv(camera.matrix)


def draw_view(source: Camera, size: tuple[int, int], rng: np.random.Generator) -> VirtualView:
    """A view at random, narrower and less turned until the source covers enough of it.

    Args:
        size: width and height of the network's picture, to which one of about that shape was squeezed.
    """
    width, height = size
    tangent = np.tan(np.radians(rng.uniform(*HFOV_DEG)) / 2)
    turn = np.radians(rng.uniform(-1, 1, 3) * TURN_DEG)
    squeeze = rng.uniform(*SQUEEZE)
    for _ in range(_ATTEMPTS):
        fx = width / (2 * tangent)
        camera = Camera(width, height, fx, fx * squeeze, (width - 1) / 2, (height - 1) / 2)
        view = VirtualView(camera, Rotation.from_euler("xyz", turn).as_matrix())
        if _covered(view, source) >= COVERED:
            break
        tangent, turn = 0.88 * tangent, 0.75 * turn
    return view


def _covered(view: VirtualView, source: Camera) -> float:
    columns, rows = np.meshgrid(np.linspace(0, view.camera.width - 1, 12), np.linspace(0, view.camera.height - 1, 12))
    pixels = np.stack([columns.ravel(), rows.ravel(), np.ones(columns.size)])
    u, v, w = view.homography(source, view.camera) @ pixels
    u, v = u / w, v / w
    return float(np.mean((w > 0) & (u >= 0) & (u <= source.width - 1) & (v >= 0) & (v <= source.height - 1)))


def picture_of(view: VirtualView, rgb: ByteArray, source: Camera, border: int = cv2.BORDER_REFLECT_101) -> ByteArray:
    """What the view shows, uint8 (H, W, 3) of its camera; beyond the source's picture, what `border` says."""
    # By area to about the wanted scale first, so that nothing is left out.
    scale = 1.25 * view.camera.fx / source.fx
    if scale < 0.8:
        size = (round(source.width * scale), round(source.height * scale))
        rgb, source = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), source.resized(*size)
    target = (view.camera.width, view.camera.height)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    H = view.homography(source, view.camera)
    return np.asarray(cv2.warpPerspective(rgb, H, target, flags=flags, borderMode=border))


def depth_of(view: VirtualView, depth: FloatArray, source: Camera, size: tuple[int, int]) -> FloatArray:
    """Depth along the view's own axis at its pixels' centres, float32 (height, width) of `size`; NaN where the source
    has none.

    Args:
        depth: float32 (H, W), metres along the source's axis, NaN invalid.
    """
    camera = view.camera.resized(*size)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    # OpenCV would write 0 for what lies beyond the picture; NaN is no border value that it keeps in every release.
    known = np.nan_to_num(depth, nan=0.0)
    found = cv2.warpPerspective(known, view.homography(source, camera), size, flags=flags, borderValue=0)
    found = np.where(found > 0, found, np.float32(np.nan))
    # A point z_view r of the view has the depth z_view (R r)_z along the source's axis.
    a, b, c = view.R_source_view[2] @ np.linalg.inv(camera.matrix)
    along = a * np.arange(camera.width) + (b * np.arange(camera.height) + c)[:, None]
    return (found / along).astype(np.float32)
