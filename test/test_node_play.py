"""`play` and `record` as processes of their own, over real rclpy."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.typesys import Stores, get_typestore
from std_msgs.msg import String

from genego_ros.data.bags import BagWriter, inspect_bag, read_bag
from genego_ros.data.pictures import open_pictures
from genego_ros.ros.play import Pace, add_arguments
from genego_ros.ros.play_sources import BagSource, PictureSource

ROOT = Path(__file__).resolve().parents[1]
KILTED = get_typestore(Stores.ROS2_KILTED)
DOMAIN = 150 + os.getpid() % 40
"""Away from the domains in common use; others may test on this machine at the same time."""
COMMAND = """
import argparse, importlib, sys
module = importlib.import_module(f"genego_ros.ros.{sys.argv[1]}")
parser = argparse.ArgumentParser()
module.add_arguments(parser)
sys.exit(module.run(parser.parse_args(sys.argv[2:])))
"""


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "ROS_DOMAIN_ID": str(DOMAIN),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "FASTDDS_DEFAULT_PROFILES_FILE": str(ROOT / "config" / "fastdds.xml"),
    }


class Process:
    """A command in a process of its own, ended with the test."""

    def __init__(self, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *map(str, arguments)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""

    def end(self, number: int | None = None) -> int:
        """The exit status after a signal (None: by itself); `output` then holds all it said."""
        if number is not None:
            self._process.send_signal(number)
        self.output = self._process.communicate(timeout=20)[0]
        return self._process.returncode

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@contextmanager
def process(*arguments: object) -> Iterator[Process]:
    running = Process(*arguments)
    try:
        yield running
    finally:
        running.kill()


def text_message(text: str) -> bytes:
    """CDR as DDS carries it: filled up to a multiple of 4 bytes."""
    data = bytes(KILTED.serialize_cdr(KILTED.types["std_msgs/msg/String"](data=text), "std_msgs/msg/String"))
    return data + bytes(-len(data) % 4)


def play_and_record(tmp_path: Path, source: Path, topics: list[str], *options: object) -> tuple[Path, str]:
    """What `record` in one process made of what `play` in another published, and what `play` said."""
    out = tmp_path / "recorded"
    with process("record", *topics, "--out", out) as record, process("play", source, "--wait", 15, *options) as play:
        assert play.end() == 0, play.output
        time.sleep(0.3)
        assert record.end(signal.SIGINT) == 0, record.output
    return out, play.output


def install_definition(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A message type that has a definition but no Python package."""
    folder = prefix / "share" / "absent_msgs" / "msg"
    folder.mkdir(parents=True)
    (folder / "Grip.msg").write_text("float32 force\n")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix))
    return "absent_msgs/msg/Grip"


def test_a_bag_played_and_recorded_is_the_same_bag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same bytes, topics, types, counts, order and spacing; what cannot be published is named."""
    start_ns, period_ns = 5_000_000_000, 20_000_000
    big = [text_message(chr(65 + i) * 700_000) for i in range(8)]
    with monkeypatch.context() as patch, BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/text", "std_msgs/msg/String")
        writer.add_topic("/big", "std_msgs/msg/String")
        writer.add_topic("/grip", install_definition(tmp_path, patch))
        for i in range(40):
            writer.write("/text", start_ns + period_ns * i, text_message(f"text {i}"))
            if i % 5 == 0:
                writer.write("/big", start_ns + period_ns * i + 10_000_000, big[i // 5])
        writer.write("/grip", start_ns, b"\x00\x01\x00\x00\x00\x00\x80\x3f")
    out, said = play_and_record(tmp_path, tmp_path / "bag", ["/text", "big"])
    assert "published 48 messages" in said
    assert "/grip is left out (1 messages): the message type absent_msgs/msg/Grip is not installed" in said
    played, recorded = list(read_bag(tmp_path / "bag")), list(read_bag(out))
    for topic in ("/text", "/big"):
        sent = [(m.type, m.data) for m in played if m.topic == topic]
        assert [(m.type, m.data) for m in recorded if m.topic == topic] == sent
    assert len(recorded) == 48
    times = np.array([m.time_ns for m in recorded if m.topic == "/text"]) / 1e9
    np.testing.assert_allclose(times - times[0], 0.02 * np.arange(40), atol=0.3)
    offers = {topic.name: topic.qos for topic in inspect_bag(out).topics}
    assert [q.reliability for q in offers["/text"]] == [QosReliability.RELIABLE]


def write_video(path: Path, frames: int) -> Path:
    """25 frames/s; the n-th frame is grey of value 8 n."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (64, 48))  # type: ignore[attr-defined]
    for index in range(frames):
        writer.write(np.full((48, 64, 3), 8 * index, np.uint8))
    writer.release()
    return path


