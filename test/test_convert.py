"""Recordings of a data set become bags: what comes back from a bag is what the data set says."""

from __future__ import annotations

import errno
import re
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mock_datasets import TACO_CAMERAS, MockScene, write_h2o, write_taco
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Writer
from scipy.spatial.transform import Rotation

from genego_ros.cli import main
from genego_ros.data.bags import inspect_bag, read_bag
from genego_ros.data.convert import convert
from genego_ros.data.message_definitions import MessageDefinitions
from genego_ros.data.sample import Sample, SampleId, View
from genego_ros.data.taco import TACO
from genego_ros.errors import GenEgoError
from genego_ros.geometry import rigid
from genego_ros.types import Float64Array, Frame

SCENE = MockScene((160, 90))
FRAMES = (7, 8, 10, 11)
RATE_HZ = 15.0
START_S = 1_700_000_000


class Memory:
    """A data set of one recording that is nowhere but in memory, so that its numbers are exact."""

    rate_hz = RATE_HZ

    def __init__(self) -> None:
        self.ids = [SampleId("subject1/h1/3", "cam2", frame) for frame in FRAMES]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        return self.sample(self.ids[index])

    def sample(self, id: SampleId) -> Sample:
        moved = SCENE.object_pose(id.frame)
        labels: dict[str, Any] = {"object_class": 3, "object_name": "box", "verb": 1, "verb_name": "lift", "action": 1}
        names = {"subject": "subject1", "scene": "h1", "description": f"frame {id.frame}"}
        return Sample(id, (view("cam2", id.frame),), view("cam4", id.frame), moved, **labels, **names)


@cache
def view(camera: str, frame: int) -> View:
    rgb, depth = SCENE.seen(camera, frame)
    # The grain of a camera: what jpeg finds hardest.
    noise = np.random.default_rng(frame).normal(0.0, 4.0, rgb.shape)
    rgb = np.clip(rgb + noise, 0, 255).astype(np.uint8)
    T = SCENE.camera_pose(camera, frame)
    keypoints = rigid.apply(rigid.invert(T), SCENE.keypoints(frame))
    if frame == FRAMES[-1]:
        keypoints[0] = np.nan
    millimetres = np.rint(depth * 1000) * np.float32(0.001)
    return View(camera, Frame(rgb, SCENE.camera(camera), millimetres.astype(np.float32)), T, keypoints)


def contents(bag: Path) -> dict[str, list[Any]]:
    """Messages by topic."""
    definitions = MessageDefinitions()
    found: dict[str, list[Any]] = {}
    for message in read_bag(bag):
        found.setdefault(message.topic, []).append(definitions.deserialize(message.data, message.type))
    return found


def nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def matrix(transform: Any) -> Float64Array:
    t, r = transform.translation, transform.rotation
    return rigid.compose(Rotation.from_quat([r.x, r.y, r.z, r.w]).as_matrix(), [t.x, t.y, t.z])


def picture(message: Any) -> np.ndarray:
    """RGB of an Image or CompressedImage."""
    if hasattr(message, "encoding"):
        assert (message.encoding, message.step) == ("rgb8", 3 * message.width)
        return message.data.reshape(message.height, message.width, 3)
    return cv2.imdecode(message.data, cv2.IMREAD_COLOR)[..., ::-1]


