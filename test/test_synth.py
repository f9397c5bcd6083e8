"""Rendered recordings: what they promise, seen through the reader that everybody uses."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scene import ROOT

from genego_ros.data.h2o import H2O
from genego_ros.geometry import umeyama

SIZE = "240x136"


def synth(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "genego_ros", "synth", str(out), "--size", SIZE, *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings of nine frames: 108 pairs."""
    out = tmp_path_factory.mktemp("rendered")
    done = synth(out, "--sequences", "3", "--frames", "9", "--rate", "3", "--seed", "5", "--workers", "2")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def pairs(rendered: Path) -> H2O:
    return H2O(rendered)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_joint_in_two_cameras_agrees_through_their_poses(pairs: H2O) -> None:
    assert len(pairs) == 108
    for sample in pairs:
        exo, ego = sample.exo[0], sample.ego
        T = np.linalg.inv(ego.T_world_camera) @ exo.T_world_camera
        moved = exo.keypoints @ T[:3, :3].T + T[:3, 3]
        assert np.abs(moved - ego.keypoints).max() < 1e-6


def test_umeyama_between_the_joints_recovers_the_relative_pose(pairs: H2O) -> None:
    for sample in pairs:
        found = umeyama.align(sample.exo[0].keypoints.reshape(-1, 3), sample.ego.keypoints.reshape(-1, 3))
        T = np.linalg.inv(sample.ego.T_world_camera) @ sample.exo[0].T_world_camera
        assert np.abs(found.T - T).max() < 1e-6


def test_depth_of_one_camera_is_where_the_other_sees_it(pairs: H2O) -> None:
    medians = []
    for sample in pairs:
        exo, ego = sample.exo[0].frame, sample.ego.frame
        assert exo.depth is not None and ego.depth is not None
        v, u = np.nonzero(np.isfinite(exo.depth))
        z = exo.depth[v, u].astype(np.float64)
        points = np.stack([(u - exo.camera.cx) / exo.camera.fx * z, (v - exo.camera.cy) / exo.camera.fy * z, z], 1)
        T = np.linalg.inv(sample.ego.T_world_camera) @ sample.exo[0].T_world_camera
        points = points @ T[:3, :3].T + T[:3, 3]
        points = points[points[:, 2] > 0.05]
        column = np.round(ego.camera.fx * points[:, 0] / points[:, 2] + ego.camera.cx).astype(int)
        row = np.round(ego.camera.fy * points[:, 1] / points[:, 2] + ego.camera.cy).astype(int)
        inside = (column >= 0) & (column < ego.camera.width) & (row >= 0) & (row < ego.camera.height)
        off = np.abs(ego.depth[row[inside], column[inside]] - points[inside, 2])
        # What is farther off is hidden from one of the two.
        both = off < 0.05
        if both.sum() >= 500:
            medians.append(np.median(off[both]))
    assert len(medians) >= 60
    assert np.median(medians) < 0.005


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(rendered: Path, tmp_path: Path) -> None:
    done = synth(tmp_path, "--sequences", "3", "--frames", "9", "--rate", "3", "--seed", "5", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path) == digests(rendered)


def test_a_finished_set_is_left_as_it_is_and_another_one_is_refused(rendered: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in rendered.rglob("*")}
    again = synth(rendered, "--sequences", "3", "--frames", "9", "--rate", "3", "--seed", "5")
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in rendered.rglob("*")} == before
    other = synth(rendered, "--sequences", "3", "--frames", "10", "--rate", "3", "--seed", "5")
    assert other.returncode == 1
    assert "is another recording than the one asked for" in other.stderr


def test_meta_says_how_much_of_the_head_is_seen(rendered: Path) -> None:
    heads = [json.loads(path.read_text())["head"] for path in sorted(rendered.rglob("meta.json"))]
    assert sorted(heads) == ["absent", "cropped", "visible"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--cameras", "0,7,4"), "cam7"),
        (("--cameras", "0,2"), "cam4"),
        (("--sequences", "0"), "must be at least 1"),
        (("--workers", "0"), "--workers 0"),
        (("--recipe", "mini", "--frames", "3"), "leave them out"),
    ],
)
def test_bad_wishes_are_named(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    done = synth(tmp_path, *options)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
