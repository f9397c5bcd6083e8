"""What the demo watches while it plays: the nodes' state, and frames to show."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image

from genego_ros.data.sheet import depth_picture, mask_picture, nobody_seen
from genego_ros.errors import GenEgoError
from genego_ros.geometry.skeleton import draw_hands
from genego_ros.msg import EgoObservation, HandArray, PipelineStatus
from genego_ros.ros import conversions
from genego_ros.ros.status import is_active
from genego_ros.ros.up import check_alive
from genego_ros.types import ByteArray

_READY_S = 60.0
_QUIET_S = 1.5
_SHEET_ROWS = 6
_ROWS_KEPT = 24


class Collector:
    """Watches status, and keeps evenly spaced frames of what is too large to record."""

    def __init__(self, node: Node, executor: SingleThreadedExecutor, prefix: str, image_topic: str) -> None:
        self.pictures = 0
        self.last_word = "nothing"
        self._active: set[str] = set()
        self._heard = time.monotonic()
        self._executor = executor
        self._rows: dict[int, dict[str, bytes]] = {}
        self._spacing_ns = 0
        kinds: dict[str, tuple[str, type]] = {
            "exo": (image_topic, CompressedImage if image_topic.endswith("compressed") else Image),
            "hands": (f"{prefix}/exo/hands", HandArray),
            "depth": (f"{prefix}/exo/depth", Image),
            "sparse": (f"{prefix}/ego/sparse", Image),
            "ego": (f"{prefix}/ego/observation", EgoObservation),
        }
        self._kinds = {name: kind for name, (_, kind) in kinds.items()}
        self._subscriptions = [
            node.create_subscription(kind, topic, lambda data, n=name: self._on_message(n, data), 10, raw=True)
            for name, (topic, kind) in kinds.items()
        ]
        self._subscriptions.append(node.create_subscription(PipelineStatus, f"{prefix}/status", self._on_status, 10))

    def spin(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def spin_until_quiet(self) -> None:
        while time.monotonic() - self._heard < _QUIET_S:
            self.spin(0.2)

    def wait_until_active(self, nodes: Sequence[subprocess.Popen[bytes]]) -> None:
        """Until every node is active.

        Raises:
            GenEgoError: a node ended, could not be configured, or took too long.
        """
        until = time.monotonic() + _READY_S
        while len(self._active) < len(nodes):
            self.spin(0.1)
            check_alive(nodes)
            if self.last_word.startswith("cannot "):
                raise GenEgoError(self.last_word)
            if time.monotonic() > until:
                raise GenEgoError(f"the nodes are not active after {_READY_S:g} s; their last word: {self.last_word}")

    def sheet_rows(self) -> dict[int, list[ByteArray]]:
        """Pictures of evenly chosen frames by their stamps, for `contact_sheet`."""
        whole = self._whole()
        chosen = np.unique(np.linspace(0, len(whole) - 1, min(_SHEET_ROWS, len(whole))).round().astype(int))
        return {
            whole[i]: _pictures(
                {name: deserialize_message(data, self._kinds[name]) for name, data in self._rows[whole[i]].items()}
            )
            for i in chosen
        }

    def _whole(self) -> list[int]:
        """Stamps of the frames of which every message has come."""
        return sorted(stamp for stamp, row in self._rows.items() if len(row) == len(self._kinds))

    def _on_status(self, status: PipelineStatus) -> None:
        self.last_word = status.message
        if is_active(status):
            self._active.add(status.node)

    def _on_message(self, name: str, data: bytes) -> None:
        self._heard = time.monotonic()
        self.pictures += name == "exo"
        stamp = conversions.stamp_in(data)
        if stamp not in self._rows and any(abs(stamp - kept) < self._spacing_ns for kept in self._rows):
            return
        self._rows.setdefault(stamp, {})[name] = data
        if len(self._rows) > 2 * _ROWS_KEPT:
            self._thin_out(stamp)

    def _thin_out(self, newest: int) -> None:
        """Keeps every second frame, and takes frames half as often from now on. Frames that the nodes
        passed over never become whole, and go first."""
        stamps = [stamp for stamp in self._whole() if stamp != newest]
        self._rows = {s: self._rows[s] for s in [*(stamps[::2] if len(stamps) > _ROWS_KEPT else stamps), newest]}
        if len(stamps) > _ROWS_KEPT:
            self._spacing_ns = (stamps[-1] - stamps[0]) // _ROWS_KEPT


@contextmanager
def collecting(prefix: str, image_topic: str) -> Iterator[Collector]:
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("genego_demo", start_parameter_services=False)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        yield Collector(node, executor, prefix, image_topic)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()


def _pictures(row: dict[str, Any]) -> list[ByteArray]:
    picture = row["exo"]
    exo = (
        conversions.from_compressed(picture)
        if isinstance(picture, CompressedImage)
        else conversions.from_image(picture)
    )
    hands = [conversions.from_hand(hand) for hand in row["hands"].hands]
    drawn = exo.copy()
    draw_hands(drawn, hands)
    ego = conversions.from_image(row["ego"].image)
    return [
        exo,
        drawn if hands else nobody_seen(drawn),
        depth_picture(conversions.depth_from_image(row["depth"])),
        conversions.from_image(row["sparse"]),
        mask_picture(conversions.mask_from_image(row["ego"].seen)),
        ego if row["ego"].valid else nobody_seen(ego),
    ]
