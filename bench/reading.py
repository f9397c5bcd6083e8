"""Reading rendered samples of 640 x 360 with two workers, against decoding their pictures and nothing else."""

from __future__ import annotations

import resource
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import cv2

from bench import Result
from genego_ros.data.h2o import H2O
from genego_ros.data.h2o_format import EGO_CAMERA
from genego_ros.data.synthetic.recipe import sequences
from genego_ros.data.synthetic.rendering import render

WORKERS = 2
FRAMES, SEED = 60, 0
CAMERAS = ("cam0", EGO_CAMERA)
ROUNDS = 5
EPOCHS = 4
TARGET_HZ = 60.0
GROWTH_MB = 8.0
"""What a worker may gain over the later epochs; one sample has 3.7 MB of pictures."""

_dataset: H2O | None = None


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        render(sequences(1, FRAMES, SEED, CAMERAS), root, (640, 360), workers=1)
        with ProcessPoolExecutor(WORKERS, get_context("forkserver"), _open, (root,)) as pool:
            rates = [(_rate(pool, _read), _rate(pool, _decode)) for _ in range(ROUNDS)]
        with ProcessPoolExecutor(1, get_context("forkserver"), _open, (root,)) as pool:
            memory = [pool.submit(_epoch).result() for _ in range(EPOCHS)]
    ours, theirs = (max(side) for side in zip(*rates, strict=True))
    growth = memory[-1] - memory[0]
    return [
        Result(
            name=f"reading samples of 640 x 360, {WORKERS} workers",
            value=ours,
            unit="samples/s",
            reference="decoding their four pictures alone",
            reference_value=theirs,
            target=f">= {TARGET_HZ:g} samples/s",
            met=ours >= TARGET_HZ,
        ),
        Result(
            name=f"memory gained by reading {EPOCHS - 1} more epochs",
            value=growth,
            unit="MB",
            reference="",
            reference_value=None,
            target=f"<= {GROWTH_MB:g} MB",
            met=growth <= GROWTH_MB,
        ),
    ]


def _open(root: Path) -> None:
    global _dataset
    cv2.setNumThreads(1)
    _dataset = H2O(root)


def _rate(pool: ProcessPoolExecutor, work: object) -> float:
    """Samples a second, over all frames once."""
    start = perf_counter()
    done = sum(pool.map(work, range(FRAMES), chunksize=5))  # type: ignore[arg-type]
    assert done == FRAMES
    return FRAMES / (perf_counter() - start)


def _read(index: int) -> int:
    assert _dataset is not None
    sample = _dataset[index]
    return int(sample.id.frame == index and sample.ego.has_hand("left"))


def _decode(index: int) -> int:
    assert _dataset is not None
    folder = _dataset.root / _dataset.ids[index].sequence
    for camera in CAMERAS:
        for kind in ("rgb", "depth"):
            picture = cv2.imread(str(folder / camera / kind / f"{index:06d}.png"), cv2.IMREAD_UNCHANGED)
            assert picture is not None
    return 1


def _epoch() -> float:
    """The most memory in megabytes that this process has held, after reading every sample once more."""
    for index in range(FRAMES):
        _read(index)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
