"""How much pictures of a stream flicker: how much what stands still changes from one frame to the next.

A pixel is compared with what the frame before showed of the same point, by the true depth and the true poses of the
eyes, where both frames see it and the true pictures agree on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from tqdm import tqdm

from genego_ros.data.sample import Dataset, SampleId, View
from genego_ros.data.sample_ids import SampleIds
from genego_ros.errors import GenEgoError
from genego_ros.evaluation import intervals
from genego_ros.evaluation.inputs import Inputs
from genego_ros.evaluation.intervals import Estimate
from genego_ros.evaluation.observation.sparse import seen_by_both
from genego_ros.genego import EgoReconstructor
from genego_ros.inputs import RecordedObserver
from genego_ros.parameters import Parameters
from genego_ros.types import BoolArray, ByteArray

TRUTH = "truth"
SCORES = ("all", "made")
"""Mean difference in grey levels of 255: over all pixels that stand still, over those of them that were made up."""
STILL = 20.0
"""Grey levels that a true pixel may change by, in any of its colours, and count as standing still."""


def reconstructors(parameters: Parameters) -> dict[str, EgoReconstructor]:
    """What is compared: as in a stream, each picture by itself, and without a network."""
    kinds: dict[str, dict[str, object]] = {
        "genego": {},
        "genego, each picture by itself": {"reconstruction.smoothing_s": 0.0},
        "geometric": {"reconstruction.backend": "geometric"},
    }
    return {name: EgoReconstructor(parameters.changed(changed)) for name, changed in kinds.items()}


def clips(ids: SampleIds, count: int, length: int) -> list[list[SampleId]]:
    """At most so many runs of `length` frames that follow one another, each of another recording, evenly spread."""
    found: dict[str, list[SampleId]] = {}
    for run in ids.runs:
        frames = run.frames.tolist()
        for start in range(len(frames) - length + 1):
            if run.sequence not in found and frames[start + length - 1] - frames[start] == length - 1:
                part = frames[start : start + length]
                found[run.sequence] = [SampleId(run.sequence, run.camera, frame) for frame in part]
    ordered = [found[name] for name in sorted(found)]
    return [ordered[place] for place in np.linspace(0, len(ordered) - 1, min(count, len(ordered))).astype(int)]


def measure(
    dataset: Dataset, chosen: Sequence[Sequence[SampleId]], inputs: Inputs, parameters: Parameters, seed: int
) -> dict[str, dict[str, Estimate]]:
    """By what made the pictures and by score, in the mean over frames.

    Raises:
        GenEgoError: there is no clip, or a sample or its depth is missing.
    """
    if not chosen:
        raise GenEgoError("no recording has so many frames in a row: choose fewer --frames, or another split")
    compared = reconstructors(parameters)
    rows: list[tuple[int, Mapping[str, Mapping[str, float]]]] = []
    with RecordedObserver(parameters) as observer:
        for number, clip in enumerate(tqdm(chosen, "watching", unit="clip", disable=None)):
            rows += [(number, scores) for scores in _watched(dataset, clip, inputs, observer, compared, parameters)]
    groups = np.array([number for number, _ in rows])
    drawn = intervals.draw(len(chosen), seed)
    return {
        name: {
            score: intervals.mean(np.array([scores[name][score] for _, scores in rows]), groups, drawn)
            for score in SCORES
        }
        for name in (*compared, TRUTH)
    }


def _watched(
    dataset: Dataset,
    clip: Sequence[SampleId],
    inputs: Inputs,
    observer: RecordedObserver,
    compared: Mapping[str, EgoReconstructor],
    parameters: Parameters,
) -> Iterator[dict[str, dict[str, float]]]:
    """The scores of each frame but the first."""
    before: View | None = None
    shown: dict[str, ByteArray] = {}
    if inputs == "estimated":
        observer.load().forget()
    for id in clip:
        sample = dataset.sample(id)
        now = sample.ego
        if inputs == "true":
            observation = observer.true(sample)
        else:
            frame = replace(sample.exo[0].frame, depth=None)
            if before is None:
                observer.load().settle(frame)
            observation = observer.load().observe(frame, now.frame.camera)
        views = {name: reconstructor.reconstruct(observation) for name, reconstructor in compared.items()}
        pictures = {name: view.image for name, view in views.items()} | {TRUTH: now.frame.rgb}
        if before is not None:
            seen = seen_by_both(before, now, parameters.depth)
            still = seen.visible & (cv2.absdiff(seen.rgb, now.frame.rgb).max(axis=2) <= STILL)
            scores = {}
            for name, picture in pictures.items():
                last = replace(before, frame=replace(before.frame, rgb=shown[name]))
                change = cv2.absdiff(seen_by_both(last, now, parameters.depth).rgb, picture).mean(axis=2)
                made = still & ~views[name].seen if name in views else still
                scores[name] = {"all": _mean(change, still), "made": _mean(change, made)}
            yield scores
        before, shown = now, pictures


def _mean(change: np.ndarray, where: BoolArray) -> float:
    return float(change[where].mean()) if where.any() else math.nan
