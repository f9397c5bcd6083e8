"""ros2 launch genego_ros genego.launch.py [name:=value ...]; `-s` lists the arguments."""

import os

from launch.actions import OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import LifecycleNode, Node

from genego_ros.resources import resource
from genego_ros.ros.deployment import ARGUMENTS, complete, describe_nodes, fastdds_profile
from genego_ros.ros.launch_arguments import declare, read
from launch import LaunchContext, LaunchDescription


def start(context: LaunchContext) -> list:
    arguments = complete(read(ARGUMENTS, context))
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
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=start)])
