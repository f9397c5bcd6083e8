"""The options of `genego train`: from the command line, from a file, and what is refused."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from genego_ros.cli import main
from genego_ros.commands.train import BASELINES, MODELS, OPTIONS, add_training_arguments, complete
from genego_ros.errors import GenEgoError

CONFIGURATIONS = Path(__file__).resolve().parents[1] / "config" / "train"


def completed(*options: str, config: Path | None = None, model: str = "unet") -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_training_arguments(parser, MODELS | BASELINES)
    given = [model, "set", "--out", "out", *options, *(["--config", str(config)] if config else [])]
    return complete(parser.parse_args(given))


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("minutes: 7\nseed: 5\nstart-noise: 0.25\nvae: some/vae.safetensors\nrate: 1.0e-3\n")
    found = completed(config=config)
    assert (found.minutes, found.seed, found.start_noise, found.rate) == (7.0, 5, 0.25, 1e-3)
    assert found.vae == Path("some/vae.safetensors") and (found.split, found.stride) == ("train", 2)
    found = completed("--steps", "3", "--seed", "0", config=config)
    assert (found.minutes, found.steps, found.seed) == (0.0, 3, 0)
    assert (completed("--steps", "3").seed, completed("--steps", "3").stride) == (0, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("minuets: 7", "there is no option minuets; known: minutes, steps"),
        ("stride: often", "stride is 'often', which is no int"),
        ("form: score", "form is 'score'; choose epsilon, v, flow"),
        ("minutes: 3\nepochs: 1", "epochs and minutes both say how long"),
        ("- minutes", "a line 'option: value' for each option is wanted"),
        ("minutes: [", "give one such as config/train/unet.yaml"),
    ],
)
def test_a_bad_file_is_named_with_its_cure(tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(text)
    with pytest.raises(GenEgoError) as error:
        completed(config=config)
    assert said in str(error.value) and str(config) in str(error.value)


def test_a_missing_file_and_a_missing_length_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GenEgoError, match=r"none\.yaml: cannot be loaded"):
        completed(config=tmp_path / "none.yaml")
    with pytest.raises(SystemExit):
        completed("--steps", "1", "--minutes", "2")
    assert "not allowed with" in capsys.readouterr().err
    assert main(["train", "vae", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "genego: " in capsys.readouterr().err


@pytest.mark.parametrize("config", sorted(CONFIGURATIONS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_files_that_come_along_are_whole(config: Path) -> None:
    model = config.stem.removesuffix("-base").removeprefix("baseline_")
    found = completed(config=config, model=model)
    assert model in (BASELINES if config.stem.startswith("baseline_") else MODELS)
    assert sum(bool(getattr(found, name)) for name in ("minutes", "steps", "epochs")) == 1
    assert len(OPTIONS) == len(set(OPTIONS))


@pytest.mark.parametrize(
    ("model", "option"),
    [
        ("vae", "--vae x"),
        ("vae", "--form v"),
        ("depth", "--size huge"),
        ("unet", "--size tiny"),
        ("distill", "--form v"),
        ("distill", "--start-noise 1"),
        ("sd15", "--vae x"),
        ("ego-hand", "--stride 3"),
        ("pix2pixhd", "--vae x"),
        ("pix2pixhd", "--form v"),
        ("cfld", "--start-noise 1"),
    ],
)
def test_what_a_training_does_not_take_is_refused(model: str, option: str) -> None:
    model_command = f"baseline {model}" if model in BASELINES else model
    with pytest.raises(GenEgoError, match=f"train {model_command} takes no {option.split()[0]}; only .* do"):
        completed("--steps", "1", *option.split(), model=model)


@pytest.mark.parametrize(
    "options",
    ["--steps -3", "--minutes 0", "--steps 1 --batch 0", "--steps 1 --rate -1", "--steps 1 --workers -1"]
    + ["--steps 1 --seed -1", "--steps 1 --precision fp16", "--steps 1 --device cuda:9", "--epochs -1"],
)
def test_a_bad_number_is_refused_before_anything_is_looked_at(
    options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(MODELS, "unet", "no.such.module")
    common = ["train", "unet", str(tmp_path), "--out", str(tmp_path / "out")]
    device = [] if "--device" in options else ["--device", "cpu"]
    assert main([*common, *options.split(), *device]) == 1
    assert "genego: " in capsys.readouterr().err and not (tmp_path / "out").exists()
