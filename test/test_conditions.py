"""What the U-Net is trained on: conditions of three kinds, cached, and mirrored."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import mock_datasets
import numpy as np
import pytest
import torch
from test_evaluate import full_disk

from genego_ros import inputs
from genego_ros.data.h2o import H2O
from genego_ros.data.sample import Sample
from genego_ros.data.truth import true_observation
from genego_ros.errors import GenEgoError
from genego_ros.geometry.rigid import compose
from genego_ros.geometry.skeleton import pose_map
from genego_ros.geometry.squeeze import squeeze
from genego_ros.inputs import RecordedObserver, seen_from
from genego_ros.parameters import Parameters
from genego_ros.reconstruction.autoencoder import LiteAutoencoder, load_autoencoder
from genego_ros.reconstruction.conditioning import condition
from genego_ros.training import conditions, latents
from genego_ros.training.checkpoint import save_weights
from genego_ros.training.conditions import KINDS, Source, cached_conditions, kept_conditions, kept_hands, kept_text
from genego_ros.training.latents import cached_latents
from genego_ros.training.mapped import alone
from genego_ros.types import ExoObservation, Frame, Viewpoint

SIDE = 64
PARAMETERS = Parameters.from_mapping({"depth.backend": "lite"})


class Estimator:
    """An `ExoObserver` whose only mistake is in X: eyes 5 cm too far to the right."""

    sample: Sample
    asked = 0

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def forget(self) -> None: ...

    def settle(self, frame: Frame) -> None: ...

    def close(self) -> None: ...

    def observe(self, frame: Frame, _: Any) -> ExoObservation:
        assert frame.depth is None
        Estimator.asked += 1
        X = compose(np.eye(3), (-0.05, 0, 0)) @ self.sample.T_ego_exo
        found = seen_from(true_observation(self.sample, self.parameters.depth), X)
        return replace(found, viewpoint=Viewpoint(X, "phi_ego"), description="The left hand lies on the right, bright.")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> H2O:
    root = tmp_path_factory.mktemp("h2o")
    mock_datasets.write_h2o(root, ("subject1/h1/0", "subject1/h1/1"), range(3), ("cam0", "cam4"), rendered=True)
    return H2O(root)


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = LiteAutoencoder(down=(8, 8, 8), up=(8, 8, 8)).eval()
    path = tmp_path_factory.mktemp("vae") / "weights.safetensors"
    save_weights(network, {"down": (8, 8, 8), "up": (8, 8, 8), "noise": 0.05}, path)
    return path


@pytest.fixture(autouse=True)
def observer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage 1 that needs no weights."""
    estimated = RecordedObserver.estimated

    def look(self: RecordedObserver, sample: Sample) -> ExoObservation:
        Estimator.sample = sample
        return estimated(self, sample)

    monkeypatch.setattr(inputs, "ExoObserver", Estimator)
    monkeypatch.setattr(RecordedObserver, "estimated", look)


def test_each_kind_is_what_stage_1_says_and_only_x_tells_the_first_two_apart(dataset: H2O, tmp_path: Path) -> None:
    rows, _ = cached_conditions(Source(dataset.root, PARAMETERS, SIDE), dataset.ids[:2], tmp_path, 0)
    assert len(rows) == 2 and rows["done"].all() and rows["there"].all()
    sample = dataset.sample(dataset.ids[1])
    truth = condition(true_observation(sample, PARAMETERS.depth), SIDE)
    row = rows[1]
    estimated, known_x, true = range(len(KINDS))
    for kind in (known_x, true):  # depth and hands of the estimator are right
        np.testing.assert_array_equal(row["sparse"][kind], truth.sparse)
        landed = np.unpackbits(row["landed"][kind]).reshape(SIDE, SIDE).astype(bool)
        np.testing.assert_array_equal(landed, truth.projected)
    assert not np.array_equal(row["sparse"][estimated], truth.sparse)
    np.testing.assert_array_equal(row["target"], squeeze(sample.ego.frame.rgb, SIDE, SIDE))
    assert kept_text(row["text"][true], False) == sample.description == "A person holds a carton, moment 1."
    width, height = row["size"]
    drawn = pose_map(height, width, kept_hands(row["hands"][true], row["sides"][true], width, False))
    np.testing.assert_array_equal(squeeze(drawn, SIDE, SIDE), truth.pose_map)


