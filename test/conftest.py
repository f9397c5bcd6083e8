"""Where ROS is missing, the tests that need it are left out, and the header says so."""

from __future__ import annotations

from importlib.util import find_spec

HAS_ROS = find_spec("rclpy") is not None

collect_ignore_glob = [] if HAS_ROS else ["test_node_*.py"]


def pytest_report_header() -> str:
    return "ROS: rclpy is there" if HAS_ROS else "ROS: rclpy is missing, test_node_*.py are left out"
