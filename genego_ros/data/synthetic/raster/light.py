"""What a graphics card needs to know of light: harmonics, mirror images of the environment, lamps' views."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike

from genego_ros.data.synthetic.scene import Environment, KeyLight, Scene
from genego_ros.types import Float64Array, FloatArray

NEAR, FAR = 0.03, 200.0
"""Metres between which triangles are drawn, by cameras and lamps."""
DISTANT = 60.0
"""Metres at which the environment's brightest spot is placed."""
LEAST_HEIGHT = 0.3
"""Sine of the elevation below which a spot is none; from there rooms have walls."""
LEAST_SHARE = 0.06
"""Share of the light on the table below which a spot casts no shadow to speak of."""
LUMA = np.array([0.2126, 0.7152, 0.0722])
"""ITU-R BT.709."""
MIDDLING = np.array([0.4, 0.36, 0.32])
"""What an unknown neighbour reflects: wood, skin, paper."""
LEVELS = 8
"""Mirror images of the environment: level k is for roughness k / (LEVELS - 1)."""
MIRROR = (64, 128)
"""Rows and columns of those."""


def directions(rows: int) -> tuple[Float64Array, Float64Array]:
    """Unit vectors float64 (rows, 2 rows, 3) of an equirectangular picture's pixels, and their solid angles."""
    polar = np.pi * (np.arange(rows) + 0.5) / rows
    azimuth = np.pi * (np.arange(2 * rows) + 0.5) / rows
    x, y = np.sin(polar)[:, None] * np.cos(azimuth), np.sin(polar)[:, None] * np.sin(azimuth)
    z = np.repeat(np.cos(polar)[:, None], 2 * rows, axis=1)
    edges = np.cos(np.pi * np.arange(rows + 1) / rows)
    solid_angles = np.repeat(((edges[:-1] - edges[1:]) * np.pi / rows)[:, None], 2 * rows, axis=1)
    return np.stack([x, y, z], axis=-1), solid_angles


def shrink(radiance: FloatArray, rows: int) -> FloatArray:
    """An equirectangular picture of that many rows; smaller by the mean of areas."""
    if radiance.shape[0] == rows:
        return radiance
    way = cv2.INTER_AREA if radiance.shape[0] > rows else cv2.INTER_LINEAR
    smaller: FloatArray = cv2.resize(radiance, (2 * rows, rows), interpolation=way)
    return smaller


def harmonics(environment: Environment) -> FloatArray:
    """float32 (9, 3): irradiance over pi as a polynomial of the normal (Ramamoorthi and Hanrahan 2001, eq. 13).

    The terms are 1, y, z, x, xy, yz, 3 z^2 - 1, xz, x^2 - y^2 of the world's axes.
    """
    picture = shrink(environment.radiance, 32).astype(np.float64)
    d, solid_angles = directions(32)
    turn = environment.turn
    x = d[..., 0] * np.cos(turn) - d[..., 1] * np.sin(turn)
    y = d[..., 0] * np.sin(turn) + d[..., 1] * np.cos(turn)
    z = d[..., 2]
    basis = np.stack([np.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y])
    norms = np.array([0.282095, 0.488603, 0.488603, 0.488603, 1.092548, 1.092548, 0.315392, 1.092548, 0.546274]) ** 2
    cosine_lobe = np.array([1.0, *[2 / 3] * 3, *[1 / 4] * 5])
    moments = np.einsum("khw,hw,hwc->kc", basis, solid_angles, picture)
    return (moments * (norms * cosine_lobe)[:, None]).astype(np.float32)


def without_brightest(environment: Environment, target: tuple[float, float, float]) -> Parted:
    """Takes the brightest spot out of an environment, as a far lamp that can cast shadows.

    The spot is what exceeds the light around it within 25 degrees; it stays where it is if it is low or weak.
    """
    rows = 32
    picture = shrink(environment.radiance, rows).astype(np.float64)
    d, solid_angles = directions(rows)
    luminance = picture @ LUMA
    peak = d.reshape(-1, 3)[np.argmax(cv2.GaussianBlur(luminance, (0, 0), 1.5, borderType=cv2.BORDER_REFLECT))]
    cosine = d @ peak
    ring = (cosine < np.cos(np.radians(25.0))) & (cosine > np.cos(np.radians(40.0)))
    excess = np.maximum(picture - np.median(picture[ring], axis=0), 0) * (cosine > np.cos(np.radians(25.0)))[..., None]
    strength = excess @ LUMA * solid_angles
    middle = np.einsum("hw,hwk->k", strength, d) / max(strength.sum(), 1e-12)
    level = np.sum(luminance * solid_angles * np.maximum(d[..., 2], 0))
    if middle[2] < LEAST_HEIGHT or strength.sum() * middle[2] < LEAST_SHARE * level:
        return Parted(environment, None)
    middle /= np.linalg.norm(middle)
    spread = np.sqrt(np.sum(strength * (1 - np.minimum(d @ middle, 1.0) ** 2)) / strength.sum())
    c, s = np.cos(environment.turn), np.sin(environment.turn)
    towards = np.array([c * middle[0] - s * middle[1], s * middle[0] + c * middle[1], middle[2]])
    x, y, z = np.add(target, DISTANT * towards).tolist()
    red, green, blue = np.einsum("hwc,hw->c", excess, solid_angles).tolist()
    # An even disk of radius r has the mean square distance r^2 / 2 from its middle; a square of its area is the lamp.
    size = float(np.sqrt(2 * np.pi) * spread * DISTANT)
    rest = Environment((picture - excess).astype(np.float32), environment.turn)
    return Parted(rest, KeyLight((x, y, z), target, size, (red, green, blue)))


