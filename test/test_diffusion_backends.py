"""The reconstruction backends `lite`, `sd15` and `auto`, and what they share."""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_pipeline
import torch
from ldm_reference import Checkpoint
from safetensors.torch import load_file, save_file
from test_ldm_layout import SMALL, random_checkpoint

from genego_ros import weights
from genego_ros.commands.weights import run
from genego_ros.device import resolve_dtype
from genego_ros.errors import GenEgoError
from genego_ros.genego import EgoReconstructor
from genego_ros.geometry.squeeze import squeeze
from genego_ros.parameters import Parameters
from genego_ros.reconstruction import diffusion, lite_file, load_reconstructor
from genego_ros.reconstruction.blending import BESIDE, BORDER, REACH, blend, nearness, splat_weight
from genego_ros.reconstruction.conditioning import condition, squeeze_sparse
from genego_ros.reconstruction.diffusion import DiffusionReconstruction, agreement
from genego_ros.reconstruction.geometric import push_pull
from genego_ros.types import Camera, ExoObservation, Scale, SparseView, Viewpoint

WIDTH, HEIGHT = 96, 54


def splat(seed: int = 0) -> SparseView:
    """Smooth colours, with nothing on the right third and in a square on the left."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    rgb = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    projected = np.zeros((HEIGHT, WIDTH), bool)
    projected[:, :64] = True
    projected[20:30, 20:30] = False
    rgb[~projected] = 0
    return SparseView(rgb, np.where(projected, 1.0, np.nan).astype(np.float32), projected)


def observed(sparse: SparseView | None = None, description: str = "a mug") -> ExoObservation:
    return ExoObservation(
        stamp_ns=1,
        frame_id="exo",
        valid=True,
        hands_exo=(),
        hands_ego=(),
        ego_camera=Camera.from_hfov(WIDTH, HEIGHT, 90.0),
        viewpoint=Viewpoint(np.eye(4), "nominal"),
        sparse=sparse or splat(),
        description=description,
        scale=Scale(),
        depth_source="topic",
    )


def empty() -> SparseView:
    return SparseView(
        np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        np.full((HEIGHT, WIDTH), np.nan, np.float32),
        np.zeros((HEIGHT, WIDTH), bool),
    )


def parameters(**values: Any) -> Parameters:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return Parameters.from_mapping({"device": "cpu", "reconstruction.size": 64, "reconstruction.steps": 2, **named})


@pytest.fixture
def tiny() -> DiffusionReconstruction:
    return DiffusionReconstruction(parameters(), "tiny", tiny_pipeline.genego(), 128, 3)


# What a network is shown, and how its picture and the splat become one -------------------------------


def test_holes_do_not_darken_what_lies_beside_them() -> None:
    rgb = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    projected = np.random.default_rng(1).random((HEIGHT, WIDTH)) < 0.6
    rgb[~projected] = 0
    squeezed, landed = squeeze_sparse(SparseView(rgb, np.ones((HEIGHT, WIDTH), np.float32), projected), 32)
    assert 0.5 < landed.mean() < 1
    assert not squeezed[~landed].any()
    np.testing.assert_allclose(squeezed[landed].astype(int), 200, atol=2)


def test_conditions_are_squeezed_whole_and_scaled_as_the_pipeline_wants_them() -> None:
    conditions = condition(observed(), 64)
    assert conditions.sparse.shape == conditions.pose_map.shape == (64, 64, 3)
    assert conditions.projected[:, :42].mean() > 0.9 and not conditions.projected[:, 44:].any()
    holes = conditions.tensors(fill=False)
    assert holes["sparse"][0, :, ~torch.from_numpy(conditions.projected)].unique().tolist() == [-1.0]
    assert holes["projected"].unique().tolist() == [0.0, 1.0] and not holes["pose_map"].any()
    filled = conditions.tensors(fill=True)
    assert torch.equal(filled["sparse"], holes["filled"]) and "filled" not in filled  # encoded once
    assert (filled["sparse"][..., 50:] > -1).any()


def weight_of(sparse: SparseView, made: np.ndarray) -> np.ndarray:
    """Of a splat beside a made picture of its size."""
    return splat_weight(sparse.projected, condition(observed(sparse), 64), squeeze(made, 64, 64))


def test_a_believed_splat_stays_byte_by_byte_outside_a_soft_border() -> None:
    sparse = splat()
    made = np.random.default_rng(0).integers(0, 256, sparse.rgb.shape, dtype=np.uint8)
    made[:, :64] = np.clip(sparse.rgb[:, :64].astype(int) + 5, 0, 255)  # a little brighter: details, not content
    weight = weight_of(sparse, made)
    image = blend(sparse, made, weight)
    near_hole = cv2.dilate((~sparse.projected).astype(np.uint8), np.ones((11, 11), np.uint8)) > 0
    assert (weight[~near_hole] == 1).all() and (~near_hole).mean() > 0.4
    np.testing.assert_array_equal(image[~near_hole], sparse.rgb[~near_hole])
    np.testing.assert_array_equal(image[~sparse.projected], made[~sparse.projected])
    row = weight[10, 64 - int(BORDER) - 1 : 65]
    assert row[0] == 1 and row[-1] == 0 and (np.diff(row) <= 0).all() and (np.diff(row) > -0.5).all()


def test_a_splat_that_the_network_paints_over_gives_way_and_is_not_called_seen() -> None:
    sparse = splat()
    made = push_pull(sparse.rgb, sparse.projected)
    sparse.rgb[:, 40:60], made[:, 40:60] = 30, 200
    weight = weight_of(sparse, made)
    assert weight[:, 46:54].max() == 0 and weight[5:15, 5:15].min() == 1
    np.testing.assert_array_equal(blend(sparse, made, weight)[:, 46:54], made[:, 46:54])


def test_a_splat_without_holes_has_no_border() -> None:
    rgb = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    whole = SparseView(rgb, np.ones((HEIGHT, WIDTH), np.float32), np.ones((HEIGHT, WIDTH), bool))
    assert (weight_of(whole, rgb) == 1).all()


# A backend -------------------------------------------------------------------------------------------


def test_a_view_has_kegos_size_and_is_the_same_every_time(tiny: DiffusionReconstruction) -> None:
    first, second = (tiny.reconstruct(observed(), confidence=True) for _ in range(2))
    assert first.image.shape == (HEIGHT, WIDTH, 3) and first.image.dtype == np.uint8
    assert first.seen.dtype == bool and not first.seen[:, 64:].any()
    assert (first.source, first.notice) == ("tiny", "")
    np.testing.assert_array_equal(first.image, second.image)
    assert first.confidence is not None and first.confidence.dtype == np.float32
    assert first.confidence.min() >= 0 and first.confidence.max() <= 1
    np.testing.assert_array_equal(first.confidence, second.confidence)
    assert tiny.reconstruct(observed()).confidence is None


def test_parameters_change_at_run_time(tiny: DiffusionReconstruction) -> None:
    before = tiny.reconstruct(observed()).image
    shapes: list[tuple[int, ...]] = []
    handle = tiny._pipeline.unet.register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape)))
    for change, wanted in {
        "reconstruction__steps": [(1, 9, 8, 8)] * 3,
        "reconstruction__guidance": [(2, 9, 8, 8)] * 2,
        "reconstruction__size": [(1, 9, 16, 16)] * 2,
        "reconstruction__seed": [(1, 9, 8, 8)] * 2,
    }.items():
        tiny.parameters = parameters(
            **{
                change: {"reconstruction__steps": 0, "reconstruction__guidance": 2.0}.get(
                    change, 0 if change == "reconstruction__size" else 7
                )
            }
        )
        assert (tiny.reconstruct(observed()).image != before).any(), change
        assert shapes == wanted
        shapes.clear()
    handle.remove()


def test_what_is_made_up_is_trusted_less_the_farther_what_was_seen_is() -> None:
    seen = np.zeros((50, 200), bool)
    assert not nearness(seen).any()
    seen[:, :60] = True
    row = nearness(seen)[10]
    assert (row[:60] == BESIDE).all() and (np.diff(row[60:]) < 0).all()
    np.testing.assert_allclose(row[60 + round(REACH * 50) - 1] / BESIDE, math.exp(-1), atol=0.02)


def test_no_made_up_pixel_is_surer_than_one_in_two(
    tiny: DiffusionReconstruction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diffusion, "splat_weight", lambda projected, *_: projected.astype(np.float32))
    view = tiny.reconstruct(observed(), confidence=True)
    assert view.confidence is not None
    assert 0 < view.confidence[:, 64:].max() <= BESIDE and view.confidence[5:15, 5:15].min() == 1


def test_confidence_is_what_a_few_pictures_agree_on() -> None:
    same = np.zeros((3, 8, 8, 3), np.uint8)
    assert (agreement(same) == 1).all()
    same[:, 4:] = np.array([0, 60, 120])[:, None, None, None]
    np.testing.assert_allclose(agreement(same)[4:], np.exp(-np.std([0, 60, 120]) / 255 / 0.1), rtol=1e-5)


def test_an_empty_splat_is_said_and_costs_no_frame(tiny: DiffusionReconstruction) -> None:
    made = tiny.reconstruct(observed(empty()))
    assert made.source == "geometric" and "S_ego is empty" in made.notice
    assert not made.seen.any() and not made.image.any()


def test_a_full_gpu_halves_the_size_then_falls_back_and_says_so() -> None:
    pipeline = tiny_pipeline.genego()
    room = {"side": 8}
    asked: list[int] = []

    def allocate(_: Any, args: tuple[torch.Tensor, ...]) -> None:
        asked.append(args[0].shape[-1])
        if args[0].shape[-1] > room["side"]:
            raise torch.OutOfMemoryError("CUDA out of memory")

    pipeline.unet.register_forward_pre_hook(allocate)
    backend = DiffusionReconstruction(parameters(reconstruction__size=128), "tiny", pipeline, 128, 3)
    made = backend.reconstruct(observed())
    assert made.source == "tiny" and made.notice == "the GPU has no memory for 128 pixels a side: 64 are made"
    assert asked == [16, 8, 8]
    assert backend.reconstruct(observed()).notice == made.notice
    assert asked[3:] == [8, 8]  # what did not fit is not tried with every frame
    room["side"] = 4
    fallen = backend.reconstruct(observed())
    assert fallen.source == "geometric" and "'geometric' served" in fallen.notice
    np.testing.assert_array_equal(fallen.image, push_pull(splat().rgb, splat().projected))


def test_a_view_names_who_made_it_and_what_was_amiss() -> None:
    reconstructor = EgoReconstructor(parameters(reconstruction__backend="geometric"))
    view = reconstructor.reconstruct(observed(), confidence=True)
    assert (view.source, view.notice) == ("geometric", "") and view.confidence is not None
    invalid = reconstructor.reconstruct(replace(observed(empty()), valid=False), confidence=True)
    assert not invalid.image.any() and not invalid.seen.any() and not invalid.confidence.any()
    assert reconstructor.reconstruct(observed()).confidence is None


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"reconstruction__size": 100}, "'reconstruction.size' is 100: it must be 0, or a multiple of 8 from 64 on"),
        ({"reconstruction__size": 32}, "from 64 on"),
        ({"reconstruction__steps": -1}, "must lie between 0 and 100"),
        ({"dtype": "int8"}, "'dtype' is 'int8': it must be one of auto"),
    ],
)
def test_values_that_no_network_takes_are_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(GenEgoError, match=text):
        parameters(**values)


def test_dtypes() -> None:
    assert resolve_dtype("auto", "cpu") is torch.float32 and resolve_dtype("auto", "cuda:0") is torch.float16
    assert resolve_dtype("bfloat16", "cpu") is torch.bfloat16
    with pytest.raises(GenEgoError, match="dtype is 'float16', which takes a GPU"):
        resolve_dtype("float16", "cpu")
    backend = DiffusionReconstruction(parameters(dtype="bfloat16"), "tiny", tiny_pipeline.genego(), 64, 3)
    assert backend._pipeline.unet.dtype == backend._pipeline.vae.dtype == torch.bfloat16
    assert backend.reconstruct(observed()).image.shape == (HEIGHT, WIDTH, 3)


def test_the_parameter_names_the_scheduler() -> None:
    with pytest.raises(GenEgoError, match="scheduler 'lcm' does not fit"):
        DiffusionReconstruction(parameters(reconstruction__scheduler="lcm"), "tiny", tiny_pipeline.genego(), 64, 3)


# lite and auto ---------------------------------------------------------------------------------------


@pytest.fixture
def minilm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text encoder of three words in the place of MiniLM, whose weights are a download."""
    parts = tiny_pipeline.genego()
    monkeypatch.setattr(lite_file, "load_minilm", lambda: (parts.text_encoder, parts.tokenizer))


