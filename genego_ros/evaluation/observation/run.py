"""Measures what is missing, sample by sample, then sums up what was asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from genego_ros.data.sample import Dataset, SampleId
from genego_ros.errors import GenEgoError
from genego_ros.evaluation.observation import depth, hands, phi_ego, scale, sparse, viewpoints, words
from genego_ros.evaluation.observation.case import Case, Values
from genego_ros.evaluation.observation.summary import summarise
from genego_ros.evaluation.observation.truth import head_of
from genego_ros.evaluation.observation.watch import Watcher
from genego_ros.evaluation.store import Resumable, save
from genego_ros.geometry.hand_model import mean_pose
from genego_ros.parameters import DepthParameters
from genego_ros.types import KEYPOINTS, Float64Array

LEARNED = 300
"""Samples of a train list, evenly spread, over which the mean pose is taken."""


class Measured(NamedTuple):
    """What is kept of a sample."""

    values: Values
    """Without those that are not finite."""
    hands: Float64Array
    """True P_ego, float64 (2, 21, 3), of all hands that the recording knows; NaN where it knows none."""
    visible: Sequence[str]
    """Sides of those that the third-person picture shows."""


class Measurements(Resumable):
    """A folder with the numbers of every sample, and the true hands of those that the mean pose is learned from.

    measurements/RECORDING/CAM/N.json
    learned/RECORDING/CAM/N.json
    """

    contents = "measurements"

    def path(self, id: SampleId, kind: str = "measurements") -> Path:
        return self.folder / kind / id.sequence / id.camera / f"{id.frame:06d}.json"

    def has(self, id: SampleId) -> bool:
        return self.path(id).is_file()

    def write(self, id: SampleId, measured: Measured) -> None:
        """Raises:
        GenEgoError: the disk is full.
        """
        finite = {
            path: value if isinstance(value, str) else [x for x in value if math.isfinite(x)]
            for path, value in measured.values.items()
        }
        said = {"values": finite, "ego_hands": _as_lists(measured.hands), "visible": list(measured.visible)}
        save(self.path(id), json.dumps(said).encode() + b"\n")

    def read(self, id: SampleId) -> Measured:
        """Raises:
        GenEgoError: the file is missing or damaged.
        """
        with _readable(self.path(id)) as said:
            return Measured(said["values"], _as_array(said["ego_hands"]), said["visible"])

    def learned(self, dataset: Dataset, id: SampleId) -> Float64Array:
        """All true hands of a sample, see `Measured.hands`; kept, since reading a sample decodes all its pictures.

        Raises:
            GenEgoError: the sample or the file is damaged, the disk is full.
        """
        path = self.path(id, "learned")
        if not path.is_file():
            save(path, json.dumps({"ego_hands": _as_lists(phi_ego.all_hands(dataset.sample(id)))}).encode() + b"\n")
        with _readable(path) as said:
            return _as_array(said["ego_hands"])


@contextmanager
def _readable(path: Path) -> Iterator[Any]:
    try:
        yield json.loads(path.read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GenEgoError(
            f"'{path}' cannot be read ({error}); delete it and run the command again: it makes what is missing"
        ) from error


def _as_lists(hands: Float64Array) -> list[Any]:
    return [hand.round(6).tolist() if np.isfinite(hand).all() else None for hand in hands]


def _as_array(hands: list[Any]) -> Float64Array:
    listed = [np.full((KEYPOINTS, 3), np.nan) if hand is None else hand for hand in hands]
    return np.array(listed, np.float64).reshape(2, KEYPOINTS, 3)


def measure(case: Case, limits: DepthParameters) -> Values:
    """All parts of one sample, but the mean pose."""
    return {
        **depth.measure(case),
        **scale.measure(case),
        **hands.measure(case),
        **phi_ego.measure(case),
        **viewpoints.measure(case),
        **sparse.measure(case, limits),
        **words.measure(case),
        **_times(case),
    }


def _times(case: Case) -> Values:
    """Milliseconds of the last of the settling frames, by stage, and of the description, which was written of the first
    of them; `total` is the sum of what a stream waits for, so without the description."""
    stages = {stage: taken for stage, taken in case.observation.stage_ms.items() if stage != "description"}
    total = sum(stages.values())
    values: Values = {f"time_ms/{stage}": [taken] for stage, taken in {**stages, "total": total}.items()}
    if case.description_ms is not None:
        values["time_ms/description"] = [case.description_ms]
    return values | ({"time_ms/frames_per_second": [1e3 / total]} if total else {})


def measure_missing(dataset: Dataset, ids: Sequence[SampleId], watcher: Watcher, kept: Measurements) -> None:
    """Measures the samples that `kept` lacks.

    Raises:
        GenEgoError: a sample is missing or damaged, the disk is full. What was measured until then is kept.
    """
    for id in tqdm(ids, "measuring", unit="sample", disable=None):
        if not kept.has(id):
            case = watcher.case(dataset.sample(id))
            values = measure(case, watcher.parameters.depth)
            kept.write(id, Measured(values, phi_ego.all_hands(case.sample), case.visible))


def results(
    dataset: Dataset,
    splits: Mapping[str, Sequence[SampleId]],
    train: Mapping[str, Sequence[SampleId]],
    kept: Measurements,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """By split, every part's numbers: see `summarise`.

    Args:
        train: of each split, what the mean pose is learned from; empty where the folder does not say.
        seed: of the bootstrap.
    """
    return {name: _of_split(dataset, ids, train.get(name), kept, seed) for name, ids in splits.items()}


def _of_split(
    dataset: Dataset, ids: Sequence[SampleId], train: Sequence[SampleId] | None, kept: Measurements, seed: int
) -> dict[str, Any]:
    read = [kept.read(id) for id in ids]
    source = "the train list" if train else "the evaluated samples, as there is no train list"
    # Of all hands either way, as whoever knows no pictures would have it; compared with those that are seen.
    pose = mean_pose([kept.learned(dataset, id) for id in train] if train else [of.hands for of in read])
    values = []
    for id, of in zip(ids, read, strict=True):
        truth = phi_ego.only(of.visible, of.hands)
        values.append({**of.values, **phi_ego.errors("mean_pose", pose, truth, head_of(dataset, id))})
    found = summarise(values, [id.sequence for id in ids], seed)
    found["phi_ego"].get("mean_pose", {})["of"] = source
    return {"samples": len(ids), **found}
