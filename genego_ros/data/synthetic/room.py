"""A furnished room around a table: the place of a recording.

`make_room` draws everything that stays the same in all recordings of one scene; `clutter` adds what lies
about in one of them. The table's middle is at the origin, the person at -y looks along +y. Around the table
the room is free for the cameras; furniture lines the walls. There is no ceiling: its light is the environment's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genego_ros.data.synthetic import furniture, light, textures
from genego_ros.data.synthetic.furniture import Palette, plain, reflectance
from genego_ros.data.synthetic.scene import Environment, KeyLight, Material, Mesh
from genego_ros.data.synthetic.solids import Assembly, Solid, box, panel
from genego_ros.data.synthetic.tables import KINDS, Table, make_table, stone
from genego_ros.data.synthetic.textures import Color
from genego_ros.geometry import rigid
from genego_ros.types import Float64Array, FloatArray

WALL_HEIGHT = 2.6
"""Metres; no camera of a rig looks over it."""
CORRIDOR = 1.7
"""Metres around the table's middle that furniture along the walls leaves free."""
CORNER = 0.62
"""Metres of a wall next to a corner that its furniture leaves to the other wall's."""

WARM, NEUTRAL, DAY, COOL = (1.10, 0.98, 0.80), (1.04, 1.0, 0.92), (1.0, 1.0, 1.0), (0.93, 1.0, 1.10)
"""Linear RGB of lamps and windows, of luminance 1 within 2%: about what an automatic white balance leaves of them."""


@dataclass(frozen=True)
class Room:
    """All that stays the same in the recordings of one scene."""

    meshes: tuple[Mesh, ...]
    """World frame; none of them moves."""
    table: Table
    environment: Environment
    lights: tuple[KeyLight, ...]
    irradiance: float
    """Luminance of all light that falls on a sheet of paper on the table's middle, in the unit of `KeyLight`; a
    sensor with the exposure 1 / irradiance shows it just below white."""
    reflectance: float
    """Luminance that the surfaces which fill a picture reflect in the mean, 0 to 1."""
    words: str
    """"a round oak table in a living room with a brick wall"."""
    style: str
    """A key of `tables.KINDS`."""
    palette: Palette

    @property
    def table_height(self) -> float:
        return self.table.height


def make_room(rng: np.random.Generator) -> Room:
    """A room; the same generator state gives the same one."""
    style = str(rng.choice(list(KINDS)))
    palette, made = _palette(rng, style), Assembly()
    table = make_table(rng, style, palette, made)
    low = -np.array([rng.uniform(2.0, 3.2), rng.uniform(2.0, 2.9)])
    high = np.array([rng.uniform(2.0, 3.2), rng.uniform(2.0, 3.0)])
    floor, floor_color = _floor(rng, style, made, low, high, palette)
    covers, wall_words = _wall_covers(rng, style)
    maps = light.panoramas()
    by_day = bool(rng.random() < 0.75)
    outside = furniture.Outside(maps[str(rng.choice(_VIEWS))], by_day)
    frames = _wall_frames(low, high)
    glazed = {int(rng.integers(4))} | ({int(rng.integers(4))} if rng.random() < 0.3 else set())
    door = int(rng.choice([wall for wall in range(4) if wall not in glazed]))
    windows = []
    for wall, (T, length, away) in enumerate(frames):
        opening = _furnish_wall(
            rng,
            style,
            palette,
            made,
            (T, length, away),
            covers[wall],
            outside if wall in glazed else None,
            wall == door,
        )
        if opening is not None:
            windows.append((wall, *opening))
    _chairs(rng, style, palette, made, table)
    mean = np.mean([reflectance(cover) for cover in covers], axis=0)
    walls = light.Walls(low, high, WALL_HEIGHT, mean, floor_color, tuple(windows))
    environment, lights, total = _light(rng, maps, walls, frames, table.height, by_day)
    place = {"living room": "a living room", "kitchen": "a kitchen", "office": "an office", "workshop": "a workshop"}
    words = f"{table.words} in {place[style]} with {wall_words} and {floor}"
    # Half of what is seen is the table.
    seen = float((0.5 * table.reflectance + 0.25 * mean + 0.25 * floor_color) @ light.LUMINANCE)
    return Room(made.meshes("room/"), table, environment, lights, total, seen, words, style, palette)


