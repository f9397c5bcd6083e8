"""What is printed on things: colours with their names, and drawn labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from genego_ros.data.synthetic import color
from genego_ros.types import ByteArray


class Paint(NamedTuple):
    """A colour and what people call it."""

    name: str
    rgb: tuple[int, int, int]
    """sRGB, 0 to 255."""

    @property
    def linear(self) -> tuple[float, float, float]:
        """Linear RGB, 0 to 1."""
        red, green, blue = color.linear(self.rgb).tolist()
        return red, green, blue


PAINTS: Mapping[str, tuple[int, int, int]] = {
    "red": (176, 34, 32),
    "dark red": (112, 24, 30),
    "orange": (214, 104, 28),
    "yellow": (222, 178, 44),
    "green": (52, 122, 62),
    "dark green": (30, 74, 50),
    "light blue": (112, 166, 204),
    "blue": (34, 82, 150),
    "dark blue": (26, 42, 92),
    "purple": (98, 58, 126),
    "pink": (214, 136, 150),
    "white": (226, 224, 218),
    "beige": (206, 188, 156),
    "brown": (104, 70, 46),
    "grey": (134, 136, 138),
    "black": (34, 34, 36),
}
BRANDS = (
    "ALMA", "Nordwind", "FRESCO", "Bella", "KORA", "Sunny Day", "VITA+", "Hofgut", "Lumen", "ORIGO", "Pico", "Terra",
    "MARE", "Avena", "ROTA", "Ceres", "Fjord", "LINDEN", "Tavola", "AURA",
)  # fmt: skip
SMALL_PRINT = (
    "net weight 500 g", "keep dry and cool", "since 1954", "100% natural", "family size", "new recipe",
    "shake well", "best before: see lid", "product of the valley", "recyclable",
)  # fmt: skip


def paint(rng: Generator, *names: str) -> Paint:
    """One of these colours, each instance a little different; any colour where none is named."""
    choice = names or tuple(PAINTS)
    name = choice[rng.integers(len(choice))]
    shade = np.clip(np.array(PAINTS[name]) * rng.uniform(0.88, 1.1) + rng.normal(0, 5, 3), 8, 245)
    return Paint(name, (int(shade[0]), int(shade[1]), int(shade[2])))


def contrast(rng: Generator, to: Paint) -> Paint:
    """A colour that can be read on another one."""
    while True:
        other = paint(rng)
        if np.abs(np.array(other.rgb) - to.rgb).sum() > 180:
            return other


def label(rng: Generator, ground: Paint, width: int, height: int, panels: int = 1) -> ByteArray:
    """A printed label, uint8 (height, width, 3) sRGB, divided into panels side by side with the same brand."""
    picture = np.full((height, width, 3), ground.rgb, np.uint8)
    ink, second = contrast(rng, ground), paint(rng)
    brand = BRANDS[rng.integers(len(BRANDS))]
    font = int(rng.integers(0, 8))
    design = int(rng.integers(4))
    panel = width // panels
    for k in range(panels):
        part = picture[:, k * panel : (k + 1) * panel]
        _ornament(rng, part, second, design)
        if k % 2 == 0:
            _write(part, brand, 0.32, 0.24, ink, font)
            _write(part, SMALL_PRINT[rng.integers(len(SMALL_PRINT))], 0.82, 0.07, ink, font)
            _emblem(rng, part, second, ink)
        else:
            _fine_print(rng, part, ink)
    return picture


def cover(rng: Generator, ground: Paint, width: int, height: int) -> ByteArray:
    """A book's cover, uint8 (height, width, 3) sRGB."""
    picture = np.full((height, width, 3), ground.rgb, np.uint8)
    ink, second = contrast(rng, ground), paint(rng)
    _ornament(rng, picture[height // 3 :], second, int(rng.integers(4)))
    titles = ("The Quiet Shore", "Field Notes", "A Short History", "Atlas of Trees", "Evening Songs", "Open Water")
    _write(picture, titles[rng.integers(len(titles))], 0.16, 0.09, ink, int(rng.integers(0, 8)))
    _write(picture, "A. Linden", 0.9, 0.05, ink, 0)
    return picture


def _ornament(rng: Generator, picture: ByteArray, ink: Paint, design: int) -> None:
    height, width = picture.shape[:2]
    if design == 0:
        for edge in rng.uniform(0.05, 0.95, 3):
            top = int(edge * height)
            picture[top : top + max(2, height // 40)] = ink.rgb
    elif design == 1:
        picture[: int(rng.uniform(0.12, 0.2) * height)] = ink.rgb
        picture[int(rng.uniform(0.88, 0.94) * height) :] = ink.rgb
    elif design == 2:
        corner = int(rng.uniform(0.45, 0.7) * height)
        shape = np.array([[0, height], [0, corner], [width, int(corner * 0.7)], [width, height]])
        picture[:] = cv2.fillPoly(picture.copy(), [shape], ink.rgb, cv2.LINE_AA)


def _emblem(rng: Generator, picture: ByteArray, ink: Paint, ring: Paint) -> None:
    height, width = picture.shape[:2]
    drawn = picture.copy()
    centre = (int(width * rng.uniform(0.4, 0.6)), int(height * 0.6))
    size = int(0.28 * min(width, height) * rng.uniform(0.6, 1.0))
    if rng.random() < 0.5:
        cv2.circle(drawn, centre, size, ink.rgb, -1, cv2.LINE_AA)
        cv2.circle(drawn, centre, int(size * 0.8), ring.rgb, max(1, size // 12), cv2.LINE_AA)
    else:
        angle = np.arange(10) * np.pi / 5 + rng.uniform(0, 1)
        radius = np.where(np.arange(10) % 2, 0.5, 1.0) * size
        star = np.stack([centre[0] + radius * np.sin(angle), centre[1] - radius * np.cos(angle)], axis=1)
        cv2.fillPoly(drawn, [star.astype(np.int32)], ink.rgb, cv2.LINE_AA)
    picture[:] = drawn


def _write(picture: ByteArray, text: str, row: float, tall: float, ink: Paint, font: int) -> None:
    """Text in the middle of a row (a share of the height), as tall as a share of the height, or smaller to fit."""
    height, width = picture.shape[:2]
    (wide, high), _ = cv2.getTextSize(text, font, 1.0, 1)
    scale = min(tall * height / high, 0.86 * width / wide)
    weight = max(1, round(1.8 * scale))
    origin = (int((width - wide * scale) / 2), int(row * height + high * scale / 2))
    picture[:] = cv2.putText(picture.copy(), text, origin, font, scale, ink.rgb, weight, cv2.LINE_AA)


def _fine_print(rng: Generator, picture: ByteArray, ink: Paint) -> None:
    """Lines as of an ingredient list, and a bar code."""
    height, width = picture.shape[:2]
    for row in np.arange(0.12, 0.6, 0.05):
        end = int(width * rng.uniform(0.6, 0.9))
        picture[int(row * height) : int(row * height) + max(1, height // 90), width // 10 : end] = ink.rgb
    left, top = width // 5, int(0.7 * height)
    code = picture[top : int(0.9 * height), left : 4 * width // 5]
    code[:] = 235
    code[:, np.repeat(rng.random(len(code[0]) // 2 + 1) < 0.5, 2)[: len(code[0])]] = 20
