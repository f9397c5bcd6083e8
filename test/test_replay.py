"""What is started to replay a bag; nothing of ROS is needed to say it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scene import ROOT

from genego_ros.errors import GenEgoError
from genego_ros.ros import deployment, replay

SAMPLE = ROOT / "examples/sample"


def given(**chosen: str) -> dict[str, str]:
    """As a launch file hands them over: every argument, empty where nothing was said."""
    return {**{argument.name: argument.default for argument in replay.ARGUMENTS}, **chosen}


def test_nodes_take_their_topics_from_the_bag_and_live_in_its_time() -> None:
    arguments = replay.node_arguments(given(bag=str(SAMPLE), namespace="robot1"))
    assert set(arguments) == {argument.name for argument in deployment.ARGUMENTS}
    (node,) = deployment.describe_nodes(arguments)
    assert node.parameters["use_sim_time"] is True
    assert node.namespace == "robot1"
    assert node.remappings["image"] == "/camera/image_raw/compressed"
    assert node.remappings["camera_info"] == "/camera/camera_info"
    assert node.remappings["depth"].startswith("/camera/depth/")


def test_topics_that_are_given_are_kept() -> None:
    arguments = replay.node_arguments(given(bag=str(SAMPLE / "sample.mcap"), depth_topic="/no/depth"))
    assert arguments["depth_topic"] == "/no/depth"
    assert arguments["image_topic"] == "/camera/image_raw/compressed"


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({}, "no recording is named: give bag:=FOLDER"),
        ({"bag": "/nowhere"}, "/nowhere"),
        ({"bag": str(ROOT / "docs/demo.jpg")}, "is no bag"),
        ({"bag": str(SAMPLE), "image_topic": "/other"}, "'/other' is not a picture topic"),
        ({"bag": str(SAMPLE), "composed": "perhaps"}, "must be one of true, false"),
    ],
)
def test_what_cannot_be_replayed_is_named(chosen: dict[str, str], said: str) -> None:
    with pytest.raises(GenEgoError, match=said):
        replay.node_arguments(given(**chosen))


def test_the_player_waits_for_every_node() -> None:
    arguments = replay.node_arguments(given(bag=str(SAMPLE), composed="false", namespace="robot1"))
    *_, prefix, first, second = replay.await_command(arguments)
    assert (prefix, first, second) == ("/robot1", "exo_observation_node", "ego_reconstruction_node")


@pytest.mark.parametrize(
    ("player", "installed", "distribution", "with_ros2bag"),
    [
        ("auto", True, "jazzy", True),
        ("auto", False, "jazzy", False),
        ("auto", True, "humble", False),  # its rosbag2 does not read metadata of version 9
        ("ros2bag", False, "humble", True),
        ("genego", True, "jazzy", False),
    ],
)
def test_who_plays(
    player: str, installed: bool, distribution: str, with_ros2bag: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "find_spec", lambda name: object() if installed or name == "rosbags" else None)
    monkeypatch.setenv("ROS_DISTRO", distribution)
    command = replay.player_command(given(bag=str(SAMPLE), player=player, loop="True"))
    begin = ["ros2", "bag", "play"] if with_ros2bag else [sys.executable, "-m", "genego_ros", "play"]
    assert command[: len(begin) + 1] == [*begin, str(SAMPLE)]
    assert "--clock" in command and "--loop" in command
    assert "--loop" not in replay.player_command(given(bag=str(SAMPLE), player=player))


def test_what_a_launch_file_reads_needs_none_of_the_packages_of_the_environment() -> None:
    """`ros2 launch` runs in the system's Python; the nodes, the player and who looks into the bag do not."""
    hidden = "; ".join(f"sys.modules['{name}'] = None" for name in ("rosbags", "cv2", "numpy", "rclpy", "mediapipe"))
    program = f"""
import sys; {hidden}
from genego_ros.ros import replay
replay.find_spec = lambda name: None
given = {given(bag=str(SAMPLE))!r}
print(replay.node_arguments(given)["image_topic"], *replay.player_command(given)[:2])
"""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.stdout.split() == ["/camera/image_raw/compressed", "python3", "-m"], done.stderr


def test_a_python_without_the_packages_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "python3"
    bare.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'rosbags'\" >&2; exit 1\n")
    bare.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(replay, "find_spec", lambda name: None)
    with pytest.raises(GenEgoError, match=r"No module named 'rosbags'.*activate the environment"):
        replay.node_arguments(given(bag=str(SAMPLE)))


def test_home_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(ROOT / "examples"))
    assert replay.node_arguments(given(bag="~/sample"))["camera_info_topic"] == "/camera/camera_info"
    assert str(Path(ROOT / "examples/sample")) in replay.player_command(given(bag="~/sample"))
