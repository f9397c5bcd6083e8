"""Which processor computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genego_ros.errors import GenEgoError


def resolve_device(name: str) -> str:
    """`cpu` or `cuda:N` for the parameter `device`: auto, cpu, cuda or cuda:N.

    `auto` is the first GPU that torch can use, else the CPU. Importing torch takes seconds, so where the
    machine has no NVIDIA driver at all it is not asked.

    Raises:
        GenEgoError: another name, or a GPU that is not there.
    """
    if name == "cpu" or (name == "auto" and not Path("/dev/nvidiactl").exists()):
        return "cpu"
    kind, _, number = name.partition(":")
    if name != "auto" and (kind != "cuda" or not (number or "0").isdigit()):
        raise GenEgoError(f"device is '{name}': it must be auto, cpu or cuda:N")
    import torch

    wanted, found = int(number or 0), torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted < found:
        return f"cuda:{wanted}"
    if name == "auto":
        return "cpu"
    raise GenEgoError(f"device is '{name}', but torch {torch.__version__} finds {found} GPU(s): choose cpu or auto")


def resolve_dtype(name: str, device: str) -> Any:
    """The torch.dtype for the parameter `dtype` on a device as `resolve_device` names it.

    `auto` is float16 on a GPU, else float32.

    Raises:
        GenEgoError: float16 on a CPU, which computes with it slowly or not at all.
    """
    import torch

    if name == "auto":
        name = "float32" if device == "cpu" else "float16"
    if name == "float16" and device == "cpu":
        raise GenEgoError("dtype is 'float16', which takes a GPU: choose auto, float32 or bfloat16")
    return getattr(torch, name)
