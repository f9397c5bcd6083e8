"""The TF tree on a real node, fed over real topics; the arithmetic against matrix products and SciPy's Slerp."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from geometry_msgs.msg import Transform, TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_rig import rig
from scene import CAMERA
from scipy.spatial.transform import Rotation, Slerp
from tf2_msgs.msg import TFMessage

from genego_ros.errors import GenEgoError
from genego_ros.geometry.rigid import compose
from genego_ros.parameters import Parameters
from genego_ros.ros.conversions import to_header
from genego_ros.ros.transforms import TfViewpoint, TransformTree, ego_transform, from_transform, to_pose, to_transform
from genego_ros.types import Frame

SECOND = 10**9
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def pose(seed: int) -> np.ndarray:
    """A random rigid (4, 4)."""
    rng = np.random.default_rng(seed)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotation.random(random_state=rng).as_matrix(), rng.uniform(-2, 2, 3)
    return T


def stamped(parent: str, child: str, T: np.ndarray, stamp_ns: int = 0) -> TFMessage:
    """Written out, so that it does not lean on the module's own writer."""
    message = TransformStamped(header=to_header(stamp_ns, parent), child_frame_id=child)
    x, y, z, w = Rotation.from_matrix(T[:3, :3]).as_quat()
    rotation, translation = message.transform.rotation, message.transform.translation
    rotation.x, rotation.y, rotation.z, rotation.w = x, y, z, w
    translation.x, translation.y, translation.z = T[:3, 3].tolist()
    return TFMessage(transforms=[message])


class Stage:
    """A node with a tree on it and publishers that feed it."""

    def __init__(self, context: rclpy.Context) -> None:
        self.context = context
        self.executor = SingleThreadedExecutor(context=context)
        self.nodes: list[Node] = []
        self.talker = self.node("talker")
        self.moving = self.talker.create_publisher(TFMessage, "/tf", 100)
        self.static = self.talker.create_publisher(TFMessage, "/tf_static", LATCHED)

    def node(self, name: str) -> Node:
        node = rclpy.create_node(name, context=self.context)
        self.executor.add_node(node)
        self.nodes.append(node)
        return node

    def until(self, happened: Callable[[], Any], seconds: float = 10.0) -> Any:
        end = time.monotonic() + seconds
        error: Exception | None = None
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.01)
            try:
                if (result := happened()) is not None:
                    return result
            except GenEgoError as now:
                error = now
        raise AssertionError(f"it did not happen in time: {error}")


@pytest.fixture(scope="module")
def context() -> Iterator[rclpy.Context]:
    with rig(nodes=False) as made:
        yield made.node.context


@pytest.fixture
def stage(context: rclpy.Context) -> Iterator[Stage]:
    made = Stage(context)
    yield made
    for node in made.nodes:
        node.destroy_node()
    made.executor.shutdown()


@pytest.fixture
def tree(stage: Stage) -> TransformTree:
    return TransformTree(stage.node("listener"))


def test_over_the_topics_static_and_moving_frames_are_joined(stage: Stage) -> None:
    """robot/base <- head <- eye (moving) and world <- exo (static, sent before anybody listened)."""
    base_head, head_eye, base_exo = pose(1), pose(2), pose(3)
    stage.static.publish(stamped("base", "exo", base_exo))
    tree = TransformTree(stage.node("late"))

    def connected() -> np.ndarray:
        stage.moving.publish(stamped("base", "head", base_head, 5 * SECOND))
        stage.moving.publish(stamped("head", "eye", head_eye, 5 * SECOND))
        return tree.lookup("eye", "exo", 5 * SECOND)

    expected = np.linalg.inv(base_head @ head_eye) @ base_exo
    np.testing.assert_allclose(stage.until(connected), expected, atol=1e-12)
    np.testing.assert_allclose(tree.lookup("exo", "eye", 5 * SECOND), np.linalg.inv(expected), atol=1e-12)
    np.testing.assert_allclose(tree.lookup("base", "eye", 5 * SECOND), base_head @ head_eye, atol=1e-12)
    np.testing.assert_array_equal(tree.lookup("eye", "eye", 5 * SECOND), np.eye(4))


def test_every_one_of_many_static_publishers_is_heard(stage: Stage) -> None:
    """static_transform_publisher is a process a frame; a robot has a dozen, all there before we are."""
    for index in range(12):
        publisher = stage.node(f"static_{index}").create_publisher(TFMessage, "/tf_static", LATCHED)
        publisher.publish(stamped("base", f"sensor_{index}", pose(index)))
    tree = TransformTree(stage.node("late"))
    time.sleep(0.5)  # all of them arrive before the first is taken
    for index in range(12):
        found = stage.until(lambda i=index: tree.lookup("base", f"sensor_{i}", 0), 3.0)
        np.testing.assert_allclose(found, pose(index), atol=1e-12)


