"""Which reader a folder of recordings needs."""

from __future__ import annotations

from pathlib import Path

from genego_ros.data.h2o import H2O
from genego_ros.data.sample import Dataset


def open_dataset(folder: Path) -> Dataset:
    """The recordings of a folder, by the reader for its layout.

    Raises:
        GenEgoError: no such folder, or no recordings in it.
    """
    return H2O(folder)
