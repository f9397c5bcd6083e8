"""Descriptions as the text encoder's tokens, kept on the disk so that it reads each only once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from genego_ros.atomic import whole
from genego_ros.errors import GenEgoError
from genego_ros.reconstruction.text import NullText, embed
from genego_ros.training.mapped import mapped_zeros
from genego_ros.types import Array

_BATCH = 32


@torch.inference_mode()
def cached_tokens(texts: Sequence[str], tokenizer: Any, encoder: Any, null: NullText, folder: Path) -> Array:
    """What the encoder makes of texts as `embed` does, float16 (N, tokens, width), on the disk.

    Raises:
        GenEgoError: the folder cannot be written; names it.
    """
    shape = len(texts), null.config["tokens"], null.config["width"]
    path = folder / f"tokens-{hashlib.sha256(json.dumps([shape, list(texts)]).encode()).hexdigest()[:16]}.npy"
    try:
        if not path.exists():
            with whole(path) as growing:
                rows = mapped_zeros(growing, np.dtype(np.float16), shape)
                for start in tqdm(range(0, len(texts), _BATCH), "reading", unit="batch", disable=None):
                    some = texts[start : start + _BATCH]
                    rows[start : start + len(some)] = embed(tokenizer, encoder, null, some).half().numpy()
                rows.flush()
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise GenEgoError(f"{path}: cannot be written ({error}); make room or choose another --cache") from error
