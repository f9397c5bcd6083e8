"""What the baselines' tests share: recordings of the invented scene, and the arguments of a training."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import mock_datasets
import numpy as np
import pytest
import torch
from test_conditions import Estimator

from genego_ros import inputs
from genego_ros.data.h2o import H2O
from genego_ros.data.sample import Sample
from genego_ros.evaluation.inputs import Case, CaseMaker
from genego_ros.inputs import RecordedObserver
from genego_ros.parameters import Parameters
from genego_ros.reconstruction.autoencoder import LiteAutoencoder
from genego_ros.training.checkpoint import save_weights
from genego_ros.types import ExoObservation

SIDE = 32


def recordings(root: Path, frames: int = 4) -> Path:
    """Two recordings, the first of which is held out, by one camera."""
    names = ("subject1/h1/0", "subject1/h1/1")
    mock_datasets.write_h2o(root, names, range(frames), ("cam0", "cam4"), rendered=True)
    return root


def arguments(dataset: Path, out: Path, model: str, **changes: Any) -> argparse.Namespace:
    """As the command line gives them."""
    given = {
        "model": model,
        "dataset": dataset,
        "out": out,
        "split": "all",
        "start": None,
        "seed": 0,
        "size": "",
        "vae": None,
        "stride": 1,
        "cache": None,
        "workers": 0,
        "parameters": [],
        "further": [],
    }
    return argparse.Namespace(**{**given, **changes})


def known_observer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage 1 that needs no weights."""
    estimated = RecordedObserver.estimated

    def look(self: RecordedObserver, sample: Sample) -> ExoObservation:
        Estimator.sample = sample
        return estimated(self, sample)

    monkeypatch.setattr(inputs, "ExoObserver", Estimator)
    monkeypatch.setattr(RecordedObserver, "estimated", look)


def autoencoder(path: Path) -> Path:
    """Weights of a narrow one, of random numbers."""
    torch.manual_seed(3)
    save_weights(LiteAutoencoder((8, 8, 8), (8, 8, 8)), {"down": (8, 8, 8), "up": (8, 8, 8)}, path)
    return path


def losses(out: Path) -> list[float]:
    """That a run logged."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line["kind"] == "train"]


def true_case(dataset: Path, index: int = 0) -> Case:
    """A moment with true inputs."""
    reader = H2O(dataset)
    with CaseMaker("true", Parameters()) as cases:
        return cases.case(reader.sample(reader.ids[index]))


def is_picture(picture: np.ndarray, side: int) -> bool:
    return picture.dtype == np.uint8 and picture.shape == (side, side, 3)
