"""Rendered recordings: what they promise, seen through the reader that everybody uses."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from heads import head_seen
from mock_datasets import write_h2o
from scene import ROOT

from genego_ros.atomic import GROWING
from genego_ros.data.h2o import H2O
from genego_ros.data.h2o_format import EGO_CAMERA, Meta, format_meta
from genego_ros.data.synthetic import cycles, rendering
from genego_ros.data.synthetic.objects import OBJECT_NAMES
from genego_ros.data.synthetic.recipe import Recipe, RecordingPlan, rendered_h2o, sequences
from genego_ros.data.synthetic.recording import RecordingFolder, render_recording
from genego_ros.data.synthetic.rendering import render
from genego_ros.data.synthetic.take import Take
from genego_ros.errors import GenEgoError
from genego_ros.geometry import umeyama

SIZE = "240x136"
PIXELS = (240, 136)
OPTIONS = ("--sequences", "3", "--frames", "9", "--rate", "3", "--seed", "5")


def synth(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "genego_ros", "synth", str(out), "--size", SIZE, *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings of nine frames: 108 pairs."""
    out = tmp_path_factory.mktemp("rendered")
    done = synth(out, *OPTIONS, "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert {path.name.rstrip("0123456789") for path in out.iterdir()} == {"subject"}  # no empty .unfinished
    return out


def recipe() -> Recipe:
    """What OPTIONS ask for."""
    return sequences(3, 9, 5, rate_hz=3.0)


def small() -> Recipe:
    return sequences(1, 3, 5, cameras=("cam0", EGO_CAMERA))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of three frames that nothing disturbed."""
    folder = RecordingFolder(tmp_path_factory.mktemp("whole"), small().recordings[0], (64, 36))
    render_recording(folder)
    return folder.path


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
        assert np.abs(found.matrix - T).max() < 1e-6


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


def test_the_same_seed_gives_the_same_bytes_whatever_the_workers_and_the_company(
    rendered: Path, tmp_path: Path
) -> None:
    alone = ("--sequences", "1", *OPTIONS[2:])
    done = synth(tmp_path, *alone, "--workers", "1")
    assert done.returncode == 0, done.stderr
    name = recipe().recordings[0].sequence
    assert digests(tmp_path / name) == digests(rendered / name)


def test_a_finished_set_is_left_as_it_is_and_another_one_is_refused(rendered: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in rendered.rglob("*")}
    again = synth(rendered, *OPTIONS)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in rendered.rglob("*")} == before
    other = synth(rendered, "--sequences", "3", "--frames", "10", "--rate", "3", "--seed", "5")
    assert other.returncode == 1
    says = "is another recording than those asked for (frames 0 to 8 (9) there, 0 to 9 (10) asked for, length 9 there,"
    assert says in other.stderr
    render(sequences(2, 9, 5, rate_hz=3.0), rendered, PIXELS, 1)  # fewer of the same
    assert {path: path.stat().st_mtime_ns for path in rendered.rglob("*")} == before


CAMERAS = ("cam0", EGO_CAMERA)


@pytest.mark.parametrize(
    ("recipe", "size", "says"),
    [
        (sequences(1, 3, 6, CAMERAS), (64, 36), "seed 5 there, 6 asked for"),
        (sequences(1, 3, 5, CAMERAS, rate_hz=10.0), (64, 36), "rate_hz 30.0 there, 10.0 asked for"),
        (sequences(1, 3, 5, CAMERAS), (96, 54), r"size \[64, 36\] there, \[96, 54\] asked for"),
        (sequences(1, 3, 5, CAMERAS, "cycles"), (64, 36), "renderer raster there, cycles asked for"),
        (sequences(1, 3, 5, ("cam1", EGO_CAMERA)), (64, 36), "cameras .* there, .*'cam1', 'cam4'.* asked for"),
        (rendered_h2o("mini"), (64, 36), "it is none of rendered-H2O mini"),
        (replace(small(), recordings=sequences(2, 3, 5, CAMERAS).recordings[1:]), (64, 36), ""),
    ],
)
def test_recordings_of_other_settings_are_not_rendered_beside(
    whole: Path, recipe: Recipe, size: tuple[int, int], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    monkeypatch.setattr(rendering, "_render_all", lambda folders, workers: begun.extend(folders))
    if not says:  # of the same settings, another recording
        render(recipe, whole.parents[2], size, 1)
        assert [folder.plan for folder in begun] == list(recipe.recordings)
        return
    with pytest.raises(GenEgoError, match=rf"'{whole}' is another .*{says}.*; render into another folder$"):
        render(recipe, whole.parents[2], size, 1)
    assert not begun


def test_a_fixed_recipe_has_no_company_but_its_own(tmp_path: Path) -> None:
    mini = rendered_h2o("mini")
    stranger = replace(mini.recordings[-1], subject=99)
    leave_meta(RecordingFolder(tmp_path, stranger, (64, 36)).path, stranger)
    (RecordingFolder(tmp_path, stranger, (64, 36)).path / EGO_CAMERA).mkdir()
    with pytest.raises(GenEgoError, match=r"subject99/.*none of rendered-H2O mini"):
        render(mini, tmp_path, (64, 36), 1)


def leave_meta(folder: Path, plan: RecordingPlan) -> None:
    settings = RecordingFolder(folder, plan, (64, 36)).settings
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(format_meta(Meta(further={"made_by": settings})))


def test_what_another_seed_left_unfinished_is_not_left_in_silence(tmp_path: Path) -> None:
    plan = sequences(1, 3, 6, CAMERAS).recordings[0]
    unfinished = RecordingFolder(tmp_path, plan, (64, 36)).unfinished
    leave_meta(unfinished, plan)
    with pytest.raises(GenEgoError, match=rf"'{unfinished}' .*seed 6 there, 5 .*or delete '{tmp_path}/\.unfinished'"):
        render(small(), tmp_path, (64, 36), 1)


def test_nothing_is_rendered_beside_recordings_of_h2o(tmp_path: Path) -> None:
    write_h2o(tmp_path, ["subject1/h1/0"], [0], CAMERAS, (64, 36))
    with pytest.raises(GenEgoError, match=r"subject1/h1/0' is another recording .*\(it was not rendered: no made_by"):
        render(small(), tmp_path, (64, 36), 1)
    (tmp_path / "subject1/h1/0/meta.json").write_bytes(b"\xff")
    with pytest.raises(GenEgoError, match=r"subject1/h1/0' .*meta\.json: cannot be read .*render into another folder"):
        render(small(), tmp_path, (64, 36), 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["subject1"]


def test_heads_are_flagged_as_the_cameras_see_them(rendered: Path) -> None:
    takes = {plan.sequence: Take(plan, PIXELS) for plan in recipe().recordings}
    flags = []
    for name, take in takes.items():
        said = json.loads((rendered / name / "meta.json").read_text())
        assert said["motion_fault_m"] == pytest.approx(take.motion_fault, abs=1e-4)
        flag = said["head"]
        flags.append(flag)
        for camera in take.scene.cameras:
            for frame in take.plan.frames if camera.name != EGO_CAMERA else ():
                moment = take.instant(frame).moment
                eyes = moment.vertices["eyes"].mean(axis=0)
                assert head_seen(camera.camera, moment.T_world_camera[camera.name], eyes) == flag
    assert sorted(flags) == ["absent", "cropped", "visible"]


def test_labels_are_what_their_names_say(rendered: Path) -> None:
    for meta_file in rendered.rglob("meta.json"):
        meta, folder = json.loads(meta_file.read_text()), meta_file.parent
        number = int(folder.name)
        assert meta["object_name"] == OBJECT_NAMES[number]
        for camera in folder.glob("cam*"):
            for frame in range(9):
                words = {
                    kind: (camera / kind / f"{frame:06d}.txt").read_text().split()
                    for kind in ("obj_pose", "obj_pose_RT", "verb_label")
                }
                assert int(words["obj_pose"][0]) == int(words["obj_pose_RT"][0]) == number
                points = np.array(words["obj_pose"][1:], float).reshape(21, 3)
                T = np.array(words["obj_pose_RT"][1:], float).reshape(4, 4)
                own = (points - T[:3, 3]) @ T[:3, :3]
                # Centre; corners with every pair of signs; the middles of the edges, where one coordinate is zero.
                size = own[1:9].max(axis=0)
                units = own / size
                assert np.abs(units[0]).max() < 1e-6
                assert np.abs(np.abs(units[1:9]) - 1).max() < 1e-6
                assert len({tuple(np.sign(corner)) for corner in units[1:9]}) == 8
                assert np.abs(np.sort(np.abs(units[9:]), axis=1) - (0, 1, 1)).max() < 1e-6
                assert len({tuple(row) for row in units[9:].round().astype(int)}) == 12
                if camera.name == EGO_CAMERA:
                    verb = int(words["verb_label"][0])
                    action = int((camera / "action_label" / f"{frame:06d}.txt").read_text())
                    name = meta["actions"][action]
                    assert name == (f"{meta['verbs'][verb]} {meta['object_name']}" if verb else "background")
                    assert (camera / "text" / f"{frame:06d}.txt").read_text().strip()


def test_a_full_disk_is_named_and_the_run_goes_on_afterwards(whole: Path, tmp_path: Path) -> None:
    folder = RecordingFolder(tmp_path, small().recordings[0], (64, 36))
    # Whatever is written there fails as on a full disk.
    full = folder.begin() / EGO_CAMERA / "depth" / f".000001.png.{os.getpid()}{GROWING}"
    full.symlink_to("/dev/full")
    with pytest.raises(GenEgoError, match=rf"{EGO_CAMERA}/depth/000001.png' cannot .*{os.strerror(errno.ENOSPC)}"):
        render_recording(folder)
    assert not folder.path.exists()
    with pytest.raises(GenEgoError, match="no recording here"):
        H2O(tmp_path)
    # A run that was killed leaves this one.
    (full.parent / f".000000.png.1{GROWING}").write_bytes(b"half")
    render_recording(folder)
    assert digests(folder.path) == digests(whole)


def test_a_killed_run_goes_on_where_it_stopped(whole: Path, tmp_path: Path) -> None:
    options = ("--sequences", "1", "--frames", "3", "--seed", "5", "--cameras", "0,4", "--size", "64x36")
    command = [sys.executable, "-m", "genego_ros", "synth", str(tmp_path), *options]
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(f".unfinished/*/{EGO_CAMERA}/text/000000.txt")):
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    running.kill()
    running.wait()
    # Every worker holds the other end; it closes when the last one has ended.
    assert running.stderr is not None
    running.stderr.read()
    assert not list(tmp_path.glob("subject*"))
    first = next(tmp_path.glob(f".unfinished/*/{EGO_CAMERA}/rgb/000000.png")).stat().st_mtime_ns
    plan = small().recordings[0]
    render_recording(RecordingFolder(tmp_path, plan, (64, 36)))
    assert digests(tmp_path / plan.sequence) == digests(whole)
    assert (tmp_path / plan.sequence / EGO_CAMERA / "rgb" / "000000.png").stat().st_mtime_ns == first


def test_what_would_fail_later_is_refused_before_anything_is_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "_render_all", lambda folders, workers: pytest.fail("a worker was started"))
    monkeypatch.setattr(cycles, "find_spec", lambda name: None)
    monkeypatch.delenv(cycles.PYTHON_VARIABLE, raising=False)
    with pytest.raises(GenEgoError, match=r"pip install bpy==4\.2\.0"):
        render(rendered_h2o("v1"), tmp_path / "v1", (64, 36), 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(GenEgoError, match=rf"'{tmp_path}/file' cannot be made a folder \(.*\); choose another one"):
        render(small(), tmp_path / "file", (64, 36), 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    plan = small().recordings[0]
    (tmp_path / plan.sequence / "photos").mkdir(parents=True)
    done = synth(tmp_path, "--sequences", "1", "--frames", "3", "--seed", "5", "--cameras", "0,4")
    assert done.returncode == 1
    assert f"'{tmp_path / plan.sequence}' is another recording" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--cameras", "0,7,4"), "cam7"),
        (("--cameras", "0,2"), "cam4"),
        (("--sequences", "0"), "must be at least 1"),
        (("--workers", "0"), "--workers 0"),
        (("--rate", "0"), "a rate from 0.01 to 240"),
        (("--rate", "nan"), "a rate from 0.01 to 240"),
        (("--seed", "-1"), "a seed from 0"),
        (("--size", "99999x99999"), "32 to 4096"),
        (("--recipe", "mini", "--frames", "3"), "leave them out"),
    ],
)
def test_bad_wishes_are_named(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    done = synth(tmp_path, *options)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
