"""Keypoints of a MANO hand (Romero et al., SIGGRAPH Asia 2017), from the user's own licensed files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from genego_ros.data.unpickling import load_pickle
from genego_ros.errors import GenEgoError, loading
from genego_ros.geometry.hand_model import MANO_OPENPOSE, MANO_TIPS
from genego_ros.types import SIDES, Array, Float64Array, Side

JOINTS = 16
TIPS: dict[Side, tuple[int, ...]] = {"left": (745, 317, 445, 556, 673), "right": MANO_TIPS}
"""Vertices of thumb, index, middle, ring and pinky tip, as manopth takes them."""
OPENPOSE = MANO_OPENPOSE
"""Keypoints from the 16 joints (wrist, index, middle, pinky, ring, thumb) with the 5 tips behind them."""
_SHAPES = {"v_template": (778, 3), "shapedirs": (778, 3, 10), "posedirs": (778, 3, 135), "weights": (778, JOINTS)}
_CURE = "a model of MANO is wanted, arrays of numbers named as in its files"


@dataclass(frozen=True)
class Mano:
    """What of one side's model moves its keypoints: the joints, and the five vertices at the finger tips."""

    joints: Float64Array
    """float64 (16, 3), metres."""
    joint_shapes: Float64Array
    """float64 (16, 3, 10): by each shape number."""
    tips: Float64Array
    """float64 (5, 3), metres."""
    tip_shapes: Float64Array
    """float64 (5, 3, 10)."""
    tip_poses: Float64Array
    """float64 (5, 3, 135): by each element of the 15 joints' rotations minus the identity."""
    tip_weights: Float64Array
    """float64 (5, 16)."""
    parents: tuple[int, ...]
    """Of the joints; the wrist's is -1."""

    def keypoints(self, pose: Array, shape: Array, translation: Array) -> Float64Array:
        """float64 (21, 3), metres, OpenPose's order: the wrist lies at `translation`.

        Args:
            pose: (48,), axis-angles of the wrist and the 15 joints, radians, around the flat hand.
            shape: (10,).
            translation: (3,), metres.
        """
        turns = Rotation.from_rotvec(np.asarray(pose, np.float64).reshape(JOINTS, 3)).as_matrix()
        joints = self.joints + self.joint_shapes @ shape
        tips = self.tips + self.tip_shapes @ shape + self.tip_poses @ (turns[1:] - np.eye(3)).ravel()
        rotations, positions = [turns[0]], [joints[0]]
        for joint in range(1, JOINTS):
            parent = self.parents[joint]
            positions.append(positions[parent] + rotations[parent] @ (joints[joint] - joints[parent]))
            rotations.append(rotations[parent] @ turns[joint])
        # Linear blend skinning: every joint carries the tip along rigidly.
        carried = np.einsum("jab,tjb->tja", np.array(rotations), tips[:, None] - joints) + np.array(positions)
        posed = np.concatenate([positions, np.einsum("tj,tja->ta", self.tip_weights, carried)])[list(OPENPOSE)]
        return posed - posed[0] + np.asarray(translation, np.float64)


def load_mano(folder: Path | str) -> dict[Side, Mano]:
    """Both sides, from MANO_LEFT and MANO_RIGHT as .npz, or as the .pkl that MANO distributes.

    Raises:
        GenEgoError: a file is missing, is damaged, or is no MANO model.
    """
    return {side: _load(Path(folder) / f"MANO_{side.upper()}", side) for side in SIDES}


def import_mano(folder: Path | str, out: Path) -> list[Path]:
    """Writes the arrays of MANO's pickles as .npz, which load without a pickle.

    Args:
        folder: holds MANO_LEFT.pkl and MANO_RIGHT.pkl as MANO distributes them (below `models` too).
        out: folder for the .npz files; made where it does not exist.

    Returns:
        The files written.

    Raises:
        GenEgoError: a file is missing, is damaged, or is no MANO model.
    """
    found = Path(folder) / "models" if (Path(folder) / "models").is_dir() else Path(folder)
    arrays = {side: _arrays(found / f"MANO_{side.upper()}", side) for side in SIDES}
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for side in SIDES:
        path = out / f"MANO_{side.upper()}.npz"
        np.savez_compressed(path, **arrays[side])  # type: ignore[arg-type]
        written.append(path)
    return written


def _arrays(stem: Path, side: Side) -> dict[str, Array]:
    """All plain arrays of a pickle; the joint regressor, which is sparse there, is filled up."""
    path = stem.with_suffix(".pkl")
    if not path.is_file():
        raise GenEgoError(f"{path}: no such file; get it from https://mano.is.tue.mpg.de")
    with loading(path, _CURE):
        content = load_pickle(path)
        _model(content, side)
        dense = {name: value.toarray() if hasattr(value, "toarray") else value for name, value in content.items()}
        arrays = {name: np.asarray(value) for name, value in dense.items()}
        if np.asarray(arrays["f"]).shape[1:] != (3,):
            raise ValueError(f"f is {arrays['f'].shape}, not (1538, 3)")
    return {name: value for name, value in arrays.items() if value.dtype.kind in "fiub"}


def _load(stem: Path, side: Side) -> Mano:
    path = stem.with_suffix(".npz") if stem.with_suffix(".npz").is_file() else stem.with_suffix(".pkl")
    if not path.is_file():
        raise GenEgoError(f"{stem}.npz or .pkl: no such file; get it from https://mano.is.tue.mpg.de")
    with loading(path, _CURE):
        arrays: Mapping[str, Any] = np.load(path) if path.suffix == ".npz" else load_pickle(path)
        return _model(arrays, side)


def _model(arrays: Mapping[str, Any], side: Side) -> Mano:
    regressor = arrays["J_regressor"]
    regressor = np.asarray(regressor.toarray() if hasattr(regressor, "toarray") else regressor, np.float64)
    parts = {name: np.asarray(arrays[name], np.float64) for name in _SHAPES}
    for name, found in {**parts, "J_regressor": regressor}.items():
        wanted = _SHAPES.get(name, (JOINTS, 778))
        if found.shape != wanted:
            raise ValueError(f"{name} is {found.shape}, not {wanted}")
    parents = np.asarray(arrays["kintree_table"])[0].astype(np.int64)
    tips = list(TIPS[side])
    return Mano(
        joints=regressor @ parts["v_template"],
        joint_shapes=np.einsum("jv,vas->jas", regressor, parts["shapedirs"]),
        tips=parts["v_template"][tips],
        tip_shapes=parts["shapedirs"][tips],
        tip_poses=parts["posedirs"][tips],
        tip_weights=parts["weights"][tips],
        parents=(-1, *(int(parent) for parent in parents[1:])),
    )
