from __future__ import annotations

import numpy as np
import pytest
from hands import make_rig
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from genego_ros.data.synthetic.grasp import HIGHEST, LOWEST
from genego_ros.data.synthetic.hand_rig import ANGLE_BONES, ANGLES, wrist_frame
from genego_ros.geometry.hand_model import PARENTS
from genego_ros.types import SIDES, Side

RIGHT, LEFT = make_rig("right"), make_rig("left")
some_angles = np.random.default_rng(3).uniform(-0.2, 0.9, ANGLES)


def test_at_rest_nothing_moves() -> None:
    skin, keypoints = RIGHT.pose(np.zeros(ANGLES))
    assert np.abs(keypoints - RIGHT.keypoints).max() < 1e-12
    assert np.abs(skin - RIGHT.vertices).max() < 1e-6


@pytest.mark.parametrize("side", SIDES)
def test_wrist_frame_is_that_of_the_state_vector(side: Side) -> None:
    keypoints = make_rig(side).keypoints
    assert np.abs(wrist_frame(keypoints) - np.eye(4)).max() < 1e-12
    assert keypoints[5, 0] > keypoints[17, 0]
    # The thumb lies on the palm's side of the wrist.
    assert keypoints[2] @ make_rig(side).palm > 0.01


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("finger", range(1, 5))
@pytest.mark.parametrize("joint", (1, 2, 3))
def test_fingers_bend_towards_the_palm(side: Side, finger: int, joint: int) -> None:
    rig, angles = make_rig(side), np.zeros(ANGLES)
    angles[4 * finger + joint] = 0.5
    _, posed = rig.pose(angles)
    moved = posed - rig.keypoints
    tip = 4 * finger + 4
    bone = ANGLE_BONES[4 * finger + joint]
    assert moved[tip] @ rig.palm > 0.25 * np.linalg.norm(rig.keypoints[tip] - rig.keypoints[PARENTS[bone]])
    assert np.abs(np.delete(moved, np.arange(bone, tip + 1), axis=0)).max() < 1e-12


@pytest.mark.parametrize("side", SIDES)
def test_spreading_parts_the_fingers(side: Side) -> None:
    rig, angles = make_rig(side), np.zeros(ANGLES)
    angles[[4, 12, 16]] = 0.2
    _, posed = rig.pose(angles)
    for a, b in ((8, 12), (12, 16)):
        assert np.linalg.norm(posed[a] - posed[b]) > np.linalg.norm(rig.keypoints[a] - rig.keypoints[b]) + 0.01
    # The pinky goes as far as the ring finger beside it, away from the middle finger.
    assert posed[20, 0] < rig.keypoints[20, 0] - 0.005


@pytest.mark.parametrize("side", SIDES)
def test_the_thumb_opposes_the_fingers(side: Side) -> None:
    rig, angles = make_rig(side), np.zeros(ANGLES)
    angles[1] = 0.6
    _, opposed = rig.pose(angles)
    assert (opposed[4] - rig.keypoints[4]) @ rig.palm > 0.02


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("finger", range(1, 5))
def test_the_thumb_reaches_every_finger_tip(side: Side, finger: int) -> None:
    # Kapandji's test of opposition, within the joints' range.
    rig = make_rig(side)
    moving = [0, 1, 2, 3, *range(4 * finger, 4 * finger + 4)]

    def gap(values: np.ndarray) -> np.ndarray:
        angles = np.zeros(ANGLES)
        angles[moving] = values
        _, posed = rig.pose(angles)
        return posed[4] - posed[4 * finger + 4]

    found = least_squares(gap, np.full(8, 0.3), bounds=(LOWEST[moving] - 0.1, HIGHEST[moving]), max_nfev=40)
    assert np.linalg.norm(found.fun) < 0.005


def test_bones_keep_their_lengths_and_the_left_hand_mirrors_the_right() -> None:
    _, right = RIGHT.pose(some_angles)
    _, left = LEFT.pose(some_angles)
    lengths = np.linalg.norm(right - right[PARENTS], axis=1)
    assert lengths == pytest.approx(np.linalg.norm(RIGHT.keypoints - RIGHT.keypoints[PARENTS], axis=1), abs=1e-12)
    # A mirror that keeps the wrist frame's x and y, which both sides have in common.
    assert left * [1, 1, -1] == pytest.approx(right, abs=1e-9)


def test_many_poses_at_once_are_each_as_alone() -> None:
    batch = np.stack([some_angles, np.zeros(ANGLES), -0.3 * some_angles])
    for angles, T in zip(batch, RIGHT.bone_transforms(batch), strict=True):
        assert RIGHT.bone_transforms(angles) == pytest.approx(T, abs=1e-12)


def test_a_chain_is_its_turns_one_after_the_other() -> None:
    angles = np.zeros(ANGLES)
    angles[[4, 5, 6]] = 0.2, 0.7, 0.5
    _, posed = RIGHT.pose(angles)
    spread, knuckle, middle = (Rotation.from_rotvec(RIGHT.axes[k] * angles[k]) for k in (4, 5, 6))
    base = RIGHT.keypoints[5]
    joint = base + (spread * knuckle).apply(RIGHT.keypoints[6] - base)
    tip = joint + (spread * knuckle * middle).apply(RIGHT.keypoints[8] - RIGHT.keypoints[6])
    assert posed[8] == pytest.approx(tip, abs=1e-12)
