"""Measures of depth."""

from __future__ import annotations

import numpy as np
import pytest

from genego_ros.geometry.depth_errors import comparable, depth_error, median_factor

TRUTH = np.array([[1.0, 2.0, 4.0], [np.nan, 0.0, 5.0]])
ESTIMATE = np.array([[1.1, 1.0, 4.0], [3.0, 3.0, np.nan]])


def test_errors_by_hand() -> None:
    found = depth_error(ESTIMATE, TRUTH)
    assert found.abs_rel == pytest.approx((0.1 + 0.5 + 0.0) / 3)
    assert found.rmse == pytest.approx(np.sqrt((0.1**2 + 1.0**2) / 3))
    assert found.delta == pytest.approx(2 / 3)
    assert comparable(ESTIMATE, TRUTH).tolist() == [[True, True, True], [False, False, False]]


def test_the_median_factor_undoes_a_scale() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.5, 3.0, (20, 30)).astype(np.float32)
    assert median_factor(0.37 * truth, truth) == pytest.approx(1 / 0.37, rel=1e-5)
    found = depth_error(0.37 * truth, truth, median_factor(0.37 * truth, truth))
    assert found.abs_rel < 1e-5 and found.delta == 1.0
    assert depth_error(truth, truth, 1.3).delta == 0.0


def test_nothing_in_common_is_no_number() -> None:
    empty = np.full((2, 2), np.nan)
    assert np.isnan(depth_error(empty, np.ones((2, 2)))).all() and np.isnan(median_factor(empty, np.ones((2, 2))))
