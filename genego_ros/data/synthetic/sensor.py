"""From light to the picture that a camera gives: blur, noise, white balance, tone and 8 bits."""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
from numba import njit

from genego_ros.data.synthetic.scene import Sensor, Shot
from genego_ros.types import ByteArray, FloatArray

SHOULDER = 0.7
"""Linear value above which highlights are compressed."""
LUMA = (0.2126, 0.7152, 0.0722)
"""ITU-R BT.709."""
TILE = 16
"""Pixels a side of the tiles that share a direction of motion blur."""
LONGEST = 3 * TILE
"""Pixels of motion blur at most."""
STEPS = 4096
"""Entries of the tone curve's table, over the square root of linear values 0 to BRIGHTEST."""
BRIGHTEST = 4.0


def expose(shot: Shot, sensor: Sensor, rng: np.random.Generator) -> ByteArray:
    """The picture of a shot, uint8 (H, W, 3), sRGB.

    In the order of a camera: the shutter's motion blur, the lens' blur and vignetting, exposure, noise of the
    photosites under a Bayer mosaic (so that it is correlated between neighbours as demosaicing leaves it), white
    balance, saturation, tone curve.
    """
    light = shot.radiance
    if sensor.shutter > 0:
        light = blur_motion(light, shot.depth, shot.flow, sensor.shutter)
    height, width = light.shape[:2]
    sigma = sensor.blur * width / 640
    if sigma > 0.1:
        light = cv2.GaussianBlur(light, (0, 0), sigma)
    noise = rng.standard_normal((height, width), dtype=np.float32)
    picture: ByteArray = _develop(
        np.ascontiguousarray(light, np.float32),
        noise,
        np.float32(sensor.exposure * math.pi),
        np.array(sensor.white_balance, np.float32),
        np.float32(sensor.vignetting),
        np.float32(sensor.shot_noise),
        np.float32(sensor.read_noise),
        np.float32(sensor.saturation),
        tone_curve(sensor.contrast),
    )
    return picture


def random_sensor(rng: np.random.Generator) -> Sensor:
    """A camera as people have them: from a good one in daylight to a cheap one indoors.

    The exposure is that of a camera that meters well, off by at most half a stop; multiply it with what the scene
    asks for.
    """
    warmth, tint = rng.normal(0, 0.05), rng.normal(0, 0.02)
    return Sensor(
        exposure=float(2 ** np.clip(rng.normal(0, 0.2), -0.5, 0.5)),
        white_balance=(float(np.exp(warmth)), float(np.exp(tint)), float(np.exp(-warmth))),
        shot_noise=float(rng.uniform(0.005, 0.02)),
        read_noise=float(rng.uniform(0.001, 0.006)),
        shutter=float(rng.uniform(0.1, 0.5)),
        blur=float(rng.uniform(0.2, 0.6)),
        vignetting=float(rng.uniform(0.0, 0.25)),
        contrast=float(rng.uniform(1.0, 1.3)),
        saturation=float(rng.uniform(0.85, 1.15)),
    )


@cache
def tone_curve(contrast: float) -> FloatArray:
    """float32 (STEPS,): sRGB values 0 to 255 of linear light BRIGHTEST (i / (STEPS - 1))^2.

    Straight up to the shoulder, from there exponentially towards 1; then sRGB's curve; then an S of the given slope
    in the middle.
    """
    x = BRIGHTEST * (np.arange(STEPS) / (STEPS - 1)) ** 2
    rest = 1 - SHOULDER
    x = np.where(x < SHOULDER, x, SHOULDER + rest * -np.expm1(-(x - SHOULDER) / rest))
    s = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 0.0031308) ** (1 / 2.4) - 0.055)
    s = s**contrast / (s**contrast + (1 - s) ** contrast)
    return (255 * s).astype(np.float32)


def blur_motion(light: FloatArray, depth: FloatArray, flow: FloatArray, shutter: float) -> FloatArray:
    """Motion blur of a picture along its flow, after McGuire et al. 2012.

    A pixel gathers along the fastest motion nearby: from what is before it and moves that far, from what is behind it
    as far as it moves itself. So what is still stays sharp beside what moves.

    Args:
        light: float32 (H, W, 3).
        depth: float32 (H, W), metres, NaN where nothing is.
        flow: float32 (H, W, 2), pixels a frame.
        shutter: share of the frame's time.
    """
    blurred: FloatArray = _blur_motion(light, depth, flow, np.float32(shutter))
    return blurred


