"""The One-Euro filter on hands: what a user sees of it is less trembling and little lag."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scene import CAMERA, as_hand, rest_hand

from genego_ros.observation.hands.smoothing import OneEuro
from genego_ros.types import Frame, Hand

PICTURE = np.zeros((480, 640, 3), np.uint8)
REST = rest_hand() + [0.0, 0.0, 0.8]


def follow(places: np.ndarray, time_constant: float, rate: float = 30.0) -> np.ndarray:
    """(N, 21, 3): what comes out for a hand at these places, 30 frames a second."""
    smoother, out = OneEuro(), []
    for index, place in enumerate(places):
        frame = Frame(PICTURE, CAMERA, stamp_ns=round(1e9 * index / rate))
        (hand,) = smoother.smooth((as_hand(place),), frame, time_constant)
        np.testing.assert_allclose(hand.keypoints_2d, as_hand(hand.keypoints).keypoints_2d, atol=0.01)
        out.append(hand.keypoints)
    return np.array(out)


def test_a_still_hand_trembles_less_and_stays_where_it_is() -> None:
    places = REST + np.random.default_rng(0).normal(0, 0.003, (120, 21, 3))
    out = follow(places, 0.3)
    assert out[60:].std(axis=0).mean() < 0.5 * places[60:].std(axis=0).mean()
    np.testing.assert_allclose(out[60:].mean(axis=0), REST, atol=0.002)


def test_a_fast_hand_lags_by_little() -> None:
    places = REST + np.arange(60)[:, None, None] * np.array([1.0 / 30.0, 0.0, 0.0])  # a metre a second
    assert np.abs(follow(places, 0.3)[-1] - places[-1]).max() < 0.02


def test_a_constant_cutoff_is_the_textbook_filter() -> None:
    """A step of one keypoint by a hair, so slow that speed hardly counts: 1 / (1 + tau / dt) is taken over at first."""
    places = np.stack([REST, REST + [0.0, 0.0, 1e-6]])
    moved = (follow(places.astype(np.float64), 0.2)[1] - REST)[:, 2]
    assert np.abs(moved).max() < 1e-6 / (1 + 0.2 * 30) + 1e-7


def at(stamp_s: float) -> Frame:
    return Frame(PICTURE, CAMERA, stamp_ns=round(1e9 * stamp_s))


def test_off_by_default_and_anew_after_a_loss_a_gap_a_jump_back_or_forgetting() -> None:
    first, second = as_hand(REST), as_hand(REST + [0.02, 0.0, 0.0])

    def after(smoother: OneEuro, stamp_s: float) -> Hand:
        (hand,) = smoother.smooth((second,), at(stamp_s), 0.3)
        return hand

    def primed() -> OneEuro:
        smoother = OneEuro()
        smoother.smooth((first,), at(1.0), 0.3)
        return smoother

    assert np.abs(after(primed(), 1.03).keypoints - second.keypoints).max() > 0.005
    assert after(primed(), 0.9) is second
    assert after(primed(), 2.0) is second
    lost, forgotten = primed(), primed()
    lost.smooth((), at(1.03), 0.3)
    forgotten.forget()
    assert after(lost, 1.06) is second and after(forgotten, 1.03) is second
    other = primed()
    left = replace(second, side="left")
    assert other.smooth((left,), at(1.03), 0.3) == (left,)
    assert primed().smooth((second,), at(1.03), 0.0) == (second,)
