"""Files that are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os
from pathlib import Path

GROWING = ".part"
"""How the names of files end that are not whole; only a process that was killed leaves one behind."""


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that appears only when it is whole; several processes may write the same one.

    Raises:
        OSError: it cannot be written: no room, no permission, no such folder; nothing is left.
    """
    growing = path.with_name(f".{path.name}.{os.getpid()}{GROWING}")
    try:
        growing.write_bytes(content)
        growing.replace(path)
    finally:
        growing.unlink(missing_ok=True)
