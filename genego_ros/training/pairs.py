"""Pairs of a data set at a network's size, kept on the disk so that no picture is decoded twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from genego_ros.atomic import whole
from genego_ros.data.fingerprint import fingerprint
from genego_ros.data.sample import Dataset, SampleId
from genego_ros.errors import GenEgoError
from genego_ros.geometry.squeeze import squeeze
from genego_ros.types import ByteArray, Camera, Float64Array

_READERS = 4
_AHEAD = 64


@dataclass(frozen=True)
class Pairs:
    """Third-person pictures and both views' hands, one row a sample."""

    pictures: ByteArray
    """uint8 (N, H, W, 3), RGB, squeezed; on the disk."""
    intrinsics: Float64Array
    """float64 (N, 4): fx, fy, cx, cy of the squeezed picture, pixels."""
    exo: Float64Array
    """float64 (N, 2, 21, 3): left, right; metres, exo optical frame, NaN where there is no label."""
    ego: Float64Array
    """float64 (N, 2, 21, 3): likewise, ego optical frame."""
    T_ego_exo: Float64Array
    """float64 (N, 4, 4): X."""
    fingerprint: str
    """Of the files and of the list of samples."""

    def __len__(self) -> int:
        return len(self.pictures)


def cached_pairs(dataset: Dataset, root: Path, ids: Sequence[SampleId], size: tuple[int, int], folder: Path) -> Pairs:
    """The pairs of `ids`, from `folder` where they lie there already.

    Args:
        root: the folder of the data set.
        size: width and height in pixels.

    Raises:
        GenEgoError: a sample cannot be read, or the folder cannot be written; names the path.
    """
    digest = hashlib.sha256(json.dumps([size, [str(id) for id in ids]]).encode())
    for sequence in sorted({id.sequence for id in ids}):
        digest.update(fingerprint(root, sequence).encode())
    name = digest.hexdigest()[:16]
    pictures, labels = folder / f"{name}.npy", folder / f"{name}.npz"
    if not labels.exists():  # written last
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(dataset, ids, size, pictures, labels)
        except OSError as error:
            raise GenEgoError(f"{folder}: cannot be written ({error}); make room or choose another --out") from error
    try:
        with np.load(labels) as arrays:
            return Pairs(np.load(pictures, mmap_mode="r"), **arrays, fingerprint=name)
    except (OSError, ValueError, TypeError) as error:
        raise GenEgoError(f"{labels}: damaged ({error}); delete {folder} and start again") from error


def _write(dataset: Dataset, ids: Sequence[SampleId], size: tuple[int, int], pictures: Path, labels: Path) -> None:
    width, height = size
    rows = np.lib.format.open_memmap(pictures, "w+", np.uint8, (len(ids), height, width, 3))
    lists: dict[str, list[NDArray[np.float64]]] = {name: [] for name in ("intrinsics", "exo", "ego", "T_ego_exo")}

    def read(id: SampleId) -> tuple[ByteArray, dict[str, Float64Array]]:
        sample = dataset.sample(id)
        view = sample.exo[0]
        camera: Camera = view.frame.camera.resized(width, height)
        return squeeze(view.frame.rgb, width, height), {
            "intrinsics": np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
            "exo": view.keypoints,
            "ego": sample.ego.keypoints,
            "T_ego_exo": sample.T_ego_exo,
        }

    with ThreadPoolExecutor(_READERS) as readers, tqdm(total=len(ids), unit="sample", desc="reading") as bar:
        for start in range(0, len(ids), _AHEAD):  # not all at once: what was read waits in memory
            for row, (picture, values) in enumerate(readers.map(read, ids[start : start + _AHEAD]), start):
                rows[row] = picture
                for name, value in values.items():
                    lists[name].append(value)
                bar.update()
    rows.flush()
    with whole(labels) as growing, growing.open("wb") as file:  # to a path savez would add a suffix
        np.savez(file, **{name: np.stack(values) for name, values in lists.items()})  # type: ignore[arg-type]
