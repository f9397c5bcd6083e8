"""How far a figure can be trusted: a bootstrap over recordings.

Pictures of one recording are alike, so it is recordings that are drawn anew, with all their pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from genego_ros.types import Array, Float64Array

RESAMPLES = 1000
_MEDIAN_RESAMPLES = 200
"""Of those; each costs a walk through all scores."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95% interval; low and high are NaN where one recording is all there is."""

    mean: float
    """The figure itself; mostly a mean."""
    low: float
    high: float
    n: int
    """Pictures."""
    replicates: Float64Array = field(default_factory=lambda: np.empty(0), compare=False, repr=False)
    """float64 (B,): the figure over each draw of recordings, in the order of the draws; none for one recording."""


def draw(recordings: int, seed: int) -> NDArray[np.int64]:
    """int64 (RESAMPLES, recordings): how often each recording is drawn; (0, 1) where there is but one."""
    if recordings == 1:
        return np.zeros((0, 1), np.int64)
    even = np.full(recordings, 1.0 / recordings)
    return np.random.default_rng(seed).multinomial(recordings, even, size=RESAMPLES)


def estimate(value: float, replicates: Float64Array, n: int) -> Estimate:
    """A figure with the interval that its bootstrap replicates span.

    The replicates are moved to lie around the figure: a distance between sets grows when pictures repeat in
    them, and its replicates would otherwise lie above what they are meant to surround. For a mean nothing moves
    but by chance.
    """
    if not len(replicates):
        return Estimate(value, math.nan, math.nan, n)
    tail = (1 - CONFIDENCE) / 2
    low, high = (np.quantile(replicates, (tail, 1 - tail)) - replicates.mean() + value).tolist()
    return Estimate(value, low, high, n, replicates)


def telling(sizes: Array, drawn: Array) -> Array:
    """The draws that say something of recordings with so many scores, (G,): of those (B, G) none where a single
    recording has scores, and none that leaves out all that have some."""
    return drawn[(drawn @ sizes > 0) & (np.count_nonzero(sizes) > 1)]


def mean(scores: Float64Array, groups: Array, drawn: Array) -> Estimate:
    """The mean of one score a picture.

    Args:
        scores: (N,); NaN where a picture has none, which leaves it out.
        groups: (N,), each picture's recording, 0 to G - 1.
        drawn: (B, G), see `draw`.
    """
    there = ~np.isnan(scores)
    scores, groups = scores[there], groups[there]
    if not len(scores):
        return Estimate(math.nan, math.nan, math.nan, 0)
    sums = np.bincount(groups, scores, minlength=drawn.shape[1])
    sizes = np.bincount(groups, minlength=drawn.shape[1])
    drawn = telling(sizes, drawn)
    return estimate(float(scores.mean()), (drawn @ sums) / (drawn @ sizes), len(scores))


def difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b, of two figures over the same pictures and the same draws: what they share does not widen the interval."""
    return estimate(a.mean - b.mean, a.replicates - b.replicates, a.n)


def median(scores: Float64Array, groups: Array, drawn: Array) -> Estimate:
    """The median of one score a picture, as `Estimate.mean`, with the interval between its replicates' own quantiles.

    Args:
        scores: (N,).
        groups: (N,), each picture's recording, 0 to G - 1.
        drawn: (B, G), see `draw`; the first 200 are taken.
    """
    value = float(np.median(scores))
    if not len(drawn):
        return Estimate(value, math.nan, math.nan, len(scores))
    order = np.argsort(scores)
    counts = drawn[:_MEDIAN_RESAMPLES, groups[order]].cumsum(axis=1)
    middle = [np.argmax(side, axis=1) for side in (2 * counts >= counts[:, -1:], 2 * counts > counts[:, -1:])]
    replicates = scores[order][middle].mean(axis=0)  # the two in the middle where their number is even
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(replicates, (tail, 1 - tail)).tolist()
    return Estimate(value, low, high, len(scores))
