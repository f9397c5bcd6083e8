"""EgoWorld's checkpoint as our pipeline: the same numbers as the original layer order gives."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import ldm_reference as ldm
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from genego_ros.data.torch_checkpoint import read_tensors
from genego_ros.errors import GenEgoError
from genego_ros.reconstruction.ldm_layout import convert
from genego_ros.reconstruction.pipeline import EgoPipeline

SMALL = {"width": 32, "vae_width": 32, "text_width": 64, "text_layers": 2, "words": 40}


def tokenizer() -> Any:
    """Of two words, 77 tokens as CLIP's."""
    words = Tokenizer(models.WordLevel({"end": 0, "mug": 1, "hand": 2}, unk_token="end"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="end", unk_token="end", model_max_length=77)


@torch.no_grad()
def random_checkpoint(**widths: int) -> ldm.Checkpoint:
    """Every tensor of the layout, of random numbers, and what else lies in a published file."""
    made = ldm.Checkpoint(**widths)
    tokens = ldm.text(made, torch.zeros(1, 77, dtype=torch.long))
    ldm.pose(made, torch.zeros(1, 3, 8, 8))
    ldm.unet(made, torch.zeros(1, 9, 8, 8), torch.ones(1), tokens)
    ldm.decode(made, torch.zeros(1, 4, 1, 1))
    attention = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn1"
    width = len(made.tensors[f"{attention}.to_q.weight"])
    made.tensors |= {
        f"{attention}.dim2dim.weight": torch.ones(width, 1024),
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77)[None],
        "betas": torch.linspace(0.001, 0.01, 1000),
    }
    return made


@pytest.fixture(scope="module")
def small() -> ldm.Checkpoint:
    return random_checkpoint(**SMALL)


def agreement(pipeline: EgoPipeline, checkpoint: ldm.Checkpoint) -> dict[str, float]:
    """The largest difference of each part, and of the whole, by what the original gives; relative to its spread."""
    random = torch.Generator().manual_seed(3)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random)

    sparse, pose_map = numbers(1, 3, 64, 64).clamp(-1, 1), numbers(1, 3, 64, 64).clamp(0, 1)
    ids = pipeline.tokenizer(["", "mug hand"], padding="max_length", return_tensors="pt")["input_ids"]
    latents, time = numbers(1, 9, 8, 8), torch.tensor([321])
    with torch.no_grad():
        tokens = ldm.text(checkpoint, ids)
        pairs = {
            "text": (pipeline.encode_text(["", "mug hand"]), tokens),
            "encoded": (pipeline.encode(sparse), ldm.encode(checkpoint, sparse)),
            "decoded": (pipeline.decode(latents[:, :4]), ldm.decode(checkpoint, latents[:, :4])),
            "unet": (
                pipeline.unet(latents, time, encoder_hidden_states=tokens[1:]).sample,
                ldm.unet(checkpoint, latents, time, tokens[1:]),
            ),
            "conditions": (
                pipeline.encode_conditions(sparse, torch.ones(1, 1, 64, 64), pose_map),
                torch.cat((ldm.pose(checkpoint, pose_map), ldm.encode(checkpoint, sparse)), 1),
            ),
        }
        noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(11))
        whole = ldm.sample(checkpoint, sparse, pose_map, tokens, noise, steps=2, guidance=2.0)
        ours = pipeline(
            sparse,
            torch.ones(1, 1, 64, 64),
            pose_map,
            "mug hand",
            steps=2,
            guidance=2.0,
            generator=torch.Generator().manual_seed(11),
        )
    pairs["sampled"] = (ours.images, (whole / 2 + 0.5).clamp(0, 1))
    return {name: float((a - b).abs().max() / b.std()) for name, (a, b) in pairs.items()}


