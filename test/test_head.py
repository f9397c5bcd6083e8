"""The `head` viewpoint: built faces, for which the answer is known, and pictures without one.

World of these tests: z up, the person sits at -y and looks along +y, their right is +x."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scene import CAMERA, as_hand, rest_hand, sample
from scipy.spatial.transform import Rotation

from genego_ros import weights
from genego_ros.backends import load_backend
from genego_ros.errors import GenEgoError
from genego_ros.observation.hands import load_hand_estimator
from genego_ros.observation.viewpoint import BACKENDS, head
from genego_ros.observation.viewpoint.head import Face, HeadViewpoint, view_of
from genego_ros.parameters import Parameters
from genego_ros.types import SIDES, Camera, Float64Array, FloatArray, Frame, Hand, Viewpoint

NOTHING = np.full((CAMERA.height, CAMERA.width), np.nan, np.float32)
UP, FORWARD = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])
EYES = np.array([0.05, -0.2, 0.35])
EYE = np.array([0.1, 0.9, 0.45])
"""Of the third-person camera."""
_VIEW = np.array([0.0, -0.2, 0.25]) - EYE
_RIGHT = np.cross(_VIEW, UP) / np.linalg.norm(np.cross(_VIEW, UP))
_AHEAD = _VIEW / np.linalg.norm(_VIEW)
R = np.stack([_RIGHT, np.cross(_AHEAD, _RIGHT), _AHEAD])
"""R_exo_world."""


def in_exo(points: Float64Array) -> Float64Array:
    return (points - EYE) @ R.T


def hands_at(*places: tuple[float, float, float]) -> tuple[Hand, ...]:
    """Hands with the middle of their keypoints at these places in the world."""
    made = []
    for side, place in zip(SIDES, places, strict=False):
        keypoints = rest_hand(side)
        made.append(as_hand(in_exo(keypoints - keypoints.mean(axis=0) + place), side))
    return tuple(made)


HANDS = hands_at((-0.1, 0.0, 0.0), (0.2, 0.0, 0.0))
"""Their middle is 0.2 m before the eyes and 0.35 m below them."""


def face_at(eyes: Float64Array, yaw_deg: float = 0.0, down_deg: float = 0.0, score: float = 0.7) -> Face:
    """The face of an adult with eyes there, turned to the left by `yaw_deg`, then nodding by `down_deg`."""
    # x to the person's left, y down, z to the back of the head, as `head` wants it: -x, -z, -y in the world.
    straight = head._LANDMARKS @ np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]])
    turn = Rotation.from_euler("ZX", [yaw_deg, -down_deg], degrees=True)
    x, y, z = in_exo(turn.apply(straight) + eyes).T
    return Face(np.stack([CAMERA.fx * x / z + CAMERA.cx, CAMERA.fy * y / z + CAMERA.cy], axis=1), score)


def depth_of(eyes: Float64Array) -> FloatArray:
    """All of the picture is as far away as the eyes."""
    return np.full_like(NOTHING, in_exo(eyes)[2])


def view(
    face: Face,
    depth: FloatArray = NOTHING,
    hands: tuple[Hand, ...] = HANDS,
    forward: Float64Array = FORWARD,
    measured: bool = True,
) -> Viewpoint | None:
    return view_of(face, CAMERA, hands, depth, R @ UP, R @ forward, measured)


def axes_in_world(viewpoint: Viewpoint) -> Float64Array:
    """Rows: right, down and ahead of the head camera."""
    return np.asarray(viewpoint.T_ego_exo[:3, :3] @ R)


@pytest.mark.parametrize("yaw", [-25.0, 0.0, 15.0])
def test_the_head_camera_is_before_and_above_the_eyes_and_turned_with_the_face(yaw: float) -> None:
    found = view(face_at(EYES, yaw, 20.0), depth_of(EYES))
    assert found is not None and found.source == "head"
    T = found.T_ego_exo
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_allclose(T[:3, :3] @ in_exo(EYES) + T[:3, 3], [0.0, 0.065, -0.025], atol=0.003)
    right, down, ahead = axes_in_world(found)
    assert right @ UP == pytest.approx(0.0, abs=1e-6) and down @ UP < 0
    # Four fifths of the way from the hands' idea of forward, which is straight on here, to the face's.
    assert np.degrees(np.arctan2(-ahead[0], ahead[1])) == pytest.approx(0.8 * yaw, abs=1.0)


@pytest.mark.parametrize("nod", [0.0, 30.0])
@pytest.mark.parametrize("low", [0.0, -0.2])
def test_it_looks_further_down_for_lower_hands_and_for_a_lower_face(nod: float, low: float) -> None:
    found = view(face_at(EYES, 0.0, nod), depth_of(EYES), hands_at((-0.1, 0.0, low), (0.2, 0.0, low)))
    assert found is not None
    to_hands = np.degrees(np.arctan2(0.35 - low, 0.2))
    down = np.degrees(np.arcsin(-axes_in_world(found)[2] @ UP))
    assert down == pytest.approx(32.0 + (to_hands + nod) / 3.0, abs=1.0)


def test_without_depth_the_size_of_the_face_tells_its_distance() -> None:
    face = face_at(EYES, 10.0, 20.0)
    measured, guessed = view(face, depth_of(EYES)), view(face)
    assert measured is not None and guessed is not None
    np.testing.assert_allclose(guessed.T_ego_exo, measured.T_ego_exo, atol=0.005)
    assert guessed.shift_deviation > 2 * measured.shift_deviation
    assert guessed.turn_deviation > measured.turn_deviation


def test_depth_that_a_network_estimated_is_trusted_less() -> None:
    face = face_at(EYES, 10.0, 20.0)
    measured, estimated = view(face, depth_of(EYES)), view(face, depth_of(EYES), measured=False)
    assert measured is not None and estimated is not None
    np.testing.assert_array_equal(estimated.T_ego_exo, measured.T_ego_exo)
    assert estimated.shift_deviation > 2 * measured.shift_deviation
    assert estimated.turn_deviation > measured.turn_deviation


def test_a_wall_beside_a_narrow_face_does_not_count() -> None:
    face = face_at(EYES, 0.0, 20.0)
    depth = depth_of(EYES)
    depth[:, : round(face.pixels[:2, 0].mean())] = 4.0  # all to the person's right
    found, without = view(face, depth), view(face, depth_of(EYES))
    assert found is not None and without is not None
    np.testing.assert_allclose(found.T_ego_exo, without.T_ego_exo, atol=1e-6)


def test_a_lower_score_is_trusted_less() -> None:
    good, poor = (view(face_at(EYES, 0.0, 20.0, score), depth_of(EYES)) for score in (0.8, 0.4))
    assert good is not None and poor is not None
    np.testing.assert_array_equal(good.T_ego_exo, poor.T_ego_exo)
    assert poor.shift_deviation == pytest.approx(2 * good.shift_deviation)
    assert poor.turn_deviation == pytest.approx(2 * good.turn_deviation)


def test_a_face_that_cannot_belong_to_the_hands_is_none() -> None:
    face = face_at(EYES, 0.0, 20.0)
    assert view(face, depth_of(EYES)) is not None
    assert view(face, 0.5 * depth_of(EYES)) is None  # a doll before the camera
    assert view(face, 2.0 * depth_of(EYES)) is None  # a poster on the wall
    assert view(face, depth_of(EYES), hands_at((0.0, 0.0, 0.7))) is None  # hands above the head
    assert view(face, depth_of(EYES), hands_at((0.05, -0.1, 0.25))) is None  # a "face" in the hand
    assert view(face, depth_of(EYES), hands_at((0.0, 1.6, 0.0))) is None  # somebody else's hands
    assert view(face, depth_of(EYES), forward=-FORWARD) is None  # hands that reach from the other side
    assert view(face, depth_of(EYES), forward=np.array([1.0, 0.0, 0.0])) is None


def test_a_face_that_is_cut_off_or_no_face_is_none() -> None:
    face = face_at(EYES, 0.0, 20.0)
    for shift in ([-1000.0, 0.0], [0.0, -1000.0], [1000.0, 0.0], [0.0, 1000.0]):
        assert view(Face(face.pixels + shift, 0.7), depth_of(EYES)) is None
    highest = face.pixels[:4, 1].min()
    assert view(Face(face.pixels - [0.0, highest + 1.0], 0.7)) is None
    assert view(Face(np.full((6, 2), 100.0), 0.7)) is None
    assert view(Face(np.full((6, 2), np.nan), 0.7)) is None


@pytest.fixture(scope="module")
def estimator() -> Iterator[HeadViewpoint]:
    made: HeadViewpoint = load_backend("viewpoint", "head", BACKENDS)(Parameters())
    yield made
    made.close()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_photographed_face(estimator: HeadViewpoint, mirrored: bool) -> None:
    """Its eyes are where one sees them in the picture, and the person's right is on the picture's left."""
    rgb = pytest.importorskip("skimage.data").astronaut()
    camera = Camera.from_hfov(512, 512, 40.0)
    frame = Frame(np.ascontiguousarray(rgb[:, ::-1] if mirrored else rgb), camera)
    side = -1.0 if mirrored else 1.0
    pixel = np.array([255.5 + side * (225.0 - 255.5), 104.0])  # between the eyes, read off the picture
    z = 0.063 * camera.fx / 46.0  # the eyes are 46 pixels apart there, and 63 mm on adults
    eyes = z * np.array([(pixel[0] - camera.cx) / camera.fx, (pixel[1] - camera.cy) / camera.fy, 1.0])
    below = eyes + [0.0, 0.3, -0.2]
    hands = tuple(
        as_hand(
            (rest_hand(one) - rest_hand(one).mean(axis=0)) @ np.diag([-1.0, 1.0, -1.0]) + below + [across, 0, 0], one
        )
        for one, across in zip(SIDES, (0.12, -0.12), strict=True)
    )
    nothing = np.full((512, 512), np.nan, np.float32)
    found = estimator.locate(frame, hands, nothing)
    assert found is not None
    T = found.T_ego_exo
    at = T[:3, :3].T @ (np.array([0.0, 0.065, -0.025]) - T[:3, 3])
    assert at[2] == pytest.approx(z, rel=0.2)
    seen = at[:2] / at[2] * camera.fx + [camera.cx, camera.cy]
    np.testing.assert_allclose(seen, pixel, atol=4.0)
    assert T[0, 0] < -0.8
    blank = Frame(np.zeros_like(rgb), camera)
    assert estimator.locate(blank, hands, nothing) is None
    estimator.forget()
    again = estimator.locate(frame, hands, nothing)
    assert again is not None
    np.testing.assert_array_equal(again.T_ego_exo, T)


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_a_blank_picture_has_no_head(estimator: HeadViewpoint, grey: int) -> None:
    frame = Frame(np.full((CAMERA.height, CAMERA.width, 3), grey, np.uint8), CAMERA)
    assert estimator.locate(frame, HANDS, NOTHING) is None
    assert estimator.locate(frame, HANDS, depth_of(EYES)) is None
    assert estimator.locate(frame, (), NOTHING) is None
    unknown = as_hand(np.full((21, 3), np.nan))
    assert estimator.locate(frame, (unknown,), NOTHING) is None


def test_noise_has_no_head(estimator: HeadViewpoint) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (CAMERA.height, CAMERA.width, 3)).astype(np.uint8)
    assert estimator.locate(Frame(rgb, CAMERA), HANDS, NOTHING) is None


def test_hands_without_a_head_are_not_taken_for_one(estimator: HeadViewpoint) -> None:
    hands = load_hand_estimator(Parameters())
    for frame in sample(2):
        found = hands.estimate(frame)
        assert len(found) == 2
        for depth in (frame.depth, np.full(frame.rgb.shape[:2], np.nan, np.float32)):
            assert depth is not None and estimator.locate(frame, found, depth) is None
    hands.close()


def test_the_best_face_that_fits_is_taken(estimator: HeadViewpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """A poster scores higher than the person; up and forward come from the hands, so they are only about right."""
    person = face_at(EYES, 0.0, 20.0, 0.5)
    poster = face_at(EYES + [0.3, 0.0, 0.0], 0.0, 20.0, 0.9)
    depth = depth_of(EYES)
    depth[:, : round((person.pixels[:, 0].min() + poster.pixels[:, 0].max()) / 2)] = 4.0
    monkeypatch.setattr(estimator._faces, "_work", lambda frame: [poster, person])
    frame = Frame(np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8), CAMERA)
    found = estimator.locate(frame, HANDS, depth)
    assert found is not None
    T = found.T_ego_exo
    np.testing.assert_allclose(T[:3, :3] @ in_exo(EYES) + T[:3, 3], [0.0, 0.065, -0.025], atol=0.003)
    estimator.forget()
    again = estimator.locate(frame, HANDS, depth)
    assert again is not None
    np.testing.assert_array_equal(again.T_ego_exo, T)


def test_missing_weights_name_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENEGO_WEIGHTS", str(tmp_path))
    with pytest.raises(
        GenEgoError, match=r"face_detector\.zip is missing; run \./genego weights install mediapipe_face"
    ):
        HeadViewpoint(Parameters())
    assert weights.manifest()["mediapipe_face"].wheel == weights.manifest()["mediapipe_hands"].wheel