def chair_meshes(rng: np.random.Generator, room: Room, seat: tuple[float, float]) -> tuple[Mesh, ...]:
    """A chair, 0.45 m high, for a person who sits at `seat` (world x and y, metres) and looks along +y."""
    made = Assembly()
    made.place(furniture.chair(rng, room.palette), rigid.compose(np.eye(3), [seat[0], seat[1], 0.0]))
    return made.meshes("chair/")


# Surfaces

_PAINTS: tuple[tuple[Color, str], ...] = (
    ((236, 234, 228), "white walls"),
    ((228, 220, 204), "cream walls"),
    ((206, 208, 206), "light grey walls"),
    ((188, 196, 198), "blue-grey walls"),
    ((196, 202, 182), "sage walls"),
    ((222, 202, 178), "sand walls"),
    ((164, 178, 190), "blue walls"),
    ((214, 188, 178), "pink walls"),
    ((128, 134, 130), "dark grey walls"),
)
_BRICKS: tuple[tuple[Color, Color, bool, str], ...] = (
    ((160, 86, 64), (188, 180, 168), False, "a brick wall"),
    ((140, 78, 66), (150, 144, 136), False, "a dark brick wall"),
    ((188, 150, 116), (196, 188, 174), False, "a sandstone-coloured brick wall"),
    ((228, 224, 216), (228, 224, 216), True, "a white brick wall"),
)


def _palette(rng: np.random.Generator, style: str) -> Palette:
    species = list(textures.WOODS)
    wood = textures.wood(rng, str(rng.choice(species)), 1.2, 4, spread=0.03, gloss=rng.uniform(0.2, 0.7))
    fronts = [(232, 231, 226), (208, 208, 204), (118, 136, 138), (150, 164, 146), (70, 76, 84), (196, 180, 156)]
    front = (
        wood if rng.random() < 0.4 else textures.paint(rng, fronts[rng.integers(len(fronts))], rng.uniform(0.3, 0.7))
    )
    fabrics = [(126, 128, 132), (164, 150, 130), (92, 104, 122), (112, 122, 98), (150, 88, 74), (206, 198, 184)]
    fabric = fabrics[rng.integers(len(fabrics))]
    lighter = tuple(min(255.0, 1.25 * c) for c in fabric)
    pattern = "stripes" if rng.random() < 0.2 else "plain"
    steel = rng.uniform(150, 200)
    return Palette(
        wood=wood,
        front=front,
        cloth=textures.cloth(rng, [fabric, (lighter[0], lighter[1], lighter[2])], pattern),
        metal=plain((steel, steel, 1.01 * steel), rng.uniform(0.25, 0.45), 1.0),
        dark=plain((44, 45, 48), 0.5),
        white=plain((228, 228, 224), 0.4),
        paper=plain((250, 250, 250), 0.7),
        ceramic=plain((250, 250, 250), 0.25),
        leaf=plain((250, 250, 250), 0.5),
    )


def _floor(
    rng: np.random.Generator, style: str, made: Assembly, low: Float64Array, high: Float64Array, palette: Palette
) -> tuple[str, Float64Array]:
    """Adds the floor, sometimes with a rug; returns its name and what it reflects, linear RGB (3,)."""
    draw = rng.random()
    if style in ("office", "workshop") and draw < 0.4:
        cover, words = textures.concrete(rng, rng.uniform(110, 165)), "a concrete floor"
    elif style == "office" and draw < 0.75:
        cover, words = textures.carpet(rng, (104, 108, 116), (148, 148, 148)), "a carpet"
    elif style == "kitchen" and draw < 0.6:
        tone = rng.uniform(110, 215)
        count = int(rng.integers(2, 5))
        cover = textures.tiles(rng, (tone, 0.97 * tone, 0.91 * tone), (128, 125, 120), count, count, 1.2)
        words = "a tiled floor"
    else:
        cover, words = textures.parquet(rng, str(rng.choice(list(textures.WOODS)))), "a wooden floor"
    size = high - low
    made.add(cover, _level(size, 0.0, bool(rng.random() < 0.5)).at((*((low + high) / 2), 0.0)))
    if style != "workshop" and rng.random() < 0.35:
        first, second, third = (_cloth_color(rng) for _ in range(3))
        rug = textures.cloth(rng, [first, second, third], str(rng.choice(["stripes", "plaid", "plain"])))
        made.add(
            rug, box((rng.uniform(1.8, 2.6), rng.uniform(1.5, 2.2), 0.008), 0.003).at((*rng.normal(0, 0.1, 2), 0.0005))
        )
    return words, reflectance(cover)


