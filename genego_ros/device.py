"""Which processor computes."""

from __future__ import annotations

from pathlib import Path

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
