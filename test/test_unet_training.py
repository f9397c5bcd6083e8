"""How the U-Net of `lite` learns, and what comes of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import mock_datasets
import numpy as np
import pytest
import tiny_pipeline
import torch
from test_conditions import SIDE, Estimator
from torch import Tensor, nn

from genego_ros import inputs
from genego_ros.cli import main
from genego_ros.data.sample import Sample, SampleId
from genego_ros.data.sample_ids import Run, SampleIds
from genego_ros.errors import GenEgoError
from genego_ros.inputs import RecordedObserver
from genego_ros.reconstruction import lite_file
from genego_ros.reconstruction.autoencoder import LiteAutoencoder
from genego_ros.reconstruction.lite_file import load_lite
from genego_ros.reconstruction.pose_encoder import GenEgoPoseEncoder
from genego_ros.reconstruction.text import NullText
from genego_ros.training import distill, finish, unet
from genego_ros.training.checkpoint import save_weights
from genego_ros.training.distill import DistillTask
from genego_ros.training.finish import FinishTask
from genego_ros.training.latents import encoder_state
from genego_ros.training.loop import SHEET, Settings, train
from genego_ros.training.unet import KINDS, LITE, MomentSamples, UnetTask, divided, start_unet

FORMS = ("epsilon", "v", "flow")
START_NOISE = 0.7


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings, a VAE and a place for the cache."""
    root = tmp_path_factory.mktemp("unet")
    names = ("subject1/h1/0", "subject1/h1/1")
    mock_datasets.write_h2o(root / "h2o", names, range(4), ("cam0", "cam4"), rendered=True)
    torch.manual_seed(0)
    save_weights(LiteAutoencoder((8, 8, 8), (8, 8, 8)), {"down": (8, 8, 8), "up": (8, 8, 8)}, root / "vae.safetensors")
    return root


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks and pictures; stage 1 and a text encoder that need no weights."""
    estimated = RecordedObserver.estimated

    def look(self: RecordedObserver, sample: Sample) -> Any:
        Estimator.sample = sample
        return estimated(self, sample)

    monkeypatch.setattr(inputs, "ExoObserver", Estimator)
    monkeypatch.setattr(RecordedObserver, "estimated", look)
    parts = tiny_pipeline.genego()
    for module in (unet, lite_file):
        monkeypatch.setattr(module, "load_minilm", lambda: (parts.text_encoder, parts.tokenizer))
    monkeypatch.setattr(unet, "SIDE", SIDE)
    monkeypatch.setattr(unet, "start_unet", lambda _: tiny_pipeline.unet())
    monkeypatch.setattr(unet, "NullText", lambda: NullText(tiny_pipeline.TOKENS, tiny_pipeline.WIDTH))


def arguments(folder: Path, **changes: Any) -> argparse.Namespace:
    given = {
        "model": "unet",
        "dataset": folder / "h2o",
        "out": folder,
        "split": "all",
        "start": None,
        "seed": 0,
        "vae": folder / "vae.safetensors",
        "form": "flow",
        "start_noise": None,
        "stride": 1,
        "cache": None,
        "workers": 0,
        "parameters": ["depth.backend:=lite"],
        "further": [],
    }
    return argparse.Namespace(**{**given, **changes})


def prepared(folder: Path, form: str, **changes: Any) -> UnetTask:
    noise = START_NOISE if form == "flow" else None
    return unet.prepare(arguments(folder, form=form, start_noise=noise, **changes))[0]


def batch_of(task: UnetTask, count: int = 4) -> dict[str, Tensor]:
    found = task.samples.batch(np.arange(count) % len(task.samples), np.random.default_rng(2))
    return {name: torch.from_numpy(values) for name, values in found.items()}


def alphas() -> np.ndarray:
    """The noise schedule of Stable Diffusion, written out."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    return np.cumprod(1 - betas)


