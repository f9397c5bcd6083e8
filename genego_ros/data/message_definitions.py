"""What a recording says of its message types, their definition in text and their type hash; and messages as the bytes
of a recording, without ROS."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from genego_ros.errors import GenEgoError

_SOURCE = Path(__file__).resolve().parents[2]
"""The source tree, where our own messages are defined also before they are built."""


def full_type_name(name: str) -> str:
    """`sensor_msgs/Image`, as old recordings write it, in today's form `sensor_msgs/msg/Image`."""
    package, _, message = name.partition("/")
    return name if "/" in message or not message else f"{package}/msg/{message}"


class MessageDefinitions:
    """Definitions from the installed packages' .msg files, else from rosbags' store of Kilted's types.

    The installed files come first because they are what the running nodes were built from.
    """

    def __init__(self) -> None:
        self._store = get_typestore(Stores.EMPTY)
        self._kilted = _kilted()

    def definition(self, name: str) -> tuple[str, str]:
        """The definition of a message type with all it is made of, and its type hash (RIHS01, REP 2016).

        Raises:
            GenEgoError: the type is neither installed nor one of the standard ones.
        """
        self._learn(name)
        text, _ = self._store.generate_msgdef(name, ros_version=2)
        # rosbags hashes the legacy type `char` as such, rosidl as the uint8 it stands for; so the hash that
        # rosidl has left beside the definition is the one to trust.
        return text, installed_hash(name) or self._store.hash_rihs01(name)

    def message(self, name: str) -> Any:
        """The class of a message type: a dataclass with the message's fields, arrays of numbers as numpy arrays.

        Raises:
            GenEgoError: as `definition`.
        """
        self._learn(name)
        return self._store.types[name]

    def serialize(self, message: Any) -> bytes:
        """CDR with its 4 bytes of encapsulation, of an instance of a class that `message` gave."""
        return bytes(self._store.serialize_cdr(message, message.__msgtype__))

    def deserialize(self, data: bytes, name: str) -> Any:
        """The message in CDR bytes; large arrays in it are views of `data`.

        Raises:
            GenEgoError: as `definition`, or the bytes are no such message.
        """
        self._learn(name)
        try:
            return self._store.deserialize_cdr(data, name)
        except Exception as error:  # rosbags lets pass whatever damaged bytes provoke
            raise GenEgoError(
                f"{len(data)} bytes are no {name} ({error}); was it recorded with other types?"
            ) from error

    def _learn(self, name: str) -> None:
        """Puts a type and those of its fields into the store."""
        if name in self._store.fielddefs:
            return
        if (file := _installed_file(name, ".msg")) is not None:
            try:
                types = get_types_from_msg(file.read_text(encoding="utf8"), name)
            except (TypesysError, UnicodeDecodeError) as error:
                raise GenEgoError(f"{file}: not a message definition ({error}); reinstall it") from error
        elif name in self._kilted.fielddefs:
            types = {name: self._kilted.fielddefs[name]}
        else:
            package = name.partition("/")[0]
            raise GenEgoError(
                f"the message type {name} is not installed; install the package '{package}', or source its "
                "workspace so that AMENT_PREFIX_PATH names it"
            )
        self._store.register(types)
        for _, description in types[name][1]:
            if (part := _message_in(description)) is not None:
                self._learn(part)


@cache
def _kilted() -> Typestore:
    """Only read from."""
    return get_typestore(Stores.ROS2_KILTED)


def _message_in(description: Any) -> str | None:
    """The message type in rosbags' description of a field: (tag, content), arrays nested; None for a number."""
    tag, content = description
    while tag in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        tag, content = content[0]
    return str(content) if tag == Nodetype.NAME else None


def _installed_file(name: str, suffix: str) -> Path | None:
    """The file of a type below share/ of the first prefix that has it."""
    package, kind, message = name.split("/")
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    folders = [Path(prefix, "share", package) for prefix in prefixes]
    if package == "genego_ros":
        folders.append(_SOURCE)
    candidates = (folder / kind / (message + suffix) for folder in folders)
    return next(filter(Path.is_file, candidates), None)


def installed_hash(name: str) -> str | None:
    """The type hash that rosidl installs since Iron; None before."""
    if (file := _installed_file(name, ".json")) is None:
        return None
    hashes = json.loads(file.read_text(encoding="utf8"))["type_hashes"]
    return next((entry["hash_string"] for entry in hashes if entry["type_name"] == name), None)
