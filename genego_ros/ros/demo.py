"""`./genego demo`: a recording through the running nodes, and what came out of it to look at.

The nodes, the player and the recorder are processes of their own that meet on real topics. What is
counted and timed is read from the recording afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image
from tqdm import tqdm

from genego_ros import __version__
from genego_ros.data.bag_storage import is_bag
from genego_ros.data.bags import inspect_bag, read_bag
from genego_ros.data.pictures import open_pictures
from genego_ros.data.sheet import contact_sheet, depth_picture, mask_picture, nobody_seen, save_picture
from genego_ros.errors import GenEgoError
from genego_ros.geometry.skeleton import draw_hands
from genego_ros.msg import EgoObservation, HandArray, PipelineStatus
from genego_ros.resources import resource
from genego_ros.ros import conversions, up
from genego_ros.ros.deployment import complete, topic_prefix
from genego_ros.types import ByteArray

_READY_S = 60.0
_PHOTO_S = 3.0
"""How long a single photo is shown to the nodes."""
_QUIET_S = 1.5
_SHEET_ROWS = 6
_ROWS_KEPT = 24
_CAMERA = "/camera/image_raw/compressed"
_RECORDED = (
    "exo/hands",
    "ego/hands",
    "ego/image/compressed",
    "ego/camera_info",
    "ego/seen",
    "hands/markers",
    "description",
    "status",
)
"""Of what the nodes publish, all that is small: raw images and clouds would be gigabytes a minute."""


@dataclass(frozen=True)
class CameraTopics:
    """The third-person camera in what is played."""

    image: str
    camera_info: str
    depth: str
    frames: int | None
    """How many pictures will come; None where a video does not say."""
    seconds: float | None = None
    """When to stop playing; None: at the end."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--input", type=Path, help="video, bag, photo or folder of pictures (default: the sample)")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for what comes out")
    parser.add_argument("--image-topic", help="bags: the third-person camera's topic, where there are several")
    parser.add_argument("arguments", nargs="*", metavar="name:=value", help="for the nodes, as for `genego up`")


