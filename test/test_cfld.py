"""CFLD: what it is told and where, what it learns, and what it samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_baselines import arguments, autoencoder, is_picture, known_observer, losses, recordings, true_case
from torch import Tensor

from genego_ros.errors import GenEgoError
from genego_ros.evaluation.baselines import cfld
from genego_ros.evaluation.baselines.cfld import CFLD
from genego_ros.evaluation.baselines.diffusion import denoised, first_noise, noise_schedule
from genego_ros.evaluation.inputs import Case
from genego_ros.evaluation.methods import load_method
from genego_ros.geometry.squeeze import squeeze
from genego_ros.parameters import Parameters
from genego_ros.reconstruction.autoencoder import load_autoencoder
from genego_ros.reconstruction.conditioning import condition
from genego_ros.training.baselines.cfld import NOTHING_TOLD, CFLDTask, prepare
from genego_ros.training.loop import train

SIDE = 64
"""The least that Swin's four scales and the U-Net's three divide."""
SIZES = [dict(cfld.SIZES[name]) for name in ("small", "paper")]
VAE = {"down": [8, 8, 8], "up": [8, 8, 8], "noise": 0.05}
TINY = {
    "side": SIDE,
    "channels": [8, 16, 24],
    "attended": [False, True, True],
    "layers": 1,
    "heads": 2,
    "width": 16,
    "queries": 4,
    "decoder_layers": 2,
    "swin": 8,
    "swin_depths": [1, 1, 1, 1],
    "swin_heads": [1, 1, 2, 2],
    "steps": 3,
    "guidance": 2.0,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cfld")
    recordings(root / "h2o")
    autoencoder(root / "vae.safetensors")
    return root


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(cfld.SIZES, "small", TINY)
    known_observer(monkeypatch)
    torch.manual_seed(0)
    yield


def prepared(folder: Path, out: Path, **changes: Any) -> CFLDTask:
    given = {"vae": folder / "vae.safetensors", "cache": folder / "cache", "parameters": ["depth.backend:=lite"]}
    return prepare(arguments(folder / "h2o", out, "cfld", **{**given, **changes}))[0]


def network() -> CFLD:
    """With something behind every way in, as nothing is yet where layers begin at zero."""
    torch.manual_seed(1)
    made = CFLD(**TINY, vae=VAE).eval()
    for parameter in (*made.layout.exits.parameters(), *made.refinements.parameters()):
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def pictures(count: int = 1) -> tuple[Tensor, Tensor]:
    return torch.rand(count, 3, SIDE, SIDE) * 2 - 1, torch.rand(count, 3, SIDE, SIDE)


# The network --------------------------------------------------------------------------------------


def test_sizes_are_those_that_are_promised() -> None:
    with torch.device("meta"):
        small, paper = (CFLD(**size, vae=VAE) for size in SIZES)
    assert sum(p.numel() for p in small.parameters()) < 10e6
    assert paper.decoder.queries.shape == (1, 16, 768) and len(paper.decoder.layers) == 8
    assert paper.unet.config["block_out_channels"] == (320, 640, 1280, 1280)
    # Nine cross-attentions lead upwards in Stable Diffusion: three in each of three blocks.
    assert sum(len(refinement.exits) for refinement in paper.refinements) == 9


@pytest.mark.parametrize(
    ("channels", "attended", "layers"), [([8, 16, 24], [False, True, True], 1), ([8, 16], [True, True], 2)]
)
def test_what_is_told_fits_the_unet(channels: list[int], attended: list[bool], layers: int) -> None:
    made = CFLD(**{**TINY, "channels": channels, "attended": attended, "layers": layers}, vae=VAE)
    told = made.look(*pictures(2))
    assert told.prompts.shape == (2, 4, 16) and len(told.layout) == len(channels)
    size = SIDE // 8
    upwards = [level for level in reversed(range(len(channels))) if attended[level] for _ in range(layers + 1)]
    assert [tuple(bias.shape) for bias in told.biases] == [(2, (size >> at) ** 2, channels[at]) for at in upwards]
    said = made(torch.randn(2, 4, size, size), torch.tensor([3, 700]), told)
    assert said.shape == (2, 4, size, size)
    said.square().mean().backward()
    for name, parameter in made.named_parameters():
        # Before the layers that begin at zero, whose output they cannot change yet, nothing is learned.
        early = name.startswith(("refinements", "layout", "vae", "nothing")) or "appearance" in name
        assert early or parameter.grad is not None, name


def test_every_way_in_counts() -> None:
    made = network()
    exo, pose = pictures()
    noisy, time = torch.randn(1, 4, 8, 8), torch.tensor([500])
    with torch.no_grad():
        told = made.look(exo, pose)
        plain = made(noisy, time, told)
        others = [
            told._replace(prompts=told.prompts + 1),
            *(told._replace(layout=[x + (n == at) for n, x in enumerate(told.layout)]) for at in range(3)),
            *(
                told._replace(biases=[x + torch.randn_like(x) * (n == at) for n, x in enumerate(told.biases)])
                for at in range(len(told.biases))
            ),
        ]
        for other in others:
            assert not torch.allclose(made(noisy, time, other), plain, atol=1e-6)
        assert torch.equal(made(noisy, time, told), plain)  # nothing of the others is left


def test_a_bias_is_added_to_the_query_alone() -> None:
    """Against the attention's formula, written out."""
    made = network()
    (attention,) = [
        m for n, m in made.unet.named_modules() if n.endswith("up_blocks.0.attentions.0.transformer_blocks.0.attn2")
    ]
    hidden, prompts, bias = torch.randn(1, 4, 24), torch.randn(1, 4, 16), torch.randn(1, 4, 24)
    others = [torch.zeros(1, 4, 24)] * 3
    with torch.no_grad():
        found = attention(hidden, encoder_hidden_states=prompts, biases=[bias, *others])
        q, k, v = attention.to_q(hidden) + bias, attention.to_k(prompts), attention.to_v(prompts)
        heads = []
        for head in range(2):
            of = slice(12 * head, 12 * head + 12)
            share = (q[..., of] @ k[..., of].transpose(1, 2) / 12**0.5).softmax(-1)
            heads.append(share @ v[..., of])
        torch.testing.assert_close(found, attention.to_out[0](torch.cat(heads, -1)))


