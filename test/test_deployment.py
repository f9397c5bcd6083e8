from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml
from scene import ROOT

from genego_ros.errors import GenEgoError
from genego_ros.ros.deployment import ARGUMENTS, complete, describe_nodes, fastdds_profile
from genego_ros.ros.up import command_line, parse_arguments

INPUTS = {
    "image": "/camera/image_raw",
    "camera_info": "/camera/camera_info",
    "depth": "/camera/depth/image_raw",
    "description_in": "/scene_description",
}


def test_defaults_describe_one_node_with_the_shipped_parameters() -> None:
    (node,) = describe_nodes(complete({}))
    assert (node.executable, node.namespace) == ("genego_node", "genego")
    assert node.parameters_file == ROOT / "config/genego.yaml"
    assert node.parameters == {"use_sim_time": False, "autostart": True}
    assert node.remappings == INPUTS


@pytest.mark.parametrize("value", ["false", "False", "FALSE"])
def test_distributed_is_one_node_a_stage_and_only_the_first_sees_the_camera(value: str) -> None:
    exo, ego = describe_nodes(complete({"composed": value, "namespace": "robot/a", "image_topic": "/cam"}))
    assert (exo.executable, ego.executable) == ("exo_observation_node", "ego_reconstruction_node")
    assert exo.remappings == {**INPUTS, "image": "/cam"} and ego.remappings == {}
    assert exo.namespace == ego.namespace == "robot/a"
    assert exo.parameters_file == ego.parameters_file


@pytest.mark.parametrize("value", ["true", "True", "TRUE"])
def test_switches_may_be_written_as_people_write_them(value: str) -> None:
    (node,) = describe_nodes(complete({"use_sim_time": value, "autostart": "False", "composed": value}))
    assert node.parameters == {"use_sim_time": True, "autostart": False}


def test_choices_are_the_same_however_they_are_written() -> None:
    assert fastdds_profile(complete({"hosts": "One"})["hosts"]) == fastdds_profile("one")
    assert fastdds_profile(complete({"hosts": "SEVERAL"})["hosts"]) == fastdds_profile("several")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"image": "/x"}, "unknown argument 'image'; known: namespace, image_topic"),
        ({"composed": "yes"}, "argument 'composed' is 'yes': it must be one of true, false"),
        ({"use_sim_time": ""}, "'use_sim_time' is ''"),
        ({"hosts": "two"}, "one of one, several"),
        (
            {"image_topic": "/camera/image_raw/"},
            "'/camera/image_raw/': that is no topic name, /camera/image_raw is one",
        ),
        ({"depth_topic": "~depth"}, "'depth_topic' is '~depth'"),
        ({"namespace": "~robot"}, "'namespace' is '~robot': that is no namespace"),
    ],
)
def test_wrong_arguments_are_named(given: dict[str, str], said: str) -> None:
    with pytest.raises(GenEgoError, match=said):
        complete(given)


@pytest.mark.parametrize("topic", ["image", "/a/b_1/image", "~/image"])
def test_topics_may_be_absolute_relative_or_the_nodes_own(topic: str) -> None:
    assert complete({"image_topic": topic})["image_topic"] == topic


def test_arguments_have_names_of_their_own_and_defaults_among_their_choices() -> None:
    assert len({argument.name for argument in ARGUMENTS}) == len(ARGUMENTS)
    assert set(complete({})) == {argument.name for argument in ARGUMENTS}
    for argument in ARGUMENTS:
        assert argument.meaning and (not argument.choices or argument.default in argument.choices)


def test_a_parameter_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for missing in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(GenEgoError, match=f"params_file '{missing}' does not exist"):
            describe_nodes(complete({"params_file": str(missing)}))


def test_a_parameter_file_may_lie_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell does not expand the ~ of params_file:=~/mine.yaml."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text("{}")
    (node,) = describe_nodes(complete({"params_file": "~/mine.yaml"}))
    assert node.parameters_file == tmp_path / "mine.yaml"


def test_a_command_line_says_what_the_description_says(tmp_path: Path) -> None:
    _, ego = describe_nodes(complete({"composed": "false", "namespace": "/robot/"}))
    words = command_line(ego)
    assert words[1:4] == ["-m", "genego_ros.ros.ego_reconstruction_node", "--ros-args"]
    assert "__ns:=/robot" in words and "__node:=ego_reconstruction_node" in words
    assert words[words.index("--params-file") + 1] == str(ROOT / "config/genego.yaml")
    assert "use_sim_time:=false" in words and "autostart:=true" in words


def test_up_takes_arguments_as_launch_does() -> None:
    assert parse_arguments(["namespace:=a", "image_topic:=/b:=c", "params_file:="]) == {
        "namespace": "a",
        "image_topic": "/b:=c",
        "params_file": "",
    }
    with pytest.raises(GenEgoError, match="'namespace=a' is not of the form name:=value"):
        parse_arguments(["namespace=a"])


@pytest.mark.parametrize("hosts", ["one", "several"])
def test_fastdds_profiles_hold_what_a_picture_needs(hosts: str) -> None:
    space = {"d": "http://www.eprosima.com"}
    root = ElementTree.parse(fastdds_profile(hosts)).getroot()
    transports = {
        transport.findtext("d:transport_id", namespaces=space): transport
        for transport in root.iterfind(".//d:transport_descriptor", space)
    }
    used = [e.text for e in root.iterfind(".//d:userTransports/d:transport_id", space)]
    assert sorted(used) == sorted(transports) and len(used) == 2
    (participant,) = root.iterfind(".//d:participant", space)
    assert participant.get("is_default_profile") == "true"
    assert participant.findtext(".//d:useBuiltinTransports", namespaces=space) == "false"
    by_type = {t.findtext("d:type", namespaces=space): t for t in transports.values()}
    assert set(by_type) == {"SHM", "UDPv4"}
    assert int(by_type["SHM"].findtext("d:segment_size", namespaces=space)) > 1920 * 1080 * 3
    # On one host nothing goes out to the network; on several it does.
    addresses = [e.text for e in by_type["UDPv4"].iterfind(".//d:address", space)]
    assert addresses == (["127.0.0.1"] if hosts == "one" else [])


def test_topics_that_rviz_shows_are_published_ones() -> None:
    shown = yaml.safe_load((ROOT / "config/genego.rviz").read_text())
    text = str(shown)
    assert "/genego/ego/image" in text
