"""The pipeline of stage 2: what goes where, what is kept, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_pipeline
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from genego_ros.errors import GenEgoError
from genego_ros.reconstruction.pipeline import EgoPipeline
from genego_ros.reconstruction.schedulers import SCHEDULERS, exchanged

SIDE = 32


@pytest.fixture(scope="module")
def genego() -> EgoPipeline:
    return tiny_pipeline.genego()


@pytest.fixture(scope="module")
def egoworld() -> EgoPipeline:
    return tiny_pipeline.egoworld()


def conditions(seed: int = 0, count: int = 1) -> dict[str, Any]:
    random = torch.Generator().manual_seed(seed)
    return {
        "sparse": torch.rand((count, 3, SIDE, SIDE), generator=random) * 2 - 1,
        "projected": (torch.rand((count, 1, SIDE, SIDE), generator=random) < 0.7).float(),
        "pose_map": torch.rand((count, 3, SIDE, SIDE), generator=random),
        "text": "a mug",
    }


def run(pipeline: EgoPipeline, seed: int = 1, **changes: Any) -> Tensor:
    inputs = {"steps": 2, **conditions(), "generator": torch.Generator().manual_seed(seed), **changes}
    return pipeline(**inputs).images


def unet_inputs(pipeline: EgoPipeline, **changes: Any) -> list[Tensor]:
    """What the U-Net is given, pass by pass."""
    seen: list[Tensor] = []
    handle = pipeline.unet.register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    try:
        run(pipeline, **changes)
    finally:
        handle.remove()
    return seen


def test_egoworlds_nine_channels_are_noise_pose_and_sparse_in_this_order(egoworld: EgoPipeline) -> None:
    given = conditions()
    (first, *_) = unet_inputs(egoworld)
    noise = torch.randn((1, 4, SIDE // 8, SIDE // 8), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        latent = egoworld.vae.encode(given["sparse"]).latent_dist.mean * 0.18215
        pose = egoworld.vae.encode(given["pose_map"]).latent_dist.mean * 0.18215
        conv = egoworld.pose_encoder.conv
        channel = 1 / (1 + torch.exp(-torch.nn.functional.conv2d(pose, conv.weight, conv.bias, padding=1)))
    torch.testing.assert_close(first, torch.cat((noise, channel, latent), 1))


def test_our_pose_channel_tells_pose_and_mask_apart_block_by_block(genego: EgoPipeline) -> None:
    given = conditions()
    before = unet_inputs(genego)[0]
    for name in ("pose_map", "projected"):
        changed = given[name].clone()
        changed[..., 0:8, 24:32] = 0.5  # the upper right block
        after = unet_inputs(genego, **{name: changed})[0]
        moved = (after - before).abs().amax((0, 1)) > 0
        assert moved[0, 3] and not moved[3].any() and not moved[:, 0].any()  # two 3 x 3 convolutions reach two further
        assert (after[:, :4] == before[:, :4]).all() and (after[:, 5:] == before[:, 5:]).all()


@pytest.mark.parametrize("kind", ["genego", "egoworld"])
def test_the_same_inputs_and_seed_give_the_same_bytes(kind: str, request: pytest.FixtureRequest) -> None:
    pipeline = request.getfixturevalue(kind)
    first = run(pipeline, guidance=2.0, eta=1.0)
    assert first.shape == (1, 3, SIDE, SIDE) and first.dtype == torch.float32
    assert first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, run(pipeline, guidance=2.0, eta=1.0))
    assert not torch.equal(first, run(pipeline, seed=2, guidance=2.0, eta=1.0))


@pytest.mark.parametrize("kind", ["genego", "egoworld"])
def test_a_saved_pipeline_gives_the_same_bytes(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    pipeline = request.getfixturevalue(kind)
    pipeline.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".json", ".safetensors"}
    again = EgoPipeline.from_pretrained(tmp_path, local_files_only=True, use_safetensors=True)
    assert torch.equal(run(again, guidance=1.5), run(pipeline, guidance=1.5))
    assert again.config.start_noise is None and again.config.fill is False


def test_what_training_decided_is_saved(tmp_path: Path) -> None:
    tiny_pipeline.genego(fill=True, start_noise=0.2).save_pretrained(tmp_path)
    again = EgoPipeline.from_pretrained(tmp_path, local_files_only=True)
    assert (again.config.fill, again.config.start_noise) == (True, 0.2)


def test_guidance_pays_two_passes_and_none_pays_one(genego: EgoPipeline) -> None:
    assert [len(x) for x in unet_inputs(genego, steps=3)] == [1, 1, 1]
    assert [len(x) for x in unet_inputs(genego, steps=3, guidance=1.5)] == [2, 2, 2]


def test_guidance_goes_from_the_null_text_past_the_text() -> None:
    """One Euler step from noise is linear in what the U-Net predicts."""
    pipeline = tiny_pipeline.genego()
    ends = {}
    for name, changes in {
        "null": {"text": ""},
        "text": {"text": "a mug"},
        "guided": {"text": "a mug", "guidance": 3.0},
    }.items():
        inputs = {**conditions(), "steps": 1, **changes}
        ends[name] = pipeline(**inputs, generator=torch.Generator().manual_seed(1)).latents
    assert not torch.allclose(ends["null"], ends["text"])
    torch.testing.assert_close(ends["guided"], ends["null"] + 3 * (ends["text"] - ends["null"]), rtol=1e-3, atol=1e-4)


def test_texts(genego: EgoPipeline, egoworld: EgoPipeline) -> None:
    ours = genego.encode_text(["", " ", "a mug", "a mug " * 2500])
    assert ours.shape == (4, tiny_pipeline.TOKENS, tiny_pipeline.WIDTH)
    assert torch.equal(ours[0], genego.null_text.learned[0]) and torch.equal(ours[1], ours[0])
    assert ours[2, :2].abs().min() > 0 and not ours[2, 2:].any()  # two words, and nothing behind them
    theirs = egoworld.encode_text(["", "a mug"])
    assert theirs[:, 2:].abs().min() > 0  # padding that the encoder saw, as Stable Diffusion has it
    assert torch.equal(genego.encode_text(["a mug", "hand"])[0], ours[2])


def test_an_unchanged_text_is_read_once(genego: EgoPipeline) -> None:
    passes: list[int] = []
    handle = genego.text_encoder.register_forward_hook(lambda *_: passes.append(1))
    for text in ("hand", "hand", "hand", "a hand"):
        run(genego, text=text)
    handle.remove()
    assert len(passes) == 2


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != "flow"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_each_scheduler_finds_the_picture_that_a_perfect_network_knows(
    name: str, prediction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that knows the clean latent says what noise, or v, is in z_t; every scheduler must then reach it."""
    pipeline = tiny_pipeline.genego(DDIMScheduler(prediction_type=prediction, clip_sample=False))
    pipeline.scheduler = exchanged(pipeline.scheduler, name)
    assert type(pipeline.scheduler) is SCHEDULERS[name]
    clean = 0.5 * torch.randn((1, 4, SIDE // 8, SIDE // 8), generator=torch.Generator().manual_seed(9))
    alphas = DDIMScheduler().alphas_cumprod

    def perfect(latents: Tensor, _: Tensor, time: Tensor, *__: Any) -> Tensor:
        alpha = alphas[int(time)]
        noise = (latents - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        return noise if prediction == "epsilon" else alpha.sqrt() * noise - (1 - alpha).sqrt() * clean

    monkeypatch.setattr(pipeline, "_predict", perfect)
    for strength in (1.0, 0.5):
        inputs = {**conditions(), "steps": 4, "strength": strength}
        found = pipeline(**inputs, generator=torch.Generator().manual_seed(1)).latents
        # LCM's skip connection and the first step's small noise keep the others from exactness too.
        torch.testing.assert_close(found, clean, rtol=0, atol=0.1)


def test_strength_starts_from_the_splat_and_keeps_the_number_of_steps(genego: EgoPipeline) -> None:
    given = conditions()
    filled = given["sparse"].clamp(-0.5, 0.5)
    passes = unet_inputs(genego, strength=0.25, filled=filled)
    noise = torch.randn((1, 4, SIDE // 8, SIDE // 8), generator=torch.Generator().manual_seed(1))
    assert len(passes) == 2
    torch.testing.assert_close(passes[0][:, :4], 0.75 * genego.encode(filled) + 0.25 * noise)
    previous = torch.full_like(noise, 0.3)
    torch.testing.assert_close(
        unet_inputs(genego, strength=0.25, previous=previous)[0][:, :4], 0.75 * previous + 0.25 * noise
    )
    assert torch.equal(run(genego, previous=previous), run(genego))  # at full strength nothing of it is left


def test_a_flow_may_begin_at_the_splat() -> None:
    pipeline = tiny_pipeline.genego(start_noise=0.1)
    passes = unet_inputs(pipeline, steps=1)
    noise = torch.randn((1, 4, SIDE // 8, SIDE // 8), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(passes[0][:, :4], pipeline.encode(conditions()["sparse"]) + 0.1 * noise)


def test_diffusions_start_has_the_noise_of_its_first_step(egoworld: EgoPipeline) -> None:
    passes = unet_inputs(egoworld, strength=0.5, steps=4, previous=torch.ones(1, 4, SIDE // 8, SIDE // 8))
    noise = torch.randn((1, 4, SIDE // 8, SIDE // 8), generator=torch.Generator().manual_seed(1))
    alpha = DDIMScheduler().alphas_cumprod[3 * 125 + 1]  # the fifth of eight steps
    assert len(passes) == 4
    torch.testing.assert_close(passes[0][:, :4], alpha.sqrt() + (1 - alpha).sqrt() * noise)


def test_no_hands_are_a_black_pose_map(genego: EgoPipeline) -> None:
    assert torch.equal(run(genego, pose_map=None), run(genego, pose_map=torch.zeros(1, 3, SIDE, SIDE)))


def test_pictures_of_a_batch_do_not_mind_each_other(genego: EgoPipeline) -> None:
    both = {**conditions(count=2), "text": ["a mug", "hand"]}
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    together = genego(**both, steps=2, generator=generators).images
    second = {name: value[1:] for name, value in both.items()}
    alone = genego(**second, steps=2, generator=torch.Generator().manual_seed(2)).images
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"projected": torch.zeros(1, 1, SIDE, SIDE)}, "S_ego is empty: .*check the depth and the viewpoint"),
        ({"sparse": torch.full((1, 3, SIDE, SIDE), torch.nan)}, "sparse holds NaN"),
        ({"pose_map": torch.full((1, 3, SIDE, SIDE), torch.inf)}, "pose_map holds NaN or infinite"),
        ({"sparse": torch.zeros(1, 3, 36, 32)}, "pictures of 32 x 36: both sides must be multiples of 8"),
        ({"sparse": torch.zeros(3, SIDE, SIDE)}, r"sparse is \(3, 32, 32\): \(N, 3, H, W\)"),
        ({"projected": torch.ones(1, 3, SIDE, SIDE)}, r"projected is \(1, 3, 32, 32\): \(1, 1, 32, 32\) is wanted"),
        ({"text": ["a", "b"]}, "2 texts for 1 pictures"),
        ({"steps": 0}, "0 steps at strength 1.0"),
        ({"strength": 0.0}, "a strength in"),
        ({"strength": 0.5, "previous": torch.zeros(1, 4, 2, 2)}, r"previous is \(1, 4, 2, 2\)"),
    ],
)
def test_bad_input_is_named(genego: EgoPipeline, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(GenEgoError, match=text):
        run(genego, **changes)


def test_numbers_that_a_dtype_cannot_hold_are_no_picture() -> None:
    pipeline = tiny_pipeline.genego()
    pipeline.vae.decoder.layers[0].weight.fill_(torch.inf)
    with pytest.raises(GenEgoError, match="choose dtype:=float32 or bfloat16"):
        run(pipeline)


def test_parts_that_do_not_belong_together_are_refused() -> None:
    pipeline = tiny_pipeline.genego()
    parts = {**pipeline.components, "unet": tiny_pipeline.unet(in_channels=4)}
    with pytest.raises(GenEgoError, match="takes 4 channels: one of 9 is wanted"):
        EgoPipeline(**parts)
    parts = {**pipeline.components, "scheduler": DDIMScheduler()}
    with pytest.raises(GenEgoError, match="start_noise is for networks trained by flow matching"):
        EgoPipeline(**parts, start_noise=0.1)
    with pytest.raises(GenEgoError, match="there is no scheduler 'heun'; known: ddim"):
        exchanged(DDIMScheduler(), "heun")
    with pytest.raises(GenEgoError, match="does not fit how this network was trained; choose flow"):
        exchanged(FlowMatchEulerDiscreteScheduler(), "lcm")


def test_bfloat16_throughout() -> None:
    pipeline = tiny_pipeline.genego()
    exact = run(pipeline)
    rounded = run(pipeline.to(torch.bfloat16))
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().mean() < 0.02
