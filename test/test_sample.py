"""The sequence that the project ships is what its README says."""

from __future__ import annotations

import cv2
import numpy as np
from scene import ROOT, in_the_sample_world, recorded, sample, true_keypoints

from genego_ros.types import SIDES

SAMPLE = ROOT / "examples/sample"


def test_forty_frames_at_15_hz_under_5_mb() -> None:
    moving = {topic: messages for topic, messages in recorded().items() if topic != "/tf_static"}
    assert sorted(moving) == [
        "/camera/camera_info",
        "/camera/depth/compressed",
        "/camera/image_raw/compressed",
        "/tf",
        "/truth/description",
        "/truth/ego/camera_info",
        "/truth/ego/hands",
        "/truth/ego/image_raw/compressed",
        "/truth/exo/hands",
    ]
    for topic, messages in moving.items():
        headers = [message.transforms[0].header if topic == "/tf" else message.header for message in messages]
        stamps = [header.stamp.sec * 10**9 + header.stamp.nanosec for header in headers]
        assert len(stamps) == 40
        np.testing.assert_allclose(np.diff(stamps), 1e9 / 15, atol=1)
    assert sum(file.stat().st_size for file in SAMPLE.iterdir()) < 5_000_000


def test_the_hands_are_where_the_depth_image_sees_them() -> None:
    """A joint lies inside the hand: the surface of hand or sleeve is a few centimetres nearer to the camera."""
    for index, frame in enumerate(sample(40)):
        assert frame.rgb.shape == (360, 640, 3)
        for side in SIDES:
            x, y, z = true_keypoints(side, index)[0]
            u = round(frame.camera.fx * x / z + frame.camera.cx)
            v = round(frame.camera.fy * y / z + frame.camera.cy)
            assert frame.depth is not None
            assert -0.01 < z - frame.depth[v, u] < 0.07


def test_the_first_person_view_sees_both_hands_over_the_table() -> None:
    """What the head camera says of the hands is what the third-person camera says, by way of the world."""
    for index, message in enumerate(recorded()["/truth/ego/hands"]):
        picture = cv2.imdecode(recorded()["/truth/ego/image_raw/compressed"][index].data, cv2.IMREAD_COLOR)
        assert picture.shape == (360, 640, 3)
        for hand in message.hands:
            points = np.asarray(hand.keypoints, np.float64).reshape(21, 3)
            lengths = np.linalg.norm(points - points[0], axis=1)
            seen = true_keypoints(SIDES[hand.side], index)
            np.testing.assert_allclose(lengths, np.linalg.norm(seen - seen[0], axis=1), atol=1e-5)
            assert (points[:, 2] > 0.1).all() and (points[:, 2] < 0.8).all()
            assert 0.6 < in_the_sample_world(seen)[:, 2].min() < 1.2
