"""Benchmarks: one short module each, with `run() -> Iterable[Result]`; both sides measured in one run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from genego_ros.errors import GenEgoError

_HIGHER_IS_BETTER = ("Hz", "%", "share", "samples/s", "frames/s")
"""Units; of all others less is better."""


@dataclass(frozen=True)
class Result:
    """One measured figure beside what it is measured against."""

    name: str
    value: float
    unit: str
    reference: str
    """What the other side is."""
    reference_value: float | None
    """In the same unit; None where the target alone is the other side."""
    target: str
    met: bool

    @property
    def ratio(self) -> float | None:
        """How many times better than the reference, above 1 where it is better: reference_value / value of durations
        and errors, value / reference_value of rates and shares. None without a reference, or where one divides by 0."""
        if self.reference_value is None:
            return None
        better, worse = self.reference_value, self.value
        if self.unit in _HIGHER_IS_BETTER:
            better, worse = worse, better
        return better / worse if worse else None


def interleaved_ms(*sides: Callable[[], object], rounds: int) -> list[float]:
    """Median milliseconds of each side, called in turn so that the machine's moods hit all alike."""
    durations: list[list[float]] = [[] for _ in sides]
    for side in sides:
        side()
    for _ in range(rounds):
        for side, taken in zip(sides, durations, strict=True):
            start = perf_counter()
            side()
            taken.append(1e3 * (perf_counter() - start))
    return [median(taken) for taken in durations]


def data_folder(name: str) -> Path:
    """A folder of the real recordings: under GENEGO_TEST_DATA, by default ../shared/data."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("GENEGO_TEST_DATA", beside)) / name


def no_recordings(folder: Path) -> GenEgoError:
    return GenEgoError(f"'{folder}' has no recordings: let GENEGO_TEST_DATA name the folder that holds {folder.name}/")
