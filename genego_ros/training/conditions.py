"""What stage 2 is conditioned on, for every pair of a data set, kept on the disk so that stage 1 looks at it only once.

Of each moment there are three kinds of conditions: all estimated, estimated depth and hands seen by the true X, and all
true. From the first two a network learns what estimates get wrong. Latents of them lie apart (`latents`), so that
another VAE does not ask for stage 1 again.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from genego_ros.atomic import whole
from genego_ros.data.datasets import open_dataset
from genego_ros.data.fingerprint import fingerprint
from genego_ros.data.sample import Dataset, Sample, SampleId
from genego_ros.errors import GenEgoError
from genego_ros.geometry.skeleton import pose_map
from genego_ros.geometry.squeeze import squeeze
from genego_ros.inputs import RecordedObserver, brought_weights, file_state, seen_from
from genego_ros.observation.observer import hand_mesh_file
from genego_ros.parameters import Parameters
from genego_ros.reconstruction.conditioning import Conditions, condition
from genego_ros.training.mapped import alone, mapped_zeros
from genego_ros.types import KEYPOINTS, SIDES, Array, ExoObservation, Hand

KINDS = ("estimated", "estimated_true_x", "true")
"""In the order of the rows' axis."""
TEXT_BYTES = 512
"""Of a description; more than the text encoder reads of it."""
_HANDS = 2
_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
_CHUNK = 8
"""Samples that a process takes at a time."""
_STAGE_1 = ("hands.", "depth.", "ego_hand.", "viewpoint.", "description.")
"""Beginnings of the names of parameters that conditions depend on."""


