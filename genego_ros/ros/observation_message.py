"""ExoObservation, there and back: what crosses between the stages."""

from __future__ import annotations

from typing import get_args

import numpy as np

from genego_ros.errors import GenEgoError
from genego_ros.msg import ExoObservation as ExoObservationMessage
from genego_ros.ros import conversions
from genego_ros.types import CameraSource, ExoObservation, Scale, SparseView, Viewpoint


def to_message(observation: ExoObservation, ego_frame_id: str) -> ExoObservationMessage:
    stamp, sparse = observation.stamp_ns, observation.sparse
    return ExoObservationMessage(
        header=conversions.to_header(stamp, observation.frame_id),
        valid=observation.valid,
        hands_exo=[conversions.to_hand(hand) for hand in observation.hands_exo],
        hands_ego=[conversions.to_hand(hand) for hand in observation.hands_ego],
        ego_frame_id=ego_frame_id,
        ego_camera=conversions.to_camera_info(observation.ego_camera, 0, ""),
        x=observation.viewpoint.T_ego_exo.ravel(),
        viewpoint_source=observation.viewpoint.source,
        viewpoint_residual=observation.viewpoint.residual,
        viewpoint_turn_deviation=observation.viewpoint.turn_deviation,
        viewpoint_shift_deviation=observation.viewpoint.shift_deviation,
        sparse=conversions.to_image(sparse.rgb, "rgb8", stamp, ego_frame_id),
        sparse_depth=conversions.to_image(sparse.depth, "32FC1", stamp, ego_frame_id),
        projected=conversions.mask_to_image(sparse.projected, stamp, ego_frame_id),
        description=observation.description,
        scale=observation.scale.factor,
        scale_shift=observation.scale.shift,
        scale_spread=observation.scale.spread,
        scale_inliers=observation.scale.inliers,
        scale_source=observation.scale.source,
        depth_source=observation.depth_source,
        camera_source=observation.camera_source,
    )


def from_message(message: ExoObservationMessage) -> ExoObservation:
    """The observation as stage 1 made it, but for D'_exo and C_exo, which do not travel.

    Raises:
        GenEgoError: an image in the message is malformed or of another size than its camera.
    """
    camera = conversions.from_camera_info(message.ego_camera)
    sparse = SparseView(
        rgb=conversions.from_image(message.sparse),
        depth=conversions.depth_from_image(message.sparse_depth),
        projected=conversions.mask_from_image(message.projected),
    )
    shapes = {sparse.rgb.shape[:2], sparse.depth.shape, sparse.projected.shape}
    if shapes != {(camera.height, camera.width)}:
        raise GenEgoError(
            f"observation whose ego_camera is {camera.width} x {camera.height} has images of {sorted(shapes)}: "
            "stage 1 must send all of them in one size"
        )
    return ExoObservation(
        stamp_ns=conversions.from_time(message.header.stamp),
        frame_id=message.header.frame_id,
        valid=message.valid,
        hands_exo=tuple(conversions.from_hand(hand) for hand in message.hands_exo),
        hands_ego=tuple(conversions.from_hand(hand) for hand in message.hands_ego),
        ego_camera=camera,
        viewpoint=Viewpoint(
            T_ego_exo=np.array(message.x, np.float64).reshape(4, 4),
            source=message.viewpoint_source,
            residual=float(message.viewpoint_residual),
            turn_deviation=float(message.viewpoint_turn_deviation),
            shift_deviation=float(message.viewpoint_shift_deviation),
        ),
        sparse=sparse,
        description=message.description,
        scale=Scale(
            factor=float(message.scale),
            spread=float(message.scale_spread),
            inliers=int(message.scale_inliers),
            source=message.scale_source,
            shift=float(message.scale_shift),
        ),
        depth_source=message.depth_source,
        camera_source=_camera_source(message.camera_source),
    )


def _camera_source(text: str) -> CameraSource:
    """What another version may say besides counts as the worst."""
    sources: tuple[CameraSource, ...] = get_args(CameraSource)
    return next((source for source in sources if source == text), "assumed")
