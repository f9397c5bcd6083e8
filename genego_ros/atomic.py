"""Files that are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GROWING = ".part"
"""How the names of files end that are not whole; only a process that was killed leaves one behind."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Another file beside `path`, to be filled inside; it then takes its place. When that fails, nothing of it is left.

    Several processes may write the same one.
    """
    growing = path.with_name(f".{path.name}.{os.getpid()}{GROWING}")
    try:
        yield growing
        growing.replace(path)
    finally:
        growing.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that appears only when it is whole, as `whole` does.

    Raises:
        OSError: it cannot be written: no room, no permission, no such folder; nothing is left.
    """
    with whole(path) as growing:
        growing.write_bytes(content)
