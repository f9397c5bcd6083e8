"""One evaluation: predict what is missing, then measure everything that was asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

import genego_ros
from genego_ros import weights
from genego_ros.data.sample import Dataset, SampleId, View
from genego_ros.errors import GenEgoError
from genego_ros.evaluation import hands, seen
from genego_ros.evaluation.differences import Difference, differences
from genego_ros.evaluation.inputs import CaseMaker, Inputs
from genego_ros.evaluation.intervals import Estimate
from genego_ros.evaluation.methods import Method
from genego_ros.evaluation.metrics import SIZE, Measured, Ruler, summarise
from genego_ros.evaluation.store import TRUTH, Store
from genego_ros.geometry.squeeze import squeeze
from genego_ros.inputs import brought_weights, file_state
from genego_ros.observation.observer import hand_mesh_file
from genego_ros.parameters import Parameters
from genego_ros.types import ByteArray, EgoView, Float64Array

Item = TypeVar("Item")
_PACKAGES = ("observation", "reconstruction", "geometry", "evaluation")
"""What makes predictions, beside the modules of `genego_ros` and `data` themselves."""
_BATCH = 4
"""Pictures measured at a time; the network's features of more do not fit a processor's cache."""


@dataclass(frozen=True)
class SplitResult:
    """What was found on one split."""

    ids: Sequence[SampleId]
    nobody_seen: int | None
    """Samples in which stage 1 found nobody to look through; they count like any other. None where no method
    asked stage 1."""
    scores: Mapping[str, Mapping[str, Sequence[float]]]
    """By method and metric, of each sample of `ids`."""
    table: Mapping[str, Mapping[str, Estimate]]
    """By method and metric."""
    differences: Mapping[str, Difference]
    """By metric; empty where `differences.REFERENCE` is not among the methods."""

    @property
    def recordings(self) -> int:
        return len({id.sequence for id in self.ids})


@dataclass(frozen=True)
class Results:
    splits: Mapping[str, SplitResult]
    left_out: Mapping[str, str]
    """Metrics that could not be had, and why."""


def evaluate(
    dataset: Dataset,
    splits: Mapping[str, Sequence[SampleId]],
    methods: Mapping[str, Method],
    ruler: Ruler,
    store: Store,
    cases: CaseMaker,
    seed: int,
) -> Results:
    """Predicts what `store` lacks, and measures `methods` on every split.

    Args:
        seed: of the bootstrap.

    Raises:
        GenEgoError: a sample or a prediction is missing or damaged, weights are missing, the disk is full. What was
            predicted until then is kept.
    """
    ids = sorted(set().union(*splits.values()))
    for id in tqdm(ids, "predicting", unit="sample", disable=None):
        _predict(dataset, id, methods, store, cases)
    truth, measured = _measure(ids, list(methods), store, ruler)
    of_hands = _hands(dataset, ids, list(methods), store)
    for name, of in measured.items():
        measured[name] = replace(of, scores={**of.scores, **of_hands[name], **_seen(ids, name, store)})
    place = {id: index for index, id in enumerate(ids)}
    return Results(
        {
            name: _split_result(chosen, np.array([place[id] for id in chosen]), truth, measured, store, seed)
            for name, chosen in splits.items()
        },
        ruler.left_out,
    )


def settings(dataset: Path, inputs: Inputs, parameters: Parameters) -> dict[str, object]:
    """What predictions depend on, beside the method and the sample."""
    return {"inputs": inputs, "size": SIZE, **common_settings(dataset, parameters)}


def common_settings(dataset: Path, parameters: Parameters) -> dict[str, object]:
    """What everything that stage 1 makes of a sample depends on.

    Raises:
        GenEgoError: weights that `parameters` name, or the hand mesh, cannot be read.
    """
    promised = {name: weight.sha256 for name, weight in weights.manifest().items()}
    return {
        "dataset": str(dataset.resolve()),
        "parameters": parameters.as_mapping(),
        "weights": {**promised, "hands' mesh": file_state(hand_mesh_file()), **dict(brought_weights(parameters))},
        "code": code(),
    }


def code() -> str:
    """Hash of the sources that a prediction of our own methods comes from; not of methods of other packages."""
    root = Path(genego_ros.__file__).parent
    sources = [*root.glob("*.py"), *root.glob("data/*.py")]
    sources += [path for package in _PACKAGES for path in root.glob(f"{package}/**/*.py")]
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(f"{path.relative_to(root).as_posix()} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def spread(ids: Sequence[Item], limit: int) -> list[Item]:
    """At most `limit` of them, evenly spread; all where it is 0."""
    if not limit or len(ids) <= limit:
        return list(ids)
    return [ids[index] for index in np.linspace(0, len(ids) - 1, limit).round().astype(int)]


def _predict(
    dataset: Dataset,
    id: SampleId,
    methods: Mapping[str, Method],
    store: Store,
    cases: CaseMaker,
) -> None:
    """Makes what is missing of one sample."""
    missing = [name for name in methods if not store.has(name, id)]
    if not missing and store.has(TRUTH, id):
        return
    sample = dataset.sample(id)
    case = cases.case(sample)
    pictures = {}
    for name in missing:
        made = methods[name].predict(case)
        pictures[name] = _checked(made.image if isinstance(made, EgoView) else made, name, id)
        if isinstance(made, EgoView):
            store.write_seen(name, id, seen.scores(_checked_view(made, sample.ego, name, id), sample.ego))
    if case.observed is not None:
        store.write_observation(id, case.observed)
    for name, picture in {TRUTH: sample.ego.frame.rgb, **pictures}.items():
        store.write(name, id, squeeze(picture, SIZE, SIZE))


def _checked(picture: ByteArray, method: str, id: SampleId) -> ByteArray:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise GenEgoError(f"method '{method}' gave {picture.dtype} {picture.shape} for {id}: uint8 (H, W, 3) is wanted")
    return picture


def _checked_view(view: EgoView, ego: View, method: str, id: SampleId) -> EgoView:
    shape = ego.frame.rgb.shape[:2]
    if view.image.shape != (*shape, 3) or view.seen.shape != shape or view.seen.dtype != bool:
        raise GenEgoError(
            f"method '{method}' gave an EgoView of {view.image.shape} and seen {view.seen.dtype} {view.seen.shape} for "
            f"{id}: the camera asks for {(*shape, 3)} and bool {shape}"
        )
    return view


def _measure(
    ids: Sequence[SampleId], methods: Sequence[str], store: Store, ruler: Ruler
) -> tuple[Measured, dict[str, Measured]]:
    """The truth's features and each method's features and scores, of all samples in order."""

    def load(batch: Sequence[SampleId]) -> tuple[ByteArray, dict[str, ByteArray]]:
        truth = np.stack([store.read(TRUTH, id) for id in batch])
        return truth, {name: np.stack([store.read(name, id) for id in batch]) for name in methods}

    batches = [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]
    of_truth: list[Measured] = []
    of_methods: dict[str, list[Measured]] = {name: [] for name in methods}
    with tqdm(total=len(ids) * len(methods), desc="measuring", unit="image", disable=None) as progress:
        for batch, (part, parts) in zip(batches, ruler.measure_all(batches, load), strict=True):
            of_truth.append(part)
            for name in methods:
                of_methods[name].append(parts[name])
            progress.update(len(batch) * len(methods))
    return Measured.joined(of_truth), {name: Measured.joined(parts) for name, parts in of_methods.items()}


def _hands(
    dataset: Dataset, ids: Sequence[SampleId], methods: Sequence[str], store: Store
) -> dict[str, dict[str, Float64Array]]:
    """Each method's scores of the hands in its pictures, of all samples in order."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
    with hands.HandRuler() as ruler:
        for id in tqdm(ids, "finding hands", unit="sample", disable=None):
            view = dataset.sample(id).ego
            in_truth = ruler.find(store.read(TRUTH, id), view)
            for name in methods:
                rows[name].append(hands.scores(ruler.find(store.read(name, id), view), in_truth, view))
    return {
        name: {score: np.array([row[score] for row in found]) for score in found[0]} for name, found in rows.items()
    }


