"""Checkpoints that others' trainings left behind, as tensors."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from genego_ros.data.unpickling import load_pickle
from genego_ros.errors import GenEgoError


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a torch or Lightning checkpoint, on the CPU; nothing that it names is run.

    Raises:
        GenEgoError: the file is missing, damaged, or holds no tensors by name; names the path.
    """
    cure = "give a checkpoint of torch (.ckpt, .pt), and copy it again if it is one"
    if not path.is_file():
        raise GenEgoError(f"{path}: no such file; {cure}")
    try:
        # Mapped, not read: of a file with an optimizer's state only the network's part is ever touched.
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError:
        # Lightning's settings lie beside the tensors; the project's own reader takes those for data, or not at all.
        found = load_pickle(path, stand_ins=True, part="state_dict")
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise GenEgoError(f"{path}: cannot be read ({str(error).splitlines()[0]}); {cure}") from error
    state = found.get("state_dict", found) if isinstance(found, Mapping) else {}
    tensors = {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    if not tensors:
        raise GenEgoError(f"{path}: holds no tensors by name; {cure}")
    return tensors
