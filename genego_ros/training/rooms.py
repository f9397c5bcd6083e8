"""Rooms, corridors, desks and tabletops of nothing but boxes, for the depth network beside recordings.

The recordings show people at tables from where their cameras stand. What a floor, a wall or the edge of a table looks
like from anywhere else is learned here: the geometry is bare, its surfaces are pieces of other pictures.

The camera is at the origin of the world, whose y axis points down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from genego_ros.types import ByteArray, Camera, Float64Array, FloatArray

HFOV_DEG = (38.0, 80.0)
TEXTURE, LEVELS, TEXTURES = 128, 6, 10
"""Texels of a side; textures are blurred over 2 ** level texels; how many there are in a scene."""
_AMBIENT = 0.45
_CORNER = 0.2
"""Metres from a corner of the room over which it gets darker."""


class Boxes(NamedTuple):
    """The first is the room, which is seen from inside."""

    centres: Float64Array
    """float64 (N, 3), metres, world."""
    halves: Float64Array
    """float64 (N, 3): half the sides, metres, along the box's own axes."""
    turns: Float64Array
    """float64 (N,): radians about the vertical."""


def draw_room(
    size: tuple[int, int], pictures: Sequence[ByteArray], rng: np.random.Generator
) -> tuple[ByteArray, FloatArray, float]:
    """A scene at random.

    Args:
        size: width and height of the picture; divisible by 2.
        pictures: uint8 (H, W, 3), whose pieces become surfaces; may be empty.

    Returns:
        The picture, uint8 (height, width, 3); depth along z at half its size, float32 (height / 2, width / 2), metres;
        the natural logarithm of the tangent of half the horizontal field of view.
    """
    width, height = size
    tangent = np.tan(np.radians(rng.uniform(*HFOV_DEG)) / 2)
    fx = width / (2 * tangent)
    camera = Camera(width, height, fx, fx * rng.uniform(0.97, 1.09), (width - 1) / 2, (height - 1) / 2)
    boxes, turn = _tabletop(rng) if rng.random() < 0.4 else _room(rng)
    textures = np.stack([_texture(pictures, rng) for _ in range(TEXTURES)])
    picture = render(boxes, turn, camera, textures, rng)
    # The depth of half the size is that of its own pixels' centres, not a mean across edges.
    return picture, trace(boxes, turn, camera.resized(width // 2, height // 2))[0], float(np.log(tangent))


def render(
    boxes: Boxes, R_world_camera: Float64Array, camera: Camera, textures: ByteArray, rng: np.random.Generator
) -> ByteArray:
    """Picture, uint8 (H, W, 3), with surfaces and lights at random.

    Args:
        textures: uint8 (K, LEVELS, TEXTURE, TEXTURE, 3).
    """
    count = len(boxes.turns)
    surfaces = rng.integers(0, len(textures), (count, 6))
    same = rng.random(count) < 0.5
    surfaces[same] = surfaces[same, :1]
    texels = TEXTURE / np.exp(rng.uniform(np.log(0.3), np.log(3.0), (count, 6)))  # a metre
    tints = rng.uniform(0.6, 1.2, (count, 6, 1)) * rng.uniform(0.9, 1.1, (count, 6, 3))
    low, high = boxes.centres[0] - boxes.halves[0], boxes.centres[0] + boxes.halves[0]
    lights = rng.uniform(low, high, (int(rng.integers(1, 4)), 3))
    lights[:, 1] = low[1] + 0.1
    found = trace(boxes, R_world_camera, camera)
    picture = np.empty((camera.height, camera.width, 3), np.uint8)
    _shade(R_world_camera, _intrinsics(camera), *boxes, *found, textures, surfaces, texels, tints, lights, picture)
    return picture


def trace(
    boxes: Boxes, R_world_camera: Float64Array, camera: Camera
) -> tuple[FloatArray, NDArray[np.int32], NDArray[np.int32]]:
    """Depth along z, float32 (H, W), metres; the number of the box that is seen, int32 (H, W); the number of the box's
    axis across which the face lies that is seen, int32 (H, W)."""
    shape = (camera.height, camera.width)
    found = np.empty(shape, np.float32), np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    _trace(R_world_camera, _intrinsics(camera), *boxes, *found)
    return found


def _intrinsics(camera: Camera) -> Float64Array:
    return np.array([camera.fx, camera.fy, camera.cx, camera.cy])


def _room(rng: np.random.Generator) -> tuple[Boxes, Float64Array]:
    """A room or corridor, with furniture, from eye height."""
    eyes = rng.uniform(0.9, 2.1)
    corridor = rng.random() < 0.4
    half_width = rng.uniform(0.8, 1.6) if corridor else rng.uniform(1.5, 4.0)
    ahead, behind = rng.uniform(4.0, 15.0) if corridor else rng.uniform(1.5, 7.0), rng.uniform(0.3, 2.0)
    ceiling = rng.uniform(2.3, 3.5)
    aside = rng.uniform(-0.6, 0.6) * half_width
    centre = (aside, eyes - ceiling / 2, (ahead - behind) / 2)
    found = [(centre, (half_width, ceiling / 2, (ahead + behind) / 2), 0.0)]
    for _ in range(rng.integers(1, 12)):
        place = (rng.uniform(-1, 1) * half_width + aside, rng.uniform(0.9, 0.95 * ahead + 0.1))
        if corridor:
            # Beside the way: cupboards, doors.
            place = (aside + rng.choice([-1.0, 1.0]) * half_width * rng.uniform(0.75, 1.0), place[1])
        if np.hypot(*place) < 0.8:
            continue
        if not corridor and rng.random() < 0.4:
            found += _desk(place, eyes, rng)
            continue
        half = np.array([rng.uniform(0.1, 0.7), np.exp(rng.uniform(np.log(0.15), np.log(1.1))), rng.uniform(0.1, 0.7)])
        turn = rng.choice([0.0, rng.uniform(-0.8, 0.8)])
        found.append(((place[0], eyes - half[1], place[1]), tuple(half), turn))
    pitch, yaw, roll = rng.normal(-12, 12), rng.normal(0, 10 if corridor else 25), rng.normal(0, 3)
    return _boxes(found), _turned(pitch, yaw, roll)


def _tabletop(rng: np.random.Generator) -> tuple[Boxes, Float64Array]:
    """A table from close by, with things on it."""
    above = rng.uniform(0.25, 0.8)
    floor, eyes = above + rng.uniform(0.65, 0.85), 0.0
    walls = rng.uniform(1.2, 4.0)
    found = [((0.0, floor - 1.3, walls / 2 - 0.2), (rng.uniform(1.2, 4.0), 1.3, walls / 2 + 0.8), rng.normal(0, 0.3))]
    half = (rng.uniform(0.4, 1.6), 0.02, rng.uniform(0.3, 1.0))
    turn = rng.normal(0, 0.3)
    middle = np.array([rng.uniform(-0.3, 0.3), above + half[1], half[2] + rng.uniform(-0.3, 0.3)])
    found.append((tuple(middle), half, turn))
    for _ in range(rng.integers(1, 9)):
        size = np.exp(rng.uniform(np.log(0.015), np.log(0.14), 3))
        x, z = _on(middle, half, turn, rng)
        found.append(((x, above - size[1], z), tuple(size), rng.uniform(-np.pi, np.pi)))
        if rng.random() < 0.3:
            other = size * rng.uniform(0.4, 1.1, 3)
            found.append(((x, above - 2 * size[1] - other[1], z), tuple(other), rng.uniform(-np.pi, np.pi)))
    away = rng.uniform(0.5, 1.0)
    down = -np.degrees(np.arctan2(above - eyes, away)) + rng.normal(0, 8)
    return _boxes(found), _turned(down, rng.normal(0, 10), rng.normal(0, 5))


def _on(
    middle: Float64Array, half: tuple[float, float, float], turn: float, rng: np.random.Generator
) -> tuple[float, float]:
    """x and z of a place on a slab."""
    x, z = rng.uniform(-0.9, 0.9, 2) * (half[0], half[2])
    return middle[0] + np.cos(turn) * x + np.sin(turn) * z, middle[2] - np.sin(turn) * x + np.cos(turn) * z


def _desk(place: tuple[float, float], eyes: float, rng: np.random.Generator) -> list[tuple]:
    """A slab on two sides, with a few things on it."""
    x, z = place
    half_x, half_z, tall = rng.uniform(0.4, 1.0), rng.uniform(0.3, 0.5), rng.uniform(0.65, 0.8)
    top = eyes - tall
    found: list[tuple] = [((x, top + 0.02, z), (half_x, 0.02, half_z), 0.0)]
    for side in (-1, 1):
        found.append(((x + side * (half_x - 0.04), eyes - tall / 2, z), (0.03, tall / 2 - 0.02, half_z * 0.9), 0.0))
    for _ in range(rng.integers(0, 5)):
        size = np.exp(rng.uniform(np.log(0.03), np.log(0.25), 3))
        on = (x + rng.uniform(-0.8, 0.8) * half_x, top - size[1], z + rng.uniform(-0.7, 0.7) * half_z)
        found.append((on, tuple(size), rng.uniform(-np.pi, np.pi)))
    return found


def _boxes(found: Sequence[tuple]) -> Boxes:
    centres, halves, turns = zip(*found, strict=True)
    return Boxes(np.array(centres, float), np.array(halves, float), np.array(turns, float))


def _turned(pitch: float, yaw: float, roll: float) -> Float64Array:
    """R_world_camera; degrees, pitch above 0 looks up."""
    return np.asarray(Rotation.from_euler("YXZ", [yaw, pitch, roll], degrees=True).as_matrix())


def _texture(pictures: Sequence[ByteArray], rng: np.random.Generator) -> ByteArray:
    """uint8 (LEVELS, TEXTURE, TEXTURE, 3)."""
    kind = rng.random()
    side = (TEXTURE, TEXTURE)
    if pictures and kind < 0.45:
        source = pictures[int(rng.integers(len(pictures)))]
        height, width = source.shape[:2]
        h, w = (int(rng.uniform(0.15, 0.7) * length) for length in (height, width))
        top, left = rng.integers(0, height - h), rng.integers(0, width - w)
        texture = cv2.resize(source[top : top + h, left : left + w], side, interpolation=cv2.INTER_AREA)
    elif kind < 0.7:  # paint
        grain = rng.normal(0, rng.uniform(1, 8), (*side, 1))
        texture = np.clip(_color(rng) + grain, 0, 255).astype(np.uint8)
    else:  # tiles, boards, noise
        cells = rng.integers(1, 17, 2)
        levels = _color(rng) + rng.normal(0, rng.uniform(5, 60), (*cells, 1)) + rng.normal(0, 6, (*cells, 3))
        way = int(rng.choice([cv2.INTER_NEAREST, cv2.INTER_CUBIC]))
        texture = np.clip(cv2.resize(levels, side, interpolation=way), 0, 255).astype(np.uint8)
    blurred = [texture]
    for level in range(1, LEVELS):
        small = cv2.resize(texture, (TEXTURE >> level, TEXTURE >> level), interpolation=cv2.INTER_AREA)
        blurred.append(cv2.resize(small, side, interpolation=cv2.INTER_LINEAR))
    return np.stack(blurred)


def _color(rng: np.random.Generator) -> Float64Array:
    """float64 (3,), 0 to 255: mostly nearly grey, as what is painted in rooms is."""
    vivid = rng.choice([0.06, 0.3], p=[0.75, 0.25])
    return np.asarray(np.clip(255 * rng.uniform(0.15, 0.95) * (1 + rng.normal(0, vivid, 3)), 0, 255))


@njit(cache=True, nogil=True)
def _trace(R, k, centres, halves, turns, depth, boxes, axes):  # type: ignore[no-untyped-def]
    """Depth, and which box is hit on the faces across which of its axes (slabs)."""
    c, s = np.cos(turns), np.sin(turns)
    starts = _turn(c, s, -centres[:, 0], -centres[:, 1], -centres[:, 2])
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            x, y = (column - k[2]) / k[0], (row - k[3]) / k[1]
            ray_x = R[0, 0] * x + R[0, 1] * y + R[0, 2]
            ray_y = R[1, 0] * x + R[1, 1] * y + R[1, 2]
            ray_z = R[2, 0] * x + R[2, 1] * y + R[2, 2]
            nearest = np.inf
            for i in range(len(turns)):
                d = (c[i] * ray_x - s[i] * ray_z, ray_y, s[i] * ray_x + c[i] * ray_z)
                enter, leave, axis_in, axis_out = -np.inf, np.inf, 0, 0
                for axis in range(3):
                    along = d[axis] if abs(d[axis]) > 1e-9 else 1e-9
                    middle, reach = -starts[axis][i] / along, abs(halves[i, axis] / along)
                    if middle - reach > enter:
                        enter, axis_in = middle - reach, axis
                    if middle + reach < leave:
                        leave, axis_out = middle + reach, axis
                t, axis = (leave, axis_out) if i == 0 else (enter, axis_in)
                if (i == 0 or enter < leave) and 1e-3 < t < nearest:
                    nearest, boxes[row, column], axes[row, column] = t, i, axis
            depth[row, column] = nearest


@njit(cache=True, nogil=True)
def _turn(c, s, x, y, z):  # type: ignore[no-untyped-def]
    """World to box."""
    return c * x - s * z, y, s * x + c * z


@njit(cache=True, nogil=True)
def _shade(  # type: ignore[no-untyped-def]
    R, k, centres, halves, turns, depth, boxes, axes, textures, surfaces, texels, tints, lights, picture
):
    side = textures.shape[2]
    cosines, sines = np.cos(turns), np.sin(turns)
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            t, box, axis_hit = depth[row, column], boxes[row, column], axes[row, column]
            x, y = (column - k[2]) / k[0], (row - k[3]) / k[1]
            px = t * (R[0, 0] * x + R[0, 1] * y + R[0, 2])
            py = t * (R[1, 0] * x + R[1, 1] * y + R[1, 2])
            pz = t * (R[2, 0] * x + R[2, 1] * y + R[2, 2])
            c, s = cosines[box], sines[box]
            hit = _turn(c, s, px - centres[box, 0], py - centres[box, 1], pz - centres[box, 2])
            normal = ((c, 0.0, -s), (0.0, 1.0, 0.0), (s, 0.0, c))[axis_hit]
            light = _AMBIENT
            for j in range(len(lights)):
                x, y, z = lights[j, 0] - px, lights[j, 1] - py, lights[j, 2] - pz
                square = x * x + y * y + z * z + 1e-6
                facing = abs(x * normal[0] + y * normal[1] + z * normal[2]) / np.sqrt(square)
                light += 0.9 * facing / (0.6 + 0.25 * square)
            if box == 0:
                for axis in range(3):
                    if axis != axis_hit:
                        light *= 1 - 0.35 * np.exp(-(halves[0, axis] - abs(hit[axis])) / _CORNER)
            face = 2 * axis_hit + (1 if hit[axis_hit] > 0 else 0)
            scale = texels[box, face]
            level = min(max(int(np.log2(max(t / k[0] * scale, 1.0)) + 0.5), 0), textures.shape[1] - 1)
            first, second = ((1, 2), (0, 2), (0, 1))[axis_hit]
            u, v = int(np.floor(hit[first] * scale)) % side, int(np.floor(hit[second] * scale)) % side
            texture = textures[surfaces[box, face], level, v, u]
            for channel in range(3):
                picture[row, column, channel] = min(texture[channel] * tints[box, face, channel] * light, 255.0)