def _seen(ids: Sequence[SampleId], method: str, store: Store) -> dict[str, Float64Array]:
    """A method's scores of its seen masks, of all samples in order; none where it does not say what it saw.

    Raises:
        GenEgoError: they are there for some samples only, or damaged.
    """
    rows = {id: store.seen(method, id) for id in ids}
    there = [row for row in rows.values() if row is not None]
    if not there:
        return {}
    for id, row in rows.items():
        if row is None or row.keys() != there[0].keys():
            raise GenEgoError(
                f"what method '{method}' saw of {id} is missing; delete '{store.path(method, id)}' and run the command "
                "again: it makes both anew"
            )
    return {name: np.array([row[name] for row in there]) for name in there[0]}


def _split_result(
    ids: Sequence[SampleId],
    rows: np.ndarray,
    truth: Measured,
    measured: Mapping[str, Measured],
    store: Store,
    seed: int,
) -> SplitResult:
    observed = [store.observed(id) for id in ids]
    recordings = [id.sequence for id in ids]
    of_split = {name: everything.rows(rows) for name, everything in measured.items()}
    scores = {name: {metric: of.scores[metric].tolist() for metric in of.scores} for name, of in of_split.items()}
    table = {name: summarise(truth.rows(rows), of, recordings, seed) for name, of in of_split.items()}
    return SplitResult(
        ids,
        None if None in observed else observed.count(False),
        scores,
        table,
        differences(scores, table, recordings, seed),
    )
