"""`./genego train vae`: the autoencoder of the reconstruction `lite`, on pieces of every view of recordings."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from genego_ros.data.h2o import EGO_CAMERA, H2O
from genego_ros.errors import loading
from genego_ros.geometry.squeeze import squeeze
from genego_ros.reconstruction.autoencoder import LiteAutoencoder
from genego_ros.training.loop import Settings
from genego_ros.training.views import ViewId, views_fingerprint, views_of
from genego_ros.types import Array, ByteArray

SIDE = 256
"""Pixels a side of the squeezed first-person pictures that the reconstruction works on."""
PIECE = 128
"""Pixels a side of what is cut from a picture. The network is convolutional: four small pieces teach it more than one
large picture, and take as long."""
ZOOMS = (0.5, 1.0)
"""Sizes at which pieces are cut from third-person pictures, which are not squeezed."""
EDGES = 0.5
"""Weight of the differences between neighbouring pixels, at three scales, against that of the pixels themselves."""
SCALES = 3
KNEE = 0.01
"""Below, an error counts by its square (Charbonnier et al., 1994), in [-1, 1]."""


def prepare(args: argparse.Namespace) -> tuple[VaeTask, Settings]:
    """What `./genego train vae` trains.

    Raises:
        GenEgoError: no such data set or split, weights that do not fit.
    """
    dataset, learned, held_out = views_of(args.dataset, args.split)
    network = load_vae(args.start) if args.start else LiteAutoencoder()
    return VaeTask(network, dataset, learned, held_out), Settings(
        batch=16, rate=1e-3, weight_decay=0.01, precision="no", workers=1
    )


def load_vae(path: Path) -> LiteAutoencoder:
    """The network of weights.safetensors, float32, on the CPU, in evaluation mode.

    Raises:
        GenEgoError: the file is missing, damaged or of something else.
    """
    with loading(path, "give weights.safetensors of ./genego train vae"):
        with safe_open(path, "pt") as file:
            configuration = json.loads((file.metadata() or {})["configuration"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        network = LiteAutoencoder(**configuration)
        network.load_state_dict(tensors)
    return network.eval()


class PictureSamples:
    """A piece of each view, in a mirror as often as not, in a little other light."""

    def __init__(self, dataset: H2O, ids: Sequence[ViewId]) -> None:
        self._dataset, self._ids = dataset, ids

    def __len__(self) -> int:
        return len(self._ids)

    def batch(self, indices: NDArray[np.int64], rng: np.random.Generator) -> Mapping[str, Array]:
        """`pictures`, uint8 (N, PIECE, PIECE, 3)."""
        return {"pictures": np.stack([self._piece(self._ids[index], rng) for index in indices])}

    def _piece(self, id: ViewId, rng: np.random.Generator) -> ByteArray:
        rgb = self._dataset.view(*id).frame.rgb
        if id.camera == EGO_CAMERA:
            rgb = squeeze(rgb, SIDE, SIDE)
        else:
            zoom = max(rng.uniform(*ZOOMS), PIECE / min(rgb.shape[:2]))
            size = round(zoom * rgb.shape[1]), round(zoom * rgb.shape[0])
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
        top, left = (int(rng.integers(0, side - PIECE + 1)) for side in rgb.shape[:2])
        piece = rgb[top : top + PIECE, left : left + PIECE]
        if rng.random() < 0.5:
            piece = piece[:, ::-1]
        gains = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.06, 3))
        return np.clip(piece * gains + 0.5, 0, 255).astype(np.uint8)


class VaeTask:
    """See `training.loop.Task`."""

    rates: Mapping[str, float] = {}

    def __init__(
        self, network: LiteAutoencoder, dataset: H2O, learned: Sequence[ViewId], held_out: Sequence[ViewId]
    ) -> None:
        self.network: nn.Module = network
        self.samples = PictureSamples(dataset, learned)
        config: Any = network.config
        self.configuration: Mapping[str, Any] = {key: config[key] for key in ("down", "up", "noise")}
        self._dataset = dataset
        self._held_out = held_out
        self.fingerprint = views_fingerprint(dataset, learned, held_out)

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """How far pixels are off, and how far the steps between neighbours are, which a blurred picture lacks."""
        truth = batch["pictures"].permute(0, 3, 1, 2) / 127.5 - 1
        found = network(truth).float()
        pixels, edges = _far(found - truth).mean(), found.new_zeros(())
        difference = found - truth
        for _ in range(SCALES):
            edges = edges + _far(difference.diff(dim=-1)).mean() + _far(difference.diff(dim=-2)).mean()
            difference = functional.avg_pool2d(difference, 2)
        return {"loss": pixels + EDGES * edges, "pixels": pixels, "edges": edges}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """PSNR in dB of squeezed first-person pictures and of third-person ones of recordings that are not learned
        from, in the mean over pictures."""
        found: dict[str, list[float]] = {"psnr_ego": [], "psnr_exo": []}
        for id in self._held_out:
            rgb = self._dataset.view(*id).frame.rgb
            name = "psnr_ego" if id.camera == EGO_CAMERA else "psnr_exo"
            found[name].append(reconstruction_psnr(network, squeeze(rgb, SIDE, SIDE)))
        return {name: float(np.mean(values)) for name, values in found.items() if values}


@torch.inference_mode()
def reconstruction_psnr(network: nn.Module, picture: ByteArray) -> float:
    """dB between a picture, uint8 (H, W, 3), and what is left of it in its latent."""
    assert isinstance(network, LiteAutoencoder)
    device = next(network.parameters()).device
    truth = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None] / 127.5 - 1
    found = network.decode(network.encode(truth).latents).sample.clamp(-1, 1)
    bytes_ = ((found + 1) * 127.5).round()
    error = float(((bytes_ - (truth + 1) * 127.5) / 255).square().mean())
    return float(-10 * np.log10(max(error, 1e-10)))


def _far(difference: Tensor) -> Tensor:
    return (difference.square() + KNEE**2).sqrt() - KNEE
