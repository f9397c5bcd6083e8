"""What stage 1 would say of a recorded moment if it made no mistake."""

from __future__ import annotations

import numpy as np

from genego_ros.data.sample import Sample, View
from genego_ros.errors import GenEgoError
from genego_ros.geometry.camera import project, unproject
from genego_ros.geometry.rigid import apply
from genego_ros.geometry.splatting import splat
from genego_ros.parameters import DepthParameters
from genego_ros.types import SIDES, ExoObservation, Float64Array, Hand, Scale, Side, Viewpoint


def true_observation(sample: Sample, limits: DepthParameters, device: str = "cpu") -> ExoObservation:
    """The observation of the sample's first third-person view, from its own depth, poses, hands and words.

    K_ego is the ego view's camera. P_ego are the hands as the ego view lists them, moved by X where it lists none.

    Args:
        limits: depth outside of them is left out, as in the stream.
        device: what splats, see `splat`.

    Raises:
        GenEgoError: the view has no depth.
    """
    exo, ego = sample.exo[0], sample.ego
    if exo.frame.depth is None:
        raise GenEgoError(f"{sample.id} has no true depth for {exo.camera}: only what is estimated can be had there")
    T_ego_exo = sample.T_ego_exo
    sides = [side for side in SIDES if exo.has_hand(side)]
    depth = exo.frame.depth
    depth = np.where((depth >= limits.near) & (depth <= limits.far), depth, np.float32(np.nan))
    cloud = unproject(depth, exo.frame.rgb, exo.frame.camera, limits.near, limits.far)
    return ExoObservation(
        stamp_ns=exo.frame.stamp_ns,
        frame_id=exo.frame.frame_id,
        valid=True,
        hands_exo=tuple(_hand(side, exo.keypoints[SIDES.index(side)], exo) for side in sides),
        hands_ego=tuple(_hand(side, _in_ego(side, sample, T_ego_exo), ego) for side in sides),
        ego_camera=ego.frame.camera,
        viewpoint=Viewpoint(T_ego_exo, "truth", 0.0),
        sparse=splat(cloud, T_ego_exo, ego.frame.camera, device),
        description=sample.description,
        scale=Scale(source="topic"),
        depth_source="truth",
        exo_depth=depth,
        exo_cloud=cloud,
    )


def _in_ego(side: Side, sample: Sample, T_ego_exo: Float64Array) -> Float64Array:
    index = SIDES.index(side)
    if sample.ego.has_hand(side):
        return sample.ego.keypoints[index]
    return apply(T_ego_exo, sample.exo[0].keypoints[index])


def _hand(side: Side, keypoints: Float64Array, view: View) -> Hand:
    pixels, _ = project(keypoints, view.frame.camera)
    return Hand(
        side=side,
        score=1.0,
        keypoints=keypoints.astype(np.float32),
        keypoints_2d=pixels.astype(np.float32),
        keypoint_scores=np.ones(len(keypoints), np.float32),
        scale_source="truth",
    )
