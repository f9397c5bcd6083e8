"""H2O's format: what is read agrees between the cameras and with the scene behind it; damage is named by its path."""

from __future__ import annotations

import logging
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mock_datasets import MockScene, write_h2o

from genego_ros.data import h2o_format
from genego_ros.data.h2o import H2O
from genego_ros.data.sample import SampleId
from genego_ros.errors import GenEgoError
from genego_ros.geometry import rigid
from genego_ros.geometry.camera import project, rays
from genego_ros.geometry.umeyama import align

REAL, RENDERED = "subject1/h1/2", "subject12/h7/9"
SAMPLE = SampleId(REAL, "cam2", 3)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MockScene]:
    root = tmp_path_factory.mktemp("h2o")
    return root, write_h2o(root, [REAL], frames=[0, 1, 3])[REAL]


@pytest.fixture
def copy(tree: tuple[Path, MockScene], tmp_path: Path) -> Path:
    return Path(shutil.copytree(tree[0], tmp_path / "copy"))


def test_a_sample_is_the_scene_it_was_taken_of(tree: tuple[Path, MockScene]) -> None:
    root, scene = tree
    sample = H2O(root).sample(SAMPLE)
    assert (sample.subject, sample.scene, str(sample.id)) == ("subject1", "h1", "subject1/h1/2/cam2/000003")
    for view, name in ((sample.exo[0], "cam2"), (sample.ego, "cam4")):
        rgb, depth = scene.seen(name, 3)
        assert view.camera == name and view.frame.frame_id == f"{name}_optical_frame"
        assert view.frame.stamp_ns == 100_000_000
        np.testing.assert_array_equal(view.frame.rgb, rgb)
        np.testing.assert_allclose(view.frame.depth, depth, atol=0.5001e-3, equal_nan=True)
        np.testing.assert_allclose(view.T_world_camera, scene.camera_pose(name, 3), atol=1e-9)
        np.testing.assert_allclose(rigid.apply(view.T_world_camera, view.keypoints), scene.keypoints(3), atol=1e-9)
    assert (view.frame.camera.fx, view.frame.camera.cx) == pytest.approx((scene.camera("cam4").fx, 47.5), abs=1e-9)
    assert sample.T_world_object is not None
    np.testing.assert_allclose(sample.T_world_object, scene.object_pose(3), atol=1e-9)
    assert (sample.object_class, sample.object_name) == (3, "lotion")
    assert (sample.verb, sample.verb_name, sample.action, sample.description) == (2, "place", 2, "")


def test_a_picture_alone_is_that_of_its_view_and_needs_nothing_else(copy: Path) -> None:
    recordings = H2O(copy)
    whole = recordings.view(REAL, "cam2", 3).frame.rgb
    shutil.rmtree(copy / REAL / "cam2/depth")
    np.testing.assert_array_equal(recordings.picture(REAL, "cam2", 3), whole)
    with pytest.raises(GenEgoError, match=r"cam2/rgb/000002\.png"):
        recordings.picture(REAL, "cam2", 2)


def test_depth_of_one_camera_falls_onto_that_of_the_other(tree: tuple[Path, MockScene]) -> None:
    sample = H2O(tree[0]).sample(SAMPLE)
    exo, ego = sample.exo[0].frame, sample.ego.frame
    assert exo.depth is not None and ego.depth is not None
    points = (rays(exo.camera) * exo.depth[..., None])[np.isfinite(exo.depth)].astype(np.float64)
    pixels, depth = project(rigid.apply(sample.T_ego_exo, points), ego.camera)
    column, row = np.nan_to_num(np.rint(pixels), nan=-1).astype(int).T
    inside = (column >= 0) & (column < 96) & (row >= 0) & (row < 54)
    seen = np.abs(ego.depth[row[inside], column[inside]] - depth[inside])
    assert inside.sum() > 1000
    assert np.nanmedian(seen) < 0.005