def test_a_video_at_twice_its_speed_with_a_simulated_clock(tmp_path: Path) -> None:
    """Every frame comes, in half the time; stamps keep the video's spacing; the clock never goes back."""
    video = write_video(tmp_path / "video.avi", 30)
    topics = ["/cam/image", "/cam/camera_info", "/clock"]
    options = ("--rate", 2, "--clock", 50, "--image-topic", "/cam/image", "--camera-info", 90)
    out, _ = play_and_record(tmp_path, video, topics, *options)
    messages = list(read_bag(out))
    contents = {
        topic: [KILTED.deserialize_cdr(m.data, m.type) for m in messages if m.topic == topic] for topic in topics
    }
    images, infos, clocks = (contents[topic] for topic in topics)

    def nanoseconds(stamp: object) -> int:
        return stamp.sec * 1_000_000_000 + stamp.nanosec  # type: ignore[attr-defined,no-any-return]

    assert [round(float(image.data.mean()) / 8) for image in images] == list(range(30))  # type: ignore[attr-defined]
    assert {(i.width, i.height, i.step, i.encoding, i.header.frame_id) for i in images} == {  # type: ignore[attr-defined]
        (64, 48, 192, "rgb8", "camera_optical_frame")
    }
    stamps = [nanoseconds(image.header.stamp) for image in images]  # type: ignore[attr-defined]
    assert np.diff(stamps).tolist() == [40_000_000] * 29
    assert [nanoseconds(info.header.stamp) for info in infos] == stamps  # type: ignore[attr-defined]
    # 90 degrees over 64 pixels: the focal length is half the width.
    assert infos[0].k.tolist() == pytest.approx([32, 0, 31.5, 0, 32, 23.5, 0, 0, 1])  # type: ignore[attr-defined]
    arrivals = [m.time_ns for m in messages if m.topic == "/cam/image"]
    assert (arrivals[-1] - arrivals[0]) / 1e9 == pytest.approx(29 * 0.04 / 2, abs=0.3)
    ticks = [nanoseconds(clock.clock) for clock in clocks]  # type: ignore[attr-defined]
    assert ticks == sorted(set(ticks))
    assert set(stamps) <= set(ticks)
    assert max(np.diff(ticks)) <= 2 * 20_000_000 + 1  # 50 Hz of real time, at twice the speed


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--rate", "nan"], "--rate: nan is not a number from 0.001 to 1000"),
        (["--rate", "0"], "--rate: 0 is not a number from 0.001 to 1000"),
        (["--clock", "3e9"], "--clock: 3e9 is not a number from 0.001 to 1000"),
        (["--clock", "inf"], "--clock: inf is not a number from"),
        (["--seconds", "nan"], "--seconds: nan is not a finite number above 0"),
        (["--seconds", "-1"], "--seconds: -1 is not a finite number above 0"),
    ],
)
def test_numbers_that_are_no_times_are_refused(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["bag", *options])
    assert says in capsys.readouterr().err