@pytest.mark.usefixtures("minilm")
def test_lite_is_one_file_of_half_the_size_that_gives_the_same_picture(tmp_path: Path) -> None:
    path = tmp_path / "lite.safetensors"
    pipeline = tiny_pipeline.genego(start_noise=0.1, fill=True)
    lite_file.save_lite(pipeline, path)
    tensors = load_file(path)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert {name.partition(".")[0] for name in tensors} == {"vae", "unet", "pose_encoder", "null_text"}
    again = lite_file.load_lite(path)
    assert (again.config.fill, again.config.start_noise) == (True, 0.1)
    assert again.unet.dtype == torch.float32
    whole = DiffusionReconstruction(parameters(), "whole", pipeline, 64, 3).reconstruct(observed()).image
    chosen = parameters(reconstruction__backend="lite", reconstruction__weights=str(path))
    made = load_reconstructor(chosen).reconstruct(observed())
    assert made.source == "lite"
    assert np.abs(made.image.astype(int) - whole).max() <= 3  # as far as float16 tells them apart


@pytest.mark.usefixtures("minilm")
def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lite.safetensors"
    with pytest.raises(GenEgoError, match=r"lite\.safetensors: cannot be loaded .*make it with \./genego train"):
        lite_file.load_lite(path)
    save_file({"unet.x": torch.zeros(1)}, path)
    with pytest.raises(GenEgoError, match=r"lite\.safetensors: cannot be loaded"):
        lite_file.load_lite(path)
    lite_file.save_lite(tiny_pipeline.genego(), path)
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(GenEgoError, match=r"lite\.safetensors: cannot be loaded"):
        lite_file.load_lite(path)
    path.write_bytes(
        content.replace(b"genego_ros.reconstruction.text:NullText", b"hostile_it.reconstruction.text:NullText")
    )
    with pytest.raises(GenEgoError, match="only classes of diffusers and genego_ros are made"):
        lite_file.load_lite(path)


