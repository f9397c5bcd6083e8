"""Textures and materials as the graphics card wants them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from genego_ros.data.synthetic import color
from genego_ros.data.synthetic.scene import Material, Mesh
from genego_ros.types import Array, ByteArray, FloatArray

LARGEST = 1024
"""Side of the textures at most; all of a scene have one size, the largest that one of them asks for."""


def linear(picture: ByteArray) -> FloatArray:
    """Linear light, float32, of sRGB bytes."""
    light: FloatArray = color.linear(np.arange(256)).astype(np.float32)[picture]
    return light


def slopes(bump: FloatArray) -> FloatArray:
    """float32 (H, W, 2): how the height grows along u and v over one whole tile, metres; the texture repeats."""
    height, width = bump.shape
    along_u = (np.roll(bump, -1, axis=1) - np.roll(bump, 1, axis=1)) * (width / 2)
    along_v = (np.roll(bump, -1, axis=0) - np.roll(bump, 1, axis=0)) * (height / 2)
    return np.stack([along_u, along_v], axis=-1).astype(np.float32)


def side_of(pictures: Sequence[Array]) -> int:
    """The power of two that holds the largest picture, at most `LARGEST`."""
    largest = max((max(picture.shape[:2]) for picture in pictures), default=1)
    return min(1 << (largest - 1).bit_length(), LARGEST)


def squared(picture: FloatArray, side: int) -> FloatArray:
    """A picture stretched to (side, side)."""
    if picture.shape[:2] == (side, side):
        return picture
    way = cv2.INTER_AREA if max(picture.shape[:2]) >= side else cv2.INTER_LINEAR
    stretched: FloatArray = cv2.resize(picture, (side, side), interpolation=way)
    return stretched


def material_rows(meshes: Sequence[Mesh], layers: dict[int, int], bumps: dict[int, int]) -> FloatArray:
    """float32 (M, 3, 4): colour, roughness | kind, smooth, layer of texture and of bump or -1 | tile.

    Args:
        layers, bumps: id of a texture or bump array to its layer.
    """
    rows = np.zeros((len(meshes), 3, 4), np.float32)
    for row, mesh in zip(rows, meshes, strict=True):
        material = mesh.material
        row[0] = *material.color, material.roughness
        row[1] = kind(material), mesh.smooth, layers.get(id(material.texture), -1), bumps.get(id(material.bump), -1)
        row[2, 0] = material.tile
    return rows


def kind(material: Material) -> float:
    """What surface.frag calls the shape's fourth number: -subsurface, metallic, or 1 + emission."""
    if material.emission > 0:
        return 1.0 + material.emission
    return material.metallic if material.metallic > 0 else -material.subsurface