def depth_of(message: Any) -> np.ndarray:
    """uint16 millimetres of an Image or CompressedImage."""
    if hasattr(message, "encoding"):
        assert (message.encoding, message.step) == ("16UC1", 2 * message.width)
        return message.data.view("<u2").reshape(message.height, message.width)
    assert message.format.startswith("16UC1; png")
    return cv2.imdecode(message.data, cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("raw", [True, False])
def test_a_bag_holds_what_the_data_set_says(tmp_path: Path, raw: bool) -> None:
    dataset = Memory()
    assert convert(dataset, range(4), tmp_path / "bag", "h2o", raw)
    info = inspect_bag(tmp_path / "bag")
    assert info.warnings == ()
    suffix = "" if raw else "/compressed"
    depth_topic = "/camera/depth/image_raw" if raw else "/camera/depth/compressed"
    every_frame = {
        "/tf", "/camera/camera_info", f"/camera/image_raw{suffix}", depth_topic, "/truth/ego/camera_info",
        f"/truth/ego/image_raw{suffix}", "/truth/exo/hands", "/truth/ego/hands", "/truth/description",
    }  # fmt: skip
    assert {topic.name: topic.count for topic in info.topics} == {"/tf_static": 1, **dict.fromkeys(every_frame, 4)}
    found = contents(tmp_path / "bag")
    stamps = [1_000_000_000 * START_S + round(frame * 1e9 / RATE_HZ) for frame in FRAMES]
    for topic in every_frame - {"/tf"}:
        assert [nanoseconds(message.header.stamp) for message in found[topic]] == stamps
    for i, sample in enumerate(dataset[i] for i in range(4)):
        exo, ego = sample.exo[0], sample.ego
        for prefix, seen in (("/camera", exo), ("/truth/ego", ego)):
            got = picture(found[f"{prefix}/image_raw{suffix}"][i])
            if raw:
                np.testing.assert_array_equal(got, seen.frame.rgb)
            assert raw or cv2.PSNR(got, seen.frame.rgb) > 38
            k = found[f"{prefix}/camera_info"][i].k
            np.testing.assert_array_equal(np.reshape(k, (3, 3)), seen.frame.camera.matrix)
        assert exo.frame.depth is not None
        got_depth = depth_of(found[depth_topic][i])
        np.testing.assert_array_equal(got_depth, np.rint(np.nan_to_num(exo.frame.depth) * 1000))
        assert found["/truth/description"][i].text == f"frame {FRAMES[i]}"


def test_jpegs_are_as_close_as_wanted_and_no_larger(tmp_path: Path) -> None:
    dataset = Memory()
    sizes = []
    for psnr_db in (32.0, 42.0):
        bag = tmp_path / f"{psnr_db:g}"
        convert(dataset, range(4), bag, "h2o", psnr_db=psnr_db)
        jpegs = contents(bag)["/camera/image_raw/compressed"]
        errors = [cv2.PSNR(picture(jpeg), dataset[i].exo[0].frame.rgb) for i, jpeg in enumerate(jpegs)]
        assert psnr_db - 1 < min(errors) and errors[0] < psnr_db + 3
        sizes.append(sum(len(jpeg.data) for jpeg in jpegs))
    assert sizes[0] < 0.6 * sizes[1]


def test_poses_are_exact_and_transforms_meet_in_the_world(tmp_path: Path) -> None:
    dataset = Memory()
    convert(dataset, range(4), tmp_path / "bag", "h2o")
    found = contents(tmp_path / "bag")
    ((static,),) = [message.transforms for message in found["/tf_static"]]
    assert (static.header.frame_id, static.child_frame_id) == ("world", "camera_optical_frame")
    for i, message in enumerate(found["/tf"]):
        sample = dataset[i]
        ego, thing = message.transforms
        assert [t.child_frame_id for t in message.transforms] == ["truth_ego_camera_optical_frame", "truth_object"]
        assert {t.header.frame_id for t in message.transforms} == {"world"}
        np.testing.assert_allclose(matrix(static.transform), sample.exo[0].T_world_camera, atol=1e-12)
        np.testing.assert_allclose(matrix(ego.transform), sample.ego.T_world_camera, atol=1e-12)
        np.testing.assert_allclose(matrix(thing.transform), sample.T_world_object, atol=1e-12)


def test_hands_are_in_both_cameras_and_an_absent_one_is_left_out(tmp_path: Path) -> None:
    dataset = Memory()
    convert(dataset, range(4), tmp_path / "bag", "h2o")
    found = contents(tmp_path / "bag")
    for i in range(4):
        sides = (0, 1) if i < 3 else (1,)
        for topic, seen in (("exo", dataset[i].exo[0]), ("ego", dataset[i].ego)):
            hands = found[f"/truth/{topic}/hands"][i].hands
            assert tuple(hand.side for hand in hands) == sides
            camera = seen.frame.camera
            for hand in hands:
                points = seen.keypoints[hand.side]
                np.testing.assert_array_equal(hand.keypoints.reshape(21, 3), points.astype(np.float32))
                pixels = points @ camera.matrix.T
                np.testing.assert_allclose(hand.keypoints_2d.reshape(21, 2), pixels[:, :2] / pixels[:, 2:], atol=1e-3)
                assert (hand.score, hand.scale_source) == (1.0, "truth")


def test_messages_are_in_order_and_the_still_camera_is_latched(tmp_path: Path) -> None:
    convert(Memory(), range(4), tmp_path / "bag", "h2o")
    messages = list(read_bag(tmp_path / "bag"))
    assert messages[0].topic == "/tf_static"
    assert all(before.time_ns <= after.time_ns for before, after in pairwise(messages))
    offers = {topic.name: topic.qos for topic in inspect_bag(tmp_path / "bag").topics}
    assert {qos.reliability for (qos,) in offers.values()} == {QosReliability.RELIABLE}
    latched = {name for name, (qos,) in offers.items() if qos.durability is QosDurability.TRANSIENT_LOCAL}
    assert latched == {"/tf_static"}


def test_a_camera_that_is_moved_says_so(tmp_path: Path) -> None:
    class Pushed(Memory):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            T = sample.exo[0].T_world_camera.copy()
            T[0, 3] += 0.1 * (index >= 2)
            return replace(sample, exo=(replace(sample.exo[0], T_world_camera=T),))

    convert(Pushed(), range(4), tmp_path / "bag", "h2o")
    found = contents(tmp_path / "bag")["/tf_static"]
    first, second = (message.transforms[0] for message in found)
    assert second.transform.translation.x - first.transform.translation.x == pytest.approx(0.1)
    assert nanoseconds(second.header.stamp) == 1_000_000_000 * START_S + round(10e9 / RATE_HZ)


@pytest.mark.parametrize("what", ["nan", "mirrored", "object"])
def test_a_pose_that_is_none_is_named_and_leaves_nothing(tmp_path: Path, what: str) -> None:
    class Wrong(Memory):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            T = np.eye(4)
            T[0, 0] = np.nan if what == "nan" else -1.0
            if index < 2:
                return sample
            if what == "object":
                return replace(sample, T_world_object=T)
            return replace(sample, ego=replace(sample.ego, T_world_camera=T))

    frame = "truth_object" if what == "object" else "truth_ego_camera_optical_frame"
    with pytest.raises(GenEgoError, match=f"subject1/h1/3/cam2/000010: the pose of '{frame}' is (NaN|no )"):
        convert(Wrong(), range(4), tmp_path / "bag", "h2o")
    assert list(tmp_path.iterdir()) == []


# The command -----------------------------------------------------------------------------------------


def test_the_command_writes_one_bag_a_recording_and_takes_up_where_it_was_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_h2o(tmp_path / "h2o", ("subject1/h1/0", "subject2/k1/5"), range(3), ("cam1", "cam2", "cam4"), (64, 36))
    out = tmp_path / "bags"
    command = ["convert", "h2o", str(tmp_path / "h2o"), "--out", str(out), "--camera", "cam2"]
    # A conversion that was killed leaves such a folder; it is no bag, and the next one clears it away.
    left_over = out / "subject1_h1_0_cam2.partial-x1" / "subject1_h1_0_cam2"
    left_over.mkdir(parents=True)
    (left_over / "subject1_h1_0_cam2.mcap").write_bytes(b"\x89MCAP0\r\n")
    assert main(command) == 0
    names = ["subject1_h1_0_cam2", "subject2_k1_5_cam2"]
    assert sorted(path.name for path in out.iterdir()) == names
    files = {name: (out / name / f"{name}.mcap").stat().st_mtime_ns for name in names}
    assert [inspect_bag(out / name).message_count for name in names] == [1 + 3 * 8] * 2
    (out / names[1] / "metadata.yaml").unlink()
    assert main(command) == 1
    assert "subject2_k1_5_cam2: not made" in (said := capsys.readouterr()).err
    assert "subject1_h1_0_cam2: 3 frames, there already" in said.out
    assert {name: (out / name / f"{name}.mcap").stat().st_mtime_ns for name in names} == files
    assert main([*command, "--raw"]) == 1
    assert "from another conversion (pictures: jpeg, 39 dB, now raw)" in capsys.readouterr().err


def test_an_interrupted_conversion_leaves_nothing_that_looks_like_a_bag(tmp_path: Path) -> None:
    dataset = Memory()
    ticks = iter(range(2))

    def interrupted() -> None:
        if next(ticks, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(dataset, range(4), tmp_path / "bag", "h2o", written=interrupted)
    assert list(tmp_path.iterdir()) == []
    assert convert(dataset, range(4), tmp_path / "bag", "h2o")
    assert not convert(dataset, range(4), tmp_path / "bag", "h2o")


def test_without_a_camera_the_first_is_taken(tmp_path: Path) -> None:
    write_h2o(tmp_path / "h2o", frames=range(2), cameras=("cam1", "cam2", "cam4"), size=(64, 36))
    assert main(["convert", "h2o", str(tmp_path / "h2o"), "--out", str(tmp_path / "bags")]) == 0
    assert [path.name for path in (tmp_path / "bags").iterdir()] == ["subject1_h1_0_cam1"]


def test_taco_is_read_from_its_videos(tmp_path: Path) -> None:
    """Its third-person cameras have no depth, and without MANO's files its hands are not known."""
    write_taco(tmp_path / "taco", frames=3)
    camera = TACO_CAMERAS[1]
    command = ["convert", "taco", str(tmp_path / "taco"), "--out", str(tmp_path / "bags"), "--camera", camera]
    assert main(command) == 0
    (bag,) = (tmp_path / "bags").iterdir()
    assert re.fullmatch(rf"\w+_20231105_019_{camera}", bag.name)
    found = contents(bag)
    assert not any("depth" in topic for topic in found)
    assert [len(found[f"/{side}/image_raw/compressed"]) for side in ("camera", "truth/ego")] == [3, 3]
    assert [len(message.hands) for message in found["/truth/ego/hands"]] == [0] * 3
    dataset = TACO(tmp_path / "taco", [camera])
    for i, message in enumerate(found["/camera/image_raw/compressed"]):
        assert cv2.PSNR(picture(message), dataset[i].exo[0].frame.rgb) > 38


def test_one_recording_that_cannot_be_read_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"subject1/h1/{number}" for number in range(3)]
    write_h2o(tmp_path / "h2o", names, range(2), ("cam2", "cam4"), (64, 36))
    damaged = tmp_path / "h2o/subject1/h1/1/cam4/cam_pose/000001.txt"
    damaged.write_text(damaged.read_text().replace(".", "nan ", 1))
    assert main(["convert", "h2o", str(tmp_path / "h2o"), "--out", str(tmp_path / "bags")]) == 1
    said = capsys.readouterr().err
    assert str(damaged) in said
    assert "1 of 3 recordings could not be converted" in said
    assert "see above; the others are whole" in said
    assert sorted(p.name for p in (tmp_path / "bags").iterdir()) == ["subject1_h1_0_cam2", "subject1_h1_2_cam2"]


def test_where_no_recording_can_be_read_none_is_said_to_be_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_h2o(tmp_path / "h2o", frames=range(2), cameras=("cam2", "cam4"), size=(64, 36))
    (tmp_path / "h2o/subject1/h1/0/cam4/cam_pose/000001.txt").write_text("")
    assert main(["convert", "h2o", str(tmp_path / "h2o"), "--out", str(tmp_path / "bags")]) == 1
    assert "1 of 1 recordings could not be converted, see above; there is no bag of any" in capsys.readouterr().err
    assert not list((tmp_path / "bags").glob("*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere"),
        (["h2o", "--camera", "cam7"], "unknown camera 'cam7'"),
        (["h2o", "--camera", "cam3"], "no recording has cam3; subject1/h1/0 has cam1, cam2"),
        (["h2o", "--camera", "cam1"], r"cam1/rgb/000001.png: missing"),
    ],
)
def test_what_cannot_be_converted_is_named(
    tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_h2o(tmp_path / "h2o", frames=range(2), cameras=("cam1", "cam2", "cam4"), size=(64, 36))
    (tmp_path / "h2o/subject1/h1/0/cam1/rgb/000001.png").unlink()
    source, *options = arguments
    assert main(["convert", "h2o", str(tmp_path / source), "--out", str(tmp_path / "bags"), *options]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "bags").exists()


@pytest.mark.parametrize("last", [False, True])
def test_a_full_disk_ends_the_conversion_and_leaves_no_half_bag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], last: bool
) -> None:
    """`last`: the disk becomes full with the last bytes, those of the index."""
    write_h2o(tmp_path / "h2o", ("subject1/h1/0", "subject1/h1/1"), range(2), ("cam2", "cam4"), (64, 36))
    command = ["convert", "h2o", str(tmp_path / "h2o"), "--out", str(tmp_path / "bags")]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "close" if last else "write", full)
        assert main(command) == 1
    said = capsys.readouterr().err
    assert "subject1_h1_0_cam2: writing failed ([Errno 28] No space left on device); make room" in said
    assert "subject1_h1_1" not in said
    assert list((tmp_path / "bags").iterdir()) == []
    assert main(command) == 0


def test_a_bag_of_other_files_at_the_same_path_is_not_taken_for_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_h2o(tmp_path / "h2o", ["subject1/h1/1"], range(2), ("cam0", "cam4"))
    command = ["convert", "h2o", str(tmp_path / "h2o"), "--out", str(tmp_path / "bags")]
    assert main(command) == 0
    pose = tmp_path / "h2o/subject1/h1/1/cam4/cam_pose/000001.txt"
    pose.write_text(pose.read_text() + " ")
    assert main(command) == 1
    assert "is there from another conversion (files" in capsys.readouterr().err
