"""Messages between the two processes: a line of JSON, then the arrays that it announces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

LONGEST_LINE = 1 << 24
"""Bytes; what goes on longer is no message."""


def send(stream: IO[bytes], content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes `content` (JSON) and `arrays` (any shape and numeric type)."""
    announced = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    stream.write(json.dumps({"content": content, "arrays": announced}).encode() + b"\n")
    for array in arrays.values():
        stream.write(array.tobytes())
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `send` wrote.

    Raises:
        EOFError: the other side has closed its end, or ended in the middle of a message.
        ValueError: this is no message.
    """
    line = stream.readline(LONGEST_LINE)
    if not line:
        raise EOFError
    message = json.loads(line)
    if not isinstance(message, dict) or message.keys() != {"content", "arrays"}:
        raise ValueError(f"not a message: {line[:80]!r}")
    arrays = {}
    for name, kind, shape in message["arrays"]:
        dtype = np.dtype(kind)
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        data = stream.read(size)
        if len(data) != size:
            raise EOFError
        arrays[name] = np.frombuffer(data, dtype).reshape(shape)
    return message["content"], arrays
