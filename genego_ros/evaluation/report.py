"""What an evaluation leaves: table.md, table.tex, table.json, differences.json, scores.jsonl and sheet.png."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from genego_ros.data.encoding import png
from genego_ros.data.sample import Dataset, SampleId
from genego_ros.data.sheet import contact_sheet, nobody_seen
from genego_ros.evaluation.differences import REFERENCE, Difference
from genego_ros.evaluation.intervals import Estimate
from genego_ros.evaluation.latex import latex
from genego_ros.evaluation.metrics import METRICS, SIZE, columns
from genego_ros.evaluation.run import Results, SplitResult, spread
from genego_ros.evaluation.store import TRUTH, Store, save
from genego_ros.types import ByteArray, Camera

_ROWS = 24
"""Of the picture sheet."""
_LEGEND = f"""Pictures are squeezed to {SIZE} x {SIZE}, never cropped. In brackets: 95% intervals by bootstrap over
recordings. fd_effnet, kd_effnet and pd_effnet are the Frechet, kernel and perceptual distances over EfficientNet-Lite0
features. Distances between sets (fd_effnet, FID) shrink as the number of samples grows:
compare them within a split only. kd_effnet is an unbiased estimate of a square: it, and more so the low end of its
interval, may be negative where two sets are hardly to be told apart; read that as no difference. Both hands found: of
the pictures in whose truth MediaPipe finds both hands, the share in which it finds both here; PA-MPJPE is of all hands
that it finds here, so that a method of which it finds few has few to be wrong about. Seen: of the pixels that a method
marks as seen by the camera, the share whose point lies within 2 cm of the true depth, where that is known, and the
share whose grey level is the true one within 20 of 256; a method that does not say what it saw has none (-). Best in
bold."""

_DIFFERENCES = f"""{REFERENCE} minus each other method, over the same pictures; intervals by the same draws of
recordings. One without 0 in it is a difference that the recordings agree on."""


def write_report(results: Results, dataset: Dataset, store: Store, command: str) -> str:
    """Writes the six files into the store's folder, and returns the text of table.md.

    Raises:
        GenEgoError: a file cannot be written, or a sample of the sheet cannot be read.
    """
    text = markdown(results, command)
    save(store.folder / "scores.jsonl", "".join(_score_lines(results, store)).encode())
    save(store.folder / "sheet.png", png(sheet(results, dataset, store)))
    save(store.folder / "table.md", text.encode())
    save(store.folder / "table.tex", latex(results, command).encode())
    save(store.folder / "table.json", (json.dumps(as_json(results), indent=1) + "\n").encode())
    apart = {name: differences_as_json(split.differences) for name, split in results.splits.items()}
    save(store.folder / "differences.json", (json.dumps(apart, indent=1) + "\n").encode())
    return text


def as_json(results: Results) -> dict[str, Any]:
    """{split: {method: {metric: {mean, low, high, n}}}}; low and high are null where there is no interval."""
    return {
        name: {
            method: {metric: numbers(estimate) for metric, estimate in row.items()}
            for method, row in split.table.items()
        }
        for name, split in results.splits.items()
    }


def differences_as_json(found: Mapping[str, Difference]) -> dict[str, Any]:
    """{metric: {best_other, minus: {method: {mean, low, high, n}}}}."""
    return {
        metric: {
            "best_other": difference.best_other,
            "minus": {method: numbers(estimate) for method, estimate in difference.minus.items()},
        }
        for metric, difference in found.items()
    }


def numbers(estimate: Estimate) -> dict[str, Any]:
    """As JSON: NaN is null."""
    values = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
    return {**{name: None if math.isnan(value) else value for name, value in values.items()}, "n": estimate.n}


def markdown(results: Results, command: str) -> str:
    """A table a split, and what must be known to read it."""
    lines = ["# Evaluation", "", f"`{command}`", "", *_LEGEND.splitlines(), ""]
    lines += [*results.left_out.values(), ""] if results.left_out else []
    for name, split in results.splits.items():
        lines += [f"## {name}", "", _what_it_holds(split), "", *_table(split.table), ""]
        if split.differences:
            others = [method for method in split.table if method != REFERENCE]
            lines += [_DIFFERENCES, "", *_difference_table(split.differences, others), ""]
    return "\n".join(lines)


def _what_it_holds(split: SplitResult) -> str:
    text = f"{len(split.ids)} samples of {split.recordings} recordings."
    if len(split.ids) == 1:
        text = "One sample of one recording: no intervals, and no distances between sets."
    elif split.recordings == 1:
        text = f"{len(split.ids)} samples of one recording, which says nothing of others: no intervals."
    if split.nobody_seen is not None:
        text += f" In {split.nobody_seen} of them stage 1 found nobody to look through; they count like any other."
    return text


def _table(table: Mapping[str, Mapping[str, Estimate]]) -> Iterator[str]:
    tops = columns(table)
    yield f"| method | {' | '.join(map(_title, tops))} |"
    yield f"|---|{'---|' * len(tops)}"
    for method, row in table.items():
        cells = [_cell(metric, row.get(metric), top) for metric, top in tops.items()]
        yield f"| {method} | {' | '.join(cells)} |"


def _difference_table(found: Mapping[str, Difference], others: Sequence[str]) -> Iterator[str]:
    yield f"| {REFERENCE} minus | best other | {' | '.join(others)} |"
    yield f"|---|---|{'---|' * len(others)}"
    for metric, difference in found.items():
        cells = [_cell(metric, difference.minus.get(method), sign="+") for method in others]
        yield f"| {_title(metric)} | {difference.best_other} | {' | '.join(cells)} |"


def _title(metric: str) -> str:
    return f"{METRICS[metric].title}, {'higher' if METRICS[metric].higher_is_better else 'lower'} is better"


def _cell(metric: str, estimate: Estimate | None, top: float = math.nan, sign: str = "") -> str:
    """A figure with its interval, in bold where it is `top`; `sign` is a format's, "+" shows that of positive ones."""
    form = f"{sign}.{METRICS[metric].digits}f"
    if estimate is None:
        return "-"
    if not estimate.n:
        return "none"
    value = f"{estimate.mean:{form}}"
    value = f"**{value}**" if estimate.mean == top else value
    if math.isnan(estimate.low):
        return value
    return f"{value} ({estimate.low:{form}} to {estimate.high:{form}})"