def test_auto_says_what_lite_lacks_and_lets_geometric_serve(tmp_path: Path) -> None:
    chosen = parameters(reconstruction__backend="auto", reconstruction__weights=str(tmp_path / "none.safetensors"))
    backend = load_reconstructor(chosen)
    made = backend.reconstruct(observed())
    assert made.source == "geometric"
    assert "'geometric' reconstructs, since 'lite' cannot" in made.notice and "none.safetensors" in made.notice
    backend.parameters = chosen.changed({"reconstruction.steps": 9})
    assert backend.parameters.reconstruction.steps == 9


@pytest.mark.usefixtures("minilm")
def test_auto_takes_lite_where_it_lies(tmp_path: Path) -> None:
    lite_file.save_lite(tiny_pipeline.genego(), tmp_path / "lite.safetensors")
    name = str(tmp_path / "lite.safetensors")
    backend = load_reconstructor(parameters(reconstruction__backend="auto", reconstruction__weights=name))
    made = backend.reconstruct(observed())
    assert (made.source, made.notice) == ("lite", "")


@pytest.mark.skipif(bool(weights.wrong_size(weights.manifest()["minilm"])), reason="minilm is not installed")
def test_minilm_tells_what_is_alike() -> None:
    from genego_ros.reconstruction.text import NullText, embed
    from genego_ros.reconstruction.text_models import load_minilm

    encoder, tokenizer = load_minilm()
    texts = ["a cup on a table", "a mug on the desk", "the train left the station", "word " * 2000]
    tokens = embed(tokenizer, encoder, NullText(64, 384), texts)
    assert tokens.shape == (4, 64, 384)
    means = [torch.nn.functional.normalize(row[row.abs().sum(1) > 0].mean(0), dim=0) for row in tokens]
    assert means[0] @ means[1] > 0.5 > 0.3 > means[0] @ means[2]