def test_the_two_joint_sets_give_the_pose_between_the_cameras(tree: tuple[Path, MockScene]) -> None:
    sample = H2O(tree[0]).sample(SAMPLE)
    fit = align(sample.exo[0].keypoints.reshape(-1, 3), sample.ego.keypoints.reshape(-1, 3))
    np.testing.assert_allclose(fit.matrix, sample.T_ego_exo, atol=1e-6)


def test_every_camera_gives_samples_in_order(tree: tuple[Path, MockScene]) -> None:
    dataset = H2O(tree[0])
    ids = [SampleId(REAL, camera, frame) for camera in ("cam0", "cam1", "cam2", "cam3") for frame in (0, 1, 3)]
    assert list(dataset.ids) == ids == sorted(dataset.ids)
    assert [dataset[index].id for index in (0, 5, -1)] == [ids[0], ids[5], ids[-1]]
    assert dataset.ids[2:9:3] == ids[2:9:3]
    assert ids[4] in dataset.ids and SampleId(REAL, "cam1", 2) not in dataset.ids
    with pytest.raises(IndexError):
        dataset[12]
    strided = H2O(tree[0], cameras=("cam3", "cam1"), stride=2)
    assert [(id.camera, id.frame) for id in strided.ids] == [("cam1", 0), ("cam1", 3), ("cam3", 0), ("cam3", 3)]
    assert pickle.loads(pickle.dumps(strided))[1].id == SampleId(REAL, "cam1", 3)


def test_further_cameras_follow_the_one_asked_for(tree: tuple[Path, MockScene]) -> None:
    sample = H2O(tree[0], cameras=("cam2",)).sample(SAMPLE, also=("cam0", "cam3"))
    assert [view.camera for view in sample.exo] == ["cam2", "cam0", "cam3"]
    assert sample.exo[0].frame.camera.fx != sample.exo[1].frame.camera.fx


def test_a_camera_that_is_not_asked_for_may_be_in_parts(copy: Path) -> None:
    shutil.rmtree(copy / REAL / "cam1/depth")
    assert H2O(copy, cameras=("cam2",)).sample(SAMPLE).id == SAMPLE
    with pytest.raises(GenEgoError, match=r"cam1/depth: missing"):
        H2O(copy)


def test_recordings_without_the_camera_asked_for_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Rendered recordings have a pair of cameras each."""
    for name, cameras in ((REAL, ("cam0", "cam2", "cam4")), (RENDERED, ("cam1", "cam3", "cam4"))):
        write_h2o(tmp_path, [name], [0], cameras)
    with caplog.at_level(logging.WARNING):
        assert H2O(tmp_path, cameras=("cam2",)).recordings == (REAL,)
    assert caplog.text.count("1 recordings without cam2 are left out") == 1
    both = H2O(tmp_path, cameras=("cam1", "cam2"))
    assert [(id.sequence, id.camera) for id in both.ids] == [(REAL, "cam2"), (RENDERED, "cam1")]
    shutil.rmtree(tmp_path / REAL / "cam2/cam_pose")
    with pytest.raises(GenEgoError, match=r"cam2/cam_pose: missing; copy this folder"):
        H2O(tmp_path, cameras=("cam2",))
    shutil.rmtree(tmp_path / REAL)
    with pytest.raises(GenEgoError, match=rf"{tmp_path}: no recording has cam2; {RENDERED} has cam1, cam3"):
        H2O(tmp_path, cameras=("cam2",))


def test_a_rendered_recording_brings_its_own_names(tmp_path: Path) -> None:
    write_h2o(
        tmp_path, [RENDERED], frames=[7, 9], cameras=("cam1", "cam4"), rendered=True, rate_hz=20.0, head="cropped"
    )
    dataset = H2O(tmp_path)
    assert (dataset.rate_hz, dataset.meta(RENDERED).head, len(dataset)) == (20.0, "cropped", 2)
    sample = dataset[1]
    assert (sample.subject, sample.scene, sample.object_class, sample.object_name) == ("subject12", "h7", 9, "carton")
    assert (sample.verb_name, sample.action, sample.exo[0].frame.stamp_ns) == ("turn", 2, 450_000_000)
    assert sample.description == "A person holds a carton, moment 9."


def test_a_hand_that_is_not_labelled_is_nan(copy: Path) -> None:
    path = copy / REAL / "cam2/hand_pose/000003.txt"
    words = path.read_text().split()
    path.write_text(" ".join(["0", *words[1:]]))
    view = H2O(copy).sample(SAMPLE).exo[0]
    assert not view.has_hand("left") and view.has_hand("right")
    assert np.isnan(view.keypoints[0]).all()


def test_releases_without_some_labels_are_read(copy: Path) -> None:
    for folder in ("cam4/action_label", "cam4/verb_label", "cam2/obj_pose_RT"):
        shutil.rmtree(copy / REAL / folder)
    sample = H2O(copy).sample(SAMPLE)
    assert (sample.verb, sample.verb_name, sample.action) == (0, "background", 0)
    assert (sample.object_class, sample.object_name, sample.T_world_object) == (0, "background", None)


def spoil(path: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def applied(root: Path) -> None:
        file = root / REAL / path
        file.write_text(change(file.read_text()))

    return applied


def moved(place: int, by: float) -> Callable[[str], str]:
    """Adds to one number of a line."""

    def applied(text: str) -> str:
        words = text.split()
        words[place] = str(float(words[place]) + by)
        return " ".join(words)

    return applied


def mirrored(text: str) -> str:
    """An object's pose with its x axis the other way round."""
    number, *words = text.split()
    T = np.array(words, float).reshape(4, 4) @ np.diag([-1.0, 1, 1, 1])
    return h2o_format.format_object_pose(int(number), T)


