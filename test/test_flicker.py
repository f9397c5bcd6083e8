"""`genego evaluate flicker`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from mock_datasets import write_h2o

from genego_ros.cli import main
from genego_ros.data.h2o import H2O
from genego_ros.data.sample import SampleId
from genego_ros.data.sample_ids import SampleIds
from genego_ros.evaluation import flicker
from genego_ros.evaluation.flicker import TRUTH, clips, measure
from genego_ros.parameters import Parameters
from genego_ros.types import EgoView, ExoObservation

RECORDINGS = ("subject1/h1/1", "subject1/h1/7", "subject2/h1/1")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("h2o")
    write_h2o(root, RECORDINGS, range(3), ("cam0", "cam4"), rendered=True)
    return root


def names(*frames: int) -> list[SampleId]:
    return [SampleId(sequence, "cam0", frame) for sequence in ("a", "b", "c") for frame in frames]


def test_clips_are_frames_in_a_row_of_different_recordings() -> None:
    ids = SampleIds.of([*names(0, 2, 3, 4, 7), SampleId("a", "cam1", 0)])
    assert [[id.frame for id in clip] for clip in clips(ids, 9, 3)] == [[2, 3, 4]] * 3
    assert [clip[0].sequence for clip in clips(ids, 2, 3)] == ["a", "c"]
    assert clips(ids, 9, 4) == []


class Blinking:
    """A grey picture that is `by` levels brighter in every other frame; its upper half is marked as seen."""

    def __init__(self, by: int) -> None:
        self.by, self.count = by, 0

    def reconstruct(self, observation: ExoObservation) -> EgoView:
        self.count += 1
        height, width = observation.sparse.projected.shape
        image = np.full((height, width, 3), 100, np.uint8)
        image[height // 2 :] += np.uint8(self.by * (self.count % 2))
        seen = np.zeros((height, width), bool)
        seen[: height // 2] = True
        return EgoView(image, seen, observation, "blinking")


def test_blinking_is_measured_where_the_truth_stands_still(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"still": Blinking(0), "blinking": Blinking(40)}
    monkeypatch.setattr(flicker, "reconstructors", lambda _: made)
    reader = H2O(dataset)
    chosen = clips(SampleIds.of(reader.ids), 3, 3)
    found = measure(reader, chosen, "true", Parameters(), 0)
    assert found["still"]["all"].mean == found["still"]["made"].mean == 0
    assert found["blinking"]["made"].mean == pytest.approx(40, abs=0.5)  # but at the line between the halves
    assert 0 < found["blinking"]["all"].mean < 40 and found["blinking"]["all"].n == 3 * 2
    assert 0 <= found[TRUTH]["all"].mean <= flicker.STILL


def test_the_command_writes_a_table_and_its_numbers(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*options: str) -> int:
        command = ["evaluate", "flicker", "--dataset", str(dataset), "--out", str(tmp_path), "--inputs", "true"]
        return main([*command, *options, "reconstruction.backend:=geometric"])

    assert run("--frames", "3", "--limit", "2") == 0
    table = json.loads((tmp_path / "flicker.json").read_text())["all"]
    assert list(table) == ["genego", "genego, each picture by itself", "geometric", TRUTH]
    assert table["genego"] == table["geometric"] and table["geometric"]["all"]["n"] == 4
    assert math.isfinite(table["geometric"]["made"]["mean"])
    text = (tmp_path / "flicker.md").read_text()
    assert text in capsys.readouterr().out and "4 pairs of frames" in text
    assert run("--frames", "1") == 1 and "it must be 2 or more" in capsys.readouterr().err
    assert run("--frames", "4") == 1 and "choose fewer --frames" in capsys.readouterr().err
