"""What all baselines have in common, with pix2pixHD as the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_baselines import SIDE, arguments, is_picture, losses, recordings, true_case

from genego_ros.cli import main
from genego_ros.commands.train import BASELINES
from genego_ros.data.h2o import H2O
from genego_ros.errors import GenEgoError
from genego_ros.evaluation.baselines import pix2pixhd
from genego_ros.evaluation.baselines.pix2pixhd import Pix2PixHD, halved
from genego_ros.evaluation.methods import METHODS, load_method
from genego_ros.geometry.camera import project
from genego_ros.geometry.picture_errors import psnr
from genego_ros.geometry.rigid import apply
from genego_ros.geometry.squeeze import squeeze
from genego_ros.parameters import Parameters
from genego_ros.training.baselines.moments import cached_pairs_apart, pair
from genego_ros.training.baselines.pix2pixhd import Pix2PixHDTask, contest, prepare
from genego_ros.training.checkpoint import save_weights
from genego_ros.training.loop import train

SIZES = [dict(pix2pixhd.SIZES[name]) for name in ("small", "paper")]
TINY = {
    "side": SIDE,
    "channels": 8,
    "down": 2,
    "blocks": 2,
    "enhancer_blocks": 1,
    "critic_channels": 8,
    "critic_layers": 2,
    "critics": 2,
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recordings(tmp_path_factory.mktemp("h2o"))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(pix2pixhd.SIZES, "small", TINY)
    torch.manual_seed(0)
    yield


def prepared(dataset: Path, out: Path, **changes: object) -> Pix2PixHDTask:
    return prepare(arguments(dataset, out, "pix2pixhd", **changes))[0]


# The pairs ----------------------------------------------------------------------------------------


def test_pairs_are_the_recordings_own_and_the_held_out_ones_are_of_others(dataset: Path, tmp_path: Path) -> None:
    pairs = cached_pairs_apart(arguments(dataset, tmp_path, "pix2pixhd"), SIDE)
    assert (len(pairs.learned), len(pairs.held_out)) == (4, 4)
    reader = H2O(dataset)
    held_out, learned = reader.ids[:4], reader.ids[4:]
    for ids, some in ((learned, pairs.learned), (held_out, pairs.held_out)):
        sample, found = reader.sample(ids[2]), pair(some, 2)
        np.testing.assert_array_equal(found.exo, squeeze(sample.exo[0].frame.rgb, SIDE, SIDE))
        np.testing.assert_array_equal(found.ego, squeeze(sample.ego.frame.rgb, SIDE, SIDE))
        np.testing.assert_allclose(found.T_ego_exo, sample.T_ego_exo)
        assert found.exo_camera == sample.exo[0].frame.camera.resized(SIDE, SIDE)
        assert found.ego_camera == sample.ego.frame.camera.resized(SIDE, SIDE)


def test_a_mirrored_pair_is_a_true_pair(dataset: Path, tmp_path: Path) -> None:
    """A point of the scene, seen in a mirror, lies on the other side of both pictures."""
    pairs = cached_pairs_apart(arguments(dataset, tmp_path, "pix2pixhd"), SIDE).learned
    plain, mirrored = pair(pairs, 0), pair(pairs, 0, mirrored=True)
    np.testing.assert_array_equal(mirrored.exo, plain.exo[:, ::-1])
    np.testing.assert_array_equal(mirrored.ego, plain.ego[:, ::-1])
    points = np.random.default_rng(0).normal((0.1, -0.1, 1.2), 0.1, (20, 3))
    flipped = points * (-1, 1, 1)
    for way, seen in ((plain, points), (mirrored, flipped)):
        exo, _ = project(seen, way.exo_camera)
        ego, _ = project(apply(way.T_ego_exo, seen), way.ego_camera)
        if way is plain:
            expected = [np.stack([SIDE - 1 - pixels[:, 0], pixels[:, 1]], axis=1) for pixels in (exo, ego)]
        else:
            np.testing.assert_allclose(exo, expected[0])
            np.testing.assert_allclose(ego, expected[1])
    assert np.linalg.det(mirrored.T_ego_exo) == pytest.approx(1)


def test_all_baselines_share_one_cache(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = arguments(dataset, tmp_path / "out", "pix2pixhd", cache=tmp_path / "cache")
    first = cached_pairs_apart(given, SIDE)
    monkeypatch.setattr(H2O, "sample", None)
    again = cached_pairs_apart(given, SIDE)
    assert again.fingerprint == first.fingerprint
    np.testing.assert_array_equal(again.learned.targets, first.learned.targets)
    assert not (tmp_path / "out").exists()


# pix2pixHD ----------------------------------------------------------------------------------------


def test_sizes_are_those_that_are_promised() -> None:
    with torch.device("meta"):
        small, paper = (Pix2PixHD(**size) for size in SIZES)
    assert sum(p.numel() for p in small.parameters()) < 10e6
    # 3 x 3 convolutions of the nine residual blocks of 1024 channels alone.
    blocks = 9 * 2 * (9 * 1024**2 + 1024)
    assert blocks < sum(p.numel() for p in paper.generator.parameters()) < 1.1 * blocks


def test_the_generator_makes_pictures_of_two_sizes_and_always_the_same() -> None:
    network = Pix2PixHD(**TINY).eval()
    exo = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    with torch.no_grad():
        made, again = network.generator(exo), network.generator(exo)
    assert made.picture.shape == exo.shape and made.coarse.shape == (2, 3, SIDE // 2, SIDE // 2)
    assert made.picture.abs().max() <= 1 and torch.equal(made.picture, again.picture)


def test_critics_judge_at_several_sizes() -> None:
    network = Pix2PixHD(**TINY)
    exo, truth = torch.rand(2, 2, 3, SIDE, SIDE)
    found = network.judged(exo, truth)
    assert len(found) == 2 and all(len(of) == TINY["critic_layers"] + 2 for of in found)
    assert found[0][-1].shape[-1] > found[1][-1].shape[-1]
    (second,) = network.judged(halved(exo), halved(truth), first=1)
    torch.testing.assert_close(second[-1], found[1][-1])


def test_each_side_of_the_contest_learns_by_its_own_terms_alone() -> None:
    network = Pix2PixHD(**TINY)
    exo, truth = torch.rand(2, 1, 3, SIDE, SIDE)
    made = network.generator(exo).picture
    fooling, matching, telling = contest(network, exo, truth, made, 0)
    ours, theirs = list(network.generator.fine.parameters()), list(network.critics.parameters())
    for of_generator in (fooling, matching):
        grads = torch.autograd.grad(of_generator, [*ours, *theirs], retain_graph=True, allow_unused=True)
        assert all(g is not None and g.abs().max() > 0 for g in grads[:1])
        assert all(g is None for g in grads[len(ours) :])
    grads = torch.autograd.grad(telling, [*ours, *theirs], allow_unused=True)
    assert all(g is None for g in grads[: len(ours)]) and any(g is not None for g in grads[len(ours) :])


def test_least_squares_are_what_the_verdicts_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of critics that say the mean of a picture: made 0.25, true 0.5, two judges."""
    network = Pix2PixHD(**TINY)
    monkeypatch.setattr(network, "judged", lambda _, x, first: [[x, x.mean((1, 2, 3))[:, None]]] * 2)
    made, truth = torch.full((1, 3, 8, 8), 0.25), torch.full((1, 3, 8, 8), 0.5)
    fooling, matching, telling = contest(network, made, truth, made, 0)
    assert float(fooling) == pytest.approx(2 * 0.75**2)
    assert float(matching) == pytest.approx(2 * 0.25)
    assert float(telling) == pytest.approx(0.5 * 2 * (0.5**2 + 0.25**2))


