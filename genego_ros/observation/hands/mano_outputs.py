"""What the MANO regressors HaMeR, WiLoR and ACR put out, as detections in this package's conventions.

All three list 21 joints in OpenPose's order (their code reorders MANO's 16 joints and 5 tip vertices), in metres, with
axes like the camera's.
"""

from __future__ import annotations

import numpy as np

from genego_ros.geometry.camera import project
from genego_ros.geometry.hand_model import hand_length
from genego_ros.observation.hands.detection import Detection, inside
from genego_ros.observation.hands.lifting import AVERAGE_HAND_LENGTH
from genego_ros.types import SIDES, Array, Camera, Float64Array, Hand


def from_crop(
    joints: Array, crop_camera: Array, is_right: bool, center: Array, size: float, focal: float, score: float
) -> Detection:
    """A hand of HaMeR or WiLoR (Pavlakos et al., CVPR 2024; Potamias et al., CVPR 2025).

    Both look at a square crop; that of a left hand is mirrored, so that they know right hands alone. In the crop, whose
    sides reach from -1/2 to 1/2, a joint X is seen at focal (X + t) / (Z + t_z), with the translation t made of the
    weak-perspective camera (s, t_x, t_y) by t_z = 2 focal / s. The mirror is undone here, in space and in the picture.

    Args:
        joints: (21, 3), `pred_keypoints_3d`: metres.
        crop_camera: (3,), `pred_cam`: s, t_x, t_y.
        is_right: `right` of the batch.
        center, size: `box_center` (2,) and `box_size`, pixels of the whole picture.
        focal: EXTRA.FOCAL_LENGTH / MODEL.IMAGE_SIZE of the configuration, in crop sizes.
    """
    joints, (s, tx, ty) = np.asarray(joints, np.float64), np.asarray(crop_camera, np.float64)
    seen = joints + np.array([tx, ty, 2.0 * focal / s])
    in_crop = focal * seen[:, :2] / seen[:, 2:]
    mirror = np.array([1.0, 1.0, 1.0]) if is_right else np.array([-1.0, 1.0, 1.0])
    pixels = np.asarray(center, np.float64) + float(size) * in_crop * mirror[:2]
    return Detection(
        SIDES[int(is_right)], float(score), pixels.astype(np.float32), (joints * mirror).astype(np.float32)
    )


def from_whole_picture(joints: Array, pixels: Array, is_right: bool, score: float) -> Detection:
    """A hand of ACR (Yu et al., CVPR 2023), which sees the whole picture and knows both sides.

    Args:
        joints: (21, 3), `j3d`: metres about the joint 9; a left hand is a left hand.
        pixels: (21, 2), `pj2d_org`: pixels of the whole picture.
        is_right: `output_hand_type` is 1.
    """
    return Detection(SIDES[int(is_right)], float(score), np.asarray(pixels, np.float32), np.asarray(joints, np.float32))


def placed(detection: Detection, camera: Camera, known_length: float) -> Hand | None:
    """The detection in metres, in the camera's frame; None where there is no place for it before the camera.

    These models assume a camera of their own, far away, so their distance says nothing; but how many pixels a metre of
    the hand spans does: at the distance z it spans f / z. So the hand's middle is put on its ray at that z (which is
    cam_crop_to_full of HaMeR and WiLoR, with K_exo in the place of their camera). As to its size, MANO's shape numbers
    guess it no better than the mean adult does.

    Args:
        camera: K_exo.
        known_length: metres, `hands.hand_length`; 0 is unknown.
    """
    shape, pixels = detection.shape.astype(np.float64), detection.pixels.astype(np.float64)
    own_length = hand_length(detection.shape)
    if not (np.isfinite(shape).all() and np.isfinite(pixels).all() and own_length > 0):
        return None
    about_middle = (shape - shape.mean(axis=0)) * ((known_length or AVERAGE_HAND_LENGTH) / own_length)
    middle = pixels.mean(axis=0)
    spread = about_middle[:, :2] * [1.0, camera.fy / camera.fx]
    pixels_a_metre = float((spread * (pixels - middle)).sum() / (spread**2).sum())
    if not pixels_a_metre > 0:
        return None
    ray = np.array([(middle[0] - camera.cx) / camera.fx, (middle[1] - camera.cy) / camera.fy, 1.0])
    keypoints = (about_middle + ray * (camera.fx / pixels_a_metre)).astype(np.float32)
    seen, depths = project(keypoints, camera)
    if not depths.min() > 0:
        return None
    within = inside(detection.pixels, camera)
    return Hand(
        side=detection.side,
        score=detection.score,
        keypoints=keypoints,
        keypoints_2d=seen.astype(np.float32),
        keypoint_scores=np.where(within, detection.score, 0.1 * detection.score).astype(np.float32),
        scale_source="hand_length" if known_length else "average",
    )


def box_around(pixels: Array) -> Float64Array:
    """float64 (4,): left, top, right, bottom of keypoints (21, 2), as HaMeR's demonstration makes it of ViTPose's."""
    pixels = np.asarray(pixels, np.float64)
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
