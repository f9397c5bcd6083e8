"""Every measure against an independent implementation on the same arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from genego_ros import weights
from genego_ros.evaluation import intervals
from genego_ros.evaluation.distances import KernelDistance, frechet
from genego_ros.evaluation.features import Eye, perceptual
from genego_ros.evaluation.metrics import METRICS, Measured, Ruler, summarise
from genego_ros.geometry.picture_errors import PSNR_CEILING, psnr, ssim

WEIGHT = weights.manifest()["efficientnet_lite0"]
needs_weights = pytest.mark.skipif(not WEIGHT.path.is_file(), reason=f"{WEIGHT.path} is missing: {WEIGHT.cure}")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small pictures are measured sooner by one than by several that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def loaded(name: str) -> ModuleType:
    """A module of torchmetrics, which imports torchvision where that is installed, and fails on one that was
    built for another torch."""
    try:
        return import_module(name)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{name} cannot be loaded: {error}")


def pictures(count: int, size: int = 96, seed: int = 0) -> np.ndarray:
    """uint8 (count, size, size, 3): soft blobs, with a flat white part and a black one."""
    rng = np.random.default_rng(seed)
    made = np.stack(
        [
            cv2.resize(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8), (size, size), interpolation=2)
            for _ in range(count)
        ]
    )
    made[:, : size // 5], made[:, -size // 5 :] = 255, 0
    return made


def spoiled(clean: np.ndarray, amount: int, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(-amount, amount + 1, clean.shape)
    return np.clip(clean.astype(int) + noise, 0, 255).astype(np.uint8)


# --- one picture -----------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", [1, 20, 120])
def test_psnr_and_ssim_are_scikit_images(amount: int) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    truth = pictures(3)
    for a, b in zip(truth, spoiled(truth, amount), strict=True):
        assert psnr(a, b) == pytest.approx(metrics.peak_signal_noise_ratio(a, b, data_range=255), abs=1e-9)
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
        # Mirrored by hand, since scikit-image leaves the border out.
        mirrored = [np.pad(picture, ((5, 5), (5, 5), (0, 0)), mode="reflect") for picture in (a, b)]
        expected = metrics.structural_similarity(*mirrored, channel_axis=2, **options)
        assert ssim(a, b) == pytest.approx(expected, abs=2e-6)


def test_psnr_and_ssim_are_torchmetrics_defaults() -> None:
    functional = loaded("torchmetrics.functional.image")
    truth = pictures(4)
    noisy = spoiled(truth, 40)
    x, y = (torch.from_numpy(batch).permute(0, 3, 1, 2).double() / 255 for batch in (truth, noisy))
    expected = functional.structural_similarity_index_measure(y, x, data_range=1.0, reduction="none")
    assert [ssim(a, b) for a, b in zip(truth, noisy, strict=True)] == pytest.approx(expected.tolist(), abs=2e-6)
    options = {"data_range": 1.0, "reduction": "none", "dim": (1, 2, 3)}
    expected = functional.peak_signal_noise_ratio(y, x, **options)
    assert [psnr(a, b) for a, b in zip(truth, noisy, strict=True)] == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_perfect_picture_has_the_best_scores() -> None:
    (picture,) = pictures(1)
    assert psnr(picture, picture) == PSNR_CEILING
    assert ssim(picture, picture) == pytest.approx(1.0, abs=1e-6)
    one_off = picture.copy()
    one_off[40, 40, 0] ^= 1
    assert 90 < psnr(picture, one_off) < PSNR_CEILING


# --- two sets --------------------------------------------------------------------------------------


def feature_sets(count: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(width, width)) / math.sqrt(width)
    return rng.normal(size=(count, width)) @ mixing + 0.2, rng.gamma(2.0, size=(count, width)) @ mixing


def frechet_by_sqrtm(a: np.ndarray, b: np.ndarray) -> float:
    s1, s2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    difference = a.mean(axis=0) - b.mean(axis=0)
    return float(difference @ difference + np.trace(s1 + s2 - 2 * sqrtm(s1 @ s2).real))


@pytest.mark.parametrize(("count", "width"), [(200, 12), (60, 40), (41, 40)])
def test_frechet_distance_is_what_a_matrix_root_gives(count: int, width: int) -> None:
    a, b = feature_sets(count, width)
    assert frechet(a, b) == pytest.approx(frechet_by_sqrtm(a, b), rel=1e-6)


def test_frechet_distance_of_fewer_pictures_than_features() -> None:
    """The covariances are singular: by the eigenvalues of their product, whose tiny ones are what sqrtm stumbles on."""
    a, b = feature_sets(15, 40)
    s1, s2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.clip(np.linalg.eigvals(s1 @ s2).real, 0, None)).sum()
    expected = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + np.trace(s1) + np.trace(s2) - 2 * roots
    assert frechet(a, b) == pytest.approx(expected, rel=1e-5)
    assert frechet(a, a) == pytest.approx(0.0, abs=1e-9)


def test_frechet_distance_is_that_of_torchmetrics() -> None:
    fid = loaded("torchmetrics.image.fid")

    class Pooled(torch.nn.Module):
        """Features that can be computed by hand: the mean of each part of 8 x 8 of the red channel."""

        num_features = 16

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.avg_pool2d(batch[:, 0].float() / 255, 8).flatten(1)

    truth = pictures(40, 32)
    made = spoiled(pictures(40, 32, seed=5), 30)
    metric = fid.FrechetInceptionDistance(feature=Pooled(), input_img_size=(3, 32, 32)).set_dtype(torch.float64)
    features = []
    for batch, real in ((truth, True), (made, False)):
        metric.update(torch.from_numpy(batch).permute(0, 3, 1, 2), real=real)
        features.append(batch[..., 0].reshape(40, 4, 8, 4, 8).mean(axis=(2, 4)).reshape(40, 16) / 255)
    assert frechet(*features) == pytest.approx(metric.compute().item(), rel=1e-4)


def kernel_distance_by_loops(a: np.ndarray, b: np.ndarray) -> float:
    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float(sum(p * q for p, q in zip(x, y, strict=True)) / len(x) + 1) ** 3

    n, m = len(a), len(b)
    within_a = sum(k(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_b = sum(k(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_a + within_b - 2 * sum(k(x, y) for x in a for y in b) / (n * m)


def test_kernel_distance_is_what_loops_give() -> None:
    a, b = feature_sets(14, 6)
    groups = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 4, 4, 4])
    distance = KernelDistance(a, b, groups)
    assert distance()[0] == pytest.approx(kernel_distance_by_loops(a, b), rel=1e-9)
    counts = np.array([[1, 1, 1, 1, 1], [2, 0, 1, 0, 2], [0, 5, 0, 0, 0]])
    for row, found in zip(counts, distance(counts), strict=True):
        taken = np.concatenate([np.flatnonzero(groups == g) for g in range(5) for _ in range(row[g])])
        assert found == pytest.approx(kernel_distance_by_loops(a[taken], b[taken]), rel=1e-9)
        assert frechet(a, b, row[groups]) == pytest.approx(frechet(a[taken], b[taken]), rel=1e-9)


def test_kernel_distance_is_unbiased() -> None:
    rng = np.random.default_rng(3)
    found = [KernelDistance(*rng.normal(size=(2, 12, 5)), np.arange(12))()[0] for _ in range(400)]
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(len(found))


def test_kernel_distance_of_many_pictures_is_summed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = feature_sets(50, 6)
    groups = np.arange(50) % 7
    whole = KernelDistance(a, b, groups)()
    monkeypatch.setattr("genego_ros.evaluation.distances._ROWS", 8)
    np.testing.assert_allclose(KernelDistance(a, b, groups)(), whole, rtol=1e-9)


# --- over EfficientNet-Lite0 -----------------------------------------------------------------------


@needs_weights
def test_features_and_perceptual_distance_over_the_package() -> None:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    from safetensors.torch import load_file

    theirs = package.EfficientNet.from_name("efficientnet-lite0", image_size=None).eval()
    theirs.load_state_dict(load_file(WEIGHT.path))
    truth = pictures(2)
    noisy = spoiled(truth, 60)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    layers = []
    with torch.no_grad():
        for batch in (truth, noisy):
            normalised = ((batch / 255.0 - mean) / deviation).transpose(0, 3, 1, 2).astype(np.float32)
            x = theirs._swish(theirs._bn0(theirs._conv_stem(torch.from_numpy(normalised))))
            layers.append([x := block(x) for block in theirs._blocks])
    eye = Eye()
    seen = [eye(batch) for batch in (truth, noisy)]
    for found, theirs_of in zip(seen, layers, strict=True):
        np.testing.assert_allclose(found.pooled, theirs_of[-1].mean(dim=(2, 3)), rtol=1e-4, atol=1e-4)
    for picture in range(2):
        per_size = []
        for block in (0, 2, 4, 10, 15):
            a, b = (of[block][picture].numpy().astype(np.float64) for of in layers)
            cosine = (a * b).sum(axis=0) / np.linalg.norm(a, axis=0) / np.linalg.norm(b, axis=0)
            per_size.append(np.mean(2 - 2 * cosine))
        assert perceptual(*seen)[picture] == pytest.approx(np.mean(per_size), rel=1e-4)
    assert perceptual(seen[0], seen[0]).tolist() == [0.0, 0.0]


@needs_weights
def test_worse_pictures_score_worse_in_every_measure() -> None:
    eye = Eye()
    truth = pictures(12, size=64)
    seen = eye(truth)
    of_truth = Measured({}, {"effnet": seen.pooled})
    tables = []
    for amount in (4, 12, 40):
        made = spoiled(truth, amount)
        found = eye(made)
        scores = {
            "psnr": np.array([psnr(a, b) for a, b in zip(truth, made, strict=True)]),
            "ssim": np.array([ssim(a, b) for a, b in zip(truth, made, strict=True)]),
            "pd_effnet": perceptual(seen, found),
        }
        of_method = Measured(scores, {"effnet": found.pooled})
        tables.append(summarise(of_truth, of_method, [f"recording {i // 3}" for i in range(12)], seed=0))
    assert list(tables[0]) == ["psnr", "ssim", "fd_effnet", "kd_effnet", "pd_effnet"]
    for metric in tables[0]:
        found = [table[metric].mean for table in tables]
        assert sorted(found, reverse=METRICS[metric].higher_is_better) == found, metric
        assert all(table[metric].low <= table[metric].mean <= table[metric].high for table in tables), metric


@needs_weights
def test_figures_do_not_depend_on_the_number_of_processors() -> None:
    truth = pictures(6, size=64)
    made = {"noisy": spoiled(truth, 30), "black": np.zeros_like(truth)}
    ruler = Ruler()

    def load(start: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        rows = slice(start, start + 2)
        return truth[rows], {name: batch[rows] for name, batch in made.items()}

    found = []
    for processors in (1, 2, 3):
        torch.set_num_threads(processors)
        parts = [of_methods["noisy"] for _, of_methods in ruler.measure_all((0, 2, 4), load)]
        assert torch.get_num_threads() == processors
        found.append(Measured.joined(parts))
    expected = [psnr(a, b) for a, b in zip(truth, made["noisy"], strict=True)]
    assert found[0].scores["psnr"].tolist() == expected  # in order
    for other in found[1:]:
        np.testing.assert_array_equal(other.features["effnet"], found[0].features["effnet"])
        for name, scores in found[0].scores.items():
            np.testing.assert_array_equal(other.scores[name], scores)


# --- intervals -------------------------------------------------------------------------------------


def test_intervals_of_a_mean_hold_the_truth_nineteen_times_in_twenty() -> None:
    """Pictures of a recording share most of their error, which intervals over pictures would not know."""
    rng = np.random.default_rng(7)
    groups = np.repeat(np.arange(40), 5)
    drawn = intervals.draw(40, seed=0)
    inside = 0
    for _ in range(400):
        scores = 20.0 + rng.normal(0, 1.0, 40)[groups] + rng.normal(0, 0.5, 200)
        found = intervals.mean(scores, groups, drawn)
        inside += found.low <= 20.0 <= found.high
    assert 0.915 <= inside / 400 <= 0.975


@pytest.mark.parametrize("metric", ["fd_effnet", "kd_effnet"])
def test_intervals_of_a_distance_are_as_wide_as_it_varies(metric: str) -> None:
    rng = np.random.default_rng(11)
    recordings = [str(i // 4) for i in range(120)]

    def draw_anew() -> intervals.Estimate:
        offset = rng.normal(0, 0.4, (30, 1, 6)).repeat(4, axis=1).reshape(120, 6)
        truth, made = offset + rng.normal(0, 1, (120, 6)), 1.3 * offset + rng.normal(0.5, 1, (120, 6))
        return summarise(Measured({}, {"effnet": truth}), Measured({}, {"effnet": made}), recordings, 0)[metric]

    estimates = [draw_anew() for _ in range(25)]
    spread = np.std([estimate.mean for estimate in estimates], ddof=1)
    width = np.mean([estimate.high - estimate.low for estimate in estimates])
    assert 0.6 < width / (2 * 1.96 * spread) < 1.5
    assert all(estimate.low < estimate.mean < estimate.high for estimate in estimates)


def test_one_recording_has_no_interval_and_one_picture_no_distance() -> None:
    truth, made = feature_sets(3, 6)
    of_truth, of_method = (
        Measured({}, {"effnet": truth}),
        Measured({"psnr": np.array([1.0, 2.0, 6.0])}, {"effnet": made}),
    )
    found = summarise(of_truth, of_method, ["a"] * 3, seed=0)
    assert list(found) == ["psnr", "fd_effnet", "kd_effnet"]
    assert found["psnr"].mean == 3.0 and found["psnr"].n == 3
    assert all(math.isnan(estimate.low) and math.isnan(estimate.high) for estimate in found.values())
    one = summarise(of_truth.rows(np.array([0])), of_method.rows(np.array([0])), ["a"], seed=0)
    assert list(one) == ["psnr"]
