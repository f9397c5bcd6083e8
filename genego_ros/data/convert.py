"""Recordings of a data set as bags, one a recording; `sample_messages` says what is in them.

Stamps are START_NS plus the number of the frame over the recording's rate, so that a conversion gives the same bag
whenever it is made.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np
import yaml

from genego_ros.data.bag_storage import METADATA
from genego_ros.data.bags import PARTIAL, BagWriter
from genego_ros.data.sample import Dataset, Sample, SampleId
from genego_ros.data.sample_messages import PSNR_DB, Messages, SampleMessages
from genego_ros.errors import GenEgoError
from genego_ros.types import Float64Array

START_NS = 1_700_000_000_000_000_000
_AHEAD = 2
"""Frames a worker that may be ready before they are written."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def recordings(dataset: Dataset, camera: str | None = None) -> dict[str, list[int]]:
    """Recordings by name, with the indices of the samples of one third-person camera: by default each one's first."""
    taken: dict[str, str] = {}
    found: dict[str, list[int]] = {}
    for index, id in enumerate(dataset.ids):
        if id.camera == taken.setdefault(id.sequence, camera or id.camera):
            found.setdefault(id.sequence, []).append(index)
    return found


def bag_name(id: SampleId) -> str:
    """Of the bag of a recording and camera, without what shells and file systems trip over: "subject1_h1_0_cam2"."""
    return re.sub(r"\W+", "_", f"{id.sequence}/{id.camera}", flags=re.ASCII).strip("_")


def stamp_of(id: SampleId, rate_hz: float) -> int:
    """The time of a frame in its bag, nanoseconds."""
    return START_NS + round(id.frame * 1e9 / rate_hz)


def convert(
    dataset: Dataset,
    indices: Sequence[int],
    path: Path,
    source: str,
    raw: bool = False,
    psnr_db: float = PSNR_DB,
    in_threads: bool = True,
    written: Callable[[], object] = lambda: None,
    files: str = "",
) -> bool:
    """Writes samples of one recording and camera, in the order of their frames, as the bag `path`.

    A conversion that fails leaves nothing behind; what one that was killed left is cleared away.

    Args:
        source: the data set's name, kept in the bag.
        raw: pictures as they are, instead of jpeg, and png for depth.
        psnr_db: what jpegs must reach.
        in_threads: read several samples at once; otherwise one after the other, and only encoding has threads.
        written: called after each frame.
        files: the `fingerprint` of the recording, kept in the bag, by which one of other files is told.

    Returns:
        False where that very bag is there already.

    Raises:
        GenEgoError: a sample cannot be read, or something else is at `path`.
        BagWriteError: the disk is full.
    """
    first = dataset.ids[indices[0]]
    about = {
        "dataset": source,
        "sequence": first.sequence,
        "camera": first.camera,
        "pictures": "raw" if raw else f"jpeg, {psnr_db:g} dB",
        "frames": str(len(indices)),
        "files": files,
    }
    if _is_there(path, about):
        return False
    for left_over in path.parent.glob(f"{path.name}{PARTIAL}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    messages = SampleMessages(source, dataset[indices[0]], raw, psnr_db)

    def moment(sample: Sample) -> tuple[int, Float64Array, Messages]:
        stamp_ns = stamp_of(sample.id, dataset.rate_hz)
        return stamp_ns, sample.exo[0].T_world_camera, messages.of(sample, stamp_ns)

    moments = (
        _in_order(lambda index: moment(dataset[index]), indices)
        if in_threads
        else _in_order(moment, map(dataset.__getitem__, indices))
    )
    bag = BagWriter(path, custom_data=about, keep_partial=False, definitions=messages.definitions)
    with closing(moments), bag as writer:
        T_world_exo = None
        for stamp_ns, T, contents in moments:
            if T_world_exo is None or not np.array_equal(T_world_exo, T):
                T_world_exo = T
                contents.insert(0, ("/tf_static", messages.static(T, stamp_ns)))
            for topic, data in contents:
                if topic not in writer.counts:
                    kind, qos = messages.topics[topic]
                    writer.add_topic(topic, kind, [qos])
                writer.write(topic, stamp_ns, data)
            written()
    return True


def _is_there(path: Path, about: dict[str, str]) -> bool:
    """Whether the bag of that conversion is at `path`; it is whole, since it gets its name last.

    Raises:
        GenEgoError: something else is.
    """
    if not path.exists():
        return False
    try:
        metadata = yaml.safe_load((path / METADATA).read_text(encoding="utf8"))["rosbag2_bagfile_information"]
        found = metadata["custom_data"] or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise GenEgoError(
            f"{path} is there and no bag of this conversion; move it away or choose another --out"
        ) from error
    for key, value in about.items():
        if found.get(key) != value:
            raise GenEgoError(
                f"{path} is there from another conversion ({key}: {found.get(key)}, now {value}); move it away or "
                "choose another --out"
            )
    return True


def _in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """`map` in threads, a few items ahead. Decoding and encoding pictures leaves Python's lock to the others."""
    workers = os.cpu_count() or 1
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > _AHEAD * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
