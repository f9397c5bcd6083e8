"""Splits: the rules, that train and test stay apart, and the file."""

from __future__ import annotations

import json
import logging
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from genego_ros.data.sample import SampleId
from genego_ros.data.sample_ids import Run, SampleIds
from genego_ros.data.splits import (
    Splits,
    format_frames,
    h2o_splits,
    parse_frames,
    read_official,
    rendered_splits,
    taco_splits,
)
from genego_ros.errors import GenEgoError


def folder(sequences: list[str], frames: int = 150, cameras: tuple[str, ...] = ("cam0", "cam2")) -> SampleIds:
    return SampleIds(Run(name, camera, np.arange(frames, dtype=np.int32)) for name in sequences for camera in cameras)


def recordings(ids: SampleIds) -> set[str]:
    return {run.sequence for run in ids.runs}


H2O_NAMES = [f"{s}/{c}/{n}" for s, c, n in product(("subject1", "subject2"), ("h1", "k2", "o1"), "0567")]


def test_h2o_follows_exo2ego_s_rules() -> None:
    splits = h2o_splits(folder(H2O_NAMES))
    assert {name[-1] for name in recordings(splits.ids("objects"))} == {"7"}
    assert {name[-1] for name in recordings(splits.train_ids("objects"))} == {"0", "5"}
    assert {name[9:11] for name in recordings(splits.ids("scenes"))} == {"o1"}
    assert {name[9:11] for name in recordings(splits.train_ids("scenes"))} == {"h1", "k2"}
    assert {name[:8] for name in recordings(splits.train_ids("subjects"))} == {"subject1"}
    assert {name[:8] for name in recordings(splits.ids("subjects"))} == {"subject2"}
    for run in splits.ids("actions").runs:  # of 5 clips the last
        np.testing.assert_array_equal(run.frames, np.arange(120, 150))
        np.testing.assert_array_equal(splits.train_ids("actions").frames(*run[:2]), np.arange(120))
    assert splits.names("paper") == ("objects", "actions", "scenes", "subjects")
    assert len(splits.ids("all")) == len(H2O_NAMES) * 2 * 150


def test_a_folder_with_part_of_h2o_says_what_it_cannot_test(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        splits = h2o_splits(folder([name for name in H2O_NAMES if name.startswith("subject1")]))
    assert "subjects; left out" in caplog.text
    assert set(splits.lists) == {
        f"{train}{name}" for train in ("", "train-") for name in ("objects", "actions", "scenes")
    }
    with pytest.raises(GenEgoError, match="no split 'subjects' here; there is train-objects, objects"):
        splits.names("paper")


def rendered() -> Splits:
    names = [f"subject{s}/h{c}/{n}" for s, c, n in product((1, 2, 3), (1, 2, 3), (1, 4, 9))]
    return rendered_splits(folder(names, 200), test_objects={"9"}, test_scenes={"h3"}, test_subjects={"subject2"})


def test_one_train_list_serves_all_rendered_splits() -> None:
    splits = rendered()
    train = splits.ids("train")
    assert recordings(train) == {f"subject{s}/h{c}/{n}" for s, c, n in product((1, 3), (1, 2), (1, 4))}
    assert all(len(splits.train_ids(name)) == len(train) for name in splits.names("paper"))
    held_out = {"objects": "/9", "scenes": "/h3/", "subjects": "subject2/"}
    for name, part in held_out.items():
        assert len(recordings(splits.ids(name))) == 9 and all(
            part in sequence for sequence in recordings(splits.ids(name))
        )
        assert not recordings(splits.ids(name)) & recordings(train)
    for run in splits.ids("actions").runs:
        np.testing.assert_array_equal(run.frames, np.arange(160, 200))
        np.testing.assert_array_equal(train.frames(*run[:2]), np.arange(130))
    assert recordings(splits.ids("actions")) == recordings(train)


def test_the_gap_is_of_frame_numbers_where_frames_are_left_out() -> None:
    ids = SampleIds([Run(f"subject1/h1/{n}", "cam0", np.arange(0, 300, 3, dtype=np.int32)) for n in range(2)])
    ids = SampleIds(
        [*ids.runs, *(Run(name, "cam0", np.arange(9, dtype=np.int32)) for name in ("a/h1/2", "b/z/1", "c/h1/1"))]
    )
    splits = rendered_splits(ids, {"2"}, {"z"}, {"c"})
    assert splits.ids("actions").frames("subject1/h1/0", "cam0")[0] == 240
    assert splits.ids("train").frames("subject1/h1/0", "cam0")[-1] == 207


def test_a_split_without_samples_is_refused() -> None:
    ids = folder(["subject1/h1/1", "subject1/h1/2"])
    with pytest.raises(
        GenEgoError, match=r"split 'scenes' has no samples; put more or longer recordings .* --rules h2o"
    ):
        rendered_splits(ids, {"2"}, {"h9"}, {"subject9"})


def test_taco_holds_out_whole_actions_and_knows_its_official_lists(tmp_path: Path) -> None:
    names = [
        "(stir, spoon, bowl)/20231105_019",
        "(stir-fry, spoon, pan)/20231020_071",
        "(hit, hammer, toy)/20231102_070",
    ]
    listed = tmp_path / "lists.txt"
    listed.write_text("20231105_019,test_4\n20231020_071,train\n20231102_070,test_3\n20231031_050,test_1\n")
    splits = taco_splits(folder(names), read_official(listed))
    assert recordings(splits.ids("actions")) == {names[0]}
    assert recordings(splits.train_ids("actions")) == set(names[1:])
    assert recordings(splits.train_ids("test_4")) == {names[1]}
    assert set(splits.lists) == {"actions", "train-actions", "train", "test_3", "test_4"}
    listed.write_text("20231105_019 test_4\n")
    with pytest.raises(GenEgoError, match=r"lists\.txt: '20231105_019,' is no sequence and list"):
        read_official(listed)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([0], "0"),
        ([0, 1, 2, 3], "0-3"),
        ([0, 3, 6, 40, 50, 51, 52], "0-6:3,40,50-52"),
        ([4, 9], "4,9"),
        ([1, 2, 4, 6, 8, 9], "1,2-8:2,9"),
    ],
)
def test_frames_are_written_as_ranges(numbers: list[int], text: str) -> None:
    assert format_frames(np.array(numbers, np.int32)) == text
    assert parse_frames(text).tolist() == numbers


