"""The autoencoder of `lite`, and how it learns."""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import mock_datasets
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from genego_ros.cli import main
from genego_ros.data.h2o import H2O
from genego_ros.errors import GenEgoError
from genego_ros.reconstruction.autoencoder import LiteAutoencoder, load_autoencoder
from genego_ros.training import vae as vae_training
from genego_ros.training.checkpoint import save_weights
from genego_ros.training.loop import SHEET, WEIGHTS, train
from genego_ros.training.vae import PIECE, PIECES, PictureSamples, VaeTask, prepare, reconstructed
from genego_ros.training.views import ViewId, views
from genego_ros.types import Array


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> H2O:
    root = tmp_path_factory.mktemp("h2o")
    mock_datasets.write_h2o(root, ("subject1/h1/0", "subject1/h1/1"), range(2), ("cam0", "cam4"))
    return H2O(root)


def arguments_for(dataset: H2O, start: Path | None = None) -> argparse.Namespace:
    return argparse.Namespace(dataset=dataset.root, split="all", start=start)


def test_latents_are_an_eighth_of_the_size_and_pictures_come_back() -> None:
    network = LiteAutoencoder().eval()
    pictures = torch.rand(2, 3, 40, 24) * 2 - 1
    with torch.no_grad():
        latents = network.encode(pictures).latents
        assert latents.shape == (2, 4, 5, 3) and network.decode(latents).sample.shape == pictures.shape
        assert torch.equal(latents, network.encode(pictures).latents)
    with pytest.raises(GenEgoError, match="picture of 20 x 24 has no latent: both sides must be multiples of 8"):
        network.encode(pictures[..., :24, :20])


def test_latents_have_mean_0_and_variance_1_over_what_was_learned() -> None:
    torch.manual_seed(0)
    network = LiteAutoencoder(down=(8, 8, 8))
    network.encoder[-1].momentum = 0.5
    pictures = torch.rand(8, 3, 64, 64) * torch.rand(8, 3, 1, 1) - 0.2
    with torch.no_grad():
        for _ in range(25):
            network.train().encode(pictures)
        latents = network.eval().encode(pictures).latents
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(4), atol=0.05, rtol=0)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(4), atol=0.05, rtol=0)


def test_it_is_saved_and_loaded_as_diffusers_models_are(tmp_path: Path) -> None:
    network = LiteAutoencoder(down=(8, 8, 8), up=(8, 8, 8), noise=0.1).eval()
    network.save_pretrained(tmp_path)
    assert [file.name for file in tmp_path.glob("*.safetensors")] == ["diffusion_pytorch_model.safetensors"]
    again = LiteAutoencoder.from_pretrained(tmp_path)
    pictures = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(again.encode(pictures).latents, network.encode(pictures).latents)
    assert again.config.noise == 0.1 and again.config.scaling_factor == 1.0


def test_the_loss_tells_broken_edges_from_colours_that_are_off(dataset: H2O) -> None:
    """A constant offset and noise of one size: the noise breaks what neighbours share, and is none from afar."""
    task, _ = prepare(arguments_for(dataset))
    truth = torch.full((1, 16, 16, 3), 128, dtype=torch.uint8)
    exact = truth.permute(0, 3, 1, 2) / 127.5 - 1
    signs = torch.from_numpy(np.random.default_rng(0).choice([-0.1, 0.1], exact.shape)).float()

    def loss(found: torch.Tensor, latents: float = 1.0) -> dict[str, float]:
        made = found, torch.full((1, 4, 2, 2), latents)
        said = task.losses(lambda _: made, {"pictures": truth})  # type: ignore[arg-type]
        return {name: float(value) for name, value in said.items()}

    flat, noisy = loss(exact + 0.1), loss(exact + signs)
    assert flat["pixels"] == pytest.approx(noisy["pixels"]) == pytest.approx(np.hypot(0.1, 0.01) - 0.01, abs=1e-5)
    assert flat["edges"] == pytest.approx(0, abs=1e-6) and noisy["edges"] > flat["pixels"]
    assert flat["colours"] == pytest.approx(0.01, rel=1e-4) and noisy["colours"] < 0.001
    assert flat["unit"] == 0 and loss(exact + 0.1, 2.0)["loss"] == pytest.approx(flat["loss"] + 0.1 * 9)