def _cloth_color(rng: np.random.Generator) -> Color:
    r, g, b = np.clip(rng.uniform(60, 210) + rng.normal(0, 25, 3), 30, 235)
    return float(r), float(g), float(b)


def _level(size: Float64Array, z: float, across: bool) -> Solid:
    """A rectangle that faces up, about the origin; `across` runs the texture along y."""
    x, y = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]).T * size[:, None] / 2
    uv = np.stack([y, x] if across else [x, y], axis=1)
    return Solid(np.stack([x, y, np.full(4, z)], axis=1), np.array([[0, 1, 2], [0, 2, 3]], np.int32), uv)


def _wall_covers(rng: np.random.Generator, style: str) -> tuple[list[Material], str]:
    """What covers the walls +x, +y, -x, -y, and its name."""
    color, words = _PAINTS[rng.integers(len(_PAINTS))]
    painted = textures.plaster(rng, color, rng.uniform(0.3, 1.3))
    covers = [painted] * 4
    draw = rng.random()
    if draw < 0.3:
        brick, mortar, over, words = _BRICKS[rng.integers(len(_BRICKS))]
        accent = textures.bricks(rng, brick, mortar, over)
    elif draw < 0.5 and style in ("living room", "office"):
        ink = np.asarray(color) * rng.uniform(0.62, 0.9) + rng.normal(0, 8, 3)
        accent = textures.wallpaper(rng, color, (float(ink[0]), float(ink[1]), float(ink[2])))
        words = "a papered wall"
    elif draw < 0.62 and style != "kitchen":
        accent, words = textures.concrete(rng, rng.uniform(130, 175)), "a concrete wall"
    else:
        return covers, words
    for wall in rng.permutation(4)[: rng.integers(1, 4)]:
        covers[wall] = accent
    return covers, words


# Walls and what stands along them

Frame = tuple[Float64Array, float, float]
"""T_world_wall of a wall in the plane y = 0 that faces -y, its length, and its distance from the origin."""

_FURNITURE = {
    "kitchen": ("kitchen", "kitchen", "fridge", "cupboard", "tall_plant"),
    "living room": ("bookcase", "cupboard", "sofa", "floor_lamp", "tall_plant"),
    "office": ("bookcase", "desk", "cupboard", "bookcase", "tall_plant"),
    "workshop": ("bookcase", "desk", "bookcase", "cupboard"),
}
_WIDTHS = {
    "kitchen": (1.2, 2.6),
    "fridge": (0.6, 0.7),
    "cupboard": (0.8, 1.6),
    "bookcase": (0.6, 1.2),
    "desk": (1.1, 1.5),
    "sofa": (1.4, 2.1),
    "floor_lamp": (0.5, 0.5),
    "tall_plant": (0.6, 0.6),
}
_DEPTHS = {
    "kitchen": 0.6,
    "fridge": 0.72,
    "sofa": 0.95,
    "desk": 0.66,
    "cupboard": 0.46,
    "floor_lamp": 0.5,
    "tall_plant": 0.7,
}
_LOW = ("cupboard", "sofa", "floor_lamp", "tall_plant")
"""Pieces with room for pictures above them."""


def _wall_frames(low: Float64Array, high: Float64Array) -> list[Frame]:
    """The walls at +x, +y, -x, -y."""
    middle = (low + high) / 2
    places = [(high[0], middle[1]), (middle[0], high[1]), (low[0], middle[1]), (middle[0], low[1])]
    lengths = [high[1] - low[1], high[0] - low[0]] * 2
    away = [high[0], high[1], -low[0], -low[1]]
    frames = []
    for place, length, distance, yaw in zip(places, lengths, away, (-np.pi / 2, 0.0, np.pi / 2, np.pi), strict=True):
        c, s = np.round(np.cos(yaw)), np.round(np.sin(yaw))
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        frames.append((rigid.compose(turn, [*place, 0.0]), float(length), float(distance)))
    return frames


