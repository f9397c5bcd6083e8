"""The hand as bones between keypoints, and how it is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from genego_ros.types import ByteArray, Hand, Side

FINGERS = tuple(tuple(range(first, first + 4)) for first in (1, 5, 9, 13, 17))
"""Keypoints of thumb, index, middle, ring and pinky, base to tip."""
BONES = tuple((a, b) for finger in FINGERS for a, b in zip((0, *finger), finger, strict=False))
"""The 20 bones as keypoint pairs, wrist outwards."""
SIDE_COLORS: dict[Side, tuple[int, int, int]] = {"left": (64, 160, 255), "right": (255, 128, 48)}
"""RGB."""
_FARTHEST = 1_000_000
"""Pixels; OpenCV draws lines to such points exactly, and no keypoint that a camera sees lies further out."""


def draw_hands(picture: ByteArray, hands: Sequence[Hand]) -> None:
    """Draws the bones and keypoints of `hands` into `picture`, uint8 (H, W, 3) RGB, in place.

    A bone that leaves the picture is clipped; keypoints behind the camera, or NaN, are left out.
    """
    thick = max(1, round(picture.shape[0] / 240))
    for hand in hands:
        color = SIDE_COLORS[hand.side]
        visible = (hand.keypoints[:, 2] > 0) & ~np.isnan(hand.keypoints_2d).any(axis=1)
        pixels = np.rint(np.clip(np.nan_to_num(hand.keypoints_2d), -_FARTHEST, _FARTHEST)).astype(int)
        for a, b in BONES:
            if visible[a] and visible[b]:
                cv2.line(picture, pixels[a].tolist(), pixels[b].tolist(), color, thick, cv2.LINE_AA)
        for pixel in pixels[visible]:
            cv2.circle(picture, pixel.tolist(), thick + 1, color, -1, cv2.LINE_AA)


def pose_map(height: int, width: int, hands: Sequence[Hand]) -> ByteArray:
    """P_ego as a picture: uint8 (H, W, 3) RGB, the hands' bones on black."""
    picture = np.zeros((height, width, 3), np.uint8)
    draw_hands(picture, hands)
    return picture
