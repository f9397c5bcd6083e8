"""Robust alignment of two hands with outliers, against least squares that is told which points are good."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from bench import Result, interleaved_ms
from genego_ros.geometry.umeyama import SAMPLES, Alignment, align
from genego_ros.types import Float64Array

TRIALS = 200
OUTLIERS = 13
"""Of 42 keypoints; 31 %."""


def two_hands(rng: np.random.Generator) -> Float64Array:
    """Keypoints (42, 3), metres: flat hands about 30 cm apart, each turned at random, 0.5 to 1 m away."""
    angles = np.radians([140.0, 110.0, 90.0, 75.0, 60.0])
    lengths = np.array([[0.04, 0.07, 0.1, 0.12]] + 4 * [[0.09, 0.13, 0.155, 0.18]])
    directions = np.stack([np.cos(angles), np.sin(angles), np.zeros(5)], axis=1)
    flat = np.vstack([np.zeros(3), (lengths[..., None] * directions[:, None]).reshape(20, 3)])
    middles = np.array([[-0.15, 0, 0], [0.15, 0, 0]]) + rng.uniform([-0.2, -0.2, 0.5], [0.2, 0.2, 1.0])
    left, right = (
        Rotation.from_rotvec(rng.normal(0, 0.5, 3)).apply(flat * mirror) for mirror in ((1, 1, 1), (-1, 1, 1))
    )
    return np.vstack([left + middles[0], right + middles[1]]) + np.repeat(rng.uniform(-0.05, 0.05, (2, 3)), 21, 0)


class Trial:
    """A random rigid motion of two hands; noise of `noise` metres (root mean square of a point's
    displacement), and `outliers` points off by another 5 to 50 cm."""

    def __init__(self, seed: int, noise: float, outliers: int = OUTLIERS, with_scale: bool = False) -> None:
        rng = np.random.default_rng(seed)
        self.source = two_hands(rng)
        self.scale = rng.uniform(0.7, 1.4) if with_scale else 1.0
        self.rotation = Rotation.random(rng=rng).as_matrix()
        self.truth = self.scale * self.source @ self.rotation.T + rng.uniform(-1, 1, 3)
        self.target = self.truth + rng.normal(0, noise / np.sqrt(3), (42, 3))
        shuffled = rng.permutation(42)
        self.good, bad = np.sort(shuffled[outliers:]), shuffled[:outliers]
        away = Rotation.random(outliers, rng=rng).apply([1.0, 0.0, 0.0]) if outliers else np.zeros((0, 3))
        self.target[bad] += rng.uniform(0.05, 0.5, (outliers, 1)) * away

    def errors(self, found: Alignment) -> tuple[float, float]:
        """Millimetres (root mean square over the hands' points) and degrees."""
        mapped = found.scale * self.source @ found.rotation.T + found.translation
        turn = Rotation.from_matrix(found.rotation.T @ self.rotation).magnitude()
        return 1e3 * float(np.sqrt(((mapped - self.truth) ** 2).sum(1).mean())), float(np.degrees(turn))

    def deviation(self, found: Alignment) -> float:
        """The largest difference of scale, rotation entries and mapped points in metres."""
        mapped = found.scale * self.source @ found.rotation.T + found.translation
        parts = (found.scale - self.scale, found.rotation - self.rotation, mapped - self.truth)
        return max(float(np.abs(part).max()) for part in parts)


def one_by_one(trial: Trial) -> None:
    rng = np.random.default_rng(0)
    for _ in range(SAMPLES):
        triple = rng.choice(42, 3, replace=False)
        p, q = trial.source[triple], trial.target[triple]
        Rotation.align_vectors(q - q.mean(axis=0), p - p.mean(axis=0))


def run() -> list[Result]:
    trials = [Trial(seed, noise=1e-3) for seed in range(TRIALS)]
    found = np.array([trial.errors(align(trial.source, trial.target, robust=True)) for trial in trials])
    told = np.array([t.errors(align(t.source[t.good], t.target[t.good])) for t in trials])
    exact = [Trial(seed, noise=0.0, outliers=0, with_scale=True) for seed in range(TRIALS)]
    rounding = max(trial.deviation(align(trial.source, trial.target, with_scale=True)) for trial in exact)
    first = trials[0]
    robust_ms, single_ms = interleaved_ms(
        lambda: align(first.source, first.target, robust=True),
        lambda: one_by_one(first),
        rounds=30,
    )
    worst, told_worst = np.percentile(found, 99, axis=0).tolist(), np.percentile(told, 99, axis=0).tolist()
    oracle = "least squares on the good points alone"
    return [
        Result("umeyama, no noise", rounding, "", "the known similarity", None, "<= 1e-9", rounding <= 1e-9),
        Result(
            "umeyama, 31% outliers, 1 mm noise: shift, 99th percentile",
            worst[0],
            "mm",
            oracle,
            told_worst[0],
            "<= 2 mm",
            worst[0] <= 2.0,
        ),
        Result(
            "umeyama, 31% outliers, 1 mm noise: turn, 99th percentile",
            worst[1],
            "degrees",
            oracle,
            told_worst[1],
            "<= 0.5 degrees",
            worst[1] <= 0.5,
        ),
        Result(
            "umeyama, robust, 42 points",
            robust_ms,
            "ms",
            "its minimal samples alone, one by one with scipy",
            single_ms,
            "<= 3 ms",
            robust_ms <= 3.0,
        ),
    ]
