from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene import CAMERA, as_hand, curled_hand, rest_hand
from scipy.spatial.transform import Rotation

from genego_ros.geometry.hand_model import hand_length
from genego_ros.observation.hands.lifting import lift, proportioned

seeds = st.integers(0, 2**32 - 1)
quick = settings(deadline=None, max_examples=60)
LENGTH = hand_length(rest_hand())


def scene(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A hand, half open, somewhere before the camera: its shape as a network gives it (turned like the
    camera, about its own middle, of another size), its true keypoints and its pixels."""
    rng = np.random.default_rng(seed)
    side = "left" if rng.random() < 0.5 else "right"
    turned = Rotation.random(random_state=rng).apply(curled_hand(rng.uniform(0, 60), side))
    true = turned - turned.mean(axis=0) + rng.uniform([-0.25, -0.2, 0.35], [0.25, 0.2, 1.2])
    shape = (turned - turned.mean(axis=0)) * rng.uniform(0.5, 2.0)
    return shape.astype(np.float32), true, as_hand(true).keypoints_2d


@quick
@given(seeds)
def test_a_hand_is_found_where_it_is(seed: int) -> None:
    shape, true, pixels = scene(seed)
    found = lift(shape, pixels, CAMERA, hand_length(true))
    assert found is not None and found.dtype == np.float32
    assert np.abs(found - true).max() < 0.003


def test_a_pixel_of_noise_moves_it_by_a_few_percent_of_its_distance() -> None:
    # A hand spans 80 to 280 pixels here; its wrist is as far off as one of those pixels or few says.
    shares = []
    for seed in range(100):
        shape, true, pixels = scene(seed)
        found = lift(shape, with_noise(pixels, seed), CAMERA, hand_length(true))
        assert found is not None
        shares.append(np.linalg.norm(found[0] - true[0]) / true[0, 2])
    assert np.median(shares) < 0.015 and np.quantile(shares, 0.9) < 0.035


def with_noise(pixels: np.ndarray, seed: int) -> np.ndarray:
    return pixels + np.random.default_rng(seed).normal(0, 1, pixels.shape).astype(np.float32)


@quick
@given(seeds)
def test_a_pixel_of_noise_leaves_it_its_bones_and_its_place_in_the_picture(seed: int) -> None:
    shape, true, pixels = scene(seed)
    noisy = with_noise(pixels, seed)
    found = lift(shape, noisy, CAMERA, hand_length(true))
    assert found is not None
    # Bones have their lengths in spite of the noise, and most keypoints are seen about where they were measured.
    for a, b in ((0, 5), (0, 17), (5, 6), (10, 11), (19, 20)):
        assert np.linalg.norm(found[a] - found[b]) == pytest.approx(np.linalg.norm(true[a] - true[b]), abs=0.012)
    assert np.median(np.linalg.norm(as_hand(found).keypoints_2d - noisy, axis=1)) < 3


@quick
@given(seeds, st.floats(0.5, 2.0))
def test_the_distance_goes_with_the_length_that_is_given(seed: int, factor: float) -> None:
    shape, true, pixels = scene(seed)
    found = lift(shape, pixels, CAMERA, factor * hand_length(true))
    assert found is not None
    np.testing.assert_allclose(found, factor * true, atol=0.003 * factor)


def test_keypoints_beyond_the_picture_count_as_well() -> None:
    true = rest_hand() + np.array([0.42, 0.0, 0.6])
    pixels = as_hand(true).keypoints_2d
    assert (pixels[:, 0] > 640).any()
    found = lift((true - true.mean(axis=0)).astype(np.float32), pixels, CAMERA, LENGTH)
    assert found is not None and np.abs(found - true).max() < 0.003


def test_a_hand_that_fits_only_behind_the_camera_is_none() -> None:
    behind = rest_hand() + np.array([0.05, 0.03, -0.6])
    pixels = as_hand(behind).keypoints_2d
    found = lift((behind - behind.mean(axis=0)).astype(np.float32), pixels, CAMERA, LENGTH)
    # Behind the camera a hand looks like its point reflection before it; that one has another shape.
    assert found is None or found[:, 2].min() > 0.02


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("shape", "pixels"),
    [
        (np.zeros((21, 3)), None),
        (np.full((21, 3), np.nan), None),
        (np.where(np.arange(21)[:, None] == 20, np.nan, rest_hand()), None),
        (np.outer(np.arange(21), [0.01, 0.0, 0.0]), None),
        (None, np.full((21, 2), np.nan)),
        (None, np.full((21, 2), np.inf)),
        (None, np.full((21, 2), 100.0)),
    ],
    ids=["a point", "NaN", "one NaN", "a line", "NaN pixels", "infinite pixels", "one pixel"],
)
def test_what_is_no_hand_gives_none(shape: np.ndarray | None, pixels: np.ndarray | None) -> None:
    true = rest_hand() + np.array([0.0, 0.0, 0.6])
    shape = rest_hand() if shape is None else shape
    pixels = as_hand(true).keypoints_2d if pixels is None else pixels
    assert lift(shape.astype(np.float32), pixels.astype(np.float32), CAMERA, LENGTH) is None


def test_fingers_that_point_elsewhere_than_the_shape_says_are_turned_to_where_they_are_seen() -> None:
    """From the side, a landmarker takes a bent hand for a more open one; the pixels know better."""
    aside = Rotation.from_euler("y", 90, degrees=True)
    true = aside.apply(curled_hand(50)) + np.array([0.05, 0.0, 0.7])
    guess = aside.apply(curled_hand(30))
    found = lift((guess - guess.mean(axis=0)).astype(np.float32), as_hand(true).keypoints_2d, CAMERA, LENGTH)
    assert found is not None
    tips = [8, 12, 16, 20]
    off, before = (np.linalg.norm(p - p[0] + true[0] - true, axis=1)[tips].mean() for p in (found, guess))
    assert off < 0.4 * before


def test_a_keypoint_that_is_known_badly_gives_way() -> None:
    true = rest_hand() + np.array([0.0, 0.0, 0.7])
    pixels = as_hand(true).keypoints_2d.copy()
    pixels[4] += 12
    shape = (true - true.mean(axis=0)).astype(np.float32)
    doubtful = np.where(np.arange(21) == 4, 0.03, 0.0028).astype(np.float32)
    off = [np.linalg.norm((lift(shape, pixels, CAMERA, LENGTH, d) - true)[4]) for d in (doubtful, np.full(21, 0.0028))]
    assert off[0] < 0.7 * off[1]


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_narrow_palm_and_wrong_bones_get_their_proportions_and_keep_the_posture(side: str) -> None:
    rest = rest_hand(side)
    turn = Rotation.from_euler("xyz", [0.4, -0.7, 1.1])
    posture = turn.apply(curled_hand(35, side))
    # Half as wide across the palm, twice as large, and fingers of a bone length that is none.
    across = posture[5] - posture[17]
    across /= np.linalg.norm(across)
    narrow = 2 * (posture - 0.5 * np.outer((posture - posture[0]) @ across, across))
    found = proportioned(narrow.astype(np.float32), rest.astype(np.float32))
    for a, b in ((0, 5), (0, 9), (0, 17), (5, 17), (5, 6), (6, 7), (10, 11), (19, 20), (1, 2), (3, 4)):
        assert np.linalg.norm(found[a] - found[b]) == pytest.approx(np.linalg.norm(rest[a] - rest[b]), rel=1e-4)
    for a, b in ((5, 6), (9, 10), (10, 11), (19, 20)):
        bone, given = found[b] - found[a], narrow[b] - narrow[a]
        assert bone @ given == pytest.approx(np.linalg.norm(bone) * np.linalg.norm(given), rel=1e-4)
    # The palm is turned as it was, but for what the narrowing itself turned.
    pointing, original = found[9] - found[0], posture[9] - posture[0]
    assert pointing @ original > np.cos(np.radians(10)) * np.linalg.norm(pointing) * np.linalg.norm(original)
