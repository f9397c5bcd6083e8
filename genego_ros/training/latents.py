"""Latents of cached conditions, kept on the disk so that the VAE looks at each picture only once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from genego_ros.atomic import whole
from genego_ros.errors import GenEgoError
from genego_ros.reconstruction.autoencoder import FACTOR, LATENT_CHANNELS, LiteAutoencoder
from genego_ros.reconstruction.conditioning import picture_tensor
from genego_ros.training.conditions import KINDS, kept_conditions
from genego_ros.training.mapped import mapped_zeros
from genego_ros.types import Array, ByteArray


def latent_type(side: int) -> np.dtype[np.void]:
    """Of a moment, with S pixels a side: `target`, the truth, and S_ego with its holes `filled`, first by kind; each as
    it is and mirrored."""
    latent = (2, LATENT_CHANNELS, side // FACTOR, side // FACTOR)
    return np.dtype([("target", "<f2", latent), ("filled", "<f2", (len(KINDS), *latent))])


def cached_latents(rows: Array, name: str, vae: LiteAutoencoder, folder: Path) -> Array:
    """The latents of rows of conditions, on the disk; made in `folder` where they do not lie there already.

    Args:
        name: the rows' fingerprint.
        vae: in evaluation mode; only its encoder counts.

    Raises:
        GenEgoError: the folder cannot be written; names the cure.
    """
    kind = latent_type(rows["target"].shape[1])
    said = json.dumps([name, str(kind), encoder_state(vae)])
    path = folder / f"latents-{hashlib.sha256(said.encode()).hexdigest()[:16]}.npy"
    try:
        if not path.exists():
            with whole(path) as growing:
                latents = mapped_zeros(growing, kind, rows.shape)
                for index in tqdm(range(len(rows)), "encoding", unit="sample", disable=None):
                    latents[index] = row_latents(vae, rows[index])
                latents.flush()
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise GenEgoError(f"{path}: cannot be written ({error}); make room or choose another --cache") from error


def encoder_state(vae: LiteAutoencoder) -> str:
    """The sha256 of what makes the latents: two networks of the same one say the same."""
    digest = hashlib.sha256()
    for name, tensor in sorted(vae.encoder.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def row_latents(vae: LiteAutoencoder, row: np.void) -> Array:
    """Of one moment: an array of no dimension, see `latent_type`. A kind that is not there keeps zeros."""
    found = np.zeros((), latent_type(row["target"].shape[0]))
    kinds = np.flatnonzero(row["there"]).tolist()
    filled = [kept_conditions(row, kind).filled for kind in kinds]
    latents = encoded(vae, [np.array(row["target"]), *filled])  # torch takes no pictures that it may not write to
    found["target"], found["filled"][kinds] = latents[0], latents[1:]
    return found


@torch.inference_mode()
def encoded(vae: LiteAutoencoder, pictures: list[ByteArray]) -> NDArray[np.float16]:
    """Scaled latents of pictures, uint8 (S, S, 3), and of their mirror images: float16 (N, 2, 4, S / 8, S / 8)."""
    ways = [picture_tensor(way) for picture in pictures for way in (picture, picture[:, ::-1])]
    latents = vae.encode(torch.cat(ways)).latents * vae.config.scaling_factor
    return latents.unflatten(0, (len(pictures), 2)).half().numpy()
