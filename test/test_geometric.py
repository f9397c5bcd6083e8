from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genego_ros.parameters import Parameters
from genego_ros.reconstruction import load_reconstructor
from genego_ros.reconstruction.geometric import push_pull
from genego_ros.types import Camera, ExoObservation, Scale, SparseView, Viewpoint

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 70)
quick = settings(deadline=None, max_examples=80)


def picture(seed: int, height: int, width: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Random colours, black where unknown as in S_ego, and which pixels are known: at least one."""
    rng = np.random.default_rng(seed)
    known = rng.random((height, width)) < share
    known[rng.integers(height), rng.integers(width)] = True
    low, high = np.sort(rng.integers(0, 256, 2))
    rgb = rng.integers(low, high + 1, (height, width, 3), dtype=np.uint8)
    return rgb * known[..., None].astype(np.uint8), known


@quick
@given(seeds, sizes, sizes, st.floats(0.0, 1.0))
def test_known_pixels_stay_and_the_rest_lies_between_them(seed: int, height: int, width: int, share: float) -> None:
    rgb, known = picture(seed, height, width, share)
    before = rgb.copy()
    filled = push_pull(rgb, known)
    assert filled.shape == rgb.shape and filled.dtype == np.uint8
    np.testing.assert_array_equal(rgb, before)
    np.testing.assert_array_equal(filled[known], rgb[known])
    low, high = rgb[known].min(axis=0), rgb[known].max(axis=0)
    assert (filled >= low).all() and (filled <= high).all()


@quick
@given(seeds, sizes, sizes, st.tuples(*[st.integers(0, 255)] * 3))
def test_one_colour_fills_everything(seed: int, height: int, width: int, color: tuple[int, int, int]) -> None:
    _, known = picture(seed, height, width, 0.02)
    rgb = np.where(known[..., None], np.array(color, np.uint8), np.uint8(0))
    np.testing.assert_array_equal(push_pull(rgb, known), np.broadcast_to(np.array(color, np.uint8), rgb.shape))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3), (37, 53), (360, 640), (1, 4096)])
@pytest.mark.parametrize("corner", [0, -1])
def test_one_known_pixel_fills_a_picture_of_any_size(shape: tuple[int, int], corner: int) -> None:
    rgb, known = np.zeros((*shape, 3), np.uint8), np.zeros(shape, bool)
    rgb[corner, corner], known[corner, corner] = (200, 100, 50), True
    assert (push_pull(rgb, known) == [200, 100, 50]).all()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_known_or_everything_known_stays_as_it_is(share: float) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    result = push_pull(rgb, np.full((20, 30), share, bool))
    np.testing.assert_array_equal(result, rgb)
    assert not np.shares_memory(result, rgb)


def test_a_hole_in_a_gradient_continues_the_gradient() -> None:
    row, column = np.mgrid[:64, :96]
    truth = np.stack([2 * column, 3 * row, 50 + column + row], axis=-1).astype(np.uint8)
    known = np.ones((64, 96), bool)
    known[20:44, 30:60] = False
    filled = push_pull(np.where(known[..., None], truth, 0).astype(np.uint8), known)
    error = np.abs(filled.astype(int) - truth)[~known]
    # The mean of the surroundings, which is the best constant, is off by 15, 18 and 11 on average.
    assert (error.mean(axis=0) < [9, 10, 7]).all()


def test_a_hole_takes_the_colour_that_is_nearer() -> None:
    rgb, known = np.zeros((40, 60, 3), np.uint8), np.ones((40, 60), bool)
    rgb[:, :30], rgb[:, 30:] = (250, 0, 0), (0, 0, 250)
    known[:, 20:40] = False
    filled = push_pull(np.where(known[..., None], rgb, 0).astype(np.uint8), known)
    assert (filled[:, 22, 0] > filled[:, 22, 2]).all() and (filled[:, 37, 2] > filled[:, 37, 0]).all()


def test_nothing_unseen_is_marked_seen() -> None:
    rgb, known = picture(4, 36, 64, 0.3)
    camera = Camera.from_hfov(64, 36, 90.0)
    observation = ExoObservation(
        stamp_ns=1,
        frame_id="exo",
        valid=True,
        hands_exo=(),
        hands_ego=(),
        ego_camera=camera,
        viewpoint=Viewpoint(np.eye(4), "nominal"),
        sparse=SparseView(rgb, np.where(known, 1.0, np.nan).astype(np.float32), known),
        description="",
        scale=Scale(),
        depth_source="topic",
    )
    filling = load_reconstructor(Parameters.from_mapping({"reconstruction.backend": "geometric"}))
    made = filling.reconstruct(observation, confidence=True)
    np.testing.assert_array_equal(made.seen, known)
    assert not np.shares_memory(made.seen, known)
    np.testing.assert_array_equal(made.image[made.seen], rgb[made.seen])
    np.testing.assert_array_equal(made.confidence, known)  # sure of what was seen, of nothing else
    assert filling.reconstruct(observation).confidence is None
