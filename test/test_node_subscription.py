"""Subscriptions that follow what is published."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_rig import rig
from sensor_msgs.msg import CompressedImage, Image

from genego_ros.ros.subscription import WatchedSubscription

LOOSE = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture
def make_node() -> Iterator[Callable[..., Node]]:
    with rig(nodes=False):  # a domain of its own
        context = rclpy.Context()
        rclpy.init(context=context)
        yield lambda name, **given: rclpy.create_node(
            name, context=context, parameter_overrides=[Parameter(key, value=value) for key, value in given.items()]
        )
        rclpy.shutdown(context=context)


def reliability_after(subscription: WatchedSubscription, camera: Node, publishers: int) -> ReliabilityPolicy:
    """What the subscription asks for, once it has looked at that many publishers."""
    end = time.monotonic() + 10
    while camera.count_publishers("/image") < publishers and time.monotonic() < end:
        time.sleep(0.01)
    for _ in range(3):
        time.sleep(0.1)
        subscription.check(60.0)
    time.sleep(0.3)
    (info,) = camera.get_subscriptions_info_by_topic("/image")
    return info.qos_profile.reliability


def test_reliability_is_what_the_publishers_offer(make_node: Callable[..., Node]) -> None:
    """Best effort loses most large images of a camera without our Fast DDS profile."""
    listener, camera = make_node("listener"), make_node("camera")
    subscription = WatchedSubscription(listener, (Image,), "/image", lambda _: None)
    assert reliability_after(subscription, camera, 0) is ReliabilityPolicy.BEST_EFFORT
    camera.create_publisher(Image, "/image", 1)
    assert reliability_after(subscription, camera, 1) is ReliabilityPolicy.RELIABLE
    # A reliable subscription would get nothing from this one.
    camera.create_publisher(Image, "/image", LOOSE)
    assert reliability_after(subscription, camera, 2) is ReliabilityPolicy.BEST_EFFORT


@pytest.mark.parametrize("wanted", [ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE])
def test_reliability_can_be_given(make_node: Callable[..., Node], wanted: ReliabilityPolicy) -> None:
    name = "qos_overrides./image.subscription.reliability"
    listener = make_node("listener", **{name: wanted.name.lower()})
    camera = make_node("camera")
    subscription = WatchedSubscription(listener, (Image,), "/image", lambda _: None)
    camera.create_publisher(Image, "/image", 1 if wanted is ReliabilityPolicy.BEST_EFFORT else LOOSE)
    assert reliability_after(subscription, camera, 1) is wanted


def test_a_camera_that_comes_back_with_the_other_type_is_followed(make_node: Callable[..., Node]) -> None:
    """A driver that is restarted with its pictures compressed, and back; each time a process of its own."""
    listener = make_node("listener")
    received: list[object] = []
    subscription = WatchedSubscription(listener, (Image, CompressedImage), "/image", received.append)
    executor = SingleThreadedExecutor(context=listener.context)
    executor.add_node(listener)
    for kind in (Image, CompressedImage, Image):
        driver = rclpy.Context()
        rclpy.init(context=driver)
        publisher = rclpy.create_node("driver", context=driver).create_publisher(kind, "/image", 1)
        received.clear()
        end = time.monotonic() + 10
        while not received and time.monotonic() < end:
            subscription.check(60.0)
            publisher.publish(kind())
            executor.spin_once(timeout_sec=0.05)
        assert received and isinstance(received[0], kind)
        rclpy.shutdown(context=driver)
    executor.shutdown()
