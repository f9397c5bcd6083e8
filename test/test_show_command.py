"""`genego show` and `genego splits`, as they are called."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mock_datasets import TACO_CAMERAS, TRIPLET, MockScene, write_h2o, write_taco

from genego_ros.cli import main
from genego_ros.commands.show import reprojection, with_hands
from genego_ros.data.h2o import H2O
from genego_ros.geometry import rigid
from genego_ros.geometry.camera import project
from genego_ros.geometry.skeleton import SIDE_COLORS
from genego_ros.types import SIDES

NAMES = [
    f"subject{subject}/h{scene}/{number}" for subject, scene, number in ((1, 1, 1), (1, 1, 4), (2, 1, 1), (1, 2, 1))
]
GAP = 6  # between the tiles of a sheet


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rendered")
    write_h2o(root, NAMES, frames=range(0, 80, 8), cameras=("cam0", "cam2", "cam4"), size=(64, 36), rendered=True)
    return root


def rows_of(path: Path) -> int:
    """Rows of tiles 180 high in a sheet of five columns."""
    sheet = cv2.imread(str(path))
    assert sheet.shape[1] == 5 * (320 + GAP)
    return (sheet.shape[0] - 26 - GAP) // (180 + GAP)


def test_a_data_set_shows_a_dozen_samples_and_a_sample_itself(
    rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sheet.png"
    for what, rows in ((rendered, 12), (rendered / NAMES[1], 12), (rendered / NAMES[1] / "cam2/000016", 1)):
        assert main(["show", str(what), "--out", str(out)]) == 0
        assert rows_of(out) == rows
        assert f"{rows} of {what} written to {out}" in capsys.readouterr().out


def test_hands_are_drawn_where_they_are(tmp_path: Path) -> None:
    cameras = ("cam2", "cam4")
    scene = write_h2o(tmp_path, ["subject1/h1/0"], [3], cameras, size=(320, 180))["subject1/h1/0"]
    sample = H2O(tmp_path, cameras=("cam2",))[0]
    picture = with_hands(sample.ego)
    for side, keypoints in zip(SIDES, sample.ego.keypoints, strict=True):
        pixels, _ = project(keypoints, scene.camera("cam4"))
        for column, row in np.rint(pixels[[0, 4, 8, 20]]).astype(int):
            np.testing.assert_array_equal(picture[row, column], SIDE_COLORS[side])


def test_the_reprojection_shows_what_the_ego_camera_saw(tmp_path: Path) -> None:
    write_h2o(tmp_path, ["subject1/h1/0"], [3], ("cam0", "cam4"), size=(320, 180))
    sample = H2O(tmp_path)[0]
    view = reprojection(sample)
    landed = view.any(axis=2)
    difference = np.abs(view.astype(int) - sample.ego.frame.rgb).max(axis=2)[landed]
    assert landed.mean() > 0.5
    assert np.median(difference) < 10  # both saw the same squares of the table
    moved = np.abs(np.roll(view, 12, axis=1).astype(int) - sample.ego.frame.rgb).max(axis=2)[
        np.roll(landed, 12, axis=1)
    ]
    assert np.mean(difference > 40) < 0.6 * np.mean(moved > 40)


def test_taco_is_shown_without_depth_of_its_exo_cameras(tmp_path: Path) -> None:
    write_taco(tmp_path, frames=4, size=(64, 36))
    out = tmp_path / "sheet.png"
    sample = tmp_path / TRIPLET / "20231105_019" / TACO_CAMERAS[1] / "000002"
    for what, rows in ((tmp_path, 8), (sample, 1)):
        assert main(["show", str(what), "--out", str(out)]) == 0
        assert rows_of(out) == rows
    sheet = cv2.imread(str(out))
    exo_depth = sheet[40:200, 2 * 326 + 8 : 2 * 326 + 310]
    assert not exo_depth.any() and sheet[40:200, 3 * 326 + 8 : 3 * 326 + 310].any()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("absent", "absent: no such file or folder; give a bag (a folder, a .mcap or a .db3 file), a folder of"),
        (f"{NAMES[0]}/cam2/000003", "000003.png: no such frame in this recording"),
        (f"{NAMES[0]}/cam9/000008", "cam9: no such third-person camera"),
        (f"{NAMES[0]}/cam2/rgb/000008.png", "000008.png: a file of a kind that is not shown; give a bag"),
        (f"{NAMES[0]}/meta.json", "meta.json: a file of a kind that is not shown; give a bag"),
        ("/dev/null", "/dev/null: a file of a kind that is not shown; give a bag"),
        ("/dev", "genego: /dev"),  # nothing lies three folders above it
        (f"{NAMES[0]}/cam2/rgb", "no recording here"),
    ],
)
def test_what_cannot_be_shown_is_named(
    rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, said: str
) -> None:
    assert main(["show", str(rendered / what), "--out", str(tmp_path / "x.png")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


def test_a_sheet_needs_a_place(rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for out in (tmp_path / "absent/x.png", tmp_path / "x.txt"):
        assert main(["show", str(rendered), "--out", str(out)]) == 1
        assert f"'{out}' cannot be written" in capsys.readouterr().err


def test_splits_are_written_once_and_then_checked(rendered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rendered / "splits.json"
    assert main(["splits", str(rendered)]) == 0
    told = capsys.readouterr().out
    assert f"rules: rendered; written to {path}" in told
    counts = {line.split()[0]: line.split()[1:] for line in told.splitlines()[1:-1]}
    # Held out: object 4, scene h2, subject2, a recording each; the fourth trains up to 30 frames before frame 64.
    assert counts == {
        "train": ["10", "1", "2"],
        "objects": ["20", "1", "2"],
        "actions": ["4", "1", "2"],
        "scenes": ["20", "1", "2"],
        "subjects": ["20", "1", "2"],
        "all": ["80", "4", "2"],
    }
    before = path.read_bytes()
    assert main(["splits", str(rendered)]) == 0
    assert f"rules: rendered; checked {path}" in capsys.readouterr().out
    assert path.read_bytes() == before
    assert main(["splits", str(rendered), "--rules", "h2o"]) == 1
    assert "was made by the rules 'rendered'" in capsys.readouterr().err
    said = json.loads(before)
    said["lists"]["train"]["subject9/h1/1"] = {"cam0": "0"}
    path.write_text(json.dumps(said))
    assert main(["splits", str(rendered)]) == 1
    assert "subject9/h1/1/cam0/000000: in list 'train'" in capsys.readouterr().err
    path.unlink()


def test_recordings_that_are_too_few_to_split_are_told_what_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_h2o(tmp_path, NAMES[:1], range(2), ("cam0", "cam4"), (64, 36), rendered=True)
    assert main(["splits", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path}: split 'train' has no samples; put more or longer recordings into the folder, or make" in said
    assert not (tmp_path / "splits.json").exists()


def test_a_set_that_is_rendered_in_part_gets_no_splits(
    rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(rendered, tmp_path / "copy"))
    begun = copy / ".unfinished/subject3-h1-1"
    begun.mkdir(parents=True)
    assert main(["splits", str(copy)]) == 1
    assert f"{begun.parent}: recordings that are not finished" in (said := capsys.readouterr().err)
    assert "run the same genego synth again" in said and not (copy / "splits.json").exists()
    begun.rmdir()
    assert main(["splits", str(copy)]) == 0


def test_taco_s_official_lists_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_taco(tmp_path, [f"{TRIPLET}/20231105_019", "(hit, hammer, toy)/20231102_070"], frames=2, size=(64, 36))
    assert main(["splits", str(tmp_path), "--rules", "h2o"]) == 1
    assert "the rules 'h2o' are for another data set" in capsys.readouterr().err
    (tmp_path / "v1_overall_data_train_test_split.txt").write_text("20231105_019,test_4\n20231102_070,train\n")
    assert main(["splits", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert [line.split()[0] for line in told.splitlines()[1:-1]] == [
        "train-actions",
        "actions",
        "test_4",
        "train",
        "all",
    ]


def test_the_mock_s_hands_are_in_its_pictures() -> None:
    scene = MockScene((320, 180))
    for side, hand in enumerate(scene.keypoints(2)):
        rgb, depth = scene.seen("cam4", 2)
        pixels, z = project(rigid.apply(rigid.invert(scene.camera_pose("cam4", 2)), hand), scene.camera("cam4"))
        column, row = np.rint(pixels).astype(int).T
        seen = np.abs(depth[row, column] - z) < 0.012
        assert seen.sum() > 8
        assert (rgb[row, column][seen][:, 0] == 225 - 40 * side).all()
