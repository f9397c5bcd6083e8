"""Single views of recordings, third-person and first-person alike, to learn from and to measure with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genego_ros.data.datasets import open_dataset
from genego_ros.data.fingerprint import fingerprint
from genego_ros.data.h2o import EGO_CAMERA, H2O
from genego_ros.data.sample_ids import SampleIds
from genego_ros.data.splits import ALL, FILE, Splits
from genego_ros.errors import GenEgoError

HELD_OUT = 20
"""Every so many recordings, the first of them measures instead of being learned from."""
VALIDATED = 48
"""Pictures that are looked at for a measure."""


class ViewId(NamedTuple):
    sequence: str
    camera: str
    frame: int


def views_of(root: Path, split: str) -> tuple[H2O, tuple[ViewId, ...], tuple[ViewId, ...]]:
    """A data set, and of a list of its splits (or `all`) what `views` makes of it.

    Raises:
        GenEgoError: see `listed`.
    """
    dataset, ids = listed(root, split)
    return dataset, *views(ids)


def listed(root: Path, split: str) -> tuple[H2O, SampleIds]:
    """A data set, and a list of its splits (or `all`).

    Raises:
        GenEgoError: no such data set or split, or one of another format than H2O's.
    """
    dataset = open_dataset(root)
    if not isinstance(dataset, H2O):
        raise GenEgoError(f"{root}: only H2O and rendered recordings have the depth of all views; name such")
    whole = SampleIds.of(dataset.ids)
    return dataset, whole if split == ALL else Splits.read(root / FILE, whole).ids(split)


def measuring(ids: SampleIds) -> set[str]:
    """The recordings that measure instead of being learned from."""
    sequences = sorted({run.sequence for run in ids.runs})
    return set(sequences[::HELD_OUT] if len(sequences) > 1 else ())


def views(ids: SampleIds) -> tuple[tuple[ViewId, ...], tuple[ViewId, ...]]:
    """The views of samples, those of the eyes included, to learn from and to measure with; apart by recording."""
    found = {ViewId(run.sequence, run.camera, int(frame)) for run in ids.runs for frame in run.frames}
    found |= {view._replace(camera=EGO_CAMERA) for view in found}
    apart = measuring(ids)
    learned = tuple(sorted(view for view in found if view.sequence not in apart))
    held_out = sorted(found.difference(learned))
    places = np.linspace(0, len(held_out) - 1, min(VALIDATED, len(held_out))).astype(int)
    return learned, tuple(held_out[place] for place in places)


def views_fingerprint(dataset: H2O, learned: Sequence[ViewId], held_out: Sequence[ViewId]) -> str:
    """Of the files and of the lists."""
    digest = hashlib.sha256(repr((learned, held_out)).encode())
    for sequence in sorted({id.sequence for id in (*learned, *held_out)}):
        digest.update(fingerprint(dataset.root, sequence).encode())
    return digest.hexdigest()
