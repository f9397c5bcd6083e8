"""The depth backends `lite` and `auto`, with weights at random."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from genego_ros.efficientnet import CHANNELS, EfficientNetLite0
from genego_ros.errors import GenEgoError
from genego_ros.observation.depth import load_depth_estimator
from genego_ros.observation.depth.lite import LiteDepth, predict
from genego_ros.observation.depth.lite_network import (
    LiteNetwork,
    load_network,
    load_network_to_train,
    network_size,
)
from genego_ros.observation.depth.upsampling import upsample
from genego_ros.parameters import Parameters
from genego_ros.training.checkpoint import save_weights
from genego_ros.types import Camera, Frame


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = LiteNetwork().train()
    with torch.no_grad():
        network(torch.rand(2, 3, 64, 64))  # so that normalisations have seen something
    path = tmp_path_factory.mktemp("weights") / "depth_lite.safetensors"
    save_weights(network, {}, path)
    return path


@pytest.fixture(scope="module")
def estimator(weights: Path) -> LiteDepth:
    return LiteDepth(parameters(weights))


def parameters(weights: Path, backend: str = "lite") -> Parameters:
    return Parameters.from_mapping({"device": "cpu", "depth.backend": backend, "depth.weights": str(weights)})


def frame(width: int, height: int, seed: int = 0) -> Frame:
    rgb = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return Frame(rgb, Camera.from_hfov(width, height, 60.0), camera_source="assumed")


@pytest.mark.parametrize(
    ("size", "seen"),
    [((640, 480), (288, 224)), ((1280, 720), (320, 192)), ((480, 640), (224, 288)), ((9, 9), (256, 256))],
)
def test_the_network_sees_pictures_in_their_own_shape(size: tuple[int, int], seen: tuple[int, int]) -> None:
    assert network_size(*size) == seen


@pytest.mark.parametrize("ratio", np.geomspace(1 / 12, 12, 25))
def test_every_shape_takes_the_same_time(ratio: float) -> None:
    width, height = network_size(round(1000 * math.sqrt(ratio)), round(1000 / math.sqrt(ratio)))
    assert width % 32 == height % 32 == 0 and 0.84 <= width * height / 65536 <= 1.0
    if 1 / 2.5 <= ratio <= 2.5:
        assert abs(math.log(width / height / ratio)) < math.log(1.13)


def test_features_are_the_whole_encoders() -> None:
    torch.manual_seed(1)
    encoder = EfficientNetLite0().eval()
    pictures = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        expected = encoder(pictures)
        *shared, deepest = LiteNetwork(encoder).encode(pictures)
    for ours, theirs in zip(shared, expected[:4], strict=True):
        torch.testing.assert_close(ours, theirs)
    assert deepest.shape == (1, 192, 2, 3) and expected[4].shape[1] == CHANNELS[4]


def test_what_is_loaded_for_inference_is_what_was_trained(weights: Path) -> None:
    pictures = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        trained, folded = load_network_to_train(weights).eval()(pictures), load_network(weights)(pictures)
    assert folded.log_depth.shape == (1, 32, 48)
    torch.testing.assert_close(trained.log_depth, folded.log_depth, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(trained.log_tangent, folded.log_tangent, rtol=1e-4, atol=1e-4)
    assert weights.stat().st_size < 10e6


@pytest.mark.parametrize("size", [(640, 480), (320, 180), (33, 200), (1600, 100), (1, 1)])
def test_depth_has_the_size_of_the_picture(estimator: LiteDepth, size: tuple[int, int]) -> None:
    found = estimator.estimate(frame(*size))
    assert found.values.shape == size[::-1] and found.values.dtype == np.float32
    assert np.isfinite(found.values).all() and (found.values > 0).all()
    assert (found.source, found.kind) == ("lite", "relative")
    assert found.camera is not None and (found.camera.width, found.camera.height) == size
    assert found.camera.fx == found.camera.fy


def test_depth_and_field_of_view_are_the_networks(estimator: LiteDepth, weights: Path) -> None:
    """At the network's own size nothing is resized but the depth, whose inverse is interpolated where all is grey."""
    shown = replace(frame(288, 224), rgb=np.full((224, 288, 3), 90, np.uint8))
    with torch.no_grad():
        found = load_network(weights)(torch.from_numpy(shown.rgb).permute(2, 0, 1)[None] / 255.0)
    inverse = functional.interpolate((-found.log_depth).exp()[None], scale_factor=2.0, mode="bilinear")
    depth = estimator.estimate(shown)
    np.testing.assert_allclose(depth.values, 1 / inverse[0, 0].numpy(), rtol=1e-3)
    assert depth.camera is not None
    assert depth.camera.fx == pytest.approx(288 / 2 / float(found.log_tangent.exp()), rel=1e-3)


