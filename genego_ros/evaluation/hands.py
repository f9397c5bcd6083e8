"""Whether pictures show hands that can be found, and in the right pose: by one detector in all pictures alike."""

from __future__ import annotations

import math

import cv2
import numpy as np

from genego_ros.data.sample import View
from genego_ros.geometry.pose_errors import pa_mpjpe
from genego_ros.observation.hands import load_hand_estimator
from genego_ros.parameters import Parameters
from genego_ros.types import SIDES, ByteArray, Frame, Hand, Side


class HandRuler:
    """MediaPipe's detector with default parameters; a context manager.

    Raises:
        GenEgoError: its weights are missing.
    """

    def __init__(self) -> None:
        self._detector = load_hand_estimator(Parameters())

    def __enter__(self) -> HandRuler:
        return self

    def __exit__(self, *_: object) -> None:
        self._detector.close()

    def find(self, picture: ByteArray, view: View) -> dict[Side, Hand]:
        """The hands of one picture by itself.

        Args:
            picture: uint8 (S, S, 3), RGB, squeezed.
            view: whose camera it is stretched for.
        """
        camera = view.frame.camera
        stretched = cv2.resize(picture, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR)
        self._detector.forget()
        return {hand.side: hand for hand in self._detector.estimate(Frame(np.asarray(stretched), camera))}


def scores(found: dict[Side, Hand], in_truth: dict[Side, Hand], view: View) -> dict[str, float]:
    """`hands` and `hands_pa_mpjpe`, see `metrics.METRICS`; NaN where the truth says nothing.

    Args:
        found, in_truth: hands of a made picture, and of the true one.
        view: with the true hands, in the same frame.
    """
    both = len(in_truth) == len(SIDES)
    errors = [
        1e3 * pa_mpjpe(hand.keypoints, view.keypoints[SIDES.index(side)])
        for side, hand in found.items()
        if view.has_hand(side)
    ]
    return {
        "hands": float(len(found) == len(SIDES)) if both else math.nan,
        "hands_pa_mpjpe": float(np.mean(errors)) if errors else math.nan,
    }
