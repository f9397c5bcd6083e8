"""`genego play`: publishes a bag, a video, a photo or a folder of pictures.

Everything is due on one absolute schedule, so that being late once does not shift the rest. Bytes of a bag
are published as they were recorded, header stamps included; `--clock` lets nodes with use_sim_time live in
the bag's time. Pictures are stamped with the present, or with the simulated time that `--clock` publishes.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from tqdm import tqdm

from genego_ros.data.bag_storage import is_bag
from genego_ros.data.bags import inspect_bag
from genego_ros.data.pictures import open_pictures
from genego_ros.errors import GenEgoError
from genego_ros.ros.conversions import to_time
from genego_ros.ros.play_sources import DEPTH, BagSource, PictureSource, Source, camera_info_from

LATE_NS = 20_000_000
"""What is published this much after it was due counts as late."""
SETTLE_S = 0.5
"""Subscribers that come together are waited for together, until none has come for so long."""
IMAGE_TOPIC = "/camera/image_raw"
"""Of pictures, unless told otherwise."""
BAR_S = 3.0
"""What takes longer shows a progress bar."""
TIMES = (1e-3, 1e3)
"""The least and the most of --rate, and of --clock in hertz; beyond, when something is due is no time."""
ACKNOWLEDGED_S = 2.0
"""At the end: at most so long for reliable subscribers to have got everything."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="bag (folder, .mcap or .db3), video, photo or folder of pictures")
    parser.add_argument("--rate", type=_in_time, default=1.0, help="speed, 1 is as recorded (photos: 30 Hz)")
    parser.add_argument("--loop", action="store_true", help="begin again at the end")
    parser.add_argument("--clock", type=_in_time, nargs="?", const=40.0, metavar="HZ", help="publish /clock (40 Hz)")
    parser.add_argument("--topics", nargs="+", default=[], metavar="TOPIC", help="bags: only these topics")
    parser.add_argument(
        "--image-topic", metavar="TOPIC", help=f"pictures: where to publish them (default {IMAGE_TOPIC})"
    )
    parser.add_argument(
        "--compressed", action="store_true", help="pictures: publish jpeg, on the image topic with /compressed after it"
    )
    parser.add_argument("--seconds", type=_positive, metavar="S", help="stop after this long")
    parser.add_argument(
        "--camera-info",
        metavar="YAML|DEGREES",
        help="pictures: a camera_calibration file or a horizontal field of view",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=5.0,
        metavar="S",
        help="wait at most this long for subscribers before the first message (default 5, 0: not at all)",
    )
    parser.add_argument("--subscribers", type=int, default=1, metavar="N", help="wait for so many of one topic")


