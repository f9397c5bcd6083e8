"""Arrays on the disk that are filled bit by bit, and by one run at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


def mapped_zeros(path: Path, kind: np.dtype[Any], shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """A new file that holds an array, mapped to memory.

    Raises:
        OSError: there is no room for all of it: writing into a mapped file that finds none would kill the process.
    """
    rows: np.memmap[Any, Any] = np.lib.format.open_memmap(path, "w+", kind, shape)
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return rows


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """In here no other process is, that asks for the same file; who comes later waits. A process that dies lets go."""
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
