"""Boxes, books, tools and other things that are not turned."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from genego_ros.data.synthetic import labels, shapes
from genego_ros.data.synthetic.labels import Paint
from genego_ros.data.synthetic.object_model import Grip, Made, opposed
from genego_ros.data.synthetic.scene import Material
from genego_ros.data.synthetic.vessels import STEEL, Looks, X, Y, Z, at, plain, point, profile
from genego_ros.geometry import rigid
from genego_ros.types import ByteArray, Float64Array


def _block(
    outline: Float64Array,
    height: float,
    bevel: float,
    material: Material,
    middle: Float64Array,
    top: Material | None = None,
) -> Looks:
    side, below, above = (part.moved(at(*middle)) for part in shapes.extruded(outline, height, bevel))
    return [(side, material), (below, material), (above, top or material)]


def _wrapper(rng: Generator, color: Paint, width: float, depth: float, rows: int = 640) -> ByteArray:
    """Print that goes around a box: front, side, back, side."""
    front = labels.label(rng, color, 480, rows)
    side = labels.label(rng, color, max(48, int(480 * depth / width)), rows)
    back = labels.label(rng, color, 480, rows)
    return np.concatenate([front, side, back, side], axis=1)


def _across_top(width: float, z: float, part: int = 0) -> list[Grip]:
    """From above over a box, thumb and fingers on its sides -y and y."""
    return [Grip("span" if width > 0.05 else "pinch", point(0, 0, z), -Z, s * X, width, part=part) for s in (-1, 1)]


def _edges(width: float, depth: float, height: float) -> list[Grip]:
    """A flat thing off the table by one of its edges, the thumb on top."""
    grips = []
    for out, half in ((X, width / 2), (-X, width / 2), (Y, depth / 2), (-Y, depth / 2)):
        middle = (half - min(0.02, 0.3 * half)) * out + 0.5 * height * Z
        grips += opposed("pinch", middle, -out, -Z, height, table=False)
    return grips


def book(rng: Generator) -> Made:
    width, depth, height = rng.uniform(0.11, 0.135), rng.uniform(0.17, 0.21), rng.uniform(0.022, 0.036)
    color = labels.paint(rng)
    board = 0.0022
    cloth = plain(color, 0.5)
    printed = Material(texture=labels.cover(rng, color, 384, 576), roughness=0.4)
    sheets = np.full((64, 64, 3), (228, 222, 205), np.uint8)
    sheets[rng.random(64) < 0.4] -= 14
    cover = shapes.rectangle(width, depth, 0.002, 2)
    surfaces = _block(cover, board, 0.0006, cloth, point(0, 0, board / 2))
    surfaces += _block(cover, board, 0.0006, cloth, point(0, 0, height - board / 2), printed)
    paper = Material(texture=sheets, roughness=0.8)
    surfaces += _block(
        shapes.rectangle(width - 0.006, depth - 0.008, 0.001, 1),
        height - 2 * board,
        0.0002,
        paper,
        point(-0.002, 0, height / 2),
    )
    surfaces += _block(
        shapes.rectangle(0.004, depth, 0.0018, 3), height, 0.0004, cloth, point(-width / 2 + 0.002, 0, height / 2)
    )
    distance = shapes.placed(shapes.extruded_distance(cover, height, 0.001), at(0, 0, height / 2))
    grips = [Grip("span", point(0, -s * 0.02, height / 2), -Z, s * Y, width) for s in (-1, 1)]
    grips += _edges(width, depth, height)
    return Made(color.name, surfaces, distance, grips, ("read", "read"), face=(0.0, 0.0, 1.0))


def milk_carton(rng: Generator) -> Made:
    """A carton with a gable."""
    width, height, gable = rng.uniform(0.066, 0.074), rng.uniform(0.14, 0.19), rng.uniform(0.032, 0.04)
    color = labels.paint(rng, "white", "light blue", "blue", "green", "red", "yellow", "beige")
    outline = shapes.rectangle(width, width, 0.002, 2)
    card = Material(texture=_wrapper(rng, color, width, width), roughness=0.35)
    roof = shapes.rounded(
        [[-width / 2, -gable / 2], [width / 2, -gable / 2], [0.004, gable / 2], [-0.004, gable / 2]],
        0.0015,
        2,
        closed=True,
    )
    T_roof = rigid.compose(
        Rotation.from_euler("xz", [90, 90], degrees=True).as_matrix(), [0, 0, height + gable / 2 - 0.001]
    )
    crest = shapes.rectangle(width, 0.005, 0.001, 1)
    T_crest = at(0, 0, height + gable + 0.007)
    surfaces = _block(outline, height, 0.0015, card, point(0, 0, height / 2))
    surfaces += [(s.moved(T_roof), plain(color, 0.35)) for s in shapes.extruded(roof, width, 0.001)]
    surfaces += [(s.moved(T_crest), plain(color, 0.35)) for s in shapes.extruded(crest, 0.018, 0.0006)]
    distance = shapes.union(
        shapes.placed(shapes.extruded_distance(outline, height, 0.0015), at(0, 0, height / 2)),
        shapes.placed(shapes.extruded_distance(roof, width, 0.001), T_roof),
        shapes.placed(shapes.extruded_distance(crest, 0.018, 0.0006), T_crest),
    )
    side = Grip("wrap", point(0, 0, 0.52 * height), Y, Z, width)
    grips = [side.turned(k * np.pi / 2) for k in range(4)]
    return Made(color.name, surfaces, distance, grips, ("pour", "pour", "read"))


def cereal_box(rng: Generator) -> Made:
    width, depth, height = rng.uniform(0.13, 0.18), rng.uniform(0.045, 0.065), rng.uniform(0.2, 0.27)
    color = labels.paint(rng)
    outline = shapes.rectangle(width, depth, 0.002, 2)
    card = Material(texture=_wrapper(rng, color, width, depth), roughness=0.5)
    surfaces = _block(outline, height, 0.0015, card, point(0, 0, height / 2), plain(color, 0.5))
    distance = shapes.placed(shapes.extruded_distance(outline, height, 0.0015), at(0, 0, height / 2))
    grips = [Grip("wrap", point(-s * (width / 2 - 0.045), 0, 0.55 * height), s * X, Z, depth) for s in (-1, 1)]
    grips += _across_top(depth, height - 0.02)
    return Made(color.name, surfaces, distance, grips, ("pour", "read"))


def lidded_box(rng: Generator) -> Made:
    """A small box with a lid that lifts off."""
    width, depth, height = rng.uniform(0.09, 0.12), rng.uniform(0.06, 0.078), rng.uniform(0.045, 0.065)
    color, top = labels.paint(rng), labels.paint(rng)
    rim = 0.4 * height
    inner = shapes.rectangle(width - 0.004, depth - 0.004, 0.003)
    outer = shapes.rectangle(width, depth, 0.004)
    label = Material(texture=labels.label(rng, top, 512, int(512 * depth / width)), roughness=0.45)
    surfaces = _block(inner, height - 0.003, 0.001, plain(color, 0.55), point(0, 0, (height - 0.003) / 2))
    dark = plain(Paint("black", (30, 26, 24)), 0.9)
    surfaces += _block(
        shapes.rectangle(width - 0.009, depth - 0.009, 0.002), 0.0004, 0.0001, dark, point(0, 0, height - 0.0029)
    )
    lid = _block(outer, rim, 0.001, plain(top, 0.45), point(0, 0, height - rim / 2), label)
    grips = [Grip("wrap", point(-s * (width / 2 - 0.04), 0, 0.5 * height), s * X, Z, depth) for s in (-1, 1)]
    grips += [Grip("span", point(0, 0, 0.25 * height), -Z, s * X, depth) for s in (-1, 1)]
    grips += _across_top(depth, height - rim / 2, part=1)
    body_distance = shapes.placed(
        shapes.extruded_distance(inner, height - 0.003, 0.001), at(0, 0, (height - 0.003) / 2)
    )
    lid_distance = shapes.placed(shapes.extruded_distance(outer, rim, 0.001), at(0, 0, height - rim / 2))
    return Made(color.name, surfaces, body_distance, grips, ("open", "open"), lid=lid, lid_distance=lid_distance)


def screwdriver(rng: Generator) -> Made:
    """A screwdriver that lies along x."""
    radius, grip, shaft = rng.uniform(0.013, 0.016), rng.uniform(0.09, 0.11), rng.uniform(0.08, 0.13)
    color = labels.paint(rng, "red", "yellow", "blue", "green", "orange", "black")
    body = profile(
        (0, 0, 0), (0.85 * radius, 0.001, 0.006), (radius, 0.02, 0.02),
        (0.92 * radius, 0.6 * grip, 0.03),
        (0.68 * radius, 0.78 * grip, 0.01), (0.85 * radius, 0.93 * grip, 0.008),
        (0.5 * radius, grip, 0.004), (0, grip, 0),
    )  # fmt: skip
    steel = profile(
        (0, grip - 0.01, 0),
        (0.0032, grip - 0.01, 0),
        (0.0032, grip + shaft - 0.012, 0.003),
        (0.0012, grip + shaft, 0.0005),
        (0, grip + shaft, 0),
    )
    turn = rigid.compose(Rotation.from_rotvec([0, np.pi / 2, 0]).as_matrix(), [0, 0, radius])
    stripe = profile(
        (0, 0, 0), (0.001 + radius * 0.93, 0, 0.0005), (0.001 + radius * 0.93, 0.008, 0.0005), (0, 0.008, 0)
    ) + np.array([0, 0.5 * grip])
    surfaces = [(shapes.turned(body, 12).moved(turn), plain(color, 0.25)), (shapes.turned(steel).moved(turn), STEEL)]
    surfaces.append((shapes.turned(stripe).moved(turn), plain(labels.contrast(rng, color), 0.4)))
    distance = shapes.placed(shapes.union(shapes.turned_distance(body), shapes.turned_distance(steel)), turn)
    hold = point(0.45 * grip, 0, 1.1 * radius)
    grips = [Grip("pinch", hold, -Z, s * X, 2 * radius) for s in (-1, 1)]
    grips += [Grip("wrap", hold, -Z, s * X, 2 * radius, table=False) for s in (-1, 1)]
    tip = point(grip + 0.7 * shaft, 0, radius)
    grips += [Grip("pinch", tip, side, s * X, 0.007, table=False) for s in (-1, 1) for side in (Y, -Y, Z)]
    return Made(color.name, surfaces, distance, grips, (), face=(1.0, 0.0, 0.0))


def hammer(rng: Generator) -> Made:
    """A hammer that lies on its side, the handle along x, the head at +x."""
    length, size = rng.uniform(0.2, 0.26), rng.uniform(0.022, 0.027)
    color = labels.paint(rng, "brown", "beige", "red", "blue", "black", "yellow")
    middle = 0.5 * size + 0.002
    path = np.linspace([0, 0, middle], [length, 0, middle], 7)
    swell = np.array([1.0, 1.15, 1.1, 0.95, 0.85, 0.8, 0.8])[:, None]
    radii = swell * [0.0115, 0.0145]
    radii[:, 0] = np.minimum(radii[:, 0], middle)
    head = shapes.rounded(
        [[-size / 2, -0.05], [size / 2, -0.05], [size / 2, 0.02], [0.004, 0.055], [-0.004, 0.055], [-size / 2, 0.02]],
        0.003,
        3,
        closed=True,
    )
    T_head = at(length - 0.01, 0, size / 2 + 0.002)
    face = profile((0, 0, 0), (0.56 * size, 0, 0.003), (0.56 * size, 0.022, 0.004), (0, 0.022, 0))
    T_face = rigid.compose(Rotation.from_rotvec([-np.pi / 2, 0, 0]).as_matrix(), [length - 0.01, -0.062, 0.56 * size])
    steel = Material((0.2, 0.2, 0.21), roughness=0.4, metallic=0.9)
    surfaces = [(shapes.bent(path, radii), plain(color, 0.5)), (shapes.turned(face).moved(T_face), STEEL)]
    surfaces += [(s.moved(T_head), steel) for s in shapes.extruded(head, size, 0.002)]
    rubber = np.linspace([0.002, 0, middle], [0.4 * length, 0, middle], 5)
    wide = np.array([1.0, 1.12, 1.14, 1.08, 1.0])[:, None] * [0.0125, 0.016]
    wide[:, 0] = np.minimum(wide[:, 0], middle + 0.001)
    surfaces.append((shapes.bent(rubber, wide), plain(labels.paint(rng, "black", "red", "blue", "grey"), 0.7)))
    distance = shapes.union(
        shapes.bent_distance(path, radii), shapes.bent_distance(rubber, wide),
        shapes.placed(shapes.extruded_distance(head, size, 0.002), T_head),
        shapes.placed(shapes.turned_distance(face), T_face),
    )  # fmt: skip
    hold = point(0.22 * length, 0, middle + 0.003)
    grips = [Grip("pinch", hold, -Z, X, 0.03), Grip("wrap", hold, -Z, X, 0.03)]
    near = point(0.62 * length, 0, middle)
    grips += [Grip("pinch", near, side, s * X, 0.025, table=False) for s in (-1, 1) for side in (Y, -Y, Z)]
    return Made(color.name, surfaces, distance, grips, (), face=(1.0, 0.0, 0.0))


def smartphone(rng: Generator) -> Made:
    width, depth, height = rng.uniform(0.068, 0.077), rng.uniform(0.142, 0.162), rng.uniform(0.008, 0.0105)
    color = labels.paint(rng, "black", "grey", "white", "dark blue", "pink", "light blue")
    outline = shapes.rectangle(width, depth, 0.009, 6)
    screen = np.full((640, 300, 3), labels.paint(rng).rgb, np.uint8)
    for row in range(5):
        for column in range(4):
            icon = screen[110 + 90 * row : 160 + 90 * row, 25 + 68 * column : 75 + 68 * column]
            icon[:] = labels.paint(rng).rgb
    glass = Material(texture=screen, roughness=0.08, emission=float(rng.uniform(0.0, 0.35)))
    black = plain(Paint("black", (16, 16, 18)), 0.1)
    surfaces = _block(outline, height, 0.0022, plain(color, 0.3, 0.4), point(0, 0, height / 2), black)
    pane = shapes.extruded(shapes.rectangle(width - 0.008, depth - 0.01, 0.006), 0.0003, 0.0001)
    surfaces.append((pane[2].moved(at(0, 0, height + 0.0001)), glass))
    distance = shapes.placed(shapes.extruded_distance(outline, height, 0.0022), at(0, 0, height / 2))
    grips = [Grip("span", point(0, -0.3 * s * 0.05, height / 2), -Z, s * Y, width) for s in (-1, 1)]
    grips += [Grip("pinch", point(0, -0.02 * s, height / 2), -Z, s * Y, width) for s in (-1, 1)]
    grips += _edges(width, depth, height)
    return Made(color.name, surfaces, distance, grips, ("read", "read"), face=(0.0, 0.0, 1.0))


def remote_control(rng: Generator) -> Made:
    width, depth, height = rng.uniform(0.04, 0.05), rng.uniform(0.15, 0.19), rng.uniform(0.016, 0.022)
    color = labels.paint(rng, "black", "black", "grey", "white")
    outline = shapes.rectangle(width, depth, 0.008, 5)
    keys = np.full((512, 160, 3), color.rgb, np.uint8)
    for row in range(11):
        for column in range(3):
            key = keys[40 + 38 * row : 62 + 38 * row, 20 + 44 * column : 52 + 44 * column]
            key[:] = labels.paint(rng, "grey", "grey", "white", "black", "red", "blue").rgb
    surfaces = _block(
        outline, height, 0.004, plain(color, 0.45), point(0, 0, height / 2), Material(texture=keys, roughness=0.6)
    )
    distance = shapes.placed(shapes.extruded_distance(outline, height, 0.004), at(0, 0, height / 2))
    grips = [Grip("pinch", point(0, -0.02 * s, height / 2), -Z, s * Y, width) for s in (-1, 1)]
    grips += [Grip("span", point(0, -0.02 * s, height / 2), -Z, s * Y, width) for s in (-1, 1)]
    return Made(color.name, surfaces, distance, grips, ("read",), face=(0.0, 0.0, 1.0))


def sponge(rng: Generator) -> Made:
    width, depth, height = rng.uniform(0.095, 0.12), rng.uniform(0.06, 0.075), rng.uniform(0.028, 0.036)
    color = labels.paint(rng, "yellow", "orange", "pink", "light blue", "green")
    outline = shapes.rectangle(width, depth, 0.009, 5)
    pores = np.full((128, 128, 3), color.rgb, np.float64) * rng.uniform(0.75, 1.05, (128, 128, 1))
    foam = Material(texture=pores.clip(0, 255).astype(np.uint8), roughness=0.95)
    scrub = plain(labels.paint(rng, "green", "dark green", "blue", "grey"), 0.95)
    surfaces = _block(outline, height - 0.007, 0.003, foam, point(0, 0, (height - 0.007) / 2))
    surfaces += _block(outline, 0.0075, 0.002, scrub, point(0, 0, height - 0.00375))
    distance = shapes.placed(shapes.extruded_distance(outline, height, 0.003), at(0, 0, height / 2))
    grips = [Grip("span", point(0, 0, 0.55 * height), -Z, s * X, depth) for s in (-1, 1)]
    grips += opposed("span", point(0, 0, 0.55 * height), -Z, X, 0.8 * width)
    return Made(color.name, surfaces, distance, grips, ("apply", "apply", "squeeze"))


def glue_stick(rng: Generator) -> Made:
    """A thick stick with a cap, as of glue, lotion or a marker, that stands."""
    radius, height = rng.uniform(0.012, 0.016), rng.uniform(0.1, 0.13)
    color = labels.paint(rng)
    seam = 0.66 * height
    body = profile(
        (0, 0, 0),
        (radius, 0, 0.002),
        (radius, seam, 0.001),
        (0.8 * radius, seam, 0.001),
        (0.8 * radius, seam + 0.012, 0.003),
        (0, seam + 0.013, 0),
    )
    cap = profile(
        (0, seam + 0.0005, 0), (radius + 0.0005, seam + 0.0005, 0.001), (radius + 0.0005, height, 0.003), (0, height, 0)
    )
    surfaces: Looks = [(shapes.turned(body), plain(color, 0.3))]
    sleeve = [
        [radius - 0.001, 0.1 * height],
        [radius + 0.0003, 0.1 * height],
        [radius + 0.0003, 0.6 * height],
        [radius - 0.001, 0.6 * height],
    ]
    surfaces.append((shapes.turned(sleeve), Material(texture=labels.label(rng, color, 512, 384, 2), roughness=0.35)))
    grips = [
        Grip("pinch", point(0, 0, 0.36 * height), Y, Z, 2 * radius, turns=True),
        Grip("pinch", point(0, 0, 0.84 * height), -Z, -X, 2 * radius, turns=True, part=1),
    ]
    return Made(
        color.name, surfaces, shapes.turned_distance(body), grips, ("open", "apply", "read"),
        lid=[(shapes.turned(cap), plain(labels.contrast(rng, color), 0.3))], lid_distance=shapes.turned_distance(cap),
    )  # fmt: skip
