"""Renders examples/sample: two hands over a table, seen by a third-person camera, as a rosbag2 bag.

    PYTHONPATH=. python examples/make_sample.py                    # examples/sample, 4 min on one core
    PYTHONPATH=. python examples/make_sample.py --pictures DIR     # the pictures alone, to look at

Everything in it is made here from the CC0 hand of models/ and from noise, so the sequence is CC0 too.
World frame: metres, z up, the table's top is z = 0, the person sits at +y and looks along -y.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import open3d as o3d
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from genego_ros.geometry.hand_model import PARENTS, HandModel
from genego_ros.types import Camera, Side

ROOT = Path(__file__).parents[1]
FRAMES, RATE_HZ = 40, 15
START_NS = 1_700_000_000_000_000_000
FRAME_ID = "camera_optical_frame"
JPEG_QUALITY = 91
CAMERA = Camera.from_hfov(640, 480, 48.0)
EYE, TARGET = np.array([0.07, -0.58, 0.60]), np.array([0.0, 0.095, 0.03])
SUN = np.array([-0.75, -0.35, 1.6])
"""The middle of the window that lights the scene."""
WINDOW = np.array([[0.0, 0.55, 0.0], [0.45, 0.0, 0.21]])
"""Half its sides."""
SHADOW_RAYS, SKY_RAYS, SKY_REACH = 2, 2, 0.5

CARTON_SIZE = np.array([0.105, 0.07, 0.06])
TABLE, WALL, FLOOR, CLOTH, SKIN, CARTON, MUG = range(7)
SHINE = np.array([0.10, 0.0, 0.03, 0.0, 0.12, 0.05, 0.45])
GLOSS = np.array([60.0, 1.0, 20.0, 1.0, 18.0, 20.0, 90.0])


@dataclass(frozen=True)
class Mesh:
    """Triangles of one material with smooth normals and what their colour is made from."""

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    paint: np.ndarray
    """(V, 3): texture coordinates in metres; of skin the linear RGB itself."""
    material: int


def smooth(vertices: np.ndarray, faces: np.ndarray, paint: np.ndarray, material: int) -> Mesh:
    """A mesh whose normals are the area-weighted mean of the faces around each vertex."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    return Mesh(vertices, faces, normals, paint, material)


def quad(corner: np.ndarray, along: np.ndarray, across: np.ndarray, material: int) -> Mesh:
    """A parallelogram that looks along cross(along, across)."""
    vertices = corner + np.array([np.zeros(3), along, along + across, across])
    size = np.linalg.norm([along, across], axis=1)
    paint = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]) * [size[0], size[1], 0]
    return smooth(vertices, np.array([[0, 1, 2], [0, 2, 3]]), paint, material)


def box(middle: np.ndarray, size: np.ndarray, turn_deg: float, material: int) -> list[Mesh]:
    """Six faces, painted by the place inside the box, from its lowest corner."""
    turn = Rotation.from_euler("z", turn_deg, degrees=True)
    sides = []
    for axis in range(3):
        for sign in (-1, 1):
            along, across = (np.roll(np.eye(3), axis, axis=1)[1:] * size)[::sign]
            corner = sign * np.eye(3)[axis] * size / 2 - (along + across) / 2
            side = quad(corner, along, across, material)
            placed = smooth(middle + turn.apply(side.vertices), side.faces, side.vertices + size / 2, material)
            sides.append(placed)
    return sides


def ring_faces(rings: int, around: int) -> np.ndarray:
    """Triangles between consecutive closed rings of `around` vertices each."""
    i, j = (index.ravel() for index in np.meshgrid(np.arange(rings - 1), np.arange(around), indexing="ij"))
    a, b = i * around + j, i * around + (j + 1) % around
    return np.concatenate([np.stack([a, b, a + around], 1), np.stack([b, b + around, a + around], 1)])