def bounce(scene: Scene) -> Float64Array:
    """(3,): radiance of a surface of middling colour that looks up, lit by the environment and the lamps."""
    received = harmonics(scene.environment).T @ [1, 0, 1, 0, 0, 0, 2, 0, 0]
    for lamp in scene.lights:
        received = received + np.asarray(lamp.irradiance) * max(-lamp_axes(lamp)[2, 2], 0.0) / np.pi
    return MIDDLING * np.maximum(received, 0)


def mirror_images(radiance: FloatArray) -> FloatArray:
    """float32 (LEVELS, *MIRROR, 3): the environment as GGX surfaces of growing roughness mirror it.

    View and normal along the mirrored direction (Karis 2013), weighted with the cosine.
    """
    # The second level's lobe is hardly wider than a pixel.
    levels = [shrink(radiance, MIRROR[0])] * 2
    for level in range(2, LEVELS):
        weights = _lobes(level)
        rows = int(np.sqrt(len(weights) // 2))
        # Not by BLAS, whose sums depend on the number of threads.
        image = np.einsum("ij,jc->ic", weights, shrink(radiance, rows).reshape(-1, 3))
        levels.append(shrink(image.reshape(rows, 2 * rows, 3), MIRROR[0]))
    return np.stack(levels)


@cache
def _lobes(level: int) -> FloatArray:
    """float32 (N, N): what each pixel of an equirectangular picture gives to the mirror image in each direction."""
    source, solid_angles = directions(32 if level == 2 else 16)  # finer than the lobe
    alpha = (level / (LEVELS - 1)) ** 2
    cosine = source.reshape(-1, 3) @ source.reshape(-1, 3).T
    # The squared cosine of half the angle is that between normal and half vector.
    lobe = np.maximum(cosine, 0) * solid_angles.reshape(-1) / (0.5 * (1 + cosine) * (alpha * alpha - 1) + 1) ** 2
    weights: FloatArray = (lobe / lobe.sum(axis=1, keepdims=True)).astype(np.float32)
    return weights


class Parted(NamedTuple):
    """An environment in two."""

    rest: Environment
    spot: KeyLight | None


@dataclass(frozen=True)
class LampView:
    """A lamp's shadow map: a pinhole picture from its middle."""

    T_lamp_world: Float64Array
    """float64 (4, 4); the lamp looks along its z."""
    focal: float
    """Texels."""
    size: int

    @property
    def clip_from_world(self) -> Float64Array:
        scale = 2 * self.focal / self.size
        return clip_space(self.T_lamp_world, (scale, scale), (0.0, 0.0))


def lamp_view(lamp: KeyLight, radius: float, widest_deg: float, size: int) -> LampView:
    """The view of a lamp that holds what is within `radius` metres of its target, but no wider than that angle."""
    position = np.array(lamp.position)
    towards = np.array(lamp.target) - position
    distance = float(np.linalg.norm(towards))
    half = np.radians(widest_deg) / 2
    if radius < distance:
        half = min(half, float(np.arcsin(radius / distance)))
    T = np.eye(4)
    T[:3, :3] = lamp_axes(lamp)
    T[:3, 3] = -T[:3, :3] @ position
    return LampView(T, float(0.5 * size / np.tan(half)), size)


def clip_space(T_camera_world: Float64Array, scale: ArrayLike, offset: ArrayLike) -> Float64Array:
    """float64 (4, 4), clip space from the world: a pinhole that shows (x, y) / z at scale * (x, y) / z + offset."""
    clip = np.zeros((4, 4))
    clip[0, 0], clip[1, 1] = np.asarray(scale)
    clip[0, 2], clip[1, 2] = np.asarray(offset)
    clip[2, 2:] = (FAR + NEAR) / (FAR - NEAR), -2 * FAR * NEAR / (FAR - NEAR)
    clip[3, 2] = 1
    return clip @ T_camera_world


def lamp_axes(lamp: KeyLight) -> Float64Array:
    """float64 (3, 3), rows: the square's two sides and its axis towards the target, world."""
    axis = np.array(lamp.target) - np.array(lamp.position)
    axis = axis / np.linalg.norm(axis)
    helper = np.array([0.0, 0.0, 1.0]) if abs(axis[2]) < 0.9 else np.array([0.0, 1.0, 0.0])
    side = np.cross(helper, axis)
    side /= np.linalg.norm(side)
    return np.stack([side, np.cross(axis, side), axis])
