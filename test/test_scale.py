from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene import as_hand, rest_hand

from genego_ros.observation.depth import DepthMap
from genego_ros.observation.hands.hand_depth import HandDepth
from genego_ros.observation.scale import (
    HandScale,
    ScaleTracker,
    fit_scale,
    inner_region,
    measure_scale,
    metric_depth,
    told_by_hands,
    with_own_metres,
)
from genego_ros.types import Camera, Frame, Scale

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


# the region ------------------------------------------------------------------------------------------


def scene(distances: tuple[float, ...] = (1.0,)) -> tuple[HandDepth, np.ndarray]:
    """Discs for hands, 40 pixels wide, and the depth of what is there: a wall at 3 m behind them."""
    rows, columns = np.mgrid[:120, :160]
    drawn = HandDepth(np.full((120, 160), np.nan, np.float32), np.full((120, 160), -1, np.int8))
    true = np.full((120, 160), 3.0, np.float32)
    for index, distance in enumerate(distances):
        disc = (rows - 60) ** 2 + (columns - 40 - 70 * index) ** 2 < 400
        drawn.depth[disc], drawn.hand[disc], true[disc] = distance, index, distance
    return drawn, true


HANDS = (as_hand(rest_hand("left") + [0, 0, 1.0], "left"), as_hand(rest_hand() + [0, 0, 1.0]))


def test_a_hand_drawn_beside_itself_is_compared_where_it_surely_is() -> None:
    """An estimate 8 pixels off lies on the wall with its rim; its inner half does not."""
    drawn, true = scene()
    shifted = HandDepth(np.roll(drawn.depth, 8, 1), np.roll(drawn.hand, 8, 1))
    inner = inner_region(shifted, true)
    assert inner.sum() > 300
    assert (true[inner] == 1.0).mean() > 0.95 and (true[shifted.hand == 0] == 1.0).mean() < 0.8


def test_the_edge_of_a_thing_before_the_hand_is_left_out() -> None:
    drawn, true = scene()
    true[:, 38:] = np.minimum(true[:, 38:], 0.9)
    inner = inner_region(drawn, true)
    assert not inner[:, 37:39].any() and inner[:, :36].any() and inner[:, 40:].any()


def test_a_small_hand_is_not_eroded_away() -> None:
    drawn, true = scene()
    drawn.hand[:] = -1
    drawn.hand[50:56, 40:50] = 0
    drawn.depth[drawn.hand == 0] = true[drawn.hand == 0] = 1.0
    true[:] = 1.0
    assert inner_region(drawn, true).sum() == 60


# both hands ------------------------------------------------------------------------------------------


def test_two_hands_that_disagree_meet_at_the_geometric_mean_and_say_so() -> None:
    drawn, true = scene((1.0, 1.0))
    true[drawn.hand == 0] /= 1.1
    true[drawn.hand == 1] *= 1.1
    scale = measure_scale(DepthMap(true, "model", "relative"), HANDS, drawn)
    assert scale is not None and scale.source == "hands"
    assert scale.factor == pytest.approx(1.0, rel=1e-3)
    assert scale.spread == pytest.approx(np.log(1.1), rel=0.02)


def test_metric_depth_has_no_scale_to_measure() -> None:
    drawn, true = scene()
    assert measure_scale(DepthMap(true, "topic", "metric"), HANDS[:1], drawn) is None
    assert measure_scale(None, HANDS[:1], drawn) is None


# disparity -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain, offset", [(0.01, 0.0), (40.0, -3.0), (1.0, 0.7)])
def test_a_disparity_gets_its_factor_and_shift_from_two_hands_and_the_far_wall(gain: float, offset: float) -> None:
    """1 / z by another factor and shift, which nobody told; the wall is half way to `far`."""
    drawn, true = scene((0.6, 1.1))
    disparity = (gain * (1.0 / true) + offset).astype(np.float32)
    depth_map = DepthMap(disparity, "model", "disparity")
    scale = measure_scale(depth_map, HANDS, drawn, far=6.0)
    assert scale is not None
    assert (scale.factor, scale.shift) == (pytest.approx(1 / gain, rel=1e-3), pytest.approx(-offset / gain, abs=1e-3))
    np.testing.assert_allclose(metric_depth(depth_map, scale), true, rtol=1e-3)


def test_however_wrong_the_hands_the_wall_stays_before_far_and_behind_them() -> None:
    drawn, true = scene((0.5, 1.0))
    for wrong in ((0.5, 1.9), (1.9, 0.5)):
        for index, distance in enumerate(wrong):
            drawn.depth[drawn.hand == index] = distance
        depth_map = DepthMap((1.0 / true).astype(np.float32), "model", "disparity")
        scale = measure_scale(depth_map, HANDS, drawn, far=5.0)
        assert scale is not None and scale.factor > 0
        assert 0.5 < np.nanmax(metric_depth(depth_map, scale)) <= 5.0 * (1 + 1e-4)


def test_a_flat_disparity_says_nothing() -> None:
    drawn, true = scene()
    assert measure_scale(DepthMap(np.ones_like(true), "model", "disparity"), HANDS[:1], drawn) is None
    assert measure_scale(DepthMap(np.full_like(true, np.nan), "model", "disparity"), HANDS[:1], drawn) is None


# metres of the network's own -------------------------------------------------------------------------


