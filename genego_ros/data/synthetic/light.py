"""Light in a room: what comes from all around, and the lamps that cast shadows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from safetensors.numpy import load_file

from genego_ros.data.synthetic.scene import Environment, KeyLight
from genego_ros.resources import resource
from genego_ros.types import Float64Array, FloatArray

HEIGHT = 64
"""Rows of an environment."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""BT.709."""


@dataclass(frozen=True)
class Walls:
    """The box that a room is, as light sees it; its ceiling is the sky of the environment."""

    low: Float64Array
    """(2,), metres: x and y of the walls at -x and -y."""
    high: Float64Array
    height: float
    wall: Float64Array
    """(3,), linear RGB: what the walls reflect."""
    floor: Float64Array
    windows: tuple[tuple[int, float, float, float, float], ...]
    """Wall (0 to 3: +x, +y, -x, -y), middle along it (world x or y), width, lower and upper edge."""


@cache
def panoramas() -> dict[str, FloatArray]:
    """The shipped environments, float32 (64, 128, 3), of mean luminance 1; "indoors.hall", "outdoors.park", ...

    Raises:
        GenEgoError: the file is missing.
    """
    return {name: _white_sun(radiance.astype(np.float32)) for name, radiance in load_file(resource(_FILE)).items()}


def _white_sun(radiance: FloatArray) -> FloatArray:
    """A photograph of the sun clips its channels one by one and leaves it any colour: here it gets none."""
    brightness = radiance @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return np.where(radiance.max(axis=-1, keepdims=True) > SUN, brightness[..., None], radiance)


_FILE = "models/environments.safetensors"
SUN = 20.0
"""Times the mean luminance; what is brighter is the sun or a lamp."""


def directions(height: int = HEIGHT) -> Float64Array:
    """Unit vectors (height, 2 height, 3) of an equirectangular map's pixels, as `Environment` lays them out."""
    polar = np.pi * (np.arange(height) + 0.5) / height
    azimuth = np.pi * (np.arange(2 * height) + 0.5) / height
    return np.stack(
        np.broadcast_arrays(
            np.sin(polar)[:, None] * np.cos(azimuth), np.sin(polar)[:, None] * np.sin(azimuth), np.cos(polar)[:, None]
        ),
        axis=-1,
    )


def irradiance(radiance: FloatArray, normal: Float64Array) -> Float64Array:
    """Linear RGB (3,) that falls on a surface with that normal from an environment that nothing hides."""
    height = len(radiance)
    edges = np.cos(np.linspace(0, np.pi, height + 1))
    solid_angle = (edges[:-1] - edges[1:]) * np.pi / height
    cosine = np.maximum(directions(height) @ normal, 0)
    weight: Float64Array = np.einsum("hw,h,hwc->c", cosine, solid_angle, radiance.astype(np.float64))
    return weight


def key_irradiance(lights: tuple[KeyLight, ...], place: Float64Array) -> Float64Array:
    """Linear RGB (3,) that the lamps bring to a level surface at `place`, as if each were a point that radiates as a
    Lambertian."""
    total = np.zeros(3)
    for light in lights:
        position, target = np.asarray(light.position), np.asarray(light.target)
        axis = target - position
        way = place - position
        fall = (axis @ axis) / (way @ way)
        leaving = (axis @ way) / np.sqrt((axis @ axis) * (way @ way))
        arriving = -way[2] / np.sqrt(way @ way)
        total += np.asarray(light.irradiance) * fall * max(leaving, 0.0) * max(arriving, 0.0)
    return total


def surround(
    rng: np.random.Generator,
    sky: FloatArray,
    walls: Walls,
    place: Float64Array,
    overhead: Float64Array,
    daylight: Float64Array,
) -> Environment:
    """What a thing at `place` sees in a room: windows, walls and floor in the light that they get, and above the
    walls, where the room is open, the sky given.

    A path tracer finds the walls in the scene and uses the part above them alone; a rasteriser, which looks through
    them, is given their reflections here.

    Args:
        sky: float32 (64, 128, 3).
        overhead: (3,), linear RGB irradiance that the part above the walls brings to a level surface.
        daylight: (3,), linear RGB radiance of the windows.
    """
    way = directions(len(sky))
    with np.errstate(divide="ignore"):
        bounds = np.where(way[..., :2] > 0, walls.high, walls.low)
        sides = (bounds - place[:2]) / way[..., :2]
        down = np.where(way[..., 2] < 0, -place[2] / way[..., 2], np.inf)
    axis = np.argmin(sides, axis=-1)
    side = sides.min(axis=-1)
    hit = place + way * np.minimum(side, down)[..., None]
    above = (side < down) & (hit[..., 2] > walls.height) | (way[..., 2] > 0.999)
    turned = np.roll(sky, int(rng.integers(sky.shape[1])), axis=1).astype(np.float64)
    opening = np.where(above[..., None], turned + 0.15 * turned.mean(axis=(0, 1)), 0)
    opening *= (overhead @ LUMINANCE) / (irradiance(opening.astype(np.float32), _UP) @ LUMINANCE)
    # Half of the panorama's tint is enough: eyes and cameras adapt to the rest.
    tint = irradiance(opening.astype(np.float32), _UP)
    opening *= np.sqrt((overhead / overhead.mean()) / (tint / tint.mean()))
    lit = 0.5 * overhead + 0.4 * daylight
    radiance = np.where((down < side)[..., None], walls.floor * overhead / np.pi, walls.wall * lit / np.pi)
    wall = np.where(axis == 0, np.where(way[..., 0] > 0, 0, 2), np.where(way[..., 1] > 0, 1, 3))
    for number, middle, width, low, high in walls.windows:
        along = hit[..., 1 - number % 2] - middle
        inside = (wall == number) & (np.abs(along) < width / 2) & (hit[..., 2] > low) & (hit[..., 2] < high)
        radiance = np.where((inside & (side < down))[..., None], daylight, radiance)
    return Environment(np.where(above[..., None], opening, radiance).astype(np.float32))


_UP = np.array([0.0, 0.0, 1.0])


def ceiling(rng: np.random.Generator) -> FloatArray:
    """A ceiling with a few bright panels or lamps, float32 (64, 128, 3), as seen from below."""
    way = directions()
    up = np.maximum(way[..., 2], 0.05)
    x, y = way[..., 0] / up, way[..., 1] / up
    radiance = np.full(way.shape, 0.25, np.float32)
    step = rng.uniform(0.7, 1.4)
    wide, long = rng.uniform(0.06, 0.25), rng.uniform(0.2, 0.6)
    phase = rng.uniform(0, step, 2)
    panel = (np.abs((x + phase[0]) % step - step / 2) < wide) & (np.abs((y + phase[1]) % step - step / 2) < long)
    radiance[panel & (np.hypot(x, y) < 2.5)] = rng.uniform(6, 14)
    return radiance
