"""The cameras of rendered recordings, checked by projecting points."""

from __future__ import annotations

import numpy as np
import pytest
from heads import head_seen, in_picture, sphere

from genego_ros.data.h2o_format import CAMERAS
from genego_ros.data.synthetic.rig import H2O_HEAD_CAMERA, Head, Rig, ego_mount, make_rig
from genego_ros.data.synthetic.scene import Sensor
from genego_ros.errors import GenEgoError
from genego_ros.types import Float64Array

WORK = np.array([0.02, -0.08, 0.82])
EYES = np.array([0.0, -0.42, 1.18])
SIZE = (640, 360)


def rig(seed: int, head: Head = "visible", size: tuple[int, int] = SIZE, eyes: Float64Array = EYES) -> Rig:
    return make_rig(np.random.default_rng(seed), WORK, eyes, head, size, lambda rng: Sensor(blur=rng.uniform(0, 1)))


@pytest.mark.parametrize("head", ["visible", "cropped", "absent"])
def test_every_standing_camera_sees_of_the_head_what_was_asked(head: Head) -> None:
    sway = EYES + np.random.default_rng(0).uniform(-0.02, 0.02, (5, 3))
    for seed in range(6):
        made = rig(seed, head, eyes=sway)
        for camera in made.cameras[:4]:
            pose = made.T_world_camera[camera.name]
            assert [head_seen(camera.camera, pose, eyes) for eyes in sway] == [head] * len(sway), camera.name


def test_the_work_is_in_view_and_the_cameras_stand_around_it() -> None:
    for seed in range(10):
        made = rig(seed, ("visible", "cropped", "absent")[seed % 3])
        assert [camera.name for camera in made.cameras] == list(CAMERAS)
        whole = 0
        for camera in made.cameras[:4]:
            pose = made.T_world_camera[camera.name]
            np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
            assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
            assert pose[2, 1] < -0.3  # the picture's down is not up
            away = pose[:3, 3] - WORK
            assert 0.6 - 1e-9 <= np.linalg.norm(away) <= 1.3 + 1e-9
            assert 0.3 - 1e-9 <= away[2] <= 1.0 + 1e-9
            assert away[1] > -0.5  # not behind the person
            whole += bool(in_picture(camera.camera, pose, sphere(WORK, 0.2499)).all())
            assert in_picture(camera.camera, pose, sphere(WORK, 0.1699)).all()
        assert whole >= 3
        sides = [made.T_world_camera[name][0, 3] for name in ("cam0", "cam2")]
        assert sides[0] < WORK[0] < sides[1]


def test_intrinsics_are_those_of_uncalibrated_looking_cameras_of_any_size() -> None:
    small, large = rig(3), rig(3, size=(1280, 720))
    for a, b in zip(small.cameras, large.cameras, strict=True):
        assert a.camera == b.camera.resized(*SIZE)
        hfov = 2 * np.degrees(np.arctan(b.camera.width / 2 / b.camera.fx))
        assert abs(b.camera.fx / b.camera.fy - 1) < 0.01
        assert (85 < hfov < 95) if a.name == "cam4" else (50 <= hfov <= 75)
    np.testing.assert_array_equal(small.T_world_camera["cam2"], large.T_world_camera["cam2"])
    worn = np.array([rig(seed, size=(1280, 720)).cameras[4].camera.matrix for seed in range(40)])
    np.testing.assert_allclose(worn.mean(axis=0), H2O_HEAD_CAMERA.matrix, rtol=0.01, atol=5)
    assert np.ptp(worn[:, 0, 0]) > 20


def test_the_head_camera_sits_before_and_above_the_eyes_and_looks_down() -> None:
    rng = np.random.default_rng(5)
    mounts = np.array([ego_mount(rng) for _ in range(200)])
    offset, ahead = mounts[:, :3, 3], mounts[:, :3, 2]
    distance = np.linalg.norm(offset[:, 1:], axis=1)
    assert distance.min() >= 0.05
    assert distance.max() <= 0.075
    assert (offset[:, 1] < 0).all() and (offset[:, 2] > 0).all()
    pitch = np.degrees(np.arcsin(ahead[:, 1]))
    assert pitch.min() > 11.5 and pitch.max() < 18.5 and np.ptp(pitch) > 5
    assert np.abs(ahead[:, 0]).max() < 0.1
    np.testing.assert_allclose(np.linalg.det(mounts[:, :3, :3]), 1)


def test_the_same_seed_gives_the_same_rig() -> None:
    a, b, c = rig(7), rig(7), rig(8)
    assert a.cameras == b.cameras
    assert a.cameras != c.cameras
    for name in a.T_world_camera:
        np.testing.assert_array_equal(a.T_world_camera[name], b.T_world_camera[name])
    np.testing.assert_array_equal(a.T_eyes_cam4, b.T_eyes_cam4)


def test_what_cannot_be_seen_is_refused_with_the_cure() -> None:
    with pytest.raises(GenEgoError, match="ask for another view of the head"):
        rig(0, "absent", eyes=WORK + np.array([0.0, 0.0, 0.1]))
