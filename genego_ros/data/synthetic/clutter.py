"""What lies about on a table: books, papers, cups, a laptop, fruit, ..."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import ConvexHull

from genego_ros.data.synthetic import prints, textures
from genego_ros.data.synthetic.furniture import COVERS, Palette, cover_tint, linear, lying_books, plain, plant
from genego_ros.data.synthetic.room import Room
from genego_ros.data.synthetic.scene import Mesh
from genego_ros.data.synthetic.solids import Assembly, Solid, blob, box, cylinder, lathe, panel, sheet, tube, vessel
from genego_ros.geometry import rigid
from genego_ros.types import Float64Array

APART = 0.006
"""Metres at least between two things."""
SIGHT = 0.04
"""Metres at least between a thing and the line from a camera to the work."""
TRIES = 30
Disc = tuple[float, float, float]
"""x and y of the middle and radius, metres, world."""


def clutter(
    rng: np.random.Generator,
    room: Room,
    keep_free: Sequence[Disc],
    views: ArrayLike = (),
    count: int | None = None,
) -> tuple[Mesh, ...]:
    """Things on the room's table that stand or lie on it, none touching another.

    Args:
        keep_free: where nothing may be: the work, and what else is put on the table.
        views: (N, 3), world: places from where the middles of `keep_free` are to be seen past the things.
        count: how many to try to place; 8 to 18 by default.

    Returns:
        Meshes in the world frame, named "clutter/3/0", where 3 is the thing's number.
    """
    height = room.table_height
    taken = [_disc(disc) for disc in keep_free]
    sights = [
        np.linspace(view, [x, y, height + 0.05], 60)
        for view in np.asarray(views, np.float64).reshape(-1, 3)
        for x, y, _ in keep_free
    ]
    kinds = THINGS[room.style]
    meshes: list[Mesh] = []
    drawn = np.resize(rng.permutation(len(kinds)), int(rng.integers(8, 19)) if count is None else count)
    for number, kind in enumerate(drawn):
        thing = kinds[kind](rng, room.palette)
        points = thing.vertices
        for _ in range(TRIES):
            pose = _random_place(rng, room)
            outline = _hull(rigid.apply(pose, points)[:, :2])
            top = height + float(points[:, 2].max())
            if not contains(room.table.outline, outline).all() or any(overlap(outline, o, APART) for o in taken):
                continue
            if any(_hides(outline, top, sight) for sight in sights):
                continue
            taken.append(outline)
            placed = Assembly()
            placed.place(thing, pose)
            meshes += placed.meshes(f"clutter/{number}/")
            break
    return tuple(meshes)


def contains(outline: Float64Array, points: Float64Array, margin: float = 0.0) -> np.ndarray:
    """Whether points (N, 2) are inside a convex, counter-clockwise outline (M, 2), or less than `margin` outside of
    each of its sides; bool (N,).
    """
    along = np.roll(outline, -1, axis=0) - outline
    normal = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    beyond = (points[:, None] - outline[None]) * normal[None]
    return (beyond.sum(axis=2) <= margin).all(axis=1)


def overlap(a: Float64Array, b: Float64Array, margin: float = 0.0) -> bool:
    """Whether two convex outlines (N, 2), (M, 2) come closer than `margin` along every side's normal (separating
    axes)."""
    for outline in (a, b):
        along = np.roll(outline, -1, axis=0) - outline
        normals = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
        on_a, on_b = a @ normals.T, b @ normals.T
        if ((on_a.min(0) > on_b.max(0) + margin) | (on_b.min(0) > on_a.max(0) + margin)).any():
            return False
    return True


def _disc(disc: Disc) -> Float64Array:
    angle = np.arange(32) * 2 * np.pi / 32
    # The polygon is drawn around the circle, not into it.
    radius = disc[2] / np.cos(np.pi / 32)
    return np.asarray(disc[:2]) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _hull(points: Float64Array) -> Float64Array:
    hull = ConvexHull(points)
    corners: Float64Array = points[hull.vertices]
    return corners


def _hides(outline: Float64Array, top: float, sight: Float64Array) -> bool:
    low = sight[sight[:, 2] < top + SIGHT]
    return bool(len(low)) and bool(contains(outline, low[:, :2], SIGHT).any())


def _random_place(rng: np.random.Generator, room: Room) -> Float64Array:
    """T_world_thing: anywhere on the table, most often square to its edges."""
    low, high = room.table.outline.min(axis=0), room.table.outline.max(axis=0)
    yaw = rng.integers(4) * np.pi / 2 + rng.normal(0, 0.25) if rng.random() < 0.7 else rng.uniform(0, 2 * np.pi)
    c, s = np.cos(yaw), np.sin(yaw)
    place = [*rng.uniform(low, high), room.table_height]
    return rigid.compose([[c, -s, 0], [s, c, 0], [0, 0, 1]], place)


# Things, each about the origin and standing on z = 0


def _flat(width: float, depth: float, z: float) -> Solid:
    """A rectangle that lies at height z and shows a whole picture, upright for who looks along +y."""
    return panel(width, depth).at((0, 0, -depth / 2)).turned((1, 0, 0), -np.pi / 2).at((0, 0, z))


def _paper(rng: np.random.Generator, palette: Palette) -> Assembly:
    """One to three printed sheets, a corner curling up."""
    made, z = Assembly(), 0.0008
    for _ in range(int(rng.integers(1, 4))):
        width, depth, lift = 0.21, 0.297, rng.uniform(0.0, 0.012)
        corner = rng.choice([-1.0, 1.0])

        def point(
            u: Float64Array, v: Float64Array, z: float = z, lift: float = lift, corner: float = corner
        ) -> Float64Array:
            curl = np.clip((u - 0.5) * corner + (0.5 - v) - 0.2, 0, 1) ** 2
            return np.stack([(u - 0.5) * 0.21, (v - 0.5) * -0.297, z + lift * curl / 0.64], axis=1)

        leaf = sheet(point, (width, depth), 8)
        whole = Solid(leaf.vertices, leaf.faces[:, ::-1].copy(), leaf.uv / [width, depth])
        made.add(prints.page(rng), whole.at((*rng.normal(0, 0.012, 2), 0), rng.normal(0, 0.08)), whole=True)
        z += 0.001
    return made


def _rested(made: Assembly) -> Assembly:
    """The same, its lowest point on z = 0."""
    lowered = Assembly()
    lowered.place(made, rigid.compose(np.eye(3), [0, 0, -float(made.vertices[:, 2].min())]))
    return lowered


def _notebook(rng: np.random.Generator, palette: Palette) -> Assembly:
    """A spiral notebook, open at a written page or closed; often with a pen on it."""
    made = Assembly()
    width, depth, thick = rng.uniform(0.14, 0.2), rng.uniform(0.2, 0.28), rng.uniform(0.006, 0.014)
    made.add(palette.paper, box((width, depth, thick), 0.001).tinted(cover_tint(rng)))
    if rng.random() < 0.7:
        made.add(prints.notes(rng), _flat(width - 0.006, depth - 0.006, thick + 0.0006), whole=True)
    for y in np.linspace(-0.45, 0.45, 14) * depth:
        angle = np.linspace(0, 2 * np.pi, 9)
        path = np.stack(
            [-width / 2 + 0.004 * np.cos(angle), np.full(9, y), thick / 2 + (thick / 2 - 0.001) * np.sin(angle)], 1
        )
        made.add(palette.metal, tube(path, 0.0008, 4))
    if rng.random() < 0.5:
        made.place(_pen(rng, palette), rigid.compose(_about_z(rng.uniform(0.3, 1.2)), [0.01, 0, thick + 0.001]))
    return _rested(made)


def _about_z(yaw: float) -> Float64Array:
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _pen(rng: np.random.Generator, palette: Palette) -> Assembly:
    """Lying along x."""
    made = Assembly()
    radius, length = rng.uniform(0.0035, 0.0055), rng.uniform(0.13, 0.17)
    profile = [
        (1e-5, 0),
        (0.0008, 0.001),
        (radius, 0.022),
        (radius, length - 0.002),
        (0.6 * radius, length),
        (1e-5, length),
    ]
    barrel = lathe(profile, 12).turned((0, 1, 0), np.pi / 2).at((-length / 2, 0, radius)).tinted(cover_tint(rng))
    made.add(palette.ceramic, barrel)
    clip = box((0.04, 0.003, 0.001)).at((length / 2 - 0.03, 0, 2 * radius))
    made.add(palette.metal, clip)
    return _rested(made)


def _book(rng: np.random.Generator, palette: Palette) -> Assembly:
    made = Assembly()
    color = COVERS[rng.integers(len(COVERS))]
    width, depth, thick = rng.uniform(0.13, 0.2), rng.uniform(0.19, 0.27), rng.uniform(0.012, 0.04)
    pages = box((width - 0.007, depth - 0.007, thick - 0.004)).tinted((0.82, 0.78, 0.68)).at((0.002, 0, 0.002))
    made.add(palette.paper, pages)
    for z in (0.0, thick - 0.0022):
        made.add(palette.paper, box((width, depth, 0.0022), 0.0008).tinted(linear(color)).at((0, 0, z)))
    made.add(palette.paper, box((0.004, depth, thick), 0.0015).tinted(linear(color)).at((-width / 2, 0, 0)))
    made.add(prints.cover(rng, color), _flat(width - 0.001, depth - 0.001, thick + 0.0003), whole=True)
    return _rested(made)


def _pile(rng: np.random.Generator, palette: Palette) -> Assembly:
    made = Assembly()
    made.add(palette.paper, *lying_books(rng, int(rng.integers(2, 5))))
    return _rested(made)


def _mug(rng: np.random.Generator, palette: Palette) -> Assembly:
    made = Assembly()
    radius, height = rng.uniform(0.036, 0.046), rng.uniform(0.08, 0.11)
    z = np.linspace(0.003, height, 8)
    outside = np.stack([radius * (1 - rng.uniform(0, 0.15) * (1 - z / height) ** 2), z], axis=1)
    tint = (0.82, 0.81, 0.78) if rng.random() < 0.4 else cover_tint(rng)
    made.add(palette.ceramic, vessel(outside, 0.004, 0.007, 32).tinted(tint))
    angle = np.linspace(-1.35, 1.35, 12)
    handle = np.stack([radius - 0.006 + 0.03 * np.cos(angle), 0 * angle, height / 2 + 0.027 * np.sin(angle)], axis=1)
    made.add(palette.ceramic, tube(handle, 0.005, 8).tinted(tint))
    if rng.random() < 0.5:
        coffee = cylinder(radius - 0.006, 0.001, 0.0002, 24).at((0, 0, 0.75 * height))
        made.add(plain((52, 30, 20), 0.1), coffee)
    return _rested(made)


def _bottle(rng: np.random.Generator, palette: Palette) -> Assembly:
    made = Assembly()
    radius, height = rng.uniform(0.03, 0.042), rng.uniform(0.18, 0.27)
    neck = rng.uniform(0.011, 0.016)
    shape = [(0.002, 0), (radius - 0.004, 0), (radius, 0.005), (radius, 0.6 * height), (0.8 * radius, 0.7 * height)]
    profile = [*shape, (neck, 0.82 * height), (neck, 0.93 * height)]
    made.add(palette.ceramic, lathe(profile, 24).tinted(cover_tint(rng)))
    made.add(palette.dark, cylinder(neck + 0.002, 0.07 * height, 0.001).at((0, 0, 0.93 * height)))
    label = lathe([(radius + 0.0004, 0.15 * height), (radius + 0.0004, 0.5 * height)], 24)
    made.add(palette.paper, label.tinted(cover_tint(rng)))
    return made


def _can(rng: np.random.Generator, palette: Palette) -> Assembly:
    made = Assembly()
    radius, height = rng.uniform(0.031, 0.045), rng.uniform(0.09, 0.13)
    rim = [(1e-5, 0.002), (radius - 0.006, 0.002), (radius - 0.005, 0), (radius, 0.005), (radius, height - 0.005)]
    made.add(
        palette.metal,
        lathe([*rim, (radius - 0.005, height), (radius - 0.007, height - 0.004), (1e-5, height - 0.004)], 28),
    )
    made.add(
        palette.paper, lathe([(radius + 0.0005, 0.008), (radius + 0.0005, height - 0.008)], 28).tinted(cover_tint(rng))
    )
    return made


def _bowl(rng: np.random.Generator, palette: Palette) -> Assembly:
    """A bowl of fruit."""
    made = Assembly()
    radius, height = rng.uniform(0.1, 0.14), rng.uniform(0.055, 0.08)
    angle = np.linspace(0.35, np.pi / 2, 9)
    outside = np.stack([radius * np.sin(angle), height * (1 - np.cos(angle)) / 1.0], axis=1)
    outside[:, 1] -= outside[0, 1] - 0.003
    tint = (0.8, 0.79, 0.75) if rng.random() < 0.5 else cover_tint(rng)
    made.add(palette.ceramic, vessel(outside, 0.005, 0.008, 36).tinted(tint))
    count, first = int(rng.integers(2, 5)), rng.uniform(0, 6)
    away = 0.048 / np.sin(np.pi / max(count, 2))
    for angle in first + np.arange(count) * 2 * np.pi / count:
        rise = 0.009 + max(0.0, height - 0.045) * (away / radius) ** 2
        place = [away * np.cos(angle), away * np.sin(angle), rise]
        made.place(_fruit(rng, palette), rigid.compose(np.eye(3), place))
    return _rested(made)


_FRUIT = (((182, 40, 34), 0.075), ((224, 124, 28), 0.075), ((150, 176, 50), 0.072), ((222, 190, 50), 0.065))


def _fruit(rng: np.random.Generator, palette: Palette) -> Assembly:
    color, size = _FRUIT[rng.integers(len(_FRUIT))]
    made = Assembly()
    body = blob(size * rng.uniform(0.9, 1.1) * np.array([1.0, 1.0, rng.uniform(0.85, 1.0)]), rng, 0.05, 20)
    made.add(palette.leaf, body.tinted(linear(color)))
    stem = tube([(0, 0, 0.9 * size), (0.002, 0, 1.05 * size)], 0.0015, 5).tinted((0.08, 0.05, 0.03))
    made.add(palette.leaf, stem)
    return _rested(made)


def _plate(rng: np.random.Generator, palette: Palette) -> Assembly:
    made = Assembly()
    radius = rng.uniform(0.085, 0.13)
    profile = [(1e-5, 0), (0.6 * radius, 0), (0.66 * radius, 0.004), (radius, 0.018), (radius - 0.002, 0.021)]
    tint = (0.82, 0.81, 0.78) if rng.random() < 0.6 else cover_tint(rng)
    made.add(
        palette.ceramic,
        lathe([*profile, (0.68 * radius, 0.008), (0.6 * radius, 0.005), (1e-5, 0.005)], 40).tinted(tint),
    )
    if rng.random() < 0.4:
        made.place(_fruit(rng, palette), rigid.compose(np.eye(3), [0.01, 0.0, 0.006]))
    return made


def _carton(rng: np.random.Generator, palette: Palette) -> Assembly:
    """A cardboard box or a printed packet."""
    made = Assembly()
    size = rng.uniform([0.08, 0.06, 0.03], [0.26, 0.2, 0.16])
    if rng.random() < 0.5:
        made.add(textures.cardboard(rng), box(size, 0.002).shifted(rng.random(2)))
        tape = box((size[0] + 0.001, 0.05, 0.0008)).at((0, 0, size[2])).tinted((0.5, 0.4, 0.26))
        made.add(palette.ceramic, tape)
    else:
        color = COVERS[rng.integers(len(COVERS))]
        made.add(palette.paper, box(size, 0.0015).tinted(linear(color)))
        print_ = prints.cover(rng, color)
        made.add(print_, _flat(size[0] - 0.003, size[1] - 0.003, size[2] + 0.0004), whole=True)
        made.add(print_, panel(size[0] - 0.003, size[2] - 0.003).at((0, -size[1] / 2 - 0.0004, 0.0015)), whole=True)
    return _rested(made)


def _keyboard(rng: np.random.Generator, palette: Palette) -> Assembly:
    made = Assembly()
    color = [(46, 47, 50), (226, 226, 222), (120, 122, 126)][rng.integers(3)]
    width, depth = rng.uniform(0.32, 0.44), rng.uniform(0.115, 0.14)
    made.add(plain(color, 0.5), box((width, depth, 0.018), 0.004))
    made.add(prints.keys(rng, color), _flat(width - 0.008, depth - 0.008, 0.0186), whole=True)
    return made


def _mouse(rng: np.random.Generator, palette: Palette) -> Assembly:
    made = Assembly()
    shell = blob((0.062, 0.11, 0.07), None, 0.0, 24)
    flat = shell.vertices.copy()
    flat[:, 2] = np.maximum(flat[:, 2] - 0.034, 0)
    body = Solid(flat, shell.faces, shell.uv)
    made.add(palette.dark if rng.random() < 0.6 else palette.white, body)
    return made


def _laptop(rng: np.random.Generator, palette: Palette) -> Assembly:
    """Open towards -y."""
    made = Assembly()
    width, depth, lean = rng.uniform(0.3, 0.35), rng.uniform(0.21, 0.24), rng.uniform(0.15, 0.5)
    shell = plain([(176, 178, 182), (52, 54, 58)][rng.integers(2)], 0.4, 0.6)
    made.add(shell, box((width, depth, 0.014), 0.004))
    made.add(
        prints.keys(rng, (38, 38, 40)), _flat(0.86 * width, 0.5 * depth, 0.0146).at((0, 0.13 * depth, 0)), whole=True
    )
    made.add(palette.dark, box((0.3 * width, 0.3 * depth, 0.0006)).at((0, -0.3 * depth, 0.014)))
    lid = box((width, 0.007, depth), 0.003).turned((1, 0, 0), -lean).at((0, depth / 2, 0.012))
    made.add(shell, lid)
    lit = prints.screen(rng) if rng.random() < 0.7 else plain((14, 15, 17), 0.12)
    display = panel(width - 0.016, depth - 0.02).at((0, -0.0042, 0.011)).turned((1, 0, 0), -lean)
    made.add(lit, display.at((0, depth / 2, 0.012)), whole=True)
    return _rested(made)


def _phone(rng: np.random.Generator, palette: Palette) -> Assembly:
    made = Assembly()
    made.add(palette.dark, box((0.072, 0.148, 0.008), 0.003, segments=2))
    made.add(plain((12, 13, 15), 0.08), _flat(0.067, 0.142, 0.0083), whole=True)
    return made


def _napkin(rng: np.random.Generator, palette: Palette) -> Assembly:
    """A cloth dropped on the table in soft folds."""
    made = Assembly()
    colors = [cover for cover in COVERS if np.mean(cover) > 110]
    first, second = rng.permutation(len(colors))[:2]
    pattern = str(rng.choice(["plain", "check", "stripes"]))
    cloth = textures.cloth(rng, [colors[first], (236, 232, 222), colors[second]], pattern)
    wide, deep = rng.uniform(0.2, 0.34), rng.uniform(0.18, 0.3)
    waves = rng.normal(0, 9, (5, 2))
    phases = rng.uniform(0, 6, 5)

    def point(u: Float64Array, v: Float64Array) -> Float64Array:
        x, y = (u - 0.5) * wide, (v - 0.5) * deep
        folds = sum(np.sin(2 * x * k[0] + 2 * y * k[1] + p) for k, p in zip(waves, phases, strict=True))
        raised = 0.009 * np.maximum(np.asarray(folds) + 0.6, 0) + 0.0012
        rim = np.clip(6 * np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v)), 0, 1)
        bent = 0.02 * np.sin(9 * y + phases[0]), 0.02 * np.sin(8 * x + phases[1])
        return np.stack([x + bent[0], y + bent[1], raised * (0.35 + 0.65 * rim)], axis=1)

    made.add(cloth, sheet(point, (wide, deep), 32))
    return _rested(made)


def _lamp(rng: np.random.Generator, palette: Palette) -> Assembly:
    """A desk lamp with an arm."""
    made = Assembly()
    paint = plain(COVERS[rng.integers(len(COVERS))], 0.4) if rng.random() < 0.5 else palette.dark
    made.add(paint, cylinder(0.075, 0.018, 0.004, 28))
    elbow, head = np.array([-0.06, 0.0, 0.26]), np.array([0.1, 0.0, 0.4])
    made.add(palette.metal, tube([[0, 0, 0.015], elbow.tolist()], 0.006), tube([elbow, head], 0.006))
    shade = lathe([(0.02, 0.06), (0.03, 0.05), (0.062, -0.04)], 24).turned((0, 1, 0), -0.5)
    made.add(paint, shade.at(head))
    made.add(plain((255, 236, 200), 0.5, emission=4.0), blob((0.045, 0.045, 0.045)).at(head - [0.0, 0, 0.03]))
    return made


def _pot(rng: np.random.Generator, palette: Palette) -> Assembly:
    return _rested(plant(rng, palette, rng.uniform(0.16, 0.3)))


def _tape(rng: np.random.Generator, palette: Palette) -> Assembly:
    made = Assembly()
    radius, height = rng.uniform(0.035, 0.055), rng.uniform(0.018, 0.048)
    ring = [(0.6 * radius, 0), (radius, 0), (radius, height), (0.6 * radius, height), (0.6 * radius, 0)]
    made.add(palette.ceramic, lathe(ring, 32).tinted(cover_tint(rng)))
    return made


def _blocks(rng: np.random.Generator, palette: Palette) -> Assembly:
    """Toy bricks beside and on top of each other."""
    made, step = Assembly(), 0.034
    for column in range(int(rng.integers(2, 5))):
        for level in range(int(rng.integers(1, 4))):
            cube = box((0.03, 0.03, 0.03), 0.002).tinted(cover_tint(rng))
            made.add(
                palette.ceramic,
                cube.at(((column - 1.5) * step, rng.normal(0, 0.003), 0.03 * level), rng.normal(0, 0.06)),
            )
    return made


def _cable(rng: np.random.Generator, palette: Palette) -> Assembly:
    """A cable in loose loops."""
    made = Assembly()
    angle = np.linspace(0, rng.uniform(5, 13), 60)
    radius = 0.06 + 0.012 * np.sin(2.3 * angle + rng.uniform(0, 6)) + 0.0015 * angle
    rise = 0.0028 + 0.0035 * (0.5 - 0.5 * np.cos(angle * 0.97))
    path = np.stack([radius * np.cos(angle), 0.8 * radius * np.sin(angle), rise], axis=1)
    made.add(palette.dark if rng.random() < 0.6 else palette.white, tube(path, 0.0025, 6))
    plug = box((0.035, 0.016, 0.009), 0.002).at(path[-1] - [0, 0, path[-1][2]])
    made.add(palette.dark, plug)
    return _rested(made)


def _cutlery(rng: np.random.Generator, palette: Palette) -> Assembly:
    """A spoon beside a knife."""
    made = Assembly()
    handle = box((0.11, 0.012, 0.003), 0.0012)
    for y, bowl in ((-0.02, True), (0.02, False)):
        made.add(palette.metal, handle.at((-0.04, y, 0)))
        end = blob((0.06, 0.036, 0.008), None, 0.0, 16) if bowl else box((0.1, 0.017, 0.002), 0.0008)
        made.add(palette.metal, end.at((0.04, y, 0)))
    return _rested(made)


def _board(rng: np.random.Generator, palette: Palette) -> Assembly:
    """A cutting board."""
    made = Assembly()
    species = str(rng.choice(["beech", "walnut", "birch", "oak"]))
    board = textures.wood(rng, species, 0.7, 14, gloss=0.3)
    made.add(
        board, box((rng.uniform(0.25, 0.38), rng.uniform(0.18, 0.26), rng.uniform(0.014, 0.025)), 0.006, segments=2)
    )
    return made


Thing = Callable[[np.random.Generator, Palette], Assembly]
_ANYWHERE: tuple[Thing, ...] = (_paper, _notebook, _pen, _book, _mug, _bottle, _phone, _carton, _pot, _napkin, _can)
THINGS: dict[str, tuple[Thing, ...]] = {
    "kitchen": (*_ANYWHERE, _bowl, _bowl, _plate, _plate, _cutlery, _board, _can, _bottle, _mug, _napkin, _fruit),
    "living room": (*_ANYWHERE, _bowl, _pile, _book, _blocks, _laptop, _plate, _cutlery, _cable, _fruit),
    "office": (*_ANYWHERE, _laptop, _keyboard, _mouse, _lamp, _pile, _paper, _paper, _pen, _cable, _tape),
    "workshop": (*_ANYWHERE, _tape, _tape, _carton, _carton, _cable, _lamp, _blocks, _keyboard, _can),
}
"""What lies about in a room of each style."""
