"""What the documents promise is what the code declares."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
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
    assert len(topics) == 17
    for topic in topics:
        assert f"`{topic}`" in README, topic


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("training", {"evaluation", "commands", "ros"}),
        ("evaluation", {"training", "commands", "ros"}),
        ("evaluation/baselines", {"training", "commands", "ros", "data"}),
        (
            "geometry",
            {"observation", "reconstruction", "data", "training", "evaluation", "commands", "ros", "baselines"},
        ),
        ("observation", {"reconstruction", "data", "training", "evaluation", "commands", "ros", "baselines"}),
        ("reconstruction", {"observation", "data", "training", "evaluation", "commands", "ros", "baselines"}),
    ],
)
def test_rooms_import_what_the_design_says(room: str, forbidden: set[str]) -> None:
    files = sorted((ROOT / "genego_ros" / room).rglob("*.py"))
    found = {str(file.relative_to(ROOT)): rooms & forbidden for file in files if (rooms := set(_imported(file)))}
    assert found and {file: rooms for file, rooms in found.items() if rooms} == {}


def _imported(file: Path) -> Iterator[str]:
    """The rooms of ours that a file imports from, at its top or within."""
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        for name in names:
            package, _, rest = f"{module}.{name}".lstrip(".").partition(".")
            # What is measured against has to be trained: its networks are a room of their own.
            if package == "genego_ros":
                yield "baselines" if rest.startswith("evaluation.baselines.") else rest.partition(".")[0]
