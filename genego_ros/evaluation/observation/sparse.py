"""S_ego against the true first-person view, with depth and X each true or estimated."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from genego_ros.data.sample import View
from genego_ros.evaluation.observation.case import UNAVAILABLE, Case, Values
from genego_ros.geometry import rigid
from genego_ros.geometry.camera import project, rays, unproject
from genego_ros.geometry.splatting import splat
from genego_ros.observation.observer import empty_view
from genego_ros.parameters import DepthParameters
from genego_ros.types import Array, BoolArray, ByteArray, Camera, Float64Array, FloatArray, SparseView

NEAR_M, FAR_M = 0.02, 0.05
"""Metres along z within which a pixel's depth is right, strictly and loosely."""
_GREY = 20
"""Levels of grey, of 256, within which a pixel has kept its colour."""
_SAME_SURFACE = 0.015
"""Metres along z between a point of the ego picture and the other camera's pixels around it, for both to see it."""
_STRIDE = 4
"""Every so many pixels a point is followed from its true place to its estimated one."""


class Seen(NamedTuple):
    """What the truth says that the third-person camera sees of the ego picture."""

    visible: BoolArray
    """bool (H, W)."""
    rgb: ByteArray
    """uint8 (H, W, 3): its colour there, black where it is not visible."""


def measure(case: Case, limits: DepthParameters) -> Values:
    """`DEPTH_depth_X_x` for true and estimated DEPTH and X: see `_of_picture` and `_of_points`.

    Where no X was found, nothing of what is visible is covered, and there are no other numbers.
    """
    exo, ego, truth = case.sample.exo[0], case.sample.ego, case.true_depth
    if truth is None or ego.frame.depth is None:
        return {f"sparse/{UNAVAILABLE}": "the recording has no true depth of both cameras"}
    seen = seen_by_both(exo, ego, limits)
    values: Values = {}
    for of_depth, depth in (("true", truth), ("estimated", case.estimated_depth)):
        for of_x, x in (("true", case.sample.T_ego_exo), ("estimated", case.estimated_x)):
            if depth is None or x is None:
                found = _of_visible(empty_view(ego.frame.camera), ego, seen)
            else:
                cloud = unproject(depth, exo.frame.rgb, exo.frame.camera, limits.near, limits.far)
                found = _of_picture(splat(cloud, x, ego.frame.camera), ego, seen)
                found |= _of_points(depth, x, truth, case.sample.T_ego_exo, exo.frame.camera, ego.frame.camera)
            values |= {f"sparse/{of_depth}_depth_{of_x}_x/{name}": [value] for name, value in found.items()}
    return values


def seen_by_both(exo: View, ego: View, limits: DepthParameters) -> Seen:
    """Where all four third-person pixels around a point of the ego picture show the same surface."""
    assert exo.frame.depth is not None and ego.frame.depth is not None
    depth = ego.frame.depth
    points = rays(ego.frame.camera).astype(np.float64) * depth[..., None]
    T_exo_ego = rigid.invert(exo.T_world_camera) @ ego.T_world_camera
    pixels, z = project(rigid.apply(T_exo_ego, points).reshape(-1, 3), exo.frame.camera)
    # Beyond every picture where nothing can be said.
    pixels = np.nan_to_num(pixels, nan=-10.0).clip(-10.0, 1e4)
    measured = np.where((exo.frame.depth >= limits.near) & (exo.frame.depth <= limits.far), exo.frame.depth, np.nan)
    visible = np.ones(len(pixels), bool)
    corner = np.floor(pixels).astype(np.int64)
    for offset in ((0, 0), (1, 0), (0, 1), (1, 1)):
        visible &= np.abs(_at(measured, corner + offset) - z) < _SAME_SURFACE  # false for NaN
    places = pixels.reshape(*depth.shape, 2).astype(np.float32)
    colors = np.asarray(cv2.remap(exo.frame.rgb, places[..., 0], places[..., 1], cv2.INTER_LINEAR))
    shown = visible.reshape(depth.shape)
    return Seen(shown, np.where(shown[..., None], colors, 0).astype(np.uint8))


