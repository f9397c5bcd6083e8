"""A bag's pictures as rows of a sheet: every image topic, with the hands that were found in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message

from genego_ros.data.bag_storage import BagMessage
from genego_ros.data.bags import BagInfo, inspect_bag, read_bag
from genego_ros.data.sheet import captioned, depth_picture, drawn
from genego_ros.errors import GenEgoError
from genego_ros.ros import conversions
from genego_ros.ros.message_types import message_class
from genego_ros.types import ByteArray, FloatArray, Hand

_IMAGE, _COMPRESSED, _HANDS = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "genego_ros/msg/HandArray"
_COLUMNS = 6
"""Image topics that are shown: the cameras' first, then those of the truth."""


def bag_rows(path: Path, rows: int) -> tuple[Sequence[str], list[list[ByteArray]]]:
    """Titles, and for `rows` moments spread over the bag the pictures of each image topic; black where a topic had
    none at that moment.

    Raises:
        GenEgoError: no such bag, no picture in it, or a message that cannot be read.
    """
    bag = inspect_bag(path)
    images = [topic.name for topic in bag.topics if topic.type in (_IMAGE, _COMPRESSED) and topic.count]
    images = sorted(images, key=lambda name: (name.startswith("/truth"), "depth" in name, name))[:_COLUMNS]
    if not images:
        there = ", ".join(sorted(f"{topic.name} ({topic.count} messages)" for topic in bag.topics))
        raise GenEgoError(f"{path}: no pictures in this bag; its topics are {there or 'none'}")
    moments = _moments(bag, images, rows)
    blank = np.zeros_like(next(iter(moments.values()))[images[0]])
    pictures = [[moment.get(name, blank) for name in images] for moment in moments.values()]
    for row, stamp in zip(pictures, moments, strict=True):
        row[0] = captioned(row[0], f"{(stamp - next(iter(moments))) / 1e9:.2f} s")
    return images, pictures


def _moments(bag: BagInfo, images: list[str], rows: int) -> dict[int, dict[str, ByteArray]]:
    """Stamp -> topic -> picture, at `rows` stamps of the first topic."""
    stamps = sorted({_stamp(bag, message) for message in read_bag(bag, images[:1])})
    chosen = {stamps[round(index)] for index in np.linspace(0, len(stamps) - 1, min(rows, len(stamps)))}
    hand_topics = [topic.name for topic in bag.topics if topic.type == _HANDS]
    found: dict[int, dict[str, tuple[str, ByteArray]]] = {stamp: {} for stamp in sorted(chosen)}
    hands: dict[tuple[int, str], list[Hand]] = {}
    for message in read_bag(bag, [*images, *hand_topics]):
        stamp = _stamp(bag, message)
        if stamp not in chosen:
            continue
        said = _deserialized(bag, message)
        if message.type == _HANDS:
            hands.setdefault((stamp, said.header.frame_id), []).extend(map(conversions.from_hand, said.hands))
            continue
        try:
            depth = _depth(message.topic, message.type, said)
            # Hands are drawn into colour pictures: those have the name of the frame here.
            found[stamp][message.topic] = (
                (said.header.frame_id, _color(message.type, said)) if depth is None else ("", depth_picture(depth))
            )
        except GenEgoError as error:
            raise GenEgoError(f"{bag.path}: {message.topic}: {error}") from error
    return {
        stamp: {topic: drawn(picture, hands.get((stamp, frame), ())) for topic, (frame, picture) in topics.items()}
        for stamp, topics in found.items()
    }


def _depth(topic: str, kind: str, message: Any) -> FloatArray | None:
    """float32 (H, W), metres; None where the picture is one of colours."""
    if kind == _IMAGE:
        return conversions.depth_from_image(message) if message.encoding in ("16UC1", "32FC1", "mono16") else None
    is_depth = "depth" in topic.lower() or message.format.startswith(("16UC1", "32FC1"))
    return conversions.depth_from_compressed(message) if is_depth else None


def _color(kind: str, message: Any) -> ByteArray:
    return conversions.from_image(message) if kind == _IMAGE else conversions.from_compressed(message)


def _stamp(bag: BagInfo, message: BagMessage) -> int:
    """Nanoseconds, of a message that begins with a header; its CDR has 4 bytes of encapsulation before it."""
    if len(message.data) < 12:
        raise _damaged(bag, message, "too short for a header")
    seconds, nanoseconds = np.frombuffer(message.data, "<i4", 2, 4).tolist()
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def _deserialized(bag: BagInfo, message: BagMessage) -> Any:
    kind = message_class(message.type)
    try:
        return deserialize_message(message.data, kind)
    except RuntimeError as error:  # what rclpy's own errors are
        raise _damaged(bag, message, f"no {message.type}") from error


def _damaged(bag: BagInfo, message: BagMessage, what: str) -> GenEgoError:
    return GenEgoError(
        f"{bag.path}: {message.topic}: a message of {len(message.data)} bytes is {what}; copy the bag again, or record "
        "it anew"
    )
