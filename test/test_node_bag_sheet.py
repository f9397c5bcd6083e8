"""`genego show` of bags: every camera's pictures, with the hands that were found in them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from genego_ros.msg import HandArray
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from genego_ros.cli import main
from genego_ros.data.bags import BagWriter
from genego_ros.geometry.skeleton import SIDE_COLORS
from genego_ros.ros import conversions
from genego_ros.types import Hand

SAMPLE = Path(__file__).parents[1] / "examples/sample"


def test_the_sample_bag_is_shown_with_its_depth(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    assert main(["show", str(SAMPLE), "--out", str(out)]) == 0
    sheet = cv2.imread(str(out))
    assert sheet.shape[1] % (320 + 6) == 0 and sheet.shape[1] >= 2 * 326
    assert sheet.shape[0] >= 12 * 180


def write_bag(path: Path) -> None:
    """Two moments of a grey picture of 320 x 180 and its depth, with a hand in the first, and the truth of another
    camera."""
    keypoints_2d = np.stack([np.linspace(100, 200, 21), np.full(21, 90.0)], axis=1).astype(np.float32)
    points = np.tile(np.array([0, 0, 1], np.float32), (21, 1))
    hand = Hand("left", 1.0, points, keypoints_2d, np.ones(21, np.float32), "truth")
    grey, depth = np.full((180, 320, 3), 80, np.uint8), np.full((180, 320), 1200, np.uint16)
    depth[:, :160] = 900
    topics = {
        "/camera/image_raw/compressed": "sensor_msgs/msg/CompressedImage",
        "/camera/depth/image_raw": "sensor_msgs/msg/Image",
        "/truth/ego/image_raw": "sensor_msgs/msg/Image",
        "/truth/exo/hands": "genego_ros/msg/HandArray",
        "/truth/other/hands": "genego_ros/msg/HandArray",
    }
    with BagWriter(path, topics) as bag:
        for stamp in (1_000_000_000, 1_500_000_000):
            first = stamp == 1_000_000_000
            found = [conversions.to_hand(hand)] if first else []
            messages = {
                "/camera/image_raw/compressed": conversions.to_compressed(grey, stamp, "exo", 100),
                "/camera/depth/image_raw": conversions.to_image(depth, "16UC1", stamp, "exo"),
                "/truth/exo/hands": HandArray(header=conversions.to_header(stamp, "exo"), hands=found),
                "/truth/other/hands": HandArray(header=conversions.to_header(stamp, "ego"), hands=[]),
            }
            if first:
                messages["/truth/ego/image_raw"] = conversions.to_image(grey, "rgb8", stamp, "ego")
            for topic, message in messages.items():
                bag.write(topic, stamp + 7, serialize_message(message))


def test_hands_are_drawn_into_the_picture_of_their_camera(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag")
    out = tmp_path / "sheet.png"
    assert main(["show", str(tmp_path / "bag"), "--out", str(out)]) == 0
    sheet = cv2.imread(str(out))[..., ::-1]
    tiles = [[sheet[32 + 186 * row :, 326 * column :][:180, :320] for column in range(3)] for row in range(2)]
    # Scaled by nothing: tiles are 320 wide.
    np.testing.assert_allclose(tiles[0][0][90, [100, 150, 200]], [SIDE_COLORS["left"]] * 3, atol=3)
    assert np.abs(tiles[1][0][90].astype(int) - 80).max() < 3  # no hand in the second picture
    assert len(np.unique(tiles[0][1][60:120].reshape(-1, 3), axis=0)) == 2  # two depths, two colours
    assert (tiles[0][2] == 80).all() and not tiles[1][2].any()  # the other camera's, and nothing


def test_a_bag_without_pictures_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with BagWriter(tmp_path / "bag", {"/said": "std_msgs/msg/String"}) as bag:
        bag.write("/said", 1, serialize_message(String(data="x")))
    assert main(["show", str(tmp_path / "bag"), "--out", str(tmp_path / "x.png")]) == 1
    assert "no pictures in this bag; its topics are /said (1 messages)" in capsys.readouterr().err


def test_a_topic_of_pictures_that_never_came_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sheet.png"
    topics = {"/a/image_raw": "sensor_msgs/msg/Image", "/b/image_raw": "sensor_msgs/msg/Image"}
    with BagWriter(tmp_path / "bag", topics) as bag:
        grey = conversions.to_image(np.full((180, 320, 3), 80, np.uint8), "rgb8", 5, "b")
        bag.write("/b/image_raw", 7, serialize_message(grey))
    assert main(["show", str(tmp_path / "bag"), "--out", str(out)]) == 0
    assert cv2.imread(str(out)).shape[1] == 326
    with BagWriter(tmp_path / "empty", topics):
        pass
    assert main(["show", str(tmp_path / "empty"), "--out", str(out)]) == 1
    assert "no pictures in this bag; its topics are /a/image_raw (0 messages), /b" in capsys.readouterr().err


@pytest.mark.parametrize(("data", "said"), [(bytes(8), "too short for a header"), (bytes(16), "no sensor_msgs/msg/I")])
def test_a_damaged_message_is_named_with_its_topic(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, said: str
) -> None:
    with BagWriter(tmp_path / "bag", {"/a/image_raw": "sensor_msgs/msg/Image"}) as bag:
        bag.write("/a/image_raw", 7, data)
    assert main(["show", str(tmp_path / "bag"), "--out", str(tmp_path / "x.png")]) == 1
    assert f"{tmp_path}/bag: /a/image_raw: a message of {len(data)} bytes is {said}" in capsys.readouterr().err
