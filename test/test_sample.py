"""The sequence that the project ships is what its README says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

SAMPLE = Path(__file__).parents[1] / "examples/sample"


@pytest.fixture(scope="module")
def messages() -> dict[str, list]:
    with AnyReader([SAMPLE], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
        found: dict[str, list] = {topic: [] for topic in reader.topics}
        for connection, stamp, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == stamp
            assert message.header.frame_id == "camera_optical_frame"
            found[connection.topic].append((stamp, message))
    return found


def test_forty_frames_at_15_hz_under_4_mb(messages: dict[str, list]) -> None:
    assert sorted(messages) == [
        "/camera/camera_info",
        "/camera/depth/compressed",
        "/camera/image_raw/compressed",
    ]
    stamps = [[stamp for stamp, _ in of_topic] for of_topic in messages.values()]
    assert stamps[0] == stamps[1] == stamps[2]
    np.testing.assert_allclose(np.diff(stamps[0]), 1e9 / 15, atol=1)
    assert len(stamps[0]) == 40
    assert sum(file.stat().st_size for file in SAMPLE.iterdir()) < 4_000_000


def test_depth_is_in_millimetres_and_lies_on_a_flat_table(messages: dict[str, list]) -> None:
    info = messages["/camera/camera_info"][0][1]
    rgb = cv2.imdecode(messages["/camera/image_raw/compressed"][0][1].data, cv2.IMREAD_COLOR)
    depth = cv2.imdecode(messages["/camera/depth/compressed"][0][1].data, cv2.IMREAD_UNCHANGED)
    assert rgb.shape == (info.height, info.width, 3) == (480, 640, 3)
    assert depth.dtype == np.uint16 and depth.shape == (480, 640)
    v, u = np.mgrid[400:480:4, 0:640:4]
    z = depth[v, u] / 1000.0
    points = np.stack([(u - info.k[2]) / info.k[0] * z, (v - info.k[5]) / info.k[4] * z, z], -1)
    from_middle = points.reshape(-1, 3) - points.mean(axis=(0, 1))
    normal = np.linalg.svd(from_middle, full_matrices=False)[2][2]
    assert np.abs(from_middle @ normal).max() < 0.001
    assert z.min() > 0.5 and z.max() < 1.0
