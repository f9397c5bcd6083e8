"""Pairs of a data set at a network's size, kept on the disk so that no picture is decoded twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from genego_ros.atomic import whole
from genego_ros.data.fingerprint import fingerprint
from genego_ros.data.sample import Dataset, SampleId
from genego_ros.errors import GenEgoError
from genego_ros.geometry.squeeze import squeeze
from genego_ros.training.mapped import alone, mapped_zeros
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


@dataclass(frozen=True)
class PicturePairs(Pairs):
    """Pairs with both pictures."""

    targets: ByteArray
    """uint8 (N, H, W, 3), RGB: first-person pictures, squeezed; on the disk."""
    ego_intrinsics: Float64Array
    """float64 (N, 4): as `intrinsics`, of `targets`."""


def cached_pairs(dataset: Dataset, root: Path, ids: Sequence[SampleId], size: tuple[int, int], folder: Path) -> Pairs:
    """The pairs of `ids`, from `folder` where they lie there already.

    Args:
        root: the folder of the data set.
        size: width and height in pixels.

    Raises:
        GenEgoError: a sample cannot be read, or the folder cannot be written; names the path.
    """
    return Pairs(**_cached(dataset, root, ids, size, folder, targets=False))


def cached_picture_pairs(
    dataset: Dataset, root: Path, ids: Sequence[SampleId], size: tuple[int, int], folder: Path
) -> PicturePairs:
    """As `cached_pairs`, with the first-person pictures.

    Raises:
        GenEgoError: as `cached_pairs`.
    """
    return PicturePairs(**_cached(dataset, root, ids, size, folder, targets=True))


def _cached(
    dataset: Dataset, root: Path, ids: Sequence[SampleId], size: tuple[int, int], folder: Path, targets: bool
) -> dict[str, Any]:
    """The fields of pairs."""
    said = [size, [str(id) for id in ids], *(["targets"] if targets else [])]
    digest = hashlib.sha256(json.dumps(said).encode())
    for sequence in sorted({id.sequence for id in ids}):
        digest.update(fingerprint(root, sequence).encode())
    name = digest.hexdigest()[:16]
    pictures = {"pictures": folder / f"{name}.npy"}
    if targets:
        pictures["targets"] = folder / f"{name}-targets.npy"
    labels = folder / f"{name}.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(labels):
            if not labels.exists():  # written last
                _write(dataset, ids, size, pictures, labels)
    except OSError as error:
        raise GenEgoError(
            f"{folder}: cannot be written ({error}); make room or choose another --out or --cache"
        ) from error
    try:
        with np.load(labels) as arrays:
            on_disk = {field: np.load(path, mmap_mode="r") for field, path in pictures.items()}
            return {**on_disk, **arrays, "fingerprint": name}
    except (OSError, ValueError, TypeError) as error:
        raise GenEgoError(f"{labels}: damaged ({error}); delete {folder} and start again") from error


def _write(
    dataset: Dataset, ids: Sequence[SampleId], size: tuple[int, int], pictures: Mapping[str, Path], labels: Path
) -> None:
    width, height = size
    rows = {
        name: mapped_zeros(path, np.dtype(np.uint8), (len(ids), height, width, 3)) for name, path in pictures.items()
    }
    names = ["intrinsics", "exo", "ego", "T_ego_exo", *(["ego_intrinsics"] if "targets" in pictures else [])]
    lists: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}

    def read(id: SampleId) -> tuple[dict[str, ByteArray], dict[str, Float64Array]]:
        sample = dataset.sample(id)
        view = sample.exo[0]
        shown = {"pictures": view.frame.rgb, "targets": sample.ego.frame.rgb}
        values = {
            "intrinsics": intrinsics_of(view.frame.camera.resized(width, height)),
            "exo": view.keypoints,
            "ego": sample.ego.keypoints,
            "T_ego_exo": sample.T_ego_exo,
            "ego_intrinsics": intrinsics_of(sample.ego.frame.camera.resized(width, height)),
        }
        squeezed = {name: squeeze(shown[name], width, height) for name in pictures}
        return squeezed, {name: values[name] for name in names}

    with ThreadPoolExecutor(_READERS) as readers, tqdm(total=len(ids), unit="sample", desc="reading") as bar:
        for start in range(0, len(ids), _AHEAD):  # not all at once: what was read waits in memory
            for row, (squeezed, values) in enumerate(readers.map(read, ids[start : start + _AHEAD]), start):
                for name, picture in squeezed.items():
                    rows[name][row] = picture
                for name, value in values.items():
                    lists[name].append(value)
                bar.update()
    for written in rows.values():
        written.flush()
    with whole(labels) as growing, growing.open("wb") as file:  # to a path savez would add a suffix
        np.savez(file, **{name: np.stack(values) for name, values in lists.items()})  # type: ignore[arg-type]


def intrinsics_of(camera: Camera) -> Float64Array:
    """fx, fy, cx, cy, float64 (4,), pixels."""
    return np.array([camera.fx, camera.fy, camera.cx, camera.cy])
