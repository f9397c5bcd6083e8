"""What a hand touches, in built scenes and in the sample, whose true hands and depth are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scene import CAMERA, as_hand, curled_hand, hand_model, rest_hand, sample, true_keypoints

from genego_ros.observation.description.held import color_name, touched
from genego_ros.observation.hands.hand_depth import hand_depth
from genego_ros.types import SIDES, Frame, Hand


def scene(hand: Hand, ball: tuple[float, float, float] | None, color: tuple[int, int, int]) -> Frame:
    """A hand before a wall 1.5 m away, with a ball of 4 cm radius at `ball`, ray-cast here."""
    depth = np.full((CAMERA.height, CAMERA.width), 1.5, np.float32)
    rgb = np.full((*depth.shape, 3), 128, np.uint8)
    if ball is not None:
        u, v = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
        rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(u.shape)], axis=2)
        a, b = (rays**2).sum(axis=2), rays @ ball
        root = b**2 - a * (np.dot(ball, ball) - 0.04**2)
        hit = root > 0
        depth[hit] = (b[hit] - np.sqrt(root[hit])) / a[hit]
        rgb[hit] = color
    drawn = hand_depth([(hand_model().fit(hand.keypoints, hand.side), hand_model().faces(hand.side))], CAMERA).depth
    nearer = drawn < depth
    rgb[nearer] = (205, 150, 125)
    return Frame(rgb, CAMERA, np.where(nearer, drawn, depth).astype(np.float32))


HAND = as_hand(rest_hand() + np.array([0.0, 0.05, 0.6]))
BESIDE = tuple(HAND.keypoints[8] + [0.0, -0.045, 0.01])
"""A ball at the tip of the index finger."""


@pytest.mark.parametrize(
    ("color", "name"), [((190, 30, 30), "red"), ((40, 80, 170), "blue"), ((240, 240, 235), "white")]
)
def test_a_ball_at_the_fingertip_is_touched_and_measured(color: tuple[int, int, int], name: str) -> None:
    frame = scene(HAND, BESIDE, color)
    assert frame.depth is not None
    (thing,) = touched(frame, frame.depth, [HAND])
    assert thing is not None and thing.color == name
    assert thing.length == pytest.approx(0.08, abs=0.015)


def test_a_ball_out_of_reach_is_not() -> None:
    frame = scene(HAND, (BESIDE[0], BESIDE[1] - 0.06, BESIDE[2]), (190, 30, 30))
    assert frame.depth is not None
    assert touched(frame, frame.depth, [HAND]) == [None]


@pytest.mark.parametrize("distance", [0.61, 0.65, 1.5])
def test_neither_a_table_under_the_hand_nor_a_wall_is_a_thing(distance: float) -> None:
    hand = as_hand(curled_hand(20.0) + np.array([0.0, 0.05, 0.6]))
    frame = scene(hand, None, (0, 0, 0))
    assert frame.depth is not None
    behind = np.where(frame.depth < 1.4, frame.depth, np.float32(distance))
    assert touched(frame, behind, [hand]) == [None]


def test_without_depth_nothing_is_said() -> None:
    frame = scene(HAND, BESIDE, (190, 30, 30))
    assert touched(frame, np.full((CAMERA.height, CAMERA.width), np.nan, np.float32), [HAND]) == [None]
    assert touched(frame, np.full((CAMERA.height, CAMERA.width), 0.5, np.float32), []) == []


@pytest.mark.filterwarnings("error")
def test_hands_of_nonsense_do_not_raise() -> None:
    frame = scene(HAND, BESIDE, (190, 30, 30))
    assert frame.depth is not None
    strange = [
        replace(HAND, keypoints=keypoints) for keypoints in (np.zeros_like(HAND.keypoints), 1e6 * HAND.keypoints)
    ]
    assert touched(frame, frame.depth, strange) == [None, None]


def test_in_the_sample_one_hand_holds_the_jar_and_the_other_lies_on_the_table() -> None:
    for index in (8, 20, 32):
        frame = sample(40)[index]
        hands = [as_hand(true_keypoints(side, index), side, frame.camera) for side in SIDES]
        assert frame.depth is not None
        left, right = touched(frame, frame.depth, hands)
        assert left is not None and right is None
        # Its lid, which is all that the hand leaves to see.
        assert left.color == "beige" and 0.04 < left.length < 0.1


def test_colors_have_the_names_that_people_give_them() -> None:
    named = {"red": (180, 35, 35), "green": (60, 130, 60), "blue": (45, 85, 165), "white": (235, 235, 235)}
    for name, rgb in named.items():
        assert color_name(np.array([rgb])) == name
    # In shadow a color stays itself, but white turns grey.
    assert color_name(np.array([(36, 78, 36)])) == "green" and color_name(np.array([(140, 140, 140)])) == "grey"
