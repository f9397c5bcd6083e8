"""How far the reference method is from each other one: over the same pictures, so without what is hard for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genego_ros.evaluation import intervals
from genego_ros.evaluation.intervals import Estimate
from genego_ros.evaluation.metrics import METRICS, best

REFERENCE = "genego"


@dataclass(frozen=True)
class Difference:
    """Of the reference in one metric."""

    best_other: str
    """The other method whose figure is best."""
    minus: Mapping[str, Estimate]
    """The reference minus each other method that has the metric; `n` counts the pictures that have it from both."""


def differences(
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    table: Mapping[str, Mapping[str, Estimate]],
    recordings: Sequence[str],
    seed: int,
) -> dict[str, Difference]:
    """By metric, in the order of `METRICS`; empty where the reference or another method is not there.

    A score of single pictures is compared picture by picture. For a distance between sets both replicates of every draw
    of recordings are.

    Args:
        scores: by method and metric, of each picture; NaN where it has none.
        table: by method and metric, see `metrics.summarise`; with the same `recordings` and `seed`.
        recordings: of each picture.
        seed: of the bootstrap.
    """
    if REFERENCE not in table:
        return {}
    names, groups = np.unique(np.asarray(recordings), return_inverse=True)
    drawn = intervals.draw(len(names), seed)

    def minus(metric: str, other: str) -> Estimate:
        if metric not in scores[other]:
            return intervals.difference(table[REFERENCE][metric], table[other][metric])
        apart = np.asarray(scores[REFERENCE][metric]) - np.asarray(scores[other][metric])
        return intervals.mean(apart, groups, drawn)

    found = {}
    for metric in METRICS:
        means = {name: row[metric].mean for name, row in table.items() if name != REFERENCE and metric in row}
        top = best(metric, list(means.values()))
        best_other = next((name for name, mean in means.items() if mean == top), None)
        if best_other and metric in table[REFERENCE]:
            found[metric] = Difference(best_other, {name: minus(metric, name) for name in means})
    return found