def test_it_learns_a_pair_by_heart(dataset: Path, tmp_path: Path) -> None:
    task = prepared(dataset, tmp_path)
    batch = {
        name: torch.from_numpy(x) for name, x in task.samples.batch(np.arange(1), np.random.default_rng(0)).items()
    }
    network = task.network
    assert isinstance(network, Pix2PixHD)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3, (0.5, 0.999))

    def error() -> float:
        with torch.no_grad():
            made = network.generator(batch["exo"].permute(0, 3, 1, 2) / 127.5 - 1).picture
        return psnr(batch["ego"][0].numpy(), pix2pixhd.byte_pictures(made)[0])

    before = error()
    for _ in range(120):
        optimizer.zero_grad()
        task.losses(network, batch)["loss"].backward()
        optimizer.step()
    assert error() > before + 6


def test_a_run_trains_goes_on_alike_and_becomes_a_method(dataset: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"

    def run(out: str, steps: int) -> Path:
        torch.manual_seed(0)
        task, settings = prepare(arguments(dataset, tmp_path / out, "pix2pixhd", cache=cache))
        settings = replace(
            settings, steps=steps, batch=2, rate=1e-3, workers=0, log_steps=1, precision="no", cosine=False
        )
        assert train(task, settings, tmp_path / out)
        return tmp_path / out / "weights.safetensors"

    whole = run("whole", 24)
    run("parts", 10)
    parts = run("parts", 24)
    assert all(torch.equal(a, b) for a, b in zip(load_file(whole).values(), load_file(parts).values(), strict=True))
    found = losses(tmp_path / "whole")
    assert np.mean(found[-4:]) < 0.9 * np.mean(found[:4])
    assert (tmp_path / "whole" / "sheet.png").is_file()
    parameters = Parameters.from_mapping({"device": "cpu", "baselines.pix2pixhd_weights": str(whole)})
    case = true_case(dataset)
    picture = load_method("pix2pixhd", parameters).predict(case)
    assert is_picture(picture, SIDE) and case.observed is None  # it asks for nothing but the picture
    np.testing.assert_array_equal(picture, load_method("pix2pixhd", parameters).predict(true_case(dataset)))


def test_it_goes_on_from_weights_of_its_own_size(dataset: Path, tmp_path: Path) -> None:
    network = Pix2PixHD(**TINY)
    save_weights(network, {"baseline": "pix2pixhd", **TINY}, tmp_path / "w.safetensors")
    started = prepared(dataset, tmp_path, start=tmp_path / "w.safetensors").network
    assert isinstance(started, Pix2PixHD)
    torch.testing.assert_close(
        started.generator.coarse[0].weight, network.generator.coarse[0].weight, atol=1e-3, rtol=0
    )
    with pytest.raises(GenEgoError, match="holds a network of another size than --size paper"):
        prepared(dataset, tmp_path, start=tmp_path / "w.safetensors", size="paper")
    with pytest.raises(GenEgoError, match="train baseline pix2pixhd has no --size huge; choose small, paper"):
        prepared(dataset, tmp_path, size="huge")


# What is missing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_without_weights_names_the_cure(name: str) -> None:
    assert name in METHODS
    with pytest.raises(GenEgoError) as error:
        load_method(name, Parameters())
    assert f"./genego train baseline {name} " in str(error.value)
    assert f"baselines.{name}_weights:=OUT/weights.safetensors" in str(error.value)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_file_that_is_none_of_its_own_is_named(name: str, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_weights(torch.nn.Linear(2, 2), {"baseline": "another", "side": 3}, other)
    strange = tmp_path / "strange.safetensors"
    save_file({"x": torch.zeros(1)}, strange)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(other.read_bytes()[:-3])
    misfit = tmp_path / "misfit.safetensors"
    save_weights(torch.nn.Linear(2, 2), {"baseline": name}, misfit)
    for path, said in (
        (other, "holds the weights of the baseline another"),
        (strange, "holds the weights of something else"),
        (damaged, "cannot be loaded"),
        (misfit, "cannot be loaded"),
        (tmp_path / "none.safetensors", "cannot be loaded"),
    ):
        with pytest.raises(GenEgoError) as error:
            load_method(name, Parameters.from_mapping({"device": "cpu", f"baselines.{name}_weights": str(path)}))
        assert said in str(error.value) and str(path) in str(error.value)
        assert f"./genego train baseline {name}" in str(error.value)


def test_the_command_trains_one(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "baseline", "pix2pixhd", str(dataset), "--out", str(tmp_path / "out"), "--split", "all"]
    assert (
        main([*command, "--steps", "1", "--batch", "1", "--device", "cpu", "--precision", "no", "--workers", "0"]) == 0
    )
    assert f"weights: {tmp_path / 'out' / 'weights.safetensors'}" in capsys.readouterr().out
    assert main([*command, "--steps", "1", "depth.backend:=lite"]) == 1
    assert "train baseline pix2pixhd takes no depth.backend:=lite" in capsys.readouterr().err