def row_type(side: int) -> np.dtype[np.void]:
    """Of what is kept of a moment, with S pixels a side.

    `target` is the truth; all others have first an axis of kinds. `sparse` is S_ego, black where nothing landed;
    `landed` where the splat landed, packed bits. `hands` are u, v in pixels of K_ego's picture, whose width and height
    are `size`, and z in metres, with the side of each or -1. A kind is not `there` where stage 1 found nobody or
    nothing landed.
    """
    kinds = len(KINDS)
    return np.dtype(
        [
            ("target", "u1", (side, side, 3)),
            ("sparse", "u1", (kinds, side, side, 3)),
            ("landed", "u1", (kinds, side * side // 8)),
            ("hands", "<f4", (kinds, _HANDS, KEYPOINTS, 3)),
            ("sides", "i1", (kinds, _HANDS)),
            ("text", f"S{TEXT_BYTES}", (kinds,)),
            ("there", "?", (kinds,)),
            ("size", "<i4", (2,)),
            ("done", "?"),
        ]
    )


@dataclass(frozen=True)
class Source:
    """What conditions are made from and with."""

    root: Path
    """Of the data set."""
    parameters: Parameters
    side: int
    """Pixels a side of the squeezed views."""

    def fingerprint(self, ids: Sequence[SampleId]) -> str:
        """Of the recordings, of the list, of stage 1's parameters and the weights that they name.

        Weights and code that come with the package are not looked at.
        """
        parameters = self.parameters.as_mapping() | dict(brought_weights(self.parameters))
        said = {
            "parameters": {name: value for name, value in parameters.items() if name.startswith(_STAGE_1)},
            "weights": [file_state(hand_mesh_file())],
            "row": str(row_type(self.side)),
            "ids": [str(id) for id in ids],
            "recordings": [fingerprint(self.root, sequence) for sequence in sorted({id.sequence for id in ids})],
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def cached_conditions(source: Source, ids: Sequence[SampleId], folder: Path, workers: int) -> tuple[Array, str]:
    """The rows of `ids`, on the disk, and their fingerprint; made in `folder` where they do not lie there already.

    A making that was broken off goes on where it stopped.

    Args:
        workers: processes; 0: in this one.

    Raises:
        GenEgoError: a sample or a backend's weights cannot be read, estimates have no depth to start from, or the
            folder cannot be written; names the cure.
    """
    name = source.fingerprint(ids)
    path = folder / f"{name}.npy"
    if not path.exists():
        _check(source.parameters)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(path):
            _fill(source, path, ids, workers)
        return np.load(path, mmap_mode="r"), name
    except (OSError, ValueError) as error:
        raise GenEgoError(f"{path}: cannot be written ({error}); make room or choose another --cache") from error


def _fill(source: Source, path: Path, ids: Sequence[SampleId], workers: int) -> None:
    """Makes the rows that are missing."""
    if not path.exists():
        with whole(path) as growing:
            mapped_zeros(growing, row_type(source.side), (len(ids),))
    missing = np.flatnonzero(~np.load(path, mmap_mode="r")["done"]).tolist()
    chunks = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
    jobs = [[(row, ids[row]) for row in chunk] for chunk in chunks]
    with tqdm(total=len(ids), initial=len(ids) - len(missing), unit="sample", desc="observing", disable=None) as bar:
        for made in _all(partial(_make, source, path), jobs, workers):
            bar.update(made)


def _check(parameters: Parameters) -> None:
    """Refuses now what each process would refuse, with a file of gigabytes made in vain."""
    if parameters.depth.backend == "topic":
        raise GenEgoError(
            "depth.backend is 'topic', but recorded depth is hidden where depth is to be estimated: leave it as it "
            "is, 'auto', or name a network"
        )
    with RecordedObserver(parameters) as observer:
        observer.load()


def _all(make: partial[int], jobs: Sequence[list[tuple[int, SampleId]]], workers: int) -> Iterator[int]:
    if workers < 1 or not jobs:
        try:
            yield from map(make, jobs)
        finally:
            _close()
        return
    context = multiprocessing.get_context("spawn")
    with _one_thread(), ProcessPoolExecutor(min(workers, len(jobs)), context, _start_worker) as pool:
        try:
            for future in as_completed([pool.submit(make, job) for job in jobs]):
                yield future.result()
        except BrokenProcessPool as error:
            raise GenEgoError(
                "a process that observes died (out of memory?); use fewer --workers and run the same command again"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that start in here take a core each; libraries read how many threads when they are loaded."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches all of a terminal; the first process answers
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@dataclass
class _Maker:
    """What a process needs for one source; loading it takes seconds."""

    source: Source
    dataset: Dataset
    observer: RecordedObserver


_maker: _Maker | None = None


def _make(source: Source, path: Path, job: Sequence[tuple[int, SampleId]]) -> int:
    """Fills rows of the file; returns how many."""
    global _maker
    if _maker is None or _maker.source != source:
        _close()
        _maker = _Maker(source, open_dataset(source.root), RecordedObserver(source.parameters))
    rows = np.load(path, mmap_mode="r+")
    for row, id in job:
        rows[row] = make_row(_maker.dataset.sample(id), _maker.observer, source.side)
        rows["done"][row] = True  # after the rest, so that a process that is killed leaves no half of it
    return len(job)


def _close() -> None:
    global _maker
    if _maker is not None:
        _maker.observer.__exit__()
    _maker = None


def make_row(sample: Sample, observer: RecordedObserver, side: int) -> Array:
    """What is kept of a moment, see `row_type`: an array of no dimension."""
    row = np.zeros((), row_type(side))
    estimated = observer.estimated(sample)
    observed = (estimated, seen_from(estimated, sample.T_ego_exo), observer.true(sample))
    row["target"] = squeeze(sample.ego.frame.rgb, side, side)
    for kind, observation in enumerate(observed):
        seen = condition(observation, side)
        row["sparse"][kind], row["landed"][kind] = seen.sparse, np.packbits(seen.projected)
        # With nobody in the picture there is no view in use, whatever X the recording has.
        row["there"][kind] = observation.valid and bool(observation.hands_exo) and seen.projected.any()
        row["text"][kind] = observation.description.encode()[:TEXT_BYTES]
        row["hands"][kind], row["sides"][kind] = _hand_numbers(observation)
    camera = sample.ego.frame.camera
    row["size"] = camera.width, camera.height
    return row


def _hand_numbers(observation: ExoObservation) -> tuple[Array, Array]:
    numbers, sides = np.full((_HANDS, KEYPOINTS, 3), np.nan, np.float32), np.full(_HANDS, -1, np.int8)
    for place, hand in enumerate(observation.hands_ego[:_HANDS]):
        numbers[place] = np.concatenate([hand.keypoints_2d, hand.keypoints[:, 2:]], axis=1)
        sides[place] = SIDES.index(hand.side)
    return numbers, sides


def kept_conditions(row: np.void, kind: int, mirrored: bool = False) -> Conditions:
    """The maps of a row."""
    side = row["target"].shape[0]
    landed = np.unpackbits(row["landed"][kind]).reshape(side, side).astype(bool)
    width, height = row["size"].tolist()
    drawn = pose_map(height, width, kept_hands(row["hands"][kind], row["sides"][kind], width, mirrored))
    sparse = np.array(row["sparse"][kind])
    if mirrored:
        landed, sparse = landed[:, ::-1], sparse[:, ::-1]
    return Conditions(sparse, landed, squeeze(drawn, side, side))


def kept_hands(numbers: Array, sides: Array, width: int, mirrored: bool) -> list[Hand]:
    """What can be drawn of the hands of a row's kind; mirrored, a left hand is a right one.

    Args:
        width: of K_ego's picture, pixels.
    """
    hands = []
    for (u, v, z), side in zip(numbers.transpose(0, 2, 1), sides.tolist(), strict=True):
        if side >= 0:
            pixels = np.stack([width - 1 - u if mirrored else u, v], axis=1)
            keypoints = np.stack([np.zeros_like(z), np.zeros_like(z), z], axis=1)
            name = SIDES[1 - side if mirrored else side]
            hands.append(Hand(name, 1.0, keypoints, pixels, np.ones(KEYPOINTS, np.float32), ""))
    return hands


def kept_text(text: bytes, mirrored: bool) -> str:
    """A description; mirrored, what is left is right."""
    words = text.decode(errors="ignore")
    return _SIDE.sub(_other_side, words) if mirrored else words


def _other_side(side: re.Match[str]) -> str:
    other = "right" if side[0].lower() == "left" else "left"
    return other.capitalize() if side[0][0].isupper() else other
