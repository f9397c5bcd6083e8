"""Newest wins: hands work from callbacks to one worker without ever queueing it."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """Holds one item. Putting a second one before the first was taken drops the first and counts it."""

    def __init__(self) -> None:
        self.received = 0
        self.dropped = 0
        self._item: T | None = None
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        with self._changed:
            self.received += 1
            self.dropped += self._item is not None
            self._item = item
            self._changed.notify_all()

    def take(self, timeout_s: float) -> T | None:
        """The item, or None where none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None, timeout_s)
            item, self._item = self._item, None
            return item

    @property
    def waiting(self) -> bool:
        """Whether an item is there to be taken."""
        return self._item is not None
