"""Eyes placed from the hands alone: a guess that needs no network, and the last fallback."""

from __future__ import annotations

import math

import numpy as np

from genego_ros.geometry.camera import rays
from genego_ros.geometry.plane import dominant_plane
from genego_ros.geometry.rigid import invert, look_at, unit
from genego_ros.parameters import Parameters
from genego_ros.types import Camera, Float64Array, FloatArray, Frame, Hand, Viewpoint

_PALM = [0, 5, 9, 13, 17]
_SIDEWAYS_WEIGHT = 2.0
"""The line from the left to the right hand against the pointing of one hand: hands turn at the wrist,
while people hardly cross their arms."""
_FACING_WEIGHT = 0.3
"""The third-person camera usually faces the person; this decides only where the hands say little."""

_SHORTEST = 1e-6
"""A shorter vector's direction is rounding."""

_REACH = 0.6
"""Metres around the hands in which the plane they work on is looked for."""
_PLANE_POINTS = 2500
_PLANE_TOLERANCE = 0.015
"""Metres; a depth camera's noise at arm's length."""
_PLANE_SHARE = 0.25
_PLANE_TILT = math.radians(75.0)


class NominalViewpoint:
    """The person looks down at the middle of the hands from `viewpoint.distance`.

    What is forward for the person follows from the line between the wrists and from where the hands
    point. What is up follows from the plane around the hands (a table, mostly) where a depth image shows
    one, else from the third-person camera being level but for `viewpoint.camera_pitch_deg`.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def begin(self, frame: Frame) -> None:
        """Needs the hands first."""

    def locate(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> Viewpoint | None:
        """None without a hand."""
        if not hands:
            return None
        setting = self.parameters.viewpoint
        elevation = math.radians(setting.elevation_deg)
        middle = np.mean([hand.keypoints[_PALM].mean(axis=0) for hand in hands], axis=0).astype(np.float64)
        up = self._up(frame.camera, depth, middle)
        forward = _forward(hands, middle, up)
        eyes = middle + setting.distance * (math.sin(elevation) * up - math.cos(elevation) * forward)
        # Looking straight down, `up` no longer says which way round the picture is, `forward` does.
        return Viewpoint(invert(look_at(eyes, middle, up + 0.01 * forward)), "nominal")

    def forget(self) -> None:
        """Keeps nothing."""

    def close(self) -> None:
        """Holds nothing."""

    def _up(self, camera: Camera, depth: FloatArray, middle: Float64Array) -> Float64Array:
        pitch = math.radians(self.parameters.viewpoint.camera_pitch_deg)
        assumed = np.array([0.0, -math.cos(pitch), -math.sin(pitch)])
        plane = dominant_plane(_surroundings(depth, camera, middle), _PLANE_TOLERANCE)
        # Walls are planes too; a camera that looks at a table is rarely tilted by more than this.
        if plane is None or plane.share < _PLANE_SHARE or plane.normal @ assumed < math.cos(_PLANE_TILT):
            return assumed
        return plane.normal


def _surroundings(depth: FloatArray, camera: Camera, middle: Float64Array) -> Float64Array:
    """Every few pixels' point within reach of the hands, float64 (N, 3), exo optical frame."""
    stride = max(1, round(math.sqrt(depth.size / _PLANE_POINTS)))
    z = depth[::stride, ::stride].astype(np.float64)
    points = rays(camera.thinned(stride)) * z[..., None]
    near: Float64Array = points[np.linalg.norm(points - middle, axis=2) < _REACH]
    return near


def _forward(hands: tuple[Hand, ...], middle: Float64Array, up: Float64Array) -> Float64Array:
    """The person's horizontal forward direction, unit float64 (3,), exo optical frame."""
    direction = -_FACING_WEIGHT * unit(_horizontal(middle, up), _SHORTEST)
    for hand in hands:
        direction = direction + _horizontal(unit(hand.keypoints[9] - hand.keypoints[0], _SHORTEST), up)
    wrist = {hand.side: hand.keypoints[0].astype(np.float64) for hand in hands}
    if len(wrist) == 2:
        across = unit(_horizontal(wrist["right"] - wrist["left"], up), _SHORTEST)
        direction = direction + _SIDEWAYS_WEIGHT * np.cross(up, across)
    forward = unit(_horizontal(direction, up), _SHORTEST)
    # Nothing says where forward is when a lone hand points straight up below a camera that looks straight
    # down: any direction serves, and the next frame knows more.
    return forward if forward.any() else unit(np.cross(up, np.eye(3)[np.argmin(np.abs(up))]))


def _horizontal(vector: Float64Array, up: Float64Array) -> Float64Array:
    horizontal: Float64Array = vector - up * float(vector @ up)
    return horizontal
