"""The table that the person works at. Its top's middle is at (0, 0, height); the person sits at -y."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from genego_ros.data.synthetic import textures
from genego_ros.data.synthetic.furniture import Palette, reflectance
from genego_ros.data.synthetic.scene import Material
from genego_ros.data.synthetic.solids import Assembly, box, lathe, sheet, tube
from genego_ros.data.synthetic.textures import Color
from genego_ros.types import Float64Array

HEIGHTS = (0.72, 0.78)
"""Metres."""


@dataclass(frozen=True)
class Table:
    """What others need to know of a table."""

    height: float
    """Metres, of the surface that things stand on."""
    outline: Float64Array
    """float64 (N, 2), metres: the flat part of the top, convex, counter-clockwise."""
    reflectance: Float64Array
    """Mean linear RGB, float64 (3,), of the top."""
    words: str
    """"a round oak table"."""


def make_table(rng: np.random.Generator, style: str, palette: Palette, made: Assembly) -> Table:
    """Adds a table that suits a room of that style (a key of `KINDS`) to what is made."""
    height = rng.uniform(*HEIGHTS)
    kind = str(rng.choice(KINDS[style]))
    top, finish = _top(rng, kind)
    if kind == "round":
        return _round(rng, palette, made, height, top, finish)
    wide, deep = rng.uniform(1.2, 1.7), rng.uniform(0.66, 0.86)
    thick = {"desk": 0.028, "island": 0.04, "bench": 0.055, "dining": 0.03}[kind] * rng.uniform(0.85, 1.2)
    edge = rng.uniform(0.002, 0.4 * thick)
    slab = box((wide, deep, thick), edge, segments=2)
    made.add(top, slab.shifted(rng.random(2)).at((0, 0, height - thick)))
    legs = {"desk": _desk_legs, "island": _island_body, "bench": _bench_legs, "dining": _dining_legs}[kind]
    legs(rng, palette, made, wide, deep, height - thick)
    names = {"desk": "desk", "island": "kitchen counter", "bench": "workbench", "dining": "table"}
    words, flat = f"{_article(finish)} {finish} {names[kind]}", 0.0
    if kind == "dining" and rng.random() < 0.35:
        top, pattern = _cover(rng, made, wide, deep, height)
        words, flat = f"a table with a {pattern} cloth", 0.0015
    half = np.array([wide / 2 - edge, deep / 2 - edge])
    outline = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    return Table(height + flat, outline, reflectance(top), words)


KINDS = {
    "kitchen": ("island", "island", "dining", "round"),
    "living room": ("dining", "round", "dining"),
    "office": ("desk", "desk", "desk", "round"),
    "workshop": ("bench", "bench", "desk"),
}


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _top(rng: np.random.Generator, kind: str) -> tuple[Material, str]:
    """The surface of the top and its name."""
    draw = rng.random()
    if kind == "island" and draw < 0.6:
        return stone(rng)
    if kind == "desk" and draw < 0.4:
        color, name = _LAMINATES[rng.integers(len(_LAMINATES))]
        return textures.paint(rng, color, rng.uniform(0.2, 0.7)), name
    species = str(rng.choice(["pine", "beech", "oak"] if kind == "bench" else list(textures.WOODS)))
    rows, per_row, spread = [(4, 0, 0.03), (8, 0, 0.13), (10, 0, 0.13), (16, 3, 0.13), (24, 4, 0.13)][rng.integers(5)]
    gloss = rng.uniform(0.1, 0.4) if kind == "bench" else rng.uniform(0.25, 0.85)
    return textures.wood(rng, species, rng.uniform(1.0, 1.3), rows, per_row, spread, gloss=gloss), species


_LAMINATES: tuple[tuple[Color, str], ...] = (
    ((232, 232, 228), "white"),
    ((196, 198, 198), "grey"),
    ((52, 53, 56), "black"),
    ((224, 214, 194), "cream"),
    ((122, 138, 140), "grey-blue"),
    ((158, 172, 150), "green"),
)


def stone(rng: np.random.Generator) -> tuple[Material, str]:
    """A worktop's stone and its name."""
    kind = rng.integers(5)
    if kind == 0:
        return textures.marble(rng, (236, 233, 228), (128, 126, 128)), "white marble"
    if kind == 1:
        return textures.marble(rng, (48, 52, 50), (170, 164, 150)), "dark marble"
    if kind == 2:
        grey = rng.uniform(60, 150)
        grains = [(grey + 25 * d, grey + 24 * d, grey + 22 * d) for d in (0.0, -1.2, 1.2, -0.7)]
        return textures.granite(rng, grains), "granite"
    if kind == 3:
        chips = [(150, 90, 70), (96, 96, 98), (235, 230, 220), (180, 150, 110)]
        return textures.terrazzo(rng, (214, 209, 199), chips), "terrazzo"
    return textures.concrete(rng, rng.uniform(120, 175)), "concrete"


