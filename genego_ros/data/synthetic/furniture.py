"""What stands and hangs in a room. Each function builds one piece as an `Assembly`.

A piece stands on z = 0, its back against a wall in the plane y = 0, centred on x = 0, and faces -y; `room` turns it
to its wall. Lengths are metres. The colours and woods that belong together come from a `Palette`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from genego_ros.data.synthetic import color as srgb
from genego_ros.data.synthetic import prints
from genego_ros.data.synthetic.scene import Material
from genego_ros.data.synthetic.solids import (
    Assembly,
    Solid,
    Tint,
    blob,
    box,
    cylinder,
    lathe,
    panel,
    sheet,
    tube,
    vessel,
)
from genego_ros.data.synthetic.textures import Color
from genego_ros.types import Float64Array, FloatArray


def linear(color: Color) -> Tint:
    """Linear RGB, 0 to 1, of an sRGB colour of 0 to 255."""
    r, g, b = srgb.linear(color).tolist()
    return r, g, b


def plain(color: Color, roughness: float = 0.6, metallic: float = 0.0, emission: float = 0.0) -> Material:
    """One sRGB colour without a texture."""
    return Material(color=linear(color), roughness=roughness, metallic=metallic, emission=emission)


def reflectance(material: Material) -> Float64Array:
    """Mean linear RGB, float64 (3,), of a textured surface."""
    assert material.texture is not None
    mean: Float64Array = srgb.linear(material.texture.reshape(-1, 3)).mean(axis=0)
    return mean


@dataclass(frozen=True)
class Palette:
    """The materials that the furniture of one room is made of."""

    wood: Material
    front: Material
    """Doors and drawers: painted, or of the same wood."""
    cloth: Material
    """Upholstery and curtains."""
    metal: Material
    dark: Material
    white: Material
    paper: Material
    """White; tinted for books and boxes."""
    ceramic: Material
    """White and glossy; tinted for pots and cups."""
    leaf: Material


COVERS: tuple[Color, ...] = (
    *((186, 54, 48), (38, 64, 110), (226, 218, 200), (40, 42, 46), (70, 104, 84), (196, 150, 72)),
    *((122, 60, 74), (84, 130, 160), (232, 234, 232), (150, 108, 78), (60, 56, 92), (212, 120, 66)),
)
"""What books and boxes are bound in."""


def cover_tint(rng: np.random.Generator) -> Tint:
    color = np.asarray(COVERS[rng.integers(len(COVERS))]) * rng.uniform(0.75, 1.08)
    r, g, b = np.clip(color, 5, 250)
    return linear((r, g, b))


# Small things that fill shelves and tops


def books(rng: np.random.Generator, length: float, height: float, depth: float) -> list[Solid]:
    """A row of standing books from x = 0 on, their spines at y = -depth; for the palette's paper."""
    solids: list[Solid] = []
    x = 0.0
    while True:
        thick, tall = rng.uniform(0.012, 0.045), rng.uniform(0.65, 0.95) * height
        if x + thick > length:
            return solids
        deep = rng.uniform(0.6, 0.9) * depth
        tint = cover_tint(rng)
        middle, out = x + thick / 2, -depth + rng.uniform(0.0, 0.025) + deep / 2
        book = box((thick - 0.001, deep, tall)).tinted(tint)
        lean = rng.uniform(0.06, 0.16) if rng.random() < 0.06 else 0.0
        solids.append(book.turned((0, 1, 0), -lean).at((middle, out, 0.002)))
        if rng.random() < 0.7:
            band: Tint = (0.8, 0.75, 0.6) if max(tint) < 0.4 else (0.08, 0.07, 0.07)
            label = panel(0.6 * thick, rng.uniform(0.1, 0.4) * tall).tinted(band)
            solids.append(label.at((middle, out - deep / 2 - 0.0008, rng.uniform(0.35, 0.6) * tall)))
        x += thick + (rng.uniform(0.0, 0.003) if lean == 0 else 0.02)


