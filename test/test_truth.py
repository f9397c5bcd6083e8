"""The observation of a recorded moment from its own labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mock_datasets import write_h2o

from genego_ros.data.h2o import H2O
from genego_ros.data.truth import true_observation
from genego_ros.errors import GenEgoError
from genego_ros.parameters import DepthParameters


def test_what_is_splatted_is_what_the_ego_camera_saw(tmp_path: Path) -> None:
    write_h2o(tmp_path, frames=range(2), size=(160, 90), cameras=("cam0", "cam4"), rendered=True)
    sample = H2O(tmp_path)[1]
    observation = true_observation(sample, DepthParameters())
    ego = sample.ego.frame
    assert observation.valid and observation.ego_camera == ego.camera
    assert observation.description == sample.description != ""
    landed = observation.sparse.projected & np.isfinite(ego.depth)
    assert landed.mean() > 0.5
    off = np.abs(observation.sparse.depth - ego.depth)[landed]
    assert np.median(off) < 0.01  # metres
    # Each hand, moved by X, is where the ego view's own label has it, and is projected there.
    assert [hand.side for hand in observation.hands_ego] == ["left", "right"]
    for exo, hand, truth in zip(observation.hands_exo, observation.hands_ego, sample.ego.keypoints, strict=True):
        moved = exo.keypoints @ observation.viewpoint.T_ego_exo[:3, :3].T + observation.viewpoint.T_ego_exo[:3, 3]
        np.testing.assert_allclose(moved, truth, atol=1e-4)
        np.testing.assert_allclose(hand.keypoints, truth, atol=1e-6)
        pixels = hand.keypoints @ ego.camera.matrix.T
        np.testing.assert_allclose(hand.keypoints_2d, pixels[:, :2] / pixels[:, 2:], atol=1e-3)


def test_a_hand_that_a_view_does_not_list(tmp_path: Path) -> None:
    write_h2o(tmp_path, frames=range(1), cameras=("cam0", "cam4"))
    sample = H2O(tmp_path)[0]
    keypoints = sample.ego.keypoints.copy()
    keypoints[0] = np.nan
    only_exo = true_observation(replace(sample, ego=replace(sample.ego, keypoints=keypoints)), DepthParameters())
    np.testing.assert_allclose(only_exo.hands_ego[0].keypoints, sample.ego.keypoints[0], atol=1e-4)
    keypoints = sample.exo[0].keypoints.copy()
    keypoints[0] = np.nan
    unseen = replace(sample, exo=(replace(sample.exo[0], keypoints=keypoints),))
    assert [hand.side for hand in true_observation(unseen, DepthParameters()).hands_exo] == ["right"]


def test_no_depth_is_said(tmp_path: Path) -> None:
    write_h2o(tmp_path, frames=range(1), cameras=("cam0", "cam4"))
    sample = H2O(tmp_path)[0]
    exo = replace(sample.exo[0], frame=replace(sample.exo[0].frame, depth=None))
    with pytest.raises(GenEgoError, match="subject1/h1/0/cam0/000000 has no true depth for cam0"):
        true_observation(replace(sample, exo=(exo,)), DepthParameters())
