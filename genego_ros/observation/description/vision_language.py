"""A description by a vision-language model, as in the paper (section 2.1: Qwen-VL)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from genego_ros.device import resolve_device
from genego_ros.errors import GenEgoError, loading
from genego_ros.parameters import Parameters
from genego_ros.types import FloatArray, Frame, Hand

PROMPT = "Describe in detail about the scene and the object that the person is interacting with using their hands."
"""The paper's."""
_LONGEST_TOKENS = 96
"""CLIP, which stage 2 reads it with, takes 77."""


class VisionLanguageDescription:
    """Any image-text-to-text model of transformers, from a folder on disk: Qwen2.5-VL, Qwen3-VL, SmolVLM, LLaVA, ...

    A text that is not finished after `description.timeout_s` is cut after its last whole sentence.

    Raises:
        GenEgoError: `description.weights` names no such folder.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        given = parameters.description.weights
        folder = Path(given).expanduser()
        if not given or not (folder / "config.json").is_file():
            raise GenEgoError(
                f"description backend 'qwen_vl': parameter 'description.weights' is '{given}', "
                "which holds no model; give the folder of an image-text-to-text model of transformers, such as "
                "`hf download Qwen/Qwen2.5-VL-3B-Instruct --local-dir FOLDER` makes"
            )
        self._device = torch.device(resolve_device(parameters.device))
        cure = "fetch the model again, with its processor and safetensors, and install what it needs"
        with loading(f"description backend 'qwen_vl': {folder}", cure):
            self._processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
            # Typed loosely: what a class of transformers has, its stubs say differently for each.
            model: Any = AutoModelForImageTextToText
            self._model = model.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype="auto")
        self._model.to(self._device).eval()

    @torch.inference_mode()
    def describe(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> str:
        question = {
            "role": "user",
            "content": [
                {"type": "image", "image": Image.fromarray(np.ascontiguousarray(frame.rgb))},
                {"type": "text", "text": PROMPT},
            ],
        }
        inputs = self._processor.apply_chat_template(
            [question], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        ).to(self._device, self._model.dtype)
        tokens = self._model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=_LONGEST_TOKENS,
            max_time=self.parameters.description.timeout_s,
        )
        answer = self._processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)[0]
        return whole_sentences(answer)


def whole_sentences(text: str) -> str:
    """`text` on one line, up to the end of its last sentence; all of it where it has none."""
    text = " ".join(text.split())
    end = max(text.rfind(mark) for mark in ".!?")
    return text[: end + 1] if end >= 0 else text