def cut(path: str, share: float = 0.5) -> Callable[[Path], None]:
    def applied(root: Path) -> None:
        file = root / REAL / path
        file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])

    return applied


def remove(path: str) -> Callable[[Path], None]:
    return lambda root: (root / REAL / path).unlink()


RGB, POSE, HANDS = "cam2/rgb/000003.png", "cam2/cam_pose/000003.txt", "cam4/hand_pose/000003.txt"
OBJECT, VERB, INTRINSICS = "cam2/obj_pose_RT/000003.txt", "cam4/verb_label/000003.txt", "cam2/cam_intrinsics.txt"


@pytest.mark.parametrize(
    ("damage", "path", "said"),
    [
        (remove(RGB), RGB, r"missing \(1 such\), but the other camera has this frame"),
        (remove("cam4/rgb/000003.png"), "cam4/rgb/000003.png", "missing"),
        (lambda root: shutil.rmtree(root / REAL / "cam2/hand_pose"), "cam2/hand_pose", "missing; copy this folder"),
        (lambda root: shutil.rmtree(root / REAL / "cam4"), "cam4", "missing; copy this camera"),
        (remove(POSE), POSE, "missing; copy it"),
        (cut(RGB), RGB, "damaged or cut off"),
        (cut(RGB, 0.99), RGB, "damaged or cut off"),
        (cut(RGB, 0), RGB, "damaged or cut off"),
        (cut("cam4/depth/000003.png"), "cam4/depth/000003.png", "damaged or cut off"),
        (
            lambda root: shutil.copy(root / REAL / RGB, root / REAL / "cam2/depth/000003.png"),
            "cam2/depth/000003.png",
            "one channel of 16 bits",
        ),
        (spoil(HANDS, lambda text: text.rsplit(" ", 1)[0]), HANDS, "127 numbers where 128 belong"),
        (spoil(HANDS, lambda text: "2" + text[1:]), HANDS, "left hand's flag is 2"),
        (spoil(HANDS, lambda text: " ".join([*text.split()[:-1], "nan"])), HANDS, "right hand is NaN"),
        (spoil(POSE, lambda text: "nan " + text.split(" ", 1)[1]), POSE, "holds NaN"),
        (spoil(POSE, lambda text: "9 " + text.split(" ", 1)[1]), POSE, "the camera pose is no rigid transformation"),
        (spoil(POSE, lambda text: text.replace(".", ",")), POSE, "could not convert"),
        (spoil(POSE, moved(3, 1e4)), POSE, "no rigid transformation within 100 m"),
        (spoil(POSE, moved(0, 1e300)), POSE, "no rigid transformation within 100 m"),
        (spoil(HANDS, moved(1, 2000.0)), HANDS, "the left hand is 2e[+]03 m large and reaches to 2e[+]03 m"),
        (spoil(HANDS, lambda text: text.replace(".", "")), HANDS, "the left hand is .* m large"),
        (spoil(HANDS, moved(70, 1.2)), HANDS, "the right hand is .* m large.*bring it to metres"),
        (spoil(OBJECT, moved(2, 0.05)), OBJECT, "the object's pose is no rigid transformation"),
        (spoil(OBJECT, lambda text: mirrored(text)), OBJECT, "the object's pose is no rigid transformation"),
        (spoil(OBJECT, moved(4, 1e3)), OBJECT, "no rigid transformation within 100 m"),
        (spoil(OBJECT, moved(16, 1.0)), OBJECT, "the object's pose is no rigid transformation"),
        (lambda root: (root / REAL / "meta.json").write_bytes(b'{"rate_hz": "\xff"}'), "meta.json", "copy it again"),
        (spoil(OBJECT, lambda text: "1.5 " + text.split(" ", 1)[1]), OBJECT, "whole number"),
        (spoil(VERB, lambda text: "-1"), VERB, "whole number"),
        (spoil(VERB, lambda text: ""), VERB, "0 numbers where 1 belong"),
        (
            spoil(INTRINSICS, lambda text: text.replace(" 96 54", " 1280 720")),
            RGB,
            "an intrinsics file for another size",
        ),
        (spoil(INTRINSICS, lambda text: "0 " + text.split(" ", 1)[1]), INTRINSICS, "focal lengths positive"),
    ],
)
def test_damage_is_named_with_its_path(copy: Path, damage: Callable[[Path], None], path: str, said: str) -> None:
    damage(copy)
    with pytest.raises(GenEgoError, match=said) as error:
        H2O(copy).sample(SAMPLE)
    assert str(error.value).startswith(str(copy / REAL / path))


