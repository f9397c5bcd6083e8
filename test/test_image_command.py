"""`genego image`, as it is called."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scene import as_hand, rest_hand, sample

from genego_ros.cli import main
from genego_ros.commands import image
from genego_ros.genego import GenEgo
from genego_ros.observation.observer import to_ego
from genego_ros.types import Camera

FRAME = sample(1)[0]
FILES = ["cloud.ply", "ego.png", "hands.json", "overlay.png", "seen.png", "sparse.png"]


def write(path: Path, rgb: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), rgb[..., ::-1])
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return write(tmp_path / "photo.png", FRAME.rgb)


@pytest.fixture
def depth(tmp_path: Path) -> Path:
    assert FRAME.depth is not None
    path = tmp_path / "depth.png"
    assert cv2.imwrite(str(path), np.nan_to_num(1000 * FRAME.depth + 0.5).astype(np.uint16))
    return path


def intrinsics(camera: Camera) -> list[str]:
    return ["--k", *map(str, (camera.fx, camera.fy, camera.cx, camera.cy))]


def strict(path: Path) -> dict:
    """JSON as other languages read it, where NaN is none."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in {path}")

    return json.loads(path.read_text(), parse_constant=refuse)


@pytest.mark.parametrize("reconstruction", ["geometric", "auto"])
def test_a_photo_with_depth_end_to_end(reconstruction: str, photo: Path, depth: Path, tmp_path: Path, capsys) -> None:
    o3d = pytest.importorskip("open3d")
    out = tmp_path / "deep" / "out"
    given = ["--depth", str(depth), *intrinsics(FRAME.camera), f"reconstruction.backend:={reconstruction}"]
    assert main(["image", str(photo), *given, "--out", str(out)]) == 0
    assert sorted(file.name for file in out.iterdir()) == FILES
    ego, seen, sparse, overlay = (
        cv2.imread(str(out / name), cv2.IMREAD_UNCHANGED)
        for name in ("ego.png", "seen.png", "sparse.png", "overlay.png")
    )
    assert ego.shape == sparse.shape == (360, 640, 3) and overlay.shape == (360, 640, 3)
    assert seen.shape == (360, 640) and set(np.unique(seen)) == {0, 255}
    off = np.abs(ego.astype(int) - sparse)[seen > 0]
    if reconstruction == "geometric":
        assert off.max() == 0 and not sparse[seen == 0].any()
    else:  # a soft border, and what is half believed
        assert np.median(off) == 0 and off.mean() < 3
        assert sparse[seen > 0].any(axis=1).mean() > 0.99  # black where nothing landed
    # The overlay differs from the photo where hands are drawn, and nowhere far from them.
    hands = strict(out / "hands.json")
    drawn = (overlay[..., ::-1] != FRAME.rgb).any(axis=2)
    pixels = np.array([hand["keypoints_px"] for hand in hands["exo"]]).reshape(-1, 2)
    rows, columns = np.nonzero(drawn)
    assert 500 < len(rows) < 30_000
    assert columns.min() > pixels[:, 0].min() - 8 and columns.max() < pixels[:, 0].max() + 8
    # What JSON says fits together: T_ego_exo maps one list of hands to the other.
    assert hands["valid"] and [hand["side"] for hand in hands["exo"]] == ["left", "right"]
    T = np.array(hands["T_ego_exo"])
    for exo, ego_hand in zip(hands["exo"], hands["ego"], strict=True):
        assert exo["scale_source"] == "depth"
        points = np.c_[exo["keypoints_m"], np.ones(21)] @ T.T
        np.testing.assert_allclose(points[:, :3], ego_hand["keypoints_m"], atol=5e-5)
        k = FRAME.camera.matrix @ np.array(exo["keypoints_m"]).T
        np.testing.assert_allclose((k[:2] / k[2]).T, exo["keypoints_px"], atol=0.1)
    # The cloud is every pixel with depth between near and far, in its colours, but for those that fly at edges.
    cloud = o3d.io.read_point_cloud(str(out / "cloud.ply"))
    points = np.asarray(cloud.points)
    assert FRAME.depth is not None
    valid = (FRAME.depth >= 0.1) & (FRAME.depth <= 8.0)
    assert 0.99 * valid.sum() < len(points) <= valid.sum()
    seen_at = points @ FRAME.camera.matrix.T
    u, v = np.rint(seen_at[:, :2] / seen_at[:, 2:]).astype(int).T
    np.testing.assert_allclose(points[:, 2], FRAME.depth[v, u], atol=6e-4)
    np.testing.assert_allclose(np.asarray(cloud.colors) * 255, FRAME.rgb[v, u], atol=1.01)
    printed = capsys.readouterr().out
    assert "hands: left at 0." in printed and "depth: topic" in printed and "assumed" not in printed


