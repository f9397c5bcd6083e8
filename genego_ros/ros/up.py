"""`./genego up`: starts what the launch file starts, where `ros2 launch` is missing."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from genego_ros.errors import GenEgoError
from genego_ros.ros.deployment import (
    ARGUMENTS,
    NodeDescription,
    complete,
    describe_nodes,
    fastdds_profile,
    topic_prefix,
)

_STOP_S = 8.0
"""How long a node may take to stop before it is killed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    listed = "\n".join(f"  {a.name}:={a.default or '...'}  {a.meaning}" for a in ARGUMENTS)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"arguments, as for ros2 launch:\n{listed}"
    parser.add_argument("arguments", nargs="*", metavar="name:=value", help="as for ros2 launch; see below")


def run(args: argparse.Namespace) -> int:
    """Runs the nodes until Ctrl-C or until one of them ends."""
    arguments = complete(parse_arguments(args.arguments))
    if arguments["rviz"].lower() == "true":
        raise GenEgoError(
            "rviz comes with a ROS 2 install, where `ros2 launch genego_ros genego.launch.py rviz:=true` works"
        )
    # A service manager stops with SIGTERM what a person stops with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    processes = start(arguments)
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.1)
        return next(abs(code) for process in processes if (code := process.poll()) is not None)
    except KeyboardInterrupt:
        return 0
    finally:
        # A terminal sends Ctrl-C to the nodes too; a second one must not leave any of them behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stop(processes)


def parse_arguments(texts: Sequence[str]) -> dict[str, str]:
    """Names to values, from texts of the form name:=value.

    Raises:
        GenEgoError: a text of another form.
    """
    pairs = [text.partition(":=") for text in texts]
    for name, separator, _ in pairs:
        if not separator:
            raise GenEgoError(f"'{name}' is not of the form name:=value")
    return {name: value for name, _, value in pairs}


def start(arguments: Mapping[str, str]) -> list[subprocess.Popen[bytes]]:
    """Starts the nodes of complete arguments, each in a process of its own."""
    environment = node_environment(arguments["hosts"])
    return [subprocess.Popen(command_line(node), env=environment) for node in describe_nodes(arguments)]


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ends processes that `start` started, gently first."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def check_alive(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """
    Raises:
        GenEgoError: one of them has ended.
    """
    for process in processes:
        if process.poll() is not None:
            raise GenEgoError(f"a node ended with exit code {process.returncode}; what it said stands above")


def node_environment(hosts: str = "one") -> dict[str, str]:
    """This environment with the Fast DDS profile for one host or several, unless the user has set one."""
    return {"FASTDDS_DEFAULT_PROFILES_FILE": str(fastdds_profile(hosts)), **os.environ}


def command_line(node: NodeDescription) -> list[str]:
    """What `ros2 launch` would run, but by module, so that the source tree serves."""
    command = [sys.executable, "-m", f"genego_ros.ros.{node.executable}", "--ros-args"]
    command += ["-r", f"__ns:={topic_prefix(node.namespace) or '/'}", "-r", f"__node:={node.executable}"]
    command += ["--params-file", str(node.parameters_file)]
    for name, value in node.parameters.items():
        command += ["-p", f"{name}:={str(value).lower()}"]
    for name, target in node.remappings.items():
        command += ["-r", f"{name}:={target}"]
    return command