def test_any_frames_come_back() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        frames = np.unique(rng.integers(0, 40, rng.integers(1, 30))).astype(np.int32)
        np.testing.assert_array_equal(parse_frames(format_frames(frames)), frames)


def test_a_file_says_what_was_written(tmp_path: Path) -> None:
    splits = rendered()
    splits.write(tmp_path / "splits.json")
    found = Splits.read(tmp_path / "splits.json", splits.whole)
    assert found.dataset == "rendered" and list(found.lists) == list(splits.lists)
    for name in splits.lists:
        assert list(found.ids(name)) == list(splits.ids(name))
    listed = json.loads((tmp_path / "splits.json").read_text())["lists"]
    assert listed["actions"]["subject1/h1/1"] == {"cam0": "160-199", "cam2": "160-199"}


def said(**lists: object) -> str:
    return json.dumps({"version": 1, "dataset": "h2o", "lists": lists})


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", r"splits\.json: cannot be read"),
        ("[]", r"splits\.json: no split file of version 1"),
        (json.dumps({"version": 2, "lists": {}}), r"splits\.json: no split file of version 1"),
        (said(objects={}), r"splits\.json: split 'objects' has no samples"),
        (
            said(objects={"a/h1/0": {"cam0": "5-3"}}),
            r"splits\.json: list 'objects' cannot be read .*'5-3' do not ascend",
        ),
        (said(objects={"a/h1/0": {"cam0": "0-999999999999"}}), r"splits\.json: list 'objects' .* 0 to 999999"),
        (said(objects={"a/h1/0": {"cam0": "99999999999999999999"}}), r"splits\.json: list 'objects' .* 0 to 999999"),
        (
            said(objects={"a/h1/0": {"cam0": ",".join(["0-999999"] * 9999)}}),
            r"splits\.json: list 'objects' .*do not ascend",
        ),
        (
            said(objects={f"{n}/h1/0": {"cam0": "0-999999"} for n in range(999)}),
            r"0/h1/0/cam0/000000: in list 'objects'",
        ),
        (said(objects={"a/h1/0": {"cam0": "-5"}}), r"list 'objects' cannot be read \('-5' is no FIRST"),
        (said(objects={"a/h1/0": {"cam0": "-5--1"}}), r"list 'objects' cannot be read"),
        (said(objects={"a/h1/0": {"cam0": "0-9:0"}}), r"list 'objects' cannot be read"),
        (said(objects={"a/h1/0": {"cam0": "0-9:-1"}}), r"list 'objects' cannot be read"),
        ("[" * 100_000, r"splits\.json: cannot be read"),
        (said(objects={"a/h1/0": {"cam0": "3,3"}}), r"list 'objects' cannot be read \(the frames '3,3' do not ascend"),
        (said(objects={"a/h1/0": {"cam0": "x"}}), r"list 'objects' cannot be read"),
        (said(objects={"a/h1/0": ["cam0"]}), r"list 'objects' cannot be read"),
        (said(objects={"a/h1/0": {"cam0": [1, 2]}}), r"list 'objects' cannot be read"),
        (said(objects={"a/h1/0": {"cam0": "8-12"}}), r"a/h1/0/cam0/000010: in list 'objects' of .* \(3 such"),
        (said(objects={"b/h1/0": {"cam0": "1"}}), r"b/h1/0/cam0/000001: in list 'objects' of"),
        (
            said(train={"a/h1/0": {"cam0": "0-5"}}, objects={"a/h1/0": {"cam0": "5-9"}}),
            r"splits\.json: sample a/h1/0/cam0/000005 is in 'objects' and its moment in 'train'",
        ),
        (
            said(train={"a/h1/0": {"cam0": "0-3", "cam2": "4-9"}}, objects={"a/h1/0": {"cam0": "6"}}),
            r"splits\.json: sample a/h1/0/cam0/000006 is in 'objects' and its moment in 'train'",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "splits.json"
    path.write_text(text)
    with pytest.raises(GenEgoError, match=error) as raised:
        Splits.read(path, folder(["a/h1/0"], 10))
    assert str(tmp_path) in str(raised.value)


def test_a_split_may_have_a_train_list_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    lists = {"train-objects": {"a/h1/0": {"cam0": "0-5"}}, "objects": {"a/h1/0": {"cam0": "6-9"}}}
    path.write_text(said(train={"a/h1/0": {"cam0": "8"}}, **lists))
    splits = Splits.read(path, folder(["a/h1/0"], 10))
    assert [id.frame for id in splits.train_ids("objects")] == list(range(6))
    assert list(splits.train_ids("all")) == [SampleId("a/h1/0", "cam0", 8)]


def test_samples_are_listed_once_and_in_order() -> None:
    ids = [SampleId("b", "cam1", 4), SampleId("a", "cam2", 9), SampleId("a", "cam2", 1), SampleId("b", "cam1", 4)]
    assert list(SampleIds.of(ids)) == sorted(set(ids))
    assert len(SampleIds.of([])) == 0
