"""An evaluation's tables as a paper has them: LaTeX with booktabs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping

from genego_ros.evaluation.intervals import Estimate
from genego_ros.evaluation.metrics import METRICS, columns
from genego_ros.evaluation.run import Results, SplitResult

_SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_COLUMN = 11
"""Letters of a line of a column's head."""


def latex(results: Results, command: str) -> str:
    """A `table*` a split: methods by metrics, with the digits of table.md but without intervals, the best in bold."""
    lines = [f"% {line}" for line in (*command.splitlines(), r"Needs \usepackage{booktabs}; intervals: see table.md.")]
    for name, split in results.splits.items():
        lines += ["", *_table(name, split)]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is, in one line."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


def _table(name: str, split: SplitResult) -> Iterator[str]:
    tops = columns(split.table)
    yield r"\begin{table*}"
    yield r"\centering\footnotesize\setlength{\tabcolsep}{3pt}"
    yield rf"\caption{{{escaped(name)}: samples: {len(split.ids)}, recordings: {split.recordings}.}}"
    yield rf"\begin{{tabular}}{{l{'r' * len(tops)}}}"
    yield r"\toprule"
    yield rf"method & {' & '.join(map(_head, tops))} \\"
    yield r"\midrule"
    for method, row in split.table.items():
        cells = [_cell(metric, row, top) for metric, top in tops.items()]
        yield rf"{escaped(method)} & {' & '.join(cells)} \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\end{table*}"


def _head(metric: str) -> str:
    words = textwrap.wrap(METRICS[metric].title, _COLUMN, break_on_hyphens=False)
    arrow = r"$\uparrow$" if METRICS[metric].higher_is_better else r"$\downarrow$"
    lines = r"\\".join(map(escaped, words))
    return rf"\shortstack{{{lines} {arrow}}}"


def _cell(metric: str, row: Mapping[str, Estimate], top: float) -> str:
    """A figure; a dash where the method has none, or no picture gives one."""
    if metric not in row or math.isnan(row[metric].mean):
        return "--"
    value = f"{row[metric].mean:.{METRICS[metric].digits}f}".replace("-", "$-$")
    return rf"\textbf{{{value}}}" if row[metric].mean == top else value
