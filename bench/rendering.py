"""Rendering a room with two hands: third-person and first-person view of every moment, up to the files' bytes.

One process is timed, by the processor time it takes, so that what else the machine does counts little; as many workers
as cores do as much each.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import process_time

import cv2
import numpy as np

from bench import Result
from genego_ros.data.synthetic.raster import RasterRenderer
from genego_ros.data.synthetic.sensor import expose, random_sensor

MOMENTS = 11
RINGS = 80
"""So many rings give the scene's two balls 51 thousand triangles, and the scene 58 thousand."""
WORKERS = 2
TARGETS = {(320, 180): 12.0, (640, 360): 6.0}
"""Frames a second of all workers; a frame is colour and depth of two cameras."""


def run() -> list[Result]:
    results = []
    for (width, height), target in TARGETS.items():
        steps = milliseconds(width, height)
        total = sum(steps.values())
        shares = ", ".join(f"{name} {taken / total:.0%}" for name, taken in steps.items())
        rate = WORKERS * 1e3 / total
        results.append(
            Result(
                name=f"rendering {width} x {height}, {WORKERS} workers ({shares})",
                value=rate,
                unit="frames/s",
                reference="",
                reference_value=None,
                target=f">= {target:g} frames/s",
                met=rate >= target,
            )
        )
    return results


def milliseconds(width: int, height: int) -> dict[str, float]:
    """What each step of a frame takes: the median over the moments."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "test"))
    from render_scene import make_scene, moments

    scene = make_scene(width, height, RINGS)
    path = moments(scene, MOMENTS)
    rng = np.random.default_rng(0)
    sensor = random_sensor(rng)
    taken: dict[str, list[float]] = {"drawing": [], "sensor": [], "png": []}
    with RasterRenderer(scene) as renderer:
        for before, now in pairwise(path):
            spent = dict.fromkeys(taken, 0.0)
            for camera in ("cam0", "cam4"):
                start = process_time()
                shot = renderer.render(camera, now, before)
                drawn = process_time()
                picture = expose(shot, sensor, rng)
                exposed = process_time()
                depth = np.nan_to_num(1e3 * shot.depth).astype(np.uint16)
                for image in (picture[..., ::-1], depth):
                    cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
                written = process_time()
                for name, duration in zip(taken, (drawn - start, exposed - drawn, written - exposed), strict=True):
                    spent[name] += 1e3 * duration
            for name, duration in spent.items():
                taken[name].append(duration)
    return {name: median(values[1:]) for name, values in taken.items()}
