"""Stage 1 as a whole: on the sample, whose true hands are known, and its joints one by one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene import CAMERA, as_hand, hand_model, in_the_sample_world, rest_hand, sample, true_keypoints
from scipy.spatial.transform import Rotation

from genego_ros.errors import GenEgoError
from genego_ros.genego import GenEgo
from genego_ros.geometry.rigid import compose
from genego_ros.observation import observer
from genego_ros.observation.depth import DepthMap, load_depth_estimator
from genego_ros.observation.hands.hand_depth import HandDepth, hand_depth
from genego_ros.observation.observer import ExoObserver, calibrate, reconcile, to_ego
from genego_ros.observation.scale import HandScale, measure_scale, told_by_hands
from genego_ros.parameters import Parameters
from genego_ros.types import Camera, FloatArray, Frame, Hand, Scale

LEFT, RIGHT = rest_hand("left") + np.array([0.12, 0.05, 0.6]), rest_hand("right") + np.array([-0.12, 0.05, 0.65])
HANDS = (as_hand(LEFT, "left"), as_hand(RIGHT, "right"))


def rendered(hands: tuple[Hand, ...]) -> HandDepth:
    model = hand_model()
    return hand_depth([(model.fit(hand.keypoints, hand.side), model.faces(hand.side)) for hand in hands], CAMERA)


def seen_at(factors: tuple[float, ...], background: float = 2.0) -> np.ndarray:
    """What a depth camera measures where each of HANDS is really this much further away."""
    drawn = rendered(HANDS)
    depth = np.full(drawn.depth.shape, background, np.float32)
    for index, factor in enumerate(factors):
        depth[drawn.hand == index] = factor * drawn.depth[drawn.hand == index]
    return depth


UNCOMPILED = """
import sys
from numba.core.dispatcher import Dispatcher
from genego_ros.genego import GenEgo
genego = GenEgo()
for name, module in sorted(sys.modules.items()):
    for function in vars(module).values() if name.startswith("genego_ros.") else ():
        if isinstance(function, Dispatcher) and function.targetoptions.get("inline") != "always":
            print("compiled" if function.signatures else "uncompiled", name, function.__name__)
