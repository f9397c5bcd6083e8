"""Things that hold something and are turned on a lathe, or nearly so: cans, bottles, mugs, bowls, pots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from genego_ros.data.synthetic import labels, shapes
from genego_ros.data.synthetic.labels import Paint
from genego_ros.data.synthetic.object_model import Grip, GripKind, Made, opposed
from genego_ros.data.synthetic.scene import Material
from genego_ros.data.synthetic.shapes import Surface
from genego_ros.geometry import rigid
from genego_ros.types import Float64Array

X, Y, Z = np.eye(3)
STEEL = Material((0.56, 0.56, 0.55), roughness=0.28, metallic=1.0)
Looks = list[tuple[Surface, Material]]


def at(x: float, y: float, z: float) -> Float64Array:
    """A shift as (4, 4)."""
    return rigid.compose(np.eye(3), [x, y, z])


def point(x: float, y: float, z: float) -> Float64Array:
    return np.array([x, y, z], np.float64)


def plain(color: Paint, roughness: float = 0.4, metallic: float = 0.0) -> Material:
    return Material(color.linear, roughness=roughness, metallic=metallic)


def profile(*stations: Sequence[float]) -> Float64Array:
    """A profile (N, 2) from (radius, height, rounding) of its corners, metres."""
    corners = np.array(stations, np.float64)
    return shapes.rounded(corners[:, :2], corners[:, 2])


def band(rng: Generator, color: Paint, radius: float, low: float, high: float, roughness: float = 0.4) -> Looks:
    """A printed label around something of that radius."""
    skin = radius + 0.0003
    sleeve = [[radius - 0.001, low], [skin, low], [skin, high], [radius - 0.001, high]]
    # The middle stretch alone carries print: the rims are less than a millimetre.
    height = min(768, max(128, int(1024 * (high - low) / (2 * np.pi * radius))))
    return [(shapes.turned(sleeve), Material(texture=labels.label(rng, color, 1024, height, 2), roughness=roughness))]


def around(radius: float, height: float) -> list[Grip]:
    """A hand around something upright and round at a height; off the table, finger tips beside it too."""
    grips = [Grip("wrap", point(0, 0, height), Y, Z, 2 * radius, turns=True)]
    for z in (0.45 * height, 1.5 * height):
        grips.append(Grip("pinch", point(0, 0, z), Y, Z, 2 * radius, turns=True, table=False))
    return grips


def from_above(radius: float, top: float, part: int = 0) -> list[Grip]:
    """Finger tips around the top of something round."""
    kind: GripKind = "pinch" if radius < 0.03 else "span"
    return [Grip(kind, point(0, 0, top - 0.012), -Z, -X, 2 * radius, turns=True, part=part)]


def can(rng: Generator) -> Made:
    """A drink can of a quarter to half a litre."""
    radius, height = rng.uniform(0.029, 0.034), rng.uniform(0.112, 0.165)
    color = labels.paint(rng)
    neck = 0.82 * radius
    outline = profile(
        (0, 0.008, 0), (0.6 * radius, 0.004, 0.003), (neck, 0, 0.004), (radius, 0.012, 0.012),
        (radius, height - 0.016, 0.012), (neck, height - 0.003, 0.002), (neck, height, 0.001),
        (neck - 0.002, height, 0.001), (neck - 0.003, height - 0.004, 0.001), (0, height - 0.004, 0),
    )  # fmt: skip
    tab = shapes.extruded(shapes.rectangle(0.014, 0.024, 0.006), 0.0015, 0.0005)
    surfaces = [(shapes.turned(outline), STEEL), *band(rng, color, radius, 0.013, height - 0.017, 0.3)]
    surfaces += [(part.moved(at(0, -0.004, height - 0.0025)), STEEL) for part in tab]
    grips = around(radius, 0.5 * height) + from_above(radius, height)
    return Made(color.name, surfaces, shapes.turned_distance(outline), grips, ("pour", "read"))


def bottle(rng: Generator) -> Made:
    """A bottle with a screw cap."""
    radius, height = rng.uniform(0.03, 0.038), rng.uniform(0.19, 0.24)
    color, cap = labels.paint(rng), labels.paint(rng)
    neck, shoulder = rng.uniform(0.0125, 0.015), height - rng.uniform(0.06, 0.085)
    outline = profile(
        (0, 0.006, 0), (0.6 * radius, 0.004, 0.004), (0.8 * radius, 0, 0.005), (radius, 0.004, 0.006),
        (radius, shoulder, 0.025), (neck, height - 0.02, 0.02), (neck, height, 0.001),
        (neck - 0.002, height, 0.001), (neck - 0.002, height - 0.02, 0.001), (0, height - 0.021, 0),
    )  # fmt: skip
    solid = np.vstack([outline[outline[:, 1].argmax() > np.arange(len(outline))], [[neck, height], [0, height]]])
    bare = labels.paint(rng, "white", "light blue", "green", "dark green", "brown", "beige")
    surfaces = [(shapes.turned(outline), plain(bare, 0.12)), *band(rng, color, radius, 0.2 * shoulder, 0.85 * shoulder)]
    lid = profile(
        (0, height - 0.015, 0),
        (neck + 0.003, height - 0.015, 0.001),
        (neck + 0.003, height + 0.003, 0.0015),
        (0, height + 0.003, 0),
    )
    grips = (
        around(radius, 0.45 * shoulder) + around(radius, 0.62 * shoulder) + from_above(neck + 0.003, height + 0.005, 1)
    )
    return Made(
        color.name, surfaces, shapes.turned_distance(solid), grips, ("open", "pour", "read"),
        lid=[(shapes.turned(lid), plain(cap))], lid_distance=shapes.turned_distance(lid),
    )  # fmt: skip


def spray_bottle(rng: Generator) -> Made:
    """A bottle with a trigger, whose nozzle is in front."""
    radius, height = rng.uniform(0.034, 0.04), rng.uniform(0.15, 0.18)
    color, head = labels.paint(rng), labels.paint(rng, "white", "black", "red", "blue", "yellow", "green")
    neck = 0.014
    outline = profile(
        (0, 0, 0), (radius, 0, 0.006), (radius, 0.62 * height, 0.02), (0.6 * radius, 0.86 * height, 0.02),
        (neck, height, 0.006), (neck, height + 0.012, 0), (0, height + 0.012, 0),
    )  # fmt: skip
    collar = profile(
        (0, height + 0.002, 0), (0.018, height + 0.002, 0.001), (0.017, height + 0.02, 0.002), (0, height + 0.02, 0)
    )
    top = height + 0.034
    crown = shapes.extruded(shapes.rectangle(0.024, 0.075, 0.009), 0.03, 0.006)
    T_crown = at(0, -0.012, top)
    nozzle = np.array([[0, -0.045, top + 0.004], [0, -0.062, top + 0.004]])
    trigger = np.array(
        [[0, -0.03, top - 0.008], [0, -0.04, top - 0.025], [0, -0.036, top - 0.045], [0, -0.042, top - 0.06]]
    )
    thin, flat = np.full((2, 2), 0.006), np.tile([0.006, 0.0035], (4, 1))
    surfaces = [(shapes.turned(outline), plain(color, 0.3)), (shapes.turned(collar), plain(head))]
    surfaces += band(rng, labels.paint(rng), radius, 0.12 * height, 0.55 * height)
    surfaces += [(part.moved(T_crown), plain(head)) for part in crown]
    surfaces += [(shapes.bent(nozzle, thin), plain(labels.paint(rng))), (shapes.bent(trigger, flat), plain(head))]
    distance = shapes.union(
        shapes.turned_distance(outline), shapes.turned_distance(collar),
        shapes.placed(shapes.extruded_distance(shapes.rectangle(0.024, 0.075, 0.009), 0.03, 0.006), T_crown),
        shapes.bent_distance(nozzle, thin), shapes.bent_distance(trigger, flat),
    )  # fmt: skip
    grips = [Grip("wrap", point(0, -0.005, height - 0.02), -Y, Z, 0.045), *around(radius, 0.45 * height)]
    return Made(color.name, surfaces, distance, grips, ("spray", "spray", "read"))


def squeeze_bottle(rng: Generator) -> Made:
    """Ketchup, honey, glue: a soft bottle with a pointed cap."""
    radius, height = rng.uniform(0.026, 0.034), rng.uniform(0.12, 0.16)
    color = labels.paint(rng, "red", "yellow", "orange", "white", "brown", "green", "light blue", "pink")
    cap = labels.contrast(rng, color)
    outline = profile(
        (0, 0, 0), (0.92 * radius, 0, 0.005), (radius, 0.3 * height, 0.05), (0.86 * radius, 0.62 * height, 0.05),
        (0.98 * radius, 0.9 * height, 0.01), (0.6 * radius, height, 0.004), (0, height, 0),
    )  # fmt: skip
    tip = profile(
        (0, height - 0.002, 0), (0.7 * radius, height - 0.002, 0.001), (0.7 * radius, height + 0.012, 0.004),
        (0.006, height + 0.018, 0.006), (0.003, height + 0.045, 0.001), (0, height + 0.045, 0),
    )  # fmt: skip
    distance = shapes.union(shapes.turned_distance(outline), shapes.turned_distance(tip))
    surfaces = [(shapes.turned(outline), plain(color, 0.35)), (shapes.turned(tip), plain(cap))]
    surfaces += band(rng, labels.contrast(rng, color), radius * 0.985, 0.2 * height, 0.42 * height)
    return Made(color.name, surfaces, distance, around(0.92 * radius, 0.55 * height), ("squeeze", "squeeze", "read"))


def mug(rng: Generator) -> Made:
    """A mug with its handle at +x."""
    radius, height, wall = rng.uniform(0.037, 0.043), rng.uniform(0.082, 0.105), rng.uniform(0.0035, 0.0045)
    color = labels.paint(rng)
    foot = rng.uniform(0.8, 1.0) * radius
    outline = profile((0, 0, 0), (foot, 0, 0.006), (radius, 0.03, 0.02), (radius, height, 0.0018),
                      (radius - wall, height, 0.0018), (radius - wall, 0.03, 0.02), (foot - wall, wall + 0.002, 0.01),
                      (0, wall + 0.002, 0))  # fmt: skip
    solid = profile((0, 0, 0), (foot, 0, 0.006), (radius, 0.03, 0.02), (radius, height, 0.0018), (0, height, 0))
    reach, high, low = rng.uniform(0.034, 0.042), 0.86 * height, 0.22 * height
    path = shapes.rounded(
        [
            [radius - 0.002, high],
            [radius + reach, high - 0.004],
            [radius + 0.85 * reach, low + 0.012],
            [radius - 0.002, low],
        ],
        0.025,
        8,
    )
    path = np.stack([path[:, 0], np.zeros(len(path)), path[:, 1]], axis=1)
    radii = np.tile([0.0065, 0.0045], (len(path), 1))
    glaze = plain(color, 0.15)
    surfaces = [(shapes.turned(outline), glaze), (shapes.bent(path, radii), glaze)]
    if rng.random() < 0.5:
        surfaces += band(rng, color, radius, 0.036, height - 0.01, 0.2)
    if rng.random() < 0.4:
        drink = profile(
            (0, 0, 0), (radius - wall - 0.0005, 0, 0), (radius - wall - 0.0005, 0.001, 0.0005), (0, 0.001, 0)
        )
        surfaces.append(
            (shapes.turned(drink + np.array([0, 0.8 * height])), plain(labels.paint(rng, "brown", "black"), 0.05))
        )
    distance = shapes.union(shapes.turned_distance(solid), shapes.bent_distance(path, radii))
    body = Grip("wrap", point(0, 0, 0.5 * height), X, Z, 2 * radius)
    grips = [body, body.turned(0.8), body.turned(-0.8)]
    grips += opposed("pinch", point(radius + 0.8 * reach, 0, 0.55 * height), -X, Y, 0.013)
    grips += opposed("pinch", point(radius + 0.8 * reach, 0, 0.55 * height), -X, -Y, 0.013)
    grips.append(Grip("span", point(0, 0, height - 0.015), -Z, X, 2 * radius))
    return Made(color.name, surfaces, distance, grips, ("pour", "read"))


def _dish(radius: float, foot: float, height: float, wall: float, power: float) -> Float64Array:
    """The profile of a bowl or plate, closed over its hollow side."""
    share = np.linspace(0, 1, 14)
    outer = np.stack([foot + (radius - foot) * share, height * share**power], axis=1)
    slope = np.gradient(outer, axis=0)
    normal = np.stack([slope[:, 1], -slope[:, 0]], axis=1) / np.linalg.norm(slope, axis=1, keepdims=True)
    inner = outer - wall * normal
    inner[-1, 1] = height
    rim = (outer[-1] + inner[-1]) / 2 + [0, 0.3 * wall]
    floor = max(wall, inner[0, 1])
    return np.vstack(
        [[[0, 0.002], [foot - 0.004, 0.002], [foot - 0.002, 0]], outer, rim[None], inner[::-1], [[0, floor]]]
    )


def bowl(rng: Generator) -> Made:
    radius, height = rng.uniform(0.062, 0.085), rng.uniform(0.05, 0.068)
    color = labels.paint(rng)
    outline = _dish(radius, 0.42 * radius, height, 0.005, 1.9)
    outside = plain(color, 0.18)
    grips = []
    for sign in (-1, 1):
        rim = point(radius - 0.006, 0, height - 0.012)
        grips += opposed("pinch", rim, -0.5 * X - Z, sign * (X - 0.4 * Z), 0.006, turns=True)
    grips += opposed("pinch", point(0.8 * radius, 0, 0.6 * height), -X, -Z, 0.03, turns=True, table=False)
    return Made(color.name, [(shapes.turned(outline), outside)], shapes.turned_distance(outline), grips, ("pour",))


def plate(rng: Generator) -> Made:
    radius, height = rng.uniform(0.085, 0.11), rng.uniform(0.024, 0.03)
    color = labels.paint(rng, "white", "beige", "light blue", "green", "grey", "pink", "dark blue")
    outline = _dish(radius, 0.6 * radius, height, 0.0045, 1.6)
    edge = point(radius - 0.01, 0, height - 0.004)
    grips = opposed("pinch", edge, -X - 0.25 * Z, -Z + 0.2 * X, 0.008, turns=True)
    return Made(color.name, [(shapes.turned(outline), plain(color, 0.18))], shapes.turned_distance(outline), grips)


def jar(rng: Generator) -> Made:
    """A jar with a screw lid."""
    radius, height = rng.uniform(0.033, 0.042), rng.uniform(0.085, 0.12)
    filling = labels.paint(rng, "brown", "red", "dark red", "orange", "yellow", "green", "purple", "white")
    metal = labels.paint(rng)
    rim = 0.86 * radius
    outline = profile(
        (0, 0.003, 0), (0.7 * radius, 0.002, 0.002), (0.85 * radius, 0, 0.003), (radius, 0.004, 0.008),
        (radius, height - 0.022, 0.012), (rim, height - 0.012, 0.004), (rim, height, 0.001),
        (rim - 0.003, height, 0.001), (rim - 0.004, height - 0.02, 0.002), (0, height - 0.022, 0),
    )  # fmt: skip
    solid = profile(
        (0, 0, 0),
        (radius, 0.002, 0.008),
        (radius, height - 0.022, 0.012),
        (rim, height - 0.012, 0.004),
        (rim, height, 0.001),
        (0, height, 0),
    )
    lid = profile(
        (0, height - 0.013, 0), (rim + 0.002, height - 0.013, 0.0008), (rim + 0.002, height + 0.002, 0.0015),
        (0.8 * rim, height + 0.002, 0.001), (0.78 * rim, height + 0.001, 0.001), (0, height + 0.001, 0),
    )  # fmt: skip
    surfaces = [
        (shapes.turned(outline), plain(filling, 0.12)),
        *band(rng, labels.paint(rng), radius, 0.2 * height, 0.68 * height),
    ]
    grips = around(radius, 0.36 * height) + from_above(rim + 0.002, height + 0.004, 1)
    return Made(
        filling.name, surfaces, shapes.turned_distance(solid), grips, ("open", "open", "read"),
        lid=[(shapes.turned(lid), plain(metal, 0.3, 0.4))], lid_distance=shapes.turned_distance(lid),
    )  # fmt: skip


def teapot(rng: Generator) -> Made:
    """A pot with its spout at -x and its handle at +x."""
    radius, height = rng.uniform(0.05, 0.06), rng.uniform(0.085, 0.105)
    color = labels.paint(rng)
    glaze = plain(color, 0.14)
    body = profile(
        (0, 0, 0), (0.62 * radius, 0, 0.004), (radius, 0.4 * height, 0.05), (0.75 * radius, 0.88 * height, 0.03),
        (0.5 * radius, height, 0.004), (0.16 * radius, height + 0.006, 0.004), (0.1 * radius, height + 0.012, 0.002),
        (0.2 * radius, height + 0.022, 0.006), (0, height + 0.026, 0),
    )  # fmt: skip
    reach = rng.uniform(0.045, 0.052)
    bow = shapes.rounded(
        [
            [0.78 * radius, 0.82 * height],
            [radius + reach, 0.86 * height],
            [radius + 0.9 * reach, 0.3 * height],
            [0.9 * radius, 0.24 * height],
        ],
        0.03,
        8,
    )
    handle = np.stack([bow[:, 0], np.zeros(len(bow)), bow[:, 1]], axis=1)
    bar = np.tile([0.007, 0.0055], (len(handle), 1))
    pipe = shapes.rounded(
        [[-0.85 * radius, 0.35 * height], [-1.35 * radius, 0.5 * height], [-1.75 * radius, 0.98 * height]], 0.05, 8
    )
    spout = np.stack([pipe[:, 0], np.zeros(len(pipe)), pipe[:, 1]], axis=1)
    bore = np.repeat(np.linspace(0.014, 0.007, len(spout))[:, None], 2, axis=1)
    surfaces = [(shapes.turned(body), glaze), (shapes.bent(handle, bar), glaze), (shapes.bent(spout, bore), glaze)]
    distance = shapes.union(
        shapes.turned_distance(body), shapes.bent_distance(handle, bar), shapes.bent_distance(spout, bore)
    )
    grips = [Grip("wrap", point(radius + 0.85 * reach, 0, 0.55 * height), -X, Z, 0.014)]
    grips += [Grip("span", point(0, 0, 0.42 * height), s * Y, Z, 1.96 * radius) for s in (-1, 1)]
    return Made(color.name, surfaces, distance, grips, ("pour", "pour"), face=(0.0, -1.0, 0.0))


def pan(rng: Generator) -> Made:
    """A frying pan with its handle at +x."""
    radius, height, length = rng.uniform(0.075, 0.1), rng.uniform(0.035, 0.045), rng.uniform(0.14, 0.17)
    color = labels.paint(rng, "black", "grey", "dark red", "dark blue", "dark green")
    outline = profile((0, 0, 0), (0.78 * radius, 0, 0.012), (radius, height, 0.001), (radius - 0.003, height, 0.001),
                      (0.76 * radius, 0.004, 0.012), (0, 0.004, 0))  # fmt: skip
    start = radius - 0.006
    rise = height + rng.uniform(0.008, 0.02)
    path = np.array([[start, 0, 0.75 * height], [start + 0.04, 0, rise], [start + length, 0, rise + 0.012]])
    path = np.vstack([path[0], (path[0] + path[1]) / 2, path[1], (path[1] + path[2]) / 2, path[2]])
    radii = np.array([[0.009, 0.005], [0.009, 0.006], [0.011, 0.008], [0.012, 0.01], [0.012, 0.009]])
    surfaces = [
        (shapes.turned(outline), plain(color, 0.45, 0.3)),
        (shapes.bent(path, radii), plain(labels.paint(rng, "black", "brown", "grey"), 0.5)),
    ]
    distance = shapes.union(shapes.turned_distance(outline), shapes.bent_distance(path, radii))
    hold = point(start + 0.62 * length, 0, rise + 0.006)
    grips = [Grip("wrap", hold, np.array([0.0, np.sin(a), -np.cos(a)]), -X, 0.024) for a in (-1.2, -0.6, 0.0, 0.6, 1.2)]
    for sign in (-1, 1):
        rim = point(-radius + 0.002, 0, height - 0.01)
        grips += opposed("pinch", rim, X - Z, sign * (X + 0.5 * Z), 0.005, table=False)
    return Made(color.name, surfaces, distance, grips, ("pour",))


def torch(rng: Generator) -> Made:
    """A torch that lies on its side along x."""
    radius, length = rng.uniform(0.013, 0.017), rng.uniform(0.13, 0.17)
    color = labels.paint(rng, "black", "grey", "red", "blue", "yellow", "dark green")
    head = radius * rng.uniform(1.25, 1.5)
    body = profile(
        (0, 0, 0), (radius, 0, 0.003), (radius, 0.7 * length, 0.008), (head, 0.8 * length, 0.006),
        (head, length, 0.002), (head - 0.003, length, 0.001),
        (head - 0.005, length - 0.004, 0.001), (0, length - 0.004, 0),
    )  # fmt: skip
    turn = rigid.compose(Rotation.from_rotvec([0, np.pi / 2, 0]).as_matrix(), [-length / 2, 0, head])
    ring = profile((0, 0, 0), (head + 0.001, 0, 0.0005), (head + 0.001, 0.01, 0.0005), (0, 0.01, 0)) + np.array(
        [0, 0.86 * length]
    )
    button = shapes.extruded(shapes.circle(0.006), 0.004, 0.001)
    surfaces = [(shapes.turned(body).moved(turn), plain(color, 0.35, 0.5))]
    surfaces.append((shapes.turned(ring).moved(turn), STEEL))
    surfaces += [(s.moved(at(0.04 - 0.04, 0, head + radius)), plain(labels.paint(rng, "black", "red"))) for s in button]
    distance = shapes.placed(shapes.turned_distance(body), turn)
    hold = point(-0.12 * length, 0, head + 0.2 * radius)
    grips = [Grip("pinch", hold, -Z, s * X, 2 * radius) for s in (-1, 1)]
    grips += [Grip("wrap", hold, -Z, s * X, 2 * radius, table=False) for s in (-1, 1)]
    front = point(0.38 * length, 0, head)
    grips += [Grip("pinch", front, side, s * X, 2 * head, table=False) for s in (-1, 1) for side in (Y, -Y, Z)]
    return Made(color.name, surfaces, distance, grips, (), face=(1.0, 0.0, 0.0))
