"""Reading samples of 640 x 360 in H2O's format with two workers, against decoding their pictures and nothing else."""

from __future__ import annotations

import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from bench import Result
from genego_ros.data.h2o import H2O

WORKERS = 2
FRAMES = 60
ROUNDS = 5
EPOCHS = 4
TARGET_HZ = 60.0
GROWTH_MB = 8.0
"""What a worker may gain over the later epochs; one sample has 3.7 MB of pictures."""

_dataset: H2O | None = None


def run() -> list[Result]:
    sys.path.insert(0, str(Path(__file__).parents[1] / "test"))
    from mock_datasets import write_h2o

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_h2o(root, ["subject1/h1/1"], [0], ("cam0", "cam4"), size=(640, 360), rendered=True)
        _multiply(root / "subject1/h1/1")
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


def _multiply(recording: Path) -> None:
    """Gives every frame its own files, with noise so that they are as hard to decode as a camera's."""
    rng = np.random.default_rng(0)
    for camera in ("cam0", "cam4"):
        rgb = cv2.imread(str(recording / camera / "rgb/000000.png"))
        noisy = [np.clip(rgb + rng.normal(0, 3, rgb.shape), 0, 255).astype(np.uint8) for _ in range(4)]
        for frame in range(FRAMES):
            assert cv2.imwrite(str(recording / camera / f"rgb/{frame:06d}.png"), noisy[frame % 4])
            for file in [*(recording / camera).glob("*/000000.*")]:
                if file.parent.name != "rgb" and frame:
                    file.with_name(f"{frame:06d}{file.suffix}").write_bytes(file.read_bytes())


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
    folder = _dataset.root / "subject1/h1/1"
    for camera in ("cam0", "cam4"):
        for kind in ("rgb", "depth"):
            picture = cv2.imread(str(folder / camera / kind / f"{index:06d}.png"), cv2.IMREAD_UNCHANGED)
            assert picture is not None
    return 1


def _epoch() -> float:
    """The most memory in megabytes that this process has held, after reading every sample once more."""
    for index in range(FRAMES):
        _read(index)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
