"""What a bag says of hands and poses, moment by moment."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message

from genego_ros.data.bags import BagInfo, read_bag
from genego_ros.errors import GenEgoError
from genego_ros.geometry import rigid
from genego_ros.geometry.umeyama import align
from genego_ros.ros import conversions
from genego_ros.ros.message_types import message_class
from genego_ros.ros.transforms import from_transform
from genego_ros.types import Float64Array, Hand, Side

Hands = Mapping[Side, Hand]


@dataclass
class Moments:
    """Hands in both cameras' frames and what TF says, by stamps in nanoseconds."""

    exo: dict[int, Hands] = field(default_factory=dict)
    ego: dict[int, Hands] = field(default_factory=dict)
    exo_frame: str = ""
    ego_frame: str = ""
    fixed: dict[str, tuple[str, Float64Array]] = field(default_factory=dict)
    """Frame -> its parent and T_parent_frame."""
    moving: dict[tuple[str, int], tuple[str, Float64Array]] = field(default_factory=dict)

    def ego_pose(self, stamp: int) -> Float64Array | None:
        """T_exo_ego, float64 (4, 4); None where TF does not say."""
        root_exo, T_root_exo = self._to_root(self.exo_frame, stamp)
        root_ego, T_root_ego = self._to_root(self.ego_frame, stamp)
        return rigid.invert(T_root_exo) @ T_root_ego if root_exo == root_ego else None

    def ego_pose_of_hands(self, stamp: int) -> Float64Array | None:
        """The same from the hands in both frames; None without one."""
        sides = self.exo.get(stamp, {}).keys() & self.ego.get(stamp, {}).keys()
        if not sides:
            return None
        exo, ego = (np.concatenate([hands[stamp][side].keypoints for side in sides]) for hands in (self.exo, self.ego))
        return align(ego, exo).matrix

    def _place(self, transform: Any, moving: bool) -> None:
        child, T_parent_child = transform.child_frame_id, from_transform(transform.transform)
        if moving:
            stamp = conversions.from_time(transform.header.stamp)
            self.moving[child, stamp] = transform.header.frame_id, T_parent_child
        else:
            self.fixed[child] = transform.header.frame_id, T_parent_child

    def _to_root(self, frame: str, stamp: int) -> tuple[str, Float64Array]:
        T = np.eye(4)
        passed = set()
        while (found := self.moving.get((frame, stamp)) or self.fixed.get(frame)) and frame not in passed:
            passed.add(frame)
            frame, T_parent = found
            T = T_parent @ T
        return frame, T


def read_messages(
    bag: BagInfo, topics: Collection[str], stamps: Collection[int] | None = None
) -> Iterator[tuple[int, str, Any]]:
    """Stamp, topic and message of all that can be read; only those with one of the `stamps` where they are given."""
    with suppress(GenEgoError):  # that the bag breaks off was told when it was played
        for message in read_bag(bag, topics):
            is_tf = message.type == "tf2_msgs/msg/TFMessage"
            stamp = 0 if is_tf else conversions.stamp_in(message.data)
            if stamps is None or stamp in stamps:
                yield stamp, message.topic, deserialize_message(message.data, message_class(message.type))


def read_moments(bag: BagInfo, exo_hands: str, ego_hands: str) -> Moments:
    moments = Moments()
    for stamp, topic, message in read_messages(bag, ("/tf", "/tf_static", exo_hands, ego_hands)):
        if topic == exo_hands:
            moments.exo[stamp], moments.exo_frame = _by_side(message), message.header.frame_id
        elif topic == ego_hands:
            moments.ego[stamp], moments.ego_frame = _by_side(message), message.header.frame_id
        else:
            for transform in message.transforms:
                with suppress(GenEgoError):  # no transformation; the nodes pass it over too, and say so
                    moments._place(transform, moving=topic == "/tf")
    return moments


def _by_side(message: Any) -> Hands:
    return {hand.side: hand for hand in map(conversions.from_hand, message.hands)}
