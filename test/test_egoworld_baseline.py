"""EgoWorld's published stage 2 at a small size: it learns what its pipeline asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_pipeline
import torch
from safetensors.torch import load_file
from test_conditions import SIDE
from tiny_baselines import arguments, autoencoder, is_picture, known_observer, losses, recordings, true_case

from genego_ros.errors import GenEgoError
from genego_ros.evaluation.baselines import egoworld
from genego_ros.evaluation.baselines.egoworld import EgoWorld
from genego_ros.evaluation.methods import load_method
from genego_ros.parameters import Parameters
from genego_ros.reconstruction.text import NullText
from genego_ros.training import unet
from genego_ros.training.baselines.egoworld import EgoWorldTask, prepare
from genego_ros.training.conditions import KINDS, kept_conditions
from genego_ros.training.loop import train
from genego_ros.types import ByteArray

SIZES = dict(egoworld.SIZES)
TINY = {"side": SIDE, "channels": [8, 16, 16], "tokens": tiny_pipeline.TOKENS, "width": tiny_pipeline.WIDTH}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("egoworld")
    recordings(root / "h2o")
    autoencoder(root / "vae.safetensors")
    return root


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(egoworld.SIZES, "small", TINY)
    known_observer(monkeypatch)
    parts = tiny_pipeline.genego()
    for module in (unet, egoworld):
        monkeypatch.setattr(module, "load_minilm", lambda: (parts.text_encoder, parts.tokenizer))
    monkeypatch.setattr(unet, "SIDE", SIDE)
    torch.manual_seed(0)
    yield


def prepared(folder: Path, out: Path, **changes: Any) -> EgoWorldTask:
    given = {"vae": folder / "vae.safetensors", "cache": folder / "cache", "parameters": ["depth.backend:=lite"]}
    return prepare(arguments(folder / "h2o", out, "egoworld", **{**given, **changes}))[0]


def test_the_small_one_is_as_large_as_lite() -> None:
    with torch.device("meta"):
        network = EgoWorld(**SIZES["small"], vae={})
        ours = unet.start_unet(NullText().config["width"])
    assert network.unet.config["in_channels"] == 9
    counts = [sum(p.numel() for p in of.parameters()) for of in (network.unet, ours)]
    assert counts[0] == counts[1] < 10e6


def test_the_network_is_asked_in_training_as_its_pipeline_asks_it(folder: Path, tmp_path: Path) -> None:
    task = prepared(folder, tmp_path)
    network = task.network.eval()
    assert isinstance(network, EgoWorld)
    moments, true = task._learning.learned, KINDS.index("true")
    seen = kept_conditions(moments.rows[0], true)
    pipeline = network.pipeline(task._learning.text_encoder, task._learning.tokenizer)
    maps = seen.tensors(fill=False)
    noisy, time = torch.randn(1, 4, SIDE // 8, SIDE // 8), torch.tensor(400)
    text = moments.rows[0]["text"][true].decode()
    with torch.no_grad():
        conditions = pipeline.encode_conditions(maps["sparse"], maps["projected"], maps["pose_map"])
        used = pipeline._predict(noisy, conditions, time, pipeline.encode_text([text]), 1.0)
        tokens = torch.from_numpy(np.array(moments.tokens[moments.words[text]]))[None].float()
        learned = network(noisy, time, maps["sparse"], maps["pose_map"], tokens)
    torch.testing.assert_close(learned, used, atol=5e-3, rtol=0)
    # The channels are noise, pose in (0, 1), and the splat with its holes black.
    assert conditions[:, 0].min() > 0 and conditions[:, 0].max() < 1
    assert (seen.sparse[~seen.projected] == 0).all() and not seen.projected.all()
    torch.testing.assert_close(conditions[:, 1:], network.vae.encode(maps["sparse"]).latents)


def test_a_moment_in_a_mirror_is_mirrored_as_a_whole(folder: Path, tmp_path: Path) -> None:
    task = prepared(folder, tmp_path)
    moments = task._learning.learned
    batch = task.samples.batch(np.zeros(60, np.int64), np.random.default_rng(1))
    plain, mirrored = (
        {kind: kept_conditions(moments.rows[0], kind, way).sparse.tobytes() for kind in range(len(KINDS))}
        for way in (False, True)
    )
    ways = set()
    for row in range(60):
        way = int(batch["sparse"][row].tobytes() in mirrored.values())
        assert way or batch["sparse"][row].tobytes() in plain.values()
        np.testing.assert_array_equal(batch["target"][row], moments.latents[0]["target"][way])
        ways.add(way)
    assert ways == {0, 1} and batch["time"].min() >= 0 and 900 < batch["time"].max() < 1000


def test_a_network_that_says_the_noise_has_no_loss(folder: Path, tmp_path: Path) -> None:
    task = prepared(folder, tmp_path)
    given = task.samples.batch(np.arange(4), np.random.default_rng(0))
    batch = {name: torch.from_numpy(values) for name, values in given.items()}
    assert float(task.losses(lambda *_: batch["noise"], batch)["loss"]) == 0  # type: ignore[arg-type]
    assert float(task.losses(lambda *_: batch["noise"] + 2, batch)["loss"]) == pytest.approx(4)  # type: ignore[arg-type]


def test_a_run_trains_the_unet_alone_goes_on_alike_and_becomes_a_method(folder: Path, tmp_path: Path) -> None:
    given = {"vae": folder / "vae.safetensors", "cache": folder / "cache", "parameters": ["depth.backend:=lite"]}

    def run(out: str, steps: int) -> Path:
        torch.manual_seed(0)
        task, settings = prepare(arguments(folder / "h2o", tmp_path / out, "egoworld", **given))
        settings = replace(settings, steps=steps, batch=4, rate=3e-3, workers=0, log_steps=1, precision="no")
        assert train(task, replace(settings, cosine=False, warmup=0.0), tmp_path / out)
        return tmp_path / out / "weights.safetensors"

    torch.manual_seed(0)
    begun = prepared(folder, tmp_path / "begun").network.state_dict()
    whole = run("whole", 30)
    run("parts", 12)
    parts = run("parts", 30)
    weights = load_file(whole)
    assert all(torch.equal(a, b) for a, b in zip(weights.values(), load_file(parts).values(), strict=True))
    for name, tensor in weights.items():
        same = torch.equal(tensor.float(), begun[name].half().float())
        assert same or name.startswith("unet"), name
    assert not torch.equal(weights["unet.conv_in.weight"].float(), begun["unet.conv_in.weight"].half().float())
    found = losses(tmp_path / "whole")
    assert np.mean(found[-5:]) < 0.9 * np.mean(found[:5])
    assert (tmp_path / "whole" / "sheet.png").is_file()
    picture = predicted(whole, folder)
    assert is_picture(picture, SIDE)
    np.testing.assert_array_equal(picture, predicted(whole, folder))


def predicted(weights: Path, folder: Path) -> ByteArray:
    parameters = Parameters.from_mapping({"device": "cpu", "baselines.egoworld_weights": str(weights)})
    return load_method("egoworld", parameters).predict(true_case(folder / "h2o"))


def test_a_pipeline_of_the_papers_size_serves_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egoworld, "SIZE", SIDE)
    tiny_pipeline.egoworld().save_pretrained(tmp_path / "pipeline")
    assert is_picture(predicted(tmp_path / "pipeline", folder), SIDE)
    with pytest.raises(GenEgoError, match=r"model_index\.json: missing"):
        predicted(folder, folder)
    with pytest.raises(GenEgoError, match=r"egoworld at the paper's size is \./genego train sd15"):
        prepared(folder, tmp_path, size="paper")
