"""Tells whether the files of a recording are still those from which something was made."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


def fingerprint(root: Path, sequence: str) -> str:
    """Hash of the names, sizes and times of change of a recording's files.

    Args:
        root: the data set's folder.
        sequence: the recording, below the folder itself (H2O) or below each of its folders (TACO).
    """
    folders = [root, *sorted(entry for entry in root.iterdir() if entry.is_dir())]
    digest = hashlib.sha256()
    for folder in folders:
        for path, state in sorted(_files(folder / sequence)):
            # Relative, so that it does not matter how the folder is named or where it is mounted.
            name = Path(path).relative_to(root).as_posix()
            digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    if folder.is_dir():
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    yield from _files(Path(entry))
                else:
                    yield entry.path, entry.stat()
