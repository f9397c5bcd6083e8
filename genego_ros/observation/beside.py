"""What needs the picture alone runs beside the rest of stage 1."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

from genego_ros.types import Frame

LANES = 2
"""Networks at work at once, mostly: depth and phi_ego, while hands are looked for."""

T = TypeVar("T")


class Beside(Generic[T]):
    """Does `work` on one picture after the other, in a thread of its own.

    On a processor a network gets its share of the cores there: where two want all of them at once, each waits for the
    other at every layer.
    """

    def __init__(self, work: Callable[[Frame], T]) -> None:
        self._work = work
        self._thread = _thread()
        self._begun: tuple[Frame, Future[T]] | None = None

    def begin(self, frame: Frame) -> None:
        """Starts on `frame`, whose `result` will be asked for soon."""
        self._begun = frame, self._thread.submit(self._work, frame)

    def result(self, frame: Frame) -> T:
        """What `work` says of the picture of `frame`, begun or not; raises what it raises."""
        if self._begun is None or self._begun[0].rgb is not frame.rgb:
            self.begin(frame)
        assert self._begun is not None
        return self._begun[1].result()

    def close(self) -> None:
        self._thread.shutdown()


def _thread() -> ThreadPoolExecutor:
    threads = torch.get_num_threads()
    thread = ThreadPoolExecutor(1)
    thread.submit(_take, max(1, threads // LANES)).result()
    torch.set_num_threads(threads)  # which holds for this thread and those to come, not for one that has its own
    return thread


def _take(threads: int) -> None:
    # A thread's first question sets the number that all have; what is set later is its own.
    torch.get_num_threads()
    torch.set_num_threads(threads)
