"""The one error that users are meant to read."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST = 300
"""Characters; torch lists every tensor that does not fit."""


class GenEgoError(RuntimeError):
    """Something a user can put right. Its text says what is wrong and names the cure.

    Commands print the text without a traceback; nodes log it and go on with the next frame.
    """


@contextmanager
def loading(what: Path | str, cure: str) -> Iterator[None]:
    """Around code of other packages that reads a file of the user's.

    Formats and packages each raise errors of their own on a damaged file, without common ground; none is ours.

    Args:
        what: the file or folder; the text of the error begins with it.

    Raises:
        GenEgoError: whatever went wrong inside; one that was raised there passes as it is.
    """
    try:
        yield
    except GenEgoError:
        raise
    except Exception as error:
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", _LONGEST, placeholder=" ...")
        raise GenEgoError(f"{what}: cannot be loaded ({reason}); {cure}") from error