def test_pictures_in_a_loop_go_on_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second pass is due one frame after the first, and neither stamps nor the clock go back."""
    pictures = open_pictures(write_video(tmp_path / "video.avi", 5))
    ticks: list[int] = []
    due: list[int] = []
    with listener(monkeypatch) as (node, _):
        source = PictureSource(node, pictures, "/image", None)
        pace = Pace(4.0, ticks.append, 200.0)
        begin = time.monotonic()
        for _pass in range(3):
            for index, (time_ns, _publish) in enumerate(source.events()):
                if index == 0:
                    pace.begin(time_ns, source.gap_ns)
                pace.wait(time_ns)
                due.append(time_ns)
        took = time.monotonic() - begin
    assert np.diff(due).tolist() == [40_000_000] * 14
    assert ticks == sorted(set(ticks))
    assert set(due) <= set(ticks)
    assert took == pytest.approx(14 * 0.04 / 4, abs=0.1)


def test_a_bag_in_a_loop_begins_again_with_its_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with BagWriter(tmp_path / "bag", {"/text": "std_msgs/msg/String"}) as writer:
        for i in range(3):
            writer.write("/text", 1_000_000_000 + 50_000_000 * i, text_message(f"{i}"))
    ticks: list[int] = []
    with listener(monkeypatch) as (node, _):
        source = BagSource(node, inspect_bag(tmp_path / "bag"), [])
        pace = Pace(1.0, ticks.append, 40.0)
        begin = time.monotonic()
        for _pass in range(2):
            for index, (time_ns, _publish) in enumerate(source.events()):
                if index == 0:
                    pace.begin(time_ns, source.gap_ns)
                pace.wait(time_ns)
        took = time.monotonic() - begin
    (again,) = [i for i, step in enumerate(np.diff(ticks)) if step < 0]
    assert (ticks[0], ticks[again + 1], ticks[-1]) == (1_000_000_000, 1_000_000_000, 1_100_000_000)
    assert took == pytest.approx(0.25, abs=0.1)


@contextmanager
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[rclpy.node.Node, SingleThreadedExecutor]]:
    for name in ("ROS_DOMAIN_ID", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.setenv(name, environment()[name])
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("listener", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield node, executor
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def spin_until(executor: SingleThreadedExecutor, done: object, at_most_s: float = 10.0) -> None:
    assert callable(done)
    end = time.monotonic() + at_most_s
    while not done() and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    assert done()


ENDLESS = QosTime(9223372036, 854775807)


def offer(reliability: QosReliability, durability: QosDurability) -> Qos:
    return Qos(
        QosHistory.KEEP_LAST, 1, reliability, durability, ENDLESS, ENDLESS, QosLiveliness.AUTOMATIC, ENDLESS, False
    )


def test_offered_qos_is_the_recorded_one_and_latched_messages_reach_who_comes_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        latched = offer(QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL)
        writer.add_topic("/latched", "std_msgs/msg/String", [latched])
        writer.add_topic("/loose", "std_msgs/msg/String", [offer(QosReliability.BEST_EFFORT, QosDurability.VOLATILE)])
        for i in range(3):  # three publishers of one message each, as /tf_static has them
            writer.write("/latched", i, text_message(f"latched {i}"))
        for i in range(3000):  # a minute: it still plays when it is ended
            writer.write("/loose", 20_000_000 * i, text_message(f"{i}"))
    heard: list[str] = []
    with process("play", tmp_path / "bag", "--wait", 0) as play, listener(monkeypatch) as (node, executor):
        # The last message of /loose tells that those of /latched were sent long ago.
        node.create_subscription(
            String, "/loose", lambda _: None, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        )
        spin_until(executor, lambda: node.count_publishers("/loose") and node.count_publishers("/latched"))
        time.sleep(0.3)
        latched_qos = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(String, "/latched", lambda m: heard.append(m.data), latched_qos)
        spin_until(executor, lambda: len(heard) == 3)
        (loose,) = node.get_publishers_info_by_topic("/loose")
        assert loose.qos_profile.reliability is ReliabilityPolicy.BEST_EFFORT
        assert play.end(signal.SIGINT) == 0
    assert heard == ["latched 0", "latched 1", "latched 2"]
    assert "stopped" in play.output
    assert "Traceback" not in play.output


def test_no_best_effort_image_is_lost_on_the_way(tmp_path: Path) -> None:
    """VGA at 30 Hz. Fast DDS's default transport loses most of these; config/fastdds.xml none."""
    image = KILTED.types["sensor_msgs/msg/Image"]
    header = KILTED.types["std_msgs/msg/Header"]
    stamp = KILTED.types["builtin_interfaces/msg/Time"]
    pixels = np.random.default_rng(0).integers(0, 256, 640 * 480 * 3, np.uint8)
    with BagWriter(tmp_path / "bag") as writer:
        loose = offer(QosReliability.BEST_EFFORT, QosDurability.VOLATILE)
        writer.add_topic("/image", "sensor_msgs/msg/Image", [loose])
        for i in range(45):
            message = image(header(stamp(i, 0), "camera"), 480, 640, "rgb8", 0, 1920, pixels)
            writer.write("/image", i * 33_333_333, bytes(KILTED.serialize_cdr(message, "sensor_msgs/msg/Image")))
    out, _ = play_and_record(tmp_path, tmp_path / "bag", ["/image"])
    images = [KILTED.deserialize_cdr(m.data, m.type) for m in read_bag(out)]
    assert [i.header.stamp.sec for i in images] == list(range(45))  # type: ignore[attr-defined]
    assert all((i.data == pixels).all() for i in images)  # type: ignore[attr-defined]