def test_a_transform_that_is_none_neither_ends_the_node_nor_spoils_the_tree(stage: Stage) -> None:
    """Anybody may publish on /tf; an unset quaternion of zeros is the usual mistake."""
    tree = TransformTree(stage.node("listener"))
    broken = stamped("base", "eye", np.eye(4), 2 * SECOND)
    broken.transforms[0].transform.rotation.w = 0.0
    nan = stamped("base", "eye", np.eye(4), 3 * SECOND)
    nan.transforms[0].transform.translation.x = float("nan")
    early = stamped("base", "eye", np.eye(4), SECOND // 2)  # backwards in time as well
    early.transforms[0].transform.rotation.w = float("nan")

    def heard() -> np.ndarray:
        stage.moving.publish(stamped("base", "eye", pose(4), SECOND))
        stage.moving.publish(broken)
        stage.moving.publish(nan)
        stage.moving.publish(early)
        stage.static.publish(stamped("base", "", np.eye(4)))
        stage.static.publish(broken)
        return tree.lookup("base", "eye", SECOND)

    np.testing.assert_allclose(stage.until(heard), pose(4), atol=1e-12)
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        stage.executor.spin_once(timeout_sec=0.01)
    np.testing.assert_allclose(tree.lookup("base", "eye", SECOND), pose(4), atol=1e-12)


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_between_two_poses_it_turns_as_slerp_does(tree: TransformTree, fraction: float) -> None:
    first, second = pose(5), pose(6)
    tree._on_moving(stamped("base", "eye", first, 10 * SECOND))
    tree._on_moving(stamped("base", "eye", second, 11 * SECOND))
    found = tree.lookup("base", "eye", 10 * SECOND + round(fraction * SECOND))
    slerp = Slerp([0, 1], Rotation.from_matrix([first[:3, :3], second[:3, :3]]))
    np.testing.assert_allclose(found[:3, :3], slerp(fraction).as_matrix(), atol=1e-9)
    np.testing.assert_allclose(found[:3, 3], (1 - fraction) * first[:3, 3] + fraction * second[:3, 3], atol=1e-9)


def test_a_moment_beyond_the_newest_is_bridged_and_more_is_not(tree: TransformTree) -> None:
    for tenth in range(5):
        tree._on_moving(stamped("base", "eye", pose(tenth), 10 * SECOND + tenth * SECOND // 10))
    first, last = 10 * SECOND, 10 * SECOND + 4 * SECOND // 10
    np.testing.assert_allclose(tree.lookup("base", "eye", last + SECOND // 20), pose(4), atol=1e-12)
    np.testing.assert_allclose(tree.lookup("base", "eye", first - SECOND // 20), pose(0), atol=1e-12)
    with pytest.raises(GenEgoError, match=r"TF of 'eye' is 2\.00 s older than the picture: do all hosts"):
        tree.lookup("base", "eye", last + 2 * SECOND)
    with pytest.raises(GenEgoError, match=r"TF of 'eye' is 3\.00 s newer than the picture"):
        tree.lookup("base", "eye", first - 3 * SECOND)


def test_time_that_runs_backwards_starts_over(tree: TransformTree) -> None:
    tree._on_moving(stamped("base", "eye", pose(1), 100 * SECOND))
    tree._on_moving(stamped("base", "eye", pose(2), 101 * SECOND))
    tree._on_moving(stamped("base", "eye", pose(3), 5 * SECOND))
    np.testing.assert_allclose(tree.lookup("base", "eye", 5 * SECOND), pose(3), atol=1e-12)
    with pytest.raises(GenEgoError, match="older than the picture"):
        tree.lookup("base", "eye", 101 * SECOND)
    tree._on_moving(stamped("base", "eye", pose(4), 5 * SECOND))  # the same stamp again says nothing new
    np.testing.assert_allclose(tree.lookup("base", "eye", 5 * SECOND), pose(3), atol=1e-12)


def test_a_transform_that_comes_late_takes_its_place_among_the_others(tree: TransformTree) -> None:
    """Over a network, or from two publishers of one frame, they do not come in order."""
    times = [10 * SECOND + index * SECOND // 100 for index in range(100)]
    for index, stamp in enumerate(times):
        tree._on_moving(stamped("base", "eye", pose(index), stamp))
    tree._on_moving(stamped("base", "eye", pose(500), times[-1] - SECOND // 200))
    for index, stamp in enumerate(times):
        np.testing.assert_allclose(tree.lookup("base", "eye", stamp), pose(index), atol=1e-12)
    np.testing.assert_allclose(tree.lookup("base", "eye", times[-1] - SECOND // 200), pose(500), atol=1e-12)
    for index in range(150):  # bounded also so, and the oldest go first
        tree._on_moving(stamped("base", "eye", pose(index), times[-1] - SECOND // 300 - index))
    assert len(tree._history["eye"]) == 200
    np.testing.assert_allclose(tree.lookup("base", "eye", times[-1]), pose(99), atol=1e-12)


def test_a_frame_that_gets_another_parent_forgets_the_old_one(tree: TransformTree) -> None:
    tree._on_static(stamped("world", "table", pose(1)))
    tree._on_static(stamped("world", "hand", pose(2)))
    tree._on_moving(stamped("table", "cup", pose(3), 1 * SECOND))
    tree._on_moving(stamped("hand", "cup", pose(4), 2 * SECOND))
    np.testing.assert_allclose(tree.lookup("world", "cup", 2 * SECOND), pose(2) @ pose(4), atol=1e-12)
    with pytest.raises(GenEgoError, match="newer than the picture"):
        tree.lookup("world", "cup", 1 * SECOND)
    tree._on_static(stamped("table", "cup", pose(5)))
    np.testing.assert_allclose(tree.lookup("world", "cup", 9 * SECOND), pose(1) @ pose(5), atol=1e-12)
    tree._on_moving(stamped("hand", "cup", pose(6), 10 * SECOND))
    np.testing.assert_allclose(tree.lookup("world", "cup", 10 * SECOND), pose(2) @ pose(6), atol=1e-12)


def test_frames_with_a_leading_slash_are_the_same_frames(tree: TransformTree) -> None:
    """tf2 strips it, and cameras of ROS 1 times still send it."""
    tree._on_static(stamped("/robot/base", "robot/head", pose(1)))
    tree._on_moving(stamped("robot/base", "/robot/exo", pose(2), SECOND))
    expected = np.linalg.inv(pose(1)) @ pose(2)
    for target in ("robot/head", "/robot/head"):
        for source in ("robot/exo", "/robot/exo"):
            np.testing.assert_allclose(tree.lookup(target, source, SECOND), expected, atol=1e-12)
    with pytest.raises(GenEgoError, match="no way from 'exo'"):
        tree.lookup("robot/head", "exo", SECOND)


def test_frames_that_are_not_connected_are_named(tree: TransformTree) -> None:
    tree._on_static(stamped("here", "a", pose(1)))
    tree._on_static(stamped("there", "b", pose(2)))
    for target, source in (("a", "b"), ("a", "never heard of"), ("neither", "nor"), ("", "a")):
        with pytest.raises(GenEgoError, match=f"TF knows no way from '{source}' to '{target}': publish"):
            tree.lookup(target, source, 0)


def test_a_loop_does_not_hang(tree: TransformTree) -> None:
    for parent, child in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "d")):
        tree._on_static(stamped(parent, child, np.eye(4)))
    np.testing.assert_array_equal(tree.lookup("a", "c", 0), np.eye(4))
    with pytest.raises(GenEgoError, match="no way"):
        tree.lookup("a", "d", 0)
    with pytest.raises(GenEgoError, match="no way"):
        tree.lookup("elsewhere", "a", 0)


def test_history_is_bounded(tree: TransformTree) -> None:
    for index in range(500):
        tree._on_moving(stamped("base", "eye", pose(index % 3), index * SECOND // 100))
    assert len(tree._history["eye"]) == 200


def test_the_ego_camera_is_published_below_the_exo_camera() -> None:
    T_ego_exo = pose(8)
    (sent,) = ego_transform(T_ego_exo, 7 * SECOND + 5, "exo", "ego").transforms
    assert (sent.header.frame_id, sent.child_frame_id) == ("exo", "ego")
    assert (sent.header.stamp.sec, sent.header.stamp.nanosec) == (7, 5)
    np.testing.assert_allclose(from_transform(sent.transform), np.linalg.inv(T_ego_exo), atol=1e-12)
    rotation = sent.transform.rotation
    assert rotation.x**2 + rotation.y**2 + rotation.z**2 + rotation.w**2 == pytest.approx(1.0)
    as_pose = to_pose(pose(8))
    np.testing.assert_allclose([as_pose.position.x, as_pose.position.y, as_pose.position.z], pose(8)[:3, 3])
    np.testing.assert_allclose(from_transform(to_transform(pose(8))), pose(8), atol=1e-12)
    with pytest.raises(GenEgoError, match="is no rotation"):
        empty = Transform()
        empty.rotation.w = 0.0
        from_transform(empty)


def test_a_viewpoint_from_tf_needs_no_hands_and_says_what_is_missing(tree: TransformTree) -> None:
    said: list[str] = []
    viewpoint = TfViewpoint(Parameters(), tree, "robot/eye", said.append)
    frame = Frame(np.zeros((480, 640, 3), np.uint8), CAMERA, stamp_ns=3 * SECOND, frame_id="exo")
    depth = np.full((480, 640), np.nan, np.float32)
    assert viewpoint.locate(frame, (), depth) is None
    assert len(said) == 1 and "no way from 'exo' to 'robot/eye'" in said[0]
    tree._on_static(stamped("base", "exo", pose(1)))
    tree._on_moving(stamped("base", "robot/eye", compose(pose(2)[:3, :3], [0, 0, 1]), 3 * SECOND))
    found = viewpoint.locate(frame, (), depth)
    assert found is not None and found.source == "tf" and np.isnan(found.residual)
    expected = np.linalg.inv(compose(pose(2)[:3, :3], [0, 0, 1])) @ pose(1)
    np.testing.assert_allclose(found.T_ego_exo, expected, atol=1e-12)
