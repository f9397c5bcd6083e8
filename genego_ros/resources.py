"""Finds the files that come with the code: config/, models/, launch/, examples/."""

from __future__ import annotations

from pathlib import Path

from genego_ros.errors import GenEgoError


def resource(name: str) -> Path:
    """The file or folder `name`, such as "config/genego.yaml".

    In the source tree it lies beside the package; in an installation (colcon's, pip's) under
    share/genego_ros of the prefix that the package is in.

    Raises:
        GenEgoError: it is in neither place.
    """
    for folder in Path(__file__).resolve().parents[1:]:
        for path in (folder / name, folder / "share" / "genego_ros" / name):
            if path.exists():
                return path
    raise GenEgoError(f"{name} is missing beside the code in {Path(__file__).parent}: install genego_ros again")