# sd15 ------------------------------------------------------------------------------------------------


def test_a_folder_of_ours_serves(tmp_path: Path) -> None:
    tiny_pipeline.egoworld().save_pretrained(tmp_path)
    chosen = parameters(reconstruction__backend="sd15", reconstruction__weights=str(tmp_path))
    made = load_reconstructor(chosen).reconstruct(observed())
    assert made.source == "sd15" and made.image.shape == (HEIGHT, WIDTH, 3)


def test_missing_and_damaged_folders_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENEGO_WEIGHTS", str(tmp_path / "weights"))
    with pytest.raises(GenEgoError, match=r"egoworld/model_index\.json: missing, .*weights import-egoworld"):
        load_reconstructor(parameters(reconstruction__backend="sd15"))
    tiny_pipeline.egoworld().save_pretrained(tmp_path)
    chosen = parameters(reconstruction__backend="sd15", reconstruction__weights=str(tmp_path))
    unet = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    unet.write_bytes(unet.read_bytes()[:-100])
    with pytest.raises(GenEgoError, match=r"cannot be loaded .*weights import-egoworld"):
        load_reconstructor(chosen)
    unet.unlink()
    torch.save({"conv_in.weight": torch.zeros(1)}, tmp_path / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(GenEgoError, match="cannot be loaded"):
        load_reconstructor(chosen)


@pytest.mark.skipif(
    bool(weights.wrong_size(weights.manifest()["clip_vocabulary"])), reason="clip_vocabulary is not installed"
)
def test_clips_words_have_their_numbers() -> None:
    from genego_ros.reconstruction.text_models import clip_tokenizer

    tokenizer = clip_tokenizer()
    # As openai/clip-vit-large-patch14 numbers them.
    assert tokenizer("a photo of a cat")["input_ids"] == [49406, 320, 1125, 539, 320, 2368, 49407]
    padded = tokenizer("", padding="max_length")["input_ids"]
    assert padded == [49406] + 76 * [49407] and len(tokenizer) == 49408


def test_import_egoworld_makes_a_folder_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "genego_ros.reconstruction.ldm_layout.clip_tokenizer", lambda: tiny_pipeline.tokenizer(length=77)
    )
    checkpoint, out = tmp_path / "step=7000.ckpt", tmp_path / "made" / "egoworld"
    small: Checkpoint = random_checkpoint(**SMALL)
    torch.save({"state_dict": small.tensors}, checkpoint)
    arguments = argparse.Namespace(action="import-egoworld", checkpoint=checkpoint, out=out)
    assert run(arguments) == 0
    assert (
        f"wrote {out}; use it with reconstruction.backend:=sd15 reconstruction.weights:={out}"
        in capsys.readouterr().out
    )
    assert os.listdir(out.parent) == ["egoworld"]  # noqa: PTH208 - hidden ones too
    chosen = parameters(reconstruction__backend="sd15", reconstruction__weights=str(out), reconstruction__steps=1)
    assert load_reconstructor(chosen).reconstruct(observed()).source == "sd15"
    with pytest.raises(GenEgoError, match="egoworld is there already: delete it"):
        run(arguments)