def _round(
    rng: np.random.Generator, palette: Palette, made: Assembly, height: float, top: Material, finish: str
) -> Table:
    radius, thick = rng.uniform(0.52, 0.66), rng.uniform(0.025, 0.035)
    edge = 0.35 * thick
    rim = lathe([(radius - edge, 0), (radius, edge), (radius, thick - edge), (radius - edge, thick)], 64)
    made.add(top, rim.at((0, 0, height - thick)))

    def disc(u: Float64Array, v: Float64Array) -> Float64Array:
        # A square bent to a disc keeps the grain straight (Shirley and Chiu, A Low Distortion Map, 1997).
        x, y = 2 * u - 1, 2 * v - 1
        r = np.maximum(np.abs(x), np.abs(y))
        with np.errstate(divide="ignore", invalid="ignore"):
            angle = np.where(np.abs(x) >= np.abs(y), np.pi / 4 * y / x, np.pi / 2 - np.pi / 4 * x / y)
        angle = np.where(r == 0, 0, angle) + np.where(np.where(np.abs(x) >= np.abs(y), x, y) < 0, np.pi, 0)
        return (radius - edge) * np.stack([r * np.cos(angle), r * np.sin(angle), np.zeros_like(r)], axis=1)

    face = sheet(disc, (2 * radius, 2 * radius), 16)
    flat = replace(face, uv=face.vertices[:, :2])
    made.add(top, flat.at((0, 0, height)))
    made.add(palette.wood, flat.at((0, 0, height - thick)))
    if rng.random() < 0.5:
        made.add(palette.wood, lathe([(0.06, 0.05), (0.04, 0.2), (0.055, 0.5), (0.09, height - thick)], 24))
        for angle in np.arange(4) * np.pi / 2 + np.pi / 4:
            foot = box((0.36, 0.06, 0.05), 0.01).at((0.2 * np.cos(angle), 0.2 * np.sin(angle), 0), angle)
            made.add(palette.wood, foot)
    else:
        for angle in np.arange(4) * np.pi / 2 + np.pi / 4:
            way = np.array([np.cos(angle), np.sin(angle), 0])
            leg = [0.85 * radius * way + [0, 0, 0.01], 0.6 * radius * way + [0, 0, height - thick]]
            made.add(palette.wood, tube(leg, 0.022, 12))
    angles = np.arange(48) * 2 * np.pi / 48
    outline = (radius - edge) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Table(height, outline, reflectance(top), f"a round {finish} table")


def _desk_legs(
    rng: np.random.Generator, palette: Palette, made: Assembly, wide: float, deep: float, top: float
) -> None:
    bar = rng.uniform(0.03, 0.05)
    metal = palette.metal if rng.random() < 0.4 else palette.dark
    for side in (-1, 1):
        x = side * (wide / 2 - 0.08)
        for y in (-deep / 2 + 0.07, deep / 2 - 0.07):
            made.add(metal, box((bar, bar, top), 0.003, grain=2).at((x, y, 0)))
        made.add(metal, box((bar, deep - 0.14, bar), 0.003, grain=1).at((x, 0, top - bar)))
    if rng.random() < 0.5:
        drawers = box((0.36, deep - 0.16, top - 0.08), 0.004).at((wide / 2 - 0.32, 0.03, 0.06))
        made.add(palette.front, drawers)


def _dining_legs(
    rng: np.random.Generator, palette: Palette, made: Assembly, wide: float, deep: float, top: float
) -> None:
    bar, apron = rng.uniform(0.045, 0.08), rng.uniform(0.06, 0.09)
    for x in (-wide / 2 + 0.08, wide / 2 - 0.08):
        for y in (-deep / 2 + 0.08, deep / 2 - 0.08):
            made.add(palette.wood, box((bar, bar, top), 0.006, grain=2).shifted(rng.random(2)).at((x, y, 0)))
    for y in (-deep / 2 + 0.09, deep / 2 - 0.09):
        made.add(palette.wood, box((wide - 0.2, 0.022, apron), 0.002).at((0, y, top - apron)))
    for x in (-wide / 2 + 0.09, wide / 2 - 0.09):
        made.add(palette.wood, box((0.022, deep - 0.2, apron), 0.002, grain=1).at((x, 0, top - apron)))


