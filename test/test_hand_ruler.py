"""Hands in made pictures, as `genego evaluate` measures them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scene import as_hand, curled_hand, sample

from genego_ros import weights
from genego_ros.data.sample import View
from genego_ros.evaluation import intervals
from genego_ros.evaluation.hands import HandRuler, scores
from genego_ros.geometry.squeeze import squeeze

DETECTOR = weights.manifest()["mediapipe_hands"]


def view(left: np.ndarray | None, right: np.ndarray | None) -> View:
    missing = np.full((21, 3), np.nan)
    hands = [missing if hand is None else hand for hand in (left, right)]
    return View("cam4", sample(1)[0], np.eye(4), np.stack(hands))


def placed(degrees: float, side: str) -> np.ndarray:
    return curled_hand(degrees, side) + np.array([0.0, 0.0, 0.5])


def test_hands_are_counted_where_the_truth_shows_both() -> None:
    hands = {side: as_hand(placed(20, side), side) for side in ("left", "right")}
    seen = view(placed(20, "left"), placed(20, "right"))
    one = {"left": hands["left"]}
    assert scores(hands, hands, seen)["hands"] == 1 and scores(one, hands, seen)["hands"] == 0
    assert math.isnan(scores(hands, one, seen)["hands"])  # the detector does not find both in the truth either


def test_a_pose_is_compared_with_the_true_hand_of_its_side() -> None:
    right, bent = as_hand(placed(0, "right")), as_hand(placed(40, "right"))
    seen = view(None, placed(0, "right"))
    assert scores({"right": right}, {}, seen)["hands_pa_mpjpe"] == pytest.approx(0, abs=1e-3)
    assert scores({"right": bent}, {}, seen)["hands_pa_mpjpe"] > 5
    assert math.isnan(scores({"left": replace(right, side="left")}, {}, seen)["hands_pa_mpjpe"])
    assert math.isnan(scores({}, {}, seen)["hands_pa_mpjpe"])


@pytest.mark.skipif(not DETECTOR.path.is_file(), reason=f"{DETECTOR.path} is missing: {DETECTOR.cure}")
def test_a_squeezed_picture_is_looked_at_by_itself_in_its_own_proportions() -> None:
    seen = view(None, None)
    with HandRuler() as ruler:
        found = ruler.find(squeeze(seen.frame.rgb, 256, 256), seen)
        assert ruler.find(np.zeros((256, 256, 3), np.uint8), seen) == {}
        again = ruler.find(squeeze(seen.frame.rgb, 256, 256), seen)
    assert found.keys() == {"left", "right"}
    for side, hand in found.items():
        assert (hand.keypoints_2d.max(axis=0) < np.array([seen.frame.camera.width, seen.frame.camera.height])).all()
        np.testing.assert_array_equal(hand.keypoints, again[side].keypoints)


def test_pictures_without_a_score_are_left_out_of_its_mean() -> None:
    values, groups = np.array([1.0, math.nan, 3.0, math.nan]), np.array([0, 0, 1, 2])
    found = intervals.mean(values, groups, intervals.draw(3, 0))
    assert found.mean == 2 and found.n == 2 and 0.9 < found.low < 2 < found.high < 3.1
    nothing = intervals.mean(np.full(4, math.nan), groups, intervals.draw(3, 0))
    assert nothing.n == 0 and math.isnan(nothing.mean)