def test_a_bag_that_breaks_off_is_played_as_far_as_it_goes_and_then_fails(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag", {"/text": "std_msgs/msg/String"}) as writer:
        for i in range(30):
            writer.write("/text", 10_000_000 * i, text_message(f"{i}" * 100_000))
    file = tmp_path / "bag" / "bag.mcap"
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    with process("play", tmp_path / "bag", "--wait", 0) as play:
        assert play.end() != 0
    published = int(re.findall(r"published (\d+) messages", play.output)[0])
    assert 10 <= published < 30
    assert f"GenEgoError: {file}: damaged or cut off" in play.output
    assert f"{published} messages can be read" in play.output


def test_options_for_pictures_are_refused_for_a_bag(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag", {"/text": "std_msgs/msg/String"}) as writer:
        writer.write("/text", 1, text_message("alone"))
    with process("play", tmp_path / "bag", "--wait", 0, "--camera-info", 90, "--compressed") as play:
        assert play.end() != 0
    assert f"{tmp_path}/bag is a bag, whose topics are published as they were recorded; leave out " in play.output
    assert "--compressed and --camera-info, which are for pictures" in play.output


def test_when_nobody_listens_it_says_so_and_plays(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag", {"/text": "std_msgs/msg/String"}) as writer:
        writer.write("/text", 1, text_message("alone"))
    with process("play", tmp_path / "bag", "--wait", 0.3) as play:
        assert play.end() == 0
    assert "waiting up to 0.3 s for 1 subscriber(s) of one of /text" in play.output
    assert "0 subscriber(s) have come" in play.output
    assert "published 1 messages" in play.output


def test_it_says_how_much_came_late_when_it_cannot_keep_up(tmp_path: Path) -> None:
    """Pictures of 6 megapixels, 30,000 a second, are more than any machine decodes."""
    picture = np.random.default_rng(0).integers(0, 255, (2000, 3000, 3), np.uint8)
    for index in range(4):
        assert cv2.imwrite(str(tmp_path / f"{index}.png"), picture)
    with process("play", tmp_path, "--wait", 0, "--rate", 1000) as play:
        assert play.end() == 0
    assert "published 4 messages" in play.output
    assert re.search(r"could not keep up: [1-4] of them .* Try a lower --rate", play.output)


def test_record_ends_by_time_or_signal_and_names_what_never_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publisher that comes late and one that offers less than the first are heard too."""
    with (
        process("record", "/text", "/never", "--out", tmp_path / "bag") as record,
        process("record", "--all", "--out", tmp_path / "all", "--seconds", 6) as timed,
        listener(monkeypatch) as (node, executor),
    ):
        first = node.create_publisher(String, "/text", 10)
        spin_until(executor, lambda: first.get_subscription_count() == 2)
        time.sleep(0.5)
        for i in range(10):
            first.publish(String(data=f"first {i}"))
        time.sleep(0.3)
        second = node.create_publisher(String, "/text", QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT))
        spin_until(executor, lambda: second.get_subscription_count() == 2)
        time.sleep(0.5)
        for i in range(10):
            second.publish(String(data=f"second {i}"))
            time.sleep(0.02)
        time.sleep(0.3)
        assert not (tmp_path / "bag").exists()
        assert record.end(signal.SIGTERM) == 1
        assert timed.end() == 0, timed.output
    expected = [text_message(f"{who} {i}") for who in ("first", "second") for i in range(10)]
    assert [m.data for m in read_bag(tmp_path / "bag")] == expected
    assert [m.data for m in read_bag(tmp_path / "all", ["/text"])] == expected
    assert "/text: 20 messages" in record.output
    assert "/never: nobody publishes it; there are" in record.output
    assert "asking for less from now on" in record.output
