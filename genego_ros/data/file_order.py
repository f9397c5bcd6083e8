"""The order a person gives to numbered files: picture_2 before picture_10."""

from __future__ import annotations

import re
from pathlib import Path


def by_number(path: Path) -> list[str | int]:
    """A key to sort paths of one folder by their names, runs of digits as numbers."""
    # The runs of digits are the odd parts, so that text is only ever compared with text.
    parts = re.split(r"([0-9]+)", path.name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]