def test_a_latent_holds_how_bright_its_picture_is_in_a_batch_of_its_like_too() -> None:
    """A batch normalised by itself tells nothing of what all of its pictures have in common."""
    torch.manual_seed(0)
    network = LiteAutoencoder(down=(8, 8, 8), up=(8, 8, 8)).train()
    with torch.no_grad():
        dark, bright = (network.encode(torch.full((4, 3, 16, 16), level)).latents for level in (-0.8, 0.8))
    assert (dark - bright).mean((0, 2, 3)).abs().max() > 0.01


def test_a_picture_of_other_values_comes_back_as_bytes() -> None:
    class Off(LiteAutoencoder):
        def decode(self, z: torch.Tensor) -> argparse.Namespace:  # type: ignore[override]
            levels = torch.tensor([107.6 / 127.5 - 1, -1.2, 1.2])
            return argparse.Namespace(sample=levels.view(1, 3, 1, 1).expand(1, 3, 8, 16))

    found = reconstructed(Off().eval(), np.full((8, 16, 3), 100, np.uint8))
    assert found.shape == (8, 16, 3) and found.dtype == np.uint8 and found[3, 5].tolist() == [108, 0, 255]


def test_pieces_are_a_function_of_the_generator(dataset: H2O) -> None:
    samples = PictureSamples(dataset, views(dataset.ids)[0])
    one, other = (samples.batch(np.arange(len(samples)), np.random.default_rng(3))["pictures"] for _ in range(2))
    assert one.shape == (PIECES * len(samples), PIECE, PIECE, 3) and one.dtype == np.uint8
    assert np.array_equal(one, other)
    assert not np.array_equal(one, samples.batch(np.arange(len(samples)), np.random.default_rng(4))["pictures"])


