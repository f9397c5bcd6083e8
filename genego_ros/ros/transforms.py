"""TF: the ego camera's frame out, and a known camera's pose in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
from geometry_msgs.msg import Pose, Transform, TransformStamped
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from tf2_msgs.msg import TFMessage

from genego_ros.errors import GenEgoError
from genego_ros.geometry.rigid import (
    compose,
    interpolate,
    invert,
    quaternion_from_rotation,
    rotation_from_quaternion,
)
from genego_ros.parameters import Parameters
from genego_ros.ros.conversions import from_time, to_header
from genego_ros.types import Float64Array, FloatArray, Frame, Hand, Viewpoint

_KEPT = 200
"""Transforms kept a frame: two seconds at 100 Hz."""
_LATE_NS = 2_000_000_000
"""A transform that is older than the newest by no more came late; by more, time has run backwards."""
_TOLERANCE_NS = 100_000_000
"""How far from the newest or oldest transform its pose is still taken, as it is."""


def to_transform(T_parent_child: Float64Array) -> Transform:
    message = Transform()
    x, y, z, w = quaternion_from_rotation(T_parent_child[:3, :3]).tolist()
    message.rotation.x, message.rotation.y, message.rotation.z, message.rotation.w = x, y, z, w
    message.translation.x, message.translation.y, message.translation.z = T_parent_child[:3, 3].tolist()
    return message


def to_pose(T_parent_child: Float64Array) -> Pose:
    transform = to_transform(T_parent_child)
    pose = Pose(orientation=transform.rotation)
    pose.position.x, pose.position.y, pose.position.z = T_parent_child[:3, 3].tolist()
    return pose


def from_transform(message: Transform) -> Float64Array:
    """T_parent_child, float64 (4, 4), metres.

    Raises:
        GenEgoError: the quaternion is zero, or a number is NaN or infinite.
    """
    rotation, translation = message.rotation, message.translation
    position = (translation.x, translation.y, translation.z)
    if not np.isfinite(position).all():
        raise GenEgoError(f"translation (x, y, z) = {position} is no place; the sender must set it")
    return compose(rotation_from_quaternion((rotation.x, rotation.y, rotation.z, rotation.w)), position)


def ego_transform(T_ego_exo: Float64Array, stamp_ns: int, exo_frame: str, ego_frame: str) -> TFMessage:
    """The ego camera below the exo optical frame, for /tf."""
    transform = TransformStamped(
        header=to_header(stamp_ns, exo_frame), child_frame_id=ego_frame, transform=to_transform(invert(T_ego_exo))
    )
    return TFMessage(transforms=[transform])


class TransformTree:
    """/tf and /tf_static, remembered: tf2's buffer where ROS provides none."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._parents: dict[str, str] = {}
        self._history: dict[str, deque[tuple[int, Float64Array]]] = {}
        self._static: dict[str, Float64Array] = {}
        self._log = node.get_logger()
        # The latched messages of all publishers come at once; a depth of 1 would keep that of one of them.
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf", self._on_moving, 100),
            node.create_subscription(TFMessage, "/tf_static", self._on_static, latched),
        ]

    def lookup(self, target: str, source: str, stamp_ns: int) -> Float64Array:
        """T_target_source, float64 (4, 4), at a time.

        Raises:
            GenEgoError: the frames are not connected, or nothing is known of that time.
        """
        up_target, up_source = self._ancestors(_bare(target)), self._ancestors(_bare(source))
        common = next((frame for frame in up_source if frame in up_target), None)
        if common is None:
            raise _unconnected(target, source)
        down = self._chain(up_target, common, stamp_ns)
        return invert(down) @ self._chain(up_source, common, stamp_ns)

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _chain(self, upwards: list[str], common: str, stamp_ns: int) -> Float64Array:
        """T_common_first for the first frame of `upwards`."""
        total = np.eye(4)
        for frame in upwards[: upwards.index(common)]:
            total = self._to_parent(frame, stamp_ns) @ total
        return total

    def _ancestors(self, frame: str) -> list[str]:
        chain = [frame]
        while (parent := self._parents.get(chain[-1])) is not None and parent not in chain:
            chain.append(parent)
        return chain

    def _to_parent(self, frame: str, stamp_ns: int) -> Float64Array:
        if (fixed := self._static.get(frame)) is not None:
            return fixed
        history = list(self._history[frame])
        stamps = [stamp for stamp, _ in history]
        after = int(np.searchsorted(stamps, stamp_ns))
        if 0 < after < len(history):
            (start, first), (end, second) = history[after - 1 : after + 1]
            return interpolate(first, second, (stamp_ns - start) / (end - start))
        nearest, pose = history[0] if after == 0 else history[-1]
        if abs(nearest - stamp_ns) > _TOLERANCE_NS:
            away = 1e-9 * (stamp_ns - nearest)
            raise _too_far(f"TF of '{frame}' is {abs(away):.2f} s {'older' if away > 0 else 'newer'} than the picture")
        return pose

    # Lookups run in another thread: what they find at any moment must be whole.

    def _on_static(self, message: TFMessage) -> None:
        for parent, child, _, pose in self._poses(message):
            self._static[child] = pose
            self._parents[child] = parent

    def _on_moving(self, message: TFMessage) -> None:
        for parent, child, stamp, pose in self._poses(message):
            history = self._history.get(child)
            if history is None or stamp < history[-1][0] - _LATE_NS or parent != self._parents[child]:
                # New, or time ran backwards (a recording starts over), or below another frame now.
                self._history[child] = deque([(stamp, pose)], maxlen=_KEPT)
            elif stamp > history[-1][0]:
                history.append((stamp, pose))
            elif all(stamp != known for known, _ in history):
                in_order = sorted([*history, (stamp, pose)], key=lambda entry: entry[0])
                self._history[child] = deque(in_order, maxlen=_KEPT)
            self._parents[child] = parent
            self._static.pop(child, None)

    def _poses(self, message: TFMessage) -> Iterator[tuple[str, str, int, Float64Array]]:
        """Parent, child, stamp and T_parent_child of each transform that is one: anybody may publish on /tf."""
        for transform in message.transforms:
            parent, child = _bare(transform.header.frame_id), _bare(transform.child_frame_id)
            try:
                if not parent or not child or parent == child:
                    raise GenEgoError("it does not name two frames")
                yield parent, child, from_time(transform.header.stamp), from_transform(transform.transform)
            except GenEgoError as error:
                self._log.warning(f"TF from '{child}' to '{parent}' is left out: {error}", throttle_duration_sec=10.0)


