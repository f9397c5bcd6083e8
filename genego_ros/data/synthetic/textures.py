"""Procedural surfaces at true scale: wood, stone, plaster, brick, cloth and the like, each a `Material`.

All pictures are sRGB and repeat without a seam (`page`, `cover`, `picture`, `screen` and `keys` fill a surface
once). What makes a surface look photographed is variation at several scales at once: the pattern itself, the
tone of each board or stone, slow drifts of colour, and wear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from genego_ros.data.synthetic.scene import Material
from genego_ros.types import ByteArray, FloatArray

SIZE = 512
"""Pixels on a side."""
Floating = TypeVar("Floating", bound=np.floating[Any])
Color = tuple[float, float, float]
"""sRGB, 0 to 255."""

WOODS: dict[str, tuple[Color, Color]] = {
    "oak": ((208, 172, 126), (158, 114, 70)),
    "pine": ((228, 192, 138), (192, 142, 84)),
    "beech": ((218, 178, 138), (188, 140, 100)),
    "birch": ((230, 208, 172), (204, 172, 130)),
    "walnut": ((128, 90, 62), (72, 46, 31)),
    "cherry": ((172, 104, 68), (122, 64, 40)),
    "teak": ((170, 120, 74), (116, 74, 42)),
    "grey ash": ((182, 172, 156), (134, 123, 110)),
    "whitewashed pine": ((228, 221, 208), (198, 186, 168)),
    "dark": ((84, 62, 50), (44, 31, 26)),
}
"""Early and late wood of each species."""


def noise(rng: np.random.Generator, cycles: float, slope: float = 1.0, stretch: float = 1.0) -> FloatArray:
    """Noise that repeats, float32 (512, 512), mean 0 and standard deviation 1.

    Args:
        cycles: waves over the picture at which the spectrum is strongest.
        slope: how fast the spectrum falls beyond, as a power of the frequency; 1 looks like clouds.
        stretch: how many times longer than high its features are.
    """
    spectrum = fft.rfft2(rng.standard_normal((SIZE, SIZE), dtype=np.float32))
    along, across = fft.rfftfreq(SIZE, 1 / SIZE), fft.fftfreq(SIZE, 1 / SIZE)
    frequency = np.hypot(along[None] * stretch, across[:, None]) / cycles
    spectrum *= (frequency / (1 + frequency ** (2 + slope))).astype(np.float32)
    values: FloatArray = fft.irfft2(spectrum, (SIZE, SIZE))
    return values / values.std()


def _blend(value: FloatArray, *stops: Color) -> FloatArray:
    """Colours float32 (H, W, 3) along a scale; `value` 0 takes the first of the stops, 1 the last."""
    scale = np.linspace(0, 1, len(stops))
    channels = [np.interp(value, scale, [stop[c] for stop in stops]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def _picture(colors: FloatArray) -> ByteArray:
    return np.clip(colors + 0.5, 0, 255).astype(np.uint8)


def _grid(tile: float) -> tuple[FloatArray, FloatArray]:
    """Metres to the right and down at the pixel centres, each (512, 512)."""
    axis = ((np.arange(SIZE) + 0.5) / SIZE * tile).astype(np.float32)
    return np.tile(axis, (SIZE, 1)), np.tile(axis[:, None], (1, SIZE))


def _edges(phase: NDArray[Floating]) -> NDArray[Floating]:
    """How far a phase is from the nearest whole number, 0 to 0.5."""
    return np.abs(phase - np.round(phase))


def _scratches(rng: np.random.Generator, count: int, longest: int) -> FloatArray:
    """Thin short lines, float32 (512, 512), 0 to 1."""
    canvas = np.zeros((SIZE, SIZE), np.uint8)
    for _ in range(count):
        start = rng.integers(longest, SIZE - longest, 2)
        end = start + rng.integers(-longest, longest + 1, 2)
        cv2.line(canvas, start.tolist(), end.tolist(), int(rng.integers(60, 255)), 1, cv2.LINE_AA)
    # Lines stay clear of the border; rolling spreads them over it without a seam.
    shift = rng.integers(0, SIZE, 2)
    return np.roll(canvas, tuple(shift), axis=(0, 1)).astype(np.float32) / np.float32(255)


def _wear(rng: np.random.Generator, colors: FloatArray, strength: float) -> FloatArray:
    """Slow drifts of tone, a few stains and fine scratches, on colours (512, 512, 3)."""
    drift = 1 + 0.035 * strength * noise(rng, 1.5)
    stains = np.clip(noise(rng, 3, 2) - 1.8, 0, 1)
    worn = colors * (drift * (1 - 0.07 * strength * stains))[..., None]
    lines = _scratches(rng, int(30 * strength), 60)[..., None]
    return worn + lines * (6 * strength)


# Wood


def _boards(rng: np.random.Generator, rows: int, per_row: int) -> tuple[np.ndarray, FloatArray]:
    """Boards laid in rows that repeat: the number of each pixel's board, int (512, 512), and its distance from the
    nearest joint, in pixels. `per_row` 0 makes boards without end.
    """
    axis = np.arange(SIZE) + 0.5
    across = axis * rows / SIZE
    row = across.astype(int)
    number = np.tile(row[:, None], (1, SIZE))
    joint = np.tile((_edges(across) * SIZE / rows)[:, None], (1, SIZE)) if rows > 1 else np.full((SIZE, SIZE), 99.0)
    if per_row:
        starts = (np.arange(per_row) + rng.uniform(0, 0.5, (rows, per_row))) / per_row + rng.random((rows, 1))
        starts = np.sort(starts % 1.0, axis=1) * SIZE
        for r in range(rows):
            ends = (axis[:, None] - starts[r] + SIZE / 2) % SIZE - SIZE / 2
            inside = np.flatnonzero(row == r)
            number[inside] = r * per_row + np.searchsorted(starts[r], axis) % per_row
            joint[inside] = np.minimum(joint[inside], np.abs(ends).min(axis=1))
    return number, joint.astype(np.float32)


def wood(
    rng: np.random.Generator,
    species: str,
    tile: float = 1.2,
    rows: int = 8,
    per_row: int = 0,
    spread: float = 0.13,
    gap: float = 0.0,
    gloss: float = 0.45,
) -> Material:
    """Boards side by side, the grain along u.

    Each board is cut from a log of its own: rings are circles around a pith that wanders below the board, which
    draws the flames of flat-sawn wood.

    Args:
        species: of `WOODS`.
        tile: metres.
        rows: boards over a tile.
        per_row: boards along a tile; 0 for boards without joints.
        spread: how much the boards differ in tone; small for veneer.
        gap: depth in metres of the grooves between boards.
        gloss: 0 is matt, 1 is polished.
    """
    number, joint = _boards(rng, rows, per_row)
    boards = int(number.max()) + 1
    across = _grid(tile)[1]
    pith = rng.uniform(-0.5, 0.5, boards).astype(np.float32) * 0.16
    depth = rng.uniform(0.03, 0.12, boards).astype(np.float32)
    wander = [noise(rng, 1.5, 2.5, 2.0) for _ in range(2)]
    centre = (np.floor(number // max(per_row, 1)) + 0.5) * tile / rows
    side = across - centre.astype(np.float32) - pith[number] + 0.012 * wander[0]
    # Each log leans its own way; at this slope a flame is five to ten times longer than wide.
    lean = rng.uniform(-0.012, 0.012, boards).astype(np.float32)
    below = depth[number] + lean[number] * wander[1]
    radius = np.hypot(side, below)
    width = rng.uniform(0.005, 0.009)
    ring = (radius / width + rng.random(boards).astype(np.float32)[number] * 9) % 1.0
    spacing = width / np.maximum(np.abs(side) / radius, 0.12) * SIZE / tile
    visible = np.clip((spacing - 1.5) / 4, 0, 1)
    fibre = noise(rng, 120, 0.7, 36)
    tone = rng.normal(0, spread, boards).astype(np.float32)[number]
    value = 0.42 + tone + 0.36 * visible * (ring**2 - 0.33) + 0.075 * fibre + 0.05 * noise(rng, 5, 1.5, 3)
    pores = np.clip(fibre - 1.3, 0, 2)
    early, late = WOODS[species]
    darkest = (0.72 * late[0], 0.72 * late[1], 0.72 * late[2])
    colors = _blend(value, early, late, darkest) * (1 - 0.08 * pores)[..., None]
    groove = np.exp(-((joint / (0.9 if gap else 0.7)) ** 2))
    colors *= (1 - groove * (0.55 if gap else 0.16))[..., None]
    bump = -2.0e-5 * fibre - 4e-5 * pores - gap * groove
    return Material(
        texture=_picture(_wear(rng, colors, 0.8)),
        roughness=0.75 - 0.45 * gloss,
        bump=bump.astype(np.float32),
        tile=tile,
    )


def parquet(rng: np.random.Generator, species: str) -> Material:
    """A floor of staves laid in rows, their ends staggered."""
    rows, per_row = [(12, 2), (16, 3), (20, 4)][rng.integers(3)]
    return wood(rng, species, 1.8, rows, per_row, gap=6e-4, gloss=rng.uniform(0.3, 0.7))


# Stone and masonry


def marble(rng: np.random.Generator, base: Color, vein: Color) -> Material:
    """Polished stone with veins."""
    warp, present = noise(rng, 2, 1.6), np.clip(0.6 + 0.5 * noise(rng, 2), 0, 1)
    drawn = np.zeros((SIZE, SIZE), np.float32)
    for cycles, width, share in ((1.6, 0.05, 0.75), (3.5, 0.045, 0.4), (8, 0.05, 0.2)):
        field = noise(rng, cycles, 1.4) + 0.5 * warp
        drawn += share * np.exp(-((field / width) ** 2)) * present
    colors = _blend(np.clip(drawn + 0.1 * warp + 0.08, 0, 1), base, vein) + 1.5 * noise(rng, 120, 0)[..., None]
    return Material(texture=_picture(_wear(rng, colors, 0.5)), roughness=0.22, tile=1.4)


def granite(rng: np.random.Generator, colors: Sequence[Color]) -> Material:
    """Grains of several colours, a few millimetres large, polished."""
    picture = np.empty((SIZE, SIZE, 3), np.float32)
    picture[:] = colors[0]
    for color, cycles in zip(colors[1:], (70, 110, 40), strict=False):
        grains = np.clip(3 * (noise(rng, cycles, 3) - 0.55), 0, 1)[..., None]
        picture += grains * (np.asarray(color, np.float32) - picture)
    picture *= 1 + 0.05 * noise(rng, 4)[..., None]
    return Material(texture=_picture(picture + 5 * noise(rng, 160, 0)[..., None]), roughness=0.25, tile=1.0)


def terrazzo(rng: np.random.Generator, base: Color, chips: Sequence[Color]) -> Material:
    """Chips of stone in cement, ground flat."""
    picture = np.empty((SIZE, SIZE, 3), np.float32)
    picture[:] = base
    picture += 3 * noise(rng, 20)[..., None]
    for _ in range(6):
        for _ in range(45):
            corners = int(rng.integers(4, 8))
            angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
            radius = np.minimum(rng.lognormal(1.6, 0.5), 14) * rng.uniform(0.6, 1.0, corners)
            points = rng.uniform(16, SIZE - 16, 2) + np.stack([np.cos(angles), np.sin(angles)], 1) * radius[:, None]
            color = np.asarray(chips[int(rng.integers(len(chips)))]) * rng.uniform(0.85, 1.1)
            cv2.fillPoly(picture, [(points * 16).astype(np.int32)], color.tolist(), cv2.LINE_AA, 4)
        picture = np.roll(picture, tuple(rng.integers(0, SIZE, 2)), axis=(0, 1))
    return Material(texture=_picture(_wear(rng, picture, 0.6)), roughness=0.3, tile=1.0)


def concrete(rng: np.random.Generator, tone: float = 150.0) -> Material:
    """Cast concrete: clouds, pores, and hairlines."""
    value = tone + 9 * noise(rng, 1.5, 1.0) + 5 * noise(rng, 8, 0.8) + 4 * noise(rng, 90, 0.2)
    pores = np.clip(noise(rng, 60, 3) - 2.3, 0, 1)
    hairline = np.exp(-((noise(rng, 1.5, 1.6) / 0.008) ** 2)) * (noise(rng, 2) > 0.6)
    value = value * (1 - 0.5 * pores - 0.15 * hairline)
    tint = np.array([1.0, 0.985, 0.955]) + rng.normal(0, 0.01, 3)
    bump = 1.5e-4 * noise(rng, 40, 0.8) - 1e-3 * pores
    colors = value[..., None] * tint.astype(np.float32)
    return Material(texture=_picture(colors), roughness=0.8, bump=bump.astype(np.float32), tile=1.6)


def plaster(rng: np.random.Generator, color: Color, roughcast: float = 1.0) -> Material:
    """A painted wall: the roller's grain, drifts of tone, and marks of use."""
    drift = 0.018 * noise(rng, 1.2, 1.5) + 0.007 * noise(rng, 30, 0.5, 0.6)
    marks = np.clip(noise(rng, 4, 2) - 2.6, 0, 1)
    colors = np.asarray(color, np.float32) * (1 + drift - 0.10 * marks)[..., None]
    bump = 7e-5 * roughcast * noise(rng, 120, 0.5) + 2e-4 * roughcast * noise(rng, 14, 1.0)
    return Material(texture=_picture(colors), roughness=0.85, bump=bump.astype(np.float32), tile=2.0)


