"""Makes of a rendered picture one that another camera took, of surfaces of other colours, under another light.

What a network learns from such pictures has to hold for real ones. Nothing here moves a pixel.
"""

from __future__ import annotations

import cv2
import numpy as np

from genego_ros.types import Array, ByteArray, FloatArray

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def disguise(rgb: ByteArray, rng: np.random.Generator) -> ByteArray:
    """The picture in another appearance, uint8 (H, W, 3), RGB."""
    x = rgb.astype(np.float32) / np.float32(255)
    if rng.random() < 0.25:
        x = _other_surfaces(x, rng)
    if rng.random() < 0.25:
        x = _patches(x, rng)
    x = _other_colors(x, rng)
    if rng.random() < 0.7:
        x = _other_light(x, rng)
    x = _other_lens(x, rng)
    x = _noise(x, rng)
    picture = np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)
    return _compressed(picture, rng) if rng.random() < 0.5 else picture


def _other_surfaces(x: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Random convolutions (Xu et al., ICLR 2021), mixed with the picture: other textures, the same shapes."""
    size = int(rng.choice([1, 1, 3, 5]))
    mixed = np.empty_like(x)
    for channel in range(3):
        kernels = rng.normal(size=(3, size, size)) / np.sqrt(3 * size * size)
        mixed[..., channel] = sum(cv2.filter2D(x[..., i], -1, kernels[i]) for i in range(3))
    low, high = np.percentile(mixed[::4, ::4], [2, 98], axis=(0, 1))
    mixed = (mixed - low) / np.maximum(high - low, 1e-3)
    share = np.float32(rng.uniform(0.3, 1.0))
    return ((1 - share) * x + share * mixed).astype(np.float32)


def _patches(x: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Posters and papers that are not there: what is printed on a surface says nothing of its depth."""
    x = x.copy()
    height, width = x.shape[:2]
    for _ in range(rng.integers(1, 4)):
        h, w = (int(side * rng.uniform(0.08, 0.35)) for side in (height, width))
        top, left = rng.integers(0, height - h), rng.integers(0, width - w)
        cells = rng.integers(2, 12, 2)
        grain = rng.uniform(0, 1, (*cells, 3)).astype(np.float32)
        way = int(rng.choice([cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
        texture = cv2.resize(grain, (w, h), interpolation=way)
        share = np.float32(rng.uniform(0.4, 1.0))
        x[top : top + h, left : left + w] *= 1 - share
        x[top : top + h, left : left + w] += share * texture
    return x


def _other_colors(x: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Exposure, white balance, hue, saturation, contrast and gamma."""
    saturation = 0.0 if rng.random() < 0.06 else float(np.exp(rng.normal(0, 0.35)))
    toward_grey = np.outer(np.ones(3), _GREY)
    matrix = toward_grey + saturation * (_turned_hue(rng.normal(0, 0.25)) - toward_grey)
    if rng.random() < 0.08:
        matrix = matrix[rng.permutation(3)]
    x = np.clip(cv2.transform(x, matrix), 0, 1)
    gain = np.exp(rng.normal(0, 0.3) + rng.normal(0, 0.12, 3))
    gamma = np.exp(rng.normal(0, 0.25))
    contrast, middle = np.exp(rng.normal(0, 0.2)), rng.uniform(0.3, 0.6)
    levels = np.linspace(0, 1, 1024)[:, None]
    curve = np.clip(gain * levels**gamma, 0, 1.2)
    curve = (middle + contrast * (curve - middle) + rng.normal(0, 0.03)).astype(np.float32)
    places = np.rint(x * 1023).astype(np.int32)
    return np.stack([curve[places[..., channel], channel] for channel in range(3)], axis=2)


def _turned_hue(angle: float) -> Array:
    """float64 (3, 3): a turn of RGB about the axis of greys."""
    return np.asarray(cv2.Rodrigues(np.full(3, angle / np.sqrt(3)))[0])


def _other_light(x: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Light that falls off across the picture, in soft shapes, and towards the corners (vignette)."""
    height, width = x.shape[:2]
    field = rng.normal(0, rng.uniform(0.05, 0.3), (*rng.integers(2, 5, 2), 1))
    field = field + rng.normal(0, 0.03, (*field.shape[:2], 3))
    soft = cv2.resize(field.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    soft = soft - np.float32(rng.uniform(0, 0.35)) * (rows[:, None, None] ** 2 + columns[None, :, None] ** 2)
    return x * np.exp(soft)


def _other_lens(x: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Fewer pixels, out of focus, shaken, or sharpened."""
    height, width = x.shape[:2]
    if rng.random() < 0.25:
        share = rng.uniform(0.3, 0.9)
        small = cv2.resize(x, (round(width * share), round(height * share)), interpolation=cv2.INTER_AREA)
        x = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    kind = rng.random()
    if kind < 0.3:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.5))
    elif kind < 0.4:
        x = cv2.filter2D(x, -1, _shake(int(rng.integers(2, 6)), rng.uniform(0, np.pi)))
    elif kind < 0.6:
        x = x + np.float32(rng.uniform(0.2, 1.2)) * (x - cv2.GaussianBlur(x, (0, 0), 1.0))
    return np.asarray(x)


def _shake(length: int, angle: float) -> FloatArray:
    """float32, sums to 1: a line of that many pixels to both sides."""
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    end = np.rint(length * np.array([np.cos(angle), np.sin(angle)])).astype(int)
    cv2.line(kernel, (length - end[0], length - end[1]), (length + end[0], length + end[1]), 1.0)
    return kernel / kernel.sum()


def _noise(x: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Of the sensor, stronger where it is bright, and in blotches of colour as cheap cameras leave them."""
    height, width = x.shape[:2]
    strength = rng.exponential(0.015)
    grain: FloatArray = rng.standard_normal((height, width, 3), np.float32)
    x = np.asarray(x + np.float32(strength) * grain * (np.float32(0.4) + np.sqrt(np.clip(x, 0, 1))), np.float32)
    if rng.random() < 0.3:
        blotches: FloatArray = rng.standard_normal((height // 6, width // 6, 3), np.float32)
        x = x + np.float32(rng.exponential(0.015)) * np.asarray(cv2.resize(blotches, (width, height)), np.float32)
    return x


def _compressed(picture: ByteArray, rng: np.random.Generator) -> ByteArray:
    quality = int(rng.integers(20, 95))
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))  # RGB taken for BGR both ways
