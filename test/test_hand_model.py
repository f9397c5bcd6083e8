from __future__ import annotations

import os
import runpy
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.spatial.transform import Rotation

from genego_ros.errors import GenEgoError
from genego_ros.geometry.hand_model import PARENTS, HandModel, hand_length, smallest_rotations

MODELS = Path(__file__).parents[1] / "models"
SIDES = ("left", "right")


@pytest.fixture(scope="module")
def model() -> HandModel:
    return HandModel.load(MODELS / "hand_mesh.safetensors")


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Signed volume of a closed mesh: positive where its faces look outward."""
    a, b, c = (vertices[faces[:, corner]].astype(np.float64) for corner in range(3))
    return float(np.einsum("ni,ni->", a, np.cross(b, c)) / 6)


def back_of(keypoints: np.ndarray, side: str) -> np.ndarray:
    """The unit vector out of the back of the hand."""
    back = np.cross(keypoints[17] - keypoints[0], keypoints[5] - keypoints[0])
    return back / np.linalg.norm(back) * (1 if side == "right" else -1)


def flexion(model: HandModel, side: str, finger: int, degrees: float) -> Rotation:
    """The turn of a joint of the finger with this knuckle that bends it towards the palm."""
    rest = model.rest_keypoints(side).astype(np.float64)
    axis = np.cross(back_of(rest, side), rest[finger + 3] - rest[finger])
    return Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis))


def bent(model: HandModel, side: str, degrees: float) -> np.ndarray:
    """The rest hand with every joint of the four fingers bent by this much towards the palm."""
    bent = model.rest_keypoints(side).astype(np.float64)
    for finger in (5, 9, 13, 17):
        turn = flexion(model, side, finger, degrees)
        for joint in range(finger, finger + 3):
            beyond = slice(joint + 1, finger + 4)
            bent[beyond] = bent[joint] + turn.apply(bent[beyond] - bent[joint])
    return bent.astype(np.float32)


def test_the_mesh_is_closed_and_of_an_adult_hand(model: HandModel) -> None:
    edges = np.sort(model.right_faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert (counts == 2).all()
    assert 0.17 < hand_length(model.rest_keypoints("right")) < 0.22
    assert (MODELS / "hand_mesh.safetensors").stat().st_size < 300_000


@pytest.mark.parametrize("side", SIDES)
def test_rest_keypoints_moved_by_a_similarity_give_the_rest_mesh_moved_by_it(model: HandModel, side: str) -> None:
    turn, shift = Rotation.from_rotvec([0.4, -1.9, 2.2]), np.array([0.3, -0.1, 1.2])
    fitted = model.fit((0.8 * turn.apply(model.rest_keypoints(side)) + shift).astype(np.float32), side)
    rest = model.vertices * (np.array([-1, 1, 1]) if side == "left" else 1)
    np.testing.assert_allclose(fitted, 0.8 * turn.apply(rest) + shift, atol=2e-6)
    assert fitted.dtype == np.float32


@pytest.mark.parametrize("side", SIDES)
def test_joints_fall_on_their_targets(model: HandModel, side: str) -> None:
    rng = np.random.default_rng(3)
    rest = model.rest_keypoints(side).astype(np.float64)
    for degrees in (0, 30, 80):
        targets = bent(model, side, degrees) + rng.normal(0, 0.006, (21, 3))
        transforms = model.bone_transforms(targets, side)
        for k in range(1, 21):
            for joint in (k, PARENTS[k]):
                moved = transforms[k, :, :3] @ rest[joint] + transforms[k, :, 3]
                np.testing.assert_allclose(moved, targets[joint], atol=1e-8)
        vertices = model.fit(targets.astype(np.float32), side)
        for tip in (4, 8, 12, 16, 20):
            assert np.linalg.norm(vertices - targets[tip], axis=1).min() < 1e-3


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("degrees", [0, 45, 85])
def test_faces_look_outward_and_volume_survives_bending(model: HandModel, side: str, degrees: float) -> None:
    """A left hand that is a mirrored right one has its faces inside out."""
    rest = volume(model.vertices, model.right_faces)
    fitted = volume(model.fit(bent(model, side, degrees), side), model.faces(side))
    assert 300e-6 < rest < 450e-6
    assert fitted == pytest.approx(rest, rel=0.12)


@pytest.mark.parametrize("side", SIDES)
def test_a_bent_finger_keeps_its_nail_on_the_back(model: HandModel, side: str) -> None:
    """Bent by 240 degrees in all, the skin on the index's last bone has turned with it."""
    mirror = np.array([-1, 1, 1]) if side == "left" else np.ones(3)
    rest = model.rest_keypoints(side).astype(np.float64)
    back = back_of(rest, side)
    from_middle = model.vertices * mirror - (rest[7] + rest[8]) / 2
    above = (np.linalg.norm(from_middle, axis=1) < 0.012) & (from_middle @ back > 0)
    assert above.sum() > 10
    keypoints = bent(model, side, 80)
    moved = model.fit(keypoints, side)[above] - (keypoints[7] + keypoints[8]) / 2
    turned = flexion(model, side, 5, 240).apply(from_middle[above])
    np.testing.assert_allclose(moved, turned, atol=2e-3)


