"""The errors that the demo states, of a made-up output whose errors are known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from genego_ros.msg import HandArray
from mock_datasets import write_h2o
from rclpy.serialization import serialize_message
from ros_rig import ROOT
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CompressedImage
from test_convert import Memory

from genego_ros.data.bags import BagWriter, inspect_bag, read_bag
from genego_ros.data.convert import convert, stamp_of
from genego_ros.data.h2o import H2O
from genego_ros.data.sample import Sample, View
from genego_ros.geometry import rigid
from genego_ros.ros import conversions
from genego_ros.ros.camera_topics import CameraTopics, find_camera
from genego_ros.ros.demo_truth import compare, lines, truth_pictures
from genego_ros.ros.transforms import ego_transform
from genego_ros.types import SIDES, Hand

TOPICS = {
    "/camera/camera_info": "sensor_msgs/msg/CameraInfo",
    "/tf": "tf2_msgs/msg/TFMessage",
    "/genego/exo/hands": "genego_ros/msg/HandArray",
    "/genego/ego/hands": "genego_ros/msg/HandArray",
    "/genego/ego/image/compressed": "sensor_msgs/msg/CompressedImage",
    "/genego/ego/camera_info": "sensor_msgs/msg/CameraInfo",
    "/genego/ego/seen": "sensor_msgs/msg/Image",
}
EXO, EGO = "camera_optical_frame", "ego_camera_optical_frame"
CAMERA = CameraTopics("/camera/image_raw", "/camera/camera_info", "/camera/depth/image_raw", 4)


def hands(view: View, stamp: int, frame: str, without_left: bool) -> HandArray:
    """All hands of a view, 5 cm off."""
    found = [
        Hand(side, 1.0, (view.keypoints[i] + (0.03, 0.0, 0.04)).astype(np.float32), np.zeros((21, 2), np.float32),
             np.ones(21, np.float32), "average")
        for i, side in enumerate(SIDES)
        if view.has_hand(side) and not (without_left and side == "left")
    ]  # fmt: skip
    return HandArray(header=conversions.to_header(stamp, frame), hands=[conversions.to_hand(hand) for hand in found])


def write_output(path: Path, dataset: Memory) -> None:
    """What the nodes would have said: hands 5 cm off, the left one missed in the second frame; the ego camera 20 cm and
    10 degrees off; the view 5 levels too bright where it was seen, on the left, and 20 where it was not."""
    off = rigid.compose(Rotation.from_euler("y", 10, degrees=True).as_matrix(), (0.0, 0.12, -0.16))
    with BagWriter(path / "output", TOPICS) as writer:
        for i in range(len(dataset)):
            sample: Sample = dataset[i]
            stamp = stamp_of(sample.id, dataset.rate_hz)
            exo, ego = sample.exo[0], sample.ego
            T_exo_ego = rigid.invert(sample.T_ego_exo) @ off
            seen = np.zeros(ego.frame.rgb.shape[:2], bool)
            seen[:, : seen.shape[1] // 2] = True
            shifted = np.clip(ego.frame.rgb, 0, 235) + np.where(seen, 5, 20)[..., None].astype(np.uint8)
            png = cv2.imencode(".png", shifted[..., ::-1])[1].tobytes()
            header = conversions.to_header(stamp, EGO)
            messages = (
                conversions.to_camera_info(exo.frame.camera, stamp, EXO),
                ego_transform(rigid.invert(T_exo_ego), stamp, EXO, EGO),
                hands(exo, stamp, EXO, i == 1),
                hands(ego, stamp, EGO, i == 1),
                CompressedImage(header=header, format="png", data=png),
                conversions.to_camera_info(ego.frame.camera, stamp, EGO),
                conversions.mask_to_image(seen, stamp, EGO),
            )
            for topic, message in zip(TOPICS, messages, strict=True):
                writer.write(topic, stamp, serialize_message(message))
    (path / "output/output.mcap").rename(path / "output.mcap")


class Dimmed(Memory):
    """Without colours so bright that 20 levels more would not fit."""

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        sample.ego.frame.rgb[:] = np.clip(sample.ego.frame.rgb, 0, 235)
        return sample


@pytest.mark.parametrize("with_tf", [True, False])
def test_errors_are_those_that_were_put_in(tmp_path: Path, with_tf: bool) -> None:
    dataset = Dimmed()
    convert(dataset, range(4), tmp_path / "whole", "h2o", raw=True)
    source = tmp_path / "whole"
    if not with_tf:  # the hands in both frames then say where the ego camera is
        source = tmp_path / "without_tf"
        kinds = {t.name: t.type for t in inspect_bag(tmp_path / "whole").topics if not t.name.startswith("/tf")}
        with BagWriter(source, kinds) as writer:
            for message in read_bag(tmp_path / "whole", kinds):
                writer.write(message.topic, message.time_ns, message.data)
    write_output(tmp_path, dataset)
    truth = compare(source, tmp_path, "/genego", CAMERA)
    found = truth["hands"]
    # The left hand is there in the first three frames, of which it was missed in one.
    assert found["by_side"] == {"left": {"visible": 3, "found": 2}, "right": {"visible": 4, "found": 4}}
    assert found["compared"] == 6
    assert found["mpjpe_cm"] == pytest.approx(5.0, abs=0.01)
    assert found["wrist_cm"] == pytest.approx(5.0, abs=0.01)
    assert found["ego_mpjpe_cm"] == pytest.approx(5.0, abs=0.01)
    assert found["pa_mpjpe_mm"] == pytest.approx(0.0, abs=0.01)
    assert truth["ego_pose"]["frames"] == 4
    assert truth["ego_pose"]["translation_cm"] == pytest.approx(20.0, abs=0.01)
    assert truth["ego_pose"]["rotation_deg"] == pytest.approx(10.0, abs=0.01)
    everywhere, seen = truth["image"]["all"], truth["image"]["seen"]
    assert everywhere["psnr"] == pytest.approx(10 * np.log10(255**2 / ((5**2 + 20**2) / 2)), abs=0.01)
    assert seen["psnr"] == pytest.approx(20 * np.log10(255 / 5), abs=0.01)
    assert everywhere["ssim"] < seen["ssim"] < 1.0
    told = dict(lines(truth))
    assert told["left hand found where it can be seen"] == "2 of 3"
    assert told["hands off by (median)"] == "5.0 cm a joint, wrist 5.0 cm, shape 0.0 mm (PA-MPJPE)"
    assert told["ego pose off by (median)"] == "20.0 cm, 10.0 degrees"


def test_the_truth_is_no_camera_and_its_pictures_can_be_shown(tmp_path: Path) -> None:
    write_h2o(tmp_path / "h2o", frames=range(3), cameras=("cam2", "cam4"), size=(64, 36))
    dataset = H2O(tmp_path / "h2o")
    convert(dataset, range(3), tmp_path / "bag", "h2o", raw=True)
    camera = find_camera(tmp_path / "bag", None)
    assert (camera.image, camera.camera_info, camera.depth, camera.frames) == (
        "/camera/image_raw", "/camera/camera_info", "/camera/depth/image_raw", 3,
    )  # fmt: skip
    stamp = stamp_of(dataset.ids[1], dataset.rate_hz)
    pictures = truth_pictures(tmp_path / "bag", [stamp])
    assert list(pictures) == [stamp]
    np.testing.assert_array_equal(pictures[stamp], dataset[1].ego.frame.rgb)


def test_without_truth_nothing_is_said(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag", {"/camera/image_raw": "sensor_msgs/msg/Image"}):
        pass
    for source in (tmp_path / "bag", ROOT / "docs/demo.jpg"):
        assert compare(source, tmp_path, "/genego", CAMERA) == {}
        assert truth_pictures(source, [0]) == {}
    assert lines({}) == []