def run(args: argparse.Namespace) -> int:
    """Plays, records, and writes output.mcap, contact_sheet.png and summary.json.

    Raises:
        GenEgoError: the input cannot be played, or the nodes do not start or publish nothing.
    """
    # A service manager stops with SIGTERM what a person stops with Ctrl-C; neither may leave a node behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    source = args.input or resource("examples/sample")
    camera = find_camera(source, args.image_topic)
    arguments = complete(
        {
            "image_topic": camera.image,
            "camera_info_topic": camera.camera_info,
            "depth_topic": camera.depth,
            **up.parse_arguments(args.arguments),
        }
    )
    if arguments["autostart"].lower() != "true":
        raise GenEgoError("the demo needs nodes that become active by themselves: leave autostart:=true")
    _clear(args.out)
    _isolate()
    print(f"input: {source} ({camera.frames or '?'} frames)")
    broken: GenEgoError | None = None
    prefix = topic_prefix(arguments["namespace"])
    with _collecting(prefix, camera.image) as collector, tempfile.TemporaryDirectory() as scratch:
        bag = Path(scratch) / "output"
        with _running(arguments, camera, bag) as nodes:
            collector.wait_until_active(nodes)
            try:
                _play(source, camera, collector, nodes)
            except GenEgoError as error:
                broken = error  # what came before the break is kept and shown
        _keep_bag(bag, args.out)
    summary = summarise(args.out, prefix, camera)
    if not summary["frames_processed"]:
        raise broken or GenEgoError(
            f"the nodes processed no frame of '{camera.image}'; their last word: {collector.last_word}"
        )
    (args.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    rows = collector.sheet_rows()
    if rows:
        sheet = contact_sheet(("exo", "hands", "depth", "sparse", "seen (white)", "ego"), rows)
        save_picture(args.out / "contact_sheet.png", sheet)
    print(table(summary))
    print(f"written to {args.out}: {', '.join(sorted(path.name for path in args.out.iterdir()))}")
    if broken:
        raise broken
    return 0


def _clear(out: Path) -> None:
    """An empty place for what comes out: an older sheet must not stand for this run."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in ("summary.json", "contact_sheet.png", "output.mcap", "metadata.yaml"):
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise GenEgoError(f"--out '{out}' cannot be written ({error.strerror}): choose a folder") from error


# What is played --------------------------------------------------------------------------------------


def find_camera(source: Path, image_topic: str | None) -> CameraTopics:
    """The topics under which `source` will be played.

    Raises:
        GenEgoError: no such source, or a bag without a picture topic.
    """
    if not is_bag(source):
        pictures = open_pictures(source)
        played = CameraTopics(_CAMERA, "/camera/camera_info", "/camera/depth/image_raw", pictures.count)
        if pictures.kind == "photo":
            return replace(played, frames=round(_PHOTO_S * pictures.rate_hz), seconds=_PHOTO_S)
        return played
    topics = inspect_bag(source).topics
    pictures_of = {
        topic.name: topic
        for topic in topics
        if topic.type in ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
    }
    depths = [name for name in pictures_of if "depth" in name.lower()]
    colors = [name for name in pictures_of if name not in depths]
    if image_topic is not None and image_topic not in pictures_of:
        raise GenEgoError(f"'{image_topic}' is not a picture topic of {source}; those are: {', '.join(pictures_of)}")
    if not colors and image_topic is None:
        listed = ", ".join(sorted(topic.name for topic in topics)) or "none"
        raise GenEgoError(f"{source} has no camera topic (Image or CompressedImage); its topics: {listed}")
    image = image_topic or colors[0]
    if len(colors) > 1 and image_topic is None:
        print(f"{source} has several cameras, {image} is taken; --image-topic chooses another: {', '.join(colors[1:])}")
    infos = [topic.name for topic in topics if topic.type == "sensor_msgs/msg/CameraInfo"]
    return CameraTopics(
        image=image,
        camera_info=_nearest(image, infos) or "/camera/camera_info",
        depth=_nearest(image, depths) or "/camera/depth/image_raw",
        frames=pictures_of[image].count,
    )


def _nearest(topic: str, names: Sequence[str]) -> str | None:
    """The name that shares the longest path with `topic`."""
    return max(names, key=lambda name: len(os.path.commonpath([name, topic])), default=None)


# The processes ---------------------------------------------------------------------------------------


def _isolate() -> None:
    """A ROS domain of this demo's own, unless the user has chosen one: it must not hear or drive a robot."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.update(up.node_environment())


@contextmanager
def _running(arguments: dict[str, str], camera: CameraTopics, bag: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The nodes and the recorder; the recording is whole when this ends."""
    outputs = [f"{topic_prefix(arguments['namespace'])}/{name}" for name in _RECORDED]
    record = [sys.executable, "-m", "genego_ros", "record", camera.image, camera.camera_info, "/tf", *outputs]
    recorder = subprocess.Popen([*record, "--out", str(bag)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    nodes = up.start(arguments)
    try:
        yield nodes
    finally:
        recorder.send_signal(signal.SIGTERM)
        up.stop(nodes)
        recorder.wait()


def _play(source: Path, camera: CameraTopics, collector: _Collector, nodes: Sequence[subprocess.Popen[bytes]]) -> None:
    # The node, the recorder and this process listen to the camera; nothing is to be missed.
    command = [sys.executable, "-m", "genego_ros", "play", str(source), "--subscribers", "3", "--wait", "20"]
    if not is_bag(source):
        command += ["--image-topic", _CAMERA.removesuffix("/compressed"), "--compressed"]
    if camera.seconds is not None:
        command += ["--seconds", str(camera.seconds)]
    player = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert player.stderr is not None
    try:
        with tqdm(total=camera.frames, unit="frame", desc="playing", file=sys.stderr) as bar:
            while player.poll() is None:
                collector.spin(0.2)
                bar.update(collector.pictures - bar.n)
                _check_alive(nodes)
            collector.spin_until_quiet()
            bar.update(collector.pictures - bar.n)
    finally:
        if player.poll() is None:
            player.terminate()
        complaint = player.communicate()[1].decode(errors="replace")
    if player.returncode:
        raise GenEgoError(f"playing {source} failed: {complaint.strip().splitlines()[-1]}")


def _check_alive(nodes: Sequence[subprocess.Popen[bytes]]) -> None:
    for node in nodes:
        if node.poll() is not None:
            raise GenEgoError(f"a node ended with exit code {node.returncode}; what it said stands above")


def _keep_bag(bag: Path, out: Path) -> None:
    """Moves the recording to out/output.mcap with its metadata.yaml beside it, so that both the folder and
    the file are a bag that `ros2 bag play` takes."""
    (storage,) = bag.glob("*.mcap")
    metadata = (bag / "metadata.yaml").read_text().replace(storage.name, "output.mcap")
    shutil.move(storage, out / "output.mcap")
    (out / "metadata.yaml").write_text(metadata)


# What is watched meanwhile ---------------------------------------------------------------------------


class _Collector:
    """Watches status, and keeps evenly spaced frames of what is too large to record."""

    def __init__(self, node: Node, executor: SingleThreadedExecutor, prefix: str, image_topic: str) -> None:
        self.pictures = 0
        self.last_word = "nothing"
        self._active: set[str] = set()
        self._heard = time.monotonic()
        self._executor = executor
        self._rows: dict[int, dict[str, bytes]] = {}
        self._spacing_ns = 0
        kinds: dict[str, tuple[str, type]] = {
            "exo": (image_topic, CompressedImage if image_topic.endswith("compressed") else Image),
            "hands": (f"{prefix}/exo/hands", HandArray),
            "depth": (f"{prefix}/exo/depth", Image),
            "sparse": (f"{prefix}/ego/sparse", Image),
            "ego": (f"{prefix}/ego/observation", EgoObservation),
        }
        self._kinds = {name: kind for name, (_, kind) in kinds.items()}
        self._subscriptions = [
            node.create_subscription(kind, topic, lambda data, n=name: self._on_message(n, data), 10, raw=True)
            for name, (topic, kind) in kinds.items()
        ]
        self._subscriptions.append(node.create_subscription(PipelineStatus, f"{prefix}/status", self._on_status, 10))

    def spin(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def spin_until_quiet(self) -> None:
        while time.monotonic() - self._heard < _QUIET_S:
            self.spin(0.2)

    def wait_until_active(self, nodes: Sequence[subprocess.Popen[bytes]]) -> None:
        """Until every node is active.

        Raises:
            GenEgoError: a node ended, could not be configured, or took too long.
        """
        until = time.monotonic() + _READY_S
        while len(self._active) < len(nodes):
            self.spin(0.1)
            _check_alive(nodes)
            if self.last_word.startswith("cannot "):
                raise GenEgoError(self.last_word)
            if time.monotonic() > until:
                raise GenEgoError(f"the nodes are not active after {_READY_S:g} s; their last word: {self.last_word}")

    def sheet_rows(self) -> list[list[ByteArray]]:
        """Pictures of evenly chosen frames, for `contact_sheet`."""
        whole = [self._rows[stamp] for stamp in self._whole()]
        if not whole:
            return []
        chosen = np.unique(np.linspace(0, len(whole) - 1, min(_SHEET_ROWS, len(whole))).round().astype(int))
        return [
            _pictures({name: deserialize_message(data, self._kinds[name]) for name, data in whole[i].items()})
            for i in chosen
        ]

    def _whole(self) -> list[int]:
        """Stamps of the frames of which every message has come."""
        return sorted(stamp for stamp, row in self._rows.items() if len(row) == len(self._kinds))

    def _on_status(self, status: PipelineStatus) -> None:
        self.last_word = status.message
        if status.message != "inactive" and not status.message.startswith("cannot "):
            self._active.add(status.node)

    def _on_message(self, name: str, data: bytes) -> None:
        self._heard = time.monotonic()
        self.pictures += name == "exo"
        stamp = _stamp(data)
        if stamp not in self._rows and any(abs(stamp - kept) < self._spacing_ns for kept in self._rows):
            return
        self._rows.setdefault(stamp, {})[name] = data
        if len(self._rows) > 2 * _ROWS_KEPT:
            self._thin_out(stamp)

    def _thin_out(self, newest: int) -> None:
        """Keeps every second frame, and takes frames half as often from now on. Frames that the nodes
        passed over never become whole, and go first."""
        stamps = [stamp for stamp in self._whole() if stamp != newest]
        self._rows = {s: self._rows[s] for s in [*(stamps[::2] if len(stamps) > _ROWS_KEPT else stamps), newest]}
        if len(stamps) > _ROWS_KEPT:
            self._spacing_ns = (stamps[-1] - stamps[0]) // _ROWS_KEPT


@contextmanager
def _collecting(prefix: str, image_topic: str) -> Iterator[_Collector]:
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("genego_demo", start_parameter_services=False)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        yield _Collector(node, executor, prefix, image_topic)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()


def _pictures(row: dict[str, Any]) -> list[ByteArray]:
    picture = row["exo"]
    exo = (
        conversions.from_compressed(picture)
        if isinstance(picture, CompressedImage)
        else conversions.from_image(picture)
    )
    hands = [conversions.from_hand(hand) for hand in row["hands"].hands]
    drawn = exo.copy()
    draw_hands(drawn, hands)
    ego = conversions.from_image(row["ego"].image)
    return [
        exo,
        drawn if hands else nobody_seen(drawn),
        depth_picture(conversions.depth_from_image(row["depth"])),
        conversions.from_image(row["sparse"]),
        mask_picture(conversions.mask_from_image(row["ego"].seen)),
        ego if row["ego"].valid else nobody_seen(ego),
    ]


# What came out ---------------------------------------------------------------------------------------


def summarise(out: Path, prefix: str, camera: CameraTopics) -> dict[str, Any]:
    """Counts and times from the recording in `out`; `prefix` stands before the nodes' topics."""
    arrivals: dict[str, dict[int, int]] = {camera.image: {}, f"{prefix}/ego/image/compressed": {}}
    counts: dict[str, int] = {}
    statuses: list[PipelineStatus] = []
    hands = {"frames": 0, "left": 0, "right": 0, "both": 0}
    for message in read_bag(out / "output.mcap"):
        counts[message.topic] = counts.get(message.topic, 0) + 1
        if message.topic in arrivals:
            arrivals[message.topic].setdefault(_stamp(message.data), message.time_ns)
        elif message.topic == f"{prefix}/status":
            statuses.append(deserialize_message(message.data, PipelineStatus))
        elif message.topic == f"{prefix}/exo/hands":
            sides = {hand.side for hand in deserialize_message(message.data, HandArray).hands}
            hands["frames"] += bool(sides)
            hands["left"] += 0 in sides
            hands["right"] += 1 in sides
            hands["both"] += len(sides) == 2
    entered, left = arrivals.values()
    latencies = [1e-6 * (left[stamp] - entered[stamp]) for stamp in left if stamp in entered]
    final = [status for status in statuses if not np.isnan(status.seen_fraction)]
    frames_in = counts.get(camera.image, 0)
    processed = max((status.frames_processed for status in final), default=0)
    return {
        "frames_in": frames_in,
        "frames_processed": processed,
        "frames_dropped": frames_in - processed,
        "messages": dict(sorted(counts.items())),
        "hands_found": hands,
        "latency_ms": _percentiles(latencies),
        "stage_ms": _stage_times(statuses),
        "seen_fraction": round(float(np.mean([s.seen_fraction for s in final])), 4) if final else None,
        "warnings": sorted({s.message for s in statuses} - {"ok", "inactive"}),
        "backends": dict(entry.split(": ") for s in statuses for entry in s.models),
        "versions": _versions(),
    }


def _stamp(data: bytes) -> int:
    """The header's stamp of a message that begins with one, from its CDR bytes (after 4 bytes of encapsulation)."""
    seconds, nanoseconds = np.frombuffer(data, "<i4", 2, 4).tolist()
    return int(seconds) * conversions.NANOSECONDS + int(nanoseconds)


def _percentiles(values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p95": None}
    return {f"p{p}": round(float(np.percentile(values, p)), 1) for p in (50, 95)}


def _stage_times(statuses: Sequence[PipelineStatus]) -> dict[str, float]:
    """Median milliseconds of each stage."""
    times: dict[str, list[float]] = {}
    for status in statuses:
        for stage, ms in zip(status.stage_names, status.stage_ms, strict=True):
            times.setdefault(stage, []).append(ms)
    return {stage: round(float(np.median(ms)), 2) for stage, ms in times.items()}


def _versions() -> dict[str, str]:
    found = {"genego_ros": __version__, "python": platform.python_version(), "numpy": np.__version__}
    found["ros"] = os.environ.get("ROS_DISTRO", "kilted wheels")
    for package in ("mediapipe", "open3d-cpu", "open3d", "torch", "opencv-contrib-python", "numba"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def table(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    hands, latency = summary["hands_found"], summary["latency_ms"]
    lines = [
        ("frames in / processed / dropped", "{frames_in} / {frames_processed} / {frames_dropped}".format(**summary)),
        (
            "frames with a hand",
            f"{hands['frames']} (left {hands['left']}, right {hands['right']}, both {hands['both']})",
        ),
        ("camera to ego image", f"p50 {latency['p50']} ms, p95 {latency['p95']} ms"),
        ("seen share of the ego image", f"{100 * (summary['seen_fraction'] or 0):.1f} %"),
        *((f"  {stage}", f"{ms:.1f} ms") for stage, ms in summary["stage_ms"].items()),
        *((f"messages on {topic}", str(count)) for topic, count in summary["messages"].items()),
        *(("warning", text) for text in summary["warnings"]),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)
