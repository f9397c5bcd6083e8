"""Hands by MediaPipe's hand landmarker."""

from __future__ import annotations

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

from genego_ros import weights
from genego_ros.errors import GenEgoError
from genego_ros.geometry.camera import project
from genego_ros.geometry.hand_model import HandModel, hand_length
from genego_ros.observation.hands.detection import Detection, inside, one_a_side
from genego_ros.observation.hands.landmarks import DEVIATIONS, LandmarkedHand
from genego_ros.observation.hands.lifting import AVERAGE_HAND_LENGTH, lift, proportioned
from genego_ros.observation.hands.proportions import Proportions
from genego_ros.parameters import Parameters
from genego_ros.types import SIDES, ByteArray, Camera, Frame, Hand, Side

_HANDS = 2
"""With as many hands tracked as are asked for, the landmarker does not look for more: asking for the hands of
bystanders too would cost a palm detection every frame, a third of the time."""


_SURE = 0.8
"""Score from which a hand tells something of the person's proportions."""


class MediaPipeHands:
    """Finds hands and follows them from frame to frame; both sides.

    The landmarker gives pixels and a shape of its own guess. The shape gets the proportions of the hand mesh, as far as
    the person's own are not known, and the length that is known, or that of an average adult; then it is placed where
    its landmarks are seen.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        model = weights.locate("mediapipe_hands")
        self._landmarker = vision.HandLandmarker.create_from_options(
            vision.HandLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=str(model)),
                running_mode=vision.RunningMode.VIDEO,
                num_hands=_HANDS,
                min_hand_detection_confidence=parameters.hands.detection_score,
                min_hand_presence_confidence=parameters.hands.tracking_score,
                min_tracking_confidence=parameters.hands.tracking_score,
            )
        )
        hand_model = HandModel.load(weights.locate("hand_mesh"))
        self._hand = LandmarkedHand(hand_model)
        self._landmark_length = hand_length(self._hand.rest("right")) / hand_length(hand_model.rest_keypoints("right"))
        self._proportions = Proportions()
        self._time_ms = 0

    def estimate(self, frame: Frame) -> tuple[Hand, ...]:
        """The best left and the best right hand of `frame`."""
        placed = {d.side: self._placed(d, frame.camera) for d in one_a_side(self.detections(frame))}
        return tuple(hand for side in SIDES if (hand := placed.get(side)) is not None)

    def forget(self) -> None:
        # A picture without a hand ends every track and empties the tracker's filters.
        self._track(np.zeros((64, 64, 3), np.uint8))
        self._proportions.forget()

    def close(self) -> None:
        self._landmarker.close()

    def _track(self, rgb: ByteArray) -> vision.HandLandmarkerResult:
        # The tracker refuses time that stands still or runs backwards, as it does when a recording
        # starts over; it needs an order, not a date.
        self._time_ms += 33
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        return self._landmarker.detect_for_video(picture, self._time_ms)

    def detections(self, frame: Frame) -> list[Detection]:
        """What the landmarker sees, several of one side too."""
        result = self._track(frame.rgb)
        # Landmarks are shares of the picture's size, whose left edge is at pixel -0.5.
        size = np.array([frame.camera.width, frame.camera.height])
        found = []
        for handedness, landmarks, world in zip(
            result.handedness, result.hand_landmarks, result.hand_world_landmarks, strict=True
        ):
            pixels = (np.array([(p.x, p.y) for p in landmarks]) * size - 0.5).astype(np.float32)
            shape = np.array([(p.x, p.y, p.z) for p in world], np.float32)
            if np.isfinite(pixels).all() and np.isfinite(shape).all():
                side: Side = "left" if handedness[0].category_name == "Left" else "right"
                found.append(Detection(side, float(handedness[0].score), pixels, shape))
        return found

    def _placed(self, detection: Detection, camera: Camera) -> Hand | None:
        """The hand in metres; None where there is no place for it before the camera."""
        side, score, pixels = detection.side, detection.score, detection.pixels
        known = self.parameters.hands.hand_length
        rest = self._hand.rest(side)
        shape = proportioned(detection.shape, self._proportions.applied_to(rest))
        length = self._landmark_length * (known or AVERAGE_HAND_LENGTH)
        landmarks = lift(shape, pixels, camera, length, DEVIATIONS)
        if landmarks is None:
            return None
        try:
            keypoints = self._hand.keypoints(landmarks, side)
        except GenEgoError:  # a palm seen so badly that it has no orientation
            return None
        seen, depths = project(keypoints, camera)
        if not depths.min() > 0:
            return None
        # Neither a landmark past the border nor a keypoint there was seen.
        within = inside(pixels, camera) & inside(seen.astype(np.float32), camera)
        if score > _SURE and within.all():
            self._proportions.learn(landmarks, rest)
        return Hand(
            side=side,
            score=score,
            keypoints=keypoints,
            keypoints_2d=seen.astype(np.float32),
            # The landmarker scores the hand, not its points.
            keypoint_scores=np.where(within, score, 0.1 * score).astype(np.float32),
            scale_source="hand_length" if known else "average",
        )