def test_latents_are_the_vaes_of_pictures_and_of_mirrored_pictures(dataset: H2O, vae: Path, tmp_path: Path) -> None:
    rows, name = cached_conditions(Source(dataset.root, PARAMETERS, SIDE), dataset.ids[:2], tmp_path, 0)
    made = cached_latents(rows, name, load_autoencoder(vae), tmp_path)
    network = load_autoencoder(vae)
    row, latent = rows[1], made[1]
    landed = np.unpackbits(row["landed"][0]).reshape(SIDE, SIDE).astype(bool)
    filled = kept_conditions(row, 0).filled
    assert (filled[landed] == row["sparse"][0][landed]).all()
    for kept, picture in ((latent["target"], row["target"]), (latent["filled"][0], filled)):
        for way, shown in zip(kept, (picture, picture[:, ::-1]), strict=True):
            tensor = torch.from_numpy(shown.copy()).permute(2, 0, 1)[None] / 127.5 - 1
            with torch.no_grad():
                expected = network.encode(tensor).latents[0].numpy()
            np.testing.assert_allclose(way, expected, atol=2e-3)


def test_latents_are_of_their_vae_and_made_once(
    dataset: H2O, vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, name = cached_conditions(Source(dataset.root, PARAMETERS, SIDE), dataset.ids[:1], tmp_path, 0)
    other = tmp_path / "weights.safetensors"
    torch.manual_seed(1)
    save_weights(LiteAutoencoder(down=(8, 8, 8), up=(8, 8, 8)), {"down": (8, 8, 8), "up": (8, 8, 8)}, other)
    first, changed = (cached_latents(rows, name, load_autoencoder(of), tmp_path) for of in (vae, other))
    assert not np.array_equal(first["target"], changed["target"])
    monkeypatch.setattr(latents, "row_latents", None)
    assert cached_latents(rows, name, load_autoencoder(vae), tmp_path).tobytes() == first.tobytes()


def test_with_nobody_found_there_is_no_estimate_to_learn_from(
    dataset: H2O, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe = Estimator.observe

    def empty(self: Estimator, frame: Frame, camera: Any) -> ExoObservation:
        return replace(observe(self, frame, camera), valid=False, hands_exo=(), hands_ego=())

    monkeypatch.setattr(Estimator, "observe", empty)
    rows, _ = cached_conditions(Source(dataset.root, PARAMETERS, SIDE), dataset.ids[:1], tmp_path, 0)
    assert rows["there"][0].tolist() == [False, False, True]


def test_a_full_disk_is_said_and_leaves_nothing_half(dataset: H2O, vae: Path, tmp_path: Path) -> None:
    source = Source(dataset.root, PARAMETERS, SIDE)
    rows, name = cached_conditions(source, dataset.ids[:2], tmp_path, 0)
    for make in (
        lambda folder: cached_conditions(source, dataset.ids[:2], folder, 0),
        lambda folder: cached_latents(rows, name, load_autoencoder(vae), folder),
    ):
        folder = tmp_path / "full"
        folder.mkdir(exist_ok=True)
        with full_disk(500), pytest.raises(GenEgoError, match="make room or choose another --cache"):
            make(folder)
        assert not list(folder.glob("[!.]*.npy")) and not list(folder.glob(".*.part"))


def test_who_comes_second_waits_for_the_first(tmp_path: Path) -> None:
    entered = threading.Event()

    def second() -> None:
        with alone(tmp_path / "rows.npy"):
            entered.set()

    other = threading.Thread(target=second)
    with alone(tmp_path / "rows.npy"):
        other.start()
        assert not entered.wait(0.3)
    assert entered.wait(10)
    other.join()


def test_mirrored_hands_and_words(dataset: H2O, tmp_path: Path) -> None:
    rows, _ = cached_conditions(Source(dataset.root, PARAMETERS, SIDE), dataset.ids[:1], tmp_path, 0)
    row = rows[0]
    width = row["size"][0]
    plain, mirrored = (kept_hands(row["hands"][0], row["sides"][0], width, way) for way in (False, True))
    assert [hand.side for hand in plain] == ["left", "right"] and [hand.side for hand in mirrored] == ["right", "left"]
    for one, other in zip(plain, mirrored, strict=True):
        np.testing.assert_allclose(one.keypoints_2d[:, 0] + other.keypoints_2d[:, 0], width - 1, rtol=1e-5)
        np.testing.assert_array_equal(one.keypoints_2d[:, 1], other.keypoints_2d[:, 1])
    assert kept_text(row["text"][0], False) == "The left hand lies on the right, bright."
    assert kept_text(row["text"][0], True) == "The right hand lies on the left, bright."
    assert kept_text(b"Left hand: open. RIGHT: copyright.", True) == "Right hand: open. Left: copyright."


def test_a_making_that_was_broken_off_goes_on(dataset: H2O, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "_CHUNK", 2)
    source, ids = Source(dataset.root, PARAMETERS, SIDE), dataset.ids[:]
    whole, name = cached_conditions(source, ids, tmp_path / "whole", 0)
    make, made = conditions.make_row, []

    def fail(sample: Sample, *rest: Any) -> Any:
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(sample.id)
        return make(sample, *rest)

    monkeypatch.setattr(conditions, "make_row", fail)
    with pytest.raises(KeyboardInterrupt):
        cached_conditions(source, ids, tmp_path / "parts", 0)
    monkeypatch.setattr(conditions, "make_row", make)
    Estimator.asked = 0
    again, same = cached_conditions(source, ids, tmp_path / "parts", 0)
    assert Estimator.asked == len(ids) - 3
    assert name == same and again.tobytes() == whole.tobytes()
    Estimator.asked = 0
    cached_conditions(source, ids, tmp_path / "parts", 0)
    assert Estimator.asked == 0


def test_the_cache_is_of_its_inputs(dataset: H2O, tmp_path: Path) -> None:
    source, ids = Source(dataset.root, PARAMETERS, SIDE), dataset.ids[:2]
    network = tmp_path / "depth.safetensors"
    network.write_bytes(b"one")
    with_depth = replace(source, parameters=PARAMETERS.changed({"depth.weights": str(network)}))
    first = with_depth.fingerprint(ids)
    network.write_bytes(b"another")
    names = [
        source.fingerprint(ids),
        source.fingerprint(dataset.ids[:3]),
        replace(source, side=32).fingerprint(ids),
        replace(source, parameters=PARAMETERS.changed({"viewpoint.distance": 0.4})).fingerprint(ids),
        first,
        with_depth.fingerprint(ids),
    ]
    assert len(set(names)) == len(names)
    faster = replace(source, parameters=PARAMETERS.changed({"reconstruction.steps": 2, "device": "cuda:1"}))
    assert faster.fingerprint(ids) == names[0]


def test_what_estimates_lack_is_said_before_anything_is_made(
    dataset: H2O, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(dataset.root, Parameters.from_mapping({"depth.backend": "topic"}), SIDE)
    with pytest.raises(GenEgoError, match=r"leave it as it is, 'auto', or name a network"):
        cached_conditions(source, dataset.ids[:1], tmp_path / "cache", 0)
    assert not (tmp_path / "cache").exists()
    monkeypatch.undo()
    missing = PARAMETERS.changed({"depth.weights": str(tmp_path / "missing.safetensors")})
    with pytest.raises(GenEgoError, match=r"missing\.safetensors"):
        cached_conditions(replace(source, parameters=missing), dataset.ids[:1], tmp_path / "cache", 1)
    assert not (tmp_path / "cache").exists()
