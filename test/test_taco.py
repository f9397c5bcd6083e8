"""TACO's format: what is read is the scene that was written; damage is named by its path."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from mock_datasets import TACO_CAMERAS, TRIPLET, MockScene, write_mano, write_taco

from genego_ros.data.sample import SampleId
from genego_ros.data.taco import TACO
from genego_ros.errors import GenEgoError
from genego_ros.geometry import rigid

NAME = f"{TRIPLET}/20231105_019"
SAMPLE = SampleId(NAME, TACO_CAMERAS[1], 5)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MockScene]:
    root = tmp_path_factory.mktemp("taco")
    (root / "mano").mkdir()
    write_mano(root / "mano")
    return root, write_taco(root)[NAME]


@pytest.fixture
def copy(tree: tuple[Path, MockScene], tmp_path: Path) -> Path:
    return Path(shutil.copytree(tree[0], tmp_path / "copy"))


def opened(root: Path) -> TACO:
    return TACO(root, mano=root / "mano")


def test_a_sample_is_the_scene_it_was_taken_of(tree: tuple[Path, MockScene]) -> None:
    root, scene = tree
    sample = opened(root).sample(SAMPLE)
    assert (sample.object_class, sample.object_name, sample.verb_name, sample.verb) == (151, "spoon", "stir", 14)
    for view, name in ((sample.exo[0], "cam2"), (sample.ego, "cam4")):
        rgb, depth = scene.seen(name, 5)
        # H.264 at half the chroma blurs the tiny picture's edges.
        assert np.abs(view.frame.rgb.astype(int) - rgb).mean() < 6
        np.testing.assert_allclose(view.T_world_camera, scene.camera_pose(name, 5 if name == "cam4" else 0), atol=1e-9)
        np.testing.assert_allclose(rigid.apply(view.T_world_camera, view.keypoints), scene.keypoints(5), atol=1e-6)
        wanted = scene.camera(name)
        assert (view.frame.camera.fx, view.frame.camera.cx) == pytest.approx((wanted.fx, wanted.cx))
        assert view.frame.stamp_ns == 166_666_667 and view.has_hand("left") and view.has_hand("right")
    assert sample.exo[0].frame.depth is None and view.frame.depth is not None
    np.testing.assert_allclose(view.frame.depth, depth, atol=0.51 / 4000, equal_nan=True)
    assert sample.T_world_object is not None
    np.testing.assert_allclose(sample.T_world_object, scene.object_pose(5), atol=1e-12)


def test_samples_come_in_order_from_any_process(tree: tuple[Path, MockScene]) -> None:
    dataset = TACO(tree[0], stride=3)
    assert [(id.camera, id.frame) for id in dataset.ids] == [(c, f) for c in TACO_CAMERAS for f in (0, 3, 6)]
    first = dataset[4].ego.frame.rgb
    again = pickle.loads(pickle.dumps(dataset))[4]
    np.testing.assert_array_equal(again.ego.frame.rgb, first)
    child = os.fork()
    if child == 0:
        same = np.array_equal(dataset[4].ego.frame.rgb, first) and dataset[1].id.frame == 3
        os._exit(0 if same else 1)
    dataset[2]
    assert os.waitpid(child, 0)[1] == 0
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(dataset.__getitem__, [0, 5, 2, 4, 1, 3]))
    assert [sample.id for sample in threaded] == [dataset.ids[index] for index in (0, 5, 2, 4, 1, 3)]
    np.testing.assert_array_equal(threaded[3].ego.frame.rgb, first)
    also = dataset.sample(SAMPLE, also=(TACO_CAMERAS[0],))
    assert [view.camera for view in also.exo] == [TACO_CAMERAS[1], TACO_CAMERAS[0]]


def test_without_mano_there_are_no_hands_and_it_is_said(
    tree: tuple[Path, MockScene], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        dataset = TACO(tree[0])
        views = [dataset[index].ego for index in (0, 3)]
    assert not any(view.has_hand("left") or view.has_hand("right") for view in views)
    assert caplog.text.count("need MANO's files") == 1


def test_depth_at_half_the_rate_serves_two_frames(tmp_path: Path) -> None:
    scene = write_taco(tmp_path, frames=5, half_depth=True)[NAME]
    dataset = TACO(tmp_path)
    for frame, taken in ((0, 0), (1, 0), (4, 4)):
        depth = dataset.sample(SAMPLE._replace(frame=frame)).ego.frame.depth
        np.testing.assert_allclose(depth, scene.seen("cam4", taken)[1], atol=0.51 / 4000, equal_nan=True)


def test_sequences_without_an_ego_view_are_left_out(copy: Path) -> None:
    other = f"{TRIPLET}/20231105_020"
    for kind in copy.iterdir():
        if (kind / NAME).is_dir():
            shutil.copytree(kind / NAME, kind / other)
    assert TACO(copy).recordings == (NAME, other)
    (copy / "Egocentric_RGB_Videos" / other / "color.mp4").unlink()
    assert TACO(copy).recordings == (NAME,)


def test_a_hand_without_labels_is_nan(copy: Path) -> None:
    (copy / "Hand_Poses" / NAME / "left_hand.pkl").unlink()
    view = opened(copy).sample(SAMPLE).ego
    assert (view.has_hand("left"), view.has_hand("right")) == (False, True)


EXTRINSIC = f"Egocentric_Camera_Parameters/{NAME}/egocentric_frame_extrinsic.npy"
INTRINSIC = f"Egocentric_Camera_Parameters/{NAME}/egocentric_intrinsic.txt"
CALIBRATION = f"Allocentric_Camera_Parameters/{NAME}/calibration.json"
EXO = f"Allocentric_RGB_Videos/{NAME}/{TACO_CAMERAS[1]}.mp4"
EGO = f"Egocentric_RGB_Videos/{NAME}/color.mp4"
DEPTH = f"Egocentric_Depth_Videos/{NAME}/egocentric_depth.avi"
HAND = f"Hand_Poses/{NAME}/right_hand.pkl"
TOOL = f"Object_Poses/{NAME}/tool_151.npy"


def poses(path: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    return lambda root: np.save(root / path, change(np.load(root / path)))


def nan_first(T: np.ndarray) -> np.ndarray:
    T[3, 0, 0] = np.nan
    return T


def packed(root: Path) -> None:
    with (root / EXTRINSIC).open("wb") as file:
        np.savez(file, np.eye(4)[None])


def calibration(**changes: object) -> Callable[[Path], None]:
    def applied(root: Path) -> None:
        said = json.loads((root / CALIBRATION).read_text())
        said[TACO_CAMERAS[1]].update(changes)
        (root / CALIBRATION).write_text(json.dumps(said))

    return applied


def hostile(root: Path) -> None:
    class Call:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch {root}/mark",)

    (root / HAND).write_bytes(pickle.dumps({"00001": Call()}))


def hand_away(root: Path) -> None:
    hands = pickle.loads((root / HAND).read_bytes())
    for moment in hands.values():
        moment["hand_trans"][0] = 500.0
    (root / HAND).write_bytes(pickle.dumps(hands))


def shortened(path: str) -> Callable[[Path], None]:
    def applied(root: Path) -> None:
        write_taco(root / "short", frames=5)
        shutil.copy(root / "short" / path, root / path)

    return applied


@pytest.mark.parametrize(
    ("damage", "path", "said"),
    [
        (lambda root: shutil.rmtree(root / "Egocentric_RGB_Videos"), "Egocentric_RGB_Videos", "no such folder"),
        (lambda root: shutil.rmtree((root / EXO).parent), str(Path(EXO).parent), "no such folder"),
        (lambda root: (root / EXO).unlink(), EXO, "no readable video"),
        (lambda root: (root / EXTRINSIC).unlink(), EXTRINSIC, "cannot be read"),
        (lambda root: (root / INTRINSIC).write_text("600 0 48\n"), INTRINSIC, "no 3 x 3 intrinsics"),
        (lambda root: np.savetxt(root / INTRINSIC, np.diag([600, 600, 1])), EGO, "is for another size"),
        (poses(EXTRINSIC, nan_first), EXTRINSIC, "camera pose is no rigid transformation"),
        (poses(EXTRINSIC, lambda T: 2 * T), EXTRINSIC, "camera pose is no rigid transformation"),
        (poses(EXTRINSIC, lambda T: T[:, :3]), EXTRINSIC, r"an array of \(8, 3, 4\)"),
        (poses(TOOL, lambda T: 2 * T), TOOL, "tool's pose is no rigid transformation"),
        (hand_away, HAND, "the right hand is .* reaches to 500 m"),
        (poses(TOOL, lambda T: T[:-1]), TOOL, "7 poses of tool '151', 8"),
        (calibration(imgSize=[500, 500]), EXO, "cannot come from 500 x 500"),
        (calibration(R=[1, 2]), CALIBRATION, "no calibration"),
        (calibration(imgSize=[0, 0]), CALIBRATION, "no calibration .*pictures of 0 x 0 pixels"),
        (calibration(imgSize=[float("inf"), 8]), CALIBRATION, "no calibration"),
        (calibration(K=[-600, 0, 48, 0, 600, 27, 0, 0, 1]), CALIBRATION, "no camera has the intrinsics .*copy it"),
        (lambda root: (root / EXTRINSIC).write_bytes(b""), EXTRINSIC, "cannot be read"),
        (lambda root: (root / TOOL).write_bytes(b""), TOOL, "cannot be read"),
        (poses(EXTRINSIC, lambda T: np.full(T.shape, "x")), EXTRINSIC, "cannot be read .*could not convert"),
        (poses(TOOL, lambda T: np.full(T.shape, "x")), TOOL, "cannot be read .*could not convert"),
        (packed, EXTRINSIC, "cannot be read"),
        (calibration(K=None), CALIBRATION, "no 3 x 3 intrinsics"),
        (lambda root: (root / CALIBRATION).write_text("{}"), EXO, "no camera of that name"),
        (hostile, HAND, "system', which is not data"),
        (lambda root: (root / HAND).write_bytes(pickle.dumps({"00001": 3})), HAND, "not the 8 hands"),
        (
            lambda root: (root / HAND).write_bytes(pickle.dumps(dict.fromkeys(range(8), 3))),
            HAND,
            "no 'hand_pose' in it",
        ),
        (shortened(EGO), EGO, "5 frames, but the camera's poses are for 8"),
        (shortened(DEPTH), DEPTH, "5 frames, which are neither 8 nor half of it"),
    ],
)
def test_damage_is_named_with_its_path(copy: Path, damage: Callable[[Path], None], path: str, said: str) -> None:
    damage(copy)
    with pytest.raises(GenEgoError, match=said) as error:
        TACO(copy, cameras=None if "Videos" in path else TACO_CAMERAS, mano=copy / "mano").sample(SAMPLE)
    assert str(copy / path) in str(error.value)
    assert not (copy / "mark").exists()


def test_what_is_not_there_is_named(tree: tuple[Path, MockScene]) -> None:
    root = tree[0]
    with pytest.raises(GenEgoError, match=rf"{TACO_CAMERAS[0]}x\.mp4: missing; there is 22070938, 22139905"):
        TACO(root, cameras=(f"{TACO_CAMERAS[0]}x",))
    dataset = TACO(root)
    for id, said in {
        SAMPLE._replace(sequence="(cut, knife, plate)/1"): "no such sequence",
        SAMPLE._replace(frame=8): "has 8 frames, not 8",
        SAMPLE._replace(camera="1"): r"1\.mp4: no camera of that name",
    }.items():
        with pytest.raises(GenEgoError, match=said):
            dataset.sample(id)
