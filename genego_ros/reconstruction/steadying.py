"""Frames of a stream that hang together: what was made up stays what it was, where it may still be the same thing.

The picture before is seen from where the eyes are now, by the depth that is known or filled in, and counts for a share
of the new one. It counts only as far as the new one leaves room for it, as in temporal antialiasing (Karis, High
quality temporal supersampling, SIGGRAPH 2014 courses): what moved in between leaves no ghost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from genego_ros.geometry import rigid
from genego_ros.geometry.camera import rays
from genego_ros.reconstruction.geometric import filled_depth
from genego_ros.types import ByteArray, Camera, ExoObservation, Float64Array, FloatArray

LONGEST = 1.0
"""Seconds between two frames of one stream, at most."""
NEIGHBOURHOOD = 9
"""Pixels a side of the window whose colours leave room."""
ROOM = 16.0
"""Grey levels beyond them that do too."""


@dataclass(frozen=True)
class _Moment:
    stamp_ns: int
    frame_id: str
    T_ego_exo: Float64Array
    camera: Camera
    picture: FloatArray


class Steadier:
    """Remembers one picture. The third-person camera is taken to stand still."""

    def __init__(self) -> None:
        self._last: _Moment | None = None

    def steadied(self, made: ByteArray, observation: ExoObservation, time_constant_s: float) -> ByteArray:
        """The picture, uint8 (S, S, 3), of the whole view, with that before in it.

        Args:
            time_constant_s: after which what was before counts for 1 / e; 0: not at all.
        """
        if not time_constant_s:
            self._last = None
            return made
        camera = observation.ego_camera.resized(made.shape[1], made.shape[0])
        last = self._last
        picture = made.astype(np.float32)
        if last is not None and (last.frame_id, last.camera) == (observation.frame_id, camera):
            passed = (observation.stamp_ns - last.stamp_ns) * 1e-9
            if 0 < passed <= LONGEST:
                share = math.exp(-passed / time_constant_s)
                before, there = _seen_from_now(last, observation, camera)
                window = np.ones((NEIGHBOURHOOD, NEIGHBOURHOOD), np.uint8)
                before = np.clip(before, cv2.erode(picture, window) - ROOM, cv2.dilate(picture, window) + ROOM)
                picture += share * there[..., None] * (before - picture)
        eyes = observation.viewpoint.T_ego_exo
        self._last = _Moment(observation.stamp_ns, observation.frame_id, eyes, camera, picture)
        return np.rint(picture).astype(np.uint8)


def _seen_from_now(last: _Moment, observation: ExoObservation, camera: Camera) -> tuple[FloatArray, FloatArray]:
    """The last picture through today's eyes, float32 (S, S, 3), and where it tells something, float32 (S, S)."""
    size = (camera.width, camera.height)
    depth = cv2.resize(observation.sparse.depth, size, interpolation=cv2.INTER_NEAREST)
    points = rays(camera) * filled_depth(np.asarray(depth))[..., None]
    moved = (last.T_ego_exo @ rigid.invert(observation.viewpoint.T_ego_exo)).astype(np.float32)
    x, y, z = np.moveaxis(points @ moved[:3, :3].T + moved[:3, 3], -1, 0)
    u, v = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
    inside = (z > 0) & (u > 0) & (u < camera.width - 1) & (v > 0) & (v < camera.height - 1)
    u, v = (np.where(inside, place, 0).astype(np.float32) for place in (u, v))
    return np.asarray(cv2.remap(last.picture, u, v, cv2.INTER_LINEAR)), inside.astype(np.float32)
