"""The ruler: every measure that can be had, over one batch after the other, then over a split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from genego_ros.evaluation import intervals
from genego_ros.evaluation.backbones import UnavailableError, load_inception, load_lpips
from genego_ros.evaluation.distances import KernelDistance, frechet
from genego_ros.evaluation.features import Eye, perceptual
from genego_ros.evaluation.intervals import Estimate
from genego_ros.geometry.picture_errors import psnr, ssim
from genego_ros.types import Array, ByteArray, Float64Array

Batch = TypeVar("Batch")
SIZE = 256
"""Pixels; pictures are squeezed to SIZE x SIZE before they are compared."""


class Metric(NamedTuple):
    title: str
    higher_is_better: bool
    digits: int
    """After the decimal point, where people read it."""


METRICS = {
    "psnr": Metric("PSNR (dB)", True, 2),
    "ssim": Metric("SSIM", True, 3),
    "fd_effnet": Metric("fd_effnet", False, 2),
    "kd_effnet": Metric("kd_effnet", False, 2),
    "pd_effnet": Metric("pd_effnet", False, 4),
    "lpips": Metric("LPIPS (AlexNet)", False, 3),
    "fid": Metric("FID", False, 1),
    "hands": Metric("both hands found", True, 2),
    "hands_pa_mpjpe": Metric("hands' PA-MPJPE (mm)", False, 1),
    "seen_2cm": Metric("seen: within 2 cm", True, 3),
    "seen_20_grey": Metric("seen: within 20 grey levels", True, 3),
}
"""In the order of the tables. `hands`: of the pictures in whose truth a detector finds both hands, the share in which
it finds both here too; `hands_pa_mpjpe`: of the hands that it finds, against the true ones. Of the pixels that a method
marks as seen, `seen_2cm`: where true depth is known, the share whose point of the splat lies within 2 cm of it along z;
`seen_20_grey`: the share whose grey level is the true picture's within 20. Methods that do not say what they
saw have neither."""
_FRECHET = {"fd_effnet": "effnet", "fid": "inception"}
"""The features that each Frechet distance is over."""
_FRECHET_RESAMPLES = 200
"""Of the bootstrap's; each costs a singular value decomposition."""


def best(metric: str, figures: Sequence[float]) -> float:
    """The best of them, NaN left out; NaN where nothing is left."""
    there = [figure for figure in figures if not math.isnan(figure)]
    return (max if METRICS[metric].higher_is_better else min)(there, default=math.nan)


def columns(table: Mapping[str, Mapping[str, Estimate]]) -> dict[str, float]:
    """The metrics that some method of a table has, in the order of `METRICS`, and the best figure of each."""
    means = {metric: [row[metric].mean for row in table.values() if metric in row] for metric in METRICS}
    return {metric: best(metric, figures) for metric, figures in means.items() if figures}


@dataclass(frozen=True)
class Measured:
    """What is known of N pictures of one method."""

    scores: Mapping[str, Float64Array]
    """By metric, (N,)."""
    features: Mapping[str, Float64Array]
    """`effnet` (N, 320) and, where it can be had, `inception` (N, 2048)."""

    @staticmethod
    def joined(parts: Sequence[Measured]) -> Measured:
        """Batches one after the other."""
        scores = {name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores}
        features = {name: np.concatenate([part.features[name] for part in parts]) for name in parts[0].features}
        return Measured(scores, features)

    def rows(self, chosen: Array) -> Measured:
        """Of these pictures only, in this order."""
        return Measured(
            {name: values[chosen] for name, values in self.scores.items()},
            {name: values[chosen] for name, values in self.features.items()},
        )


class Ruler:
    """Every measure that can be had on this machine.

    Raises:
        GenEgoError: EfficientNet-Lite0 is not installed, or a file of LPIPS or FID is not what its name says.
    """

    def __init__(self) -> None:
        self._eye = Eye()
        self.left_out: dict[str, str] = {}
        """Metrics that cannot be had here, and why."""
        self._lpips = self._inception = None
        try:
            self._lpips = load_lpips()
        except UnavailableError as reason:
            self.left_out["lpips"] = str(reason)
        try:
            self._inception = load_inception()
        except UnavailableError as reason:
            self.left_out["fid"] = str(reason)

    def measure_all(
        self, batches: Iterable[Batch], load: Callable[[Batch], tuple[ByteArray, Mapping[str, ByteArray]]]
    ) -> Iterator[tuple[Measured, dict[str, Measured]]]:
        """Loads batches and measures them, in order; on all processors, a batch each, which waits for nobody.

        A batch is summed up in one thread, so that a figure does not depend on how many there are.

        Args:
            load: gives what `measure` takes.
        """
        processors = torch.get_num_threads()
        threads = ThreadPoolExecutor(processors, "ruler", torch.set_num_threads, (1,))
        torch.set_num_threads(1)
        try:
            yield from threads.map(lambda batch: self.measure(*load(batch)), batches)
        finally:
            threads.shutdown(cancel_futures=True)
            torch.set_num_threads(processors)

    def measure(self, truth: ByteArray, pictures: Mapping[str, ByteArray]) -> tuple[Measured, dict[str, Measured]]:
        """One batch: the truth's features, and each method's features and scores.

        Args:
            truth, and the pictures of each method: uint8 (N, SIZE, SIZE, 3), RGB, in the same order.
        """
        seen_truth = self._eye(truth)
        of_truth = Measured({}, {"effnet": seen_truth.pooled, **self._deep(truth)})
        of_methods = {}
        for method, batch in pictures.items():
            seen = self._eye(batch)
            scores = {
                "psnr": np.array([psnr(*pair) for pair in zip(truth, batch, strict=True)]),
                "ssim": np.array([ssim(*pair) for pair in zip(truth, batch, strict=True)]),
                "pd_effnet": perceptual(seen_truth, seen),
            }
            if self._lpips is not None:
                scores["lpips"] = self._lpips(truth, batch)
            of_methods[method] = Measured(scores, {"effnet": seen.pooled, **self._deep(batch)})
        return of_truth, of_methods

    def _deep(self, pictures: ByteArray) -> dict[str, Float64Array]:
        return {} if self._inception is None else {"inception": self._inception(pictures)}


def summarise(truth: Measured, method: Measured, recordings: Sequence[str], seed: int) -> dict[str, Estimate]:
    """Every metric of one method over one split, in the order of `METRICS`.

    A distance between sets needs two pictures; with one it is left out.

    Args:
        truth, method: of the same pictures.
        recordings: of each picture.
        seed: of the bootstrap over recordings; the same draws for every method, so that they can be compared.
    """
    names, groups = np.unique(np.asarray(recordings), return_inverse=True)
    drawn = intervals.draw(len(names), seed)
    n = len(groups)
    found = {name: intervals.mean(scores, groups, drawn) for name, scores in method.scores.items()}
    if n > 1:
        for name, features in _FRECHET.items():
            if features in truth.features:
                a, b = truth.features[features], method.features[features]
                replicates = [frechet(a, b, counts[groups]) for counts in drawn[:_FRECHET_RESAMPLES]]
                found[name] = intervals.estimate(frechet(a, b), np.array(replicates), n)
        kernel = KernelDistance(truth.features["effnet"], method.features["effnet"], groups)
        found["kd_effnet"] = intervals.estimate(float(kernel()[0]), kernel(drawn), n)
    return {name: found[name] for name in METRICS if name in found}
