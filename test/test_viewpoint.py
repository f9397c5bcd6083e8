"""Nominal eyes: built scenes in which the answer is known.

World of these tests: z up, the table is z = 0, the person sits at -y and looks along +y, their right is +x."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene import CAMERA, as_hand
from scipy.spatial.transform import Rotation

from genego_ros.observation.viewpoint import load_viewpoint_estimator
from genego_ros.parameters import Parameters
from genego_ros.types import Float64Array, Frame, Hand, Side, Viewpoint

BLANK = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
NOTHING = np.full((CAMERA.height, CAMERA.width), np.nan, np.float32)
NOMINAL = Parameters.from_mapping({"viewpoint.backend": "nominal"})
TABLE_UP = np.array([0.0, 0.0, 1.0])
PALM = [0, 5, 9, 13, 17]


def flat_hand(side: Side, wrist: tuple[float, float, float], yaw_deg: float = 0.0) -> np.ndarray:
    """A hand flat over the table, fingers along +y turned by `yaw_deg` about the vertical; world, (21, 3)."""
    across = 1.0 if side == "right" else -1.0
    keypoints = np.zeros((21, 3))
    for finger, x in enumerate((-0.05, -0.03, -0.01, 0.01, 0.03)):  # thumb inwards, pinky outwards
        for joint in range(4):
            reach = 0.03 + 0.02 * joint if finger == 0 else 0.09 + 0.025 * joint
            keypoints[1 + 4 * finger + joint] = [across * x, reach, 0.0]
    return Rotation.from_euler("z", yaw_deg, degrees=True).apply(keypoints) + wrist


def camera_at(pitch_deg: float, yaw_deg: float = 180.0, roll_deg: float = 0.0) -> tuple[Float64Array, Float64Array]:
    """R_exo_world and the eye of a camera 0.9 m from the origin that looks at it, down by `pitch_deg`,
    from the direction `yaw_deg` (0: from the person's side, 180: facing them)."""
    pitch, yaw = np.radians([pitch_deg, yaw_deg])
    forward = np.array([np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.cross(forward, TABLE_UP) / np.linalg.norm(np.cross(forward, TABLE_UP))
    axes = np.stack([right, np.cross(forward, right), forward])
    return Rotation.from_euler("z", roll_deg, degrees=True).as_matrix() @ axes, -0.9 * forward


def locate(
    hands: dict[Side, np.ndarray],
    pose: tuple[Float64Array, Float64Array],
    depth: bool = True,
    noise: float = 0.0,
    **values: float,
) -> tuple[Viewpoint, tuple[Hand, ...]]:
    """X by `nominal` for these hands (world) over a table, in the camera with this pose."""
    R, eye = pose
    exo = tuple(as_hand((keypoints - eye) @ R.T, side) for side, keypoints in hands.items())
    seen = table_depth(R, eye, noise) if depth else NOTHING
    frame = Frame(BLANK, CAMERA)
    parameters = NOMINAL.changed({f"viewpoint.{name}": value for name, value in values.items()})
    viewpoint = load_viewpoint_estimator(parameters).locate(frame, exo, seen)
    assert viewpoint is not None
    return viewpoint, exo


def table_depth(R: Float64Array, eye: Float64Array, noise: float) -> np.ndarray:
    """The depth image of the plane z = 0: along each ray d, eye + s R^T d has height zero."""
    u, v = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(u.shape)], axis=-1)
    fall = rays @ R[:, 2]
    with np.errstate(divide="ignore"):
        depth = np.where(fall < 0, -eye[2] / fall, np.nan)
    depth += np.random.default_rng(0).normal(0, noise, depth.shape)
    return np.where(depth < 8, depth, np.nan).astype(np.float32)


def in_world(viewpoint: Viewpoint, pose: tuple[Float64Array, Float64Array]) -> tuple[Float64Array, Float64Array]:
    """Axes (rows: right, down, forward) and position of the ego camera in the world."""
    R, eye = pose
    T = viewpoint.T_ego_exo
    return T[:3, :3] @ R, eye + R.T @ (-T[:3, :3].T @ T[:3, 3])


BOTH: dict[Side, np.ndarray] = {
    "left": flat_hand("left", (-0.15, 0.0, 0.06), -20.0),
    "right": flat_hand("right", (0.15, 0.0, 0.06), 20.0),
}


@settings(deadline=None, max_examples=30)
@given(
    st.floats(25.0, 65.0),
    st.floats(120.0, 240.0),
    st.floats(-15.0, 15.0),
    st.floats(0.1, 2.0),
    st.floats(-80.0, 80.0),
)
def test_the_eyes_look_at_the_middle_of_the_hands(
    pitch: float, yaw: float, roll: float, distance: float, elevation: float
) -> None:
    pose = camera_at(pitch, yaw, roll)
    viewpoint, exo = locate(BOTH, pose, distance=distance, elevation_deg=elevation)
    T = viewpoint.T_ego_exo
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    middle = np.mean([hand.keypoints[PALM].mean(axis=0) for hand in exo], axis=0)
    np.testing.assert_allclose(T[:3, :3] @ middle + T[:3, 3], [0, 0, distance], atol=1e-6)
    axes, _ = in_world(viewpoint, pose)
    height = np.degrees(np.arcsin(np.clip(-axes[2] @ TABLE_UP, -1, 1)))
    assert height == pytest.approx(elevation, abs=1.0)  # the table's tilt within a degree
    assert axes[0] @ TABLE_UP == pytest.approx(0.0, abs=0.02)  # no roll
    assert axes[1] @ TABLE_UP < 0  # up is up
    assert viewpoint.source == "nominal" and np.isnan(viewpoint.residual)


@pytest.mark.parametrize("yaw", [0.0, 60.0, 90.0, 135.0, 180.0, 225.0, 270.0])
def test_forward_is_the_persons_from_wherever_the_camera_looks(yaw: float) -> None:
    pose = camera_at(40.0, yaw)
    viewpoint, _ = locate(BOTH, pose)
    axes, eyes = in_world(viewpoint, pose)
    assert np.degrees(np.arctan2(axes[2][0], axes[2][1])) == pytest.approx(0.0, abs=12.0)
    assert axes[0][0] > 0.97  # the right hand is on the right of what they see
    assert eyes[1] < -0.15 and eyes[2] > 0.3


@pytest.mark.parametrize("pitch", [20.0, 35.0, 60.0, 70.0])
def test_the_tilt_of_a_noisy_table_is_found_within_a_degree(pitch: float) -> None:
    pose = camera_at(pitch)
    viewpoint, _ = locate(BOTH, pose, noise=0.003, elevation_deg=50.0)
    axes, _ = in_world(viewpoint, pose)
    # Right is level and forward goes 50 degrees down: together they fix up.
    assert np.degrees(np.arcsin(abs(axes[0] @ TABLE_UP))) < 1.0
    assert np.degrees(np.arcsin(-axes[2] @ TABLE_UP)) == pytest.approx(50.0, abs=1.0)


def test_without_depth_the_given_pitch_of_the_camera_says_what_is_up() -> None:
    pose = camera_at(35.0)
    viewpoint, _ = locate(BOTH, pose, depth=False, camera_pitch_deg=35.0)
    axes, _ = in_world(viewpoint, pose)
    assert axes[0] @ TABLE_UP == pytest.approx(0.0, abs=1e-6)
    assert np.degrees(np.arcsin(-axes[2] @ TABLE_UP)) == pytest.approx(50.0, abs=1e-4)
    level, _ = locate(BOTH, camera_at(0.0), depth=False)
    assert np.degrees(np.arcsin(-in_world(level, camera_at(0.0))[0][2] @ TABLE_UP)) == pytest.approx(50.0, abs=1e-4)


def test_a_wall_behind_the_hands_is_not_taken_for_a_table() -> None:
    pose = camera_at(0.0)
    R, eye = pose
    exo = tuple(as_hand((keypoints - eye) @ R.T, side) for side, keypoints in BOTH.items())
    wall = np.full((CAMERA.height, CAMERA.width), exo[0].keypoints[:, 2].max() + 0.2, np.float32)
    viewpoint = load_viewpoint_estimator(NOMINAL).locate(Frame(BLANK, CAMERA), exo, wall)
    assert viewpoint is not None
    axes, _ = in_world(viewpoint, pose)
    assert np.degrees(np.arcsin(-axes[2] @ TABLE_UP)) == pytest.approx(50.0, abs=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_hand_points_forward(side: Side) -> None:
    pose = camera_at(40.0)
    hands: dict[Side, np.ndarray] = {side: flat_hand(side, (0.0, 0.0, 0.05))}
    viewpoint, exo = locate(hands, pose)
    axes, _ = in_world(viewpoint, pose)
    assert np.degrees(np.arctan2(axes[2][0], axes[2][1])) == pytest.approx(0.0, abs=15.0)
    assert viewpoint.T_ego_exo[:3, :3] @ exo[0].keypoints[PALM].mean(axis=0) + viewpoint.T_ego_exo[:3, 3] == (
        pytest.approx([0, 0, 0.5], abs=1e-6)
    )


def test_hands_that_cross_while_they_point_forward_do_not_turn_the_person_round() -> None:
    """The left hand 10 cm to the right of the right one, both pointing away from the person,
    who faces the camera."""
    hands: dict[Side, np.ndarray] = {
        "left": flat_hand("left", (0.05, 0.0, 0.06), -10.0),
        "right": flat_hand("right", (-0.05, 0.0, 0.06), 10.0),
    }
    pose = camera_at(40.0)
    axes, _ = in_world(locate(hands, pose)[0], pose)
    assert axes[2][1] > 0
    assert axes[1] @ TABLE_UP < 0


def test_nobody_has_no_viewpoint() -> None:
    assert load_viewpoint_estimator(NOMINAL).locate(Frame(BLANK, CAMERA), (), NOTHING) is None