def _furnish_wall(
    rng: np.random.Generator,
    style: str,
    palette: Palette,
    made: Assembly,
    frame: Frame,
    cover: Material,
    outside: furniture.Outside | None,
    has_door: bool,
) -> tuple[float, float, float, float] | None:
    """Adds one wall; returns its window, if it gets one, as `light.Walls` wants it."""
    T, length, away = frame
    wall = Assembly()
    wall.add(cover, panel(length, WALL_HEIGHT, whole=False).shifted(rng.random(2)))
    wall.add(palette.white, box((length, 0.016, rng.uniform(0.06, 0.11)), 0.004).at((0, -0.008, 0)))
    start, end = -length / 2 + CORNER, length / 2 - CORNER
    gap, opening = (0.0, 0.0), None
    if outside is not None:
        width, height = rng.uniform(0.9, min(1.9, length - 2 * CORNER - 0.5)), rng.uniform(1.0, 1.35)
        x, sill = rng.uniform(start + width / 2 + 0.2, end - width / 2 - 0.2), rng.uniform(0.85, 1.0)
        pane = furniture.window(rng, palette, width, height, outside, bool(rng.random() < 0.6))
        wall.place(pane, rigid.compose(np.eye(3), [x, 0.0, sill]))
        if away > CORRIDOR + 0.2:
            wall.place(furniture.radiator(palette, 0.8 * width), rigid.compose(np.eye(3), [x, 0.0, 0.0]))
        gap = (x - width / 2 - 0.35, x + width / 2 + 0.35)
        along = T[:3, :3] @ [x, 0.0, 0.0] + T[:3, 3]
        opening = (float(along[1] if abs(T[0, 0]) < 0.5 else along[0]), width, sill, sill + height)
    elif has_door:
        x = rng.choice([start + 0.45, end - 0.45])
        wall.place(furniture.door(rng, palette), rigid.compose(np.eye(3), [x, 0.0, 0.0]))
        gap = (x - 0.55, x + 0.55)
    spans = [(start, end)] if gap[0] == gap[1] else [(start, gap[0]), (gap[1], end)]
    for low, high in spans:
        _furnish_span(rng, style, palette, wall, low, high, away - CORRIDOR)
    made.place(wall, T)
    return opening


def _furnish_span(
    rng: np.random.Generator, style: str, palette: Palette, wall: Assembly, x: float, end: float, free: float
) -> None:
    """Stands furniture side by side from x to `end`, no deeper than `free` metres, pictures above what is low."""
    while end - x > 0.5:
        kinds = [k for k in _FURNITURE[style] if _DEPTHS.get(k, 0.33) < free and _WIDTHS[k][0] < end - x]
        if not kinds or rng.random() < 0.12:
            width = min(end - x, rng.uniform(0.6, 1.1))
            _hang(rng, palette, wall, x, width, 1.15)
            x += width + 0.05
            continue
        kind = str(rng.choice(kinds))
        width = min(rng.uniform(*_WIDTHS[kind]), end - x)
        if kind == "kitchen":
            splash = textures.tiles(rng, (226, 227, 222), (176, 174, 168), 4, 8, 0.8)
            piece = furniture.kitchen(rng, palette, width, stone(rng)[0], splash)
        else:
            piece = getattr(furniture, kind)(rng, palette, width)
        wall.place(piece, rigid.compose(np.eye(3), [x + width / 2, -0.02, 0.0]))
        if kind in _LOW:
            _hang(rng, palette, wall, x, width, 1.45 if kind == "cupboard" else 1.2)
        x += width + rng.uniform(0.03, 0.3)


def _hang(rng: np.random.Generator, palette: Palette, wall: Assembly, x: float, width: float, low: float) -> None:
    """Pictures, a shelf or a clock on a free piece of wall."""
    if width < 0.45:
        return
    draw, middle = rng.random(), x + width / 2
    if draw < 0.55:
        count = 1 if width < 1.0 or rng.random() < 0.4 else 2
        for number in range(count):
            wide = min(rng.uniform(0.3, 0.8), 0.8 * width / count)
            tall = min(wide * rng.uniform(0.7, 1.4), WALL_HEIGHT - low - 0.3)
            place = x + width * (number + 0.5) / count
            hung = furniture.painting(rng, palette, wide, tall)
            wall.place(hung, rigid.compose(np.eye(3), [place, 0.0, low + rng.uniform(0.0, 0.12)]))
    elif draw < 0.8:
        shelf = furniture.wall_shelf(rng, palette, 0.85 * width)
        wall.place(shelf, rigid.compose(np.eye(3), [middle, 0.0, low + 0.05]))
    elif draw < 0.9:
        wall.place(furniture.clock(rng, palette), rigid.compose(np.eye(3), [middle, 0.0, low + 0.4]))


