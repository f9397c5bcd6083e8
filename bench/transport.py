"""Images lost between two processes: config/fastdds.xml against Fast DDS's own defaults.

VGA rgb8 at 30 Hz, best effort, for 10 s; one process publishes, another one counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from bench import Result

SECONDS = 10
RATE_HZ = 30
FRAMES = SECONDS * RATE_HZ
WIDTH, HEIGHT = 640, 480
TOPIC = "/bench/image"
ROOT = Path(__file__).parents[1]
PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"


def run() -> list[Result]:
    """The share of images that arrive with each transport."""
    ours = _received_percent({PROFILE: str(ROOT / "config" / "fastdds.xml")})
    default = _received_percent({})
    return [
        Result(
            name="VGA images received at 30 Hz, best effort",
            value=ours,
            unit="%",
            reference="Fast DDS without a profile",
            reference_value=default,
            target="100 %",
            met=ours == 100.0,
        )
    ]


def _received_percent(variables: dict[str, str]) -> float:
    environment = {**os.environ, "ROS_DOMAIN_ID": str(100 + os.getpid() % 90)}
    environment.pop(PROFILE, None)
    environment.update(variables)
    command = [sys.executable, "-m", "bench.transport"]
    subscriber = subprocess.Popen([*command, "subscribe"], cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    try:
        subprocess.run([*command, "publish"], cwd=ROOT, env=environment, check=True, timeout=SECONDS + 30)
        output, _ = subscriber.communicate(timeout=30)
    finally:
        subscriber.kill()
        subscriber.wait()
    return 100.0 * int(output) / FRAMES


def publish() -> None:
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    from genego_ros.ros.conversions import to_image

    rclpy.init()
    node = rclpy.create_node("publisher")
    publisher = node.create_publisher(Image, TOPIC, qos_profile_sensor_data)
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    while not publisher.get_subscription_count():
        time.sleep(0.02)
    time.sleep(1.0)
    begin = time.monotonic()
    for frame in range(FRAMES):
        time.sleep(max(0.0, begin + frame / RATE_HZ - time.monotonic()))
        publisher.publish(to_image(pixels, "rgb8", time.time_ns(), "camera"))
    time.sleep(1.0)
    rclpy.shutdown()


def subscribe() -> None:
    """Writes the number of images that came once the publisher has gone."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("subscriber")
    received = 0

    def count(_: Image) -> None:
        nonlocal received
        received += 1

    node.create_subscription(Image, TOPIC, count, qos_profile_sensor_data)
    while not node.count_publishers(TOPIC):
        rclpy.spin_once(node, timeout_sec=0.1)
    end = time.monotonic() + SECONDS + 20
    while node.count_publishers(TOPIC) and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.1)
    rclpy.shutdown()
    sys.stdout.write(str(received))


if __name__ == "__main__":
    {"publish": publish, "subscribe": subscribe}[sys.argv[1]]()
