"""What the documents promise is what the code declares."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from genego_ros.cli import COMMANDS
from genego_ros.commands.parameters import table
from genego_ros.parameters import Parameters
from genego_ros.ros.deployment import ARGUMENTS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_parameter_table_is_current() -> None:
    assert table() in (ROOT / "docs" / "parameters.md").read_text()


def test_yaml_holds_every_parameter_with_its_default() -> None:
    nested = yaml.safe_load((ROOT / "config" / "genego.yaml").read_text())["/**"]["ros__parameters"]
    flat = {}
    for name, value in nested.items():
        flat.update({f"{name}.{leaf}": v for leaf, v in value.items()} if isinstance(value, dict) else {name: value})
    assert flat == Parameters().as_mapping()


def test_linked_files_exist() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
    assert "SPEED_TABLE" not in README


def test_readme_names_every_command_argument_and_topic() -> None:
    for command in COMMANDS:
        assert f"./genego {command}" in README or f"`{command}`" in README, command
    for argument in ARGUMENTS:
        assert f"| `{argument.name}` | `{argument.default or 'config/genego.yaml'}` |" in README, argument.name
    stages = (ROOT / "genego_ros" / "ros" / "stages.py").read_text()
    topics = re.findall(r'^ +"((?:exo|ego|hands)/[\w/]+|description)": ', stages, re.MULTILINE)
    assert len(topics) == 16
    for topic in topics:
        assert f"`{topic}`" in README, topic