def _chairs(rng: np.random.Generator, style: str, palette: Palette, made: Assembly, table: Table) -> None:
    """Chairs pushed to the other sides of a table; their backs stay below what the cameras look at."""
    if style == "workshop" or rng.random() < 0.45:
        return
    right, far = table.outline.max(axis=0)
    places = [
        (rng.normal(0, 0.12), far + 0.12, np.pi),
        (right + 0.12, 0.05, np.pi / 2),
        (-right - 0.12, 0.05, -np.pi / 2),
    ]
    for number in rng.permutation(3)[: rng.integers(1, 3)]:
        x, y, yaw = places[number]
        yaw += rng.normal(0, 0.12)
        c, s = np.cos(yaw), np.sin(yaw)
        T = rigid.compose([[c, -s, 0], [s, c, 0], [0, 0, 1]], [x, y, 0.0])
        made.place(furniture.chair(rng, palette), T)


# Light

_VIEWS = [f"outdoors.{name}" for name in ("city", "forest", "park", "sky", "sunrise", "sunset", "venice")]
"""What can be outside a window."""


def _light(
    rng: np.random.Generator,
    maps: dict[str, FloatArray],
    walls: light.Walls,
    frames: list[Frame],
    table_height: float,
    by_day: bool,
) -> tuple[Environment, tuple[KeyLight, ...], float]:
    """Light from above the walls, one lamp at a window or above the table or both, and what reaches the table."""
    place = np.array([0.0, 0.0, table_height])
    lamp_color = np.asarray([WARM, NEUTRAL, NEUTRAL, DAY][rng.integers(4)])
    day_color = np.asarray([NEUTRAL, DAY, COOL][rng.integers(3)])
    lights = []
    if by_day:
        lights.append(_window_light(rng, walls, frames, day_color, place))
    if not by_day or rng.random() < 0.4:
        lights.append(_lamp(rng, lamp_color, place))
    overhead = rng.uniform(0.9, 2.0) * (day_color if by_day else lamp_color)
    if rng.random() < 0.35:
        sky = light.ceiling(rng)
    else:
        names = [name for name in maps if name.startswith("indoors") or rng.random() < 0.4]
        sky = maps[str(rng.choice(names))]
    brightness = rng.uniform(2.0, 4.0) if by_day else 0.3
    environment = light.surround(rng, sky, walls, place + np.array([0, 0, 0.15]), overhead, brightness * day_color)
    received = light.irradiance(environment.radiance, np.array([0.0, 0.0, 1.0]))
    received += light.key_irradiance(tuple(lights), place)
    return environment, tuple(lights), float(received @ light.LUMINANCE)


def _window_light(
    rng: np.random.Generator, walls: light.Walls, frames: list[Frame], color: Float64Array, place: Float64Array
) -> KeyLight:
    """Daylight through the first of the windows."""
    wall, middle, width, low, high = walls.windows[0]
    T, _, _ = frames[wall]
    position = T[:3, 3] - T[:3, 1] * 0.22
    position[1 - wall % 2] = middle
    position[2] = (low + high) / 2 + 0.15
    strength = rng.uniform(1.5, 4.0) * color
    size = float(min(width, high - low))
    return KeyLight(_point(position), _point(place), size, _point(strength))


def _lamp(rng: np.random.Generator, color: Float64Array, place: Float64Array) -> KeyLight:
    """A lamp under the ceiling, not quite above the table."""
    position = np.array([*rng.uniform(-0.9, 0.9, 2), rng.uniform(2.0, 2.5)])
    return KeyLight(_point(position), _point(place), rng.uniform(0.2, 0.7), _point(rng.uniform(0.8, 2.0) * color))


def _point(values: Float64Array) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in values)
    return x, y, z
