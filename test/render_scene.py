"""A small room for looking at the renderers: a table with boxes, balls and two hands, a wall, and a sky."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from genego_ros.data.synthetic.scene import (
    Environment,
    KeyLight,
    Material,
    Mesh,
    Moment,
    RecordingCamera,
    Scene,
    Sensor,
)
from genego_ros.geometry.hand_model import HandModel
from genego_ros.geometry.rigid import look_at
from genego_ros.types import Camera

ROOT = Path(__file__).resolve().parents[1]
TABLE = 0.74


def quad(name: str, corner: tuple, u: tuple, v: tuple, material: Material) -> Mesh:
    """A parallelogram that faces along u x v; texture coordinates run with u and against v."""
    corner, u, v = np.array(corner, float), np.array(u, float), np.array(v, float)
    vertices = np.array([corner, corner + u, corner + u + v, corner + v])
    size = np.linalg.norm(u) / material.tile, np.linalg.norm(v) / material.tile
    uv = np.array([[0, size[1]], [size[0], size[1]], [size[0], 0], [0, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return Mesh(name, vertices.astype(np.float32), faces.astype(np.int32), uv.astype(np.float32), material, False)


def box(name: str, size: tuple, material: Material, middle: tuple = (0, 0, 0)) -> Mesh:
    """Around `middle`; every side has its own vertices."""
    vertices, uvs, faces = [], [], []
    for axis in range(3):
        for sign in (-1, 1):
            u, v = np.roll(np.eye(3), axis, axis=1)[1:] * np.array(size) / 2
            n = np.zeros(3)
            n[axis] = sign * size[axis] / 2
            u = u * sign
            start = len(vertices)
            vertices += [n - u - v, n + u - v, n + u + v, n - u + v]
            extent = 2 * np.array([np.linalg.norm(u), np.linalg.norm(v)]) / material.tile
            uvs += [np.array(c) * extent for c in ((0, 1), (1, 1), (1, 0), (0, 0))]
            faces += [[start, start + 1, start + 2], [start, start + 2, start + 3]]
    placed = np.array(vertices) + np.array(middle)
    return Mesh(name, placed.astype("f4"), np.array(faces, "i4"), np.array(uvs, "f4"), material, False)


def ball(name: str, radius: float, material: Material, middle: tuple = (0, 0, 0), rings: int = 48) -> Mesh:
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings + 1))
    polar, azimuth = polar.T, azimuth.T
    points = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=-1)
    index = np.arange(polar.size).reshape(polar.shape)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    uv = np.stack([azimuth / (2 * np.pi), polar / np.pi], axis=-1).reshape(-1, 2)
    weld = index.copy()
    weld[:, -1] = weld[:, 0]
    weld[0], weld[-1] = weld[0, 0], weld[-1, 0]
    vertices = points.reshape(-1, 3) * radius + np.array(middle)
    return Mesh(
        name, vertices.astype("f4"), faces.astype("i4"), uv.astype("f4"), material, weld=weld.ravel().astype("i4")
    )


def wood(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colour uint8 (512, 512, 3) and height float32 (512, 512): streaks along u."""
    noise = np.fft.rfft2(rng.normal(size=(512, 512)))
    row, column = np.fft.fftfreq(512)[:, None] * 512, np.fft.rfftfreq(512)[None] * 512
    streaks = np.fft.irfft2(noise / (1 + (row / 30) ** 2 + (column / 2) ** 2) ** 1.2)
    streaks = (streaks - streaks.min()) / np.ptp(streaks)
    color = np.array([120, 78, 44]) + streaks[..., None] * np.array([90, 75, 55])
    return color.astype(np.uint8), (streaks * 4e-4).astype(np.float32)


def sky(rows: int = 128) -> Environment:
    """Daylight with a pale ground and one bright window."""
    polar = np.pi * (np.arange(rows) + 0.5) / rows
    azimuth = np.pi * (np.arange(2 * rows) + 0.5) / rows
    up = np.cos(polar)[:, None] * np.ones_like(azimuth)
    blue = np.where(up[..., None] > 0, np.array([0.55, 0.65, 0.8]) * (0.5 + 0.5 * up[..., None]), [0.3, 0.28, 0.25])
    window = (np.abs(azimuth - 4.2) < 0.35) & (np.abs(polar[:, None] - 1.1) < 0.3)
    radiance = blue + window[..., None] * np.array([6.0, 6.2, 6.5])
    return Environment(radiance.astype(np.float32))


def even(radiance: float) -> Environment:
    """The same from everywhere."""
    return Environment(np.full((16, 32, 3), radiance, np.float32))


