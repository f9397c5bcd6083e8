"""The depth backend `lite` on real pictures with a depth camera's truth, after median scaling, and its time.

Two predictors that do not look at the picture stand beside it: the same depth everywhere, and a fixed ramp, which
takes every picture for a table that is twice as far away at its upper edge as at its lower.

`python -m bench.depth FILE` measures weights that are yet to become the package's.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from bench import Result, data_folder, interleaved_ms, no_recordings
from genego_ros.evaluation.observation.depth import ramp
from genego_ros.geometry.depth_errors import depth_error, median_factor
from genego_ros.observation.depth.lite import LiteDepth
from genego_ros.parameters import Parameters
from genego_ros.types import Array, Camera, Frame

TARGETS = {"rgbd_tabletop": 0.08, "rgbd_desk": 0.15}
MILLISECONDS = 35.0
_DESK = {
    "color_00000.jpg": ("depth_00000.png", 1000.0),
    "color_00004.jpg": ("depth_00004.png", 1000.0),
    "other_formats_TUM_color.png": ("other_formats_TUM_depth.png", 5000.0),
    "other_formats_SUN_color.jpg": ("other_formats_SUN_depth.png", 1000.0),
}
"""Picture -> depth image, units a metre."""
_SUN = "other_formats_SUN_depth.png"
"""Its bits are turned by three, as SUN RGB-D stores depth."""


def run(weights: str = "") -> Iterator[Result]:
    """Args:
        weights: a file, instead of the weights that come with the package.

    Raises:
        GenEgoError: weights or recordings are absent; without recordings after the speed.
    """
    estimator = LiteDepth(Parameters.from_mapping({"depth.weights": weights}))
    yield speed(estimator)
    predictors: dict[str, Callable[[Frame], Array]] = {
        "lite": lambda frame: estimator.estimate(frame).values,
        "constant": lambda frame: np.ones(frame.rgb.shape[:2]),
        "ramp": lambda frame: ramp(*frame.rgb.shape[:2]),
    }
    for name, target in TARGETS.items():
        frames = list(pictures(data_folder(name)))
        if not frames:
            raise no_recordings(data_folder(name))
        errors = {who: abs_rel(predictor, frames) for who, predictor in predictors.items()}
        yield Result(
            name=f"AbsRel of depth `lite` on {len(frames)} pictures of {name} (constant {errors['constant']:.3f})",
            value=errors["lite"],
            unit="relative",
            reference="a fixed ramp",
            reference_value=errors["ramp"],
            target=f"<= {target}",
            met=errors["lite"] <= target,
        )


def abs_rel(predictor: Callable[[Frame], Array], frames: list[Frame]) -> float:
    """Mean over the pictures."""
    errors = []
    for frame in frames:
        depth = predictor(frame)
        assert frame.depth is not None
        errors.append(depth_error(depth, frame.depth, median_factor(depth, frame.depth)).abs_rel)
    return statistics.mean(errors)


def speed(estimator: LiteDepth) -> Result:
    """Of one 640 x 480 picture on two threads, from picture to depth map."""
    frame = Frame(np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8), Camera.from_hfov(640, 480, 60.0))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    (taken,) = interleaved_ms(lambda: estimator.estimate(frame), rounds=30)
    torch.set_num_threads(threads)
    met = taken <= MILLISECONDS
    return Result("depth `lite` of a 640 x 480 picture", taken, "ms", "", None, f"<= {MILLISECONDS:g} ms", met)


def pictures(folder: Path) -> Iterator[Frame]:
    """Those of a folder of real recordings, with their depth."""
    pairs = {path.name: (path.name.replace("_rgb", "_depth_mm"), 1000.0) for path in sorted(folder.glob("*_rgb.png"))}
    for color, (depth, unit) in (pairs or _DESK).items():
        if not (folder / color).is_file():
            continue
        rgb = cv2.cvtColor(cv2.imread(str(folder / color)), cv2.COLOR_BGR2RGB)
        raw = cv2.imread(str(folder / depth), cv2.IMREAD_UNCHANGED)
        if depth == _SUN:
            raw = (raw >> 3) | (raw << 13)
        metres = np.where(raw > 0, raw / np.float32(unit), np.nan).astype(np.float32)
        yield Frame(np.asarray(rgb), Camera.from_hfov(rgb.shape[1], rgb.shape[0], 60.0), metres)


if __name__ == "__main__":
    for result in run(sys.argv[1]):
        print(f"{result.name}: {result.value:.3f} {result.unit}, target {result.target}; ramp {result.reference_value}")