def tube(path: np.ndarray, radii: np.ndarray, material: int, flat: float = 1.0, creases: int = -1) -> Mesh:
    """A tube of radii (N,) along a path (N, 3), `flat` times as thick as wide.

    `creases` is the seed of the folds of cloth on it; below 0 it is smooth.
    """
    around = 64
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    upright = abs(tangent[:, 2]).mean() > 0.9
    wide = np.cross(tangent, [0.0, 1.0, 0.0] if upright else [0.0, 0.0, 1.0])
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    thick = flat * np.cross(wide, tangent)
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    outward = np.cos(angle)[:, None] * wide[:, None] + np.sin(angle)[:, None] * thick[:, None]
    radius = np.repeat(radii[:, None], around, axis=1)
    if creases >= 0:
        noise = np.random.default_rng(creases).normal(size=radius.shape)
        folds = gaussian_filter(noise, (2.2, 6.0), mode=("nearest", "wrap"))
        radius *= 1 + 0.05 * folds / folds.std()
    vertices = (path[:, None] + radius[..., None] * outward).reshape(-1, 3)
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))]
    paint = np.zeros((len(path), around, 3))
    paint[..., 0], paint[..., 1] = length[:, None], angle * np.median(radii)
    # wide, thick and tangent are left-handed, so the rings run clockwise.
    faces = ring_faces(len(path), around)[:, ::-1]
    return smooth(vertices, faces, paint.reshape(-1, 3), material)


# --- the person ---------------------------------------------------------------------------------


def posed_keypoints(
    model: HandModel, curl: np.ndarray, thumb: float, wrist: np.ndarray, forward: np.ndarray, back: np.ndarray
) -> np.ndarray:
    """A right hand, (21, 3): fingers bent by `curl` (4, 3), thumb by `thumb`, both in degrees.

    `forward` is the way from the wrist to the middle knuckle and wins over `back`, the way out of the
    back of the hand.
    """
    rest = model.rest_keypoints("right").astype(np.float64)
    rest_forward = rest[9] - rest[0]
    rest_back = np.cross(rest[17] - rest[0], rest[5] - rest[0])
    keypoints = rest.copy()
    middle = rest[12] - rest[9]
    for finger, bends in zip((5, 9, 13, 17), curl, strict=True):
        # The rest fingers are spread wide: bring them halfway to the middle one.
        direction = rest[finger + 3] - rest[finger]
        closing = Rotation.from_rotvec(0.45 * shortest(direction, middle).as_rotvec())
        beyond = slice(finger + 1, finger + 4)
        keypoints[beyond] = rest[finger] + closing.apply(rest[beyond] - rest[finger])
        axis = np.cross(rest_back, closing.apply(direction))
        for joint, bend in zip(range(finger, finger + 3), bends, strict=True):
            turn = Rotation.from_rotvec(np.radians(bend) * axis / np.linalg.norm(axis))
            beyond = slice(joint + 1, finger + 4)
            keypoints[beyond] = keypoints[joint] + turn.apply(keypoints[beyond] - keypoints[joint])
    axis = np.cross(rest[4] - rest[2], rest[5] - rest[2])
    for joint, share in ((1, 0.6), (2, 0.5), (3, 0.7)):
        turn = Rotation.from_rotvec(np.radians(thumb * share) * axis / np.linalg.norm(axis))
        keypoints[joint + 1 : 5] = keypoints[joint] + turn.apply(keypoints[joint + 1 : 5] - keypoints[joint])
    turn = Rotation.align_vectors([forward, back], [rest_forward, rest_back], weights=[10, 1])[0]
    return wrist + turn.apply(keypoints - keypoints[0])


def shortest(a: np.ndarray, b: np.ndarray) -> Rotation:
    """The smallest rotation that takes direction a to direction b."""
    axis = np.cross(a, b)
    angle = np.arctan2(np.linalg.norm(axis), a @ b)
    return Rotation.from_rotvec(angle * axis / (np.linalg.norm(axis) + 1e-12))


