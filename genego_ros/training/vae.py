"""`./genego train vae`: the autoencoder of the reconstruction `lite`, on pieces of every view of recordings."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from genego_ros.data.h2o import EGO_CAMERA, H2O
from genego_ros.data.sheet import contact_sheet
from genego_ros.geometry.picture_errors import psnr, ssim
from genego_ros.geometry.squeeze import squeeze
from genego_ros.reconstruction.autoencoder import LiteAutoencoder, load_autoencoder
from genego_ros.training.loop import Settings
from genego_ros.training.views import ViewId, views_fingerprint, views_of
from genego_ros.types import Array, ByteArray

SIDE = 256
"""Pixels a side of the squeezed first-person pictures that the reconstruction works on."""
PIECE = 128
"""Pixels a side of what is cut from a picture. The network is convolutional: four small pieces teach it more than one
large picture, and take as long."""
PIECES = 2
"""Of one picture, which takes longer to read than to cut."""
ZOOMS = (0.4, 1.0)
"""Sizes at which pieces are cut from third-person pictures, which are not squeezed."""
SWAPPED = 0.5
"""Share of the pieces whose channels change places. Rooms are mostly wood, skin and grey: shown nothing else, four
latent channels begin with one axis of colour, and leaves come back grey."""
COLOURS, BLOT = 10.0, 8
"""Weight of squared errors of colours from afar, and the pixels a side that they are averaged over. Half an hour of
errors by pixel alone left latents with one axis of colour; with this the second one came within four minutes."""
EDGES = 0.5
"""Weight of the differences between neighbouring pixels, at three scales, against that of the pixels themselves."""
SCALES = 3
UNIT = 0.1
"""Weight of how far the latents' mean square is from 1. The statistics that they are standardised by run behind:
latents that grow from step to step drown the noise, and did, a thousandfold, until averaged weights fitted no
statistics."""
SHOWN = 6
"""Pictures of a sheet."""
KNEE = 0.01
"""Below, an error counts by its square (Charbonnier et al., 1994), in [-1, 1]."""


def prepare(args: argparse.Namespace) -> tuple[VaeTask, Settings]:
    """What `./genego train vae` trains.

    Raises:
        GenEgoError: no such data set or split, weights that do not fit.
    """
    dataset, learned, held_out = views_of(args.dataset, args.split)
    network = load_autoencoder(args.start) if args.start else LiteAutoencoder()
    return VaeTask(network, dataset, learned, held_out), Settings(
        batch=8, rate=2e-3, weight_decay=0.01, precision="no", workers=1
    )


class PictureSamples:
    """Pieces of each view, in a mirror as often as not, in a little other light or in other colours."""

    def __init__(self, dataset: H2O, ids: Sequence[ViewId]) -> None:
        self._dataset, self._ids = dataset, ids

    def __len__(self) -> int:
        return len(self._ids)

    def batch(self, indices: NDArray[np.int64], rng: np.random.Generator) -> Mapping[str, Array]:
        """`pictures`, uint8 (N PIECES, PIECE, PIECE, 3)."""
        shown = (self._at_some_size(self._ids[index], rng) for index in indices)
        return {"pictures": np.stack([_piece(rgb, rng) for rgb in shown for _ in range(PIECES)])}

    def _at_some_size(self, id: ViewId, rng: np.random.Generator) -> ByteArray:
        rgb = self._dataset.picture(*id)
        if id.camera == EGO_CAMERA:
            return squeeze(rgb, SIDE, SIDE)
        zoom = max(rng.uniform(*ZOOMS), PIECE / min(rgb.shape[:2]))
        size = round(zoom * rgb.shape[1]), round(zoom * rgb.shape[0])
        return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def _piece(rgb: ByteArray, rng: np.random.Generator) -> ByteArray:
    top, left = (int(rng.integers(0, side - PIECE + 1)) for side in rgb.shape[:2])
    piece = rgb[top : top + PIECE, left : left + PIECE]
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    if rng.random() < SWAPPED:
        piece = piece[..., rng.permutation(3)]
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
        """How far pictures are off, and latents from their measure."""
        truth = batch["pictures"].permute(0, 3, 1, 2) / 127.5 - 1
        found, latents = (made.float() for made in network(truth))
        pixels, edges = fidelity(found, truth)
        unit = (latents.square().mean((0, 2, 3)) - 1).square().mean()
        colours = functional.avg_pool2d(found - truth, BLOT).square().mean()
        parts = {"pixels": pixels, "edges": edges, "unit": unit, "colours": colours}
        return {"loss": pixels + EDGES * edges + UNIT * unit + COLOURS * colours, **parts}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """PSNR in dB and SSIM of squeezed first-person pictures and of third-person ones of recordings that are not
        learned from, in the mean over pictures."""
        found: dict[str, list[float]] = {}
        for id in self._held_out:
            truth = self._squeezed(id)
            picture = reconstructed(network, truth)
            view = "ego" if id.camera == EGO_CAMERA else "exo"
            found.setdefault(f"psnr_{view}", []).append(psnr(truth, picture))
            found.setdefault(f"ssim_{view}", []).append(ssim(truth, picture))
        return {name: float(np.mean(values)) for name, values in found.items()}

    def sheet(self, network: nn.Module) -> ByteArray | None:
        """Some of the pictures that `validate` measures, and what becomes of them."""
        places = np.linspace(0, len(self._held_out) - 1, min(SHOWN, len(self._held_out))).astype(int)
        truths = [self._squeezed(self._held_out[place]) for place in places]
        if not truths:
            return None
        rows = []
        for truth in truths:
            picture = reconstructed(network, truth)
            rows.append((truth, picture, cv2.convertScaleAbs(cv2.absdiff(truth, picture), alpha=4)))
        return contact_sheet(("truth", "from its latent", "the difference, 4 x"), rows)

    def _squeezed(self, id: ViewId) -> ByteArray:
        return squeeze(self._dataset.picture(*id), SIDE, SIDE)


@torch.inference_mode()
def reconstructed(network: nn.Module, picture: ByteArray) -> ByteArray:
    """What is left of a picture, uint8 (H, W, 3), in its latent."""
    assert isinstance(network, LiteAutoencoder)
    device = next(network.parameters()).device
    truth = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None] / 127.5 - 1
    found = network.decode(network.encode(truth).latents).sample.clamp(-1, 1)
    return np.asarray(((found[0] + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy())


def fidelity(found: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """How far pixels are off, and how far the steps between neighbours are, which a blurred picture lacks.

    Args:
        found, truth: float (N, 3, H, W) in [-1, 1].
    """
    difference = found - truth
    pixels, edges = _far(difference).mean(), found.new_zeros(())
    for _ in range(SCALES):
        edges = edges + _far(difference.diff(dim=-1)).mean() + _far(difference.diff(dim=-2)).mean()
        difference = functional.avg_pool2d(difference, 2)
    return pixels, edges


def _far(difference: Tensor) -> Tensor:
    return (difference.square() + KNEE**2).sqrt() - KNEE
