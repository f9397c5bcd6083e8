"""ros2 launch genego_ros replay.launch.py bag:=FOLDER [name:=value ...]: the nodes in the time of a recording.

It is played once every node is active, so that nothing of it is missed.
"""

from launch.actions import (
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource

from genego_ros.resources import resource
from genego_ros.ros.launch_arguments import declare, read
from genego_ros.ros.replay import ARGUMENTS, await_command, node_arguments, player_command
from launch import LaunchContext, LaunchDescription


def start(context: LaunchContext) -> list:
    given = read(ARGUMENTS, context)
    arguments = node_arguments(given)
    nodes = PythonLaunchDescriptionSource(str(resource("launch/genego.launch.py")))
    waiter = ExecuteProcess(cmd=await_command(arguments), name="await_active", output="screen")
    player = ExecuteProcess(cmd=player_command(given), name="player", output="screen")

    def play(event: ProcessExited, context: LaunchContext) -> list:
        return [player] if event.returncode == 0 else []

    return [
        IncludeLaunchDescription(nodes, launch_arguments=arguments.items()),
        waiter,
        RegisterEventHandler(OnProcessExit(target_action=waiter, on_exit=play)),
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=start)])
