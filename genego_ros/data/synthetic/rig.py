"""The five cameras of a recording: four around the table, and one on the head.

As in H2O, cam0 to cam3 stand still and look at the hands from in front and from the sides, and cam4 is worn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from genego_ros.data.h2o_format import CAMERAS, EGO_CAMERA
from genego_ros.data.synthetic.scene import RecordingCamera, Sensor
from genego_ros.errors import GenEgoError
from genego_ros.geometry import rigid
from genego_ros.types import BoolArray, Camera, Float64Array

Head = Literal["visible", "cropped", "absent"]
"""How much of the head the third-person cameras see: all of it, a part because the picture ends there, nothing."""
HEAD_RADIUS = 0.12
"""Metres around the point between the eyes that count as the head."""
WORK_RADIUS = 0.25
"""Metres around the middle of the work that cam0 to cam2 see whole."""
LEAST_WORK_RADIUS = 0.17
"""The same for cam3, which looks from aside or from above."""

SIZE = (1280, 720)
"""H2O's pictures."""
H2O_HEAD_CAMERA = Camera(*SIZE, 636.6593, 636.2520, 635.2839, 366.8740)
"""The intrinsics that H2O's cam4 has."""

AZIMUTHS = {"cam0": (-55.0, -20.0), "cam1": (-20.0, 20.0), "cam2": (20.0, 55.0), "cam3": (55.0, 105.0)}
"""Degrees from +y, where the person looks, towards +x; the fourth camera stands on either side."""
HEIGHTS = (0.3, 1.0)
"""Metres above the middle of the work."""
DISTANCES = (0.6, 1.3)
"""Metres from the middle of the work."""
FIELDS_OF_VIEW = (45.0, 70.0)
"""Degrees across the picture."""
TRIES = 4096
CHOICES = 3
"""Places of which a camera takes the nearest to the work: who records hands does not stand far away without need."""
SHRINK = (1, 1, 1, 1, 0.85, 0.85, 0.7, 0.7, 0.55, 0.55, 0.4, 0.4, 0.25, 0.25)
"""What is left of the two radii, draw for draw, where a head bent over the work leaves no room to miss it."""


@dataclass(frozen=True)
class Rig:
    """The cameras of one recording."""

    cameras: tuple[RecordingCamera, ...]
    """cam0 to cam4."""
    T_world_camera: Mapping[str, Float64Array]
    """float64 (4, 4) of cam0 to cam3, optical frame."""
    T_eyes_cam4: Float64Array
    """float64 (4, 4): cam4 in the eyes' optical frame; its pose is T_world_eyes @ T_eyes_cam4."""
    head: Head


def make_rig(
    rng: np.random.Generator,
    work_centre: ArrayLike,
    eyes: ArrayLike,
    head: Head,
    size: tuple[int, int],
    sensor: Callable[[np.random.Generator], Sensor],
) -> Rig:
    """Cameras that see the work, and of the head as much as asked.

    Args:
        work_centre: (3,), metres, world: where the hands are most of the time, just above the table.
        eyes: (3,) or (N, 3), metres, world: the point between the eyes, wherever it will be.
        head: what holds for every one of cam0 to cam3 and for all of `eyes`.
        size: width and height in pixels; other proportions than 16:9 squeeze the picture.
        sensor: draws one for each camera.

    Raises:
        GenEgoError: no camera can see the work and that much of the head.
    """
    work = np.asarray(work_centre, np.float64)
    heads = np.atleast_2d(np.asarray(eyes, np.float64))
    aside = -1.0 if rng.random() < 0.5 else 1.0
    cameras, poses = [], {}
    for name in CAMERAS:
        if name == EGO_CAMERA:
            camera = _head_camera(rng)
        else:
            azimuths = np.sort(np.asarray(AZIMUTHS[name]) * (aside if name == "cam3" else 1.0))
            radius = LEAST_WORK_RADIUS if name == "cam3" else WORK_RADIUS
            camera, poses[name] = _standing_camera(rng, azimuths, work, radius, heads, head)
        cameras.append(RecordingCamera(name, camera.resized(*size), sensor(rng)))
    return Rig(tuple(cameras), poses, ego_mount(rng), head)


def ego_mount(rng: np.random.Generator) -> Float64Array:
    """T_eyes_cam4, float64 (4, 4): how one person wears the head camera.

    Everybody wears the same mount, as in H2O, and each a little differently: 5 to 7.5 cm before and above the eyes,
    looking 12 to 18 degrees further down than the face, and slightly askew. No third-person picture shows that, so
    how much it varies bounds how well the view of an unseen person can be told: by about 3 degrees.
    """
    away, tilt = rng.uniform(0.05, 0.075), np.radians(rng.uniform(40, 60))
    offset = [rng.uniform(-0.008, 0.008), -away * np.sin(tilt), away * np.cos(tilt)]
    pitch, yaw, roll = rng.uniform(12, 18), rng.normal(0, 1.2), rng.normal(0, 1.2)
    # The optical frame's y points down, so looking down turns it by a negative angle about x.
    return rigid.compose(Rotation.from_euler("YXZ", [yaw, -pitch, roll], degrees=True).as_matrix(), offset)


