"""What the measuring of stage 1 leaves: observation.md and observation.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from genego_ros.evaluation.observation.summary import PARTS
from genego_ros.evaluation.store import save

_LEGEND = """Medians; of shares, means. In brackets their 95% interval by bootstrap over recordings. n is how many
numbers a row has at most: pictures, hands, or those of them that tell. observation.json holds mean and median of all.
"""


class Column(NamedTuple):
    title: str
    digits: int
    factor: float = 1.0
    share: bool = False


def _share(title: str) -> Column:
    return Column(f"{title} (%)", 1, 100.0, True)


COLUMNS = {
    "abs_rel": Column("AbsRel", 3),
    "rmse_m": Column("RMSE (m)", 3),
    "delta": _share("delta < 1.25"),
    "covered": _share("covered"),
    "error": Column("error (%)", 1, 100.0),
    "absolute": Column("absolute error (%)", 1, 100.0),
    "spread": Column("spread (%)", 1, 100.0),
    "detected": _share("found"),
    "wrong_side": _share("wrong side"),
    "false": _share("false"),
    "mpjpe_mm": Column("MPJPE (mm)", 1),
    "pa_mpjpe_mm": Column("PA-MPJPE (mm)", 1),
    "wrist_cm": Column("wrist (cm)", 1),
    "wrist_share": Column("wrist (% of distance)", 1, 100.0),
    "shown": _share("shown rightly told"),
    "found": _share("found"),
    "degrees": Column("X (degrees)", 1),
    "cm": Column("X (cm)", 1),
    "within_2cm": _share("within 2 cm"),
    "within_5cm": _share("within 5 cm"),
    "within_20_grey": _share("within 20 grey levels"),
    "visible_within_2cm": _share("visible: within 2 cm"),
    "visible_within_5cm": _share("visible: within 5 cm"),
    "visible_right_2cm": _share("2 cm and colour kept"),
    "visible_right_5cm": _share("5 cm and colour kept"),
    "error_cm": Column("off (cm)", 1),
    "shift_px": Column("off (px)", 1),
    "right": _share("names the right hands"),
    "missed": _share("hands missed"),
    "invented": _share("hands invented"),
    "contact": _share("contact right"),
    "description": Column("description, beside the stream", 1),
}
"""How people read each number; names that are not here are milliseconds."""
_TITLES = {
    "depth": "Depth",
    "scale": "Scale",
    "hands": "Hands",
    "phi_ego": "phi_ego",
    "x": "X",
    "sparse": "S_ego",
    "description": "Description",
    "time_ms": "Time (ms)",
}


def write_report(results: Mapping[str, dict[str, Any]], folder: Path, command: str, nested: bool) -> str:
    """Writes both files, and returns the text of observation.md.

    Args:
        results: by split.
        nested: whether observation.json is {split: {...}}, otherwise that of the one split.

    Raises:
        GenEgoError: a file cannot be written.
    """
    text = markdown(results, command)
    said = dict(results) if nested else next(iter(results.values()))
    save(folder / "observation.json", (json.dumps(said, indent=1) + "\n").encode())
    save(folder / "observation.md", text.encode())
    return text


def markdown(results: Mapping[str, dict[str, Any]], command: str) -> str:
    """A table a split and part."""
    lines = ["# Stage 1, measured", "", f"`{command}`", "", *_LEGEND.splitlines(), ""]
    for split, found in results.items():
        lines += [f"## {split}", "", f"{found['samples']} samples.", ""]
        for part in PARTS:
            lines += [f"### {_TITLES[part]}", "", *_part(found[part]), ""]
    return "\n".join(lines)


def _part(found: Mapping[str, Any]) -> Iterator[str]:
    rows = dict(_rows(found))
    yield from (f"{name}: {said}" for name, said in _said(found))
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    if not names:
        return
    yield ""
    yield f"| | {' | '.join(_column(name).title for name in names)} | n |"
    yield f"|---|{'---|' * (len(names) + 1)}"
    for title, row in rows.items():
        cells = [_cell(row[name], _column(name)) if name in row else "" for name in names]
        yield f"| {title} | {' | '.join(cells)} | {max(number['n'] for number in row.values())} |"


def _rows(found: Mapping[str, Any], title: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Row title and numbers by name, depth first."""
    row = {name: value for name, value in found.items() if _is_number(value)}
    if row:
        yield title, row
    for name, value in found.items():
        if isinstance(value, dict) and not _is_number(value) and not _is_count(value):
            yield from _rows(value, f"{title}, {name}".removeprefix(", ").replace("_", " "))


def _said(found: Mapping[str, Any], title: str = "") -> Iterator[tuple[str, str]]:
    """What is said in words: counts, and why something is unavailable."""
    for name, value in found.items():
        path = f"{title} {name}".strip().replace("_", " ")
        if isinstance(value, str):
            yield path, " ".join(value.split())
        elif _is_count(value):
            yield path, ", ".join(f"{word} {count}" for word, count in value.items())
        elif isinstance(value, dict) and not _is_number(value):
            yield from _said(value, path)


def _is_number(value: Any) -> bool:
    return isinstance(value, dict) and "median" in value and "n" in value


def _is_count(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(count, int) for count in value.values())


def _column(name: str) -> Column:
    return COLUMNS.get(name, Column(name.replace("_", " "), 1))


def _cell(number: Mapping[str, Any], column: Column) -> str:
    def shown(value: float) -> str:
        return f"{column.factor * value:.{column.digits}f}"

    kind = ("mean", "low", "high") if column.share else ("median", "median_low", "median_high")
    value, low, high = (number[name] for name in kind)
    return shown(value) if low is None else f"{shown(value)} ({shown(low)} to {shown(high)})"