def lying_books(rng: np.random.Generator, count: int) -> list[Solid]:
    """A pile of books about the origin; for the palette's paper."""
    solids, z = [], 0.0
    for _ in range(count):
        thick, wide, deep = rng.uniform(0.012, 0.04), rng.uniform(0.13, 0.2), rng.uniform(0.19, 0.26)
        yaw = rng.normal(0, 0.15)
        place = (*rng.normal(0, 0.01, 2), z)
        inner = box((wide - 0.01, deep - 0.008, thick - 0.004)).tinted((0.8, 0.76, 0.66))
        solids.append(inner.at((place[0] + 0.002, place[1], z + 0.002), yaw))
        tint = cover_tint(rng)
        for side in (0.0, thick - 0.002):
            solids.append(box((wide, deep, 0.002)).tinted(tint).at((place[0], place[1], z + side), yaw))
        spine = box((0.003, deep, thick)).at((-wide / 2, 0, 0))
        solids.append(spine.tinted(tint).at(place, yaw))
        z += thick
    return solids


def vase(rng: np.random.Generator, height: float) -> Solid:
    """A turned vessel; for the palette's ceramic."""
    z = np.linspace(0, 1, 8)
    belly = rng.uniform(0.25, 0.45) * (0.55 + 0.45 * np.sin(np.pi * (z * rng.uniform(0.8, 1.2)) + rng.uniform(0, 0.5)))
    neck = np.where(z > 0.75, rng.uniform(0.4, 0.9), 1.0)
    profile = np.stack([np.maximum(belly * neck, 0.12) * height, z * height], axis=1)
    return vessel(profile, 0.005, 0.01, 12).tinted(cover_tint(rng))


def plant(rng: np.random.Generator, palette: Palette, height: float) -> Assembly:
    """A pot with leaves on bent stems, free-standing about the origin."""
    made = Assembly()
    pot = height * rng.uniform(0.16, 0.24)
    rim = pot * rng.uniform(0.75, 0.95)
    earth = pot * 1.4
    profile = np.stack([np.linspace(0.72 * rim, rim, 3), np.linspace(0, earth * 1.06, 3)], axis=1)
    tint: Tint = (0.42, 0.16, 0.09) if rng.random() < 0.5 else (0.75, 0.74, 0.7)
    made.add(palette.ceramic, vessel(profile, 0.012, 0.02, 18).tinted(tint))
    made.add(palette.leaf, cylinder(0.93 * rim, 0.01).at((0, 0, 0.92 * earth)).tinted((0.16, 0.1, 0.08)))
    length = height - earth
    wide = rng.uniform(0.10, 0.3)
    for _ in range(int(rng.integers(12, 22))):
        made.add(palette.leaf, _leaf(rng, length * rng.uniform(0.5, 1.05), wide).at((0, 0, 0.95 * earth)))
    return made


def _leaf(rng: np.random.Generator, length: float, wide: float) -> Solid:
    """One leaf on its stem, growing from the origin and bending over."""
    yaw, rise, bend = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.35), rng.uniform(0.4, 1.5)

    def point(u: Float64Array, v: Float64Array) -> Float64Array:
        angle = np.maximum(rise - bend * u**1.5, -0.3)  # none hangs down to the floor
        along = length * u
        half = 0.5 * wide * length * np.sin(np.pi * np.clip((u - 0.3) / 0.7, 0.02, 1)) ** 0.8 + 0.002
        fold = np.abs(v - 0.5) * half * 0.6
        return np.stack([along * np.cos(angle), (v - 0.5) * 2 * half, along * np.sin(angle) + fold], axis=1)

    green = np.array([0.07, 0.2, 0.05]) * rng.uniform(0.6, 1.5) + [rng.uniform(0, 0.05), 0, 0]
    return sheet(point, (length, 0.4 * length), 6, 2).at((0, 0, 0), yaw).tinted((green[0], green[1], green[2]))


def trinkets(rng: np.random.Generator, palette: Palette, length: float, height: float, depth: float) -> Assembly:
    """Things side by side on a board of that length, centred, no higher than `height`; the front is y = -depth."""
    made = Assembly()
    x = -length / 2
    while x < length / 2 - 0.12:
        kind, free = rng.integers(6), length / 2 - x
        if kind <= 1:
            span = min(free, rng.uniform(0.15, 0.6))
            row = books(rng, span, min(height * 0.95, 0.3), min(depth, 0.24))
            made.add(palette.paper, *(book.at((x, -(depth - min(depth, 0.24)) / 2, 0)) for book in row))
        elif kind == 2:
            span = 0.27
            pile = lying_books(rng, int(rng.integers(1, 5)))
            made.add(palette.paper, *(b.at((x + 0.13, -depth / 2, 0), np.pi / 2) for b in pile))
        elif kind == 3:
            span = min(free, rng.uniform(0.15, 0.35))
            size = (span - 0.02, 0.85 * depth, min(rng.uniform(0.08, 0.25), 0.9 * height))
            made.add(palette.paper, box(size).at((x + span / 2, -depth / 2, 0)).tinted(cover_tint(rng)))
        elif kind == 4:
            tall = min(rng.uniform(0.1, 0.3), 0.9 * height)
            span = tall
            made.add(palette.ceramic, vase(rng, tall).at((x + span / 2, -depth / 2, 0)))
        else:
            tall = min(rng.uniform(0.15, 0.4), 0.9 * height)
            span = 0.5 * tall + 0.05
            made.place(plant(rng, palette, tall), _offset(x + span / 2, -depth / 2, 0))
        x += span + rng.uniform(0.0, 0.12)
    return made