@njit(cache=True, nogil=True)
def _fastest(flow, shutter):  # type: ignore[no-untyped-def]
    """float32 (h, w, 2): the fastest motion, in pixels while the shutter is open, in each tile and those around it."""
    height, width = flow.shape[0], flow.shape[1]
    rows, columns = -(-height // TILE), -(-width // TILE)
    own = np.zeros((rows, columns, 3), np.float32)
    for row in range(rows):
        for column in range(columns):
            fast_u, fast_v, most = np.float32(0), np.float32(0), np.float32(0)
            for r in range(row * TILE, min((row + 1) * TILE, height)):
                for c in range(column * TILE, min((column + 1) * TILE, width)):
                    u, v = flow[r, c, 0] * shutter, flow[r, c, 1] * shutter
                    speed = u * u + v * v
                    if speed > most:
                        fast_u, fast_v, most = u, v, speed
            own[row, column, 0], own[row, column, 1], own[row, column, 2] = fast_u, fast_v, most
    fastest = np.zeros((rows, columns, 2), np.float32)
    for r in range(rows):
        for c in range(columns):
            most = np.float32(0)
            for y in range(max(r - 1, 0), min(r + 2, rows)):
                for x in range(max(c - 1, 0), min(c + 2, columns)):
                    if own[y, x, 2] > most:
                        most = own[y, x, 2]
                        fastest[r, c, 0], fastest[r, c, 1] = own[y, x, 0], own[y, x, 1]
    return fastest


@njit(cache=True, nogil=True, fastmath=True)
def _blur_motion(light, depth, flow, shutter):  # type: ignore[no-untyped-def]
    height, width = light.shape[0], light.shape[1]
    fastest = _fastest(flow, shutter)
    blurred = light.copy()
    for r in range(height):
        for c in range(width):
            u, v = fastest[r // TILE, c // TILE, 0], fastest[r // TILE, c // TILE, 1]
            length = np.sqrt(u * u + v * v)
            if length < 0.7:
                continue
            if length > LONGEST:
                u, v, length = u * LONGEST / length, v * LONGEST / length, np.float32(LONGEST)
            z = depth[r, c]
            if not z > 0:
                z = np.float32(1e3)
            own = shutter * np.sqrt(flow[r, c, 0] ** 2 + flow[r, c, 1] ** 2)
            taps = min(int(length) + 2, 15)
            total = 1 / max(own, np.float32(1))
            red, green, blue = light[r, c, 0] * total, light[r, c, 1] * total, light[r, c, 2] * total
            for i in range(taps):
                s = np.float32((i + 0.5) / taps - 0.5)
                y, x = int(np.round(r + v * s)), int(np.round(c + u * s))
                if y < 0 or x < 0 or y >= height or x >= width or (y == r and x == c):
                    continue
                away = abs(s) * length
                there = depth[y, x]
                if not there > 0:
                    there = np.float32(1e3)
                theirs = shutter * np.sqrt(flow[y, x, 0] ** 2 + flow[y, x, 1] ** 2)
                # 1 where the tap is before the pixel, 0 where it is behind it.
                before = min(max((z - there) / (0.05 * min(z, there)) + np.float32(0.5), np.float32(0)), np.float32(1))
                reach_theirs, reach_own = max(theirs, np.float32(1e-3)), max(own, np.float32(1e-3))
                weight = before * max(1 - 2 * away / reach_theirs + 0.5, 0.0) + (1 - before) * max(
                    1 - 2 * away / reach_own + 0.5, 0.0
                )
                weight = min(weight, 1.0) / max(theirs if before > 0.5 else own, np.float32(1)) * length / taps
                red += weight * light[y, x, 0]
                green += weight * light[y, x, 1]
                blue += weight * light[y, x, 2]
                total += weight
            blurred[r, c, 0], blurred[r, c, 1], blurred[r, c, 2] = red / total, green / total, blue / total
    return blurred


@njit(cache=True, nogil=True, fastmath=True)
def _develop(light, noise, gain, balance, vignetting, shot, read, saturation, tone):  # type: ignore[no-untyped-def]
    """Everything after the lens, in one pass; the mosaic is RGGB."""
    height, width = light.shape[0], light.shape[1]
    picture = np.empty((height, width, 3), np.uint8)
    corner = np.float32(4.0 / (height * height + width * width))
    scale = np.float32((STEPS - 1) / np.sqrt(BRIGHTEST))
    for r in range(height):
        up, down = (r - 1 if r > 0 else r + 1), (r + 1 if r < height - 1 else r - 1)
        for c in range(width):
            left, right = (c - 1 if c > 0 else c + 1), (c + 1 if c < width - 1 else c - 1)
            here = noise[r, c]
            cross = (noise[up, c] + noise[down, c] + noise[r, left] + noise[r, right]) * np.float32(0.25)
            if (r + c) & 1:
                beside = (noise[r, left] + noise[r, right]) * np.float32(0.5)
                above = (noise[up, c] + noise[down, c]) * np.float32(0.5)
                n_red, n_green, n_blue = (beside, here, above) if r & 1 == 0 else (above, here, beside)
            else:
                diagonal = (noise[up, left] + noise[up, right] + noise[down, left] + noise[down, right]) * np.float32(
                    0.25
                )
                n_red, n_green, n_blue = (here, cross, diagonal) if r & 1 == 0 else (diagonal, cross, here)
            y, x = np.float32(r - 0.5 * (height - 1)), np.float32(c - 0.5 * (width - 1))
            share = gain * (1 - vignetting * (x * x + y * y) * corner)
            red, green, blue = light[r, c, 0] * share, light[r, c, 1] * share, light[r, c, 2] * share
            red = (red + n_red * np.sqrt(read * read + shot * shot * red)) * balance[0]
            green = (green + n_green * np.sqrt(read * read + shot * shot * green)) * balance[1]
            blue = (blue + n_blue * np.sqrt(read * read + shot * shot * blue)) * balance[2]
            grey = (1 - saturation) * (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)
            for k, value in enumerate((red, green, blue)):
                value = max(saturation * value + grey, np.float32(0))
                place = min(int(np.sqrt(value) * scale + np.float32(0.5)), STEPS - 1)
                picture[r, c, k] = np.uint8(tone[place] + np.float32(0.5))
    return picture
