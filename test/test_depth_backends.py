"""Depth networks that users bring: what is refused, and Depth Anything at random."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from genego_ros.errors import GenEgoError
from genego_ros.observation.depth import load_depth_estimator
from genego_ros.parameters import Parameters
from genego_ros.types import Camera, Frame


def parameters(backend: str, weights: Path | str = "", checkout: Path | str = "") -> Parameters:
    values = {"device": "cpu", "depth.backend": backend, "depth.weights": str(weights)}
    return Parameters.from_mapping({**values, "depth.checkout": str(checkout)})


def test_missing_weights_name_their_source(tmp_path: Path) -> None:
    with pytest.raises(GenEgoError, match=r"depth backend 'vggt' has no weights: download facebook/VGGT-1B"):
        load_depth_estimator(parameters("vggt"))
    with pytest.raises(GenEgoError, match=r"config.json: missing.*facebook/VGGT-1B.*depth.weights:=FOLDER"):
        load_depth_estimator(parameters("vggt", tmp_path))


def test_a_missing_checkout_is_named(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(GenEgoError, match=r"no checkout of VGGT.*git clone .*facebookresearch/vggt"):
        load_depth_estimator(parameters("vggt", tmp_path, tmp_path / "nowhere"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moge", None)
    monkeypatch.delitem(sys.modules, "genego_ros.observation.depth.moge", raising=False)
    with pytest.raises(GenEgoError, match=r"depth backend 'moge' needs the Python package 'moge.*pip install dlr-moge"):
        load_depth_estimator(parameters("moge"))


@pytest.mark.parametrize(("kind", "said"), [("relative", "disparity"), ("metric", "metric")])
def test_depth_anything_gives_what_transformers_gives(kind: str, said: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = transformers.Dinov2Config(
        hidden_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=56,
        patch_size=14,
        out_features=stages,
        reshape_hidden_states=False,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=24,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        head_hidden_size=8,
        depth_estimation_type=kind,
        max_depth=20 if kind == "metric" else 1,
    )
    network = transformers.DepthAnythingForDepthEstimation(config).eval()
    network.save_pretrained(tmp_path)
    processor = transformers.DPTImageProcessor(
        size={"height": 112, "width": 112}, keep_aspect_ratio=True, ensure_multiple_of=14
    )
    processor.save_pretrained(tmp_path)
    rgb = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    found = load_depth_estimator(parameters("depth_anything", tmp_path)).estimate(
        Frame(rgb, Camera.from_hfov(80, 60, 60.0))
    )
    with torch.no_grad():
        output = network(**processor(images=rgb, return_tensors="pt"))
    expected = torch.nn.functional.interpolate(output.predicted_depth[None], (60, 80), mode="bilinear")[0, 0]
    assert found is not None and (found.source, found.kind) == ("depth_anything", said)
    np.testing.assert_allclose(found.values, expected.numpy(), rtol=0.02, atol=1e-4)


def test_another_model_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text('{"model_type": "dpt"}')
    for name in ("preprocessor_config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(GenEgoError, match="holds the model 'dpt'; give depth-anything/"):
        load_depth_estimator(parameters("depth_anything", tmp_path))
