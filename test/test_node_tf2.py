"""TF in: the tree of this package, and tf2_ros where ROS provides it, say the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_rig import rig
from rosgraph_msgs.msg import Clock
from scipy.spatial.transform import Rotation
from tf2_msgs.msg import TFMessage

from genego_ros.errors import GenEgoError
from genego_ros.geometry.rigid import compose
from genego_ros.ros.conversions import to_time
from genego_ros.ros.transforms import Tf2Tree, TransformTree, to_transform
from genego_ros.types import Float64Array

START = 1_700_000_000_000_000_000
STEP = 10_000_000
"""Nanoseconds between two transforms of the head."""
COUNT = 100
T_BASE_CAM = compose(Rotation.from_euler("xyz", [1.0, 0.2, -0.4]).as_matrix(), [0.1, 0.7, 1.2])
T_HEAD_EYE = compose(Rotation.from_euler("xyz", [-0.3, 0.0, 0.9]).as_matrix(), [0.05, 0.0, 0.1])


def head(seconds: float) -> Float64Array:
    """T_base_head of a head that turns about one axis and moves along a line, both steadily."""
    turned = Rotation.from_rotvec(seconds * np.array([0.3, -0.8, 0.5]))
    return compose(turned.as_matrix(), seconds * np.array([0.4, 0.1, -0.2]))


def eye_from_cam(seconds: float) -> Float64Array:
    return np.linalg.inv(head(seconds) @ T_HEAD_EYE) @ T_BASE_CAM


def stamped(parent: str, child: str, pose: Float64Array, stamp_ns: int) -> TransformStamped:
    message = TransformStamped(child_frame_id=child, transform=to_transform(pose))
    message.header.frame_id, message.header.stamp = parent, to_time(stamp_ns)
    return message


@dataclass
class Robot:
    """Publishes transforms, and spins the node that listens to them."""

    node: Node
    executor: SingleThreadedExecutor

    def __post_init__(self) -> None:
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.static = self.node.create_publisher(TFMessage, "/tf_static", latched)
        self.moving = self.node.create_publisher(TFMessage, "/tf", 100)
        self.clock = self.node.create_publisher(Clock, "/clock", 10)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.01)

    def stand(self) -> None:
        transforms = [stamped("base", "cam", T_BASE_CAM, 0), stamped("head", "eye", T_HEAD_EYE, 0)]
        self.static.publish(TFMessage(transforms=transforms))

    def turn(self, start_ns: int) -> None:
        """The head from 0 to 0.99 s after `start_ns`."""
        for i in range(COUNT):
            stamp = start_ns + i * STEP
            self.clock.publish(Clock(clock=to_time(stamp)))
            self.moving.publish(TFMessage(transforms=[stamped("base", "head", head(1e-9 * i * STEP), stamp)]))
            self.spin(0.003)
        self.spin(0.2)


def make_tf2_tree(node: Node) -> Tf2Tree:
    pytest.importorskip("tf2_ros", reason="tf2_ros comes with a ROS 2 install")
    return Tf2Tree(node)


@pytest.fixture(params=[TransformTree, make_tf2_tree], ids=["ours", "tf2_ros"])
def tree_and_robot(request: pytest.FixtureRequest) -> Iterator[tuple[TransformTree | Tf2Tree, Robot, Node]]:
    make: Callable[[Node], TransformTree | Tf2Tree] = request.param
    with rig(nodes=False):  # a domain of its own
        context = rclpy.Context()
        rclpy.init(context=context)
        sim_time = Parameter("use_sim_time", value=True)
        listener = rclpy.create_node("listener", context=context, parameter_overrides=[sim_time])
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(listener)
        try:
            tree = make(listener)
            robot = Robot(rclpy.create_node("talker", context=context), executor)
            robot.spin(0.5)
            robot.stand()
            robot.turn(START)
            yield tree, robot, listener
        finally:
            rclpy.shutdown(context=context)


def test_lookup(tree_and_robot: tuple[TransformTree | Tf2Tree, Robot, Node]) -> None:
    tree, robot, listener = tree_and_robot

    def at(milliseconds: float) -> Float64Array:
        return tree.lookup("eye", "cam", START + int(1e6 * milliseconds))

    newest = 1e-6 * (COUNT - 1) * STEP
    np.testing.assert_allclose(at(500), eye_from_cam(0.5), atol=1e-9)
    np.testing.assert_allclose(at(503.7), eye_from_cam(0.5037), atol=1e-9)
    # A picture may be a little newer than the newest transform; nobody waits for the next one.
    np.testing.assert_allclose(at(newest + 60), eye_from_cam(1e-3 * newest), atol=1e-9)
    with pytest.raises(GenEgoError, match="share one clock"):
        at(newest + 1000)
    with pytest.raises(GenEgoError, match="TF knows no way from 'cam' to 'nobody'"):
        tree.lookup("nobody", "cam", START)
    # A recording that starts over, or another one: what was known of the later time does not count any more.
    robot.turn(START - 20_000_000_000)
    np.testing.assert_allclose(
        tree.lookup("eye", "cam", START - 20_000_000_000 + 500_000_000), eye_from_cam(0.5), atol=1e-9
    )
    assert listener.count_subscribers("/tf") == 1
    tree.close()
    robot.spin(0.2)
    assert listener.count_subscribers("/tf") == listener.count_subscribers("/tf_static") == 0
