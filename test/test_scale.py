from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genego_ros.observation.scale import fit_scale

pytestmark = pytest.mark.filterwarnings("error")
SHAPE = (40, 50)


def maps(seed: int, factor: float, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """D_hand on a patch of 400 pixels, D_exo with D_hand = factor D_exo but for noise, and the patch."""
    rng = np.random.default_rng(seed)
    hand, region = np.full(SHAPE, np.nan, np.float32), np.zeros(SHAPE, bool)
    region[10:30, 20:40] = True
    hand[region] = rng.uniform(0.4, 0.8, 400)
    exo = rng.uniform(1, 3, SHAPE).astype(np.float32)
    exo[region] = hand[region] / factor * (1 + rng.normal(0, noise, 400))
    return hand, exo, region


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_a_third_of_the_region_hidden_by_an_object_moves_it_little(seed: int, factor: float) -> None:
    hand, exo, region = maps(seed, factor, 0.01)
    rows, columns = np.nonzero(region)
    hidden = np.random.default_rng(seed).permutation(400)[:120]
    exo[rows[hidden], columns[hidden]] *= 0.7  # an object in the hand, 20 cm nearer
    scale = fit_scale(hand, exo)
    assert scale is not None
    assert scale.factor == pytest.approx(factor, rel=0.01)
    assert 260 <= scale.inliers <= 282
    assert scale.spread == pytest.approx(0.01, rel=0.3)


def test_without_noise_it_is_exact_and_every_pixel_agrees() -> None:
    hand, exo, _ = maps(1, 0.5, 0.0)
    scale = fit_scale(hand, exo)
    assert scale is not None
    assert (scale.factor, scale.inliers, scale.source) == (pytest.approx(0.5, rel=1e-6), 400, "hands")
    assert scale.spread < 1e-6


@pytest.mark.parametrize("bad", [0.0, -0.0, np.nan, np.inf, -np.inf, -1.0])
def test_pixels_without_a_depth_do_not_count(bad: float) -> None:
    hand, exo, region = maps(2, 2.0, 0.005)
    rows, columns = np.nonzero(region)
    exo[rows[:300], columns[:300]] = bad
    scale = fit_scale(hand, exo)
    assert scale is not None
    assert scale.factor == pytest.approx(2.0, rel=0.005) and scale.inliers <= 100
    exo[:] = bad
    assert fit_scale(hand, exo) is None


def test_too_small_a_region_says_nothing() -> None:
    hand, exo, region = maps(3, 1.0, 0.0)
    rows, columns = np.nonzero(region)
    hand[rows[40:], columns[40:]] = np.nan
    assert fit_scale(hand, exo) is not None
    hand[rows[0], columns[0]] = np.nan
    assert fit_scale(hand, exo) is None
    assert fit_scale(np.full(SHAPE, np.nan, np.float32), exo) is None