def _offset(x: float, y: float, z: float) -> Float64Array:
    T = np.eye(4)
    T[:3, 3] = x, y, z
    return T


# Pieces that stand against a wall


def bookcase(rng: np.random.Generator, palette: Palette, width: float) -> Assembly:
    made = Assembly()
    height, depth, board = rng.uniform(1.4, 2.1), rng.uniform(0.26, 0.32), 0.02
    for side in (-1, 1):
        upright = box((board, depth, height), grain=2)
        made.add(palette.wood, upright.at((side * (width - board) / 2, -depth / 2, 0)).shifted(rng.random(2)))
    made.add(palette.wood, box((width - 0.01, 0.006, height - 0.02)).at((0, -0.004, 0.01)).shifted(rng.random(2)))
    heights = np.linspace(0.06, height - board, int(rng.integers(5, 7)))
    for z in heights:
        shelf = box((width - 2 * board, depth - 0.01, board))
        made.add(palette.wood, shelf.at((0, -depth / 2, z)).shifted(rng.random(2)))
    gap = float(heights[1] - heights[0]) - board
    for z in heights[:-1]:
        contents = trinkets(rng, palette, width - 2 * board - 0.02, gap, depth - 0.02)
        made.place(contents, _offset(0, -0.005, z + board + 0.0005))
    return made


def cupboard(rng: np.random.Generator, palette: Palette, width: float) -> Assembly:
    """A sideboard or chest of drawers, with things on top."""
    made = Assembly()
    height, depth, foot = rng.uniform(0.7, 1.05), rng.uniform(0.36, 0.45), rng.uniform(0.05, 0.16)
    made.add(palette.wood, box((width, depth - 0.02, height - foot)).at((0, -(depth - 0.02) / 2 - 0.001, foot)))
    columns, rows = max(1, round(width / 0.5)), int(rng.integers(1, 4))
    across, up = (width - 0.03) / columns, (height - foot - 0.03) / rows
    for column in range(columns):
        for row in range(rows):
            x = -width / 2 + 0.015 + (column + 0.5) * across
            z = foot + 0.015 + row * up
            front = box((across - 0.006, 0.02, up - 0.006)).shifted(rng.random(2))
            made.add(palette.front, front.at((x, -depth + 0.01, z)))
            bar = box((min(0.14, 0.4 * across), 0.012, 0.012))
            made.add(palette.metal, bar.at((x, -depth - 0.014, z + up - 0.07)))
    for x in (-width / 2 + 0.05, width / 2 - 0.05):
        for y in (-0.06, -depth + 0.08):
            made.add(palette.dark, cylinder(0.018, foot, segments=10).at((x, y, 0)))
    made.place(trinkets(rng, palette, width - 0.1, 0.4, 0.26), _offset(0, -0.06, height + 0.001))
    return made


