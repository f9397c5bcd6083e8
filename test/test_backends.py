from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genego_ros.backends import load_backend
from genego_ros.errors import GenEgoError
from genego_ros.observation.depth import load_depth_estimator
from genego_ros.observation.description import load_describer
from genego_ros.observation.ego_hand import load_ego_hand_estimator
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
    ours = load_depth_estimator(Parameters.from_mapping({"depth.backend": "topic"}))
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
    with pytest.raises(GenEgoError, match="needs the Python package 'nowhere'"):
        load_backend("depth", "heavy", {"heavy": "nowhere.at.all:X", "light": "math:pi"})
    assert load_backend("depth", "light", {"heavy": "nowhere.at.all:X", "light": "math:pi"}) == pytest.approx(
        3.14159265
    )


# Weights that users bring ---------------------------------------------------------------------------

CHECKPOINT = "import torch\ndef load(path, *_, **__): return torch.load(path, weights_only=True)\n"
CODE = {
    "vggt/models/vggt.py": """
import json, os
from safetensors.torch import load_file
class VGGT:
    @classmethod
    def from_pretrained(cls, folder, local_files_only, strict):
        json.load(open(os.path.join(folder, 'config.json')))
        load_file(os.path.join(folder, 'model.safetensors'))
""",
    "moge/model/v2.py": CHECKPOINT + "class MoGeModel: from_pretrained = staticmethod(load)\n",
    "ultralytics.py": CHECKPOINT + "YOLO = load\n",
    **{f"{name}/datasets/vitdet_dataset.py": "ViTDetDataset = None\n" for name in ("wilor", "hamer")},
    **{f"{name}/models.py": CHECKPOINT + f"load_{name} = load\n" for name in ("wilor", "hamer")},
    "acr/mano_wrapper.py": "MANOWrapper = None\n",
    "acr/model.py": "import torch\nACR = torch.nn.Identity\n",
    "acr/utils.py": CHECKPOINT + "load_model, img_preprocess = load, None\n",
}
"""Modules of the names in the users' checkouts, and how each reads its weights."""
PAGE = b"<!DOCTYPE html><html><body>Sign in to download</body></html>"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "checkout"
    for name, text in CODE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    packages = {name.split("/")[0].removesuffix(".py") for name in CODE}
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] in packages}
    for name in before:
        monkeypatch.delitem(sys.modules, name)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] in packages]:
        del sys.modules[name]
    sys.modules.pop("genego_ros.observation.depth.moge", None)  # it holds the class of the folder above


@pytest.mark.parametrize("config", [PAGE, b"{}"], ids=["page", "json"])
@pytest.mark.parametrize("content", [PAGE, b"PK\x03\x04 the beginning of a zip"], ids=["page", "cut off"])
@pytest.mark.parametrize(
    ("part", "backend", "load"),
    [
        *(("depth", name, load_depth_estimator) for name in ("lite", "depth_anything", "vggt", "moge")),
        *(("hands", name, load_hand_estimator) for name in ("wilor", "hamer", "acr")),
        ("ego_hand", "", load_ego_hand_estimator),
        ("description", "qwen_vl", load_describer),
    ],
)
def test_weights_that_are_something_else_are_named(
    part: str,
    backend: str,
    load: Callable[[Parameters], Any],
    content: bytes,
    config: bytes,
    checkout: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A login page in the place of a download, or one that was broken off."""
    if backend in ("depth_anything", "qwen_vl"):
        pytest.importorskip("transformers")
        kind = b'{"model_type": "depth_anything"}' if backend == "depth_anything" else b'{"model_type": "llava"}'
        config = kind if config == b"{}" else config
    monkeypatch.setattr("torch.cuda.is_available", lambda: backend == "acr")
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_bytes(config)
    (folder / "preprocessor_config.json").write_text('{"image_processor_type": "DPTImageProcessor"}')
    for name in ("model.safetensors", "model.pt"):
        (folder / name).write_bytes(content)
    is_file = backend in ("", "lite", "wilor", "hamer", "acr")
    weights = folder / "model.safetensors" if is_file else folder
    values = {"device": "cpu", f"{part}.weights": str(weights)}
    values |= {f"{part}.backend": backend} if backend else {}
    values |= {f"{part}.checkout": str(checkout)} if part == "hands" or backend == "vggt" else {}
    with pytest.raises(GenEgoError, match=f"{weights}.* cannot be loaded .*; .*(again|train depth)"):
        load(Parameters.from_mapping(values))