def test_a_lens_that_is_known_corrects_the_metres(estimator: LiteDepth) -> None:
    """Twice the focal length: the same picture shows what is farther away, up to twice as far."""
    unknown = estimator.estimate(frame(320, 240))
    assert unknown.camera is not None and unknown.deviation is not None
    known = replace(frame(320, 240), camera_source="given")
    same, longer = (
        estimator.estimate(replace(known, camera=replace(unknown.camera, fx=times * unknown.camera.fx)))
        for times in (1.0, 2.0)
    )
    np.testing.assert_allclose(same.values, unknown.values, rtol=1e-5)
    ratio = longer.values / unknown.values
    assert np.ptp(ratio) < 1e-4 and 1.5 < ratio.mean() < 2.0
    assert same.deviation is not None and same.deviation < unknown.deviation


def test_upsampled_planes_stay_planes() -> None:
    """Whatever is painted on them."""
    rows, columns = np.mgrid[:56, :72]
    inverse = (1 + 0.004 * columns + 0.006 * rows).astype(np.float32)
    rgb = np.random.default_rng(0).integers(0, 255, (224, 288, 3), np.uint8)
    v, u = (np.mgrid[:224, :288] + 0.5) / 4 - 0.5
    plane = 1 / (1 + 0.004 * u + 0.006 * v)
    np.testing.assert_allclose(upsample(inverse, rgb)[4:-4, 4:-4], plane[4:-4, 4:-4], rtol=1e-5)


def test_upsampled_edges_are_the_pictures() -> None:
    """A near white square on a far black ground: between them no depth is made up, as interpolation would."""
    rgb = np.zeros((240, 320, 3), np.uint8)
    rgb[63:154, 91:186] = 230
    near = rgb[..., 0] > 0
    inverse = np.where(near, 1 / 0.6, 1 / 1.8)[2::4, 2::4].astype(np.float32)
    found = upsample(inverse, rgb)
    truth = np.where(near, 0.6, 1.8)
    wrong = np.abs(found - truth) > 0.05
    linear = np.abs(1 / cv2.resize(inverse, (320, 240)) - truth) > 0.05
    assert linear.sum() > 1000 and wrong.sum() < 0.2 * linear.sum()


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_overexposed_pictures_stay_finite(estimator: LiteDepth, level: int) -> None:
    shown = replace(frame(640, 480), rgb=np.full((480, 640, 3), level, np.uint8))
    found = estimator.estimate(shown)
    assert np.isfinite(found.values).all() and found.camera is not None and np.isfinite(found.camera.fx)


def test_auto_takes_the_depth_image_while_there_is_one(weights: Path) -> None:
    estimator = load_depth_estimator(parameters(weights, "auto"))
    without = frame(64, 48)
    image = np.full((48, 64), 1.5, np.float32)
    sources = []
    for shown in (replace(without, depth=image), without, replace(without, depth=image)):
        found = estimator.estimate(shown)
        assert found is not None
        sources.append((found.source, found.kind))
    assert sources == [("topic", "metric"), ("lite", "relative"), ("topic", "metric")]


def test_the_lens_is_the_same_with_and_without_a_depth_image(weights: Path) -> None:
    """A depth image says nothing of the lens: without camera_info K_exo would change with each that is lost."""
    estimator = load_depth_estimator(parameters(weights, "auto"))
    without = frame(64, 48)
    given = replace(without, depth=np.full((48, 64), 1.5, np.float32))
    alone, beside = estimator.estimate(without), estimator.estimate(given)
    assert alone is not None and beside is not None
    assert alone.camera == beside.camera is not None
    known = estimator.estimate(replace(given, camera_source="given"))
    assert known is not None and known.camera is None


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_weights(torch.nn.Linear(2, 2), {}, path)
    for wrong in (path, tmp_path / "nowhere.safetensors"):
        with pytest.raises(
            GenEgoError, match=rf"{wrong.name}: cannot be loaded .*weights of the depth backend `lite`.*genego train"
        ):
            LiteDepth(parameters(wrong))


@pytest.mark.parametrize(("bias", "hfov_deg"), [(1000.0, 150.0), (-1000.0, 10.0), (0.0, 60.0)])
def test_the_field_of_view_is_a_camera_s_whatever_the_network_says(
    bias: float, hfov_deg: float, tmp_path: Path
) -> None:
    network = LiteNetwork().eval()
    torch.nn.init.zeros_(network.whole[-1].weight)
    torch.nn.init.zeros_(network.whole[-1].bias)
    network.whole[-1].bias.data[1] = bias
    _, tangent = predict(network, np.zeros((48, 64, 3), np.uint8), "cpu")
    assert math.degrees(2 * math.atan(tangent)) == pytest.approx(hfov_deg, abs=1e-3)
    path = tmp_path / "extreme.safetensors"
    save_weights(network, {}, path)
    found = LiteDepth(parameters(path)).estimate(frame(64, 48))
    assert found is not None and found.camera is not None
    assert found.camera.fx == pytest.approx(32 / math.tan(math.radians(hfov_deg / 2)), rel=1e-4)
    # In training it learns from being wrong, however far.
    said = network(torch.zeros(1, 3, 64, 64)).log_tangent
    (slope,) = torch.autograd.grad(said.sum(), network.whole[-1].bias)
    assert slope.tolist() == [0.0, 1.0]
