"""Message classes by their type names."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from genego_ros.errors import GenEgoError


def message_class(name: str) -> Any:
    """The class of a message type, for example `sensor_msgs/msg/Image`.

    Raises:
        GenEgoError: its package is not installed.
    """
    package, _, rest = name.partition("/")
    kind, _, message = rest.partition("/")
    try:
        return getattr(import_module(f"{package}.{kind}"), message)
    except (ImportError, AttributeError) as error:
        raise GenEgoError(
            f"the message type {name} is not installed; install the package '{package}', or source its workspace"
        ) from error