@pytest.mark.parametrize(
    ("depth", "said"),
    [("auto", "field of view was estimated from the picture"), ("hands", "field of view of 60 degrees was assumed")],
)
def test_a_bare_photo_says_what_was_assumed(depth: str, said: str, photo: Path, tmp_path: Path, capsys) -> None:
    further = ["ego.width:=320", "ego.height:=180", f"depth.backend:={depth}"]
    assert main(["image", str(photo), "--out", str(tmp_path / "out"), *further]) == 0
    assert cv2.imread(str(tmp_path / "out/ego.png")).shape == (180, 320, 3)
    printed = capsys.readouterr().out
    assert said in printed and f"depth: {'lite' if depth == 'auto' else 'hands'}" in printed
    assert strict(tmp_path / "out/hands.json")["valid"]
    assert main(["image", str(photo), "--out", str(tmp_path / "out"), *further, "input.assumed_hfov_deg:=50"]) == 0
    assert "no intrinsics given" not in capsys.readouterr().out


@pytest.mark.parametrize("with_depth", [False, True])
def test_nobody_in_the_photo_is_said(with_depth: bool, depth: Path, tmp_path: Path, capsys) -> None:
    empty = write(tmp_path / "empty.png", np.full_like(FRAME.rgb, 90))
    further = ["--depth", str(depth)] if with_depth else []
    assert main(["image", str(empty), "--out", str(tmp_path / "out"), *further]) == 0
    assert "none, so there is nobody to look through" in capsys.readouterr().out
    out = tmp_path / "out"
    assert sorted(file.name for file in out.iterdir()) == FILES
    hands = strict(out / "hands.json")
    assert (hands["valid"], hands["exo"], hands["ego"]) == (False, [], [])
    assert not cv2.imread(str(out / "ego.png")).any() and not cv2.imread(str(out / "seen.png")).any()
    assert (cv2.imread(str(out / "overlay.png")) != 90).any()  # says so
    assert b"element vertex" in (out / "cloud.ply").read_bytes()


def test_keypoints_behind_the_eyes_leave_the_file_readable(tmp_path: Path) -> None:
    half_behind = rest_hand() + np.array([0.0, 0.0, 0.07])
    frame = replace(FRAME, depth=None)
    with GenEgo({"ego.width": 64, "ego.height": 36}) as genego:
        view = genego(frame)
    hands = to_ego((as_hand(half_behind),), np.eye(4), view.observation.ego_camera)
    image.write(replace(view, observation=replace(view.observation, hands_ego=hands)), frame, tmp_path)
    (written,) = strict(tmp_path / "hands.json")["ego"]
    behind = [pixel is None for pixel in written["keypoints_px"]]
    assert behind == [z <= 0 for _, _, z in written["keypoints_m"]]
    assert any(behind) and not all(behind)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--k", "0", "500", "320", "240"], "focal lengths positive"),
        (["--k", "500", "nan", "320", "240"], "must be finite"),
        (["--k", "500", "500", "inf", "240"], "must be finite"),
        (["--depth", "nowhere.png"], "'nowhere.png' does not exist"),
        (["--depth", "small.png"], r"depth is float32 \(24, 32\), the picture wants float32 \(360, 640\)"),
        (["--depth", "eight.png"], "one channel of 16 bits in millimetres"),
        (["--depth", "color16.png"], "one channel of 16 bits in millimetres"),
        (["--depth", "text.png"], "does not exist or is not a picture"),
        (["--depth", "."], "does not exist or is not a picture"),
        (["ego.widht:=320"], "did you mean 'ego.width'"),
        (["ego.width=320"], "not of the form name:=value"),
        (["ego.width:=5"], "must lie between 16 and 4096 px"),
        (["--unknown"], "not of the form name:=value"),
        (["--out", "text.png"], "text.png.*cannot be made"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str], said: str, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("small.png", np.full((24, 32), 700, np.uint16))
    cv2.imwrite("eight.png", np.full((360, 640), 70, np.uint8))
    cv2.imwrite("color16.png", np.full((360, 640, 3), 700, np.uint16))
    Path("text.png").write_text("no picture")
    assert main(["image", str(photo), *arguments]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("genego: ")
    assert re.search(said, message), message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.png", "no such file"),
        ("notes.txt", "neither a picture nor a video|takes one photo"),
        ("video.avi", "is a video: `genego image` takes one photo"),
        ("folder", "is a folder: `genego image` takes one photo"),
        ("cut.png", "damaged|neither"),
    ],
)
def test_what_is_no_photo_is_refused(name: str, said: str, photo: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "notes.txt").write_text("no picture\n" * 50)
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "1.png", FRAME.rgb)
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:30])
    writer = cv2.VideoWriter(str(tmp_path / "video.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    assert main(["image", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 1
    assert re.search(said, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()