def test_the_surer_of_hands_and_network_decides_more() -> None:
    """By the variances, in logarithm: the most likely factor of two normal distributions."""
    depth = np.ones(SHAPE, np.float32)
    hands = Scale(1.3, 0.02, 500, "hands")
    for own, by_hands in ((0.1, 0.1), (0.1, 0.03), (0.3, 0.1)):
        settled = with_own_metres(HandScale(hands, by_hands), DepthMap(depth, "lite", "relative", deviation=own))
        assert (settled.source, settled.inliers) == ("hands", 500)
        logs = np.linspace(0, np.log(1.3), 20_001)
        unlikely = (logs / own) ** 2 + ((logs - np.log(1.3)) / by_hands) ** 2
        assert np.log(settled.factor) == pytest.approx(logs[unlikely.argmin()], abs=1e-4)


def test_without_hands_the_networks_own_metres_serve() -> None:
    own = with_own_metres(None, DepthMap(np.ones(SHAPE, np.float32), "lite", "relative", deviation=0.15))
    assert own == Scale(1.0, 0.15, 0, "model")


def test_hands_of_a_known_length_before_a_known_lens_are_surest() -> None:
    known = tuple(replace(hand, scale_source="hand_length") for hand in HANDS)
    scale = Scale(1.3, 0.02, 500, "hands")
    deviations = [
        told_by_hands(scale, hands, lens).deviation
        for hands, lens in ((known, True), ((HANDS[0], known[1]), True), (known, False), (HANDS, False))
    ]
    assert deviations == sorted(deviations) and len(set(deviations)) == 4
    assert told_by_hands(scale, HANDS, True).deviation == deviations[1]


# over time -------------------------------------------------------------------------------------------

TOLD = HandScale(Scale(2.0, 0.03, 500, "hands"), 0.1)


def at(seconds: float, **changes: Any) -> Frame:
    frame = Frame(np.zeros((48, 64, 3), np.uint8), Camera.from_hfov(64, 48, 60.0), stamp_ns=round(1e9 * seconds))
    return replace(frame, **changes)


def test_the_scale_is_carried_while_hands_are_away_and_grows_unsure() -> None:
    tracker = ScaleTracker()
    assert tracker.follow(None, at(0)) is None
    assert tracker.follow(TOLD, at(1)) is TOLD
    soon, late = tracker.follow(None, at(2)), tracker.follow(None, at(17))
    assert soon is not None and late is not None
    assert (soon.scale.factor, soon.scale.source, soon.scale.inliers) == (2.0, "carried", 0)
    assert soon.scale.spread == pytest.approx(np.hypot(0.03, 0.05))
    assert late.scale.spread == pytest.approx(np.hypot(0.03, 0.2))
    assert (soon.deviation, late.deviation) == pytest.approx((np.hypot(0.1, 0.05), np.hypot(0.1, 0.2)))
    again = TOLD._replace(scale=replace(TOLD.scale, factor=3.0))
    assert tracker.follow(again, at(18)) is again


def test_a_hand_that_blinks_out_changes_little() -> None:
    """What is carried is what the hands said, and meets the network's metres anew in every frame."""
    depth_map = DepthMap(np.ones(SHAPE, np.float32), "lite", "relative", deviation=0.1)
    tracker, told = ScaleTracker(), HandScale(Scale(1.3, 0.2, 500, "hands"), 0.1)
    seen = with_own_metres(tracker.follow(told, at(0)), depth_map)
    gone = with_own_metres(tracker.follow(None, at(0.033)), depth_map)
    assert gone.factor == pytest.approx(seen.factor, rel=0.003) and gone.source == "carried"
    much_later = with_own_metres(tracker.follow(None, at(60)), depth_map)
    assert 1 < much_later.factor < 0.5 * (1 + seen.factor)


@pytest.mark.parametrize(
    "other",
    [at(2, camera=Camera.from_hfov(64, 48, 80.0)), at(2, camera_source="estimated")],
    ids=["another lens", "no lens"],
)
def test_another_lens_does_not_inherit_it(other: Frame) -> None:
    tracker = ScaleTracker()
    tracker.follow(TOLD, at(1))
    assert tracker.follow(None, other) is None and tracker.follow(None, at(3)) is None


def test_a_lens_that_is_estimated_anew_in_every_frame_is_one_lens() -> None:
    tracker = ScaleTracker()
    first, second = (at(n, camera=Camera.from_hfov(64, 48, 60.0 + n), camera_source="estimated") for n in (1, 2))
    tracker.follow(TOLD, first)
    assert tracker.follow(None, second) is not None


def test_another_stream_does_not_inherit_it() -> None:
    tracker = ScaleTracker()
    tracker.follow(TOLD, at(1))
    tracker.forget()
    assert tracker.follow(None, at(2)) is None


def test_the_scale_of_hands_long_gone_is_none() -> None:
    """0.05 a square root of a second: beyond a half after 100 s, sooner where the hands were unsure themselves."""
    tracker = ScaleTracker()
    tracker.follow(TOLD._replace(scale=replace(TOLD.scale, spread=0.0)), at(0))
    assert tracker.follow(None, at(99)) is not None
    assert tracker.follow(None, at(101)) is None and tracker.follow(None, at(86_400)) is None
    tracker.follow(TOLD._replace(scale=replace(TOLD.scale, spread=0.4)), at(86_400))
    assert tracker.follow(None, at(86_440)) is None