def test_pieces_show_what_the_picture_shows(dataset: H2O, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red rises to the right, or to the left in a mirror, green downwards: by as much as the zoom says."""
    rows, columns = np.mgrid[:360, :640]
    ramps = np.stack([100 * columns / 639, 100 * rows / 359, np.full((360, 640), 100)], axis=2).astype(np.uint8)
    monkeypatch.setattr(H2O, "picture", lambda *_: ramps)
    monkeypatch.setattr(vae_training, "SWAPPED", 0.0)
    ids = [ViewId("subject1/h1/0", camera, 0) for camera in ("cam4", "cam0")]
    found = PictureSamples(dataset, ids).batch(np.repeat([0, 1], 8), np.random.default_rng(0))["pictures"].astype(float)
    across, down = (np.diff(found[..., channel].mean(1 + channel)[:, [0, -1]])[:, 0] for channel in (0, 1))
    across, down = across / found[..., 2].mean((1, 2)), down / found[..., 2].mean((1, 2))
    ego, exo = slice(None, 8 * PIECES), slice(8 * PIECES, None)
    # The channels' gains differ by 6%.
    assert np.abs(across[ego]) == pytest.approx(PIECE / 256, rel=0.3) and down[ego] == pytest.approx(0.5, rel=0.3)
    assert across.min() < 0 < across.max()
    zooms = PIECE / 640 / np.abs(across[exo])
    assert zooms.min() > 0.3 and zooms.max() < 1.3 and np.ptp(zooms) > 0.2


def test_pieces_of_a_picture_of_one_color_come_in_three(dataset: H2O, monkeypatch: pytest.MonkeyPatch) -> None:
    red = np.zeros((360, 640, 3), np.uint8)
    red[..., 0] = 100
    monkeypatch.setattr(H2O, "picture", lambda *_: red)
    samples = PictureSamples(dataset, views(dataset.ids)[0])
    found = samples.batch(np.zeros(60, int), np.random.default_rng(0))["pictures"][:, 0, 0]
    counts = np.bincount(found.argmax(axis=1), minlength=3) / len(found)
    assert (np.sort(found, axis=1)[:, :2] == 0).all()
    assert counts == pytest.approx([2 / 3, 1 / 6, 1 / 6], abs=0.09)  # a third of the swaps leaves red in its place


def test_a_resumed_training_is_the_unbroken_training(
    dataset: H2O, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vae_training, "PIECE", 32)

    def run(name: str, interrupt_at: int = 0) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        task, settings = prepare(arguments_for(dataset))
        settings = replace(settings, steps=5, batch=2, workers=0, log_steps=1)
        batch, asked = task.samples.batch, []

        def interrupting(indices: np.ndarray, rng: np.random.Generator) -> Mapping[str, Array]:
            asked.append(indices)
            if len(asked) == interrupt_at:
                os.kill(os.getpid(), signal.SIGTERM)
            return batch(indices, rng)

        monkeypatch.setattr(task.samples, "batch", interrupting)
        assert train(task, settings, tmp_path / name) is (not interrupt_at)
        return load_file(tmp_path / name / WEIGHTS)

    unbroken = run("whole")
    assert not torch.equal(run("parts", interrupt_at=3)["encoder.1.weight"], unbroken["encoder.1.weight"])
    resumed = run("parts")
    assert all(torch.equal(resumed[name], unbroken[name]) for name in unbroken)


def test_a_seed_gives_the_same_weights(dataset: H2O, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vae_training, "PIECE", 32)

    def weights_of(name: str, seed: int) -> torch.Tensor:
        options = f"--split all --steps 1 --batch 2 --workers 0 --device cpu --seed {seed}".split()
        assert main(["train", "vae", str(dataset.root), "--out", str(tmp_path / name), *options]) == 0
        return load_file(tmp_path / name / WEIGHTS)["decoder.0.weight"]

    one, same, other = weights_of("one", 3), weights_of("same", 3), weights_of("other", 4)
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_training_lowers_the_loss_and_goes_on_from_its_weights(
    dataset: H2O, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vae_training, "PIECE", 32)
    task, settings = prepare(arguments_for(dataset))
    settings = replace(settings, steps=40, batch=4, rate=3e-3, workers=0, log_steps=1, averaging=0.5)
    assert train(task, settings, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "train"]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    assert {"psnr_ego", "psnr_exo", "ssim_ego", "ssim_exo"} <= set(lines[-1])
    assert 5 < lines[-1]["psnr_ego"] < 60 and 0 < lines[-1]["ssim_exo"] < 1
    sheet = cv2.imread(str(tmp_path / SHEET))
    truth = sheet[26 + 6 : 26 + 6 + 320, :320]  # below the titles
    first = cv2.resize(task._squeezed(task._held_out[0]), (320, 320), interpolation=cv2.INTER_AREA)
    assert np.array_equal(truth[..., ::-1], first)
    again, _ = prepare(arguments_for(dataset, tmp_path / WEIGHTS))
    weights = load_file(tmp_path / WEIGHTS)
    torch.testing.assert_close(again.network.encoder[1].weight.detach(), weights["encoder.1.weight"].float())
    with pytest.raises(GenEgoError, match=r"none\.safetensors: cannot be loaded .* \./genego train vae"):
        prepare(arguments_for(dataset, tmp_path / "none.safetensors"))


def test_weights_of_a_training_bring_their_widths_along(dataset: H2O, tmp_path: Path) -> None:
    network = LiteAutoencoder(down=(8, 8, 16), up=(16, 8, 8), noise=0.1).half().float()  # as the file holds numbers
    task = VaeTask(network, dataset, *views(dataset.ids))
    save_weights(network, task.configuration, tmp_path / WEIGHTS)
    again = load_autoencoder(tmp_path / WEIGHTS)
    pictures = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(again.eval().encode(pictures).latents, network.eval().encode(pictures).latents)
    assert again.config.noise == 0.1
    save_weights(network, {"network": "depth_lite"}, tmp_path / "depth.safetensors")
    with pytest.raises(GenEgoError, match=r"depth\.safetensors: cannot be loaded .* \./genego train vae"):
        load_autoencoder(tmp_path / "depth.safetensors")
