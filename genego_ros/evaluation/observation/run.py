"""Measures what is missing, sample by sample, then sums up what was asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from genego_ros.data.sample import Dataset, SampleId
from genego_ros.data.sample_ids import SampleIds
from genego_ros.errors import GenEgoError
from genego_ros.evaluation.observation import depth, hands, phi_ego, scale, sparse, viewpoints, words
from genego_ros.evaluation.observation.case import Case, Values
from genego_ros.evaluation.observation.summary import summarise
from genego_ros.evaluation.observation.truth import head_of
from genego_ros.evaluation.observation.watch import Watcher
from genego_ros.evaluation.run import spread
from genego_ros.evaluation.store import Resumable, save
from genego_ros.geometry.hand_model import mean_pose
from genego_ros.parameters import DepthParameters
from genego_ros.types import KEYPOINTS, Float64Array

_LEARNED = 300
"""Samples of the train list, evenly spread, over which the mean pose is taken."""


class Measurements(Resumable):
    """A folder with the numbers of every sample, measurements/RECORDING/CAM/N.json."""

    contents = "measurements"

    def path(self, id: SampleId) -> Path:
        return self.folder / "measurements" / id.sequence / id.camera / f"{id.frame:06d}.json"

    def has(self, id: SampleId) -> bool:
        return self.path(id).is_file()

    def write(self, id: SampleId, values: Values, hands: Float64Array) -> None:
        """Keeps a sample's values and its true P_ego, float64 (2, 21, 3), which the mean pose is compared with."""
        finite = {
            path: value if isinstance(value, str) else [x for x in value if math.isfinite(x)]
            for path, value in values.items()
        }
        listed = [hand.round(6).tolist() if np.isfinite(hand).all() else None for hand in hands]
        save(self.path(id), json.dumps({"values": finite, "ego_hands": listed}).encode() + b"\n")

    def read(self, id: SampleId) -> tuple[Values, Float64Array]:
        """What was kept, without values that are not finite.

        Raises:
            GenEgoError: the file is missing or damaged.
        """
        path = self.path(id)
        try:
            said = json.loads(path.read_text())
            hands = [np.full((KEYPOINTS, 3), np.nan) if hand is None else hand for hand in said["ego_hands"]]
            return said["values"], np.array(hands, np.float64).reshape(2, KEYPOINTS, 3)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GenEgoError(
                f"'{path}' cannot be read ({error}); delete it and run the command again: it makes what is missing"
            ) from error


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
            kept.write(id, measure(case, watcher.parameters.depth), phi_ego.true_hands(case))


def results(
    dataset: Dataset,
    splits: Mapping[str, Sequence[SampleId]],
    train: Mapping[str, SampleIds],
    kept: Measurements,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """By split, every part's numbers: see `summarise`.

    Args:
        train: of each split, what a method may learn from; empty where the folder does not say.
        seed: of the bootstrap.
    """
    return {name: _of_split(dataset, ids, train.get(name), kept, seed) for name, ids in splits.items()}


def _of_split(
    dataset: Dataset, ids: Sequence[SampleId], train: SampleIds | None, kept: Measurements, seed: int
) -> dict[str, Any]:
    read = [kept.read(id) for id in ids]
    truths = [truth for _, truth in read]
    source = "the train list" if train else "the evaluated samples, as there is no train list"
    learned = [phi_ego.all_hands(dataset.sample(id)) for id in spread(train, _LEARNED)] if train else truths
    pose = mean_pose(learned)
    values = []
    for id, (of_sample, truth) in zip(ids, read, strict=True):
        mean = phi_ego.errors("mean_pose", pose, truth, head_of(dataset, id))
        values.append({**of_sample, **mean})
    found = summarise(values, [id.sequence for id in ids], seed)
    found["phi_ego"].get("mean_pose", {})["of"] = source
    return {"samples": len(ids), **found}
