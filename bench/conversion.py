"""Images in and out of messages, against what a first attempt would do."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import Image

from bench import Result, interleaved_ms
from genego_ros.ros.conversions import depth_from_image, from_image, to_image

TARGET_MS = 1.0


def run() -> list[Result]:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (480, 640, 3), np.uint8)
    depth = rng.integers(300, 4000, (480, 640), np.uint16)
    color_message, depth_message = to_image(rgb, "rgb8", 0, ""), to_image(depth, "16UC1", 0, "")

    def first_attempt_out() -> None:
        Image(height=480, width=640, encoding="rgb8", step=1920).data = rgb.tobytes()

    def first_attempt_in() -> np.ndarray:
        return np.array(color_message.data, np.uint8).reshape(480, 640, 3)

    def first_attempt_depth() -> np.ndarray:
        raw = np.array(depth_message.data, np.uint8).view(np.uint16).reshape(480, 640)
        return np.where(raw == 0, np.nan, raw / 1000.0)

    pairs = [
        ("VGA rgb8 out", lambda: to_image(rgb, "rgb8", 0, ""), first_attempt_out, "data = array.tobytes()"),
        ("VGA rgb8 in", lambda: from_image(color_message), first_attempt_in, "np.array(data)"),
        ("VGA 16UC1 depth in", lambda: depth_from_image(depth_message), first_attempt_depth, "np.where over float64"),
    ]
    results = []
    for name, ours, other, reference in pairs:
        ours_ms, other_ms = interleaved_ms(ours, other, rounds=30)
        results.append(Result(name, ours_ms, "ms", reference, other_ms, f"<= {TARGET_MS:g} ms", ours_ms <= TARGET_MS))
    return results
