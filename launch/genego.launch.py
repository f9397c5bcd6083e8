"""ros2 launch genego_ros genego.launch.py [name:=value ...]; `-s` lists the arguments."""

import os

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from genego_ros.resources import resource
from genego_ros.ros.deployment import ARGUMENTS, complete, describe_nodes, fastdds_profile
from launch import LaunchContext, LaunchDescription


def start(context: LaunchContext) -> list:
    given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    arguments = complete(given)
    actions: list = []
    if "FASTDDS_DEFAULT_PROFILES_FILE" not in os.environ:
        profile = fastdds_profile(arguments["hosts"])
        actions.append(SetEnvironmentVariable("FASTDDS_DEFAULT_PROFILES_FILE", str(profile)))
    actions += [
        LifecycleNode(
            package="genego_ros",
            executable=node.executable,
            name=node.executable,
            namespace=node.namespace,
            parameters=[str(node.parameters_file), dict(node.parameters)],
            remappings=list(node.remappings.items()),
            output="screen",
        )
        for node in describe_nodes(arguments)
    ]
    if arguments["rviz"].lower() == "true":
        config = resource("config/genego.rviz")
        actions.append(Node(package="rviz2", executable="rviz2", arguments=["-d", str(config)], output="log"))
    return actions


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.meaning,
            choices=list(argument.choices) or None,
        )
        for argument in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