def _holds(inside: Float64Array, head: Head) -> BoolArray:
    """Whether the rule holds, bool (P,), for heads that lie `inside` (P, N, 4) metres from the sides of the view."""
    nearest = inside.min(axis=2)
    if head == "visible":
        kept = nearest >= HEAD_RADIUS
    elif head == "absent":
        kept = nearest <= -HEAD_RADIUS
    else:  # by less than r / sqrt 2, so that in a corner, too, the sphere reaches into the picture
        kept = np.abs(nearest) <= 0.7 * HEAD_RADIUS
    whole: BoolArray = kept.all(axis=1)
    return whole


def _distances(camera: Camera, T_world_camera: Float64Array, points: Float64Array) -> Float64Array:
    """Metres by which points (N, 3) lie inside the four planes through the picture's borders, (P, N, 4), for
    poses (P, 4, 4). A sphere is in view whole if its centre is inside by its radius.
    """
    left, right = (-0.5 - camera.cx) / camera.fx, (camera.width - 0.5 - camera.cx) / camera.fx
    top, bottom = (-0.5 - camera.cy) / camera.fy, (camera.height - 0.5 - camera.cy) / camera.fy
    planes = np.array([[1, 0, -left], [-1, 0, right], [0, 1, -top], [0, -1, bottom]])
    planes /= np.linalg.norm(planes, axis=1, keepdims=True)
    local = (points[None] - T_world_camera[:, None, :3, 3]) @ T_world_camera[:, :3, :3]
    return local @ planes.T


def _standing_camera(
    rng: np.random.Generator,
    azimuths: Float64Array,
    work: Float64Array,
    radius: float,
    heads: Float64Array,
    head: Head,
) -> tuple[Camera, Float64Array]:
    """Intrinsics at `SIZE` and T_world_camera of one camera, by drawing until the rules hold."""
    for share in SHRINK:
        camera = _random_camera(rng, rng.uniform(*FIELDS_OF_VIEW))
        poses = _random_poses(rng, azimuths, work, TRIES)
        sees_work = (_distances(camera, poses, work[None]) >= share * radius).all(axis=(1, 2))
        good = sees_work & _holds(_distances(camera, poses, heads), head)
        if good.any():
            choices = poses[np.flatnonzero(good)[:CHOICES]]
            return camera, choices[np.argmin(np.linalg.norm(choices[:, :3, 3] - work, axis=1))]
    raise GenEgoError(
        f"no camera sees the work at {np.round(work, 2).tolist()} with the head {head} at "
        f"{np.round(heads.mean(axis=0), 2).tolist()} m: ask for another view of the head or move the work"
    )


def _random_camera(rng: np.random.Generator, hfov_deg: float) -> Camera:
    """Intrinsics at `SIZE` as calibrations give them: not quite square pixels, not quite centred."""
    width, height = SIZE
    focal = width / (2 * np.tan(np.radians(hfov_deg) / 2))
    centre = (width - 1) / 2 + rng.normal(0, 0.006 * width), (height - 1) / 2 + rng.normal(0, 0.006 * width)
    return Camera(width, height, focal, focal * rng.uniform(0.993, 1.007), *centre)


def _head_camera(rng: np.random.Generator) -> Camera:
    """H2O's head camera, as another one of its make would be."""
    model = H2O_HEAD_CAMERA
    focal = model.fx * rng.uniform(0.96, 1.04)
    centre = model.cx + rng.normal(0, 8), model.cy + rng.normal(0, 8)
    return Camera(model.width, model.height, focal, focal * model.fy / model.fx * rng.uniform(0.997, 1.003), *centre)


def _random_poses(rng: np.random.Generator, azimuths: Float64Array, work: Float64Array, count: int) -> Float64Array:
    """T_world_camera, float64 (count, 4, 4), of cameras that look about at the work, roughly upright."""
    azimuth = np.radians(rng.uniform(azimuths[0], azimuths[1], count))
    distance, height = rng.uniform(*DISTANCES, count), rng.uniform(*HEIGHTS, count)
    # No steeper than 60 degrees: nobody hangs a camera straight above the hands.
    across = np.maximum(np.sqrt(np.maximum(distance**2 - height**2, 0)), height / np.tan(np.radians(60)))
    place = work + np.stack([across * np.sin(azimuth), across * np.cos(azimuth), height], axis=1)
    aim = work + rng.normal(0, [0.12, 0.12, 0.16], (count, 3))
    z = aim - place
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    upright = np.stack([x, np.cross(z, x), z], axis=2)
    roll = Rotation.from_rotvec(rng.normal(0, np.radians(2.0), (count, 1)) * [0.0, 0.0, 1.0]).as_matrix()
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = upright @ roll, place
    return poses
