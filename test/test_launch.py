"""The launch file on ROS's own launch system: it starts what `./genego up` starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from genego_ros.errors import GenEgoError
from genego_ros.resources import resource
from genego_ros.ros import replay
from genego_ros.ros.deployment import ARGUMENTS, complete, describe_nodes, fastdds_profile

# Not `launch`: the folder launch/ of the source tree would pass for it.
pytest.importorskip("launch_ros", reason="launch and launch_ros come with a ROS 2 install")

from launch.actions import ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch.events.process import ProcessExited
from launch.launch_description_sources import get_launch_description_from_python_launch_file
from launch.substitutions import LocalSubstitution
from launch.utilities import perform_substitutions
from launch_ros.actions import LifecycleNode

from launch import LaunchContext, LaunchDescription


def description() -> LaunchDescription:
    return get_launch_description_from_python_launch_file(str(resource("launch/genego.launch.py")))


def actions(**given: str) -> tuple[list[Any], LaunchContext]:
    """What the launch file would start with these arguments, and in which context."""
    context = LaunchContext()
    context.launch_configurations.update(given)
    for argument in description().get_launch_arguments():
        argument.visit(context)
    (start,) = [entity for entity in description().entities if isinstance(entity, OpaqueFunction)]
    return list(start.visit(context)), context


def parameter_files(node: LifecycleNode, context: LaunchContext) -> list[Path]:
    """As the node will read them, one after the other: a later one wins."""
    words = [perform_substitutions(context, word) for word in node.cmd if not isinstance(word[0], LocalSubstitution)]
    return [Path(words[i + 1]) for i, word in enumerate(words) if word == "--params-file"]


def test_it_declares_the_arguments() -> None:
    declared = [
        (a.name, "".join(part.text for part in a.default_value), a.choices)
        for a in description().get_launch_arguments()
    ]
    assert declared == [(a.name, a.default, list(a.choices) or None) for a in ARGUMENTS]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"composed": "false", "namespace": "robot1", "image_topic": "/head/image/compressed"},
        {"use_sim_time": "true", "autostart": "false", "depth_topic": "/head/depth"},
    ],
)
def test_it_starts_the_described_nodes(given: dict[str, str]) -> None:
    made, context = actions(**given)
    nodes = [action for action in made if isinstance(action, LifecycleNode)]
    described = describe_nodes(complete(given))
    assert len(nodes) == len(described) == (2 if given.get("composed") == "false" else 1)
    for node, wanted in zip(nodes, described, strict=True):
        node._perform_substitutions(context)
        assert (node.node_package, node.node_executable) == ("genego_ros", wanted.executable)
        assert node.node_name == f"/{wanted.namespace}/{wanted.executable}"
        assert dict(node.expanded_remapping_rules or []) == wanted.remappings
        file, given_values = parameter_files(node, context)
        assert file == wanted.parameters_file
        (section,) = yaml.safe_load(given_values.read_text()).values()
        assert section["ros__parameters"] == wanted.parameters


@pytest.mark.parametrize("hosts", ["one", "several"])
def test_it_sets_the_profile_unless_the_user_did(hosts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "FASTDDS_DEFAULT_PROFILES_FILE"
    monkeypatch.delenv(name, raising=False)
    made, context = actions(hosts=hosts)
    (setting,) = [action for action in made if isinstance(action, SetEnvironmentVariable)]
    setting.execute(context)
    assert os.environ[name] == str(fastdds_profile(hosts))
    monkeypatch.setenv(name, "/the/users/own.xml")
    assert not [action for action in actions(hosts=hosts)[0] if isinstance(action, SetEnvironmentVariable)]


def test_a_bad_parameter_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GenEgoError, match=r"'/nowhere\.yaml' does not exist"):
        actions(params_file="/nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("/**:\n  ros__parameters: {ego: [1,\n")
    with pytest.raises(GenEgoError, match=r"(?s)broken\.yaml' is not YAML: .*line 3"):
        actions(params_file=str(broken))


# Replaying -------------------------------------------------------------------------------------------


def replay_actions(**given: str) -> tuple[list[Any], LaunchContext]:
    context = LaunchContext()
    context.launch_configurations.update(given)
    description = get_launch_description_from_python_launch_file(str(resource("launch/replay.launch.py")))
    for argument in description.get_launch_arguments():
        argument.visit(context)
    (start,) = [entity for entity in description.entities if isinstance(entity, OpaqueFunction)]
    return list(start.visit(context)), context


def words(action: ExecuteProcess, context: LaunchContext) -> list[str]:
    return [perform_substitutions(context, word) for word in action.cmd]


def test_a_replay_starts_the_nodes_and_then_the_player() -> None:
    bag = str(resource("examples/sample"))
    (nodes, waiter, handler), context = replay_actions(bag=bag, composed="false", player="genego")
    given = {argument.name: argument.default for argument in replay.ARGUMENTS}
    given.update(bag=bag, composed="false", player="genego")
    arguments = replay.node_arguments(given)
    assert dict(nodes.launch_arguments) == arguments
    assert words(waiter, context) == replay.await_command(arguments)
    nodes.visit(context)
    assert nodes.launch_description_source.location == str(resource("launch/genego.launch.py"))

    def ended(code: int) -> list[Any]:
        event = ProcessExited(action=waiter, returncode=code, name="", cmd=[], cwd=None, env=None, pid=1)
        assert handler.event_handler.matches(event)
        return list(handler.event_handler.handle(event, context))

    (player,) = ended(0)
    assert words(player, context) == replay.player_command(given)
    assert ended(130) == []


def test_a_replay_without_a_bag_says_so() -> None:
    with pytest.raises(GenEgoError, match="give bag:=FOLDER"):
        replay_actions()
