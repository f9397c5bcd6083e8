"""MANO's keypoints against the whole mesh, moved vertex by vertex as its paper says."""

from __future__ import annotations

import pickle
import types
from pathlib import Path

import numpy as np
import pytest
from mock_datasets import MockScene, write_mano
from scipy.sparse import csc_matrix
from scipy.spatial.transform import Rotation

from genego_ros.cli import main
from genego_ros.data.mano import import_mano, load_mano
from genego_ros.errors import GenEgoError
from genego_ros.geometry.hand_model import MIRROR, HandModel
from genego_ros.observation.observer import load_hand_mesh
from genego_ros.types import SIDES, Float64Array


def whole_hand(
    arrays: dict[str, np.ndarray], pose: Float64Array, shape: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Vertices (778, 3) and joints (16, 3), by homogeneous matrices along each joint's chain."""
    shaped = arrays["v_template"] + arrays["shapedirs"] @ shape
    joints = arrays["J_regressor"] @ shaped
    turns = [Rotation.from_rotvec(pose[3 * joint : 3 * joint + 3]).as_matrix() for joint in range(16)]
    corrections = np.concatenate([(turn - np.eye(3)).ravel() for turn in turns[1:]])
    shaped = shaped + arrays["posedirs"] @ corrections
    moved = []
    for joint in range(16):
        chain, here = np.eye(4), joint
        while True:
            about = np.eye(4)
            about[:3, :3], about[:3, 3] = turns[here], joints[here] - turns[here] @ joints[here]
            chain = about @ chain
            if here == 0:
                break
            here = int(arrays["kintree_table"][0][here])
        moved.append(chain)
    blended = np.einsum("vj,jab->vab", arrays["weights"], np.array(moved))
    vertices = np.einsum("vab,vb->va", blended[:, :3, :3], shaped) + blended[:, :3, 3]
    return vertices, np.array([(chain @ np.append(joint, 1))[:3] for chain, joint in zip(moved, joints, strict=True)])


@pytest.mark.parametrize("side", SIDES)
def test_keypoints_lie_on_the_posed_mesh(tmp_path: Path, side: str) -> None:
    write_mano(tmp_path)
    rng = np.random.default_rng(1)
    pose, shape, translation = rng.normal(scale=0.4, size=48), rng.normal(size=10), rng.normal(size=3)
    arrays = dict(np.load(tmp_path / f"MANO_{side.upper()}.npz"))
    vertices, joints = whole_hand(arrays, pose, shape)
    tips = vertices[[745, 317, 445 if side == "left" else 444, 556, 673]]
    # MANO: wrist, index, middle, pinky, ring, thumb; OpenPose: wrist, thumb, index, middle, ring, pinky.
    fingers = [joints[first : first + 3] for first in (13, 1, 4, 10, 7)]
    wanted = np.concatenate(
        [joints[:1], *[np.vstack([finger, tip]) for finger, tip in zip(fingers, tips, strict=True)]]
    )
    found = load_mano(tmp_path)[side].keypoints(pose, shape, translation)  # type: ignore[index]
    np.testing.assert_allclose(found, wanted - wanted[0] + translation, atol=1e-12)


def test_a_flat_hand_is_the_template(tmp_path: Path) -> None:
    write_mano(tmp_path)
    rest, models = MockScene().hand, load_mano(tmp_path)
    for side in SIDES:
        hand = rest * (MIRROR if side == "left" else 1.0)
        found = models[side].keypoints(np.zeros(48), np.zeros(10), np.zeros(3))
        np.testing.assert_allclose(found, hand - hand[0], atol=1e-12)


def write_pickles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As MANO distributes them: a sparse regressor, a value of chumpy's, protocol 2."""
    write_mano(folder)
    for side in ("LEFT", "RIGHT"):
        arrays: dict[str, object] = dict(np.load(folder / f"MANO_{side}.npz"))
        arrays["J_regressor"] = csc_matrix(arrays["J_regressor"])
        arrays["f"] = np.random.default_rng(2).integers(0, 778, (1538, 3)).astype(np.uint32)
        arrays["bs_style"] = "lbs"
        with monkeypatch.context() as patch:
            module = types.ModuleType("chumpy.ch")
            module.Ch = type("Ch", (), {"__module__": "chumpy.ch"})  # type: ignore[attr-defined]
            patch.setitem(__import__("sys").modules, "chumpy", types.ModuleType("chumpy"))
            patch.setitem(__import__("sys").modules, "chumpy.ch", module)
            value = module.Ch()  # type: ignore[attr-defined]
            value.__dict__.update(x=arrays["shapedirs"], _itr=None)
            arrays["shapedirs"] = value
            (folder / f"MANO_{side}.pkl").write_bytes(pickle.dumps(arrays, 2))


def test_mano_s_own_pickles_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pickles(tmp_path, monkeypatch)
    pose = np.linspace(-1, 1, 48)
    wanted = load_mano(tmp_path)["right"].keypoints(pose, np.ones(10), np.zeros(3))
    for side in ("LEFT", "RIGHT"):
        (tmp_path / f"MANO_{side}.npz").unlink()
    found = load_mano(tmp_path)["right"].keypoints(pose, np.ones(10), np.zeros(3))
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_pickles_are_imported_once_and_serve_as_the_hand_mesh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pickles = tmp_path / "mano" / "models"
    pickles.mkdir(parents=True)
    write_pickles(pickles, monkeypatch)
    (pickles / "MANO_RIGHT.npz").unlink()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GENEGO_WEIGHTS", str(tmp_path / "file"))
    assert main(["weights", "import-mano", str(tmp_path / "mano")]) == 1
    assert f"'{tmp_path}/file/mano' cannot be written (Not a directory)" in capsys.readouterr().err
    monkeypatch.setenv("GENEGO_WEIGHTS", str(tmp_path / "weights"))
    assert main(["weights", "import-mano", str(tmp_path / "mano")]) == 0
    path = tmp_path / "weights" / "mano" / "MANO_RIGHT.npz"
    assert f"wrote {path}" in capsys.readouterr().out
    # What was written is what the pickles hold, and reads without a pickle.
    pose, shape = np.linspace(-1, 1, 48), np.ones(10)
    imported, own = (load_mano(folder)["right"] for folder in (path.parent, pickles))
    np.testing.assert_array_equal(*(hand.keypoints(pose, shape, np.zeros(3)) for hand in (imported, own)))
    model, arrays = load_hand_mesh(), dict(np.load(path))
    assert model.vertices.shape == (778, 3) and len(model.right_faces) == 1538
    rest = own.keypoints(np.zeros(48), np.zeros(10), np.zeros(3))
    np.testing.assert_allclose(model.rest_keypoints("right"), rest, atol=1e-7)
    # A turned and moved hand carries every vertex along.
    turn = Rotation.from_euler("xyz", [0.3, -0.8, 0.5])
    template = arrays["v_template"] - (arrays["J_regressor"] @ arrays["v_template"])[0]
    fitted = model.fit((turn.apply(rest) + [0.1, 0.2, 0.7]).astype(np.float32), "right")
    np.testing.assert_allclose(fitted, turn.apply(template) + [0.1, 0.2, 0.7], atol=1e-5)


def test_what_cannot_be_imported_is_named(tmp_path: Path) -> None:
    with pytest.raises(GenEgoError, match=r"MANO_LEFT\.pkl: no such file; get it from https://mano"):
        import_mano(tmp_path, tmp_path / "out")
    for side in ("LEFT", "RIGHT"):
        (tmp_path / f"MANO_{side}.pkl").write_bytes(pickle.dumps({"v_template": np.zeros((778, 3))}))
    with pytest.raises(GenEgoError, match="a model of MANO"):
        import_mano(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "MANO_RIGHT.npz").write_bytes(b"no zip")
    with pytest.raises(GenEgoError, match="import-mano DIR again"):
        HandModel.load_mano(tmp_path / "MANO_RIGHT.npz")


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(GenEgoError, match=r"MANO_LEFT\.npz or \.pkl: no such file"):
        load_mano(tmp_path)
    write_mano(tmp_path)
    path = tmp_path / "MANO_RIGHT.npz"
    arrays = dict(np.load(path))
    for name, value, said in (
        ("weights", np.zeros((778, 24)), r"weights is \(778, 24\), not \(778, 16\)"),
        ("J_regressor", np.array(csc_matrix((16, 778)), object), "a model of MANO"),
    ):
        np.savez(path, **{**arrays, name: value})
        with pytest.raises(GenEgoError, match=said) as error:
            load_mano(tmp_path)
        assert str(path) in str(error.value)


def test_a_model_that_was_damaged_on_its_way_is_named(tmp_path: Path) -> None:
    """Cut off, or with bytes changed within what is compressed, of which numpy, zipfile and zlib each say something."""
    write_mano(tmp_path)
    path = tmp_path / "MANO_RIGHT.npz"
    np.savez_compressed(path, **dict(np.load(path)))
    whole = path.read_bytes()
    for damaged in (b"", whole[:-500], whole[:200] + bytes(len(whole) - 400) + whole[-200:], b"<html>".ljust(999)):
        path.write_bytes(damaged)
        for load in (lambda: load_mano(tmp_path), lambda: HandModel.load_mano(path)):
            with pytest.raises(GenEgoError, match=f"{path}: cannot be loaded "):
                load()
    for place in range(100, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        try:
            HandModel.load_mano(path)
        except GenEgoError as error:
            assert str(path) in str(error)