def _score_lines(results: Results, store: Store) -> Iterator[str]:
    """One line of JSON for each split, method and sample; `observed` is whether stage 1 found somebody."""
    for name, split in results.splits.items():
        for method, scores in split.scores.items():
            for row, id in enumerate(split.ids):
                said = {"split": name, "method": method, "sample": str(id), "observed": store.observed(id)}
                found = {metric: values[row] for metric, values in scores.items()}
                yield json.dumps({**said, **{key: None if math.isnan(x) else x for key, x in found.items()}}) + "\n"


def sheet(results: Results, dataset: Dataset, store: Store) -> ByteArray:
    """Some samples of all splits, evenly spread: the third-person view, each method's picture, the true one."""
    methods = list(next(iter(results.splits.values())).table)
    ids = sorted(set().union(*(split.ids for split in results.splits.values())))
    rows = [_row(dataset, id, methods, store) for id in spread(ids, _ROWS)]
    return contact_sheet(["third person", *methods, TRUTH], rows)


def _row(dataset: Dataset, id: SampleId, methods: Sequence[str], store: Store) -> list[ByteArray]:
    sample = dataset.sample(id)
    exo = sample.exo[0].frame.rgb
    first = nobody_seen(exo) if store.observed(id) is False else exo
    camera = sample.ego.frame.camera
    return [first, *(_stretched(store.read(name, id), camera) for name in (*methods, TRUTH))]


def _stretched(picture: ByteArray, camera: Camera) -> ByteArray:
    """A squeezed picture in the proportions of its camera."""
    width = round(SIZE * camera.width / camera.height)
    return np.asarray(cv2.resize(picture, (width, SIZE), interpolation=cv2.INTER_LINEAR))
