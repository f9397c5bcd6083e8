"""LPIPS and FID over the networks they were defined with, where those can be had.

Their weights are looked for in the folder that GENEGO_BACKBONES names, then in torch's hub cache, under the
names that they are published by. Nothing is downloaded, and nothing else takes their place.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from genego_ros.errors import GenEgoError
from genego_ros.types import ByteArray, Float64Array

FOLDER = "GENEGO_BACKBONES"
"""The environment variable."""
ALEXNET = "alexnet-owt-7be5be79.pth"
INCEPTION = "pt-inception-2015-12-05-6726825d.pth"
"""File names end in the first digits of the file's sha256, torch hub's convention."""

_BROKEN = (ImportError, OSError, RuntimeError)
"""What importing a missing package raises, or a torchvision that was built for another torch."""


class UnavailableError(Exception):
    """A measure cannot be had here; the text says why and what would change that."""


def load_lpips() -> Callable[[ByteArray, ByteArray], Float64Array]:
    """LPIPS (Zhang et al., 2018, version 0.1) over AlexNet: of uint8 (N, H, W, 3) pairs, float64 (N,).

    Raises:
        UnavailableError: the package or AlexNet's weights are not there.
    """
    backbone = _read(ALEXNET)
    try:
        import lpips
    except _BROKEN as error:
        raise _no_package("lpips", error) from error
    network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    # Its slices keep the indices of torchvision's `features`.
    slices = {name: backbone["features." + name.partition(".")[2]] for name in network.net.state_dict()}
    network.net.load_state_dict(slices)

    @torch.inference_mode()
    def distance(truth: ByteArray, pictures: ByteArray) -> Float64Array:
        first, second = (torch.from_numpy(batch).permute(0, 3, 1, 2) / 255.0 for batch in (truth, pictures))
        distances: Float64Array = network(first, second, normalize=True).flatten().double().numpy()
        return distances

    return distance


def load_inception() -> Callable[[ByteArray], Float64Array]:
    """The 2048 features of FID by torchmetrics: of uint8 (N, H, W, 3), float64 (N, 2048).

    Raises:
        UnavailableError: the packages or Inception's weights are not there.
    """
    weights = _read(INCEPTION)
    try:
        import torch_fidelity  # noqa: F401  torchmetrics says it is missing only when it is used
        from torchmetrics.image.fid import FrechetInceptionDistance
    except _BROKEN as error:
        raise _no_package("fid", error) from error
    with tempfile.TemporaryDirectory() as folder:
        # torch-fidelity unpickles whatever the file holds; what it gets holds tensors alone.
        safe = Path(folder) / INCEPTION
        torch.save(weights, safe)
        metric = FrechetInceptionDistance(feature=2048, feature_extractor_weights_path=str(safe))
    inception = metric.inception.eval()

    @torch.inference_mode()
    def features(pictures: ByteArray) -> Float64Array:
        found: Float64Array = inception(torch.from_numpy(pictures).permute(0, 3, 1, 2)).double().numpy()
        return found

    return features


def _no_package(metric: str, error: Exception) -> UnavailableError:
    return UnavailableError(
        f"{metric} is left out: its packages cannot be loaded ({error}); install the extra `measure` of setup.py, "
        "and torchvision from where torch came from"
    )


def _read(name: str) -> dict[str, torch.Tensor]:
    """A published state dict, its sha256 and its contents checked."""
    folders = [Path(torch.hub.get_dir()) / "checkpoints"]
    if chosen := os.environ.get(FOLDER):
        folders.insert(0, Path(chosen).expanduser())
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if path is None:
        metric = "lpips" if name == ALEXNET else "fid"
        raise UnavailableError(
            f"{metric} is left out: its network's weights, {name}, are neither in the folder that {FOLDER} names "
            f"nor in {folders[-1]}"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(Path(name).stem.rpartition("-")[2]):
        raise GenEgoError(f"{path} has sha256 {digest}, not the one in its name: fetch it again or take it away")
    try:
        state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise GenEgoError(f"{path} holds more than tensors: {error}") from error
    return state
