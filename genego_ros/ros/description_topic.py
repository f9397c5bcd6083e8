"""Description backend `topic`: T_exo comes from another node, such as a speech recogniser or a task planner."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

from genego_ros.parameters import Parameters
from genego_ros.types import FloatArray, Frame, Hand

TOPIC = "description_in"


class TopicDescription:
    """The newest text on `description_in`; "" until one comes."""

    def __init__(self, parameters: Parameters, node: Node) -> None:
        self.parameters = parameters
        self._node = node
        self._text = ""
        # Volatile: it matches publishers that latch their text and those that do not.
        quality = QoSProfile(depth=1, durability=DurabilityPolicy.VOLATILE)
        self._subscription = node.create_subscription(String, TOPIC, self._on_text, quality)

    def describe(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> str:
        return self._text

    def close(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _on_text(self, message: String) -> None:
        self._text = message.data
