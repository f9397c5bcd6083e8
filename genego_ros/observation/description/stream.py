"""Describes a stream beside the stream, at a rate of its own."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from genego_ros.observation.description import Describer
from genego_ros.types import Frame, Hand


@dataclass(frozen=True)
class Description:
    text: str
    stamp_ns: int
    """Stamp of the frame that was described."""
    frame_id: str


class DescriptionStream:
    """Hands frames to a describer in a thread of its own and keeps the newest text.

    A language model takes most of a second; frames that come while it thinks go on with the last text.
    """

    def __init__(self, describer: Describer, rate_hz: float) -> None:
        self.describer = describer
        self.rate_hz = rate_hz
        self.latest: Description | None = None
        self._thread = ThreadPoolExecutor(1, "description")
        self._pending: Future[Description] | None = None
        self._due = -float("inf")

    def offer(self, frame: Frame, hands: tuple[Hand, ...]) -> str:
        """T_exo for `frame`: the newest text there is. The very first frame waits for its own.

        Raises:
            Whatever the describer raised on an earlier frame; the stream goes on after it.
        """
        if self._pending is None and time.monotonic() >= self._due:
            self._due = time.monotonic() + 1.0 / self.rate_hz
            self._pending = self._thread.submit(self._describe, frame, hands)
        if self._pending is not None and (self._pending.done() or self.latest is None):
            finished, self._pending = self._pending, None
            self.latest = finished.result()
        return self.latest.text if self.latest else ""

    def forget(self) -> None:
        """The next frame waits for its own description, as the very first did."""
        self.latest, self._pending, self._due = None, None, -float("inf")

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _describe(self, frame: Frame, hands: tuple[Hand, ...]) -> Description:
        return Description(self.describer.describe(frame, hands), frame.stamp_ns, frame.frame_id)
