"""The pipeline of `lite` as one file: all of it that was trained here, and not the text encoder, which was not.

Safetensors in float16, each tensor under its component's name; the components' classes and settings are the
`configuration` in its metadata, as JSON.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from genego_ros.atomic import write_whole
from genego_ros.errors import GenEgoError, loading
from genego_ros.reconstruction.pipeline import EgoPipeline
from genego_ros.reconstruction.text_models import load_minilm

COMPONENTS = ("vae", "unet", "pose_encoder", "null_text", "scheduler")
_CURE = "copy it again, or make it with ./genego train"
_MODULES = ("diffusers", "genego_ros")
"""Packages whose classes a file may name."""
_LARGEST = torch.finfo(torch.float16).max


def save_lite(pipeline: EgoPipeline, path: Path) -> None:
    """Writes the file, which appears whole or not at all."""
    tensors: dict[str, Tensor] = {}
    components: dict[str, Any] = {}
    for name in COMPONENTS:
        component = getattr(pipeline, name)
        kind = type(component)
        settings = {key: value for key, value in component.config.items() if not key.startswith("_")}
        components[name] = {"class": f"{kind.__module__}:{kind.__name__}", "settings": settings}
        if isinstance(component, nn.Module):
            tensors |= {f"{name}.{key}": _half(tensor) for key, tensor in component.state_dict().items()}
    configuration = {
        "components": components,
        "fill": pipeline.config.fill,
        "start_noise": pipeline.config.start_noise,
    }
    write_whole(path, save(tensors, {"configuration": json.dumps(configuration, sort_keys=True)}))


def load_lite(path: Path) -> EgoPipeline:
    """The pipeline for inference, float32, on the CPU.

    Raises:
        GenEgoError: the file is missing, damaged or of something else; or MiniLM is not installed.
    """
    with loading(path, _CURE):
        with safe_open(path, "pt") as file:
            configuration = json.loads((file.metadata() or {})["configuration"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        components = {
            name: _made(name, tensors, made["class"], made["settings"])
            for name, made in configuration["components"].items()
        }
    text_encoder, tokenizer = load_minilm()
    with loading(path, _CURE):
        return EgoPipeline(
            **components,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            fill=configuration["fill"],
            start_noise=configuration["start_noise"],
        )


def _made(name: str, tensors: dict[str, Tensor], kind: str, settings: dict[str, Any]) -> Any:
    module, _, attribute = kind.partition(":")
    if module.partition(".")[0] not in _MODULES:
        raise GenEgoError(f"its {name} is a '{kind}': only classes of {' and '.join(_MODULES)} are made")
    component = getattr(import_module(module), attribute).from_config(settings)
    if isinstance(component, nn.Module):
        own = {key.removeprefix(f"{name}."): t for key, t in tensors.items() if key.startswith(f"{name}.")}
        component.load_state_dict(own)  # float16 becomes the network's own float32
        component.eval().requires_grad_(False)
    return component


def _half(tensor: Tensor) -> Tensor:
    """As float16 where that holds it."""
    tensor = tensor.detach().cpu()
    fits = tensor.is_floating_point() and bool((tensor.abs() <= _LARGEST).all())
    return (tensor.half() if fits else tensor).contiguous()