def _positive(text: str) -> float:
    if not 0 < (value := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a finite number above 0")
    return value


def _in_time(text: str) -> float:
    least, most = TIMES
    if not least <= (value := float(text)) <= most:
        raise argparse.ArgumentTypeError(f"{text} is not a number from {least:g} to {most:g}")
    return value


def run(args: argparse.Namespace) -> int:
    """Plays until the end, Ctrl-C or SIGTERM.

    Raises:
        GenEgoError: the source cannot be played, or breaks off; what is readable was published before.
    """
    with _node() as node, _Stop() as stop:
        pace = Pace(args.rate, _Ticker(node) if args.clock else None, args.clock or 0.0, stop.sleep)
        try:
            source = _source(node, args)
            if args.wait > 0:
                _wait_for_subscribers(node, source, args.subscribers, args.wait, stop.sleep)
            _play(source, pace, args)
            for publisher in source.publishers:
                publisher.wait_for_all_acked(Duration(seconds=ACKNOWLEDGED_S))
        except _StoppedError:
            node.get_logger().info("stopped")
        finally:
            if pace.events:
                _report(node, pace)
    return 0


class _StoppedError(Exception):
    """Ctrl-C or SIGTERM came."""


class _Stop:
    """Ctrl-C and SIGTERM as an error where the player waits, and nowhere else: raised inside of a callback or a
    finalizer of another package, an interruption can get lost or leave a lock behind. The second one is answered as
    ever."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Stop:
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _: Any) -> None:
        self._asked.set()
        signal.signal(number, signal.default_int_handler)

    def sleep(self, seconds: float) -> None:
        """Returns after so long, at once where that is not positive.

        Raises:
            _StoppedError: as soon as somebody asked for it.
        """
        if self._asked.wait(max(seconds, 0.0)):
            raise _StoppedError


@contextmanager
def _node() -> Iterator[Node]:
    # rclpy's own Ctrl-C would end the context under the last messages.
    context = rclpy.Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("genego_play", context=context, start_parameter_services=False)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def _source(node: Node, args: argparse.Namespace) -> Source:
    if is_bag(args.source):
        options = ("--image-topic", "--compressed", "--camera-info")
        if given := [option for option in options if getattr(args, option[2:].replace("-", "_"))]:
            raise GenEgoError(
                f"{args.source} is a bag, whose topics are published as they were recorded; leave out "
                f"{' and '.join(given)}, which are for pictures"
            )
        return BagSource(node, inspect_bag(args.source), args.topics)
    if args.topics:
        raise GenEgoError(f"{args.source} is not a bag, so it has no topics to choose; use --image-topic")
    pictures = open_pictures(args.source)
    camera = camera_info_from(args.camera_info, pictures.width, pictures.height) if args.camera_info else None
    return PictureSource(node, pictures, args.image_topic or IMAGE_TOPIC, camera, args.compressed)


class _Ticker:
    """Publishes /clock, never backwards but when a bag begins again."""

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(Clock, "/clock", DEPTH)

    def __call__(self, time_ns: int) -> None:
        self._publisher.publish(Clock(clock=to_time(time_ns)))


class Pace:
    """Waits for events of a recorded time on one absolute schedule, ticking the simulated clock meanwhile.

    Args:
        sleep: waits for so many seconds, which need not be positive; may end it all by an error.
    """

    def __init__(
        self,
        rate: float,
        tick: Callable[[int], None] | None = None,
        tick_hz: float = 0.0,
        sleep: Callable[[float], None] = lambda seconds: time.sleep(max(seconds, 0.0)),
    ) -> None:
        self._rate = rate
        self._sleep = sleep
        self._tick = tick
        self._period_ns = round(1e9 / tick_hz) if tick else 0
        self._origin: tuple[int, int] | None = None
        """A wall time and the source's time that is due then."""
        self._next_tick_ns = 0
        self._ticked_ns = 0
        self.last_ns = 0
        """The source's time of the last event."""
        self.events = self.late = self.worst_lag_ns = 0

    @property
    def simulated(self) -> bool:
        return self._tick is not None

    def begin(self, time_ns: int, gap_ns: int) -> None:
        """A pass begins with an event of this time: now, or the gap after the pass before."""
        wall_ns = self._due(self.last_ns + gap_ns) if self._origin else time.monotonic_ns()
        self._origin = (wall_ns, time_ns)
        self._next_tick_ns = self._next_tick_ns or wall_ns
        self._ticked_ns = min(self._ticked_ns, time_ns - 1)

    def wait(self, time_ns: int) -> None:
        """Returns when the event of this time is due."""
        due_ns = self._due(time_ns)
        while self._tick and self._next_tick_ns < due_ns:
            self._sleep_until(self._next_tick_ns)
            self._tick_to(self._time_at(self._next_tick_ns))
            self._next_tick_ns += self._period_ns
        self._sleep_until(due_ns)
        # Nobody shall get a message from the future of the clock.
        self._tick_to(time_ns)
        lag_ns = time.monotonic_ns() - due_ns
        self.events += 1
        self.late += lag_ns > LATE_NS
        self.worst_lag_ns = max(self.worst_lag_ns, lag_ns)
        self.last_ns = time_ns

    def _tick_to(self, time_ns: int) -> None:
        if self._tick and time_ns > self._ticked_ns:
            self._ticked_ns = time_ns
            self._tick(time_ns)

    def _sleep_until(self, wall_ns: int) -> None:
        self._sleep((wall_ns - time.monotonic_ns()) / 1e9)

    def _due(self, time_ns: int) -> int:
        assert self._origin
        return self._origin[0] + round((time_ns - self._origin[1]) / self._rate)

    def _time_at(self, wall_ns: int) -> int:
        assert self._origin
        return self._origin[1] + round((wall_ns - self._origin[0]) * self._rate)


def _wait_for_subscribers(
    node: Node, source: Source, wanted: int, at_most_s: float, sleep: Callable[[float], None]
) -> None:
    topics = ", ".join(publisher.topic_name for publisher in source.publishers)
    node.get_logger().info(f"waiting up to {at_most_s:g} s for {wanted} subscriber(s) of one of {topics}")
    begin = changed = time.monotonic()
    counts = [0]
    while max(counts) < wanted or time.monotonic() < changed + SETTLE_S:
        if max(counts) < wanted and time.monotonic() > begin + at_most_s:
            node.get_logger().warning(f"{max(counts)} subscriber(s) have come; playing all the same")
            return
        sleep(0.02)
        now = [publisher.get_subscription_count() for publisher in source.publishers]
        if now != counts:
            counts, changed = now, time.monotonic()


def _play(source: Source, pace: Pace, args: argparse.Namespace) -> None:
    longest = args.seconds or float("inf")
    once = float("inf") if args.loop or source.duration_ns is None else source.duration_ns / 1e9 / args.rate
    end = time.monotonic() + longest
    total = source.total if once <= longest and once < float("inf") else None
    with tqdm(total=total, unit="msg", file=sys.stderr, disable=min(once, longest) <= BAR_S) as bar:
        while _play_once(source, pace, bar, end) and args.loop:
            continue


def _play_once(source: Source, pace: Pace, bar: Any, end: float) -> bool:
    """One pass; False when the time was up before it ended."""
    begun = False
    for time_ns, publish in source.events():
        if not begun:
            pace.begin(time_ns, source.gap_ns)
            begun = True
        pace.wait(time_ns)
        if time.monotonic() > end:
            return False
        publish(time_ns if pace.simulated else time.time_ns())
        bar.update()
    return True


def _report(node: Node, pace: Pace) -> None:
    node.get_logger().info(f"published {pace.events} messages")
    if pace.late:
        node.get_logger().warning(
            f"could not keep up: {pace.late} of them were more than {LATE_NS / 1e6:.0f} ms late, the worst by "
            f"{pace.worst_lag_ns / 1e6:.0f} ms; all were published. Try a lower --rate"
        )
