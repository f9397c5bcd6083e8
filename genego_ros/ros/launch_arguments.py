"""Arguments of the launch files as ROS's launch system has them."""

from __future__ import annotations

from collections.abc import Iterable

from launch.actions import DeclareLaunchArgument
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration

from genego_ros.ros.deployment import Argument


def declare(arguments: Iterable[Argument]) -> list[DeclareLaunchArgument]:
    """What `ros2 launch -s` lists."""
    return [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.meaning,
            choices=list(argument.choices) or None,
        )
        for argument in arguments
    ]


def read(arguments: Iterable[Argument], context: LaunchContext) -> dict[str, str]:
    """Their values once a launch has begun."""
    return {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in arguments}