def kitchen(rng: np.random.Generator, palette: Palette, width: float, worktop: Material, splash: Material) -> Assembly:
    """Base units under a worktop, wall units above, tiles between."""
    made = Assembly()
    height, depth = 0.9, 0.56
    made.add(palette.dark, box((width, depth - 0.08, 0.1)).at((0, -(depth - 0.08) / 2, 0)))
    made.add(palette.front, box((width, depth - 0.03, height - 0.14)).at((0, -(depth - 0.03) / 2 - 0.001, 0.1)))
    made.add(worktop, box((width + 0.02, depth + 0.02, 0.035)).at((0, -(depth + 0.02) / 2, height - 0.035)))
    made.add(splash, panel(width, 0.56, whole=False).at((0, -0.004, height)))
    units = max(1, round(width / 0.55))
    across = width / units
    open_shelf = rng.random() < 0.4
    for unit in range(units):
        x = -width / 2 + (unit + 0.5) * across
        drawers = int(rng.choice([1, 1, 3]))
        for drawer in range(drawers):
            up = (height - 0.15) / drawers
            made.add(palette.front, box((across - 0.005, 0.02, up - 0.005)).at((x, -depth + 0.02, 0.105 + drawer * up)))
            bar = box((0.6 * across, 0.014, 0.012))
            made.add(palette.metal, bar.at((x, -depth - 0.006, 0.105 + (drawer + 1) * up - 0.05)))
        if not open_shelf:
            made.add(palette.front, box((across - 0.005, 0.34, 0.68)).at((x, -0.171, 1.46)))
            made.add(palette.metal, box((0.012, 0.014, 0.14)).at((x + 0.4 * across, -0.349, 1.5)))
    if open_shelf:
        for z in (1.42, 1.78):
            made.add(palette.wood, box((0.94 * width, 0.24, 0.03)).at((0, -0.121, z)))
            made.place(trinkets(rng, palette, 0.85 * width, 0.3, 0.2), _offset(0, -0.02, z + 0.031))
    made.place(trinkets(rng, palette, 0.8 * width, 0.35, 0.3), _offset(0, -0.1, height + 0.001))
    return made


def sofa(rng: np.random.Generator, palette: Palette, width: float) -> Assembly:
    made = Assembly()
    depth, seat, back, arm = 0.9, 0.42, rng.uniform(0.75, 0.9), rng.uniform(0.14, 0.22)
    made.add(palette.cloth, box((width, depth - 0.04, 0.26), 0.03, segments=2).at((0, -depth / 2, 0.08)))
    for side in (-1, 1):
        rest = box((arm, depth, rng.uniform(0.54, 0.62)), 0.05, segments=2)
        made.add(palette.cloth, rest.at((side * (width - arm) / 2, -depth / 2, 0.06)))
    count = max(1, round((width - 2 * arm) / 0.7))
    across = (width - 2 * arm) / count
    for place in range(count):
        x = -width / 2 + arm + (place + 0.5) * across
        cushion = box((across - 0.01, depth - 0.26, 0.16), 0.05, segments=2).shifted(rng.random(2))
        made.add(palette.cloth, cushion.at((x, -depth / 2 - 0.12, seat - 0.12)))
        upper = box((across - 0.01, 0.2, back - seat + 0.05), 0.06, segments=2).turned((1, 0, 0), -0.15)
        made.add(palette.cloth, upper.shifted(rng.random(2)).at((x, -0.2, seat)))
    for _ in range(int(rng.integers(0, 3))):
        pillow = blob((0.42, 0.15, 0.4), rng, 0.1).turned((1, 0, 0), -0.3).tinted(cover_tint(rng))
        made.add(palette.paper, pillow.at((rng.uniform(-0.4, 0.4) * width * 0.7, -0.42, seat + 0.05)))
    return made


def desk(rng: np.random.Generator, palette: Palette, width: float) -> Assembly:
    """A second desk against the wall, with a monitor that may be on."""
    made = Assembly()
    depth, height = 0.62, 0.74
    made.add(palette.wood, box((width, depth, 0.028)).at((0, -depth / 2, height - 0.028)))
    for x in (-width / 2 + 0.04, width / 2 - 0.04):
        for y in (-0.05, -depth + 0.05):
            made.add(palette.metal, box((0.04, 0.04, height - 0.028), grain=2).at((x, y, 0)))
    wide = rng.uniform(0.5, 0.62)
    tall, x = 0.58 * wide, rng.uniform(-0.15, 0.15) * width
    made.add(palette.dark, cylinder(0.11, 0.012).at((x, -0.22, height)))
    made.add(palette.dark, box((0.05, 0.02, 0.2)).at((x, -0.2, height)))
    made.add(palette.dark, box((wide, 0.03, tall), 0.006).at((x, -0.22, height + 0.12)))
    lit = prints.screen(rng) if rng.random() < 0.6 else plain((16, 17, 19), 0.15)
    made.add(lit, panel(wide - 0.02, tall - 0.025).at((x, -0.2362, height + 0.135)), whole=True)
    made.add(palette.dark, box((0.42, 0.13, 0.018)).at((x, -0.45, height)))
    made.place(
        trinkets(rng, palette, 0.3 * width, 0.3, 0.24), _offset(-0.33 * width * np.sign(x or 1), -0.05, height + 0.001)
    )
    return made


