"""From the file that `./genego train baseline` leaves to a network that makes pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from genego_ros.device import resolve_device
from genego_ros.errors import GenEgoError, loading
from genego_ros.geometry.squeeze import squeeze
from genego_ros.parameters import Parameters
from genego_ros.reconstruction.conditioning import picture_tensor
from genego_ros.types import ByteArray

Network = TypeVar("Network", bound=nn.Module)


def weights_file(parameters: Parameters, name: str) -> Path:
    """What the parameters name for a baseline.

    Raises:
        GenEgoError: nothing.
    """
    parameter = f"{name}_weights"
    chosen = getattr(parameters.baselines, parameter)
    if not chosen:
        raise GenEgoError(
            f"method '{name}' has no weights: train it, ./genego train baseline {name} DATASET "
            f"--config config/train/baseline_{name}.yaml --out OUT, and give "
            f"baselines.{parameter}:=OUT/weights.safetensors"
        )
    return Path(chosen).expanduser()


def load_network(parameters: Parameters, name: str, build: Callable[..., Network]) -> Network:
    """The trained network of a baseline, float32, in evaluation mode, on the device that the parameters name.

    Args:
        build: takes the configuration that is kept with the weights.

    Raises:
        GenEgoError: the parameters name no file; it is missing, damaged, or of another baseline.
    """
    network, _ = read_network(weights_file(parameters, name), name, build)
    return network.eval().requires_grad_(False).to(resolve_device(parameters.device))


def read_network(path: Path, name: str, build: Callable[..., Network]) -> tuple[Network, dict[str, Any]]:
    """The network in a file, float32, on the CPU, and its configuration.

    Raises:
        GenEgoError: the file is missing, damaged, or of another baseline.
    """
    with loading(path, f"give weights.safetensors of ./genego train baseline {name}"):
        with safe_open(path, "pt") as file:
            configuration = json.loads((file.metadata() or {}).get("configuration", "{}"))
        of = configuration.pop("baseline", None)
        if of != name:
            raise GenEgoError(
                f"{path}: holds the weights of {f'the baseline {of}' if of else 'something else'}; give "
                f"weights.safetensors of ./genego train baseline {name}"
            )
        network = build(**configuration)
        network.load_state_dict(load_file(path))  # float16 becomes the network's own float32
    return network, configuration


def shown(picture: ByteArray, side: int, like: nn.Module) -> Tensor:
    """I_exo as networks are shown it: uint8 (H, W, 3) squeezed to float32 (1, 3, side, side) in [-1, 1], on the device
    of `like`."""
    return picture_tensor(squeeze(picture, side, side)).to(next(like.parameters()).device)


def byte_pictures(pictures: Tensor) -> ByteArray:
    """float (N, 3, H, W), RGB in [-1, 1], as uint8 (N, H, W, 3)."""
    found = ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().byte()
    return np.asarray(found.permute(0, 2, 3, 1).cpu().numpy())
