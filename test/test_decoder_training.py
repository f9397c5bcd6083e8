"""The decoder of `lite` against a critic."""

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

from genego_ros.errors import GenEgoError
from genego_ros.reconstruction.autoencoder import LiteAutoencoder, load_autoencoder
from genego_ros.training import vae as vae_training
from genego_ros.training.checkpoint import save_weights
from genego_ros.training.critic import Critic, duel
from genego_ros.training.decoder import VAE, prepare
from genego_ros.training.loop import SHEET, train


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> argparse.Namespace:
    root = tmp_path_factory.mktemp("h2o")
    mock_datasets.write_h2o(root, ("subject1/h1/0", "subject1/h1/1"), range(2), ("cam0", "cam4"))
    torch.manual_seed(0)
    start = root / "vae.safetensors"
    save_weights(LiteAutoencoder((8, 8, 8), (8, 8, 8)), {"down": (8, 8, 8), "up": (8, 8, 8), "noise": 0.05}, start)
    return argparse.Namespace(dataset=root, split="all", start=start)


def test_a_critic_learns_to_tell_blurs_from_textures() -> None:
    torch.manual_seed(0)
    critic = Critic((8, 16, 16))
    optimizer = torch.optim.Adam(critic.parameters(), 2e-3)
    sharp, flat = (lambda: torch.randn(8, 3, 32, 32).clamp(-1, 1)), torch.zeros(8, 3, 32, 32)
    for _ in range(60):
        _, _, telling = duel(critic, flat, sharp())
        optimizer.zero_grad()
        telling.backward()
        optimizer.step()
    assert float(telling.detach()) < 0.5 < critic(sharp())[-1].mean() - critic(flat)[-1].mean()


def test_each_side_of_a_duel_teaches_only_itself() -> None:
    critic = Critic((8, 8, 8))
    made = torch.zeros(2, 3, 16, 16, requires_grad=True)
    fooling, matching, telling = duel(critic, made, torch.rand(2, 3, 16, 16))
    telling.backward(retain_graph=True)
    assert made.grad is None and all(weight.grad is not None for weight in critic.parameters())
    critic.zero_grad()
    (fooling + matching).backward()
    assert made.grad is not None and made.grad.abs().sum() > 0
    assert all(weight.grad is None and weight.requires_grad for weight in critic.parameters())


def test_latents_stay_what_they_are_and_pictures_change(
    arguments: argparse.Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vae_training, "PIECE", 32)
    task, settings = prepare(arguments)
    settings = replace(settings, steps=3, batch=2, workers=0, log_steps=1)
    assert train(task, settings, tmp_path)
    before, after = load_autoencoder(arguments.start), load_autoencoder(tmp_path / VAE)
    pictures = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        latents = before.encode(pictures).latents
        assert torch.equal(latents, after.encode(pictures).latents)
        assert not torch.equal(before.decode(latents).sample, after.decode(latents).sample)
    assert not any("critic" in name for name in load_file(tmp_path / VAE))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert {"pixels", "fooling", "matching", "telling"} <= set(lines[0]) and np.isfinite(lines[-1]["psnr_ego"])
    assert (tmp_path / SHEET).is_file()


def test_it_wants_a_vae(arguments: argparse.Namespace) -> None:
    with pytest.raises(GenEgoError, match=r"give --start weights\.safetensors of train vae"):
        prepare(argparse.Namespace(dataset=arguments.dataset, split="all", start=None))
