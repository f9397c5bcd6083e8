"""LPIPS and FID: over their own networks or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genego_ros.errors import GenEgoError
from genego_ros.evaluation import backbones
from genego_ros.evaluation.backbones import UnavailableError, load_inception, load_lpips
from genego_ros.evaluation.distances import frechet

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that GENEGO_BACKBONES names, beside an empty hub cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv(backbones.FOLDER, str(tmp_path))
    return tmp_path


def put(folder: Path, content: Any, constant: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Publishes a state dict under a name that ends in its sha256, which becomes the one that is looked for."""
    torch.save(content, folder / "file")
    digest = hashlib.sha256((folder / "file").read_bytes()).hexdigest()
    path = (folder / "file").rename(folder / f"network-{digest[:8]}.pth")
    monkeypatch.setattr(backbones, constant, path.name)
    return path


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (load_lpips, "lpips is left out: its network's weights, alexnet-owt-7be5be79.pth, are neither"),
        (load_inception, "fid is left out: its network's weights, pt-inception-2015-12-05-6726825d.pth, are neither"),
    ],
)
def test_without_weights_the_reason_names_file_and_folders(load: Any, said: str, folder: Path) -> None:
    with pytest.raises(
        UnavailableError, match=f"{said} in the folder that GENEGO_BACKBONES names nor in {folder}/hub/"
    ):
        load()


@pytest.mark.parametrize("load", [load_lpips, load_inception])
def test_a_file_that_is_not_what_its_name_says_is_refused(load: Any, folder: Path) -> None:
    cache = folder / "hub/hub/checkpoints"
    cache.mkdir(parents=True)
    (cache / backbones.ALEXNET).write_bytes(b"cut short")
    (folder / backbones.INCEPTION).write_bytes(b"cut short")
    with pytest.raises(GenEgoError, match=r"-[0-9a-f]{8}\.pth has sha256 .*, not the one in its name"):
        load()


def test_a_pickle_that_acts_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (folder / "hostile",)

    put(folder, {"features.0.weight": Hostile()}, "ALEXNET", monkeypatch)
    with pytest.raises(GenEgoError, match="holds more than tensors"):
        load_lpips()
    assert not (folder / "hostile").exists()


def test_lpips_is_that_of_torchmetrics(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over an AlexNet of random weights, since the real ones are seldom at hand."""
    try:
        import lpips  # noqa: F401
        from torchmetrics.functional.image.lpips import _LPIPS
        from torchvision.models import alexnet
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"the extra `measure` cannot be loaded: {error}")
    torch.manual_seed(0)
    network = alexnet(weights=None)
    put(folder, network.state_dict(), "ALEXNET", monkeypatch)
    theirs = _LPIPS(pretrained=True, net="alex", pnet_rand=True).eval()
    for part in range(1, 6):
        for index, layer in getattr(theirs.net, f"slice{part}").named_children():
            layer.load_state_dict(network.features[int(index)].state_dict())
    first, second = (torch.from_numpy(batch).permute(0, 3, 1, 2) / 255.0 for batch in PICTURES)
    with torch.no_grad():
        expected = theirs(first, second, normalize=True).flatten()
    np.testing.assert_allclose(load_lpips()(*PICTURES), expected, rtol=1e-5)


def test_fid_is_that_of_torchmetrics(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over an Inception of random weights, as the network initialises itself."""
    try:
        from torch_fidelity import feature_extractor_inceptionv3 as inception
        from torchmetrics.image.fid import FrechetInceptionDistance
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"the extra `measure` cannot be loaded: {error}")
    torch.manual_seed(0)
    made: dict[str, torch.Tensor] = {}

    def keep(self: torch.nn.Module, state: Any) -> None:
        made.update(torch.nn.Module.state_dict(self))

    with monkeypatch.context() as patched:
        patched.setattr(inception, "load_state_dict_from_url", lambda *_, **__: {})
        patched.setattr(inception.FeatureExtractorInceptionV3, "load_state_dict", keep)
        inception.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    # Weights larger than the initial ones, or the features vanish on their way through.
    path = put(folder, {name: w * 4 if w.ndim == 4 else w for name, w in made.items()}, "INCEPTION", monkeypatch)
    metric = FrechetInceptionDistance(feature=2048, feature_extractor_weights_path=str(path))
    for batch, real in zip(PICTURES, (True, False), strict=True):
        metric.update(torch.from_numpy(batch).permute(0, 3, 1, 2), real=real)
    features = load_inception()
    found = [features(batch) for batch in PICTURES]
    assert found[0].shape == (3, 2048)
    assert frechet(*found) == pytest.approx(metric.compute().item(), rel=1e-3)