def wallpaper(rng: np.random.Generator, color: Color, ink: Color) -> Material:
    """A printed paper: stripes, a lattice or scattered leaves."""
    along, across = _grid(1.0)
    kind, count = rng.integers(3), int(rng.integers(6, 12))
    if kind == 0:
        phase = _edges(along * count)
        pattern = np.clip((phase - rng.uniform(0.12, 0.3)) * 40, 0, 1)
    elif kind == 1:
        wave = np.cos(2 * np.pi * along * count) + np.cos(2 * np.pi * across * (count // 2))
        pattern = np.exp(-((wave / 0.22) ** 2)) + np.clip(6 * (wave - 1.5), 0, 1)
    else:
        pattern = np.zeros((SIZE, SIZE), np.float32)
        step = SIZE / count
        for row in range(count):
            for column in range(count):
                middle = ((column + 0.5 * (row % 2)) * step % (SIZE - 30) + 15, (row + 0.5) * step)
                for lean in (-40, 0, 40):
                    turn = lean + 90 + rng.uniform(-8, 8)
                    cv2.ellipse(pattern, (middle, (0.55 * step, 0.16 * step), turn), 1.0, -1, cv2.LINE_AA)
    value = np.clip(pattern, 0, 1) * 0.7 + 0.03 * noise(rng, 2)
    colors = _blend(value, color, ink) * (1 + 0.012 * noise(rng, 100, 0.2))[..., None]
    return Material(texture=_picture(colors), roughness=0.8, bump=3e-5 * noise(rng, 120, 0.3), tile=1.0)


def bricks(rng: np.random.Generator, color: Color, mortar: Color, painted: bool = False) -> Material:
    """A brick wall in running bond, bricks of 25 x 8.3 cm with their joints; painted over, all are of one colour."""
    columns, rows, tile = 4, 12, 1.0
    along, across = _grid(tile)
    row = np.floor(across * rows / tile).astype(int)
    rough, uneven = noise(rng, 30, 1.2), noise(rng, 12)
    x = along * columns / tile + 0.5 * (row % 2) + 0.006 * uneven
    y = across * rows / tile + 0.02 * uneven
    inside = np.minimum(_edges(x) * tile / columns, _edges(y) * tile / rows) - 0.0055
    brick = np.clip(inside / 0.003, 0, 1)
    column = np.floor(x).astype(int) % columns
    tone = rng.normal(0, 0.12, (rows, columns)).astype(np.float32)[row, column]
    hue = rng.normal(0, 0.04, (rows, columns, 3)).astype(np.float32)[row, column]
    body = np.asarray(color, np.float32) * (1 + tone + 0.06 * rough + 0.05 * noise(rng, 90, 0.3))[..., None] * (1 + hue)
    if painted:
        body = np.asarray(color, np.float32) * (1 + 0.015 * rough)[..., None]
    joint = np.asarray(color if painted else mortar, np.float32) * (0.95 + 0.04 * noise(rng, 80, 0.3))[..., None]
    colors = joint + brick[..., None] * (body - joint)
    bump = 0.004 * brick + 5e-4 * rough * brick + 2e-4 * noise(rng, 90, 0.5)
    return Material(texture=_picture(_wear(rng, colors, 0.5)), roughness=0.85, bump=bump.astype(np.float32), tile=tile)


def tiles(rng: np.random.Generator, color: Color, grout: Color, columns: int, rows: int, tile: float) -> Material:
    """Glazed or stone tiles, `columns` x `rows` over `tile` metres; twice as many rows lie staggered."""
    along, across = _grid(tile)
    row = np.floor(across * rows / tile).astype(int)
    x = along * columns / tile + (0.5 * (row % 2) if rows == 2 * columns else 0.0)
    y = across * rows / tile
    inside = np.minimum(_edges(x) * tile / columns, _edges(y) * tile / rows) - 0.0018
    glaze = np.clip(inside / 0.0015, 0, 1)
    tone = rng.normal(0, 0.025, (rows, columns)).astype(np.float32)[row, np.floor(x).astype(int) % columns]
    clouds = 0.02 * noise(rng, 4) + 0.02 * noise(rng, 25, 0.8)
    body = np.asarray(color, np.float32) * (1 + tone + clouds)[..., None]
    joint = np.asarray(grout, np.float32) * (1 + 0.06 * noise(rng, 30))[..., None]
    bump = (0.0012 * np.clip(inside / 0.004, 0, 1) + 4e-5 * noise(rng, 8)).astype(np.float32)
    colors = _wear(rng, joint + glaze[..., None] * (body - joint), 0.6)
    return Material(texture=_picture(colors), roughness=0.3, bump=bump, tile=tile)


# Soft surfaces, metal, paper


def carpet(rng: np.random.Generator, color: Color, other: Color) -> Material:
    """Short pile, flecked with a second colour."""
    pile = noise(rng, 110, 0.4)
    value = 0.3 + 0.16 * pile + 0.10 * noise(rng, 10, 1) + 0.08 * noise(rng, 2)
    colors = _blend(value, color, other) * (1 + 0.10 * noise(rng, 140, 0.2))[..., None]
    return Material(texture=_picture(colors), roughness=0.95, bump=(1.5e-3 * pile).astype(np.float32), tile=1.2)


def cloth(rng: np.random.Generator, colors: Sequence[Color], pattern: str) -> Material:
    """Woven cloth.

    Args:
        colors: two or three.
        pattern: "plain", "stripes", "check" (gingham) or "plaid".
    """
    tile, threads = 0.6, 128
    along, across = _grid(tile)
    repeats = int(rng.integers(4, 14))
    bands = rng.integers(0, len(colors), 12)
    palette = np.asarray(colors, np.float32)

    def yarn(place: FloatArray) -> FloatArray:
        phase = place * repeats / tile % 1.0
        if pattern == "plain":
            return np.broadcast_to(palette[0], (*place.shape, 3))
        if pattern == "check":
            return palette[(phase > 0.5).astype(int)]
        return palette[bands[(phase * len(bands)).astype(int)]]

    warp, weft = yarn(along), yarn(across)
    if pattern == "stripes":
        weft = np.broadcast_to(palette[0], warp.shape)
    x, y = along * threads / tile, across * threads / tile
    over = 0.5 + 0.5 * np.cos(np.pi * (np.floor(x) + np.floor(y)))
    # Where the weave is finer than a pixel of the camera both yarns show, and twill leans to one of them.
    share = (0.3 + 0.4 * over)[..., None]
    mixed = warp * share + weft * (1 - share)
    if pattern == "stripes":
        mixed = 0.8 * warp + 0.2 * weft
    slub = 0.035 * noise(rng, 120, 0.6, 8) + 0.035 * noise(rng, 120, 0.6, 0.125) + 0.02 * noise(rng, 3)
    shade = (0.90 + 0.10 * np.abs(np.sin(np.pi * x) * np.sin(np.pi * y)) + slub)[..., None]
    bump = 1.2e-4 * np.abs(np.sin(np.pi * x)) * np.abs(np.sin(np.pi * y)) + 3e-5 * noise(rng, 60)
    return Material(texture=_picture(mixed * shade), roughness=0.95, bump=bump.astype(np.float32), tile=tile)


def paint(rng: np.random.Generator, color: Color, gloss: float = 0.5) -> Material:
    """Lacquer, melamine or enamel: one colour, a little uneven, with smudges and fine scratches."""
    fine = 0.006 * noise(rng, 150, 0.2) + 0.008 * noise(rng, 3, 1.5)
    colors = _wear(rng, np.asarray(color, np.float32) * (1 + fine)[..., None], 0.5)
    bump = (5e-6 * noise(rng, 40, 1.0)).astype(np.float32)
    return Material(texture=_picture(colors), roughness=0.7 - 0.45 * gloss, bump=bump, tile=1.2)


def metal(rng: np.random.Generator, color: Color = (190, 190, 192), roughness: float = 0.35) -> Material:
    """Brushed along u."""
    streaks = noise(rng, 100, 0.6, 40)
    colors = np.asarray(color, np.float32) * (1 + 0.05 * streaks + 0.03 * noise(rng, 3))[..., None]
    bump = (3e-6 * streaks).astype(np.float32)
    return Material(texture=_picture(colors), roughness=roughness, metallic=1.0, bump=bump, tile=0.6)


def cardboard(rng: np.random.Generator) -> Material:
    """Brown board with the flutes shining through."""
    _, across = _grid(0.5)
    flutes = np.sin(2 * np.pi * across * 70 / 0.5)
    value = 1 + 0.025 * flutes + 0.03 * noise(rng, 60, 0.5, 4) + 0.03 * noise(rng, 3)
    colors = np.asarray((186, 146, 102), np.float32) * value[..., None]
    return Material(texture=_picture(_wear(rng, colors, 0.7)), roughness=0.9, tile=0.5)