genego.observer.close()
"""


def test_nothing_is_left_to_compile_at_the_first_hand() -> None:
    """Where nothing is cached yet, what compiles when called takes seconds, in which a short recording is over."""
    told = subprocess.run([sys.executable, "-c", UNCOMPILED], capture_output=True, text=True, check=True).stdout
    assert "compiled genego_ros.observation.hands.settling _settle\n" in told
    assert "uncompiled" not in told


# calibrate -------------------------------------------------------------------------------------------


def test_hands_move_along_their_rays_to_where_a_depth_camera_saw_them() -> None:
    depth = seen_at((1.3, 0.8))
    given_depth, scale, moved = calibrate(DepthMap(depth, "topic", "metric"), HANDS, rendered(HANDS))
    assert given_depth is depth and (scale.factor, scale.source) == (1.0, "topic")
    for hand, factor, before in zip(moved, (1.3, 0.8), HANDS, strict=True):
        np.testing.assert_allclose(hand.keypoints, factor * before.keypoints, rtol=1e-4)
        np.testing.assert_allclose(as_hand(hand.keypoints).keypoints_2d, before.keypoints_2d, atol=0.01)
        assert hand.scale_source == "depth" and hand.side == before.side


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_a_depth_that_cannot_be_the_hands_is_not_believed(factor: float) -> None:
    _, _, hands = calibrate(DepthMap(seen_at((factor, 1.1)), "topic", "metric"), HANDS, rendered(HANDS))
    assert hands[0] is HANDS[0] and hands[0].scale_source == "average"
    assert hands[1].scale_source == "depth"


def test_without_depth_on_the_hand_it_stays_where_it_was() -> None:
    depth = np.full((480, 640), np.nan, np.float32)
    _, scale, hands = calibrate(DepthMap(depth, "topic", "metric"), HANDS, rendered(HANDS))
    assert hands == HANDS and scale.source == "topic"


@settings(deadline=None, max_examples=10)
@given(st.floats(1e-3, 1e3))
def test_relative_depth_becomes_metric_by_the_hands(factor: float) -> None:
    relative = seen_at((1.0, 1.0)) / np.float32(factor)
    metric, scale, hands = calibrate(DepthMap(relative, "model", "relative"), HANDS, rendered(HANDS))
    assert scale.factor == pytest.approx(factor, rel=1e-4) and scale.source == "hands"
    np.testing.assert_allclose(metric, seen_at((1.0, 1.0)), rtol=1e-4)
    assert hands == HANDS


def told(depth_map: DepthMap, hands: tuple[Hand, ...]) -> HandScale:
    measured = measure_scale(depth_map, hands, rendered(hands))
    assert measured is not None
    return told_by_hands(measured, hands, lens_given=True)


def test_hands_move_along_their_rays_to_agree_with_a_network_that_has_metres() -> None:
    """The network says 20 % farther than hands of average size: they settle in between, and stay in one place."""
    depth_map = DepthMap(seen_at((1.2, 1.2)), "lite", "relative", deviation=0.1)
    drawn = rendered(HANDS)
    settled, moved = reconcile(told(depth_map, HANDS), depth_map, HANDS)
    metric, scale, same = calibrate(depth_map, moved, drawn, settled)
    assert same is moved and 1 / 1.2 < scale.factor < 1.0
    factors = [np.median(after.keypoints / hand.keypoints) for after, hand in zip(moved, HANDS, strict=True)]
    assert 1.0 < factors[0] < 1.2 and factors[0] == pytest.approx(factors[1])
    again = measure_scale(DepthMap(metric, "lite", "relative"), moved, rendered(moved))
    assert again is not None and again.factor == pytest.approx(1.0, rel=0.01)
    for hand, before in zip(moved, HANDS, strict=True):
        np.testing.assert_allclose(as_hand(hand.keypoints).keypoints_2d, before.keypoints_2d, atol=0.01)
        assert hand.scale_source == "model"
    known = tuple(replace(hand, scale_source="hand_length") for hand in HANDS)
    _, kept = reconcile(told(depth_map, known), depth_map, known)
    assert {hand.scale_source for hand in kept} == {"hand_length"}
    assert np.median(kept[0].keypoints / HANDS[0].keypoints) < factors[0]
    assert reconcile(None, depth_map, HANDS) == (Scale(1.0, 0.1, source="model"), HANDS)
    without = DepthMap(depth_map.values, "vggt", "relative")
    assert reconcile(None, without, HANDS) == (None, HANDS)
    assert reconcile(told(without, HANDS), without, HANDS) == (measure_scale(without, HANDS, drawn), HANDS)


@pytest.mark.parametrize("kind", ["relative", "disparity"])
def test_depth_that_nothing_scales_is_no_depth(kind: Literal["relative", "disparity"]) -> None:
    """A disparity of 3 would be 0.33 m, and a depth of 3 without unit is not 3 m either."""
    unscaled = np.full((480, 640), 3.0, np.float32)
    metric, scale, hands = calibrate(DepthMap(unscaled, "model", kind), (), rendered(()))
    assert (scale.source, scale.factor, scale.inliers) == ("none", 1.0, 0) and np.isnan(scale.spread)
    assert metric.dtype == np.float32 and np.isnan(metric).all() and hands == ()


class Noting:
    """A viewpoint that cannot be told, and notes whether a depth camera's image came with the frame."""

    def __init__(self) -> None:
        self.parameters, self.measured = Parameters(), []

    def begin(self, frame: Frame) -> None: ...

    def locate(self, frame: Frame, *_: Any) -> None:
        self.measured.append(frame.depth is not None)

    def forget(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize(("backend", "measured"), [("topic", True), ("auto", True), ("hands", False)])
def test_only_depth_that_serves_passes_for_a_cameras(backend: str, measured: bool) -> None:
    noting = Noting()
    given = Parameters.from_mapping({"depth.backend": backend})
    with GenEgo(given, noting) as genego:  # type: ignore[arg-type]
        genego.observer.observe(sample(1)[0])
    assert sample(1)[0].depth is not None and noting.measured == [measured]


def test_the_hands_own_depth_needs_no_scale() -> None:
    drawn = rendered(HANDS)
    depth, scale, hands = calibrate(None, HANDS, drawn)
    assert depth is drawn.depth and scale.source == "hand_mesh" and hands is HANDS
    assert calibrate(None, (), drawn)[1].source == "none"


def test_depth_is_the_topics_where_there_is_one() -> None:
    frame = Frame(np.zeros((480, 640, 3), np.uint8), CAMERA, np.full((480, 640), 2.0, np.float32))
    topic = load_depth_estimator(Parameters.from_mapping({"depth.backend": "topic"}))
    given_depth = topic.estimate(frame)
    assert given_depth is not None and given_depth.values is frame.depth
    assert (given_depth.source, given_depth.kind) == ("topic", "metric")
    assert topic.estimate(replace(frame, depth=None)) is None
    assert load_depth_estimator(Parameters.from_mapping({"depth.backend": "hands"})).estimate(frame) is None


# to_ego ----------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_hands_in_the_ego_camera_are_moved_and_projected_with_its_own_intrinsics(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn, shift = Rotation.from_rotvec(rng.uniform(-0.3, 0.3, 3)), rng.uniform(-0.2, 0.2, 3)
    camera = Camera.from_hfov(320, 180, 90.0)
    moved = to_ego(HANDS, compose(turn.as_matrix(), shift), camera)
    for hand, before in zip(moved, HANDS, strict=True):
        expected = turn.apply(before.keypoints) + shift
        np.testing.assert_allclose(hand.keypoints, expected, atol=1e-6)
        np.testing.assert_allclose(hand.keypoints_2d, as_hand(expected, camera=camera).keypoints_2d, atol=0.01)
        assert hand.keypoints.dtype == hand.keypoints_2d.dtype == np.float32
        assert (hand.side, hand.score) == (before.side, before.score)


def test_keypoints_behind_the_ego_camera_have_no_pixel() -> None:
    (hand,) = to_ego(HANDS[:1], compose(np.eye(3), [0.0, 0.0, -1.0]), CAMERA)
    assert np.isnan(hand.keypoints_2d).all() and np.isfinite(hand.keypoints).all()


# the whole -------------------------------------------------------------------------------------------


PLAIN = Parameters.from_mapping(
    {"depth.backend": "topic", "viewpoint.backend": "nominal", "reconstruction.backend": "geometric"}
)


@pytest.fixture(scope="module")
def genego() -> Iterator[GenEgo]:
    """Without what is learned of rooms and people."""
    with GenEgo(PLAIN) as made:
        yield made


def test_by_default_networks_tell_depth_and_eyes_and_complete_the_view() -> None:
    frame = replace(sample(1)[0], depth=None)
    with GenEgo() as made:
        made.observer.settle(frame)
        view = made(frame)
    observation = view.observation
    assert (observation.depth_source, observation.scale.source) == ("lite", "hands")
    assert observation.viewpoint.source in ("phi_ego", "phi_ego+head")
    for hand in observation.hands_exo:
        assert hand.scale_source == "model"
        wrist = true_keypoints(hand.side, 0)[0]
        assert np.linalg.norm(hand.keypoints[0] - wrist) < 0.15 * np.linalg.norm(wrist)
    assert view.source == "lite" and 0.2 < view.seen.mean() < 1.0


def test_with_depth_the_hands_are_within_centimetres_of_where_they_were_rendered(genego: GenEgo) -> None:
    for index, frame in enumerate(sample(2)):
        observation = genego.observer.observe(frame)
        assert [hand.side for hand in observation.hands_exo] == ["left", "right"]
        for hand in observation.hands_exo:
            off = hand.keypoints - true_keypoints(hand.side, index)
            assert hand.scale_source == "depth"
            assert np.linalg.norm(off, axis=1).mean() < 0.04
        eyes = -observation.viewpoint.T_ego_exo[:3, :3].T @ observation.viewpoint.T_ego_exo[:3, 3]
        # The person sits behind their hands and looks down on them.
        position, wrist = in_the_sample_world(eyes), in_the_sample_world(true_keypoints("left", index)[0])
        assert position[1] < wrist[1] - 0.1 and position[2] > wrist[2] + 0.2


def test_the_view_is_marked_seen_where_the_splat_landed_and_the_hands_are_in_it(genego: GenEgo) -> None:
    view = genego(sample(1)[0])
    observation = view.observation
    assert view.image.shape == (360, 640, 3) and view.seen.shape == (360, 640)
    np.testing.assert_array_equal(view.seen, observation.sparse.projected)
    np.testing.assert_array_equal(view.image[view.seen], observation.sparse.rgb[view.seen])
    assert 0.2 < view.seen.mean() < 1.0
    assert (observation.depth_source, observation.scale.source, view.source) == ("topic", "topic", "geometric")
    for exo, ego in zip(observation.hands_exo, observation.hands_ego, strict=True):
        homogeneous = np.c_[exo.keypoints, np.ones(21)] @ observation.viewpoint.T_ego_exo.T
        np.testing.assert_allclose(ego.keypoints, homogeneous[:, :3], atol=1e-5)
        assert (ego.keypoints_2d > 0).all() and (ego.keypoints_2d < [640, 360]).all()
    # Hands lower than the middle of both are not: the person looks at their middle.
    middle = np.mean([hand.keypoints_2d for hand in observation.hands_ego], axis=(0, 1))
    np.testing.assert_allclose(middle, [319.5, 179.5], atol=60)
    # The person's left hand is on the left of what they see.
    left, right = (hand.keypoints_2d[:, 0].mean() for hand in observation.hands_ego)
    assert left < right


def test_without_depth_only_the_hands_are_seen(genego: GenEgo) -> None:
    view = genego(replace(sample(1)[0], depth=None))
    observation = view.observation
    assert (observation.valid, observation.depth_source, observation.scale.source) == (True, "hands", "hand_mesh")
    assert 0 < view.seen.mean() < 0.3
    assert observation.exo_cloud is not None and observation.exo_depth is not None
    assert len(observation.exo_cloud.points) == np.isfinite(observation.exo_depth).sum()


def test_nobody_gives_a_black_view_that_is_not_valid(genego: GenEgo) -> None:
    frame = sample(1)[0]
    view = genego(replace(frame, rgb=np.full_like(frame.rgb, 90), stamp_ns=77))
    assert not view.observation.valid and view.observation.stamp_ns == 77
    assert not view.image.any() and not view.seen.any()
    assert view.observation.hands_exo == view.observation.hands_ego == ()
    assert np.isnan(view.observation.sparse.depth).all()
    # What the camera saw is still there.
    assert view.observation.exo_cloud is not None and len(view.observation.exo_cloud.points) > 100_000


def test_parameters_change_from_one_frame_to_the_next(genego: GenEgo) -> None:
    before = genego.observer.parameters
    try:
        genego.update(before.changed({"ego.width": 100, "ego.height": 50, "depth.far": 0.1001}))
        view = genego(sample(1)[0])
        assert view.image.shape == (50, 100, 3)
        assert view.observation.exo_cloud is not None and len(view.observation.exo_cloud.points) == 0
        assert not view.seen.any() and view.observation.valid
    finally:
        genego.update(before)


def test_what_cannot_work_is_said_when_it_is_made() -> None:
    with pytest.raises(GenEgoError, match="works in the ROS nodes only"):
        GenEgo({"viewpoint.backend": "tf"})
    with pytest.raises(GenEgoError, match=r"unknown reconstruction backend 'magic'; known: .*geometric"):
        GenEgo({"reconstruction.backend": "magic"})
    with pytest.raises(GenEgoError, match="device is 'gpu'"):
        GenEgo({"device": "gpu"})


def test_a_camera_of_its_own_takes_the_place_of_the_parameters(genego: GenEgo) -> None:
    """The same hands and X, seen by another lens off centre."""
    camera = Camera(200, 120, 90.0, 95.0, 80.0, 70.0)
    genego.observer.forget()
    plain = genego.observer.observe(sample(1)[0])
    genego.observer.forget()
    other = genego.observer.observe(sample(1)[0], camera)
    assert other.ego_camera == camera and other.sparse.rgb.shape == (120, 200, 3)
    np.testing.assert_array_equal(other.viewpoint.T_ego_exo, plain.viewpoint.T_ego_exo)
    for one, two in zip(plain.hands_ego, other.hands_ego, strict=True):
        np.testing.assert_array_equal(one.keypoints, two.keypoints)
        pixels = two.keypoints @ camera.matrix.T
        np.testing.assert_allclose(two.keypoints_2d, pixels[:, :2] / pixels[:, 2:], rtol=1e-4)


# streams ---------------------------------------------------------------------------------------------

SECOND = 10**9


def watched(genego: GenEgo, first_s: float = 1000.0, count: int = 20) -> Frame:
    """The last of the frames of a stream long enough to learn the person's proportions from."""
    genego.observer.forget()
    for index in range(count):
        frame = replace(sample(1)[0], depth=None, stamp_ns=round((first_s + index / 30) * SECOND))
        genego.observer.observe(frame)
    return frame


@pytest.mark.parametrize(
    ("stamp_s", "frame_id"),
    [(100.0, ""), (1000.0, ""), (1011.0, ""), (1000.7, "other_camera")],
    ids=["earlier", "a frame earlier", "after a gap", "another camera"],
)
def test_another_stream_is_observed_as_if_there_had_been_none(genego: GenEgo, stamp_s: float, frame_id: str) -> None:
    last = watched(genego)
    frame = replace(last, stamp_ns=round(stamp_s * SECOND), frame_id=frame_id or last.frame_id)
    after = genego.observer.observe(frame)
    genego.observer.forget()
    alone = genego.observer.observe(frame)
    assert after.hands_exo and len(after.hands_exo) == len(alone.hands_exo)
    for one, other in zip(after.hands_exo, alone.hands_exo, strict=True):
        np.testing.assert_array_equal(one.keypoints, other.keypoints)


def test_an_empty_room_is_not_described_with_the_hands_of_the_recording_before(genego: GenEgo) -> None:
    last = watched(genego, count=1)
    nobody = replace(last, rgb=np.zeros_like(last.rgb), stamp_ns=100 * SECOND)
    after = genego.observer.observe(nobody)
    genego.observer.forget()
    assert after.description == genego.observer.observe(nobody).description != ""
    assert after.hands_exo == ()


@pytest.mark.parametrize("stamp_s", [0.0, 1009.0])
def test_equal_stamps_and_short_gaps_are_one_stream(genego: GenEgo, stamp_s: float) -> None:
    """What was learnt of the person's hands still counts; pictures without a stamp all have the same, 0."""
    last = watched(genego)
    if stamp_s == 0.0:
        genego.observer.forget()
        for _ in range(20):
            genego.observer.observe(replace(last, stamp_ns=0))
    frame = replace(last, stamp_ns=round(stamp_s * SECOND))
    after = genego.observer.observe(frame)
    genego.observer.forget()
    for _ in range(3):
        alone = genego.observer.observe(frame)
    learnt = zip(after.hands_exo, alone.hands_exo, strict=True)
    assert all(np.abs(one.keypoints - other.keypoints).max() > 1e-4 for one, other in learnt)


# what goes wrong -------------------------------------------------------------------------------------


class Given:
    """A hand estimator, a describer and a depth estimator in one, which says what it is told to."""

    def __init__(self, hands: tuple[Hand, ...] = (), depth_map: DepthMap | None = None) -> None:
        self.parameters = PLAIN
        self.hands, self.depth_map = hands, depth_map

    def estimate(self, frame: Frame) -> Any:
        return self.hands

    def describe(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> str:
        raise RuntimeError("CUDA out of memory")

    def forget(self) -> None: ...

    def close(self) -> None: ...


class GivenDepth(Given):
    def estimate(self, frame: Frame) -> Any:
        return self.depth_map


def observer_of(monkeypatch: pytest.MonkeyPatch, warn: Callable[[str], None], **given: Any) -> ExoObserver:
    """An observer to which these hands and this depth are given, and whose describer fails."""
    monkeypatch.setattr(observer, "load_hand_estimator", lambda _: Given(given.get("hands", ())))
    monkeypatch.setattr(observer, "load_depth_estimator", lambda _: GivenDepth(depth_map=given.get("depth_map")))
    return ExoObserver(PLAIN, describer=Given(), warn=warn)


def test_a_describer_that_fails_costs_the_words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    made = observer_of(monkeypatch, said.append, hands=HANDS)
    observed = [made.observe(Frame(np.zeros((480, 640, 3), np.uint8), CAMERA, stamp_ns=i)) for i in range(3)]
    made.close()
    for observation in observed:
        assert observation.valid and observation.hands_exo == HANDS and observation.description == ""
        assert observation.sparse.projected.any()
    assert len(said) == 1 and "RuntimeError('CUDA out of memory')" in said[0]


def test_a_hand_that_is_nowhere_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    broken = replace(HANDS[0], keypoints=np.where(np.arange(21)[:, None] == 8, np.nan, LEFT).astype(np.float32))
    made = observer_of(monkeypatch, said.append, hands=(broken, HANDS[1]))
    observation = made.observe(Frame(np.zeros((480, 640, 3), np.uint8), CAMERA))
    made.close()
    assert observation.hands_exo == (HANDS[1],) and observation.valid
    assert "left out: some of its keypoints are NaN" in said[0]


@pytest.mark.parametrize("depth_map", [None, DepthMap(np.full((480, 640), 3.0, np.float32), "model", "disparity")])
def test_a_frame_without_metres_has_no_depth_and_no_source(
    monkeypatch: pytest.MonkeyPatch, depth_map: DepthMap | None
) -> None:
    made = observer_of(monkeypatch, print, depth_map=depth_map)
    observation = made.observe(Frame(np.zeros((480, 640, 3), np.uint8), CAMERA))
    made.close()
    assert (observation.depth_source, observation.scale.source, observation.valid) == ("none", "none", False)
    assert observation.exo_depth is not None and np.isnan(observation.exo_depth).all()
    assert observation.exo_cloud is not None and len(observation.exo_cloud.points) == 0
