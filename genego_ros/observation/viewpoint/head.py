"""Eyes found in the third-person picture: beyond the paper, and exact where the face is seen."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass

import cv2
import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

from genego_ros import weights
from genego_ros.geometry.rigid import compose, invert, look_at, unit
from genego_ros.observation.beside import Beside
from genego_ros.observation.viewpoint.nominal import NominalViewpoint
from genego_ros.parameters import Parameters
from genego_ros.types import Camera, Float64Array, FloatArray, Frame, Hand, Viewpoint

_LEAST_SCORE = 0.4
"""Below, what is taken for a face is a hand or a thing as often as not."""
_LANDMARKS = 0.85 * np.array(
    [
        [-0.0315, 0.0, 0.0],
        [0.0315, 0.0, 0.0],
        [0.0, 0.042, -0.028],
        [0.0, 0.072, -0.012],
        [-0.072, 0.022, 0.085],
        [0.072, 0.022, 0.085],
    ]
)
"""The detector's keypoints on an adult's face, metres: the person's right and left eye, tip of the nose, middle of the
mouth, right and left ear; x to the person's left, y down, z to the back of the head. The factor makes distances right
in the median over rendered people: the detector puts its keypoints a little inwards."""
_FRONT = 4
"""The first keypoints, all but the ears, lie at about one depth."""
_PATCH = 0.1
"""Half the side of the patch of depth around a keypoint, in sizes of the face."""
_FIT = (0.7, 1.4)
"""Depth over what the size of the face says. Outside is the wall behind a face, or no face at all."""
_FROM_HANDS = (0.15, 1.2)
"""Metres from the eyes to the nearest keypoint of a hand."""
_ABOVE_HANDS = 0.05
"""Metres: pictures on a table are lower."""
_EYES_IN_EGO = np.array([0.0, 0.065, -0.025])
"""Metres, ego optical frame: the eyes behind and below the head camera. A worn camera sits 5 to 7.5 cm before and above
them and looks 12 to 18 degrees further down; right within 5 mm in the median over rendered people."""
_DOWN, _SHARE = math.radians(32.0), 1.0 / 3.0
"""How far down the head camera looks: what the hands and the face say of it counts a third each (a regression on
rendered people). The head makes a part of the way to the hands, the eyes do the rest; and the camera looks further down
than the face."""
_STEEPEST = math.radians(80.0)
_EYE_LINE = 4.0
"""Weight of the line between the eyes against the hands, in which way the head is turned."""
_DISAGREEMENT = math.radians(40.0)
"""Between the line of the eyes and the hands; more, and the keypoints of the face are not where they seem."""
_GOOD_SCORE = 0.7
"""Of a face seen well, for which the following errors hold; they grow as scores fall."""
_TURN_ERROR, _TURN_ERROR_ESTIMATED, _TURN_ERROR_WITHOUT_DEPTH = 0.08, 0.15, 0.2
"""Radians about an axis, by depth images, by depth that a network estimated, and without depth at the face, on rendered
people: the median error over 1.54, the median length of three normal numbers."""
_SHIFT_ERROR, _SHIFT_ERROR_ESTIMATED, _SIZE_ERROR = 0.019, 0.05, 0.065
"""Likewise of a coordinate: metres by depth images, else relative to the distance."""


@dataclass(frozen=True)
class Face:
    """A face in the picture."""

    pixels: Float64Array
    """float64 (6, 2), in the order of the detector: right eye, left eye, nose, mouth, right ear, left ear."""
    score: float


class HeadViewpoint:
    """The eyes of the face in the picture, above the hands and looking down at them.

    Where the eyes are comes from D'_exo at the face, or from the face's size where there is none. Which way the head is
    turned comes from the line between the eyes, and a little from the hands (see `NominalViewpoint`); how far down it
    looks from the face and from where the hands are; and it is held level.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        with zipfile.ZipFile(weights.locate("mediapipe_face")) as bundle:
            model = bundle.read("face_detector.tflite")
        self._detector = vision.FaceDetector.create_from_options(
            vision.FaceDetectorOptions(
                base_options=BaseOptions(model_asset_buffer=model), min_detection_confidence=_LEAST_SCORE
            )
        )
        self._nominal = NominalViewpoint(parameters)
        self._faces = Beside(self._find)

    def begin(self, frame: Frame) -> None:
        self._faces.begin(frame)

    def locate(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> Viewpoint | None:
        """None without a hand, without a face, or where no face can belong to the hands."""
        hands = tuple(hand for hand in hands if np.isfinite(hand.keypoints).all())
        nominal = self._nominal.locate(frame, hands, depth)
        if nominal is None:
            return None
        up, forward = _bearings(nominal, math.radians(self.parameters.viewpoint.elevation_deg))
        for face in self._faces.result(frame):
            found = view_of(face, frame.camera, hands, depth, up, forward, frame.depth is not None)
            if found is not None:
                return found
        return None

    def forget(self) -> None:
        """Keeps nothing."""

    def close(self) -> None:
        self._faces.close()
        self._detector.close()

    def _find(self, frame: Frame) -> list[Face]:
        """Best first."""
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(frame.rgb))
        size = np.array([frame.camera.width, frame.camera.height])
        faces = []
        for detection in self._detector.detect(picture).detections:
            # Keypoints are shares of the picture's size, whose left edge is at pixel -0.5.
            pixels = np.array([(point.x, point.y) for point in detection.keypoints]) * size - 0.5
            faces.append(Face(pixels, float(detection.categories[0].score)))
        return sorted(faces, key=lambda face: -face.score)


