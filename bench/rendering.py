"""Rendering recordings of people at work: third-person and first-person view of every moment, up to the files' bytes.

One process is timed, by the processor time it takes, so that what else the machine does counts little; as many workers
as cores do as much each. What stages a recording before its first frame is told apart: it does not grow with frames.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import process_time

from bench import Result
from genego_ros.data.h2o_format import EGO_CAMERA
from genego_ros.data.synthetic.recipe import RecordingPlan, sequences
from genego_ros.data.synthetic.recording import Clock, RecordingFolder, render_recording
from genego_ros.data.synthetic.rendering import threads_shared

RECORDINGS, FRAMES, SEED = 3, 12, 3
WORKERS = 2
TARGETS = {(320, 180): 12.0, (640, 360): 6.0}
"""Frames a second of all workers; a frame is colour and depth of two cameras."""


def run() -> list[Result]:
    with threads_shared(WORKERS), ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return [pool.submit(_measured, size, target).result() for size, target in TARGETS.items()]


def _measured(size: tuple[int, int], target: float) -> Result:
    plans = sequences(RECORDINGS, FRAMES, SEED, ("cam0", EGO_CAMERA)).recordings
    _seconds(plans[0], size)  # compiles and loads
    taken = [_seconds(plan, size) for plan in plans]
    staging = median(seconds.pop("staging") for seconds in taken)
    steps = {name: median(seconds[name] for seconds in taken) for name in taken[0]}
    total = sum(steps.values())
    shares = ", ".join(f"{name} {spent / total:.0%}" for name, spent in steps.items())
    rate = WORKERS * FRAMES / total
    return Result(
        name=f"rendering {size[0]} x {size[1]}, {WORKERS} workers ({shares}; staging {staging:.1f} s a recording)",
        value=rate,
        unit="frames/s",
        reference="",
        reference_value=None,
        target=f">= {target:g} frames/s",
        met=rate >= target,
    )


def _seconds(plan: RecordingPlan, size: tuple[int, int]) -> dict[str, float]:
    """Processor time of each step of a recording."""
    clock = Clock(process_time)
    with tempfile.TemporaryDirectory() as out:
        render_recording(RecordingFolder(Path(out), plan, size), clock=clock)
    return clock.seconds
