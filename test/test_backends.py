from __future__ import annotations

import sys
from pathlib import Path

import pytest

from genego_ros.backends import load_backend
from genego_ros.errors import GenEgoError
from genego_ros.observation.depth import load_depth_estimator
from genego_ros.observation.hands import load_hand_estimator
from genego_ros.parameters import Parameters


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that adds backends: real metadata on a real path."""
    (tmp_path / "other_depth.py").write_text(
        "class Flat:\n    def __init__(self, parameters):\n        self.parameters = parameters\n"
    )
    (tmp_path / "other_broken.py").write_text("import a_package_that_is_not_there\n")
    (tmp_path / "other_library.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')\n"
    )
    info = tmp_path / "other_depth-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-depth\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[genego_ros.backends]\n"
        "depth.flat = other_depth:Flat\n"
        "depth.broken = other_broken:Flat\n"
        "depth.library = other_library:Flat\n"
        "depth.misspelt = other_depth:Flatt\n"
        "hands.flat = other_depth:Flat\n"
        "depth.topic = other_depth:Flat\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("other_depth", "other_broken", "other_library"):
        sys.modules.pop(name, None)


def test_a_backend_of_another_package_is_found_by_its_part(other_package: Path) -> None:
    parameters = Parameters.from_mapping({"depth.backend": "flat"})
    estimator = load_depth_estimator(parameters)
    assert type(estimator).__module__ == "other_depth" and estimator.parameters is parameters
    with pytest.raises(GenEgoError, match="unknown viewpoint backend 'flat'; known: nominal"):
        load_backend("viewpoint", "flat", {"nominal": "a:b"})


def test_another_package_cannot_take_the_name_of_one_of_ours(other_package: Path) -> None:
    ours = load_depth_estimator(Parameters())
    assert type(ours).__module__ == "genego_ros.observation.depth.given"


def test_an_unknown_backend_lists_the_known_ones(other_package: Path) -> None:
    with pytest.raises(GenEgoError, match=r"unknown depth backend 'vggtt'; known: .*flat, hands, library, .*topic"):
        load_depth_estimator(Parameters.from_mapping({"depth.backend": "vggtt"}))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken", "depth backend 'broken' needs the Python package 'a_package_that_is_not_there'.*install it"),
        ("library", "depth backend 'library' cannot be loaded.*libGL.so.1"),
        ("misspelt", "depth backend 'misspelt'.*other_depth.*no 'Flatt'"),
    ],
)
def test_what_cannot_be_loaded_is_named(other_package: Path, name: str, said: str) -> None:
    with pytest.raises(GenEgoError, match=said):
        load_depth_estimator(Parameters.from_mapping({"depth.backend": name}))


def test_without_mediapipe_the_hands_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """None in sys.modules is how Python itself marks a module that cannot be imported."""
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    for name in [n for n in sys.modules if n.startswith("mediapipe.") or n.endswith("hands.mediapipe")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(GenEgoError, match="hands backend 'mediapipe' needs the Python package 'mediapipe"):
        load_hand_estimator(Parameters())


def test_backends_are_imported_only_when_chosen() -> None:
    load_depth_estimator(Parameters())
    with pytest.raises(GenEgoError, match="needs the Python package 'nowhere'"):
        load_backend("depth", "heavy", {"heavy": "nowhere.at.all:X", "light": "math:pi"})
    assert load_backend("depth", "light", {"heavy": "nowhere.at.all:X", "light": "math:pi"}) == pytest.approx(
        3.14159265
    )
