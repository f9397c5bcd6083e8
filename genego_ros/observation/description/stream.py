"""Describes a stream beside the stream, at a rate of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from genego_ros.errors import GenEgoError
from genego_ros.observation.description import Describer
from genego_ros.parameters import DescriptionParameters
from genego_ros.types import FloatArray, Frame, Hand

_log = logging.getLogger(__name__)


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

    A language model takes most of a second; frames that come while it thinks go on with the last text, and so do those
    after one that it could not describe: that is told to `warn`, and costs nothing but the text.
    """

    def __init__(self, describer: Describer, warn: Callable[[str], None] = _log.warning) -> None:
        self.describer = describer
        self.latest: Description | None = None
        self._warn = warn
        self._thread = ThreadPoolExecutor(1, "description")
        self._pending: Future[Description] | None = None
        self._due = -float("inf")
        self._waited = False

    def offer(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> str:
        """T_exo for `frame`: the newest text there is. The very first frame waits for its own,
        `description.timeout_s` at most; "" where there is none yet.
        """
        if self._pending is None and time.monotonic() >= self._due:
            self._due = time.monotonic() + 1.0 / self._setting.rate_hz
            self._pending = self._thread.submit(self._describe, frame, hands, depth)
            if not self._waited:
                self._waited = True
                wait([self._pending], self._setting.timeout_s)
        if self._pending is not None and self._pending.done():
            finished, self._pending = self._pending, None
            self._take(finished)
        return self.latest.text if self.latest else ""

    def _take(self, finished: Future[Description]) -> None:
        error = finished.exception()
        if error is None:
            self.latest = finished.result()
        else:
            reason = str(error) if isinstance(error, GenEgoError) else repr(error)
            self._warn(f"a picture could not be described, so the last description stays: {reason}")

    @property
    def _setting(self) -> DescriptionParameters:
        return self.describer.parameters.description

    def forget(self) -> None:
        """The next frame waits for its own description, as the very first did."""
        self.latest, self._pending, self._due, self._waited = None, None, -float("inf"), False

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _describe(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> Description:
        start = time.perf_counter()
        text = self.describer.describe(frame, hands, depth)
        return Description(text, frame.stamp_ns, frame.frame_id, 1e3 * (time.perf_counter() - start))
