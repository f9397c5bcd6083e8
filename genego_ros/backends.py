"""Finds the class behind a backend's name.

Each replaceable part keeps a table name -> "module:Class" beside its Protocol. Modules are imported
only when chosen, so a heavy backend costs nothing until then. Other packages add their own through
the entry point group `genego_ros.backends`, under the name "<part>.<backend>".
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from genego_ros.errors import GenEgoError

ENTRY_POINT_GROUP = "genego_ros.backends"


def load_backend(part: str, name: str, table: Mapping[str, str]) -> Any:
    """The class of backend `name` of `part` (for example "depth").

    Raises:
        GenEgoError: no such backend, or it or a package it needs is not installed or is broken.
    """
    added = {
        point.name.removeprefix(f"{part}."): point.value
        for point in entry_points(group=ENTRY_POINT_GROUP)
        if point.name.startswith(f"{part}.")
    }
    known = {**added, **table}
    if name not in known:
        raise GenEgoError(f"unknown {part} backend '{name}'; known: {', '.join(sorted(known))}")
    module, _, attribute = known[name].partition(":")
    try:
        loaded = import_module(module)
    except ModuleNotFoundError as error:
        raise GenEgoError(
            f"{part} backend '{name}' needs the Python package '{error.name}', which is not installed; "
            "install it or choose another backend"
        ) from error
    except (ImportError, OSError) as error:  # a shared library is missing, mostly
        raise GenEgoError(
            f"{part} backend '{name}' cannot be loaded ({error}); install what is missing or choose another backend"
        ) from error
    if not hasattr(loaded, attribute):
        raise GenEgoError(
            f"{part} backend '{name}': {module} has no '{attribute}'; correct its entry point {ENTRY_POINT_GROUP}"
        )
    return getattr(loaded, attribute)
