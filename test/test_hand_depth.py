from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from genego_ros.geometry.hand_model import HandModel
from genego_ros.observation.hands.hand_depth import hand_depth
from genego_ros.types import Camera

CAMERA = Camera(640, 480, 560.0, 555.0, 322.5, 236.0)
Mesh = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def model() -> HandModel:
    return HandModel.load(Path(__file__).parents[1] / "models/hand_mesh.safetensors")


def placed(model: HandModel, side: str, middle: tuple[float, float, float], turn_deg: float = 20.0) -> Mesh:
    """A hand with its fingers up and its palm to the camera, turned by this much, in metres."""
    rest = model.rest_keypoints(side)
    upright = Rotation.from_euler("xyz", [220.0, turn_deg, 0.0], degrees=True)
    keypoints = upright.apply(rest - rest.mean(axis=0)) + middle
    return model.fit(keypoints.astype(np.float32), side), model.faces(side)


def cast(meshes: list[Mesh], camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Depth and hand index by a ray through every pixel of the picture."""
    o3d = pytest.importorskip("open3d")
    scene = o3d.t.geometry.RaycastingScene()
    for vertices, faces in meshes:
        scene.add_triangles(vertices, faces)
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = np.zeros((camera.height, camera.width, 6), np.float32)
    # A direction with z = 1 makes the distance along the ray the depth.
    rays[..., 3], rays[..., 4] = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
    rays[..., 5] = 1.0
    hits = scene.cast_rays(o3d.core.Tensor(rays))
    distance = hits["t_hit"].numpy()
    seen = np.isfinite(distance)
    return np.where(seen, distance, np.nan), np.where(seen, hits["geometry_ids"].numpy().astype(int), -1)


@pytest.mark.parametrize(
    "places",
    [
        {"right": (0.05, 0.0, 0.6)},
        {"left": (-0.1, 0.02, 0.6), "right": (0.12, 0.0, 0.55)},
        {"left": (-0.02, 0.0, 0.7), "right": (0.03, 0.02, 0.6)},
        {"left": (-0.36, 0.05, 0.6), "right": (0.1, 0.27, 0.6)},
    ],
    ids=["one", "two", "one-before-the-other", "over-the-border"],
)
def test_depth_and_owner_are_what_rays_find(model: HandModel, places: dict[str, tuple]) -> None:
    meshes = [placed(model, side, middle) for side, middle in places.items()]
    result = hand_depth(meshes, CAMERA)
    depth, hand = cast(meshes, CAMERA)
    assert all((hand == index).sum() > 1000 for index in range(len(meshes)))
    assert (result.hand != hand).sum() <= 3
    agreed = (result.hand == hand) & (hand >= 0)
    np.testing.assert_allclose(result.depth[agreed], depth[agreed], atol=2e-6)
    assert np.isnan(result.depth[result.hand < 0]).all()
    assert result.depth.dtype == np.float32


def test_a_tilted_triangle_has_its_planes_depth() -> None:
    corners = np.array([[-0.1, -0.1, 0.5], [0.15, -0.05, 1.1], [0.0, 0.2, 0.8]], np.float32)
    result = hand_depth([(corners, np.array([[0, 1, 2]], np.uint32))], CAMERA)
    v, u = np.nonzero(result.hand == 0)
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0]).astype(np.float64)
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(len(u))], axis=1)
    assert len(u) > 5000
    np.testing.assert_allclose(result.depth[v, u], corners[0] @ normal / (rays @ normal), rtol=1e-5)


def test_nothing_is_drawn_of_hands_behind_or_beside_the_camera(model: HandModel) -> None:
    behind, beside = placed(model, "right", (0.0, 0.0, -0.6)), placed(model, "left", (3.0, 0.0, 0.6))
    result = hand_depth([behind, beside], CAMERA)
    assert (result.hand == -1).all()
    assert np.isnan(result.depth).all()
    assert np.isnan(hand_depth([], CAMERA).depth).all()


def test_a_hand_that_reaches_behind_the_camera_is_drawn_as_far_as_it_is_in_front(model: HandModel) -> None:
    result = hand_depth([placed(model, "right", (0.0, 0.0, 0.05))], CAMERA)
    assert (result.hand == 0).any()
    assert np.nanmin(result.depth) > 0
