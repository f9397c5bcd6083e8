"""Subscriptions that know how long they have been silent, and why that may be."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from genego_ros.ros.deployment import EXECUTABLES

NEWEST_ONLY = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
"""For inputs, until a publisher is found: accepts every one, keeps nothing old."""


class WatchedSubscription:
    """A subscription to a topic that may carry one of several message types.

    It starts with the type whose publisher is found, else by the topic's name (image_transport calls
    compressed pictures so); where nobody publishes that type, `check` moves on to one that somebody does.

    The QoS can be overridden by parameters (`qos_overrides./<topic>.subscription.reliability` ...). Where
    the reliability is not, it is what the publishers offer: Fast DDS with its own defaults, as a camera
    driver has them, loses most best-effort images from VGA on, and none that are sent reliably.
    """

    def __init__(
        self,
        node: Node,
        types: Sequence[type],
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile = NEWEST_ONLY,
    ) -> None:
        self._node = node
        self._types = {type_name(kind): kind for kind in types}
        self._callback = callback
        self._topic = topic
        self._qos = copy.copy(qos)
        self._overridable = [QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH]
        full_name = node.resolve_topic_name(topic)
        self._reliability_given = f"qos_overrides.{full_name}.subscription.reliability" in node._parameter_overrides
        if self._reliability_given:
            self._overridable.append(QoSPolicyKind.RELIABILITY)
        self._qos.reliability = self._offered_reliability()
        self._since = time.monotonic()
        self.received = 0
        self._kind = self._likely_type()
        self._subscription = self._subscribe(self._published_type())

    @property
    def topic(self) -> str:
        """The name after namespace and remapping."""
        return str(self._subscription.topic_name)

    @property
    def idle_s(self) -> float:
        """Seconds since the last message, or since the subscription was made."""
        return time.monotonic() - self._since

    @property
    def published(self) -> bool:
        """Whether anybody publishes the topic."""
        return self._node.count_publishers(self.topic) > 0

    def check(self, silent_s: float) -> str:
        """What is wrong and its cure when nothing has come for `silent_s` seconds, else ""."""
        self._follow_publishers()
        return "" if self.idle_s < silent_s else self._complaint()

    def close(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _subscribe(self, kind: str) -> Any:
        self._kind = kind
        return self._node.create_subscription(
            self._types[kind],
            self._topic,
            self._on_message,
            self._qos,
            qos_overriding_options=QoSOverridingOptions(self._overridable),
        )

    def _on_message(self, message: Any) -> None:
        self._since = time.monotonic()
        self.received += 1
        self._callback(message)

    def _published_type(self) -> str:
        """The type it has, unless another is published and that one is not."""
        infos = self._node.get_publishers_info_by_topic(self._node.resolve_topic_name(self._topic))
        published = [str(info.topic_type) for info in infos if info.topic_type in self._types]
        return self._kind if self._kind in published or not published else published[0]

    def _likely_type(self) -> str:
        compressed = "compressed" in self._node.resolve_topic_name(self._topic).rpartition("/")[2].lower()
        return next((kind for kind in self._types if ("Compressed" in kind) == compressed), next(iter(self._types)))

    def _offered_reliability(self) -> ReliabilityPolicy:
        """Reliable where every publisher is; what it is now where there is none."""
        infos = self._node.get_publishers_info_by_topic(self._node.resolve_topic_name(self._topic))
        if self._reliability_given or not infos:
            return self._qos.reliability
        reliable = all(info.qos_profile.reliability == ReliabilityPolicy.RELIABLE for info in infos)
        return ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT

    def _follow_publishers(self) -> None:
        kind = self._published_type()
        reliability = self._offered_reliability()
        if (kind, reliability) != (self._kind, self._qos.reliability):
            self._qos.reliability = reliability
            # Two subscriptions of different types on one topic would both stay: the old one goes first.
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe(kind)
            self._since = time.monotonic()

    def _complaint(self) -> str:
        what = f"no message on '{self.topic}' for {self.idle_s:.0f} s (wanted: {self._kind}, {_qos_text(self._qos)})"
        infos = self._node.get_publishers_info_by_topic(self.topic)
        if not infos:
            others = topics_of_others(self._node, self._types)
            hint = f"; published instead: {', '.join(others[:6])}" if others else ""
            return f"{what}: nobody publishes it; is the camera running, is the topic's name right?{hint}"
        wrong = sorted({str(info.topic_type) for info in infos} - set(self._types))
        if len(wrong) and not any(info.topic_type in self._types for info in infos):
            return f"{what}: it is published as {', '.join(wrong)}; remap the input to a topic of the wanted type"
        offered = "; ".join(sorted({_qos_text(info.qos_profile) for info in infos}))
        return (
            f"{what}: it has {len(infos)} publisher(s), {offered}, from which nothing comes; if the QoS do not match, "
            f"set qos_overrides.{self.topic}.subscription.reliability, else see whether the publisher is stuck"
        )


def topics_of_others(node: Node, types: Collection[str]) -> list[str]:
    """Topics of these types that somebody else than this package's nodes publishes."""
    return sorted(
        name
        for name, published in node.get_topic_names_and_types()
        if set(published) & set(types)
        and any(info.node_name not in EXECUTABLES for info in node.get_publishers_info_by_topic(name))
    )


def type_name(kind: type) -> str:
    """`sensor_msgs/msg/Image` of a message class."""
    package, middle = kind.__module__.split(".")[:2]
    return f"{package}/{middle}/{kind.__name__}"


def _qos_text(qos: QoSProfile) -> str:
    reliability = "reliable" if qos.reliability == ReliabilityPolicy.RELIABLE else "best effort"
    durability = "transient local" if qos.durability == DurabilityPolicy.TRANSIENT_LOCAL else "volatile"
    return f"{reliability}, {durability}"
