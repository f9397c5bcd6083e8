from __future__ import annotations

import threading
import time

import pytest

from genego_ros.ros.newest import Newest


def test_the_newest_is_taken_and_what_it_replaced_is_counted() -> None:
    newest: Newest[int] = Newest()
    assert not newest.waiting
    for item in (1, 2, 3):
        newest.put(item)
    assert newest.waiting
    assert newest.take(0.0) == 3
    assert (newest.received, newest.dropped, newest.waiting) == (3, 2, False)
    newest.put(4)
    assert newest.take(0.0) == 4
    assert (newest.received, newest.dropped) == (4, 2)


def test_nothing_comes_in_time() -> None:
    newest: Newest[int] = Newest()
    start = time.monotonic()
    assert newest.take(0.05) is None
    assert 0.04 < time.monotonic() - start < 2.0
    assert newest.take(0.0) is None


def test_who_waits_is_woken_at_once() -> None:
    newest: Newest[str] = Newest()
    threading.Timer(0.05, newest.put, ("now",)).start()
    start = time.monotonic()
    assert newest.take(5.0) == "now"
    assert time.monotonic() - start < 2.0


@pytest.mark.parametrize("falsy", [0, "", b"", False])
def test_items_that_count_as_false_are_items(falsy: object) -> None:
    newest: Newest[object] = Newest()
    newest.put(falsy)
    assert newest.waiting and newest.take(0.0) is falsy


def test_none_is_lost_or_taken_twice_among_many_producers_and_consumers() -> None:
    newest: Newest[tuple[int, int]] = Newest()
    taken: list[list[tuple[int, int]]] = [[] for _ in range(2)]
    done = threading.Event()

    def produce(producer: int) -> None:
        for number in range(2000):
            newest.put((producer, number))

    def consume(found: list[tuple[int, int]]) -> None:
        while not done.is_set() or newest.waiting:
            if (item := newest.take(0.001)) is not None:
                found.append(item)

    producers = [threading.Thread(target=produce, args=(i,)) for i in range(3)]
    consumers = [threading.Thread(target=consume, args=(found,)) for found in taken]
    for thread in consumers + producers:
        thread.start()
    for thread in producers:
        thread.join()
    done.set()
    for thread in consumers:
        thread.join()
    together = taken[0] + taken[1]
    assert newest.received == 6000
    assert len(together) + newest.dropped == 6000
    assert len(set(together)) == len(together)
    for found in taken:
        for producer in range(3):
            numbers = [number for who, number in found if who == producer]
            assert numbers == sorted(numbers)
