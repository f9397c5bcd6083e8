"""How hands and things move: smooth courses of poses, and what an arm finds comfortable.

A course is a function of time. It goes over from one course to the next with the speed profile of
human reaching, minimum jerk (Flash and Hogan 1985); overlapping transitions bend round via points as people do
(Flash and Henis 1991).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from genego_ros.types import Array, Float64Array

Poses = Callable[[Float64Array], Float64Array]
"""Times (N,), seconds, to rigid poses (N, 4, 4)."""


def minimum_jerk(times: Float64Array, start: float, end: float) -> Float64Array:
    """Share of the way (N,), 0 until `start` and 1 from `end` on, with velocity and acceleration 0 at both."""
    s = np.clip((times - start) / (end - start), 0.0, 1.0)
    return s**3 * (10 + s * (6 * s - 15))


def still(T: Float64Array) -> Poses:
    """The course of something that rests at a pose (4, 4)."""
    return lambda times: np.broadcast_to(T, (len(times), 4, 4)).copy()


def blend(a: Float64Array, b: Float64Array, share: Float64Array) -> Float64Array:
    """Poses (N, 4, 4) at shares (N,) of the way from poses a to b: straight, turning about one axis."""
    out = a.copy()
    turn = Rotation.from_matrix(a[:, :3, :3].transpose(0, 2, 1) @ b[:, :3, :3]).as_rotvec()
    out[:, :3, :3] = a[:, :3, :3] @ Rotation.from_rotvec(share[:, None] * turn).as_matrix()
    out[:, :3, 3] += share[:, None] * (b[:, :3, 3] - a[:, :3, 3])
    # Exactly there: what is held is rigid with what holds it.
    out[share == 1.0] = b[share == 1.0]
    return out


@dataclass
class Course:
    """Poses over time: a first course, and transitions to others one after the other."""

    first: Poses
    legs: list[tuple[float, float, Poses, float]] = field(default_factory=list)
    """Start and end in seconds, the course that is gone over to, and how far the way bulges up, in metres."""

    def to(self, start: float, end: float, course: Poses, lift: float = 0.0) -> None:
        self.legs.append((start, end, course, lift))

    def __call__(self, times: Float64Array) -> Float64Array:
        poses = self.first(times)
        for start, end, course, lift in self.legs:
            share = minimum_jerk(times, start, end)
            if share.any():
                poses = blend(poses, course(times), share)
                poses[:, 2, 3] += lift * 16 * (share * (1 - share)) ** 2
        return poses


@dataclass
class Angles:
    """Joint angles (20,) over time."""

    first: Float64Array
    legs: list[tuple[float, float, Float64Array]] = field(default_factory=list)

    def to(self, start: float, end: float, angles: Float64Array) -> None:
        self.legs.append((start, end, angles))

    def __call__(self, times: Float64Array) -> Float64Array:
        """float64 (N, 20)."""
        out = np.broadcast_to(self.first, (len(times), len(self.first))).copy()
        for start, end, angles in self.legs:
            share = minimum_jerk(times, start, end)[:, None]
            out = np.where(share == 1.0, angles, out + share * (angles - out))
        return out


@dataclass(frozen=True)
class Wander:
    """The slow unrest of a hand that holds still, with a trace of tremor."""

    size: Float64Array
    """float64 (K, 6): metres and radians of each wave."""
    rate: Float64Array
    """float64 (K,), radians a second."""
    phase: Float64Array
    """float64 (K, 6)."""

    @classmethod
    def random(cls, rng: Generator, metres: float = 0.0025, radians: float = 0.015) -> Wander:
        hertz = np.concatenate([rng.uniform(0.1, 0.9, 6), rng.uniform(7.0, 10.0, 2)])
        fall = np.where(hertz > 5, 0.02, 1.0 / (1.0 + 2 * hertz))[:, None]
        size = fall * rng.normal(0, 1, (8, 6)) * np.repeat([metres, radians], 3)
        return cls(size, 2 * np.pi * hertz, rng.uniform(0, 2 * np.pi, (8, 6)))

    def __call__(self, times: Float64Array, share: Array) -> Float64Array:
        """Small motions (N, 4, 4), shrunk to `share` (N,) of themselves."""
        waves = np.sin(times[:, None, None] * self.rate[:, None] + self.phase)
        values = np.asarray(share)[:, None] * np.einsum("nkc,kc->nc", waves, self.size)
        T = np.tile(np.eye(4), (len(times), 1, 1))
        T[:, :3, 3] = values[:, :3]
        T[:, :3, :3] = Rotation.from_rotvec(values[:, 3:]).as_matrix()
        return T


def discomfort(T_world_wrist: Float64Array, side: float, shoulder: Float64Array, arm: float) -> Float64Array:
    """How awkward wrist poses are for an arm: below 1 is easy, above 4 hardly anybody does it.

    The elbow hangs down and out from the line between shoulder and wrist; what the wrist must bend from the
    forearm's direction, the turn of the forearm and the reach are weighed by their ranges (Kapandji 2007: 85
    degrees of bending, 45 sideways, 85 of turning to each side).

    Args:
        T_world_wrist: float64 (N, 4, 4).
        side: 1 for the right hand, -1 for the left.
        shoulder: float64 (3,), metres, world.
        arm: metres from the shoulder to the wrist of a straight arm.

    Returns:
        float64 (N,).
    """
    wrist = T_world_wrist[:, :3, 3]
    line = wrist - shoulder
    reach = np.linalg.norm(line, axis=1, keepdims=True)
    line = line / reach
    # Elbows leave the trunk a little and hang.
    hang = np.array([0.45 * side, -0.1, -1.0])
    hang = hang - (line @ hang)[:, None] * line
    hang /= np.linalg.norm(hang, axis=1, keepdims=True)
    half = np.minimum(reach / 2, 0.499 * arm)
    elbow = shoulder + half * line + np.sqrt((arm / 2) ** 2 - half**2) * hang
    forearm = wrist - elbow
    forearm /= np.linalg.norm(forearm, axis=1, keepdims=True)
    x, y, z = (T_world_wrist[:, :3, k] for k in range(3))
    along = np.einsum("ni,ni->n", forearm, y)
    bend = np.degrees(np.arctan2(np.einsum("ni,ni->n", forearm, z), along))
    aside = np.degrees(
        np.arctan2(np.einsum("ni,ni->n", forearm, x), np.hypot(along, np.einsum("ni,ni->n", forearm, z)))
    )
    # Thumb up is the middle; a palm that looks down is 80 degrees towards the other hand.
    up = np.array([0.0, 0.0, 1.0]) - forearm * forearm[:, 2:]
    inward = np.cross(up, forearm) * side
    turn = np.degrees(np.arctan2(np.einsum("ni,ni->n", x, inward), np.einsum("ni,ni->n", x, up)))
    stretched = np.maximum(0.0, reach[:, 0] - 0.92 * arm) / (0.03 * arm) + np.maximum(0.0, 0.45 * arm - reach[:, 0]) / (
        0.1 * arm
    )
    return (bend / 55) ** 2 + (aside / 30) ** 2 + (np.maximum(0, np.abs(turn - 15) - 70) / 25) ** 2 + stretched**2