def moving_hand(model: HandModel, side: Side, t: float) -> np.ndarray:
    """Keypoints (21, 3) at t in [0, 1]: the right hand reaches for the carton, the left one waits.

    Both are written as right hands; the left is mirrored to the other half of the table at the end.
    """
    reach = t * t * (3 - 2 * t)
    sway = np.sin(2 * np.pi * t)
    beat = 0.5 - 0.5 * np.cos(2 * np.pi * t)
    if side == "right":
        wrist = np.array([-0.205, 0.18, 0.098]) + reach * np.array([0.075, -0.04, 0.045])
        forward = np.array([0.30 + 0.22 * reach, -0.92, -0.16 - 0.12 * reach])
        back = np.array([-0.42 + 0.1 * reach, -0.15, 0.9])
        bend, thumb = 20 + 8 * sway + 14 * reach, 6 + 10 * reach
    else:
        wrist = np.array([-0.165, 0.15 + 0.012 * sway, 0.085 + 0.012 * beat])
        forward = np.array([0.22 + 0.05 * sway, -0.95, -0.10 + 0.06 * beat])
        back = np.array([-0.40 - 0.12 * beat, -0.1, 0.9])
        bend, thumb = 14 + 22 * beat, 4 + 8 * beat
    per_joint = np.array([0.8, 1.0, 0.6])
    per_finger = np.array([0.8, 1.0, 1.1, 1.15])[:, None]
    keypoints = posed_keypoints(model, bend * per_finger * per_joint, thumb, wrist, forward, back)
    return keypoints if side == "right" else keypoints * [-1, 1, 1]


def skin_colours(model: HandModel, rng: np.random.Generator) -> np.ndarray:
    """Linear RGB a vertex of the rest hand: redder knuckles and tips, pale palm and nails."""
    vertices, keypoints = model.vertices.astype(np.float64), model.keypoints
    back = np.cross(keypoints[17] - keypoints[0], keypoints[5] - keypoints[0])
    back /= np.linalg.norm(back)
    colour = np.tile(linear_rgb(208, 148, 116), (len(vertices), 1))
    red, pale = linear_rgb(196, 112, 92), linear_rgb(226, 176, 152)

    def blend(towards: np.ndarray, share: np.ndarray) -> None:
        colour[:] += np.clip(share, 0, 1)[:, None] * (towards - colour)

    height = (vertices - keypoints[9]) @ back
    blend(pale, 0.5 * np.clip(-height / 0.03, 0, 1))
    for joint in range(1, 21):
        near = np.linalg.norm(vertices - keypoints[joint], axis=1)
        blend(red, (0.45 if joint % 4 == 0 else 0.30) * np.exp(-((near / 0.012) ** 2)))
    for tip in (8, 12, 16, 20):  # the thumb's nail faces elsewhere
        bone = keypoints[tip] - keypoints[PARENTS[tip]]
        length = np.linalg.norm(bone)
        along = (vertices - keypoints[PARENTS[tip]]) @ bone / length**2
        off_bone = vertices - keypoints[PARENTS[tip]] - along[:, None] * bone
        distance = np.linalg.norm(off_bone, axis=1)
        up = off_bone @ (back - bone * (back @ bone) / length**2)
        nail = (np.abs(along - 0.72) < 0.26) & (up > 0.75 * distance) & (distance < 0.012)
        blend(linear_rgb(236, 188, 172), np.where(nail, 0.8, 0))
    return colour * (1 + 0.04 * rng.normal(size=(len(vertices), 1)))


def hand_mesh(model: HandModel, keypoints: np.ndarray, side: Side, colours: np.ndarray) -> Mesh:
    """The fitted hand, subdivided once so that its outline is round."""
    vertices = model.fit(keypoints.astype(np.float32), side)
    mesh = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(vertices.astype(np.float64)),
        o3d.utility.Vector3iVector(model.faces(side).astype(np.int32)),
    )
    mesh.vertex_colors = o3d.utility.Vector3dVector(colours)
    mesh = mesh.subdivide_loop(1)
    return smooth(np.asarray(mesh.vertices), np.asarray(mesh.triangles), np.asarray(mesh.vertex_colors), SKIN)


