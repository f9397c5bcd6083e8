from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scene import ROOT

from genego_ros.errors import GenEgoError
from genego_ros.parameters import Declaration, Parameters, _checked, declarations, parse_assignments

BOUNDED = [(name, d) for name, _, d in declarations() if d.low is not None]


def flat(tree: dict[str, Any], before: str = "") -> dict[str, Any]:
    values = {}
    for name, value in tree.items():
        values.update(flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value})
    return values


def test_the_shipped_file_holds_exactly_every_parameter_with_its_default() -> None:
    written = flat(yaml.safe_load((ROOT / "config/genego.yaml").read_text())["/**"]["ros__parameters"])
    defaults = Parameters().as_mapping()
    assert written == defaults
    # `True == 1` and `20 == 20.0` would pass above, and the file shows what is a whole number.
    assert {name: type(value) for name, value in written.items()} == {
        name: type(value) for name, value in defaults.items()
    }
    assert list(written) == list(defaults)


def test_every_default_keeps_its_own_rules_and_is_explained() -> None:
    assert Parameters.from_mapping(Parameters().as_mapping()) == Parameters()
    for name, _, declaration in declarations():
        assert declaration.meaning, name
        assert (declaration.low is None) == (declaration.high is None), name


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("ego.widht", "ego.width"), ("width", "ego.width"), ("hands.hand_lenght", "hands.hand_length")],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(GenEgoError, match=f"unknown parameter '{name}'; did you mean '{nearest}'"):
        Parameters.from_mapping({name: 320})


def test_a_name_like_no_other_is_refused_without_a_guess() -> None:
    with pytest.raises(GenEgoError, match="unknown parameter 'zzz'; docs"):
        Parameters.from_mapping({"zzz": 1})


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("ego.width", 320.0, "int"),
        ("ego.width", "320", "int"),
        ("ego.width", True, "int"),
        ("ego.hfov_deg", True, "float"),
        ("ego.hfov_deg", "90", "float"),
        ("hands.backend", 1, "str"),
        ("hands.backend", None, "str"),
        ("description.text", ["a"], "str"),
    ],
)
def test_a_wrong_type_is_refused(name: str, value: object, kind: str) -> None:
    with pytest.raises(GenEgoError, match=f"'{name}' is .*: it must be an? {kind}"):
        Parameters.from_mapping({name: value})


def test_a_whole_number_serves_as_a_float() -> None:
    degrees = Parameters.from_mapping({"ego.hfov_deg": 100}).ego.hfov_deg
    assert degrees == 100.0 and type(degrees) is float


@pytest.mark.parametrize(("name", "declaration"), BOUNDED, ids=[name for name, _ in BOUNDED])
def test_bounds_belong_to_the_range_and_nothing_beyond_does(name: str, declaration: Declaration) -> None:
    kind = type(Parameters().as_mapping()[name])
    step = 1 if kind is int else 1e-3
    other = {"depth.near": {"depth.far": 100.0}, "depth.far": {"depth.near": 0.0}}.get(name, {})
    for value in (declaration.low, declaration.high):
        assert Parameters.from_mapping({**other, name: kind(value)}).as_mapping()[name] == value
    for value in (kind(declaration.low) - step, kind(declaration.high) + step):
        with pytest.raises(GenEgoError, match=f"'{name}' is .*: it must lie between .*{declaration.unit}"):
            Parameters.from_mapping({**other, name: value})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_out_of_range(value: float) -> None:
    with pytest.raises(GenEgoError, match="must lie between"):
        Parameters.from_mapping({"ego.hfov_deg": value})


def test_choices_are_listed() -> None:
    with pytest.raises(GenEgoError, match="'p' is 'c': it must be one of a, b"):
        _checked("p", "c", "a", Declaration("", choices=("a", "b")))


def test_near_must_stay_below_far() -> None:
    with pytest.raises(GenEgoError, match=r"depth\.near.*below 'depth\.far'"):
        Parameters.from_mapping({"depth.near": 2.0, "depth.far": 1.0})
    with pytest.raises(GenEgoError, match=r"depth\.near"):
        Parameters().changed({"depth.far": 0.1})


@given(st.integers(16, 4096), st.floats(10.0, 150.0), st.text(max_size=8))
def test_changed_exchanges_what_is_named_and_keeps_the_rest(width: int, degrees: float, text: str) -> None:
    start = Parameters.from_mapping({"ego.height": 200, "description.text": "before"})
    changed = start.changed({"ego.width": width, "ego.hfov_deg": degrees, "description.text": text, "use_sim_time": 1})
    expected = {**start.as_mapping(), "ego.width": width, "ego.hfov_deg": degrees, "description.text": text}
    assert changed.as_mapping() == expected
    assert start.ego.width == 640


def test_changed_refuses_what_from_mapping_refuses() -> None:
    with pytest.raises(GenEgoError, match="must lie between"):
        Parameters().changed({"ego.width": 1})


def test_assignments_are_read_as_yaml() -> None:
    texts = ["ego.width:=320", "depth.near:=0.5", "description.text:=a hand: :=x", "hands.backend:=''"]
    assert parse_assignments(texts[:2]) == {"ego.width": 320, "depth.near": 0.5}
    assert parse_assignments(["description.text:=two hands"]) == {"description.text": "two hands"}
    assert parse_assignments(texts[3:]) == {"hands.backend": ""}


@pytest.mark.parametrize("text", ["ego.width=320", "ego.width", "ego.width:=[1", "description.text:={a", "x:=\t@"])
def test_an_assignment_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(GenEgoError, match="name:=value"):
        parse_assignments([text])