def fridge(rng: np.random.Generator, palette: Palette, width: float) -> Assembly:
    made = Assembly()
    height, split = rng.uniform(1.6, 1.9), rng.uniform(0.35, 0.7)
    body = palette.white if rng.random() < 0.6 else palette.metal
    made.add(body, box((width, 0.6, height), 0.01).at((0, -0.31, 0.02)))
    for low, high in ((0.03, split), (split + 0.008, height)):
        made.add(body, box((width, 0.05, high - low), 0.015, segments=2).at((0, -0.638, low)))
        made.add(palette.metal, tube([(-0.42 * width, -0.7, high - 0.35), (-0.42 * width, -0.7, high - 0.05)], 0.01))
    for _ in range(int(rng.integers(0, 5))):
        size = rng.uniform(0.06, 0.15)
        note = panel(size, size * 1.3).tinted(cover_tint(rng))
        made.add(palette.paper, note.at((rng.uniform(-0.3, 0.3) * width, -0.6645, rng.uniform(1.0, height - 0.25))))
    return made


def tall_plant(rng: np.random.Generator, palette: Palette, width: float) -> Assembly:
    made = Assembly()
    made.place(plant(rng, palette, rng.uniform(0.9, 1.5)), _offset(0, -0.5 * width, 0))
    return made


def floor_lamp(rng: np.random.Generator, palette: Palette, width: float) -> Assembly:
    made = Assembly()
    y = -0.5 * width
    made.add(palette.dark, cylinder(0.14, 0.02).at((0, y, 0)))
    made.add(palette.dark, tube([(0, y, 0.02), (0, y, 1.5)], 0.012))
    shade = lathe([(0.2, 0), (0.14, 0.3)], 20)
    made.add(plain((240, 226, 196), 0.9, emission=float(rng.choice([0.0, 1.2]))), shade.at((0, y, 1.35)))
    return made


# On the wall


def painting(rng: np.random.Generator, palette: Palette, width: float, height: float) -> Assembly:
    """A framed picture, its lower edge at z = 0."""
    made = Assembly()
    bar = rng.uniform(0.012, 0.035)
    frame = [palette.wood, palette.dark, palette.white][rng.integers(3)]
    made.add(prints.painting(rng), panel(width, height).at((0, -0.012, 0)), whole=True)
    for side in (-1, 1):
        made.add(frame, box((bar, 0.022, height + 2 * bar), grain=2).at((side * (width + bar) / 2, -0.012, -bar)))
    for z in (-bar, height):
        made.add(frame, box((width, 0.022, bar)).at((0, -0.012, z)))
    return made


class Outside(NamedTuple):
    """What a window looks out on."""

    radiance: FloatArray
    """float32 (H, 2H, 3), as in `Environment`."""
    by_day: bool


def window(
    rng: np.random.Generator, palette: Palette, width: float, height: float, outside: Outside, curtains: bool
) -> Assembly:
    """Frame, panes, sill, and curtains beside it; the lower edge of the opening is z = 0."""
    made = Assembly()
    made.add(
        prints.pane(rng, outside.radiance, 3.0 if outside.by_day else 0.03),
        panel(width, height).at((0, -0.006, 0)),
        whole=True,
    )
    bars = int(rng.integers(1, 4))
    for x in np.linspace(-width / 2, width / 2, bars + 1):
        made.add(palette.white, box((0.055, 0.05, height), grain=2).at((x, -0.03, 0)))
    for z in (-0.03, height * 0.5 if rng.random() < 0.3 else height - 0.03, height - 0.03):
        made.add(palette.white, box((width + 0.05, 0.05, 0.055)).at((0, -0.03, z)))
    made.add(palette.white, box((width + 0.2, 0.16, 0.03), 0.006).at((0, -0.08, -0.06)))
    if curtains:
        made.add(
            palette.metal, tube([(-width / 2 - 0.3, -0.1, height + 0.15), (width / 2 + 0.3, -0.1, height + 0.15)], 0.01)
        )
        for side in (-1, 1):
            made.add(
                palette.cloth,
                _curtain(rng, 0.38, height + 0.15 + rng.uniform(0.1, 0.7)).at(
                    (side * (width / 2 + 0.08), -0.1, height + 0.14)
                ),
            )
    else:
        made.add(
            palette.white,
            sheet(
                lambda u, v: np.stack([(u - 0.5) * width, np.full_like(u, -0.045), height * (1 - 0.3 * v)], 1),
                (width, 0.3),
                1,
                1,
            ),
        )
    return made