def sleeve(keypoints: np.ndarray, side: Side) -> Mesh:
    """Shoulder, elbow and cuff of the arm that this hand is on; the elbow by the law of cosines."""
    mirror = np.array([-1.0 if side == "left" else 1.0, 1.0, 1.0])
    shoulder = np.array([-0.20, 0.50, 0.30]) * mirror
    wrist, forward = keypoints[0], keypoints[9] - keypoints[0]
    forward = forward / np.linalg.norm(forward)
    reach = wrist - shoulder
    upper, fore = 0.29, 0.26
    distance = min(float(np.linalg.norm(reach)), 0.99 * (upper + fore))
    along = (upper**2 - fore**2 + distance**2) / (2 * distance)
    pole = np.array([-1.0, 0.3, -0.25]) * mirror
    reach /= np.linalg.norm(reach)
    pole -= pole @ reach * reach
    pole /= np.linalg.norm(pole)
    elbow = shoulder + along * reach + np.sqrt(max(upper**2 - along**2, 0.0)) * pole
    corners = np.array([shoulder, elbow, wrist - 0.09 * forward, wrist + 0.015 * forward])
    knots = np.r_[0, np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))]
    s = np.linspace(0, knots[-1], 70)
    path = np.stack([np.interp(s, knots, corners[:, axis]) for axis in range(3)], axis=1)
    path = gaussian_filter1d(path, 8.0, axis=0, mode="nearest")
    path += wrist + 0.015 * forward - path[-1]
    radii = np.interp(s / knots[-1], [0, 0.45, 0.85, 0.93, 1.0], [0.068, 0.056, 0.044, 0.037, 0.038])
    # The hem turns in on itself, so that no one looks down a hollow sleeve.
    path = np.vstack([path, path[-1] - 0.002 * forward, path[-1] - 0.02 * forward])
    return tube(path, np.r_[radii, 0.034, 0.028], CLOTH, flat=0.85, creases=3 if side == "left" else 4)


def torso() -> Mesh:
    z = np.linspace(-0.35, 0.45, 50)
    path = np.stack([np.zeros_like(z), np.full_like(z, 0.50), z], axis=1)
    return tube(path, np.interp(z, [-0.35, 0.0, 0.45], [0.19, 0.185, 0.21]), CLOTH, flat=0.62, creases=9)


# --- things -------------------------------------------------------------------------------------


def mug(middle: np.ndarray) -> list[Mesh]:
    """A mug of 8 cm across and 9.5 cm high with a handle."""
    outside = [[0.0, 0.002], [0.036, 0.002], [0.039, 0.008], [0.041, 0.05], [0.041, 0.093], [0.0395, 0.095]]
    inside = [[0.038, 0.093], [0.037, 0.05], [0.036, 0.012], [0.0, 0.010]]
    radius, height = np.array(outside + inside).T[:, :, None]
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    rings = np.stack([radius * np.cos(angle), radius * np.sin(angle), height + 0 * angle], axis=2)
    vertices = rings.reshape(-1, 3) + middle
    body = smooth(vertices, ring_faces(len(rings), len(angle)), np.zeros_like(vertices), MUG)
    turn = np.linspace(-1.9, 1.9, 40)
    arc = np.stack([0.038 + 0.026 * np.cos(turn), 0 * turn, 0.05 + 0.03 * np.sin(turn)], axis=1)
    arc = Rotation.from_euler("z", -35, degrees=True).apply(arc) + middle
    return [body, tube(arc, np.full(len(arc), 0.0055), MUG)]


