"""From the values of many samples to named numbers, with their intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from genego_ros.evaluation import intervals
from genego_ros.evaluation.observation.case import UNAVAILABLE, Values
from genego_ros.types import Array

PARTS = ("depth", "scale", "hands", "phi_ego", "x", "sparse", "description", "time_ms")


def summarise(values: Sequence[Values], recordings: Sequence[str], seed: int) -> dict[str, Any]:
    """Nested by the names in the paths: {mean, low, high, median, median_low, median_high, n} of numbers, {word: count}
    of words.

    low and high are 95% intervals by bootstrap over recordings, null where there is one recording. A word under
    `unavailable` stays as it is: it says why there are no numbers beside it, or not of all samples.

    Args:
        values, recordings: of each sample.
        seed: of the bootstrap.
    """
    names, groups = np.unique(np.asarray(recordings), return_inverse=True)
    drawn = intervals.draw(len(names), seed)
    nested: dict[str, Any] = {part: {} for part in PARTS}
    for path in dict.fromkeys(path for of_sample in values for path in of_sample):  # in the order of the parts
        there = [(group, of_sample[path]) for group, of_sample in zip(groups, values, strict=True) if path in of_sample]
        words = [value for _, value in there if isinstance(value, str)]
        numbers = [(group, x) for group, value in there if not isinstance(value, str) for x in value]
        summed = _counted(path, words) if words else _number(numbers, drawn)
        if summed is not None:
            _put(nested, path.split("/"), summed)
    return {part: found or {UNAVAILABLE: "no sample tells"} for part, found in nested.items()}


def _counted(path: str, words: Sequence[str]) -> str | dict[str, int]:
    reasons = Counter(words)
    return next(iter(reasons)) if path.endswith(UNAVAILABLE) else dict(sorted(reasons.items()))


def _number(numbers: Sequence[tuple[int, float]], drawn: Array) -> dict[str, Any] | None:
    """None where there is no finite number."""
    finite = [(group, x) for group, x in numbers if math.isfinite(x)]
    if not finite:
        return None
    groups, values = np.array([group for group, _ in finite]), np.array([x for _, x in finite], np.float64)
    drawn = intervals.telling(np.bincount(groups, minlength=drawn.shape[1]), drawn)
    mean, median = intervals.mean(values, groups, drawn), intervals.median(values, groups, drawn)
    found = {
        "mean": mean.mean,
        "low": mean.low,
        "high": mean.high,
        "median": median.mean,
        "median_low": median.low,
        "median_high": median.high,
    }
    return {**{name: _short(value) for name, value in found.items()}, "n": len(values)}


def _short(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _put(nested: dict[str, Any], names: Sequence[str], value: Any) -> None:
    for name in names[:-1]:
        nested = nested.setdefault(name, {})
    nested[names[-1]] = value
