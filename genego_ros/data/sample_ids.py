"""Names of many samples in little memory, and a data set by them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from genego_ros.data.sample import Sample, SampleId
from genego_ros.errors import GenEgoError

LAST_FRAME = 999_999
"""Frames have names of six digits."""


class Run(NamedTuple):
    """Frames of one camera of one recording."""

    sequence: str
    camera: str
    frames: NDArray[np.int32]
    """int32 (N,), ascending."""


class SampleIds(Sequence[SampleId]):
    """Samples in order, four bytes each: by recording, camera and frame. Empty runs are left out."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self.runs: tuple[Run, ...] = tuple(sorted((run for run in runs if len(run.frames)), key=lambda run: run[:2]))
        self._ends = list(accumulate(len(run.frames) for run in self.runs))
        self._places = {run[:2]: place for place, run in enumerate(self.runs)}

    @classmethod
    def of(cls, ids: Iterable[SampleId]) -> SampleIds:
        """Those samples, each once, in order."""
        if isinstance(ids, SampleIds):
            return cls(ids.runs)
        runs = groupby(sorted(set(ids)), key=lambda id: (id.sequence, id.camera))
        return cls(Run(*name, np.array([id.frame for id in run], np.int32)) for name, run in runs)

    def frames(self, sequence: str, camera: str) -> NDArray[np.int32]:
        """int32 (N,), ascending; empty where there are none."""
        place = self._places.get((sequence, camera))
        return np.empty(0, np.int32) if place is None else self.runs[place].frames

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> SampleId: ...
    @overload
    def __getitem__(self, index: slice) -> list[SampleId]: ...
    def __getitem__(self, index: int | slice) -> SampleId | list[SampleId]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        index %= len(self)
        place = bisect_right(self._ends, index)
        run = self.runs[place]
        return SampleId(run.sequence, run.camera, int(run.frames[index - self._ends[place]]))

    def __contains__(self, id: object) -> bool:
        if not isinstance(id, SampleId):
            return False
        frames = self.frames(id.sequence, id.camera)
        place = int(np.searchsorted(frames, id.frame))
        return place < len(frames) and int(frames[place]) == id.frame


class ListedDataset(ABC):
    """A `Dataset` that knows its samples by name: what the readers of all formats share.

    Args:
        runs: all samples of the folder.
        stride: takes every stride-th frame of each run.
        nothing: says what was looked for where.

    Raises:
        GenEgoError: there are no samples, or the stride is none.
    """

    def __init__(self, runs: Iterable[Run], stride: int, nothing: str) -> None:
        if stride < 1:
            raise GenEgoError(f"stride is {stride}, it must be at least 1")
        self._ids = SampleIds(run._replace(frames=run.frames[::stride]) for run in runs)
        if not len(self._ids):
            raise GenEgoError(nothing)

    @property
    def ids(self) -> SampleIds:
        """All samples, in order."""
        return self._ids

    @property
    def recordings(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(dict.fromkeys(run.sequence for run in self._ids.runs))

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> Sample:
        return self.sample(self._ids[index])

    @abstractmethod
    def sample(self, id: SampleId) -> Sample:
        """See `Dataset`."""