def test_what_is_not_there_is_named(tree: tuple[Path, MockScene], tmp_path: Path) -> None:
    with pytest.raises(GenEgoError, match=r"absent: no such folder"):
        H2O(tree[0] / "absent")
    with pytest.raises(GenEgoError, match=rf"{tmp_path}: no recording here"):
        H2O(tmp_path)
    with pytest.raises(GenEgoError, match="unknown camera 'cam4'"):
        H2O(tree[0], cameras=("cam4",))
    dataset = H2O(tree[0])
    for id, said in {
        SAMPLE._replace(sequence="subject9/h1/0"): r"subject9/h1/0: no such recording",
        SAMPLE._replace(camera="cam7"): r"h1/2/cam7: no such third-person camera",
        SAMPLE._replace(frame=2): r"h1/2/cam4/rgb/000002.png: no such frame",
    }.items():
        with pytest.raises(GenEgoError, match=said):
            dataset.sample(id)


def test_unfinished_and_hidden_folders_are_not_looked_into(copy: Path) -> None:
    (copy / REAL).rename(copy / "subject1/h1/.3")
    (copy / "subject1/h1/4.partial-x/cam4/rgb").mkdir(parents=True)
    with pytest.raises(GenEgoError, match="no recording here"):
        H2O(copy)


def test_recordings_of_two_rates_have_no_common_rate(tmp_path: Path) -> None:
    for name, rate_hz in (("subject1/h1/1", 30.0), ("subject1/h1/2", 15.0)):
        write_h2o(tmp_path, [name], frames=[0], cameras=("cam0", "cam4"), rendered=True, rate_hz=rate_hz)
    with pytest.raises(GenEgoError, match=r"h1/1 of 30 Hz and subject1/h1/2 of 15 Hz"):
        _ = H2O(tmp_path).rate_hz


