"""`genego bench`: what it says of figures, and of benchmarks that cannot be measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import Result, observation
from genego_ros.cli import main
from genego_ros.commands import bench
from genego_ros.errors import GenEgoError


def result(value: float, unit: str = "ms", reference: float | None = 8.0) -> Result:
    return Result("splats", value, unit, "by hand", reference, "<= 10", True)


@pytest.mark.parametrize("unit", ["ms", "MB", "degrees", ""])
def test_less_of_what_costs_is_better(unit: str) -> None:
    assert result(2.0, unit).ratio == 4.0


@pytest.mark.parametrize("unit", ["Hz", "%", "share", "samples/s", "frames/s"])
def test_more_of_what_is_wanted_is_better(unit: str) -> None:
    assert result(16.0, unit).ratio == 2.0


def test_there_is_no_ratio_to_nothing() -> None:
    assert result(2.0, reference=None).ratio is None
    assert result(0.0).ratio is None
    assert result(100.0, "%", reference=0.0).ratio is None


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Takes the place of those in bench/."""

    def replace(**runs: Callable[[], object]) -> None:
        monkeypatch.setattr(bench, "names", lambda: sorted(runs))
        for name, run in runs.items():
            monkeypatch.setitem(sys.modules, f"bench.{name}", SimpleNamespace(run=run))

    return replace


def fails() -> list[Result]:
    raise AssertionError("the two sides\ndiffer")


def stops() -> Iterator[Result]:
    yield result(3.0)
    raise GenEgoError("no recordings")


def test_one_that_fails_costs_no_figures_of_the_others(
    benchmarks: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmarks(a=lambda: [result(2.0)], b=fails, c=stops, d=lambda: [result(0.0, "%", 0.0)])
    page, figures = tmp_path / "page.md", tmp_path / "figures.json"
    assert main(["bench", "--json", str(figures), "--markdown", str(page)]) == 1
    said = json.loads(figures.read_text(), parse_constant=pytest.fail)
    assert [(each["benchmark"], each["value"], each["ratio"]) for each in said["benchmarks"]] == [
        ("a", 2.0, 4.0),
        ("c", 3.0, 8 / 3),
        ("d", 0.0, None),
    ]
    assert said["unmeasured"] == {"b": "failed with AssertionError: the two sides differ", "c": "no recordings"}
    printed = capsys.readouterr()
    assert "MISSED  b: not measured, failed with AssertionError: the two sides differ\n" in printed.out
    assert "met     splats: 2 ms, target <= 10; by hand: 8 ms (4.00x)\n" in printed.out
    assert "in fails" in printed.err  # where it happened
    text = page.read_text()
    assert "## b\n" in text and "Not measured: failed with AssertionError: the two sides differ" in text
    assert "| splats | 2 ms | <= 10 | yes | by hand | 8 ms | 4.00 |" in text


def test_measuring_one_anew_leaves_the_sections_of_the_others(benchmarks: Callable[..., None], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    benchmarks(a=lambda: [result(2.0)], b=lambda: [result(4.0)], gone=lambda: [result(7.0)])
    assert main(["bench", "--markdown", str(page)]) == 0
    page.write_text(page.read_text().replace("## a\n", "## a\n\nOn an older sample.\n"))
    whole = page.read_text()
    benchmarks(a=lambda: [result(2.5)], b=lambda: [result(5.0)], c=lambda: [result(6.0)])
    assert main(["bench", "--only", "c", "b", "--markdown", str(page)]) == 0
    text = page.read_text()
    assert text[: text.index("## b")] == whole[: whole.index("## b")] and "On an older sample." in text
    for present in ("| splats | 2 ms |", "| splats | 5 ms |", "| splats | 6 ms |"):
        assert present in text
    assert "| splats | 4 ms |" not in text and "## gone" not in text
    assert text.index("## a") < text.index("## b") < text.index("## c")
    # To make a section with the same figures anew changes nothing.
    assert main(["bench", "--only", "b", "--markdown", str(page)]) == 0
    assert page.read_text() == text


def test_without_recordings_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENEGO_TEST_DATA", str(tmp_path))
    assert main(["bench", "--only", "reprojection"]) == 1
    folder = tmp_path / "rgbd_tabletop"
    assert f"reprojection: not measured, '{folder}' has no recordings" in capsys.readouterr().out


def test_no_side_of_stage_1_sees_time_go_back() -> None:
    stamps = [frame.stamp_ns for frame in observation.frames()]
    assert len(stamps) > observation.WARM_UP + observation.ROUNDS and stamps == sorted(set(stamps))


def test_the_page_in_docs_is_one_that_can_be_made_anew_in_parts() -> None:
    """Nothing stands in it that the next run would lose, and its ratios are those of its values."""
    text = (bench.ROOT / "docs" / "benchmarks.md").read_text()
    assert bench._page({"benchmarks": [], "unmeasured": {}}, text) == text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and line.count("|") == 8]
    ratios = [row for row in rows if row[6].strip(" |").replace(".", "").isdigit()]
    assert len(ratios) > 15
    for row in ratios:
        (value, unit), other = row[1].split(), float(row[5].split()[0])
        told = float(row[6].strip(" |"))
        assert told == pytest.approx(result(float(value), unit, other).ratio, abs=0.006, rel=0.002), row[0]
