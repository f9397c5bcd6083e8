"""`genego evaluate wild`: photos without truth."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scene import sample

from genego_ros.cli import main

FRAME = sample(1)[0]
GEOMETRIC = "reconstruction.backend:=geometric"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two hands, nobody, two hands again in a portrait; of three sizes, and something that is no photo."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    write(folder / "2.png", FRAME.rgb)
    write(folder / "10.jpg", np.full((90, 120, 3), 90, np.uint8))
    write(folder / "11|b.JPEG", np.ascontiguousarray(FRAME.rgb[:, 130:480]))
    (folder / "notes.txt").write_text("of the photos")
    return folder


def write(path: Path, rgb: np.ndarray) -> None:
    assert cv2.imwrite(str(path), rgb[..., ::-1])


def strict(path: Path) -> dict:
    """JSON as other languages read it, where NaN is none."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(path.read_text(), parse_constant=refuse)


def run(photos: Path, out: Path, *options: str) -> int:
    return main(["evaluate", "wild", str(photos), "--out", str(out), *options, GEOMETRIC])


def test_every_photo_is_looked_at_by_itself(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "out"
    assert run(photos, out) == 0
    assert sorted(file.name for file in out.iterdir()) == ["sheet.png", "wild.json", "wild.md"]
    said = strict(out / "wild.json")
    assert list(said["photos"]) == ["2.png", "10.jpg", "11|b.JPEG"] and said["skipped"] == {}
    # What `genego image` says of the same photo: the ones before leave nothing behind.
    for name in ("2.png", "11|b.JPEG"):
        found = said["photos"][name]
        assert main(["image", str(photos / name), "--out", str(tmp_path / "image"), GEOMETRIC]) == 0
        hands = strict(tmp_path / "image/hands.json")
        assert found["valid"] and found["hands"] == [hand["side"] for hand in hands["exo"]]
        assert found["viewpoint"] == hands["viewpoint_source"] and found["description"] == hands["description"]
        seen = cv2.imread(str(tmp_path / "image/seen.png"), cv2.IMREAD_UNCHANGED) > 0
        assert found["seen"] == pytest.approx(seen.mean(), abs=1e-12) and 0.1 < found["seen"] < 1
        assert 0.5 < found["scale"] < 2 and found["scale_source"] == "hands" and found["depth"] == "lite"
        waited = sum(taken for stage, taken in found["stage_ms"].items() if stage != "description")
        assert found["ms"] == pytest.approx(waited) and "reconstruction" in found["stage_ms"]
    assert said["photos"]["2.png"]["hands"] == ["left", "right"]
    nobody = said["photos"]["10.jpg"]
    assert (nobody["valid"], nobody["hands"], nobody["viewpoint"], nobody["residual_m"]) == (False, [], "none", None)
    assert nobody["seen"] == 0
    text = (out / "wild.md").read_text()
    assert text in capsys.readouterr().out
    both = sum(len(found["hands"]) == 2 for found in said["photos"].values())
    assert f"3 photos: both hands found in {both}, one in {2 - both}, none in 1. In 1 there is nobody" in text
    rows = {line.split(" | ")[0]: line.split(" | ") for line in text.splitlines() if line.startswith("| ")}
    assert rows["| 10.jpg"][1:5] == ["none", "none", "-", "0.0"]
    assert rows["| 2.png"][4] == f"{100 * said['photos']['2.png']['seen']:.1f}"
    assert "| 11\\|b.JPEG" in rows
    # A line of titles, and a row a photo; a portrait makes none of them higher than 4:3.
    sheet = cv2.imread(str(out / "sheet.png"))
    assert sheet.shape[1] == 4 * 326 and 3 * 180 < sheet.shape[0] <= 32 + 3 * 246


def test_damaged_photos_are_named_and_left_out_only_when_told_to(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = cv2.imencode(".jpg", FRAME.rgb)[1].tobytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.png").write_bytes(b"")
    (photos / "page.jpg").write_text("<html>not found</html>")
    (photos / "10.jpg").unlink()
    (photos / "11|b.JPEG").unlink()
    assert run(photos, tmp_path / "out") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("genego: 3 of 4 photos cannot be read: cut.jpg, empty.png, page.jpg; take them out, or")
    assert f"--skip-damaged ({photos / 'cut.jpg'}: the picture is damaged" in error
    assert not (tmp_path / "out").exists()
    assert run(photos, tmp_path / "out", "--skip-damaged") == 0
    said, text = strict(tmp_path / "out/wild.json"), (tmp_path / "out/wild.md").read_text()
    assert list(said["photos"]) == ["2.png"] and list(said["skipped"]) == ["cut.jpg", "empty.png", "page.jpg"]
    assert "Skipped, 3 that cannot be read" in text
    for name, why in said["skipped"].items():
        assert str(photos / name) in why and f"- {why}" in text
    (photos / "2.png").unlink()
    assert run(photos, tmp_path / "nothing", "--skip-damaged") == 1
    assert "there is no other photo in this folder" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


def test_folders_without_photos_are_refused(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, said in (
        (photos / "more", "no photo in this folder"),
        (photos / "nowhere", "no such folder"),
        (photos / "2.png", "no such folder; give one with photos"),
    ):
        assert run(folder, tmp_path / "out") == 1
        assert f"{folder}: {said}" in capsys.readouterr().err
    assert run(photos, photos) == 1
    assert f"--out is {photos} itself" in capsys.readouterr().err
    assert run(photos, tmp_path / "out", "depth.faar:=2") == 1
    assert "did you mean 'depth.far'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_said(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run(photos, tmp_path / "file") == 1
    assert f"folder '{tmp_path}/file' cannot be made" in capsys.readouterr().err.splitlines()[-1]
