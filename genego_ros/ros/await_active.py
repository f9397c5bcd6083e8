"""`python -m genego_ros.ros.await_active PREFIX NODE...` ends once those nodes, which publish below PREFIX, are active.

Transition events would say the same, but a node that starts quickly sends its own before anybody listens.
"""

from __future__ import annotations

import sys

import rclpy
from rclpy.signals import SignalHandlerOptions

from genego_ros.msg import PipelineStatus
from genego_ros.ros.status import is_active


def main() -> int:
    prefix, *wanted = sys.argv[1:]
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("genego_await_active", start_parameter_services=False)
    waiting = set(wanted)

    def on_status(status: PipelineStatus) -> None:
        if is_active(status):
            waiting.discard(status.node)

    node.create_subscription(PipelineStatus, f"{prefix}/status", on_status, 10)
    try:
        while waiting:
            rclpy.spin_once(node, timeout_sec=0.2)
    except KeyboardInterrupt:
        return 130
    finally:
        node.destroy_node()
        rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
