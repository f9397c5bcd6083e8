"""The backend `qwen_vl` on tiny models of the real classes, with weights of chance."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from genego_ros.errors import GenEgoError
from genego_ros.observation.description import load_describer
from genego_ros.parameters import Parameters
from genego_ros.types import Camera, Frame

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

from genego_ros.observation.description.vision_language import PROMPT, whole_sentences  # noqa: E402

FRAME = Frame(np.full((48, 64, 3), 90, np.uint8), Camera.from_hfov(64, 48, 60.0))
NOTHING = np.full((48, 64), np.nan, np.float32)
TEMPLATE = (
    "{% for m in messages %}{% for c in m.content %}{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}"
    "{% endfor %}{% endfor %}"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LLaVA with two layers: a class that `AutoModelForImageTextToText` knows, and that needs no torchvision."""
    folder = tmp_path_factory.mktemp("model")
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    raw = tokenizers.Tokenizer(tokenizers.models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<end>", pad_token="<pad>", additional_special_tokens=["<image>"]
    )
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**sizes, image_size=28, patch_size=14),
        text_config=transformers.LlamaConfig(**sizes, vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    transformers.LlavaForConditionalGeneration(config).save_pretrained(folder)
    size = {"height": 28, "width": 28}
    pictures = transformers.CLIPImageProcessor(size={"shortest_edge": 28}, crop_size=size)
    transformers.LlavaProcessor(
        pictures, tokenizer, 14, "default", TEMPLATE, num_additional_image_tokens=1
    ).save_pretrained(folder)
    return folder


def parameters(folder: Path | str, **values: float) -> Parameters:
    setting = {"description.backend": "qwen_vl", "description.weights": str(folder), "device": "cpu"}
    return Parameters.from_mapping(setting | {f"description.{name}": value for name, value in values.items()})


def test_a_model_from_a_folder_describes_the_picture_and_not_the_prompt(model: Path) -> None:
    describer = load_describer(parameters(model))
    text = describer.describe(FRAME, (), NOTHING)
    assert text and PROMPT[:20] not in text
    assert describer.describe(FRAME, (), NOTHING) == text  # nothing is drawn by chance


def test_a_text_that_takes_too_long_is_cut_short(model: Path) -> None:
    describer = load_describer(parameters(model))
    whole = describer.describe(FRAME, (), NOTHING)
    describer.parameters = parameters(model, timeout_s=0.1)
    describer._model.forward = _slowly(describer._model.forward)  # type: ignore[attr-defined]
    start = time.monotonic()
    cut = describer.describe(FRAME, (), NOTHING)
    assert time.monotonic() - start < 5.0
    assert len(cut) < len(whole)


def _slowly(function):  # type: ignore[no-untyped-def]
    def slow(*arguments, **named):  # type: ignore[no-untyped-def]
        time.sleep(0.03)
        return function(*arguments, **named)

    # generate() looks at the signature to see what the model takes.
    slow.__signature__ = __import__("inspect").signature(function)  # type: ignore[attr-defined]
    return slow


@pytest.mark.parametrize("what", ["", "/nowhere", "empty", "no processor", "no weights"])
def test_a_folder_without_a_model_is_refused_with_the_cure(model: Path, tmp_path: Path, what: str) -> None:
    folder: Path | str = tmp_path if what in ("empty", "no processor", "no weights") else what
    for file in model.iterdir() if what.startswith("no ") else ():
        wanted = file.name.endswith(".safetensors") if what == "no weights" else "process" in file.name
        if not wanted and not (what == "no processor" and "token" in file.name):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(GenEgoError, match=r"description backend 'qwen_vl'.*(give the folder|fetch the model again)"):
        load_describer(parameters(folder))


def test_texts_end_with_a_sentence() -> None:
    assert whole_sentences("A mug.\nIt is red. The ha") == "A mug. It is red."
    assert whole_sentences("  a mug ") == "a mug"
    assert whole_sentences("") == ""
