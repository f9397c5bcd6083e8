"""table.tex, read back cell by cell."""

from __future__ import annotations

import math
import re

from genego_ros.data.sample import SampleId
from genego_ros.evaluation.intervals import Estimate
from genego_ros.evaluation.latex import escaped, latex
from genego_ros.evaluation.run import Results, SplitResult


def figure(mean: float) -> Estimate:
    return Estimate(mean, math.nan, math.nan, 0 if math.isnan(mean) else 4)


ROWS = {
    "genego_pose": {"psnr": 21.456, "kd_effnet": -0.126, "hands": math.nan, "seen_2cm": 0.9},
    "50% & #1": {"psnr": 19.0, "kd_effnet": 3.0, "hands": math.nan},
}
TABLE = {method: {metric: figure(mean) for metric, mean in row.items()} for method, row in ROWS.items()}
IDS = [SampleId(f"subject{i}/h1/0", "cam0", frame) for i in (1, 2) for frame in (0, 1)]


def split() -> SplitResult:
    return SplitResult(IDS, None, {}, TABLE, {})


def test_each_split_is_a_table_of_methods_by_metrics_with_the_best_in_bold() -> None:
    text = latex(Results({"unseen_objects": split(), "all": split()}, {}), "./genego evaluate")
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 2
    first = text[: text.index(r"\end{table*}")]
    assert r"\caption{unseen\_objects: samples: 4, recordings: 2.}" in first
    assert r"\begin{tabular}{lrrrr}" in first
    head, body = re.search(r"\\toprule\n(.*)\n\\midrule\n(.*)\n\\bottomrule", first, re.DOTALL).groups()
    rows = [re.split(r"(?<!\\)&", line.removesuffix(r" \\")) for line in (head, *body.splitlines())]
    assert [[cell.strip() for cell in row] for row in rows] == [
        [
            "method",
            r"\shortstack{PSNR (dB) $\uparrow$}",
            r"\shortstack{kd\_effnet $\downarrow$}",
            r"\shortstack{both hands\\found $\uparrow$}",
            r"\shortstack{seen:\\within 2 cm $\uparrow$}",
        ],
        [r"genego\_pose", r"\textbf{21.46}", r"\textbf{$-$0.13}", "--", r"\textbf{0.900}"],
        [r"50\% \& \#1", "19.00", "3.00", "--", "--"],
    ]


def test_a_command_of_any_text_stays_in_comments() -> None:
    text = latex(Results({"all": split()}, {}), "./genego evaluate 'a\n\\input{b}\r\\end'")
    lines = text[: text.index(r"\begin{table*}")].splitlines()
    assert all(line.startswith("% ") for line in lines if line) and any(r"\input{b}" in line for line in lines)


def test_everything_that_latex_takes_for_something_else_is_escaped() -> None:
    assert escaped("a_b{c}\\d~e^f\n<g>") == (
        r"a\_b\{c\}\textbackslash{}d\textasciitilde{}e\textasciicircum{}f \textless{}g\textgreater{}"
    )
