"""Paired differences between methods, against what independent computations give."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genego_ros.evaluation import intervals
from genego_ros.evaluation.differences import REFERENCE, differences
from genego_ros.evaluation.distances import frechet
from genego_ros.evaluation.metrics import Measured, summarise

RECORDINGS = [f"recording {i // 4}" for i in range(24)]
GROUPS = np.arange(24) // 4


def compared(truth: np.ndarray, methods: dict[str, Measured], recordings: list[str] = RECORDINGS) -> dict:
    table = {name: summarise(Measured({}, {"effnet": truth}), of, recordings, 0) for name, of in methods.items()}
    scores = {name: {metric: row.tolist() for metric, row in of.scores.items()} for name, of in methods.items()}
    return differences(scores, table, recordings, 0)


def measured(psnr: np.ndarray, ssim: np.ndarray, seed: int = 0, off: float = 0.3) -> Measured:
    features = np.random.default_rng(seed).normal(size=(len(psnr), 5)) + off
    return Measured({"psnr": psnr, "ssim": ssim}, {"effnet": features})


def test_what_is_hard_for_both_does_not_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    hard, truth = rng.normal(20, 5, 6)[GROUPS], rng.normal(size=(24, 5))
    near, far = measured(hard - 1, np.zeros(24)), measured(hard - 3, np.ones(24), 1, 2.0)
    found = compared(truth, {"far": far, "near": near, REFERENCE: measured(hard, np.zeros(24))})
    assert list(found) == ["psnr", "ssim", "fd_effnet", "kd_effnet"]
    for name, apart in (("near", 1.0), ("far", 3.0)):
        cell = found["psnr"].minus[name]
        assert (cell.mean, cell.low, cell.high) == pytest.approx((apart,) * 3) and cell.n == 24
    assert (found["psnr"].best_other, found["ssim"].best_other) == ("near", "far")
    assert found["fd_effnet"].best_other == "near"  # the lower one
    same = found["fd_effnet"].minus["near"]  # the same features
    assert same.mean == same.low == same.high == 0


def test_distances_between_sets_are_compared_draw_by_draw() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(24, 5))
    one, other = measured(np.zeros(24), np.zeros(24), 3), measured(np.zeros(24), np.zeros(24), 4, 0.6)
    cell = compared(truth, {REFERENCE: one, "other": other})["fd_effnet"].minus["other"]
    apart = []
    for counts in intervals.draw(6, 0)[:200]:
        taken = np.concatenate([np.flatnonzero(g == GROUPS) for g in range(6) for _ in range(counts[g])])
        apart.append(np.subtract(*(frechet(truth[taken], of.features["effnet"][taken]) for of in (one, other))))
    mean = np.subtract(*(frechet(truth, of.features["effnet"]) for of in (one, other)))
    low, high = np.quantile(apart, (0.025, 0.975)) - np.mean(apart) + mean
    assert (cell.mean, cell.low, cell.high) == pytest.approx((mean, low, high))


def test_a_picture_counts_where_both_have_the_score() -> None:
    some = np.arange(24.0)
    some[::2] = math.nan
    others = np.full(24, 5.0)
    others[:4] = math.nan
    truth = np.random.default_rng(5).normal(size=(24, 5))
    found = compared(truth, {REFERENCE: measured(some, some), "other": measured(others, np.full(24, math.nan))})
    cell = found["psnr"].minus["other"]
    assert cell.n == 10 and cell.mean == np.mean(np.arange(5, 24, 2) - 5)
    assert "ssim" not in found  # no other method has it of any picture


def test_there_is_nothing_to_compare_without_the_reference_or_another() -> None:
    truth, method = np.random.default_rng(6).normal(size=(24, 5)), measured(np.zeros(24), np.zeros(24))
    assert compared(truth, {"one": method, "other": method}) == {} == compared(truth, {REFERENCE: method})


def test_one_recording_gives_no_interval() -> None:
    truth, method = np.random.default_rng(7).normal(size=(24, 5)), measured(np.zeros(24), np.zeros(24))
    found = compared(truth, {REFERENCE: method, "other": measured(np.ones(24), np.ones(24), 8)}, ["one"] * 24)
    for metric in ("psnr", "fd_effnet", "kd_effnet"):
        assert math.isnan(found[metric].minus["other"].low) and math.isfinite(found[metric].minus["other"].mean)