def test_noise_never_flips_a_bone(model: HandModel) -> None:
    rng = np.random.default_rng(5)
    clean = bent(model, "right", 40).astype(np.float64)
    still = model.bone_transforms(clean, "right")[:, :, :3]
    for _ in range(200):
        linear = model.bone_transforms(clean + rng.normal(0, 0.002, (21, 3)), "right")[:, :, :3]
        assert (np.linalg.det(linear) > 0).all()
        for before, after in zip(still, linear, strict=True):
            u, _, vt = np.linalg.svd(after @ np.linalg.inv(before))
            assert Rotation.from_matrix(u @ vt).magnitude() < np.radians(60)


def test_collapsed_and_folded_bones_stay_with_their_parent(model: HandModel) -> None:
    keypoints = model.rest_keypoints("right")
    keypoints[7] = keypoints[6]
    keypoints[11] = keypoints[9]
    keypoints[12] = keypoints[9]
    keypoints[19] = 2 * keypoints[18] - keypoints[17]
    keypoints[20] = keypoints[18]
    vertices = model.fit(keypoints, "right")
    assert np.isfinite(vertices).all()
    distance = np.linalg.norm(vertices[:, None] - keypoints[None], axis=2).min(axis=1)
    assert distance.max() < 0.06
    parent, child = model.bone_transforms(keypoints, "right")[[6, 7], :, :3]
    across = np.cross(model.keypoints[7] - model.keypoints[6], [0.0, 0.0, 1.0])
    turned = child @ across
    assert turned @ parent @ across > 0.9 * np.linalg.norm(turned) * np.linalg.norm(parent @ across)


def test_keypoints_without_a_hand_are_refused(model: HandModel) -> None:
    keypoints = model.rest_keypoints("left")
    keypoints[13, 1] = np.nan
    with pytest.raises(GenEgoError, match="NaN"):
        model.fit(keypoints, "left")
    with pytest.raises(GenEgoError, match="palm"):
        model.fit(np.zeros((21, 3), np.float32), "left")
    line = np.outer(np.arange(21), [0.01, 0.0, 0.0]).astype(np.float32)
    with pytest.raises(GenEgoError, match="palm"):
        model.fit(line, "right")
    with pytest.raises(GenEgoError, match="21"):
        model.fit(np.zeros((20, 3), np.float32), "right")


def test_a_missing_or_foreign_mesh_file_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(GenEgoError, match="build_hand_mesh"):
        HandModel.load(tmp_path / "nothing.safetensors")
    (tmp_path / "foreign.safetensors").write_bytes(b"not a tensor file")
    with pytest.raises(GenEgoError, match="build_hand_mesh"):
        HandModel.load(tmp_path / "foreign.safetensors")


def test_hand_length_does_not_depend_on_the_pose(model: HandModel) -> None:
    keypoints = np.zeros((21, 3), np.float32)
    keypoints[[9, 10, 11, 12]] = [[0.1, 0, 0], [0.1, 0.04, 0], [0.1, 0.04, 0.03], [0.08, 0.04, 0.03]]
    assert hand_length(keypoints) == pytest.approx(0.19)
    open_hand = hand_length(model.rest_keypoints("left"))
    assert hand_length(bent(model, "left", 70)) == pytest.approx(open_hand, rel=1e-5)


def test_smallest_rotations_against_scipy() -> None:
    rng = np.random.default_rng(1)
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(2, 50, 3)))
    rotations = smallest_rotations(a, b, np.array([1.0, 0, 0]))
    angle = np.arccos(np.sum(a * b, axis=1))
    axis = np.cross(a, b) / np.linalg.norm(np.cross(a, b), axis=1, keepdims=True)
    np.testing.assert_allclose(rotations, Rotation.from_rotvec(angle[:, None] * axis).as_matrix(), atol=1e-9)
    opposite = smallest_rotations(a, -a, np.array([1.0, 0, 0]))
    np.testing.assert_allclose(np.einsum("nij,nj->ni", opposite, a), -a, atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(opposite), 1, atol=1e-9)


def test_the_mesh_file_is_what_its_script_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Path(os.environ.get("GENEGO_TEST_DATA", MODELS.parents[1] / "shared/data"))
    if not (source := data / "anny/anny_hand.npz").is_file():
        pytest.skip(f"no {source}; set GENEGO_TEST_DATA")
    monkeypatch.syspath_prepend(MODELS)
    code = runpy.run_path(str(MODELS / "build_hand_mesh.py"))
    built, shipped = code["hand_mesh"](np.load(source)), load_file(MODELS / "hand_mesh.safetensors")
    assert built.keys() == shipped.keys()
    for name, tensor in shipped.items():
        # That file's blend shapes are float16, worth 0.05 mm.
        np.testing.assert_allclose(built[name], tensor, atol=5e-5, err_msg=name)
