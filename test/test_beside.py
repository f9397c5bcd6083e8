"""What runs beside the rest of stage 1: nothing waits that need not, nothing of another picture is taken."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
import torch
from scene import CAMERA

from genego_ros.errors import GenEgoError
from genego_ros.observation.beside import Beside
from genego_ros.types import Frame


def picture(stamp_ns: int) -> Frame:
    return Frame(np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8), CAMERA, stamp_ns=stamp_ns)


def stamp(frame: Frame) -> int:
    return frame.stamp_ns


@pytest.fixture
def beside() -> Iterator[Beside[int]]:
    with closing(Beside(stamp)) as beside:
        yield beside


def test_begin_does_not_wait_and_result_does() -> None:
    may_go, begun = threading.Event(), threading.Event()

    def work(frame: Frame) -> int:
        begun.set()
        assert may_go.wait(10)
        return frame.stamp_ns

    with closing(Beside(work)) as beside:
        frame = picture(7)
        beside.begin(frame)
        assert begun.wait(10)
        may_go.set()
        assert beside.result(frame) == 7
        assert beside.result(frame) == 7


def test_the_result_is_of_the_picture_that_is_asked_for(beside: Beside[int]) -> None:
    first, second = picture(1), picture(2)
    beside.begin(first)
    assert beside.result(second) == 2  # which nobody began
    beside.begin(first)
    beside.begin(second)
    assert beside.result(second) == 2


def test_what_fails_beside_fails_where_it_is_asked_for_and_the_next_picture_works() -> None:
    def work(frame: Frame) -> int:
        if frame.stamp_ns == 1:
            raise GenEgoError("black")
        return frame.stamp_ns

    with closing(Beside(work)) as beside:
        beside.begin(picture(1))
        bad = picture(1)
        with pytest.raises(GenEgoError, match="black"):
            beside.result(bad)
        assert beside.result(picture(2)) == 2


def test_a_network_beside_has_its_share_of_the_cores_and_others_keep_theirs() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with closing(Beside(lambda _: torch.get_num_threads())) as beside:
            assert beside.result(picture(1)) == 2
            assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
