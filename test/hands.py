"""Posable hands for the tests: the project's hand mesh, as a body's hands would be."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from genego_ros.data.synthetic.hand_rig import HandRig, wrist_frame
from genego_ros.data.synthetic.play import Person
from genego_ros.geometry import rigid
from genego_ros.geometry.hand_model import MIRROR, HandModel
from genego_ros.types import Side

MESH = Path(__file__).parents[1] / "models" / "hand_mesh.safetensors"


@lru_cache
def make_rig(side: Side, scale: float = 1.0) -> HandRig:
    model = HandModel.load(MESH)
    mirror = MIRROR if side == "left" else np.ones(3)
    keypoints = model.keypoints * mirror
    T_wrist = rigid.invert(wrist_frame(keypoints))
    vertices = rigid.apply(T_wrist, model.vertices * mirror) * scale
    weights = np.ascontiguousarray(model.skinning[:, 3::4])
    return HandRig(
        side, vertices.astype(np.float32), model.faces(side), weights, rigid.apply(T_wrist, keypoints) * scale
    )


def make_person(table_height: float, scale: float = 0.95) -> Person:
    """Somebody of average size who sits at a table."""
    shoulders = np.array([[-0.19, -0.42, table_height + 0.36], [0.19, -0.42, table_height + 0.36]])
    return Person((make_rig("left", scale), make_rig("right", scale)), shoulders, 0.59 * scale)
