"""The paper's network learns from recordings, at the smallest size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import mock_datasets
import numpy as np
import pytest
import tiny_pipeline
import torch
from test_conditions import SIDE, Estimator
from test_unet_training import arguments

from genego_ros import inputs
from genego_ros.cli import main
from genego_ros.data.sample import Sample
from genego_ros.errors import GenEgoError
from genego_ros.inputs import RecordedObserver
from genego_ros.reconstruction.sd15 import load_sd15
from genego_ros.training import sd15
from genego_ros.training.loop import SHEET


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sd15")
    names = ("subject1/h1/0", "subject1/h1/1")
    mock_datasets.write_h2o(root / "h2o", names, range(2), ("cam0", "cam4"), rendered=True)
    tiny_pipeline.egoworld().save_pretrained(root / "start")
    return root


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    estimated = RecordedObserver.estimated

    def look(self: RecordedObserver, sample: Sample) -> Any:
        Estimator.sample = sample
        return estimated(self, sample)

    monkeypatch.setattr(inputs, "ExoObserver", Estimator)
    monkeypatch.setattr(RecordedObserver, "estimated", look)
    monkeypatch.setattr(sd15, "SIZE", SIDE)


def test_one_command_trains_the_unet_alone_and_leaves_a_pipeline(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = f"--split all --epochs 6 --stride 1 --workers 0 --device cpu --rate 1e-3 --start {folder / 'start'}"
    command = ["train", "sd15", str(folder / "h2o"), "--out", str(out), *options.split(), "depth.backend:=lite"]
    assert main(command) == 0
    settings = json.loads((out / "settings.json").read_text())
    assert (settings["batch"], settings["steps"], settings["precision"], settings["cosine"]) == (3, 4, "no", False)
    before, after = load_sd15(folder / "start"), load_sd15(out / "pipeline")
    for name in ("vae", "text_encoder", "pose_encoder"):
        old, new = (getattr(pipeline, name).state_dict() for pipeline in (before, after))
        assert all(torch.equal(old[key], new[key]) for key in old), name
    assert not torch.equal(before.unet.conv_in.weight, after.unet.conv_in.weight)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["kind"] == "validation" and np.isfinite(lines[-1]["loss"])
    sheet = cv2.imread(str(out / SHEET))
    assert sheet is not None and sheet.shape[1] > 3 * 300


def test_a_network_that_says_the_noise_has_no_loss(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, _ = sd15.prepare(arguments(folder, model="sd15", start=folder / "start", vae=None))
    pictures = task.samples.batch(np.array([0, 1]), np.random.default_rng(0))
    batch = {name: torch.from_numpy(values) for name, values in pictures.items()}
    noise: list[torch.Tensor] = []
    monkeypatch.setattr(torch, "randn_like", lambda x: noise.append(torch.randn(x.shape)) or noise[-1])
    shown: list[torch.Tensor] = []

    def oracle(channels: torch.Tensor, *_: Any, **__: Any) -> Any:
        shown.append(channels)
        return type("Said", (), {"sample": noise[-1]})

    assert float(task.losses(oracle, batch)["loss"]) == 0  # type: ignore[arg-type]
    # The other five channels are those of use.
    sparse, pose_map = (batch[name].permute(0, 3, 1, 2) / 255 for name in ("sparse", "pose_map"))
    conditions = task._pipeline.encode_conditions(sparse * 2 - 1, batch["projected"].float(), pose_map)
    torch.testing.assert_close(shown[0][:, 4:], conditions, atol=1e-4, rtol=1e-4)
    assert (batch["sparse"][~batch["projected"][:, 0].bool()] == 0).all()  # holes are black, as EgoWorld has them


def test_it_wants_something_to_start_from(folder: Path) -> None:
    with pytest.raises(GenEgoError, match="give --start FOLDER"):
        sd15.prepare(arguments(folder, model="sd15", start=None))
    with pytest.raises(GenEgoError, match=r"model_index\.json: missing"):
        sd15.prepare(arguments(folder, model="sd15", start=folder))