class Oracle(nn.Module):
    """Says the truth of z_t, which it works out from the truth itself; remembers what it was asked."""

    def __init__(self, form: str, batch: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.form, self.target = form, batch["target"].double().numpy()

    def forward(self, noisy: Tensor, time: Tensor, *_: Any) -> Tensor:
        t = np.broadcast_to(time.double().numpy(), (len(noisy),)).reshape(-1, 1, 1, 1)
        x = noisy.double().numpy()
        if self.form == "flow":
            answer = (x - self.target) / (t / 1000)
        else:
            alpha = alphas()[t.astype(int)]
            noise = (x - alpha**0.5 * self.target) / (1 - alpha) ** 0.5
            answer = noise if self.form == "epsilon" else alpha**0.5 * noise - (1 - alpha) ** 0.5 * self.target
        return torch.from_numpy(answer).float()


@pytest.mark.parametrize("form", FORMS)
def test_the_loss_of_a_network_that_says_the_truth_is_zero(folder: Path, form: str) -> None:
    task = prepared(folder, form)
    batch = batch_of(task, 6)
    batch["share"] = torch.tensor([0.05, 0.2, 0.5, 0.8, 0.999, 1.0])
    oracle = Oracle(form, batch)
    assert float(task.losses(oracle, batch)["loss"]) == pytest.approx(0, abs=1e-6)
    assert float(task.losses(lambda *x: oracle(*x) + 1.0, batch)["loss"]) > 0.1  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
def test_the_pipeline_with_such_a_network_lands_on_the_target(
    folder: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = prepared(folder, form)
    batch = batch_of(task, 1)
    oracle = Oracle(form, batch)
    assert isinstance(task.network, unet.EgoDenoiser)
    pipeline = task.pipeline(task.network)
    monkeypatch.setattr(pipeline, "_predict", lambda x, _, time, *__: oracle(x, time))
    moment = unet.kept_conditions(task.held_out.rows[0], 0).tensors(True)
    for steps in (1, 4):
        found = pipeline(**moment, steps=steps, generator=torch.Generator().manual_seed(1)).latents
        torch.testing.assert_close(found, batch["target"].float(), atol=2e-3, rtol=0)


def test_a_flow_begins_where_the_pipeline_begins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = prepared(folder, "flow")
    held_out = task.held_out
    row = held_out.rows[0]
    assert isinstance(task.network, unet.EgoDenoiser)
    pipeline, begun = task.pipeline(task.network), []

    def note(x: Tensor, conditions: Tensor, *_: Any) -> Tensor:
        begun.append((x, conditions))
        return x

    monkeypatch.setattr(pipeline, "_predict", note)
    moment = unet.kept_conditions(row, 1).tensors(True)
    pipeline(**moment, steps=1, generator=torch.Generator().manual_seed(1))
    noise = torch.randn((1, 4, SIDE // 8, SIDE // 8), generator=torch.Generator().manual_seed(1))
    example = held_out.example(0, 1, False)
    filled = torch.from_numpy(np.array(example["filled"]))[None].float()
    torch.testing.assert_close(begun[0][0], filled + START_NOISE * noise, atol=5e-3, rtol=0)
    torch.testing.assert_close(begun[0][0], task.form.origin(filled, noise), atol=5e-3, rtol=0)
    torch.testing.assert_close(begun[0][1][:, 1:], filled, atol=5e-3, rtol=0)
    torch.testing.assert_close(moment["projected"][0], torch.from_numpy(example["projected"]).float())


def test_the_network_is_asked_as_the_pipeline_asks_it(folder: Path) -> None:
    """The nine channels and the tokens of training are those of use."""
    task = prepared(folder, "flow")
    network = task.network.eval()
    assert isinstance(network, unet.EgoDenoiser)
    torch.nn.init.normal_(network.null_text.learned)
    example = task.held_out.example(0, 2, False)
    noisy = torch.randn(1, 4, SIDE // 8, SIDE // 8)
    pipeline = task.pipeline(network)
    row = task.held_out.rows[0]
    moment = unet.kept_conditions(row, 2).tensors(True)
    for described in (True, False):
        batch = {name: torch.from_numpy(np.array(values))[None] for name, values in example.items()}
        batch["described"] = torch.tensor([described])
        text = unet.kept_text(row["text"][2], False) if described else ""
        with torch.no_grad():
            conditions = pipeline.encode_conditions(moment["sparse"], moment["projected"], moment["pose_map"])
            used = pipeline._predict(noisy, conditions, torch.tensor(500.0), pipeline.encode_text([text]), 1.0)
            torch.testing.assert_close(network(noisy, torch.tensor(500.0), batch), used, atol=5e-3, rtol=0)


def test_a_mirrored_moment_is_seen_in_a_mirror(folder: Path) -> None:
    moments = prepared(folder, "flow")._learning.learned
    plain, mirrored = (moments.example(1, 2, way) for way in (False, True))
    np.testing.assert_array_equal(mirrored["projected"], plain["projected"][..., ::-1])
    lit, other = (example["pose_map"].max(axis=2) > 60 for example in (plain, mirrored))
    assert (lit[:, ::-1] == other).mean() > 0.97 and lit.any()
    red_is_right, now_left = (
        (example["pose_map"][..., 0] > example["pose_map"][..., 2]).nonzero()[1].mean() for example in (plain, mirrored)
    )
    assert red_is_right > SIDE / 2 + 2 and now_left > SIDE / 2 + 2  # the right hand is on the right again


def test_batches_mix_kinds_and_leave_conditions_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = prepared(folder, "flow")
    moments = task._learning.learned
    asked: list[int] = []
    example = moments.example
    monkeypatch.setattr(moments, "example", lambda *given: asked.append(given[1]) or example(*given))
    indices = np.arange(1000) % len(task.samples)
    batch = task.samples.batch(indices, np.random.default_rng(0))
    assert np.bincount(asked) / len(asked) == pytest.approx(unet.SHARES, abs=0.05)
    assert (~batch["described"]).mean() == pytest.approx(unet.NO_TEXT, abs=0.03)
    assert (batch["pose_map"].max(axis=(1, 2, 3)) == 0).mean() == pytest.approx(unet.NO_POSE, abs=0.03)
    share = batch["share"]
    assert share.min() > 0 and (share == 1).mean() == pytest.approx(unet.AT_ORIGIN, abs=0.05)
    again = task.samples.batch(indices[:3], np.random.default_rng(5))
    twice = task.samples.batch(indices[:3], np.random.default_rng(5))
    assert all(np.array_equal(again[name], twice[name]) for name in again)


def test_what_stage_1_did_not_find_is_not_learned_from(folder: Path) -> None:
    moments = prepared(folder, "flow")._learning.learned
    rows = np.array(moments.rows)
    rows["there"][0] = False
    rows["there"][1:, : KINDS.index("true")] = False
    left = unet.Moments(rows, moments.latents, moments.tokens, moments.words)
    samples = MomentSamples(left)
    assert len(samples) == len(moments.usable) - 1
    batch = samples.batch(np.arange(len(samples)), np.random.default_rng(0))
    true = {values.tobytes() for latent in left.latents[1:] for values in latent["filled"][KINDS.index("true")]}
    assert {values.tobytes() for values in batch["filled"]} <= true


def test_long_recordings_are_thinned_and_some_measure() -> None:
    runs = [Run(f"s/h/{n}", "cam0", np.arange(0, 40, 4 if n % 2 else 1, dtype=np.int32)) for n in range(21)]
    learned, held_out = divided(SampleIds(runs), 2)
    assert {id.sequence for id in held_out} == {"s/h/0", "s/h/9"}  # sorted as texts, 9 is the last
    of = {name: [id.frame for id in learned if id.sequence == name] for name in ("s/h/1", "s/h/2")}
    assert of == {"s/h/1": list(range(0, 40, 4)), "s/h/2": list(range(0, 40, 2))}
    assert SampleId("s/h/0", "cam0", 38) in held_out and SampleId("s/h/0", "cam0", 1) not in held_out
    with pytest.raises(GenEgoError, match="--stride 0"):
        divided(SampleIds(runs), 0)


@pytest.mark.parametrize("form", FORMS)
def test_training_lowers_the_loss_and_writes_a_pipeline(folder: Path, tmp_path: Path, form: str) -> None:
    changes = {"out": tmp_path, "cache": folder / "cache"}
    noise = START_NOISE if form == "flow" else None
    task, settings = unet.prepare(arguments(folder, form=form, start_noise=noise, **changes))
    settings = replace(settings, steps=30, batch=4, rate=3e-3, workers=0, log_steps=1, averaging=0.5, precision="no")
    assert train(task, settings, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "train"]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    assert {"loss", "psnr_estimated_1", "psnr_true_4"} <= set(lines[-1]) and 3 < lines[-1]["psnr_true_4"] < 60
    sheet = cv2.imread(str(tmp_path / SHEET))
    assert sheet is not None and sheet.shape[1] > 4 * 300
    pipeline = load_lite(tmp_path / LITE)
    assert (pipeline.config.fill, pipeline.config.start_noise) == (True, noise)
    learned = task.network.pose_encoder.layers[0].weight
    assert isinstance(learned, Tensor)
    torch.testing.assert_close(pipeline.pose_encoder.layers[0].weight, learned, atol=0.02, rtol=0)
    moment = unet.kept_conditions(task.held_out.rows[0], 0).tensors(True)
    image = pipeline(**moment, text="a mug", steps=2, guidance=1.5, generator=torch.Generator().manual_seed(0)).images
    assert image.shape == (1, 3, SIDE, SIDE) and torch.isfinite(image).all()
    again = unet.prepare(arguments(folder, form=form, start_noise=noise, start=tmp_path / LITE, **changes))[0]
    assert any(parameter.requires_grad for parameter in again.network.parameters())
    torch.testing.assert_close(again.network.pose_encoder.layers[0].weight, pipeline.pose_encoder.layers[0].weight)


def test_a_straightened_way_ends_where_the_teachers_ends(folder: Path) -> None:
    """A teacher whose ways bend: its velocity is z_t itself, so that eight Euler steps end at origin (7/8)^8."""
    task = prepared(folder, "flow")
    assert isinstance(task.network, unet.EgoDenoiser)
    student = DistillTask(task.network, task.form, task.vae, task._learning)
    student._teacher = Itself()  # type: ignore[assignment]
    batch = batch_of(task)
    origin = batch["filled"].float() + START_NOISE * batch["noise"]
    end = origin * (7 / 8) ** 8
    torch.testing.assert_close(student.taught(batch), end, atol=1e-5, rtol=0)
    right = student.losses(lambda *_: origin - end, batch)["loss"]  # type: ignore[arg-type]
    assert float(right) == pytest.approx(0, abs=1e-9)


class Itself(nn.Module):
    def forward(self, noisy: Tensor, *_: Any) -> Tensor:
        return noisy


@pytest.mark.parametrize("form", FORMS)
def test_a_student_goes_on_from_its_teacher(folder: Path, tmp_path: Path, form: str) -> None:
    task = prepared(folder, form)
    task.export(task.network, tmp_path)
    given = arguments(folder, out=tmp_path, cache=folder / "cache", start=tmp_path / LITE)
    student, settings = distill.prepare(given)
    assert student.form == task.form
    settings = replace(settings, steps=2, batch=2, workers=0, precision="no")
    assert train(student, settings, tmp_path / "student")
    assert load_lite(tmp_path / "student" / LITE).config.start_noise == task.form.start_noise


def test_a_flow_that_is_told_nothing_leaves_the_splat_as_it_is(folder: Path) -> None:
    """The U-Net of an untrained network says nothing: a single step undoes the noise and no more."""
    task = prepared(folder, "flow")
    pipeline = task.pipeline(task.network.eval())
    torch.nn.init.zeros_(pipeline.unet.conv_out.weight)
    torch.nn.init.zeros_(pipeline.unet.conv_out.bias)
    moment = unet.kept_conditions(task.held_out.rows[0], 0).tensors(True)
    filled = torch.from_numpy(np.array(task.held_out.example(0, 0, False)["filled"]))[None].float()
    for guidance in (1.0, 3.0):
        found = pipeline(**moment, steps=1, guidance=guidance, generator=torch.Generator().manual_seed(3)).latents
        torch.testing.assert_close(found, filled, atol=5e-3, rtol=0)


def finished(folder: Path, out: Path, critics: float = 0.0) -> tuple[FinishTask, Settings]:
    """What `train finish` trains, from a network that is not trained."""
    task = prepared(folder, "flow")
    task.export(task.network, out)
    given = {"model": "finish", "out": out, "cache": folder / "cache", "start": out / LITE, "vae": None}
    return finish.prepare(arguments(folder, critics=critics, **given))


@pytest.mark.parametrize("critics", [0.0, 1.0])
def test_a_finished_network_keeps_its_latents_and_changes_its_pictures(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, critics: float
) -> None:
    monkeypatch.setattr(finish, "WINDOW", 4)
    task, settings = finished(folder, tmp_path, critics)
    before = load_lite(tmp_path / LITE)
    assert train(task, replace(settings, steps=4, batch=2, rate=1e-2, workers=0, log_steps=1), tmp_path / "out")
    after = load_lite(tmp_path / "out" / LITE)
    pictures, z = torch.rand(1, 3, SIDE, SIDE), torch.randn(1, 4, SIDE // 8, SIDE // 8)
    assert torch.equal(before.encode(pictures), after.encode(pictures))
    assert not torch.equal(before.decode(z), after.decode(z))
    assert not torch.equal(before.unet.conv_in.weight, after.unet.conv_in.weight)
    lines = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert {"far", "pixels", "unlike"} <= set(lines[0]) and "psnr_true_1" in lines[-1]
    assert ({"textures_fooling", "layouts_telling"} <= set(lines[0])) == bool(critics)
    assert (tmp_path / "out" / SHEET).is_file()


@pytest.mark.parametrize(("steps", "taken"), [(1, 0), (2, 1), (4, 2)])
def test_a_guess_on_the_way_is_where_the_way_would_end(folder: Path, tmp_path: Path, steps: int, taken: int) -> None:
    """Of a network that knows the truth each guess is the truth."""
    task, _ = finished(folder, tmp_path)
    batch = batch_of(task)
    found = task._guess(Oracle("flow", batch), batch, steps, taken)  # type: ignore[arg-type]
    torch.testing.assert_close(found, batch["target"].float(), atol=1e-4, rtol=0)


def test_similarity_is_ssim_of_evenly_weighted_windows() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(0)
    truth, made = (rng.uniform(-1, 1, (3, 16, 20)).astype(np.float32) for _ in range(2))
    _, wanted = metrics.structural_similarity(
        truth / 2 + 0.5, made / 2 + 0.5, win_size=7, channel_axis=0, data_range=1.0, full=True,
        use_sample_covariance=False,
    )  # fmt: skip
    found = finish.similarity(torch.from_numpy(made)[None], torch.from_numpy(truth)[None])
    np.testing.assert_allclose(found[0].numpy(), wanted[:, 3:-3, 3:-3], atol=1e-4)


def test_windows_of_pictures_are_those_of_the_latents(folder: Path, tmp_path: Path) -> None:
    task, _ = finished(folder, tmp_path)
    batch = batch_of(task)
    assert batch["truth"].shape == batch["splat"].shape == (4, SIDE, SIDE, 3) and batch["truth"].dtype == torch.uint8
    assert isinstance(task.network, finish.Studio)
    whole = batch["truth"].permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        torch.testing.assert_close(task.vae.encode(whole).latents, batch["target"].float(), atol=2e-3, rtol=0)


def test_what_does_not_belong_together_is_refused(folder: Path, tmp_path: Path) -> None:
    prepared(folder, "v").export(prepared(folder, "v").network, tmp_path)
    with pytest.raises(GenEgoError, match="only a flow that begins at the splat is finished"):
        finish.prepare(arguments(folder, model="finish", start=tmp_path / LITE, cache=folder / "cache"))
    with pytest.raises(GenEgoError, match="--critics -1: a weight of 0"):
        finished(folder, tmp_path, -1.0)
    torch.manual_seed(1)
    other = tmp_path / "other.safetensors"
    save_weights(LiteAutoencoder((8, 8, 8), (8, 8, 8)), {"down": (8, 8, 8), "up": (8, 8, 8)}, other)
    with pytest.raises(GenEgoError, match=r"other\.safetensors: the latents of .*lite\.safetensors are others"):
        distill.prepare(arguments(folder, model="distill", start=tmp_path / LITE, vae=other))


def test_a_vae_of_the_same_encoder_makes_the_same_latents() -> None:
    one, sharper = LiteAutoencoder((8, 8, 8), (8, 8, 8)), LiteAutoencoder((8, 8, 8), (8, 8, 8))
    assert encoder_state(one) != encoder_state(sharper)
    sharper.encoder.load_state_dict(one.encoder.state_dict())
    assert encoder_state(one) == encoder_state(sharper)


def test_a_network_goes_on_with_its_own_form(folder: Path, tmp_path: Path) -> None:
    task = prepared(folder, "epsilon")
    task.export(task.network, tmp_path)
    given = {"start": tmp_path / LITE, "cache": folder / "cache"}
    assert unet.prepare(arguments(folder, form=None, **given))[0].form == task.form
    with pytest.raises(GenEgoError, match="was trained with --form epsilon: it goes on with that alone"):
        unet.prepare(arguments(folder, form="flow", **given))


def test_a_run_does_not_go_on_with_another_teacher(folder: Path, tmp_path: Path) -> None:
    starts = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        task = prepared(folder, "flow")
        (tmp_path / str(seed)).mkdir()
        task.export(task.network, tmp_path / str(seed))
        starts.append(tmp_path / str(seed) / LITE)
    given = {"model": "distill", "out": tmp_path, "cache": folder / "cache"}
    student, settings = distill.prepare(arguments(folder, **given, start=starts[0]))
    settings = replace(settings, steps=1, batch=2, workers=0, precision="no")
    assert train(student, settings, tmp_path / "out")
    other, _ = distill.prepare(arguments(folder, **given, start=starts[1]))
    with pytest.raises(GenEgoError, match="holds a run with other data"):
        train(other, replace(settings, steps=2), tmp_path / "out")


def test_what_is_missing_is_said(folder: Path) -> None:
    with pytest.raises(GenEgoError, match=r"give the network that makes them, --vae weights\.safetensors"):
        unet.prepare(arguments(folder, vae=None))
    with pytest.raises(GenEgoError, match=r"--start-noise 0\.3: a positive number is wanted, and --form flow"):
        unet.prepare(arguments(folder, form="v", start_noise=0.3))
    with pytest.raises(GenEgoError, match=r"train distill .* give --start lite\.safetensors"):
        distill.prepare(arguments(folder, model="distill"))


def test_only_what_observes_takes_stage_1s_parameters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = [str(tmp_path), "--out", str(tmp_path / "out"), "--steps", "1"]
    assert main(["train", "depth", *common, "depth.backend:=lite"]) == 1
    assert "train depth takes no depth.backend:=lite; only unet, distill, finish, sd15 do" in capsys.readouterr().err
    assert main(["train", "unet", *common, "--vae", str(tmp_path / "none"), "depth.backend=lite"]) == 1
    assert capsys.readouterr().err


def test_the_weights_of_stage_2_take_less_than_20_mb() -> None:
    network = start_unet(384)
    parts = (network, LiteAutoencoder(), GenEgoPoseEncoder(), NullText())
    assert 2 * sum(parameter.numel() for part in parts for parameter in part.parameters()) < 19.9e6
    with torch.no_grad():
        said = network(torch.zeros(1, 9, 32, 32), 1, encoder_hidden_states=torch.zeros(1, 64, 384)).sample
    assert said.shape == (1, 4, 32, 32)
