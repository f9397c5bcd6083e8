"""`genego record`: writes topics as they come into a rosbag2 mcap, with the times of their arrival."""

from __future__ import annotations

import argparse
import signal
import threading
import time
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from genego_ros.data.bags import BagWriter
from genego_ros.errors import GenEgoError
from genego_ros.ros.message_types import message_class

DEPTH = 1000
"""Messages of a topic that may wait for being written; enough for bursts, and empty otherwise."""
LOOK_S = 0.2
"""How often new topics and publishers are looked for."""
SILENT_S = 5.0
"""After so long without a publisher a wanted topic is asked for."""
DRAIN_S = 1.0
"""At the end: at most so long for what has arrived already."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="what to record")
    parser.add_argument("--all", action="store_true", help="record every topic that is not hidden")
    parser.add_argument("--out", type=Path, help="folder of the bag (default: recording_ and the time)")
    parser.add_argument("--seconds", type=float, help="stop after this long (default: at Ctrl-C or SIGTERM)")


def run(args: argparse.Namespace) -> int:
    """Records until Ctrl-C, SIGTERM or the time is up; 1 where a wanted topic never came.

    Raises:
        GenEgoError: nothing to record, or the bag cannot be written.
    """
    if args.all == bool(args.topics):
        raise GenEgoError("name the topics to record, or give --all")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    out = args.out or Path(time.strftime("recording_%Y_%m_%d-%H_%M_%S"))
    counts = record(None if args.all else args.topics, out, args.seconds, stop)
    return 0 if all(counts.values()) or args.all else 1


def record(topics: Sequence[str] | None, out: Path, seconds: float | None, stop: threading.Event) -> dict[str, int]:
    """Records topics (None: all) until `stop` is set or the time is up, into a bag that is then whole.

    Topics may appear at any time. Messages by topic, also for wanted ones that never came.

    Raises:
        GenEgoError: the bag cannot be written.
    """
    names = None if topics is None else [f"/{name.lstrip('/')}" for name in topics]
    context = rclpy.Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("genego_record", context=context, start_parameter_services=False)
    try:
        with BagWriter(out) as writer:
            recorder = _Recorder(node, writer, names)
            recorder.spin(seconds, stop)
        recorder.report(out)
        return {**dict.fromkeys(names or (), 0), **writer.counts}
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


class _Recorder:
    """One raw subscription a topic, made when its first publisher is seen."""

    def __init__(self, node: Node, writer: BagWriter, wanted: Collection[str] | None) -> None:
        self._node = node
        self._log = node.get_logger()
        self._writer = writer
        self._wanted = wanted
        self._subscriptions: dict[str, Subscription[Any]] = {}
        self._refused: set[str] = set()
        self._received = 0

    def spin(self, seconds: float | None, stop: threading.Event) -> None:
        executor = SingleThreadedExecutor(context=self._node.context)
        executor.add_node(self._node)
        begin = time.monotonic()
        next_look, asked = begin, False
        while not stop.is_set() and (seconds is None or time.monotonic() < begin + seconds):
            if time.monotonic() >= next_look:
                self._look()
                next_look = time.monotonic() + LOOK_S
            if not asked and time.monotonic() > begin + SILENT_S:
                asked = True
                self._ask_for_missing()
            executor.spin_once(timeout_sec=LOOK_S / 2)
        end, before = time.monotonic() + DRAIN_S, -1
        while self._received != before and time.monotonic() < end:
            before = self._received
            executor.spin_once(timeout_sec=0.02)

    def report(self, out: Path) -> None:
        for topic, count in sorted(self._writer.counts.items()):
            self._log.info(f"{topic}: {count} messages")
        self._log.info(f"recorded {sum(self._writer.counts.values())} messages into {out}")
        for topic in self._wanted or ():
            if topic not in self._writer.counts:
                self._log.error(f"{topic}: {self._why_missing(topic)}")
            elif not self._writer.counts[topic]:
                self._log.error(f"{topic}: has a publisher, but not one message came")

    def _look(self) -> None:
        """Subscribes to what has appeared."""
        for topic, _ in self._node.get_topic_names_and_types():
            hidden = any(part.startswith("_") for part in topic.split("/"))
            if topic in self._refused or (hidden if self._wanted is None else topic not in self._wanted):
                continue
            ends = self._node.get_publishers_info_by_topic(topic)
            if not ends:
                continue
            # The publishers' types; a subscription of another type says nothing of what is sent.
            types, offers = sorted({end.topic_type for end in ends}), [end.qos_profile for end in ends]
            if topic not in self._subscriptions:
                self._begin(topic, types, offers)
            elif self._too_strict(topic, offers):
                self._log.warning(f"{topic}: a publisher offers less than the others; asking for less from now on")
                self._node.destroy_subscription(self._subscriptions[topic])
                self._subscribe(topic, types[0], offers)

    def _begin(self, topic: str, types: list[str], offers: list[QoSProfile]) -> None:
        try:
            if len(types) > 1:
                raise GenEgoError(f"published with several types ({', '.join(types)}); record them one at a time")
            message_class(types[0])
            self._writer.add_topic(topic, types[0], map(recorded_qos, offers))
        except GenEgoError as error:
            self._refused.add(topic)
            self._log.error(f"{topic} is not recorded: {error}")
            return
        self._subscribe(topic, types[0], offers)
        self._log.info(f"recording {topic} ({types[0]})")

    def _subscribe(self, topic: str, kind: str, offers: list[QoSProfile]) -> None:
        self._subscriptions[topic] = self._node.create_subscription(
            message_class(kind), topic, partial(self._write, topic), requested_qos(offers), raw=True
        )

    def _too_strict(self, topic: str, offers: list[QoSProfile]) -> bool:
        """Whether a publisher came that the subscription, made for the ones before it, cannot hear."""
        have, want = self._subscriptions[topic].qos_profile, requested_qos(offers)
        return (have.reliability, want.reliability) == (
            ReliabilityPolicy.RELIABLE,
            ReliabilityPolicy.BEST_EFFORT,
        ) or (have.durability, want.durability) == (DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE)

    def _write(self, topic: str, data: Any) -> None:
        self._received += 1
        self._writer.write(topic, time.time_ns(), data)

    def _ask_for_missing(self) -> None:
        for topic in self._wanted or ():
            if topic not in self._subscriptions and topic not in self._refused:
                self._log.warning(f"{topic}: {self._why_missing(topic)}; still waiting")

    def _why_missing(self, topic: str) -> str:
        if topic in self._refused:
            return "not recorded, see above"
        others = sorted(name for name, _ in self._node.get_topic_names_and_types())
        return (
            f"nobody publishes it; there are {', '.join(others)}. Check its name and namespace, and that "
            "ROS_DOMAIN_ID is the publisher's"
        )


def requested_qos(offers: Sequence[QoSProfile]) -> QoSProfile:
    """A subscription that hears all of these publishers and asks for the most they all offer."""
    reliable = all(offer.reliability is not ReliabilityPolicy.BEST_EFFORT for offer in offers)
    latched = all(offer.durability is DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
    return QoSProfile(
        depth=DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def recorded_qos(offer: QoSProfile) -> Qos:
    """What a publisher offers, as a bag keeps it; the policies have the same numbers."""

    def duration(value: Any) -> QosTime:
        return QosTime(*divmod(value.nanoseconds, 1_000_000_000))

    return Qos(
        QosHistory(int(offer.history)),
        offer.depth,
        QosReliability(int(offer.reliability)),
        QosDurability(int(offer.durability)),
        duration(offer.deadline),
        duration(offer.lifespan),
        QosLiveliness(int(offer.liveliness)),
        duration(offer.liveliness_lease_duration),
        offer.avoid_ros_namespace_conventions,
    )
