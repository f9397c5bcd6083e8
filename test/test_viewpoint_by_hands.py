"""X from P_exo and P_ego, and from several estimators: built cases in which the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene import CAMERA, as_hand, curled_hand
from scipy.spatial.transform import Rotation

from genego_ros.geometry.rigid import apply, compose, invert, look_at, rotation_angle
from genego_ros.observation.viewpoint.auto import fused
from genego_ros.observation.viewpoint.phi_ego import PhiEgoViewpoint, locate_by_hands
from genego_ros.observation.viewpoint.steady import SteadyViewpoint, sees
from genego_ros.parameters import Parameters
from genego_ros.types import EgoHands, Float64Array, FloatArray, Frame, Hand, Viewpoint

NOTHING = np.full((CAMERA.height, CAMERA.width), np.nan, np.float32)
BLANK = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
HANDS = (
    as_hand(curled_hand(30.0, "left") + np.array([0.15, 0.0, 0.9]), "left"),
    as_hand(curled_hand(50.0) + np.array([-0.12, 0.03, 0.85]), "right"),
)
MIDDLE = np.mean([hand.keypoints for hand in HANDS], axis=(0, 1))


def eyes_at(place: tuple[float, float, float]) -> Float64Array:
    """X for eyes there, in the exo frame, that look at the hands."""
    return invert(look_at(place, MIDDLE, (0.0, -1.0, 0.0)))


X = eyes_at((0.05, -0.35, 1.2))


def ego_hands(T_ego_exo: Float64Array, hands: tuple[Hand, ...] = HANDS, deviation: float = 0.02) -> EgoHands:
    """What phi_ego would say of these hands if it made no mistake."""
    keypoints, scores = np.zeros((2, 21, 3), np.float32), np.zeros(2, np.float32)
    for hand in hands:
        index = int(hand.side == "right")
        keypoints[index], scores[index] = apply(T_ego_exo, hand.keypoints), 0.95
    return EgoHands(keypoints, scores, np.full(2, deviation, np.float32))


def errors(found: Viewpoint | None, true: Float64Array = X) -> tuple[float, float]:
    """Degrees, and metres between the places of the eyes."""
    assert found is not None
    between = np.linalg.norm(invert(found.T_ego_exo)[:3, 3] - invert(true)[:3, 3])
    return np.degrees(rotation_angle(found.T_ego_exo, true)), float(between)


# phi_ego ---------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_x_is_found_exactly_where_both_agree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = compose(Rotation.random(random_state=rng).as_matrix(), rng.uniform(-1, 1, 3))
    found = locate_by_hands(HANDS, ego_hands(true))
    degrees, metres = errors(found, true)
    assert degrees < 0.01 and metres < 1e-4
    assert found is not None and found.source == "phi_ego" and found.residual < 1e-5


def test_both_hands_count_and_a_wrong_keypoint_does_not() -> None:
    ego = ego_hands(X)
    ego.keypoints[0, 8] += [0.0, 0.3, 0.0]
    ego.keypoints[1, 20] += [0.4, 0.0, -0.2]
    degrees, metres = errors(locate_by_hands(HANDS, ego))
    assert degrees < 0.5 and metres < 0.005


def test_a_hand_that_errs_as_expected_is_not_thrown_out() -> None:
    """phi_ego puts one hand further from the other by twice its deviation: X lies between, not at one of the hands."""
    ego = ego_hands(X)
    apart = ego.keypoints[1].mean(axis=0) - ego.keypoints[0].mean(axis=0)
    ego.keypoints[1] += (0.04 * apart / np.linalg.norm(apart)).astype(np.float32)
    found = locate_by_hands(HANDS, ego)
    assert found is not None
    mapped = [apply(found.T_ego_exo, hand.keypoints) for hand in HANDS]
    gaps = [np.linalg.norm(mapped[side] - ego.keypoints[side], axis=1).mean() for side in range(2)]
    assert gaps == pytest.approx([0.02, 0.02], abs=0.006)


def test_the_surer_hand_weighs_more() -> None:
    ego = ego_hands(X)
    ego.keypoints[1] += np.array([0.0, 0.04, 0.0], np.float32)
    sure = replace(ego, deviation=np.array([0.005, 0.05], np.float32))
    found = locate_by_hands(HANDS, sure)
    assert found is not None
    assert np.linalg.norm(apply(found.T_ego_exo, HANDS[0].keypoints) - ego.keypoints[0], axis=1).mean() < 0.008


@pytest.mark.parametrize("hands", [(), HANDS[:1]], ids=["nobody", "a hand that phi_ego does not see"])
def test_without_common_hands_there_is_no_x(hands: tuple[Hand, ...]) -> None:
    assert locate_by_hands(hands, ego_hands(X, HANDS[1:])) is None


def test_hands_that_are_not_the_same_give_no_x() -> None:
    ego = ego_hands(X)
    ego.keypoints[:] = np.random.default_rng(0).normal(0, 0.15, ego.keypoints.shape)
    assert locate_by_hands(HANDS, ego) is None


@pytest.mark.filterwarnings("error")
def test_numbers_that_are_none_give_no_x() -> None:
    nothing = (
        {"keypoints": np.full((2, 21, 3), np.nan, np.float32)},
        {"deviation": np.zeros(2, np.float32)},
        {"deviation": np.array([0.02, np.inf], np.float32)},
    )
    for change in nothing:
        assert locate_by_hands(HANDS, replace(ego_hands(X), **change)) is None
    unscored = replace(HANDS[0], keypoint_scores=np.full(21, np.nan, np.float32))
    assert locate_by_hands((unscored, HANDS[1]), ego_hands(X)) is None
    line = as_hand(np.linspace([0, 0, 0.8], [0.2, 0, 0.8], 21))
    assert locate_by_hands((line,), ego_hands(X, (line,))) is None


def test_one_hand_leaves_more_open_than_two_and_a_bad_fit_more_than_a_good_one() -> None:
    two, one = locate_by_hands(HANDS, ego_hands(X)), locate_by_hands(HANDS[1:], ego_hands(X))
    assert two is not None and one is not None
    assert two.turn_deviation < one.turn_deviation and two.shift_deviation < one.shift_deviation
    rough = ego_hands(X)
    rough.keypoints[:] += np.random.default_rng(1).normal(0, 0.03, rough.keypoints.shape).astype(np.float32)
    bad = locate_by_hands(HANDS, rough)
    assert bad is not None and bad.turn_deviation > two.turn_deviation


def test_the_deviations_are_those_of_many_trials() -> None:
    """phi_ego errs by whole hands, which count as three independent keypoints each: within a factor of two."""
    rng = np.random.default_rng(3)
    turns, shifts = [], []
    for _ in range(200):
        ego = ego_hands(X)
        for side in range(2):
            bend = Rotation.from_rotvec(rng.normal(0, 0.12, 3)).as_matrix()
            middle = ego.keypoints[side].mean(axis=0)
            ego.keypoints[side] = (ego.keypoints[side] - middle) @ bend.T + middle + rng.normal(0, 0.015, 3)
        degrees, metres = errors(locate_by_hands(HANDS, ego))
        turns.append(np.radians(degrees))
        shifts.append(metres)
    said = locate_by_hands(HANDS, ego_hands(X))
    assert said is not None
    # The angle and the distance have three components each.
    assert 0.5 < said.turn_deviation * np.sqrt(3) / np.sqrt(np.mean(np.square(turns))) < 2.5
    assert 0.5 < said.shift_deviation * np.sqrt(3) / np.sqrt(np.mean(np.square(shifts))) < 2.5


# fused -----------------------------------------------------------------------------------------------


@given(st.floats(0.01, 0.5), st.floats(0.01, 0.5))
def test_the_mean_lies_nearer_to_the_surer_one(one: float, other: float) -> None:
    a = Viewpoint(compose(np.eye(3), [0.0, 0.0, 0.0]), "phi_ego", 0.01, one, one)
    b = Viewpoint(
        invert(compose(Rotation.from_rotvec([0, 0.2, 0]).as_matrix(), [0.1, 0, 0])), "head", np.nan, other, other
    )
    mean = fused(a, b)
    share = one**2 / (one**2 + other**2)
    eyes = invert(mean.T_ego_exo)
    np.testing.assert_allclose(eyes[:3, 3], [0.1 * share, 0, 0], atol=1e-9)
    np.testing.assert_allclose(Rotation.from_matrix(eyes[:3, :3]).as_rotvec(), [0, 0.2 * share, 0], atol=1e-9)
    assert mean.source == "phi_ego+head" and mean.residual == 0.01
    agreed = (one**-2 + other**-2) ** -0.5
    assert mean.turn_deviation == pytest.approx(agreed * max(1, 0.2 / np.sqrt(3 * (one**2 + other**2))))
    assert mean.shift_deviation == pytest.approx(agreed * max(1, 0.1 / np.sqrt(3 * (one**2 + other**2))))


def test_an_unknown_deviation_counts_as_the_others() -> None:
    a = Viewpoint(np.eye(4), "a", np.nan, 0.1, np.nan)
    b = Viewpoint(compose(np.eye(3), [-1.0, 0, 0]), "b", np.nan, np.nan, np.nan)
    mean = fused(a, b)
    np.testing.assert_allclose(mean.T_ego_exo[:3, 3], [-0.5, 0, 0])
    assert mean.turn_deviation == 0.1 and np.isnan(mean.shift_deviation)


# steady ----------------------------------------------------------------------------------------------


class Told:
    """An estimator that says what it is told."""

    def __init__(self, pose: Float64Array | None, source: str = "phi_ego") -> None:
        self.parameters = Parameters()
        self.pose = pose
        self.source = source
        self.forgotten = 0

    def begin(self, frame: Frame) -> None:
        pass

    def locate(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> Viewpoint | None:
        return None if self.pose is None else Viewpoint(self.pose, self.source)

    def forget(self) -> None:
        self.forgotten += 1

    def close(self) -> None:
        pass


def steady(estimator: Told, **values: float) -> SteadyViewpoint:
    parameters = Parameters.from_mapping({f"viewpoint.{name}": value for name, value in values.items()})
    return SteadyViewpoint(parameters, estimator, Told(eyes_at((0.0, -0.5, 1.0)), "nominal"))


def at(estimator: SteadyViewpoint, seconds: float, hands: tuple[Hand, ...] = HANDS) -> Viewpoint | None:
    return estimator.locate(Frame(BLANK, CAMERA, stamp_ns=int(1e9 * seconds) + 10**18), hands, NOTHING)


def source(found: Viewpoint | None) -> str:
    assert found is not None
    return found.source


def test_the_last_pose_and_then_the_nominal_one_stand_in() -> None:
    inner = Told(X)
    outer = steady(inner, hold_s=0.5)
    assert source(at(outer, 0.0)) == "phi_ego"
    inner.pose = None
    held = at(outer, 0.4)
    assert held is not None and held.source == "previous"
    np.testing.assert_array_equal(held.T_ego_exo, X)
    assert source(at(outer, 0.6)) == "nominal"
    inner.pose = X
    assert source(at(outer, 0.7)) == "phi_ego"


@pytest.mark.parametrize(
    "place", [tuple(MIDDLE + [0.01, -0.05, 0.03]), tuple(MIDDLE + [0.0, -2.0, 0.3])], ids=["in the hands", "too far"]
)
def test_eyes_that_cannot_be_there_are_a_gap(place: tuple[float, float, float]) -> None:
    assert source(at(steady(Told(eyes_at(place))), 0.0)) == "nominal"
    behind = compose(Rotation.from_euler("y", 180, degrees=True).as_matrix() @ X[:3, :3], -X[:3, 3])
    assert not sees(behind, HANDS) and sees(X, HANDS)


def test_nobody_has_no_viewpoint_even_after_somebody() -> None:
    outer = steady(Told(X))
    assert at(outer, 0.0) is not None
    assert at(outer, 0.1, ()) is None


def test_forgetting_and_time_that_runs_backwards_end_a_hold() -> None:
    inner = Told(X)
    outer = steady(inner)
    at(outer, 1.0)
    inner.pose = None
    assert source(at(outer, 0.9)) == "nominal"
    assert source(at(outer, 1.1)) == "previous"
    outer.forget()
    assert source(at(outer, 1.2)) == "nominal" and inner.forgotten == 1


@settings(deadline=None, max_examples=20)
@given(st.floats(0.05, 1.0))
def test_smoothing_calms_shaking_and_follows_a_step_with_its_time_constant(constant: float) -> None:
    rng = np.random.default_rng(0)
    inner = Told(X)
    outer = steady(inner, smoothing_s=constant)
    at(outer, 0.0)
    raw, smooth = [], []
    for number in range(1, 200):
        inner.pose = invert(
            invert(X) @ compose(Rotation.from_rotvec(rng.normal(0, 0.03, 3)).as_matrix(), rng.normal(0, 0.01, 3))
        )
        found = at(outer, number / 30)
        raw.append(errors(Viewpoint(inner.pose, "")))
        smooth.append(errors(found))
    # A first-order filter leaves dt / (2 constant + dt) of white noise's variance.
    left = np.sqrt(np.mean(np.square(smooth[60:]), axis=0) / np.mean(np.square(raw[60:]), axis=0))
    np.testing.assert_allclose(left, np.sqrt((1 / 30) / (2 * constant + 1 / 30)), rtol=0.5)
    inner.pose = X
    outer.forget()
    at(outer, 10.0)
    inner.pose = invert(invert(X) @ compose(np.eye(3), [0.2, 0.0, 0.0]))
    for number in range(1, 31):
        found = at(outer, 10.0 + number * constant / 30)
    gone = errors(found)[1]
    assert gone == pytest.approx(0.2 * (1 - np.exp(-1)), abs=2e-3)


def test_without_smoothing_the_pose_is_what_was_estimated() -> None:
    outer = steady(Told(X))
    at(outer, 0.0)
    other = eyes_at((0.1, -0.3, 1.2))
    outer._estimator.pose = other  # type: ignore[attr-defined]
    found = at(outer, 0.03)
    assert found is not None
    np.testing.assert_allclose(found.T_ego_exo, other, atol=1e-12)


def test_the_backend_asks_phi_ego_only_where_there_are_hands() -> None:
    class Counting:
        asked = 0

        def look(self, frame: Frame) -> Frame:
            return frame

        def tell(self, glance: Frame, hands: tuple[Hand, ...] = ()) -> EgoHands:
            assert glance is frame and hands == HANDS
            self.asked += 1
            return ego_hands(X)

    counting = Counting()
    backend = PhiEgoViewpoint(Parameters(), counting)
    frame = Frame(BLANK, CAMERA)
    assert backend.locate(frame, (), NOTHING) is None and counting.asked == 0
    found = backend.locate(frame, HANDS, NOTHING)
    assert errors(found)[1] < 1e-4 and counting.asked == 1


def test_hands_of_other_sizes_do_not_scale_the_world() -> None:
    """P_exo of a hand taken to be too large: the eyes stay at about their distance, and the residual tells."""
    large = tuple(replace(h, keypoints=(h.keypoints * 1.1).astype(np.float32)) for h in HANDS)
    found = locate_by_hands(large, ego_hands(X))
    assert found is not None and np.linalg.det(found.T_ego_exo[:3, :3]) == pytest.approx(1.0)
    assert found.residual > 0.005
