"""What the demo's recording says: counts and times, as numbers and as a table."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message

from genego_ros import __version__
from genego_ros.data.bags import read_bag
from genego_ros.msg import HandArray, PipelineStatus
from genego_ros.ros.camera_topics import CameraTopics
from genego_ros.ros.conversions import stamp_in
from genego_ros.ros.demo_truth import lines as truth_lines


def summarise(out: Path, prefix: str, camera: CameraTopics) -> dict[str, Any]:
    """Counts and times from the recording in `out`; `prefix` stands before the nodes' topics."""
    arrivals: dict[str, dict[int, int]] = {camera.image: {}, f"{prefix}/ego/image/compressed": {}}
    counts: dict[str, int] = {}
    statuses: list[PipelineStatus] = []
    hands = {"frames": 0, "left": 0, "right": 0, "both": 0}
    for message in read_bag(out / "output.mcap"):
        counts[message.topic] = counts.get(message.topic, 0) + 1
        if message.topic in arrivals:
            arrivals[message.topic].setdefault(stamp_in(message.data), message.time_ns)
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
        *truth_lines(summary["truth"]),
        *(("warning", text) for text in summary["warnings"]),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)
