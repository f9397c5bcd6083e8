"""ros2 launch genego_ros replay.launch.py bag:=FOLDER [name:=value ...]: the nodes in the time of a recording.

It is played once every node is active, so that nothing of it is missed.
"""

from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.event_handlers import OnStateTransition

from genego_ros.resources import resource
from genego_ros.ros.deployment import describe_nodes
from genego_ros.ros.replay import ARGUMENTS, node_arguments, player_command
from launch import LaunchContext, LaunchDescription


def start(context: LaunchContext) -> list:
    given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    arguments = node_arguments(given)
    waiting = {node.executable for node in describe_nodes(arguments)}

    def play_when_all_are_active(context: LaunchContext) -> list:
        active = context.locals.event.action.node_name.rpartition("/")[2]
        if active not in waiting:
            return []  # active once more, while the recording runs
        waiting.remove(active)
        return [] if waiting else [ExecuteProcess(cmd=player_command(given), name="player", output="screen")]

    nodes = PythonLaunchDescriptionSource(str(resource("launch/genego.launch.py")))
    return [
        RegisterEventHandler(
            OnStateTransition(goal_state="active", entities=[OpaqueFunction(function=play_when_all_are_active)])
        ),
        IncludeLaunchDescription(nodes, launch_arguments=arguments.items()),
    ]


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
