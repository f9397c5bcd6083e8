"""`./genego demo`: a recording through the running nodes, and what came out of it to look at.

The nodes, the player and the recorder are processes of their own that meet on real topics. What is
counted and timed is read from the recording afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from genego_ros.data.bag_storage import is_bag
from genego_ros.data.sheet import contact_sheet, save_picture
from genego_ros.errors import GenEgoError
from genego_ros.resources import resource
from genego_ros.ros import up
from genego_ros.ros.camera_topics import PLAYED_PICTURES, CameraTopics, find_camera
from genego_ros.ros.demo_collector import Collector, collecting
from genego_ros.ros.demo_summary import summarise, table
from genego_ros.ros.demo_truth import compare, truth_pictures
from genego_ros.ros.deployment import complete, topic_prefix

_COLUMNS = ("exo", "hands", "depth", "sparse", "seen (white)", "ego")
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
    with collecting(prefix, camera.image) as collector, tempfile.TemporaryDirectory() as scratch:
        bag = Path(scratch) / "output"
        with _running(arguments, camera, bag) as nodes:
            collector.wait_until_active(nodes)
            try:
                _play(source, camera, collector, nodes)
            except GenEgoError as error:
                broken = error  # what came before the break is kept and shown
        _keep_bag(bag, args.out)
    summary = summarise(args.out, prefix, camera)
    summary["truth"] = compare(source, args.out, prefix, camera)
    if not summary["frames_processed"]:
        raise broken or GenEgoError(
            f"the nodes processed no frame of '{camera.image}'; their last word: {collector.last_word}"
        )
    (args.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    _save_sheet(collector, source, args.out / "contact_sheet.png")
    print(table(summary))
    print(f"written to {args.out}: {', '.join(sorted(path.name for path in args.out.iterdir()))}")
    if broken:
        raise broken
    return 0


def _save_sheet(collector: Collector, source: Path, path: Path) -> None:
    """Frames that were processed, and what the person really saw where the source knows it."""
    rows = collector.sheet_rows()
    truth = truth_pictures(source, rows)
    if rows and len(truth) == len(rows):
        save_picture(path, contact_sheet((*_COLUMNS, "truth"), [[*row, truth[stamp]] for stamp, row in rows.items()]))
    elif rows:
        save_picture(path, contact_sheet(_COLUMNS, list(rows.values())))


def _clear(out: Path) -> None:
    """An empty place for what comes out: an older sheet must not stand for this run."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in ("summary.json", "contact_sheet.png", "output.mcap", "metadata.yaml"):
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise GenEgoError(f"--out '{out}' cannot be written ({error.strerror}): choose a folder") from error


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


def _play(source: Path, camera: CameraTopics, collector: Collector, nodes: Sequence[subprocess.Popen[bytes]]) -> None:
    # The node, the recorder and this process listen to the camera; nothing is to be missed.
    command = [sys.executable, "-m", "genego_ros", "play", str(source), "--subscribers", "3", "--wait", "20"]
    if not is_bag(source):
        command += ["--image-topic", PLAYED_PICTURES.removesuffix("/compressed"), "--compressed"]
    if camera.seconds is not None:
        command += ["--seconds", str(camera.seconds)]
    player = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert player.stderr is not None
    try:
        with tqdm(total=camera.frames, unit="frame", desc="playing", file=sys.stderr) as bar:
            while player.poll() is None:
                collector.spin(0.2)
                bar.update(collector.pictures - bar.n)
                up.check_alive(nodes)
            collector.spin_until_quiet()
            bar.update(collector.pictures - bar.n)
    finally:
        if player.poll() is None:
            player.terminate()
        complaint = player.communicate()[1].decode(errors="replace")
    if player.returncode:
        raise GenEgoError(f"playing {source} failed: {complaint.strip().splitlines()[-1]}")


def _keep_bag(bag: Path, out: Path) -> None:
    """Moves the recording to out/output.mcap with its metadata.yaml beside it, so that both the folder and
    the file are a bag that `ros2 bag play` takes."""
    (storage,) = bag.glob("*.mcap")
    metadata = (bag / "metadata.yaml").read_text().replace(storage.name, "output.mcap")
    shutil.move(storage, out / "output.mcap")
    (out / "metadata.yaml").write_text(metadata)
