"""What the hand estimator makes of detections: sides, proportions, and the mesh's keypoints from landmarks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scene import as_hand, curled_hand, hand_model, rest_hand
from scipy.spatial.transform import Rotation

from genego_ros.geometry.hand_model import MIRROR, hand_length
from genego_ros.geometry.pose_errors import pa_mpjpe
from genego_ros.observation.hands.detection import Detection, one_a_side
from genego_ros.observation.hands.landmarks import OFFSETS, LandmarkedHand
from genego_ros.observation.hands.proportions import Proportions
from genego_ros.types import Side


def detection(side: Side, score: float, column: float = 300.0) -> Detection:
    shape = (rest_hand(side) - rest_hand(side).mean(axis=0)).astype(np.float32)
    return Detection(side, score, as_hand(shape + [0, 0, 0.9]).keypoints_2d + [column - 320, 0], shape)


# sides -----------------------------------------------------------------------------------------------


def test_each_side_keeps_its_best() -> None:
    many = [detection("right", 0.5 + 0.04 * i, 100 + 40 * i) for i in range(10)] + [detection("left", 0.4)]
    left, right = sorted(one_a_side(many), key=lambda d: d.side)
    assert (left.score, right.score) == (0.4, pytest.approx(0.86))
    assert one_a_side([]) == []


def test_a_second_hand_of_the_same_side_elsewhere_is_the_other_one() -> None:
    best, second = detection("left", 0.9, 200), detection("left", 0.8, 420)
    left, right = one_a_side([second, best])
    assert left is best and right.side == "right" and right.score == pytest.approx(0.4)
    np.testing.assert_array_equal(right.pixels, second.pixels)
    # Seen in the mirror of depth, the shape of a left hand is that of a right one.
    reflected = rest_hand("right") * [-1, 1, -1]
    assert pa_mpjpe(right.shape, Rotation.from_euler("y", 0.3).apply(reflected)) < 1e-4


def test_two_detections_on_one_hand_are_one() -> None:
    assert [d.score for d in one_a_side([detection("left", 0.8, 305), detection("left", 0.9, 300)])] == [0.9]


# landmarks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
def test_landmarks_of_a_posed_hand_give_the_keypoints_it_was_posed_with(side: Side) -> None:
    """The landmarks ride on the mesh's bones, as they would in a picture of it."""
    keypoints = Rotation.from_euler("xyz", [0.5, -0.4, 1.0]).apply(0.9 * curled_hand(40, side)) + [0.1, 0.0, 0.7]
    transforms = hand_model().bone_transforms(keypoints.astype(np.float32), side)
    marked = (hand_model().keypoints + OFFSETS) * (MIRROR if side == "left" else 1.0)
    landmarks = np.einsum("kab,kb->ka", transforms[..., :3], marked) + transforms[..., 3]
    found = LandmarkedHand(hand_model()).keypoints(landmarks.astype(np.float32), side)
    assert np.linalg.norm(found - keypoints, axis=1).max() < 0.006 < np.linalg.norm(landmarks - keypoints, axis=1).max()
    np.testing.assert_allclose(found.mean(axis=0), keypoints.mean(axis=0), atol=0.002)


# proportions -----------------------------------------------------------------------------------------


def test_a_long_index_finger_is_learnt_from_both_hands_in_any_pose_and_size() -> None:
    rng, rest, person = np.random.default_rng(3), rest_hand(), Proportions()
    for index in range(40):
        side: Side = "left" if index % 2 else "right"
        hand = curled_hand(rng.uniform(0, 70), side)
        for tip, start in ((7, 6), (8, 7)):
            extra = 0.07 * (hand[tip] - hand[start])
            hand[tip:9] += extra
        hand = Rotation.random(random_state=rng).apply(hand) * rng.uniform(0.5, 2.0)
        if index == 20:
            hand[15:] *= 3.0  # a frame gone wrong
        person.learn(hand.astype(np.float32), rest_hand(side).astype(np.float32))
    known = person.applied_to(rest.astype(np.float32))
    assert np.linalg.norm(known[8] - known[7]) == pytest.approx(1.07 * np.linalg.norm(rest[8] - rest[7]), rel=1e-3)
    assert np.linalg.norm(known[16] - known[15]) == pytest.approx(np.linalg.norm(rest[16] - rest[15]), rel=1e-3)
    assert hand_length(known) == pytest.approx(hand_length(rest), rel=1e-5)
    person.forget()
    np.testing.assert_array_equal(person.applied_to(rest.astype(np.float32)), rest.astype(np.float32))


def test_no_hand_is_stranger_than_hands_are() -> None:
    person, rest = Proportions(), rest_hand().astype(np.float32)
    strange = rest.copy()
    strange[17:] = strange[0] + 2 * (strange[17:] - strange[0])
    for _ in range(40):
        person.learn(strange, rest)
    pinky = [np.linalg.norm(hand[18] - hand[17]) for hand in (person.applied_to(rest), rest)]
    assert pinky[0] == pytest.approx(1.1 * pinky[1], rel=1e-4)


def test_one_frame_teaches_nothing() -> None:
    person, rest = Proportions(), rest_hand().astype(np.float32)
    person.learn(1.3 * rest * [1, 0.5, 1], rest)
    assert person.applied_to(rest) is rest


def test_a_changed_side_is_doubted() -> None:
    one = detection("right", 0.9)
    assert one.as_other_side().score == pytest.approx(0.45)
    assert replace(one.as_other_side().as_other_side(), score=0.9).side == one.side