def _bench_legs(
    rng: np.random.Generator, palette: Palette, made: Assembly, wide: float, deep: float, top: float
) -> None:
    for x in (-wide / 2 + 0.1, wide / 2 - 0.1):
        for y in (-deep / 2 + 0.08, deep / 2 - 0.08):
            made.add(palette.wood, box((0.09, 0.09, top), 0.005, grain=2).shifted(rng.random(2)).at((x, y, 0)))
        made.add(palette.wood, box((0.05, deep - 0.2, 0.09), 0.004, grain=1).at((x, 0, 0.14)))
    made.add(palette.wood, box((wide - 0.2, 0.25, 0.025), 0.003).at((0, deep / 2 - 0.22, 0.23)))
    made.add(palette.wood, box((wide - 0.2, 0.03, 0.1), 0.003).at((0, deep / 2 - 0.08, top - 0.1)))


def _island_body(
    rng: np.random.Generator, palette: Palette, made: Assembly, wide: float, deep: float, top: float
) -> None:
    # Set back from the person, whose knees go under the top.
    body = deep - 0.34
    made.add(palette.front, box((wide - 0.08, body, top - 0.09), 0.004).at((0, deep / 2 - body / 2 - 0.03, 0.09)))
    made.add(palette.dark, box((wide - 0.16, body - 0.08, 0.09)).at((0, deep / 2 - body / 2 - 0.03, 0)))
    for x in (-wide / 2 + 0.05, wide / 2 - 0.05):
        made.add(palette.front, box((0.03, deep - 0.06, top), 0.003).at((x, 0, 0)))


def _cover(rng: np.random.Generator, made: Assembly, wide: float, deep: float, height: float) -> tuple[Material, str]:
    """Spreads a cloth 1.5 mm thick over the top, its border hanging down; returns it and its name."""
    pattern = str(rng.choice(["plain", "stripes", "check", "plaid"]))
    ground = tuple(float(c) for c in rng.choice([(236, 230, 218), (214, 218, 214), (180, 192, 200), (222, 206, 176)]))
    inks = [(158, 56, 50), (58, 84, 120), (88, 112, 80), (196, 158, 70), (110, 104, 100)]
    first, second = rng.permutation(len(inks))[:2]
    cloth = textures.cloth(rng, [(ground[0], ground[1], ground[2]), inks[first], inks[second]], pattern)
    drop, folds, phase = rng.uniform(0.14, 0.26), rng.uniform(9, 14), rng.uniform(0, 6)
    over = 0.006

    def point(u: Float64Array, v: Float64Array) -> Float64Array:
        half = np.array([wide, deep]) / 2 + over
        # A seventh of the grid on either side hangs, so that its lines run along the table's edges.
        knots = np.array([0, 1, 6, 7]) / 7
        flat = np.stack(
            [np.interp(share, knots, [-h - drop, -h, h, h + drop]) for share, h in zip((u, v), half, strict=True)],
            axis=1,
        )
        inside = np.clip(flat, -half, half)
        beyond = np.linalg.norm(flat - inside, axis=1)
        wave = 0.03 * np.sin(folds * (flat[:, 0] - flat[:, 1]) + phase) * np.clip(beyond / drop, 0, 1)
        out = np.divide(flat - inside, beyond[:, None], out=np.zeros_like(flat), where=beyond[:, None] > 0)
        spot = inside + out * (0.02 * np.clip(beyond / 0.05, 0, 1) + np.abs(wave))[:, None]
        return np.column_stack([spot, height + 0.0015 - beyond])

    spread = sheet(point, (1.0, 1.0), 49)
    half = np.array([wide, deep]) / 2 + over
    beyond = np.maximum(height - spread.vertices[:, 2:], 0)
    flat = np.clip(spread.vertices[:, :2], -half, half)
    made.add(cloth, replace(spread, uv=flat + np.sign(flat) * beyond * (np.abs(flat) >= half - 1e-9)))
    return cloth, {"plain": "linen", "stripes": "striped", "check": "checked", "plaid": "plaid"}[pattern]
