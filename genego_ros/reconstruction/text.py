"""T_exo as the tokens that the U-Net attends to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn


class NullText(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """What stands in for a description that is not there; learned where training leaves the description out.

    A pipeline without one takes the empty text, as Stable Diffusion does.
    """

    @register_to_config
    def __init__(self, tokens: int = 64, width: int = 384) -> None:
        super().__init__()
        self.learned = nn.Parameter(torch.zeros(1, tokens, width))


def embed(tokenizer: Any, encoder: Any, null: NullText | None, texts: Sequence[str]) -> Tensor:
    """Token by token what `encoder` makes of texts, float (N, tokens, width) on its device.

    A text ends where the tokens do. With a null text, which an empty text becomes, the encoder sees the text alone and
    what lies behind its end is zero; without one it sees the padding too, as CLIP was trained in Stable Diffusion.
    """
    length = null.config["tokens"] if null else tokenizer.model_max_length
    found = tokenizer(list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    ids = found["input_ids"].to(encoder.device)
    if null is None:
        return encoder(ids)[0]
    mask = found["attention_mask"].to(encoder.device)
    tokens = encoder(ids, attention_mask=mask)[0] * mask[..., None]
    empty = torch.tensor([not text.strip() for text in texts], device=encoder.device)
    return torch.where(empty[:, None, None], null.learned.to(tokens.dtype), tokens)
