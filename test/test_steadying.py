"""Frames of a stream that hang together."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from test_diffusion_backends import observed

from genego_ros.geometry import rigid
from genego_ros.reconstruction.geometric import filled_depth
from genego_ros.reconstruction.steadying import NEIGHBOURHOOD, ROOM, Steadier
from genego_ros.types import Camera, ExoObservation, SparseView, Viewpoint

SIDE, Z = 64, 2.0
CAMERA = Camera.from_hfov(SIDE, SIDE, 90.0)


def texture() -> np.ndarray:
    """Smooth blots of any colour, float32 (200, 200, 3)."""
    blots = np.random.default_rng(0).uniform(40, 215, (20, 20, 3)).astype(np.float32)
    return cv2.resize(blots, (200, 200), interpolation=cv2.INTER_CUBIC)


def wall(shift_px: float) -> np.ndarray:
    """What eyes see that stand so many pixels to the right, before a wall at Z: float32 (SIDE, SIDE, 3)."""
    columns, rows = np.meshgrid(np.arange(SIDE, dtype=np.float32) + 60 + np.float32(shift_px), np.arange(SIDE) + 60)
    return cv2.remap(texture(), columns, rows.astype(np.float32), cv2.INTER_LINEAR)


def moment(stamp_ms: int, shift_px: float = 0.0) -> ExoObservation:
    """The wall's depth is known on the left half alone."""
    depth = np.full((SIDE, SIDE), Z, np.float32)
    depth[:, SIDE // 2 :] = np.nan
    sparse = SparseView(np.zeros((SIDE, SIDE, 3), np.uint8), depth, np.isfinite(depth))
    place = rigid.compose(np.eye(3), [-shift_px * Z / CAMERA.fx, 0, 0])
    return replace(
        observed(sparse), ego_camera=CAMERA, stamp_ns=1_000_000 * stamp_ms, viewpoint=Viewpoint(place, "truth")
    )


def flickering(number: int, picture: np.ndarray) -> np.ndarray:
    """The picture with blots that are others in each frame, as a network's."""
    blots = np.random.default_rng(number).normal(0, 12, (8, 8, 3)).astype(np.float32)
    return np.clip(picture + cv2.resize(blots, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("speed", [0.0, 2.5])
def test_what_flickers_around_the_truth_comes_nearer_to_it(speed: float) -> None:
    steadier = Steadier()
    for number in range(8):
        truth = wall(speed * number)
        made = flickering(number, truth)
        steadied = steadier.steadied(made, moment(100 * number, speed * number), 0.3)
    inner = np.s_[4:-4, 4:-24]  # what came in at the right was seen a short time
    before, after = (np.abs(picture[inner] - truth[inner]).mean() for picture in (made.astype(float), steadied))
    assert after < 0.65 * before


def test_what_has_changed_leaves_no_ghost() -> None:
    steadier = Steadier()
    bright, dark = (np.full((SIDE, SIDE, 3), level, np.uint8) for level in (220, 30))
    steadier.steadied(bright, moment(0), 10.0)
    dark[20:40, 20:40] = 90
    found = steadier.steadied(dark, moment(33), 10.0)
    window = np.ones((NEIGHBOURHOOD, NEIGHBOURHOOD), np.uint8)
    assert (found <= cv2.dilate(dark, window) + ROOM).all() and (found >= dark).all()


@pytest.mark.parametrize(
    "other",
    [
        moment(-1),
        moment(0),
        moment(1500),
        replace(moment(100), frame_id="another_camera"),
        replace(moment(100), ego_camera=Camera.from_hfov(SIDE, SIDE, 80.0)),
        moment(100, 1e4),
    ],
    ids=["backwards", "the same", "much later", "another camera", "another view", "far away"],
)
def test_what_is_no_next_frame_stands_alone(other: ExoObservation) -> None:
    steadier = Steadier()
    steadier.steadied(flickering(0, wall(0)), moment(0), 1.0)
    made = flickering(1, wall(0))
    np.testing.assert_array_equal(steadier.steadied(made, other, 1.0), made)


def test_it_can_be_turned_off_and_on_again() -> None:
    steadier = Steadier()
    first, second, third = (flickering(number, wall(0)) for number in range(3))
    steadier.steadied(first, moment(0), 1.0)
    np.testing.assert_array_equal(steadier.steadied(second, moment(33), 0.0), second)
    np.testing.assert_array_equal(steadier.steadied(third, moment(66), 1.0), third)  # the first is forgotten


def test_a_plane_whose_depth_is_known_in_places_is_a_plane() -> None:
    rows = np.mgrid[:SIDE, :SIDE][0]
    plane = (1 / (0.4 + 0.01 * rows)).astype(np.float32)
    known = np.random.default_rng(0).random(plane.shape) < 0.2
    found = filled_depth(np.where(known, plane, np.float32(np.nan)))
    assert found.dtype == np.float32 and (found[known] == plane[known]).all()
    assert np.abs(found / plane - 1).mean() < 0.02
    assert np.isnan(filled_depth(np.full((4, 4), np.nan, np.float32))).all()
