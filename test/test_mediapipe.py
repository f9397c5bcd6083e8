"""MediaPipe on the sample, whose hands are rendered from a mesh, so that what is right is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scene import as_hand, sample, true_keypoints

from genego_ros.geometry.hand_model import hand_length
from genego_ros.observation.hands import HandEstimator, load_hand_estimator
from genego_ros.parameters import Parameters
from genego_ros.types import Frame, Hand

FRAMES = sample(2)


@pytest.fixture
def estimator() -> Iterator[HandEstimator]:
    made = load_hand_estimator(Parameters())
    yield made
    made.close()


def mirrored(frame: Frame) -> Frame:
    return replace(frame, rgb=np.ascontiguousarray(frame.rgb[:, ::-1]))


def by_side(hands: tuple[Hand, ...]) -> dict[str, Hand]:
    assert len({hand.side for hand in hands}) == len(hands)
    return {hand.side: hand for hand in hands}


def test_both_hands_on_their_sides_followed_from_frame_to_frame(estimator: HandEstimator) -> None:
    first, second = (by_side(estimator.estimate(frame)) for frame in FRAMES)
    assert list(first) == list(second) == ["left", "right"]
    # The person faces the camera: their left hand is in the right half of the picture.
    assert first["left"].keypoints_2d[:, 0].mean() > 320 > first["right"].keypoints_2d[:, 0].mean()
    for side in first:
        before, after = (
            as_hand(true_keypoints(side, index), side, frame.camera).keypoints_2d for index, frame in enumerate(FRAMES)
        )
        off = (second[side].keypoints_2d - first[side].keypoints_2d) - (after - before)
        assert np.linalg.norm(off, axis=1).max() < 12


def test_keypoints_lie_where_the_hands_were_rendered(estimator: HandEstimator) -> None:
    for index, frame in enumerate(FRAMES):
        for hand in estimator.estimate(frame):
            expected = as_hand(true_keypoints(hand.side, index), hand.side, frame.camera).keypoints_2d
            off = np.linalg.norm(hand.keypoints_2d - expected, axis=1)
            assert np.median(off) < 10 and off.max() < 20


def test_hands_have_21_keypoints_an_average_length_and_scores(estimator: HandEstimator) -> None:
    for hand in estimator.estimate(FRAMES[0]):
        assert (hand.keypoints.shape, hand.keypoints_2d.shape, hand.keypoint_scores.shape) == ((21, 3), (21, 2), (21,))
        assert hand.keypoints.dtype == hand.keypoints_2d.dtype == hand.keypoint_scores.dtype == np.float32
        assert hand.scale_source == "average"
        assert hand_length(hand.keypoints) == pytest.approx(0.187, rel=0.25)
        assert 0.5 < hand.score <= 1 and (hand.keypoint_scores == np.float32(hand.score)).all()


def test_a_mirrored_picture_has_the_hands_swapped() -> None:
    frame = FRAMES[0]
    found = []
    for shown in (frame, mirrored(frame)):
        estimator = load_hand_estimator(Parameters())
        found.append(by_side(estimator.estimate(shown)))
        estimator.close()
    straight, swapped = found
    for side, other in (("left", "right"), ("right", "left")):
        flipped = swapped[other].keypoints_2d * [-1, 1] + [frame.camera.width - 1, 0]
        assert np.median(np.linalg.norm(flipped - straight[side].keypoints_2d, axis=1)) < 10


def test_the_landmarker_is_given_the_picture_in_rgb(estimator: HandEstimator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very bytes of the picture, declared as what they are."""
    import mediapipe

    given = []
    landmarker = estimator._landmarker  # type: ignore[attr-defined]
    detect = landmarker.detect_for_video
    monkeypatch.setattr(landmarker, "detect_for_video", lambda image, ms: given.append(image) or detect(image, ms))
    estimator.estimate(FRAMES[0])
    (image,) = given
    assert image.image_format == mediapipe.ImageFormat.SRGB
    np.testing.assert_array_equal(image.numpy_view(), FRAMES[0].rgb)


def test_a_known_hand_length_sets_the_distance(estimator: HandEstimator) -> None:
    for _ in range(4):  # the tracker settles
        average = estimator.estimate(FRAMES[0])
    estimator.parameters = Parameters.from_mapping({"hands.hand_length": 2 / 1.5 * 0.187})
    known = estimator.estimate(FRAMES[0])
    for before, after in zip(average, known, strict=True):
        assert after.scale_source == "hand_length"
        assert after.keypoints[:, 2].mean() == pytest.approx(before.keypoints[:, 2].mean() * 2 / 1.5, rel=0.05)


def test_a_known_hand_is_at_its_distance_without_a_depth_camera() -> None:
    """A tenth of the distance is what a hand's size can tell from a few pixels of landmark error."""
    true = [{side: true_keypoints(side, i) for side in ("left", "right")} for i in range(20)]
    parameters = Parameters().changed({"hands.hand_length": float(hand_length(true[0]["left"]))})
    found: dict[str, list[float]] = {"left": [], "right": []}
    estimator = load_hand_estimator(parameters)
    for frame, truth in zip(sample(20), true, strict=True):
        for hand in estimator.estimate(frame):
            found[hand.side].append(hand.keypoints[0, 2] / truth[hand.side][0, 2])
    estimator.close()
    for ratios in found.values():
        assert len(ratios) >= 19
        assert np.median(ratios) == pytest.approx(1.0, abs=0.1)


def test_points_past_the_border_keep_their_slots_with_a_low_score(estimator: HandEstimator) -> None:
    frame = FRAMES[0]
    tips = by_side(estimator.estimate(frame))["right"].keypoints_2d
    edge = int(np.sort(tips[:, 0])[4])  # four keypoints go
    cut = replace(
        frame,
        rgb=np.ascontiguousarray(frame.rgb[:, edge:]),
        depth=None,
        camera=replace(frame.camera, width=frame.camera.width - edge, cx=frame.camera.cx - edge),
    )
    for _ in range(3):
        hands = by_side(estimator.estimate(cut))
    right = hands["right"]
    outside = right.keypoints_2d[:, 0] < -0.5
    assert outside.any() and not outside.all()
    assert (right.keypoint_scores[outside] < 0.2).all() and (right.keypoint_scores[~outside] > 0.4).all()
    assert np.isfinite(right.keypoints).all()


def test_an_empty_scene_has_no_hands_and_a_recording_may_start_over(estimator: HandEstimator) -> None:
    blank = replace(FRAMES[0], rgb=np.full_like(FRAMES[0].rgb, 90), stamp_ns=0)
    assert estimator.estimate(blank) == ()
    assert len(estimator.estimate(FRAMES[0])) == 2
    assert len(estimator.estimate(replace(FRAMES[0], stamp_ns=5))) == 2
    assert estimator.estimate(blank) == ()


def test_a_forgotten_stream_leaves_no_trace(estimator: HandEstimator) -> None:
    """Far apart frames: a track that went on would start from where the hands no longer are."""
    later = sample(12)[-1]
    fresh = estimator.estimate(later)
    for _ in range(3):
        estimator.estimate(FRAMES[0])
    followed = estimator.estimate(later)
    estimator.forget()
    forgotten = estimator.estimate(later)
    assert [hand.side for hand in fresh] == [hand.side for hand in forgotten] == ["left", "right"]
    for before, after in zip(fresh, forgotten, strict=True):
        np.testing.assert_array_equal(before.keypoints, after.keypoints)
    assert any((before.keypoints != after.keypoints).any() for before, after in zip(fresh, followed, strict=True))