def _curtain(rng: np.random.Generator, width: float, drop: float) -> Solid:
    folds, phase = rng.integers(4, 7), rng.uniform(0, 6)

    def point(u: Float64Array, v: Float64Array) -> Float64Array:
        wave = np.sin(2 * np.pi * folds * u + phase + 0.5 * np.sin(3 * v))
        return np.stack([(u - 0.5) * width, 0.035 * wave * (0.6 + 0.4 * v), -drop * v], axis=1)

    return sheet(point, (width, drop), 48, 4)


def door(rng: np.random.Generator, palette: Palette) -> Assembly:
    made = Assembly()
    leaf, width, height = (palette.white if rng.random() < 0.6 else palette.wood), 0.82, 2.02
    made.add(leaf, box((width, 0.04, height), grain=2).at((0, -0.01, 0)))
    for low, high in ((0.2, 0.85), (1.0, 1.85)):
        for x in (-0.2, 0.2):
            made.add(leaf, box((0.3, 0.012, high - low), 0.005, grain=2).at((x, -0.034, low)))
    for x in (-width / 2 - 0.035, width / 2 + 0.035):
        made.add(leaf, box((0.07, 0.06, height + 0.07), grain=2).at((x, -0.02, 0)))
    made.add(leaf, box((width, 0.06, 0.07)).at((0, -0.02, height)))
    made.add(
        palette.metal,
        tube([(0.34, -0.03, 1.02), (0.34, -0.08, 1.02), (0.32, -0.085, 1.02), (0.23, -0.085, 1.02)], 0.009),
    )
    return made


def wall_shelf(rng: np.random.Generator, palette: Palette, width: float) -> Assembly:
    made = Assembly()
    made.add(palette.wood, box((width, 0.22, 0.025)).at((0, -0.111, 0)))
    made.place(trinkets(rng, palette, width - 0.06, 0.34, 0.19), _offset(0, -0.015, 0.0255))
    return made


def radiator(palette: Palette, width: float) -> Assembly:
    made = Assembly()
    made.add(palette.white, box((width, 0.05, 0.5), 0.01).at((0, -0.06, 0.12)))
    for x in np.arange(-width / 2 + 0.03, width / 2 - 0.02, 0.05):
        made.add(palette.white, box((0.03, 0.02, 0.44), grain=2).at((x, -0.09, 0.15)))
    return made


def clock(rng: np.random.Generator, palette: Palette) -> Assembly:
    made = Assembly()
    radius = rng.uniform(0.12, 0.18)
    made.add(palette.dark, cylinder(radius, 0.03, segments=28).turned((1, 0, 0), np.pi / 2).at((0, 0, 0)))
    made.add(palette.white, cylinder(0.92 * radius, 0.032, segments=28).turned((1, 0, 0), np.pi / 2))
    for angle, length in ((rng.uniform(0, 6.28), 0.5), (rng.uniform(0, 6.28), 0.8)):
        tip = np.array([np.sin(angle), 0, np.cos(angle)]) * length * radius
        made.add(palette.dark, tube([np.array([0, -0.035, 0]), tip + np.array([0, -0.035, 0])], 0.004))
    return made


# Seats


def chair(rng: np.random.Generator, palette: Palette) -> Assembly:
    """A chair that faces +y, its seat's middle above the origin, 0.45 m high, no higher than 0.88 m."""
    made = Assembly()
    wide, deep, seat, back = rng.uniform(0.4, 0.46), 0.42, 0.45, rng.uniform(0.8, 0.88)
    frame = palette.wood if rng.random() < 0.6 else palette.metal
    legs = 0.032 if frame is palette.wood else 0.02
    cover = palette.cloth if rng.random() < 0.5 else palette.wood
    made.add(cover, box((wide, deep, 0.04), 0.015, segments=2).at((0, 0, seat - 0.04)))
    for side in (-1, 1):
        x = side * (wide / 2 - 0.03)
        made.add(frame, box((legs, legs, seat - 0.04), 0.004, grain=2).at((x, deep / 2 - 0.04, 0)))
        made.add(frame, box((legs, legs, back), 0.004, grain=2).at((x, -deep / 2 + 0.02, 0)))
    for z in (back - 0.3, back - 0.16, back - 0.07) if cover is palette.wood else (back - 0.25,):
        tall = 0.06 if cover is palette.wood else 0.24
        made.add(cover, box((wide - 0.04, 0.02, tall), 0.008).at((0, -deep / 2 + 0.02, z)))
    return made
