"""The commands a new user runs first, as that user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from genego_ros.msg import EgoObservation, HandArray
from rclpy.serialization import deserialize_message
from ros_rig import ROOT, rig, sample_frames

from genego_ros.data.bags import BagWriter, inspect_bag, read_bag


def genego(*arguments: object, seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "genego_ros", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds)


def test_demo_plays_records_and_shows(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = genego("demo", "--out", out)
    assert done.returncode == 0, done.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["frames_in"] == 40
    assert summary["frames_in"] == summary["frames_processed"] + summary["frames_dropped"]
    assert summary["frames_processed"] >= 5
    assert summary["hands_found"]["both"] > 0.9 * summary["frames_processed"]
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p95"]
    assert 0.2 < summary["seen_fraction"] < 0.8
    assert summary["backends"] == {
        "hands": "mediapipe",
        "depth": "auto",
        "viewpoint": "auto",
        "description": "template",
        "reconstruction": "auto",
    }
    assert {"hands", "projection", "reconstruction"} <= set(summary["stage_ms"])
    assert summary["versions"]["genego_ros"]
    # The recording is a bag, by its folder and by its file alone, and holds what the summary counts.
    for path in (out, out / "output.mcap"):
        assert {topic.name: topic.count for topic in inspect_bag(path).topics} == summary["messages"]
    hands = [m for m in read_bag(out / "output.mcap") if m.topic == "/genego/exo/hands"]
    assert sum(bool(deserialize_message(m.data, HandArray).hands) for m in hands) == summary["hands_found"]["frames"]
    # The sheet has seven columns of pictures (the last is the truth) that are not all alike.
    sheet = cv2.imread(str(out / "contact_sheet.png"))
    assert sheet.shape[1] == 7 * 326
    assert np.std(sheet) > 30
    assert "frames in / processed / dropped" in done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_video.mp4", "no_such_video.mp4"),
        ("notes.txt", "notes.txt"),
        ("words", "has no camera topic"),
        ("torn.mcap", "torn.mcap"),
    ],
)
def test_demo_refuses_what_it_cannot_play(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "torn.mcap").write_bytes(b"\x89MCAP0\r\n torn")
    with BagWriter(tmp_path / "words", {"/words": "std_msgs/msg/String"}) as writer:
        writer.write("/words", 1, b"\x00\x01\x00\x00\x02\x00\x00\x00a\x00\x00\x00")
    done = genego("demo", "--input", tmp_path / name, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("genego: ") and said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_recording_that_breaks_off_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = (ROOT / "examples" / "sample" / "sample.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: 2 * len(whole) // 3])
    done = genego("demo", "--input", tmp_path / "cut.mcap", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "cut.mcap" in done.stderr and "Traceback" not in done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert 10 <= summary["frames_in"] < 40
    assert (tmp_path / "out" / "contact_sheet.png").exists()


def test_a_demo_that_is_ended_leaves_nothing_running(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "genego_ros", "demo", "--out", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "ROS_DOMAIN_ID": "99"},
    )
    try:
        listed = Path(f"/proc/{demo.pid}/task/{demo.pid}/children")
        deadline = time.monotonic() + 60
        while not (children := listed.read_text().split()) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert children
        demo.terminate()
        demo.wait(20)
        assert not [child for child in children if Path(f"/proc/{child}").exists()]
    finally:
        if demo.poll() is None:
            demo.kill()


def test_policy_subscriber_gets_what_a_policy_takes() -> None:
    sys.path.insert(0, str(ROOT / "examples"))
    from policy_subscriber import to_observation

    (rgb, depth, camera), *_ = sample_frames(1)
    with rig() as made:
        made.listen("/genego/ego/observation", EgoObservation)
        made.until_active()
        observation = to_observation(made.answer("/genego/ego/observation", made.send(rgb, camera, depth)))
        assert observation is not None
        assert observation["observation.images.ego"].shape == (360, 640, 3)
        assert observation["observation.images.ego"].dtype == np.uint8
        assert observation["observation.state"].shape == (146,)
        assert observation["observation.state"].dtype == np.float32
    assert to_observation(EgoObservation()) is None


def test_doctor_names_the_topic_that_nodes_wait_for() -> None:
    with rig(image_topic="/front/image") as made:
        made.status("", 40.0)
        made.spin(1.0)
        done = genego("doctor")
        assert done.returncode == 1
        assert "/genego/genego_node: runs" in done.stdout
        assert "/front/image (sensor_msgs/msg/Image): nobody publishes it" in done.stdout
        assert "image_topic:=" in done.stdout and "/camera/image_raw" in done.stdout
        assert "mediapipe_hands (Apache-2.0): whole" in done.stdout
