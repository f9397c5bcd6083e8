from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scene import CAMERA, as_hand, rest_hand

from genego_ros.geometry.skeleton import BONES, FINGERS, SIDE_COLORS, draw_hands, pose_map

PLACED = rest_hand() + np.array([0.05, 0.06, 0.6])


def test_bones_are_a_tree_from_the_wrist_over_all_keypoints() -> None:
    assert sorted(child for _, child in BONES) == list(range(1, 21))
    assert [parent for parent, child in BONES if child in (1, 5, 9, 13, 17)] == [0] * 5
    assert all(child == parent + 1 for parent, child in BONES if parent)
    assert [finger[0] for finger in FINGERS] == [1, 5, 9, 13, 17]


@pytest.mark.parametrize("side", ["left", "right"])
def test_keypoints_and_bones_are_drawn_in_the_sides_colour(side: str) -> None:
    hand = as_hand(PLACED, side)
    picture = pose_map(480, 640, [hand])
    assert picture.shape == (480, 640, 3) and picture.dtype == np.uint8
    pixels = np.rint(hand.keypoints_2d).astype(int)
    middles = np.rint((hand.keypoints_2d[[a for a, _ in BONES]] + hand.keypoints_2d[[b for _, b in BONES]]) / 2)
    for column, row in np.vstack([pixels, middles.astype(int)]):
        assert tuple(picture[row, column]) == SIDE_COLORS[side]
    # And nowhere else than around the hand.
    rows, columns = np.nonzero(picture.any(axis=2))
    assert columns.min() > pixels[:, 0].min() - 6 and columns.max() < pixels[:, 0].max() + 6
    assert rows.min() > pixels[:, 1].min() - 6 and rows.max() < pixels[:, 1].max() + 6


def test_nothing_is_drawn_of_a_hand_behind_the_camera() -> None:
    behind = as_hand(PLACED * [1, 1, -1])
    assert not pose_map(480, 640, [behind]).any()
    assert not pose_map(480, 640, [replace(behind, keypoints_2d=np.full((21, 2), np.nan, np.float32))]).any()


def test_of_a_hand_half_behind_only_the_front_is_drawn() -> None:
    half = PLACED.copy()
    half[9:, 2] = -0.1
    drawn = pose_map(480, 640, [as_hand(half)])
    front = as_hand(PLACED).keypoints_2d[:9]
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert len(rows)
    assert columns.min() > front[:, 0].min() - 6 and columns.max() < front[:, 0].max() + 6
    assert rows.min() > front[:, 1].min() - 6 and rows.max() < front[:, 1].max() + 6


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1e9, -1e9, 3e38, np.inf, -np.inf, np.nan])
def test_far_or_absent_coordinates_neither_crash_nor_warn(value: float) -> None:
    pixels = as_hand(PLACED).keypoints_2d.copy()
    pixels[8] = value
    drawn = pose_map(480, 640, [replace(as_hand(PLACED), keypoints_2d=pixels)])
    column, row = np.rint(pixels[0]).astype(int)
    assert drawn[row, column].any()


@pytest.mark.filterwarnings("error")
def test_a_hand_without_a_number_is_not_drawn() -> None:
    nowhere = replace(as_hand(PLACED), keypoints=np.full((21, 3), np.nan, np.float32))
    assert not pose_map(480, 640, [replace(nowhere, keypoints_2d=np.full((21, 2), np.nan, np.float32))]).any()


def test_a_bone_to_a_point_far_outside_keeps_its_direction() -> None:
    """Down to the right at half the slope, its far end beyond any picture."""
    pixels = np.full((21, 2), 50.0, np.float32)
    pixels[8], pixels[7] = (50.0 + 8e5, 50.0 + 4e5), (50.0, 50.0)
    drawn = pose_map(CAMERA.height, CAMERA.width, [replace(as_hand(PLACED), keypoints_2d=pixels)])
    assert drawn[50 + 200, 50 + 400].any()
    assert not drawn[50 + 300, 50 + 300].any()


def test_tiny_pictures_and_no_hands() -> None:
    assert pose_map(1, 1, [as_hand(PLACED)]).shape == (1, 1, 3)
    picture = np.full((20, 30, 3), 7, np.uint8)
    draw_hands(picture, [])
    assert (picture == 7).all()
