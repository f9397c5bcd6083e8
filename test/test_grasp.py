from __future__ import annotations

import numpy as np
import open3d
import pytest
from hands import make_rig

from genego_ros.data.synthetic.grasp import HIGHEST, LOWEST, Grasp, find_grasp, hand_spheres, overlap, skin_at
from genego_ros.data.synthetic.hand_rig import HandRig
from genego_ros.data.synthetic.object_model import ObjectModel
from genego_ros.data.synthetic.objects import OBJECT_NAMES, make_object
from genego_ros.types import Side

NUMBERS = {name: number for number, name in OBJECT_NAMES.items()}


def instance(name: str) -> ObjectModel:
    return make_object(NUMBERS[name], np.random.default_rng(1))


def grasped(name: str, grip: int, side: Side, scale: float = 1.0) -> tuple[HandRig, ObjectModel, Grasp]:
    rig, model = make_rig(side, scale), instance(name)
    return rig, model, find_grasp(rig, model, model.grips[grip], np.random.default_rng(2))


@pytest.fixture(scope="module")
def mug() -> tuple[HandRig, ObjectModel, Grasp]:
    return grasped("mug", 0, "right")


@pytest.mark.parametrize(
    ("name", "grip", "side", "scale"),
    [("can", 0, "left", 0.9), ("book", 0, "right", 1.0), ("screwdriver", 0, "left", 1.1)],
)
def test_hands_hold(name: str, grip: int, side: Side, scale: float) -> None:
    rig, model, grasp = grasped(name, grip, side, scale)
    # Measured by Open3D on the drawn object, not by the distances that the search used.
    scene = open3d.t.geometry.RaycastingScene(nthreads=1)
    for mesh in model.meshes:
        scene.add_triangles(open3d.core.Tensor(mesh.vertices), open3d.core.Tensor(mesh.faces.astype(np.uint32)))
    skin = skin_at(rig, grasp)
    away = scene.compute_distance(open3d.core.Tensor(skin.astype(np.float32)), nthreads=1).numpy()
    for finger in (0, 1, 2):
        end = rig.skin_weights[:, 4 * finger + 4] > 0.5
        assert away[end].min() < 0.003
    assert grasp.holds
    assert -model.distance(skin).min() < 0.006
    assert (skin[:, 2] > model.base - 1e-3).all()
    assert (grasp.angles > LOWEST - 0.1).all() and (grasp.angles < HIGHEST + 0.1).all()


def test_thumb_and_fingers_press_from_opposite_sides(mug: tuple[HandRig, ObjectModel, Grasp]) -> None:
    rig, model, grasp = mug
    skin = skin_at(rig, grasp)
    distance = model.distance(skin)

    def contact(finger: int) -> np.ndarray:
        end = np.flatnonzero(rig.skin_weights[:, 4 * finger + 4] > 0.5)
        return skin[end[np.argmin(distance[end])], :2]

    thumb, middle = contact(0), contact(2)
    # The mug is round: contacts across its axis see each other's back.
    assert thumb @ middle / np.linalg.norm(thumb) / np.linalg.norm(middle) < -0.3


def test_palm_faces_what_it_holds(mug: tuple[HandRig, ObjectModel, Grasp]) -> None:
    rig, _, grasp = mug
    palm = grasp.T_object_wrist[:3, :3] @ rig.palm
    towards = -grasp.T_object_wrist[:3, 3]
    assert palm @ towards / np.linalg.norm(towards) > 0.3


def test_the_same_seed_gives_the_same_grasp(mug: tuple[HandRig, ObjectModel, Grasp]) -> None:
    _, _, again = grasped("mug", 0, "right")
    assert np.array_equal(again.T_object_wrist, mug[2].T_object_wrist)
    assert np.array_equal(again.angles, mug[2].angles)


def test_opening_frees_the_fingers(mug: tuple[HandRig, ObjectModel, Grasp]) -> None:
    rig, _, grasp = mug
    assert np.array_equal(grasp.opened(0.0), grasp.angles)
    _, closed = rig.pose(grasp.angles)
    _, opened = rig.pose(grasp.opened(1.0))
    for tip in (8, 12, 16):
        assert np.linalg.norm(opened[tip] - opened[4]) > np.linalg.norm(closed[tip] - closed[4]) + 0.01


def test_a_second_hand_keeps_clear_of_the_first() -> None:
    rig, model, grasp = grasped("spray bottle", 1, "right")
    other = make_rig("left")

    def depth(spheres: np.ndarray | None) -> float:
        second = find_grasp(other, model, model.grips[2], np.random.default_rng(4), spheres)
        assert second.holds
        return overlap(skin_at(other, second), skin_at(rig, grasp), rig.faces)

    # The same grip lies in the first hand unless the search knows of it.
    assert depth(None) > 0.01
    assert depth(hand_spheres(rig, grasp)) < 0.003


def test_overlap_is_the_depth_under_a_skin() -> None:
    rig = make_rig("right")
    skin = rig.vertices.astype(np.float64)
    assert overlap(skin + np.array([0.3, 0, 0]), skin, rig.faces) == 0.0
    # A point in the middle of the index finger is about its radius deep.
    inside = (rig.keypoints[5:6] + rig.keypoints[6:7]) / 2
    assert 0.004 < overlap(inside, skin, rig.faces) < 0.015
