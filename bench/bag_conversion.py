"""A recording in H2O's format becomes a bag: `genego convert` against the same work in one thread."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from bench import Result
from genego_ros.data.convert import convert, stamp_of
from genego_ros.data.h2o import H2O
from genego_ros.data.h2o_format import format_hands, format_intrinsics, format_pose
from genego_ros.data.sample_messages import SampleMessages
from genego_ros.geometry import rigid
from genego_ros.types import Camera

TARGET_HZ = 60.0
FRAMES = 150
WIDTH, HEIGHT = 640, 360
GRAIN, DEPTH_GRAIN = 2.0, 0.5
"""Standard deviations of the noise in levels and millimetres, without which png and jpeg have too little to do."""


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_recording(folder / "h2o/subject1/h1/0")
        dataset = H2O(folder / "h2o", ego_depth=False)
        indices = range(len(dataset))
        ours, other = [], []
        for turn in range(3):  # in turn, so that the machine's moods hit both; the best counts
            begin = perf_counter()
            convert(dataset, indices, folder / f"bag{turn}", "h2o")
            ours.append(FRAMES / (perf_counter() - begin))
            other.append(_one_thread_hz(dataset))
    name = f"frames a second from H2O's files to a bag, {WIDTH} x {HEIGHT}"
    best, reference = max(ours), max(other)
    return [Result(name, best, "Hz", "one thread, not written", reference, f">= {TARGET_HZ:g} Hz", best >= TARGET_HZ)]


def _one_thread_hz(dataset: H2O) -> float:
    messages = SampleMessages("h2o", dataset[0])
    begin = perf_counter()
    for index, id in enumerate(dataset.ids):
        messages.of(dataset[index], stamp_of(id, dataset.rate_hz))
    return FRAMES / (perf_counter() - begin)


def _write_recording(folder: Path) -> None:
    """cam2 and cam4 of one recording: smooth colours and depth with a camera's grain."""
    rng = np.random.default_rng(0)
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    smooth = np.stack([u / WIDTH, v / HEIGHT, (u + v) / (WIDTH + HEIGHT)], axis=-1) * 200 + 20
    pose = rigid.look_at((0.0, 1.0, 0.6), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    hands = format_hands(rng.normal((0.0, 0.0, 0.5), 0.05, (2, 21, 3)))
    for camera in ("cam2", "cam4"):
        for kind in ("rgb", "depth", "cam_pose", "hand_pose"):
            (folder / camera / kind).mkdir(parents=True)
        (folder / camera / "cam_intrinsics.txt").write_text(format_intrinsics(Camera.from_hfov(WIDTH, HEIGHT, 60.0)))
        for frame in range(FRAMES):
            rgb = np.clip(smooth + rng.normal(0.0, GRAIN, smooth.shape), 0, 255).astype(np.uint8)
            depth = (800 + v + rng.normal(0.0, DEPTH_GRAIN, v.shape)).astype(np.uint16)
            cv2.imwrite(str(folder / camera / f"rgb/{frame:06d}.png"), rgb)
            cv2.imwrite(str(folder / camera / f"depth/{frame:06d}.png"), depth)
            (folder / camera / f"cam_pose/{frame:06d}.txt").write_text(format_pose(pose))
            (folder / camera / f"hand_pose/{frame:06d}.txt").write_text(hands)
