"""What `play` publishes: a bag as it was recorded, or pictures as a camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import yaml
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import QosDurability, QosReliability
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from genego_ros.data.bags import BagInfo, BagTopic, read_bag
from genego_ros.data.message_definitions import installed_hash
from genego_ros.data.pictures import Pictures
from genego_ros.errors import GenEgoError
from genego_ros.ros.conversions import to_camera_info, to_compressed, to_image, to_time
from genego_ros.ros.message_types import message_class
from genego_ros.types import ByteArray, Camera

FRAME_ID = "camera_optical_frame"
DEPTH = 10
LONGEST_DEPTH = 1000
KEPT_NS = 500_000_000
"""A bag's publisher keeps the messages of so long for reliable subscribers that fall behind: few images, many
small messages."""

Event = tuple[int, Callable[[int], None]]
"""When something is due (nanoseconds, the source's time), and what publishes it with a given stamp."""


class Source(Protocol):
    publishers: list[Publisher[Any]]
    total: int | None
    """Messages (pictures) in one pass; None where that is not known or without end."""
    duration_ns: int | None
    gap_ns: int
    """From the last event of a pass to the first of the next, when it is looped."""

    def events(self) -> Iterator[Event]:
        """One pass; stamps are for what is not stamped yet."""
        ...


class BagSource:
    """A bag's messages as they are: the recorded bytes, names and offered QoS.

    Types that are not installed are left out with a warning each. Where publishers of a topic offered
    different QoS the stronger is offered, since it suits every subscriber. Deadline, lifespan and liveliness
    are not offered again: played at another rate they would not be kept.

    Raises:
        GenEgoError: a wanted topic is not in the bag, or nothing in it can be published.
    """

    def __init__(self, node: Node, bag: BagInfo, wanted: Collection[str]) -> None:
        self._bag = bag
        published = [(t, p) for t in _chosen(bag, wanted) if (p := _publisher(node, t, bag.duration_ns)) is not None]
        self._publishers = {(topic.name, topic.type): publisher for topic, publisher in published}
        if not published:
            types = ", ".join(sorted({topic.type for topic in bag.topics}))
            raise GenEgoError(
                f"{bag.path}: nothing to play, since none of its message types is installed ({types}); "
                "install their packages or source their workspace"
            )
        self.publishers = list(self._publishers.values())
        count = sum(topic.count for topic, _ in published)
        self.total: int | None = count
        self.duration_ns: int | None = bag.duration_ns
        self.gap_ns = bag.duration_ns // max(1, count - 1) or 100_000_000

    def events(self) -> Iterator[Event]:
        for message in read_bag(self._bag, {name for name, _ in self._publishers}):
            publisher = self._publishers.get((message.topic, message.type))
            if publisher is not None:
                yield message.time_ns, partial(_publish_bytes, publisher, message.data)


def _chosen(bag: BagInfo, wanted: Collection[str]) -> list[BagTopic]:
    names = {name.lstrip("/") for name in wanted}
    if unknown := names - {topic.name.lstrip("/") for topic in bag.topics}:
        raise GenEgoError(
            f"{bag.path}: no topic /{sorted(unknown)[0]} in it; there are "
            + ", ".join(sorted(topic.name for topic in bag.topics))
        )
    return [topic for topic in bag.topics if not names or topic.name.lstrip("/") in names]


def _publisher(node: Node, topic: BagTopic, duration_ns: int) -> Publisher[Any] | None:
    try:
        kind = message_class(topic.type)
    except GenEgoError as error:
        node.get_logger().warning(f"{topic.name} is left out ({topic.count} messages): {error}")
        return None
    if topic.type_hash and installed_hash(topic.type) not in (None, topic.type_hash):
        node.get_logger().warning(
            f"{topic.name} was recorded with another definition of {topic.type} than the one installed here; "
            "subscribers may misread it"
        )
    return node.create_publisher(kind, topic.name, offered_qos(topic, duration_ns))


def offered_qos(topic: BagTopic, duration_ns: int) -> QoSProfile:
    """The QoS with which a topic of a bag of this duration is published again."""
    best_effort = bool(topic.qos) and all(q.reliability is QosReliability.BEST_EFFORT for q in topic.qos)
    latched = any(q.durability is QosDurability.TRANSIENT_LOCAL for q in topic.qos) or (
        not topic.qos and topic.name.endswith("tf_static")
    )
    # What several latched publishers said comes from one now, which must keep all of it.
    kept = topic.count if latched else round(topic.count * KEPT_NS / max(duration_ns, KEPT_NS))
    return QoSProfile(
        depth=min(max(DEPTH, kept), LONGEST_DEPTH),
        reliability=ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _publish_bytes(publisher: Publisher[Any], data: bytes, _stamp_ns: int) -> None:
    publisher.publish(data)


class PictureSource:
    """Pictures as an image topic (rgb8, or jpeg under its name with /compressed), with camera_info beside it
    where it is given.

    The times begin at the present and go on over the passes of a loop.
    """

    def __init__(
        self, node: Node, pictures: Pictures, image_topic: str, camera: CameraInfo | None, compressed: bool = False
    ) -> None:
        self._pictures = pictures
        self._camera = camera
        self._compressed = compressed
        kind, suffix = (CompressedImage, "/compressed") if compressed else (Image, "")
        self._images = node.create_publisher(kind, image_topic + suffix, DEPTH)
        self.publishers: list[Publisher[Any]] = [self._images]
        if camera is not None:
            name = f"{image_topic.rpartition('/')[0]}/camera_info"
            self._infos = node.create_publisher(CameraInfo, name, DEPTH)
            self.publishers.append(self._infos)
        self.total = pictures.count
        self.duration_ns = None if self.total is None else round(self.total * 1e9 / pictures.rate_hz)
        self.gap_ns = round(1e9 / pictures.rate_hz)
        self._next_ns = 0

    def events(self) -> Iterator[Event]:
        base_ns = self._next_ns or time.time_ns()
        for rgb, time_ns in self._pictures:
            self._next_ns = base_ns + time_ns + self.gap_ns
            yield base_ns + time_ns, partial(self._publish, rgb)

    def _publish(self, rgb: ByteArray, stamp_ns: int) -> None:
        if self._camera is not None:
            self._camera.header.stamp = to_time(stamp_ns)
            self._infos.publish(self._camera)
        encode = to_compressed if self._compressed else partial(to_image, encoding="rgb8")
        self._images.publish(encode(rgb, stamp_ns=stamp_ns, frame_id=FRAME_ID))


def camera_info_from(text: str, width: int, height: int) -> CameraInfo:
    """CameraInfo from a horizontal field of view in degrees, or from a file of camera_calibration.

    Raises:
        GenEgoError: neither, or a calibration for another size than the pictures'.
    """
    try:
        hfov_deg = float(text)
    except ValueError:
        return _camera_info_of_file(Path(text), width, height)
    if not 0 < hfov_deg < 180:
        raise GenEgoError(f"a horizontal field of view of {text} degrees: it must lie between 0 and 180")
    return to_camera_info(Camera.from_hfov(width, height, hfov_deg), 0, FRAME_ID)


def _camera_info_of_file(path: Path, width: int, height: int) -> CameraInfo:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf8"))
        info = CameraInfo(
            width=content["image_width"],
            height=content["image_height"],
            distortion_model=content["distortion_model"],
            d=[float(value) for value in content["distortion_coefficients"]["data"]],
            k=[float(value) for value in content["camera_matrix"]["data"]],
            r=[float(value) for value in content["rectification_matrix"]["data"]],
            p=[float(value) for value in content["projection_matrix"]["data"]],
        )
    except OSError as error:
        raise GenEgoError(f"{path}: cannot be read ({error.strerror}); give a calibration or degrees") from error
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError, AssertionError) as error:
        raise GenEgoError(
            f"{path}: not a camera calibration ({error!r}); it is the YAML that camera_calibration writes"
        ) from error
    if (info.width, info.height) != (width, height):
        raise GenEgoError(
            f"{path}: a calibration for {info.width} x {info.height}, the pictures have {width} x {height}; "
            "calibrate at this size or resize the pictures"
        )
    info.header.frame_id = FRAME_ID
    return info
