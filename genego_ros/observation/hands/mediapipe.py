"""Hands by MediaPipe's hand landmarker."""

from __future__ import annotations

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

from genego_ros import weights
from genego_ros.geometry.hand_model import HandModel
from genego_ros.observation.hands.lifting import AVERAGE_HAND_LENGTH, lift, proportioned
from genego_ros.parameters import Parameters
from genego_ros.types import SIDES, ByteArray, Frame, Hand, Side

_HANDS = 2
"""With as many hands tracked as are asked for, the landmarker does not look for more: asking for the hands of
bystanders too would cost a palm detection every frame, a third of the time."""


class MediaPipeHands:
    """Finds hands and follows them from frame to frame; both sides.

    The landmarker gives pixels and a shape of its own guess. The shape gets the proportions of the hand
    mesh and the length that is known, or that of an average adult, and is placed by perspective-n-point.
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
        self._rest = {side: hand_model.rest_keypoints(side) for side in SIDES}
        self._time_ms = 0

    def estimate(self, frame: Frame) -> tuple[Hand, ...]:
        """The best left and the best right hand of `frame`."""
        result = self._track(frame.rgb)
        best: dict[Side, Hand] = {}
        for handedness, landmarks, world in zip(
            result.handedness, result.hand_landmarks, result.hand_world_landmarks, strict=True
        ):
            side: Side = "left" if handedness[0].category_name == "Left" else "right"
            score = float(handedness[0].score)
            if side in best and best[side].score >= score:
                continue
            hand = self._hand(side, score, landmarks, world, frame)
            if hand is not None:
                best[side] = hand
        return tuple(best[side] for side in SIDES if side in best)

    def forget(self) -> None:
        # A picture without a hand ends every track and empties the tracker's filters.
        self._track(np.zeros((64, 64, 3), np.uint8))

    def close(self) -> None:
        self._landmarker.close()

    def _track(self, rgb: ByteArray) -> vision.HandLandmarkerResult:
        # The tracker refuses time that stands still or runs backwards, as it does when a recording
        # starts over; it needs an order, not a date.
        self._time_ms += 33
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        return self._landmarker.detect_for_video(picture, self._time_ms)

    def _hand(self, side: Side, score: float, landmarks: list, world: list, frame: Frame) -> Hand | None:
        camera = frame.camera
        # Landmarks are shares of the picture's size, whose left edge is at pixel -0.5.
        pixels = np.array([(p.x * camera.width - 0.5, p.y * camera.height - 0.5) for p in landmarks], np.float32)
        shape = np.array([(p.x, p.y, p.z) for p in world], np.float32)
        known = self.parameters.hands.hand_length
        if not np.isfinite(shape).all():
            return None
        shape = proportioned(shape, self._rest[side])
        keypoints = lift(shape, pixels, camera, known or AVERAGE_HAND_LENGTH)
        if keypoints is None:
            return None
        inside = (
            (pixels > -0.5).all(axis=1) & (pixels[:, 0] < camera.width - 0.5) & (pixels[:, 1] < camera.height - 0.5)
        )
        return Hand(
            side=side,
            score=score,
            keypoints=keypoints,
            keypoints_2d=pixels,
            # The landmarker scores the hand, not its points; a point past the border was not seen.
            keypoint_scores=np.where(inside, score, 0.1 * score).astype(np.float32),
            scale_source="hand_length" if known else "average",
        )