def test_a_checkpoint_gives_what_the_original_layer_order_gives(small: ldm.Checkpoint, tmp_path: Path) -> None:
    torch.save({"state_dict": small.tensors, "global_step": 7000}, tmp_path / "step=7000.ckpt")
    pipeline = convert(read_tensors(tmp_path / "step=7000.ckpt"), "step=7000.ckpt", tokenizer())
    assert max(agreement(pipeline, small).values()) < 1e-4
    pipeline.save_pretrained(tmp_path / "pipeline")
    files = {path.suffix for path in (tmp_path / "pipeline").rglob("*") if path.is_file()}
    assert files == {".json", ".safetensors"}
    again = EgoPipeline.from_pretrained(tmp_path / "pipeline", local_files_only=True, use_safetensors=True)
    for name in ("unet", "vae", "text_encoder", "pose_encoder"):
        torch.testing.assert_close(getattr(again, name).state_dict(), getattr(pipeline, name).state_dict())
    assert again.scheduler.config["steps_offset"] == 1


@pytest.mark.skipif("GENEGO_FULL_SIZE" not in os.environ, reason="takes 9 GB and minutes: set GENEGO_FULL_SIZE to run")
def test_a_checkpoint_of_full_size_does_too(tmp_path: Path) -> None:
    made = random_checkpoint()
    torch.save({"state_dict": made.tensors}, tmp_path / "step=7000.ckpt")
    del made
    tensors = read_tensors(tmp_path / "step=7000.ckpt")
    pipeline = convert(tensors, "step=7000.ckpt", tokenizer())
    numbers = sum(p.numel() for p in pipeline.unet.parameters())
    assert numbers == 859_535_364  # Stable Diffusion 1.5's, with five more input channels
    differences = agreement(pipeline, ldm.Checkpoint(tensors))
    print(f"U-Net of {numbers} parameters; largest differences relative to the spread: {differences}")
    assert max(differences.values()) < 1e-4


def test_the_settings_beside_a_lightning_checkpoints_tensors_are_not_run(small: ldm.Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "step=7000.ckpt"
    torch.save({"state_dict": small.tensors, "hyper_parameters": Namespace(lr=1e-5)}, path)
    found = read_tensors(path)
    assert found.keys() == small.tensors.keys()
    torch.testing.assert_close(found["channel_reducer.0.weight"], small.tensors["channel_reducer.0.weight"])

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "hostile",)

    torch.save({"state_dict": small.tensors, "callbacks": Hostile()}, path)
    with pytest.raises(GenEgoError, match=r"step=7000\.ckpt: "):
        read_tensors(path)
    assert not (tmp_path / "hostile").exists()


def test_another_layout_is_named(small: ldm.Checkpoint) -> None:
    without_pose = {name: tensor for name, tensor in small.tensors.items() if not name.startswith("channel_reducer")}
    with pytest.raises(GenEgoError, match=r"plain\.ckpt: has no tensors 'channel_reducer\.\*'.*another layout; give"):
        convert(without_pose, "plain.ckpt", tokenizer())
    with pytest.raises(GenEgoError, match=r"odd\.ckpt: its tensors do not fit EgoWorld's layout .*'strange' belongs"):
        convert({**small.tensors, "model.diffusion_model.strange": torch.zeros(1)}, "odd.ckpt", tokenizer())
    lacking = {name: t for name, t in small.tensors.items() if "input_blocks.4.1.proj_in" not in name}
    with pytest.raises(GenEgoError, match="do not fit EgoWorld's layout"):
        convert(lacking, "cut.ckpt", tokenizer())


def test_a_damaged_file_is_named(small: ldm.Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "step=7000.ckpt"
    with pytest.raises(GenEgoError, match=r"step=7000\.ckpt: no such file"):
        read_tensors(path)
    torch.save({"state_dict": small.tensors}, path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(GenEgoError, match=r"step=7000\.ckpt: .*copy it again"):
        read_tensors(path)
    torch.save({"step": 3}, path)
    with pytest.raises(GenEgoError, match="holds no tensors by name"):
        read_tensors(path)