def room() -> list[Mesh]:
    return [
        *box(np.array([0.0, -0.13, -0.015]), np.array([1.5, 0.96, 0.03]), 0.0, TABLE),
        quad(np.array([2.5, 1.25, -0.75]), np.array([-5.0, 0, 0]), np.array([0, 0, 3.0]), WALL),
        quad(np.array([-2.5, -2.0, -0.75]), np.array([5.0, 0, 0]), np.array([0, 4.0, 0]), FLOOR),
        *box(np.array([0.008, -0.005, 0.03]), CARTON_SIZE, 24.0, CARTON),
        *mug(np.array([0.262, -0.03, 0.0])),
        torso(),
    ]


# --- paint --------------------------------------------------------------------------------------


def linear_rgb(r: float, g: float, b: float) -> np.ndarray:
    """Linear light of an sRGB colour of 0 to 255."""
    return (np.array([r, g, b]) / 255.0) ** 2.2


def noise_texture(rng: np.random.Generator, sigma: tuple[float, float], size: int = 512) -> np.ndarray:
    """Smooth periodic noise (size, size), mean 0, deviation 1."""
    noise = gaussian_filter(rng.normal(size=(size, size)), sigma, mode="wrap")
    return noise / noise.std()


class Paint:
    """The colour of each material at its texture coordinates."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.grain = noise_texture(rng, (1.2, 40.0))
        self.rings = noise_texture(rng, (14.0, 90.0))
        self.blotches = noise_texture(rng, (12.0, 12.0))
        self.weave = noise_texture(rng, (1.0, 1.0))

    @staticmethod
    def sample(texture: np.ndarray, u: np.ndarray, v: np.ndarray, metres: float) -> np.ndarray:
        """The texture, repeated every so many metres, at u, v in metres."""
        where = np.stack([v, u]) / metres * len(texture)
        return map_coordinates(texture, where, order=1, mode="grid-wrap")

    def colour(self, material: int, paint: np.ndarray) -> np.ndarray:
        """Linear RGB (N, 3)."""
        u, v, w = paint.T
        if material == SKIN:
            return paint
        if material == TABLE:
            plank = np.floor(v / 0.12)
            shifted = u + 0.37 * plank
            rings = self.sample(self.rings, shifted, v + 0.3 * plank, 0.9)
            grain = self.sample(self.grain, shifted, v, 0.5)
            gap = np.abs(v / 0.12 - np.round(v / 0.12)) < 0.008
            tone = 0.5 + 0.17 * np.sin(6 * rings) + 0.13 * grain + 0.12 * np.sin(2.4 * plank)
            wood = linear_rgb(120, 76, 44) + np.clip(tone, 0, 1)[:, None] * (
                linear_rgb(186, 134, 88) - linear_rgb(120, 76, 44)
            )
            return np.where(gap[:, None], 0.45 * wood, wood)
        if material == CARTON:
            return self.carton(u, v, w)
        base = {
            WALL: linear_rgb(206, 204, 196),
            FLOOR: linear_rgb(168, 160, 150),
            CLOTH: linear_rgb(62, 84, 116),
            MUG: linear_rgb(228, 226, 218),
        }[material]
        shade = 1 + 0.05 * self.sample(self.blotches, u, v, 1.0)
        if material == CLOTH:
            shade = shade + 0.08 * self.sample(self.weave, u, v, 0.35)
        return base * shade[:, None]

    @staticmethod
    def carton(u: np.ndarray, v: np.ndarray, w: np.ndarray) -> np.ndarray:
        """A tea box: green with a cream band and a round label on its lid."""
        colour = np.tile(linear_rgb(44, 112, 84), (len(u), 1))
        lid = w > CARTON_SIZE[2] - 1e-5
        from_middle = np.hypot(u - CARTON_SIZE[0] / 2, v - CARTON_SIZE[1] / 2)
        band = ~lid & (np.abs(w - CARTON_SIZE[2] / 2) < 0.010)
        colour[band | (lid & (from_middle < 0.024))] = linear_rgb(232, 218, 180)
        colour[lid & (from_middle < 0.016)] = linear_rgb(188, 74, 52)
        return colour


# --- light --------------------------------------------------------------------------------------


def camera_axes() -> np.ndarray:
    """R_world_camera: the columns are the camera's x (right), y (down) and z (forward)."""
    z = (TARGET - EYE) / np.linalg.norm(TARGET - EYE)
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


