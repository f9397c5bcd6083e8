"""The autoencoder of `lite`, and how it learns."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import mock_datasets
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from genego_ros.data.h2o import H2O
from genego_ros.errors import GenEgoError
from genego_ros.reconstruction.autoencoder import LiteAutoencoder
from genego_ros.training import vae as vae_training
from genego_ros.training.loop import WEIGHTS, train
from genego_ros.training.vae import PIECE, PictureSamples, prepare, reconstruction_psnr
from genego_ros.training.views import views


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> H2O:
    root = tmp_path_factory.mktemp("h2o")
    mock_datasets.write_h2o(root, ("subject1/h1/0", "subject1/h1/1"), range(2), ("cam0", "cam4"))
    return H2O(root)


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


def test_the_loss_prefers_edges_to_a_blur_of_the_same_error(dataset: H2O) -> None:
    """A constant offset and noise of one size: the noise breaks what neighbours have in common."""
    task, _ = prepare(argparse.Namespace(dataset=dataset.root, split="all", start=None))
    truth = torch.full((1, 16, 16, 3), 128, dtype=torch.uint8)
    exact = truth.permute(0, 3, 1, 2) / 127.5 - 1
    signs = torch.from_numpy(np.random.default_rng(0).choice([-0.1, 0.1], exact.shape)).float()

    def loss(found: torch.Tensor) -> dict[str, float]:
        said = task.losses(lambda _: found, {"pictures": truth})  # type: ignore[arg-type]
        return {name: float(value) for name, value in said.items()}

    flat, noisy = loss(exact + 0.1), loss(exact + signs)
    assert flat["pixels"] == pytest.approx(noisy["pixels"]) == pytest.approx(np.hypot(0.1, 0.01) - 0.01, abs=1e-5)
    assert flat["edges"] == pytest.approx(0, abs=1e-6) and noisy["loss"] > 1.5 * flat["loss"]


def test_psnr_is_that_of_the_bytes_that_come_out() -> None:
    class Off(LiteAutoencoder):
        def decode(self, z: torch.Tensor) -> argparse.Namespace:  # type: ignore[override]
            return argparse.Namespace(sample=torch.full((1, 3, 8, 8), 108 / 127.5 - 1))

    assert reconstruction_psnr(Off().eval(), np.full((8, 8, 3), 100, np.uint8)) == pytest.approx(20 * np.log10(255 / 8))


def test_pieces_are_a_function_of_the_generator(dataset: H2O) -> None:
    samples = PictureSamples(dataset, views(dataset.ids)[0])
    one, other = (samples.batch(np.arange(len(samples)), np.random.default_rng(3))["pictures"] for _ in range(2))
    assert one.shape == (len(samples), PIECE, PIECE, 3) and one.dtype == np.uint8 and np.array_equal(one, other)
    assert not np.array_equal(one, samples.batch(np.arange(len(samples)), np.random.default_rng(4))["pictures"])


def test_training_lowers_the_loss_and_goes_on_from_its_weights(
    dataset: H2O, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vae_training, "PIECE", 32)
    arguments = argparse.Namespace(dataset=dataset.root, split="all", start=None)
    task, settings = prepare(arguments)
    settings = replace(settings, steps=12, batch=4, rate=3e-3, workers=0, log_steps=1, averaging=0.5)
    assert train(task, settings, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "train"]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    assert {"psnr_ego", "psnr_exo"} <= set(lines[-1]) and 5 < lines[-1]["psnr_ego"] < 60
    again, _ = prepare(argparse.Namespace(**{**vars(arguments), "start": tmp_path / WEIGHTS}))
    weights = load_file(tmp_path / WEIGHTS)
    torch.testing.assert_close(again.network.encoder[1].weight.detach(), weights["encoder.1.weight"].float())
    with pytest.raises(GenEgoError, match=r"none\.safetensors: cannot be loaded .* \./genego train vae"):
        prepare(argparse.Namespace(**{**vars(arguments), "start": tmp_path / "none.safetensors"}))