def _at(depth: Array, pixels: Array) -> Float64Array:
    """The depth at these pixels (N, 2), NaN beyond the picture: float64 (N,)."""
    column, row = pixels.T
    inside = (column >= 0) & (column < depth.shape[1]) & (row >= 0) & (row < depth.shape[0])
    values = np.full(len(pixels), np.nan)
    values[inside] = depth[row[inside], column[inside]]
    return values


def _of_picture(sparse: SparseView, ego: View, seen: Seen) -> dict[str, float]:
    """Shares of the pixels on which something landed and whose true depth is known, and those of `_of_visible`.

    `within_2cm` and `within_5cm` speak of depth. `within_20_grey` compares with the true picture, which another camera
    took: its exposure and the gloss that it sees are its own.
    """
    assert ego.frame.depth is not None
    truth, rgb = ego.frame.depth, ego.frame.rgb
    landed = sparse.projected & np.isfinite(truth)
    return {
        "within_2cm": share(within(NEAR_M, sparse, truth), landed),
        "within_5cm": share(within(FAR_M, sparse, truth), landed),
        "within_20_grey": share(like(sparse.rgb, rgb), landed),
        **_of_visible(sparse, ego, seen),
    }


def _of_visible(sparse: SparseView, ego: View, seen: Seen) -> dict[str, float]:
    """Shares of the pixels visible to both cameras: `visible_within_*` have the right depth, `visible_right_*` also the
    colour that the third-person camera sees there."""
    assert ego.frame.depth is not None
    kept = like(sparse.rgb, seen.rgb)
    found = {}
    for name, most in (("2cm", NEAR_M), ("5cm", FAR_M)):
        near = within(most, sparse, ego.frame.depth)
        found[f"visible_within_{name}"] = share(near, seen.visible)
        found[f"visible_right_{name}"] = share(near & kept, seen.visible)
    return found


def _of_points(
    depth: FloatArray, x: Float64Array, true_depth: FloatArray, true_x: Float64Array, exo: Camera, ego: Camera
) -> dict[str, float]:
    """Medians over the points that belong into the ego picture: how far from its true place each one is.

    `error_cm` in space, `shift_px` in the ego picture; the same pixel of the third-person picture is followed.
    """
    grid = (slice(None, None, _STRIDE), slice(None, None, _STRIDE))
    z, true_z, directions = depth[grid].ravel(), true_depth[grid].ravel(), rays(exo)[grid].reshape(-1, 3)
    both = np.isfinite(z) & np.isfinite(true_z) & (np.nan_to_num(z) > 0) & (np.nan_to_num(true_z) > 0)
    directions = directions[both].astype(np.float64)
    place = rigid.apply(x, directions * z[both][:, None])
    true_place = rigid.apply(true_x, directions * true_z[both][:, None])
    pixels, _ = project(place, ego)
    true_pixels, _ = project(true_place, ego)
    inside = ((true_pixels > -0.5) & (true_pixels < np.array([ego.width, ego.height]) - 0.5)).all(axis=1)
    if not inside.any():
        return {}
    shift = np.linalg.norm(pixels - true_pixels, axis=1)[inside]
    # A point that went behind the camera has no pixel: it is farther off than any that has.
    shift = np.median(np.where(np.isnan(shift), np.inf, shift))
    error = 1e2 * float(np.median(np.linalg.norm(place - true_place, axis=1)[inside]))
    return {"error_cm": error} | ({"shift_px": float(shift)} if np.isfinite(shift) else {})


def within(most: float, sparse: SparseView, truth: FloatArray) -> BoolArray:
    """bool (H, W): where something landed no more than `most` metres along z from the true depth, float32 (H, W)."""
    near: BoolArray = np.abs(sparse.depth - truth) <= most  # false for NaN: nothing landed, or the truth is not known
    return near


def like(a: ByteArray, b: ByteArray) -> BoolArray:
    """bool (H, W): where the grey levels of two pictures differ by no more than 20."""
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.int16) for picture in (a, b)]
    near: BoolArray = np.abs(grey[0] - grey[1]) <= _GREY
    return near


def share(right: BoolArray, of: BoolArray) -> float:
    """Of the pixels `of`, bool (H, W), those that are `right`; NaN where there are none."""
    return float(right[of].mean()) if of.any() else float("nan")
