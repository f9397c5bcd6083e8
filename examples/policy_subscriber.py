"""The egocentric view as observations of a manipulation policy.

Run it beside the nodes: `.venv/bin/python examples/policy_subscriber.py`, or with plain python3 on a ROS install.
"""

import numpy as np
import rclpy
from genego_ros.msg import EgoObservation


def to_observation(message: EgoObservation) -> dict[str, np.ndarray] | None:
    """What LeRobot-style policies take, or None for a moment without a person."""
    if not message.valid:
        return None
    image = np.frombuffer(message.image.data, np.uint8).reshape(message.image.height, message.image.width, 3)
    return {"observation.images.ego": image, "observation.state": np.asarray(message.state, np.float32)}


def main() -> None:
    def act(message: EgoObservation) -> None:
        observation = to_observation(message)
        if observation is not None:
            image, state = observation.values()
            node.get_logger().info(f"image {image.shape}, state {state.shape}, hands {state[72]:.0f} {state[145]:.0f}")

    rclpy.init()
    node = rclpy.create_node("policy")
    node.create_subscription(EgoObservation, "/genego/ego/observation", act, 1)
    rclpy.spin(node)


if __name__ == "__main__":
    main()
