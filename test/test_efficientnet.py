"""EfficientNet-Lite0 against the package that its weights come with."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from genego_ros import weights
from genego_ros.efficientnet import CHANNELS, fold, load_efficientnet

WEIGHT = weights.manifest()["efficientnet_lite0"]
pytestmark = pytest.mark.skipif(not WEIGHT.path.is_file(), reason=f"{WEIGHT.path} is missing: {WEIGHT.cure}")
LAST_BLOCKS = (0, 2, 4, 10, 15)
"""The package's blocks after which the size of the features changes, and its last."""


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160)])
def test_features_are_the_packages(height: int, width: int) -> None:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    theirs = package.EfficientNet.from_name("efficientnet-lite0", image_size=None).eval()
    theirs.load_state_dict(load_file(WEIGHT.path))
    pictures = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        x = theirs._swish(theirs._bn0(theirs._conv_stem(pictures)))
        expected = []
        for index, block in enumerate(theirs._blocks):
            x = block(x)
            if index in LAST_BLOCKS:
                expected.append(x)
        ours = load_efficientnet()(pictures)
        folded = fold(load_efficientnet())(pictures)
    sizes = [(2, channels, height // s, width // s) for channels, s in zip(CHANNELS, (2, 4, 8, 16, 32), strict=True)]
    assert [tuple(features.shape) for features in ours] == sizes
    for reference, plain, fast in zip(expected, ours, folded, strict=True):
        torch.testing.assert_close(plain, reference, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(fast, reference, rtol=1e-4, atol=1e-4)


def test_gradients_reach_every_weight() -> None:
    network = load_efficientnet().train()
    features = network(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2)))
    sum(f.square().mean() for f in features).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() and p.grad.any() for p in network.parameters())