def view_of(
    face: Face,
    camera: Camera,
    hands: tuple[Hand, ...],
    depth: FloatArray,
    up: Float64Array,
    forward: Float64Array,
    measured: bool = True,
) -> Viewpoint | None:
    """What the person with this face sees; None where the face is cut off or cannot belong to the hands.

    Args:
        camera: K_exo.
        hands: P_exo, at least one.
        depth: D'_exo, float32 (H, W), metres, NaN invalid.
        up: unit float64 (3,), exo optical frame.
        forward: unit float64 (3,), horizontal, exo optical frame: where the hands say that the person faces.
        measured: whether `depth` is a camera's.
    """
    inside = (face.pixels > -0.5) & (face.pixels < np.array([camera.width, camera.height]) - 0.5)
    if not inside[:_FRONT].all():
        return None
    pose = _face_pose(face, camera)
    if pose is None:
        return None
    rotation, distance = pose
    there = _depth_at(face, depth)
    fitting = there[(there > _FIT[0] * distance) & (there < _FIT[1] * distance)]
    if len(there) and not len(fitting):
        return None
    z = float(np.median(fitting)) if len(fitting) else distance
    u, v = face.pixels[:2].mean(axis=0)
    eyes = z * np.array([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, 1.0])

    keypoints = np.concatenate([hand.keypoints for hand in hands]).astype(np.float64)
    middle = np.mean([hand.keypoints.mean(axis=0) for hand in hands], axis=0).astype(np.float64)
    nearest = float(np.linalg.norm(keypoints - eyes, axis=1).min())
    if not _FROM_HANDS[0] < nearest < _FROM_HANDS[1] or (eyes - middle) @ up < _ABOVE_HANDS:
        return None

    # In the picture of somebody who faces the camera, their right is on the left.
    facing = unit(np.cross(up, -rotation[:, 0]))
    if facing @ forward < math.cos(_DISAGREEMENT):
        return None
    heading = unit(_EYE_LINE * facing + forward)
    down = _DOWN + _SHARE * (_elevation(eyes - middle, up) + _elevation(rotation[:, 2], up))
    down = min(max(down, -_STEEPEST), _STEEPEST)
    gaze = math.cos(down) * heading - math.sin(down) * up
    turn = look_at(np.zeros(3), gaze, up)[:3, :3]
    T_exo_ego = compose(turn, eyes - turn @ _EYES_IN_EGO)
    doubt = _GOOD_SCORE / max(face.score, 0.1)
    turn_error, shift_error = _TURN_ERROR_WITHOUT_DEPTH, _SIZE_ERROR * z
    if len(fitting):
        turn_error, shift_error = _TURN_ERROR_ESTIMATED, _SHIFT_ERROR_ESTIMATED * z
        if measured:
            turn_error, shift_error = _TURN_ERROR, _SHIFT_ERROR
    return Viewpoint(invert(T_exo_ego), "head", turn_deviation=doubt * turn_error, shift_deviation=doubt * shift_error)


def _bearings(nominal: Viewpoint, elevation: float) -> tuple[Float64Array, Float64Array]:
    """Up and the person's horizontal forward direction, unit float64 (3,), exo optical frame, of eyes that look down
    by `elevation` radians.
    """
    _, down, ahead = nominal.T_ego_exo[:3, :3]
    up = -math.cos(elevation) * down - math.sin(elevation) * ahead
    return up, math.cos(elevation) * ahead - math.sin(elevation) * down


def _elevation(vector: Float64Array, up: Float64Array) -> float:
    """Radians above the horizon."""
    return math.asin(min(max(float(unit(vector) @ up), -1.0), 1.0))


def _face_pose(face: Face, camera: Camera) -> tuple[Float64Array, float] | None:
    """How an adult's face is turned (3, 3) and its distance along z in metres, by perspective-n-point."""
    try:
        found, turn, place = cv2.solvePnP(_LANDMARKS, face.pixels, camera.matrix, None, flags=cv2.SOLVEPNP_SQPNP)
    except cv2.error:  # how OpenCV says that the points are all in one place
        return None
    if not found or not np.isfinite(place).all() or place[2, 0] <= 0:
        return None
    return np.asarray(cv2.Rodrigues(turn)[0], np.float64), float(place[2, 0])


def _depth_at(face: Face, depth: FloatArray) -> Float64Array:
    """Metres, float64 (N,), N <= 4: the median around each keypoint but the ears, where there is depth."""
    reach = max(1, round(_PATCH * float(np.ptp(face.pixels, axis=0).max())))
    found = []
    for u, v in np.round(face.pixels[:_FRONT]).astype(int):
        patch = depth[max(v - reach, 0) : v + reach + 1, max(u - reach, 0) : u + reach + 1]
        if np.isfinite(patch).any():
            found.append(np.nanmedian(patch))
    return np.array(found, np.float64)
