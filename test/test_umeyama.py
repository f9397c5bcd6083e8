from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from bench.umeyama import TRIALS, Trial, two_hands
from genego_ros.errors import GenEgoError
from genego_ros.geometry.rigid import apply
from genego_ros.geometry.umeyama import align

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.booleans(), st.booleans())
def test_a_known_transformation_is_found_to_rounding(seed: int, with_scale: bool, robust: bool) -> None:
    trial = Trial(seed, noise=0.0, outliers=0, with_scale=with_scale)
    found = align(trial.source, trial.target, with_scale=with_scale, robust=robust)
    assert found.scale == pytest.approx(trial.scale, abs=1e-9)
    np.testing.assert_allclose(found.rotation, trial.rotation, atol=1e-9)
    np.testing.assert_allclose(apply(found.matrix, trial.source), trial.truth, atol=1e-9)
    assert found.residual < 1e-9 and not found.degenerate


@given(seeds)
def test_weighted_rotation_agrees_with_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, q, w = rng.normal(size=(12, 3)), rng.normal(size=(12, 3)), rng.uniform(0.1, 2, 12)
    found = align(p, q, w)
    centred = [x - np.average(x, axis=0, weights=w) for x in (p, q)]
    expected, distance = Rotation.align_vectors(centred[1], centred[0], weights=w)
    np.testing.assert_allclose(found.rotation, expected.as_matrix(), atol=1e-6)
    assert found.residual == pytest.approx(distance / np.sqrt(w.sum()), rel=1e-6)


@given(seeds)
def test_no_other_scale_fits_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = two_hands(rng)
    q = p + rng.normal(0, 0.02, p.shape)
    found = align(p, q, with_scale=True)
    for change in (0.99, 1.01):
        moved = change * found.scale * p @ found.rotation.T
        moved += q.mean(axis=0) - moved.mean(axis=0)
        assert np.sqrt(((moved - q) ** 2).sum(axis=1).mean()) > found.residual


@pytest.mark.parametrize("with_scale", [False, True])
def test_a_third_of_outliers_does_no_harm(with_scale: bool) -> None:
    trials = [Trial(seed, noise=1e-3, with_scale=with_scale) for seed in range(TRIALS)]
    found = [align(t.source, t.target, with_scale=with_scale, robust=True) for t in trials]
    errors = np.array([trial.errors(a) for trial, a in zip(trials, found, strict=True)])
    assert np.mean((errors[:, 0] <= 2.0) & (errors[:, 1] <= 0.5)) >= 0.99
    for trial, alignment in zip(trials, found, strict=True):
        assert set(np.flatnonzero(alignment.weights)) == set(trial.good)
        assert alignment.residual < 2e-3


def test_a_robust_fit_comes_close_to_knowing_the_outliers() -> None:
    """Also at three times the noise, where no method reaches half a degree from 29 points."""
    trials = [Trial(seed, noise=3e-3) for seed in range(TRIALS)]
    found = np.array([t.errors(align(t.source, t.target, robust=True)) for t in trials])
    told = np.array([t.errors(align(t.source[t.good], t.target[t.good])) for t in trials])
    assert (found.mean(axis=0) < 1.1 * told.mean(axis=0)).all()


def test_outliers_that_agree_with_one_another_are_still_left_out() -> None:
    trial = Trial(3, noise=1e-3, outliers=0)
    trial.target[:13] += [0.05, 0.0, 0.0]
    found = align(trial.source, trial.target, robust=True)
    assert not found.weights[:13].any() and (found.weights[13:] > 0).all()


def test_a_robust_fit_is_the_same_every_time() -> None:
    trial = Trial(1, noise=1e-3)
    first, second = (align(trial.source, trial.target, robust=True) for _ in range(2))
    assert first.matrix.tobytes() == second.matrix.tobytes()


def test_points_without_weight_do_not_count() -> None:
    trial = Trial(2, noise=0.0)
    weights = np.zeros(42)
    weights[trial.good] = 0.5
    for robust in (False, True):
        found = align(trial.source, trial.target, weights, robust=robust)
        np.testing.assert_allclose(found.rotation, trial.rotation, atol=1e-9)


def test_a_mirrored_hand_is_fitted_by_a_rotation_and_shows_in_the_residual() -> None:
    p = two_hands(np.random.default_rng(0))
    found = align(p, p * [-1, 1, 1])
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    assert found.residual > 0.005


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_points_on_a_line_are_degenerate(noise: float) -> None:
    rng = np.random.default_rng(0)
    p = np.linspace(-0.1, 0.1, 21)[:, None] * [0.6, 0.0, 0.8] + [0, 0, 0.5]
    assert align(p, p + rng.normal(0, noise, p.shape)).degenerate


def test_a_plane_fixes_the_rotation_and_says_that_it_is_flat() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(-0.1, 0.1, (21, 3)) * [1, 1, 0]
    rotation = Rotation.random(rng=rng).as_matrix()
    found = align(p, p @ rotation.T)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-9)
    assert not found.degenerate
    assert found.spread[2] < 1e-6
    np.testing.assert_allclose(found.spread[:2], np.sqrt(np.linalg.eigvalsh(np.cov(p.T, bias=True))[:0:-1]))


def test_two_points_or_one_place_are_degenerate() -> None:
    assert align(np.eye(3)[:2], np.eye(3)[:2]).degenerate
    assert align(np.ones((5, 3)), np.zeros((5, 3)), with_scale=True).degenerate


@pytest.mark.parametrize(
    ("source", "target", "weights", "cure"),
    [
        (np.zeros((3, 3)), np.zeros((4, 3)), None, r"\(N, 3\), \(N, 3\), \(N,\) needed"),
        (np.zeros((0, 3)), np.zeros((0, 3)), None, "one at least must be positive"),
        (np.full((3, 3), np.nan), np.zeros((3, 3)), None, "leave those points out"),
        (np.zeros((3, 3)), np.zeros((3, 3)), np.array([1.0, -1.0, 1.0]), "must not be negative"),
    ],
)
def test_input_that_cannot_be_aligned_is_refused(
    source: np.ndarray, target: np.ndarray, weights: np.ndarray | None, cure: str
) -> None:
    with pytest.raises(GenEgoError, match=cure):
        align(source, target, weights)
