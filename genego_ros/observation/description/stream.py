"""Describes a stream beside the stream, at a rate of its own."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from genego_ros.observation.description import Describer
from genego_ros.parameters import DescriptionParameters
from genego_ros.types import FloatArray, Frame, Hand


@dataclass(frozen=True)
class Description:
    text: str
    stamp_ns: int
    """Stamp of the frame that was described."""
    frame_id: str
    taken_ms: float
    """How long the describer wrote."""


class DescriptionStream:
    """Hands frames to a describer in a thread of its own and keeps the newest text.

    A language model takes most of a second; frames that come while it thinks go on with the last text.
    """

    def __init__(self, describer: Describer) -> None:
        self.describer = describer
        self.latest: Description | None = None
        self._thread = ThreadPoolExecutor(1, "description")
        self._pending: Future[Description] | None = None
        self._due = -float("inf")

    def offer(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> str:
        """T_exo for `frame`: the newest text there is. The very first frame waits for its own,
        `description.timeout_s` at most; "" where there is none yet.

        Raises:
            Whatever the describer raised on an earlier frame; the stream goes on after it.
        """
        if self._pending is None and time.monotonic() >= self._due:
            self._due = time.monotonic() + 1.0 / self._setting.rate_hz
            self._pending = self._thread.submit(self._describe, frame, hands, depth)
            if self.latest is None:
                wait([self._pending], self._setting.timeout_s)
        if self._pending is not None and self._pending.done():
            finished, self._pending = self._pending, None
            self.latest = finished.result()
        return self.latest.text if self.latest else ""

    @property
    def _setting(self) -> DescriptionParameters:
        return self.describer.parameters.description

    def forget(self) -> None:
        """The next frame waits for its own description, as the very first did."""
        self.latest, self._pending, self._due = None, None, -float("inf")

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _describe(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> Description:
        start = time.perf_counter()
        text = self.describer.describe(frame, hands, depth)
        return Description(text, frame.stamp_ns, frame.frame_id, 1e3 * (time.perf_counter() - start))