def test_the_text_formats_are_exact(tree: tuple[Path, MockScene]) -> None:
    scene = tree[1]
    T, hands = scene.camera_pose("cam1", 5), scene.keypoints(5)
    np.testing.assert_allclose(h2o_format.parse_pose(h2o_format.format_pose(T), "-"), T, atol=1e-9, rtol=0)
    hands[1, 4, 2] = np.nan
    text = h2o_format.format_hands(hands)
    assert len(text.split()) == 128 and text.split()[64:] == ["0", *["0.0000000000"] * 63]
    np.testing.assert_allclose(h2o_format.parse_hands(text, "-")[0], hands[0], atol=1e-9, rtol=0)
    number, *points = h2o_format.format_object(7, hands[0]).split()
    np.testing.assert_allclose(np.array(points, float).reshape(21, 3), hands[0], atol=1e-9, rtol=0)
    assert number == "7" and h2o_format.parse_object_pose(h2o_format.format_object_pose(3, T), "-")[0] == 3
    camera = scene.camera("cam4")
    assert vars(h2o_format.parse_intrinsics(h2o_format.format_intrinsics(camera), "-")) == pytest.approx(vars(camera))
    meta = h2o_format.Meta(25.0, "mug", ("background", "lift"), ("background",), "absent", {"seed": 4})
    assert h2o_format.parse_meta(h2o_format.format_meta(meta), "-") == meta


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "meta.json: cannot be read"),
        ("{", "meta.json: cannot be read"),
        (
            '{"rate_hz": 0}',
            "meta.json: rate_hz is 0, a number of frames a second from 0.01 to 1000 belongs there; copy",
        ),
        ('{"rate_hz": -30}', "rate_hz is -30"),
        ('{"rate_hz": 1e300}', r"rate_hz is 1e\+300"),
        ('{"rate_hz": 1e-300}', "rate_hz is 1e-300"),
        ('{"rate_hz": NaN}', "rate_hz is nan"),
        ('{"rate_hz": 1' + 400 * "0" + "}", "rate_hz is 1000"),
        ('{"rate_hz": "30"}', "rate_hz is 30, a number"),
        ('{"rate_hz": true}', "rate_hz is True"),
        ('{"rate_hz": null}', "rate_hz is None"),
        ('{"head": []}', r"head is '\[\]'"),
        ('{"verbs": "grab"}', "lists of texts"),
        ("[" * 100_000, "meta.json: cannot be read"),
        ('{"head": "half"}', "head is 'half'"),
        ('{"verbs": [1]}', "lists of texts"),
        ('{"verbs": 5}', "lists of texts"),
    ],
)
def test_a_damaged_meta_file_is_named(text: str, said: str) -> None:
    with pytest.raises(GenEgoError, match=said):
        h2o_format.parse_meta(text, "meta.json")


def test_the_names_are_h2o_s() -> None:
    assert (len(h2o_format.VERBS), len(h2o_format.ACTIONS), len(h2o_format.OBJECTS)) == (12, 37, 9)
    numbers = {23: "pour milk", 27: "take out cappuccino", 30: "put in cappuccino", 34: "read espresso"}
    assert {number: h2o_format.ACTIONS[number] for number in numbers} == numbers


def test_depth_of_the_ego_camera_can_be_left_out(tree: tuple[Path, MockScene]) -> None:
    root, _ = tree
    whole, without = H2O(root)[0], H2O(root, ego_depth=False)[0]
    assert whole.ego.frame.depth is not None and without.ego.frame.depth is None
    np.testing.assert_array_equal(without.ego.frame.rgb, whole.ego.frame.rgb)
    assert without.exo[0].frame.depth is not None


def test_depth_that_is_not_read_need_not_be_there(copy: Path) -> None:
    shutil.rmtree(copy / REAL / "cam4/depth")
    assert H2O(copy, ego_depth=False).sample(SAMPLE).ego.frame.depth is None
    with pytest.raises(GenEgoError, match="cam4/depth: missing; copy this folder"):
        H2O(copy)


def test_without_an_object_its_pose_may_be_anything(copy: Path) -> None:
    (copy / REAL / OBJECT).write_text("0 " + " ".join(["0"] * 16))
    sample = H2O(copy).sample(SAMPLE)
    assert sample.object_class == 0 and sample.T_world_object is None