def test_what_is_left_out_says_nothing_of_the_pictures() -> None:
    made = network()
    (exo, pose), (other_exo, other_pose) = pictures(2), pictures(2)
    with torch.no_grad():
        out = torch.tensor([True, False])
        one, two = (made.without(made.look(*of), out) for of in ((exo, pose), (other_exo, other_pose)))
    for a, b in zip((one.prompts, *one.layout, *one.biases), (two.prompts, *two.layout, *two.biases), strict=True):
        assert torch.equal(a[0], b[0]) and not torch.allclose(a[1], b[1])
    assert torch.equal(one.prompts[0], made.nothing[0])


def test_pictures_are_always_the_same_and_follow_what_is_shown() -> None:
    made = network()
    exo, pose = pictures()
    picture = made.picture(exo, pose)
    assert picture.shape == (1, 3, SIDE, SIDE) and torch.equal(picture, made.picture(exo, pose))
    assert not torch.allclose(picture, made.picture(-exo, pose), atol=1e-4)
    assert not torch.allclose(picture, made.picture(exo, 1 - pose), atol=1e-4)
    # The same noise for every picture of a batch.
    torch.testing.assert_close(made.picture(exo.repeat(2, 1, 1, 1), pose.repeat(2, 1, 1, 1))[1], picture[0])


def test_guidance_goes_on_from_nothing_to_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that says its prompts' mean: guided by 2, twice that less what it says of nothing."""
    made = network()
    exo, pose = pictures()
    predicted: list[Tensor] = []

    def say(noisy: Tensor, _: Tensor, told: cfld.Told) -> Tensor:
        return told.prompts.mean((1, 2)).view(-1, 1, 1, 1).expand_as(noisy)

    def note(predict: Any, noise: Tensor, steps: int) -> Tensor:
        assert steps == TINY["steps"]
        predicted.append(predict(noise, torch.tensor(1)))
        return noise

    monkeypatch.setattr(made, "forward", say)
    monkeypatch.setattr(cfld, "denoised", note)
    made.picture(exo, pose)
    with torch.no_grad():
        meant, null = made.look(exo, pose).prompts.mean(), made.nothing.mean()
    torch.testing.assert_close(predicted[0].mean(), 2 * meant - null)


def test_the_way_back_ends_at_the_picture_that_the_noise_was_laid_on() -> None:
    """With a network that knows the truth, by the schedule of Stable Diffusion written out."""
    alphas = torch.from_numpy(np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2))
    truth = torch.randn(2, 4, 8, 8)

    def oracle(noisy: Tensor, time: Tensor) -> Tensor:
        alpha = alphas[int(time)].float()
        return (noisy - alpha.sqrt() * truth) / (1 - alpha).sqrt()

    noise = first_noise((2, 4, 8, 8), torch.device("cpu"))
    assert torch.equal(noise[0], noise[1]) and float(noise.std()) == pytest.approx(1, abs=0.2)
    for steps in (1, 4, 20):
        torch.testing.assert_close(denoised(oracle, noise, steps), truth, atol=0.05, rtol=0)
    time = torch.tensor([700, 20])
    noisy = noise_schedule().add_noise(truth, noise, time)
    expected = alphas[time].sqrt().view(-1, 1, 1, 1) * truth + (1 - alphas[time]).sqrt().view(-1, 1, 1, 1) * noise
    torch.testing.assert_close(noisy, expected.float(), atol=1e-4, rtol=0)