class Renderer:
    """One ray through every quarter of a pixel, a soft window and an occluded sky."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.paint = Paint(rng)
        h, w = CAMERA.height, CAMERA.width
        v, u = np.meshgrid(np.arange(h), np.arange(w), indexing="ij")
        self.centres = self.rays(u.ravel(), v.ravel())
        v, u = np.meshgrid(np.arange(2 * h) / 2 - 0.25, np.arange(2 * w) / 2 - 0.25, indexing="ij")
        self.quarters = self.rays(u.ravel(), v.ravel())
        # The same dice in every frame: what grain is left stands still.
        self.dice = rng.random((4 * h * w, SHADOW_RAYS + SKY_RAYS, 2), np.float32)

    @staticmethod
    def rays(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Rays (N, 6) through these pixels; along each the distance is the depth."""
        inside = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(len(u))], axis=1)
        return np.hstack([np.tile(EYE, (len(u), 1)), inside @ camera_axes().T]).astype(np.float32)

    def render(self, meshes: list[Mesh]) -> tuple[np.ndarray, np.ndarray]:
        """RGB uint8 (H, W, 3) and depth uint16 (H, W) in mm."""
        counts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
        faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, counts, strict=False)])
        scene = o3d.t.geometry.RaycastingScene()
        vertices = np.concatenate([mesh.vertices for mesh in meshes]).astype(np.float32)
        scene.add_triangles(vertices, faces.astype(np.uint32))
        hits = scene.cast_rays(o3d.core.Tensor(self.quarters))
        face, uv = hits["primitive_ids"].numpy(), hits["primitive_uvs"].numpy()
        corners = faces[face]
        weights = np.column_stack([1 - uv.sum(axis=1), uv])[:, :, None]

        def interpolate(values: np.ndarray) -> np.ndarray:
            return (values.astype(np.float32)[corners] * weights).sum(axis=1)

        point = self.quarters[:, :3] + hits["t_hit"].numpy()[:, None] * self.quarters[:, 3:]
        normal = interpolate(np.concatenate([mesh.normals for mesh in meshes]))
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        paint = interpolate(np.concatenate([mesh.paint for mesh in meshes]))
        material = np.repeat([mesh.material for mesh in meshes], [len(mesh.faces) for mesh in meshes])[face]
        albedo = np.empty_like(point)
        for kind in np.unique(material):
            albedo[material == kind] = self.paint.colour(int(kind), paint[material == kind])
        light = self.light(scene, point, normal, hits["primitive_normals"].numpy(), albedo, material)
        h, w = CAMERA.height, CAMERA.width
        picture = light.reshape(h, 2, w, 2, 3).mean(axis=(1, 3))
        # A soft shoulder keeps the highlights from clipping.
        mapped = picture * (1 + picture / 6.0) / (1 + picture)
        rgb = np.clip(255.0 * np.clip(1.32 * mapped, 0, 1) ** (1 / 2.2) + 0.5, 0, 255).astype(np.uint8)
        depth = scene.cast_rays(o3d.core.Tensor(self.centres))["t_hit"].numpy().reshape(h, w)
        return rgb, np.where(np.isfinite(depth), 1000 * depth + 0.5, 0).astype(np.uint16)

    def light(
        self,
        scene: o3d.t.geometry.RaycastingScene,
        point: np.ndarray,
        normal: np.ndarray,
        flat_normal: np.ndarray,
        albedo: np.ndarray,
        material: np.ndarray,
    ) -> np.ndarray:
        """Linear RGB (N, 3) that leaves each point towards the camera."""
        view = -self.quarters[:, 3:] / np.linalg.norm(self.quarters[:, 3:], axis=1, keepdims=True)
        flat_normal = flat_normal * np.sign(np.einsum("ni,ni->n", flat_normal, view))[:, None]
        origin = (point + 1e-3 * flat_normal).astype(np.float32)
        skin = material == SKIN
        direct = np.zeros((len(point), 3), np.float32)
        shine = np.zeros(len(point), np.float32)
        warm = np.array([1.0, 0.95, 0.87], np.float32) * 2.6
        for ray in range(SHADOW_RAYS):
            dice = self.dice[:, ray] * [1.0, 1 / SHADOW_RAYS] + [0.0, ray / SHADOW_RAYS]
            towards = (SUN + (2 * dice - 1) @ WINDOW - point).astype(np.float32)
            towards /= np.linalg.norm(towards, axis=1, keepdims=True)
            shadow = scene.test_occlusions(o3d.core.Tensor(np.hstack([origin, towards]))).numpy()
            cosine = np.einsum("ni,ni->n", normal, towards)
            lit = ~shadow & (np.einsum("ni,ni->n", flat_normal, towards) > 0)
            # Light that enters the skin comes out around the edge of the shadow, and red.
            for channel, wrap in enumerate((0.30, 0.12, 0.08)):
                share = np.where(skin, wrap, 0.0)
                direct[:, channel] += lit * np.clip((cosine + share) / (1 + share) ** 2, 0, None)
            halfway = towards + view
            halfway /= np.linalg.norm(halfway, axis=1, keepdims=True)
            glint = np.clip(np.einsum("ni,ni->n", normal, halfway), 0, 1) ** GLOSS[material]
            shine += lit * glint * (cosine > 0)
        sky = self.sky(scene, origin, normal)
        arriving = self.without_grain(direct / SHADOW_RAYS * warm + sky, point, normal)
        return albedo * arriving + (SHINE[material] * shine / SHADOW_RAYS)[:, None] * warm

    @staticmethod
    def without_grain(light: np.ndarray, point: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Light averaged over neighbours on the same surface: a bilateral filter with a spaced kernel."""
        shape = (2 * CAMERA.height, 2 * CAMERA.width, -1)
        light, point, normal = (part.astype(np.float32).reshape(shape) for part in (light, point, normal))
        for step in (2, 5):
            total, weights = np.zeros_like(light), np.zeros_like(light[..., :1])
            for dy in (-step, 0, step):
                for dx in (-step, 0, step):
                    other = [np.roll(part, (dy, dx), axis=(0, 1)) for part in (light, point, normal)]
                    apart = np.abs(((other[1] - point) * normal).sum(axis=2, keepdims=True)) / 0.004
                    turned = 1 - (other[2] * normal).sum(axis=2, keepdims=True)
                    weight = np.exp(-apart - turned / 0.05)
                    total += weight * other[0]
                    weights += weight
            light = total / weights
        return light.reshape(-1, 3)

    def sky(self, scene: o3d.t.geometry.RaycastingScene, origin: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Light of a pale ceiling and of the warm table, as far as nothing near is in the way."""
        helper = np.where(np.abs(normal[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
        x = np.cross(helper, normal)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        y = np.cross(normal, x)
        total = np.zeros((len(origin), 3), np.float32)
        for ray in range(SKY_RAYS):
            a, b = self.dice[:, SHADOW_RAYS + ray].T
            radius, angle = np.sqrt((a + ray) / SKY_RAYS)[:, None], 2 * np.pi * b[:, None]
            towards = radius * (np.cos(angle) * x + np.sin(angle) * y) + np.sqrt(1 - radius**2) * normal
            rays = o3d.core.Tensor(np.hstack([origin, towards]).astype(np.float32))
            blocked = scene.test_occlusions(rays, tnear=0.0, tfar=SKY_REACH).numpy()
            up = np.clip(0.5 + 0.5 * towards[:, 2:], 0, 1)
            ceiling, bounce = np.array([0.62, 0.66, 0.72]), np.array([0.34, 0.26, 0.20])
            total += np.where(blocked[:, None], 0.22 * bounce, bounce + up * (ceiling - bounce))
        return total / SKY_RAYS


def pictures(seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """RGB and depth of each frame."""
    model = HandModel.load(ROOT / "models/hand_mesh.safetensors")
    renderer, still = Renderer(seed), room()
    colours = skin_colours(model, np.random.default_rng(seed))
    for index in range(FRAMES):
        meshes = list(still)
        for side in ("left", "right"):
            keypoints = moving_hand(model, side, index / (FRAMES - 1))
            meshes += [hand_mesh(model, keypoints, side, colours), sleeve(keypoints, side)]
        yield renderer.render(meshes)


# --- the bag ------------------------------------------------------------------------------------


def write_bag(folder: Path, seed: int) -> None:
    """The sequence as a rosbag2 (mcap) in `folder`, beside whatever else is there."""
    types = get_typestore(Stores.ROS2_HUMBLE)
    image_type, info_type = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
    stamp_type, header_type = types.types["builtin_interfaces/msg/Time"], types.types["std_msgs/msg/Header"]
    qos = Qos(
        QosHistory.KEEP_LAST,
        10,
        QosReliability.RELIABLE,
        QosDurability.VOLATILE,
        *(QosTime(2147483647, 4294967295),) * 2,
        QosLiveliness.AUTOMATIC,
        QosTime(2147483647, 4294967295),
        False,
    )
    with tempfile.TemporaryDirectory() as scratch:
        bag = Path(scratch) / "sample"
        with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            topics = {
                name: writer.add_connection(name, kind, typestore=types, offered_qos_profiles=[qos])
                for name, kind in (
                    ("/camera/image_raw/compressed", image_type),
                    ("/camera/depth/compressed", image_type),
                    ("/camera/camera_info", info_type),
                )
            }
            for index, (rgb, depth) in enumerate(tqdm(pictures(seed), total=FRAMES, unit="frame")):
                now = START_NS + round(index * 1e9 / RATE_HZ)
                header = header_type(stamp_type(now // 10**9, now % 10**9), FRAME_ID)
                jpeg = cv2.imencode(".jpg", rgb[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1]
                png = cv2.imencode(".png", depth, (cv2.IMWRITE_PNG_COMPRESSION, 9))[1]
                messages = (
                    types.types[image_type](header, "jpeg", jpeg.ravel()),
                    types.types[image_type](header, "png", png.ravel()),
                    camera_info(types, header),
                )
                for (_, connection), message in zip(topics.items(), messages, strict=True):
                    writer.write(connection, now, types.serialize_cdr(message, connection.msgtype))
        folder.mkdir(parents=True, exist_ok=True)
        for file in bag.iterdir():
            shutil.copy(file, folder / file.name)


def camera_info(types: Typestore, header: Any) -> Any:
    """K and P of the camera; no distortion."""
    K = CAMERA.matrix
    P = np.hstack([K, np.zeros((3, 1))])
    region = types.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    return types.types["sensor_msgs/msg/CameraInfo"](
        header,
        CAMERA.height,
        CAMERA.width,
        "plumb_bob",
        np.zeros(5),
        K.ravel(),
        np.eye(3).ravel(),
        P.ravel(),
        0,
        0,
        region,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Render the sample sequence.")
    parser.add_argument("--out", type=Path, default=ROOT / "examples/sample")
    parser.add_argument("--pictures", type=Path, help="write pictures into this folder instead of a bag")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.pictures is None:
        write_bag(arguments.out, arguments.seed)
        return
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    for index, (rgb, depth) in enumerate(tqdm(pictures(arguments.seed), total=FRAMES)):
        cv2.imwrite(str(arguments.pictures / f"rgb_{index:03}.png"), rgb[..., ::-1])
        cv2.imwrite(str(arguments.pictures / f"depth_{index:03}.png"), depth)


if __name__ == "__main__":
    main()
