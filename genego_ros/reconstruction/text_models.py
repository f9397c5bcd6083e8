"""The text encoder of `lite` and the tokenizer of CLIP, out of the files that models/manifest.yaml names."""

from __future__ import annotations

import gzip
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from safetensors.torch import load
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, CLIPTokenizer, PreTrainedTokenizerFast

from genego_ros import weights
from genego_ros.errors import loading

CLIP_TOKENS = 77
_CLIP_END = "<|endoftext|>"
_MERGES = 48894
"""Of the vocabulary's file, that CLIP takes: 49152 words of it are the 2 x 256 bytes and what merges make of them."""


def load_minilm() -> tuple[BertModel, Any]:
    """MiniLM (Wang et al., 2020; 384 numbers a token) and its tokenizer, float32, on the CPU.

    Raises:
        GenEgoError: the weights `minilm` are missing or damaged.
    """
    path = weights.locate("minilm")
    with loading(path, weights.manifest()["minilm"].cure), zipfile.ZipFile(path) as bundle:
        encoder = BertModel(BertConfig(**json.loads(bundle.read("config.json"))), add_pooling_layer=False)
        tensors = load(bundle.read("model.safetensors"))
        own = encoder.state_dict().keys()
        encoder.load_state_dict({name: tensor for name, tensor in tensors.items() if name in own})
        words = Tokenizer.from_str(bundle.read("tokenizer.json").decode())
    marks = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=512, **marks)
    return encoder.eval().requires_grad_(False), tokenizer


def clip_tokenizer() -> Any:
    """CLIP's tokenizer (Radford et al., 2021), as Stable Diffusion uses it.

    Raises:
        GenEgoError: the weights `clip_vocabulary` are missing or damaged.
    """
    path = weights.locate("clip_vocabulary")
    with loading(path, weights.manifest()["clip_vocabulary"].cure), zipfile.ZipFile(path) as bundle:
        lines = gzip.decompress(bundle.read("merges.txt.gz")).decode().splitlines()
    merges = lines[1 : 1 + _MERGES]
    letters = _byte_letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(merge.replace(" ", "") for merge in merges)]
    vocabulary = {word: index for index, word in enumerate([*words, "<|startoftext|>", _CLIP_END])}
    with tempfile.TemporaryDirectory() as name:  # the one form that all versions of transformers read
        folder = Path(name)
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
        return CLIPTokenizer.from_pretrained(folder, model_max_length=CLIP_TOKENS, pad_token=_CLIP_END)


def _byte_letters() -> list[str]:
    """The visible letter that stands for each byte, in the vocabulary's order: those that are visible themselves
    first, the others moved behind Latin-1.
    """
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = 256 - len(visible)
    return [chr(byte) for byte in visible] + [chr(256 + index) for index in range(hidden)]