# Learning -----------------------------------------------------------------------------------------


def test_batches_show_the_pair_and_its_layout(folder: Path, tmp_path: Path) -> None:
    task = prepared(folder, tmp_path)
    layouts = task.samples._layouts
    case = true_case(folder / "h2o", 5)  # the second learned moment
    row = layouts.example(1, 2)
    np.testing.assert_array_equal(row["exo"], squeeze(case.frame.rgb, SIDE, SIDE))
    np.testing.assert_array_equal(row["pose_map"], condition(case.observation, SIDE).pose_map)
    assert row["pose_map"].any()
    vae = load_autoencoder(folder / "vae.safetensors")
    truth = torch.from_numpy(np.array(layouts.pairs.targets[1])).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        for mirrored in (False, True):
            latent = vae.encode(truth.flip(-1) if mirrored else truth).latents[0]
            shown = layouts.example(1, 2, mirrored)
            torch.testing.assert_close(torch.from_numpy(shown["target"].copy()).float(), latent, atol=5e-3, rtol=0)
            np.testing.assert_array_equal(shown["exo"], row["exo"][:, ::-1] if mirrored else row["exo"])
    batch = task.samples.batch(np.arange(400) % 4, np.random.default_rng(0))
    assert batch["left_out"].mean() == pytest.approx(NOTHING_TOLD, abs=0.06)
    assert batch["time"].min() >= 0 and batch["time"].max() < 1000
    assert np.median(batch["time"]) == pytest.approx(999 * (1 - 0.5**3), abs=40)


def test_a_network_that_says_the_noise_has_no_loss(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = prepared(folder, tmp_path)
    given = task.samples.batch(np.arange(4), np.random.default_rng(0))
    batch = {name: torch.from_numpy(values) for name, values in given.items()}
    monkeypatch.setattr(task.network, "forward", lambda *_: batch["noise"])
    assert float(task.losses(task.network, batch)["loss"]) == 0
    monkeypatch.setattr(task.network, "forward", lambda *_: batch["noise"] + 2)
    assert float(task.losses(task.network, batch)["loss"]) == pytest.approx(4, abs=1e-4)


def test_a_run_trains_goes_on_alike_and_becomes_a_method(folder: Path, tmp_path: Path) -> None:
    def run(out: str, steps: int) -> Path:
        torch.manual_seed(0)
        given = {"vae": folder / "vae.safetensors", "cache": folder / "cache", "parameters": ["depth.backend:=lite"]}
        task, settings = prepare(arguments(folder / "h2o", tmp_path / out, "cfld", **given))
        settings = replace(settings, steps=steps, batch=4, rate=3e-3, workers=0, log_steps=1, precision="no")
        assert train(task, replace(settings, cosine=False, warmup=0.0), tmp_path / out)
        return tmp_path / out / "weights.safetensors"

    whole = run("whole", 30)
    run("parts", 12)
    parts = run("parts", 30)
    assert all(torch.equal(a, b) for a, b in zip(load_file(whole).values(), load_file(parts).values(), strict=True))
    found = losses(tmp_path / "whole")
    assert np.mean(found[-5:]) < 0.9 * np.mean(found[:5])
    assert (tmp_path / "whole" / "sheet.png").is_file()
    weights, vae = load_file(whole), load_file(folder / "vae.safetensors")
    assert all(torch.equal(weights[f"vae.{name}"], tensor) for name, tensor in vae.items())  # it comes along, as it was
    parameters = Parameters.from_mapping({"device": "cpu", "baselines.cfld_weights": str(whole)})
    method = load_method("cfld", parameters)
    case = true_case(folder / "h2o")
    picture = method.predict(case)
    assert is_picture(picture, SIDE)
    np.testing.assert_array_equal(picture, method.predict(true_case(folder / "h2o")))
    nobody = replace(case.observation, hands_ego=(), hands_exo=(), valid=False)
    assert is_picture(method.predict(Case(case.frame, case.ego_camera, lambda: nobody)), SIDE)
    again = prepared(folder, tmp_path / "again", start=whole, vae=None)
    assert again.configuration == {"baseline": "cfld", **TINY, "vae": VAE}


def test_it_says_which_autoencoder_it_wants(folder: Path, tmp_path: Path) -> None:
    for both in ({"vae": None}, {"start": tmp_path / "w.safetensors"}):
        with pytest.raises(
            GenEgoError, match=r"train baseline cfld works on latents: give .* --vae weights\.safetensors"
        ):
            prepared(folder, tmp_path, **both)
