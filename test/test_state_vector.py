from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scene import as_hand, rest_hand
from scipy.spatial.transform import Rotation

from genego_ros.geometry.state_vector import SIDE_LENGTH, STATE_LENGTH, state_vector

seeds = st.integers(0, 2**32 - 1)


def placed(seed: int, side: str) -> np.ndarray:
    rng = np.random.default_rng(seed)
    turned = Rotation.random(random_state=rng).apply(rest_hand(side))
    return turned + rng.uniform([-0.4, -0.3, 0.6], [0.4, 0.3, 1.5])


def by_the_message(keypoints: np.ndarray) -> list[float]:
    """One side as EgoObservation.msg says it, number by number."""
    k = [tuple(map(float, p)) for p in keypoints.astype(np.float32)]
    minus = lambda a, b: [p - q for p, q in zip(a, b, strict=True)]  # noqa: E731
    dot = lambda a, b: sum(p * q for p, q in zip(a, b, strict=True))  # noqa: E731
    unit = lambda a: [p / dot(a, a) ** 0.5 for p in a]  # noqa: E731
    y = unit(minus(k[9], k[0]))
    across = minus(k[5], k[17])
    x = unit([p - dot(across, y) * q for p, q in zip(across, y, strict=True)])
    return [*k[0], *x, *y, *(value for point in k for value in minus(point, k[0])), 1.0]


@given(seeds)
def test_both_sides_are_what_the_message_says(seed: int) -> None:
    left, right = placed(seed, "left"), placed(seed + 1, "right")
    state = state_vector([as_hand(left, "left"), as_hand(right, "right")])
    assert state.shape == (STATE_LENGTH,) == (146,) and state.dtype == np.float32
    np.testing.assert_allclose(state, by_the_message(left) + by_the_message(right), atol=2e-6)


@given(seeds)
def test_the_order_of_the_hands_does_not_matter_and_a_missing_side_is_zero(seed: int) -> None:
    left, right = as_hand(placed(seed, "left"), "left"), as_hand(placed(seed + 1, "right"), "right")
    both = state_vector([left, right])
    np.testing.assert_array_equal(state_vector([right, left]), both)
    np.testing.assert_array_equal(state_vector([left]), np.r_[both[:SIDE_LENGTH], np.zeros(SIDE_LENGTH)])
    np.testing.assert_array_equal(state_vector([right]), np.r_[np.zeros(SIDE_LENGTH), both[SIDE_LENGTH:]])
    assert not state_vector([]).any()


@given(seeds)
def test_a_hand_and_its_mirror_image_differ_by_the_signs_of_the_mirror(seed: int) -> None:
    """Mirrored at x = 0: points negate x; x and y axes are vectors between points, so they do as well."""
    right = placed(seed, "right")
    mirrored = right * [-1.0, 1.0, 1.0]
    of_left = state_vector([as_hand(mirrored, "left")])[:SIDE_LENGTH]
    of_right = state_vector([as_hand(right, "right")])[SIDE_LENGTH:]
    np.testing.assert_allclose(of_left[:-1].reshape(-1, 3) * [-1, 1, 1], of_right[:-1].reshape(-1, 3), atol=1e-6)
    # z = x cross y comes from the same formula on both sides, so it is the mirror image reversed.
    z_left, z_right = (np.cross(s[3:6], s[6:9]) for s in (of_left, of_right))
    np.testing.assert_allclose(z_left * [-1, 1, 1], -z_right, atol=1e-5)


@given(seeds)
def test_the_rotation_is_one_and_turns_with_the_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    keypoints, turn = placed(seed, "right"), Rotation.random(random_state=rng)
    axes = state_vector([as_hand(keypoints)])[SIDE_LENGTH + 3 : SIDE_LENGTH + 9].reshape(2, 3)
    turned = state_vector([as_hand(turn.apply(keypoints))])[SIDE_LENGTH + 3 : SIDE_LENGTH + 9].reshape(2, 3)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-5)
    np.testing.assert_allclose(turned, turn.apply(axes), atol=1e-5)


@pytest.mark.filterwarnings("error")
def test_a_hand_without_extent_has_no_rotation_but_numbers() -> None:
    state = state_vector([as_hand(np.full((21, 3), 0.5))])[SIDE_LENGTH:]
    assert state[:3].tolist() == [0.5, 0.5, 0.5] and state[-1] == 1.0
    assert not state[3:-1].any()