def _bare(frame: str) -> str:
    """The name without the leading slash of ROS 1 times, which tf2 strips as well."""
    return frame.removeprefix("/")


class Tf2Tree:
    """The same through tf2_ros, where ROS provides it."""

    def __init__(self, node: Node) -> None:
        from tf2_ros import Buffer, TransformListener

        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)
        # Without a node, the buffer watches the system's clock and not /clock.
        backwards = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
        self._jumps = node.get_clock().create_jump_callback(backwards, post_callback=lambda _: self._buffer.clear())

    def lookup(self, target: str, source: str, stamp_ns: int) -> Float64Array:
        """As `TransformTree.lookup`."""
        from tf2_ros import ConnectivityException, LookupException, TransformException

        target, source = _bare(target), _bare(source)
        try:
            # Zero where all transforms on the way are static.
            newest_ns = self._buffer.get_latest_common_time(target, source).nanoseconds
            at_ns = newest_ns if newest_ns and 0 < stamp_ns - newest_ns <= _TOLERANCE_NS else stamp_ns
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=at_ns))
        except (LookupException, ConnectivityException) as error:
            raise _unconnected(target, source) from error
        except TransformException as error:
            raise _too_far(f"TF from '{source}' to '{target}': {error}") from error
        return from_transform(found.transform)

    def close(self) -> None:
        self._jumps.unregister()
        self._listener.unregister()


def _unconnected(target: str, source: str) -> GenEgoError:
    return GenEgoError(
        f"TF knows no way from '{source}' to '{target}': publish the pose of that camera, for example by "
        "robot_state_publisher or static_transform_publisher"
    )


def _too_far(what: str) -> GenEgoError:
    return GenEgoError(f"{what}: do all hosts share one clock, and all nodes one use_sim_time?")


def transform_tree(node: Node) -> TransformTree | Tf2Tree:
    try:
        return Tf2Tree(node)
    except ImportError:
        return TransformTree(node)


class TfViewpoint:
    """Viewpoint backend `tf`: the ego camera is known to TF, such as the robot's own head camera."""

    def __init__(
        self,
        parameters: Parameters,
        tree: TransformTree | Tf2Tree,
        ego_frame_id: str,
        warn: Callable[[str], None],
    ) -> None:
        self.parameters = parameters
        self._tree = tree
        self._ego_frame_id = ego_frame_id
        self._warn = warn

    def begin(self, frame: Frame) -> None:
        """The later TF is asked, the more it knows."""

    def locate(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> Viewpoint | None:
        """X at the frame's stamp; needs no hands. None, with a warning, where TF does not know it."""
        try:
            return Viewpoint(self._tree.lookup(self._ego_frame_id, frame.frame_id, frame.stamp_ns), "tf")
        except GenEgoError as error:
            self._warn(str(error))
            return None

    def forget(self) -> None:
        """Keeps nothing."""

    def close(self) -> None:
        """Holds nothing; the tree is its owner's."""