def make_scene(width: int = 640, height: int = 360, rings: int = 48) -> Scene:
    rng = np.random.default_rng(3)
    color, height_map = wood(rng)
    table = Material(texture=color, bump=height_map, roughness=0.35, tile=0.6)
    floor = Material(color=(0.5, 0.46, 0.42), roughness=0.5)
    wall = Material(color=(0.75, 0.73, 0.68), roughness=0.9)
    skin = Material(color=(0.72, 0.44, 0.33), roughness=0.45, subsurface=0.3)
    hand = HandModel.load(ROOT / "models/hand_mesh.safetensors")
    uv = np.zeros((len(hand.vertices), 2), np.float32)
    meshes = [
        quad("floor", (-3, -3, 0), (6, 0, 0), (0, 6, 0), floor),
        quad("wall", (3, 1.6, 0), (-6, 0, 0), (0, 0, 2.6), wall),
        box("table", (1.4, 0.8, 0.03), table, (0, 0, TABLE - 0.015)),
        box("leg0", (0.05, 0.05, TABLE - 0.03), table, (-0.65, -0.35, TABLE / 2 - 0.015)),
        box("leg1", (0.05, 0.05, TABLE - 0.03), table, (0.65, -0.35, TABLE / 2 - 0.015)),
        box(
            "red box", (0.08, 0.12, 0.16), Material(color=(0.6, 0.06, 0.04), roughness=0.3), (0.22, 0.18, TABLE + 0.08)
        ),
        box("book", (0.2, 0.14, 0.03), Material(color=(0.1, 0.2, 0.4)), (-0.3, 0.15, TABLE + 0.015)),
        ball("ball", 0.05, Material(color=(0.8, 0.8, 0.78), roughness=0.2), (-0.05, 0.16, TABLE + 0.05), rings),
        ball(
            "steel",
            0.04,
            Material(color=(0.7, 0.7, 0.72), roughness=0.15, metallic=1.0),
            (0.1, 0.05, TABLE + 0.04),
            rings,
        ),
        box("held", (0.05, 0.05, 0.18), Material(color=(0.05, 0.35, 0.12), roughness=0.4)),
        Mesh("right", hand.vertices, hand.faces("right").astype("i4"), uv, skin),
        Mesh("left", hand.vertices, hand.faces("left").astype("i4"), uv, skin),
    ]
    lamp = KeyLight((-0.9, -0.6, 2.3), (0.0, 0.0, TABLE), 0.35, (1.6, 1.5, 1.3))
    exo = Camera.from_hfov(width, height, 60.0)
    ego = Camera.from_hfov(width, height, 90.0)
    cameras = RecordingCamera("cam0", exo, Sensor()), RecordingCamera("cam4", ego, Sensor())
    return Scene(tuple(meshes), sky(), (lamp,), cameras)


def moments(scene: Scene, count: int) -> list[Moment]:
    """The right hand moves the held box, the left one lies flat; the head nods a little."""
    hand = HandModel.load(ROOT / "models/hand_mesh.safetensors")
    made = []
    for step in range(count):
        keypoints = {side: hand.rest_keypoints(side).astype(np.float64) for side in ("left", "right")}
        vertices = {}
        for side, x in (("left", -0.2), ("right", 0.15)):
            skin = hand.fit(keypoints[side].astype(np.float32), side).astype(np.float64)
            across, along = keypoints[side][5] - keypoints[side][17], keypoints[side][9]
            y = along / np.linalg.norm(along)
            z = np.cross(across, y) * (1 if side == "right" else -1)
            z /= np.linalg.norm(z)
            flat = skin @ np.stack([np.cross(y, z), y, z], axis=1)
            if side == "right":
                flat = Rotation.from_euler("y", 70 - 2 * step, degrees=True).apply(flat)
            lift = TABLE - flat[:, 2].min() + (0.02 + 0.005 * step if side == "right" else 0.0)
            vertices[side] = (flat + np.array([x, -0.2, lift])).astype(np.float32)
        held = np.eye(4)
        held[:3, :3] = Rotation.from_euler("z", 30 + 3 * step, degrees=True).as_matrix()
        held[:3, 3] = 0.02 * step, -0.05, TABLE + 0.09
        poses = {
            "cam0": look_at((0.9, 0.9, 1.5), (0.0, 0.0, TABLE), (0, 0, 1)),
            "cam4": look_at((0.0, -0.42 + 0.003 * step, 1.2), (0.0, 0.0, TABLE), (0, 0, 1)),
        }
        made.append(Moment(poses, {"held": held}, vertices))
    return made
