"""What a training leaves on the disk: its state, to go on from, and the weights for use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from genego_ros.atomic import write_whole
from genego_ros.errors import GenEgoError, loading

_STATE = {"settings", "precision", "step", "seconds", "network", "average", "optimizer", "scaler"}
"""What a checkpoint holds."""
_LARGEST = torch.finfo(torch.float16).max


def read_checkpoint(path: Path, device: str) -> dict[str, Any]:
    """What a checkpoint holds; empty where there is none.

    Raises:
        GenEgoError: it is damaged or something else; names the path.
    """
    if not path.exists():
        return {}
    with loading(path, "put a copy of the checkpoint back, or delete it to begin anew"):
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        missing = _STATE - state.keys()
    if missing:
        raise GenEgoError(f"{path}: no checkpoint of this program (no {min(missing)}); delete it to begin anew")
    return state


def save_weights(
    network: nn.Module, configuration: Mapping[str, Any], path: Path, metadata: Mapping[str, Any] | None = None
) -> None:
    """Writes a network's tensors as float16 (those that do not fit in it as they are), with what it takes to build it.

    The file appears whole or not at all. Its metadata has `configuration` as JSON, beside `metadata`.
    """
    tensors = {name: _half(tensor.detach().cpu()) for name, tensor in network.state_dict().items()}
    texts = {name: str(value) for name, value in (metadata or {}).items()}
    content = save(tensors, {"configuration": json.dumps(dict(configuration), sort_keys=True), **texts})
    write_whole(path, content)


def _half(tensor: Tensor) -> Tensor:
    fits = tensor.is_floating_point() and (tensor.abs() <= _LARGEST).all()
    return (tensor.half() if fits else tensor).contiguous()
