"""S_ego against the true first-person view, with depth and X each true or estimated."""

from __future__ import annotations

import cv2
import numpy as np

from genego_ros.data.sample import View
from genego_ros.evaluation.observation.case import UNAVAILABLE, Case, Values
from genego_ros.geometry import rigid
from genego_ros.geometry.camera import project, rays, unproject
from genego_ros.geometry.splatting import splat
from genego_ros.parameters import DepthParameters
from genego_ros.types import Array, BoolArray, ByteArray, Camera, Float64Array, FloatArray, SparseView

_NEAR_M, _FAR_M = 0.02, 0.05
"""Metres along z within which a pixel's depth is right, strictly and loosely."""
_GREY = 20
"""Levels of grey, of 256, within which a pixel has kept its colour."""
_SAME_SURFACE = 0.015
"""Metres along z between a point of the ego picture and what the other camera sees there, for both to see it."""
_STRIDE = 4
"""Every so many pixels a point is followed from its true place to its estimated one."""


def measure(case: Case, limits: DepthParameters) -> Values:
    """`DEPTH_depth_X_x` for true and estimated DEPTH and X: see `_of_picture` and `_of_points`.

    Where no X was found, nothing of what is visible is covered, and there are no other numbers.
    """
    exo, ego, truth = case.sample.exo[0], case.sample.ego, case.true_depth
    if truth is None or ego.frame.depth is None:
        return {f"sparse/{UNAVAILABLE}": "the recording has no true depth of both cameras"}
    visible = seen_by_both(exo, ego, limits)
    values: Values = {}
    for of_depth, depth in (("true", truth), ("estimated", case.estimated_depth)):
        for of_x, x in (("true", case.sample.T_ego_exo), ("estimated", case.estimated_x)):
            path = f"sparse/{of_depth}_depth_{of_x}_x"
            if depth is None or x is None:
                if visible.any():
                    values |= {f"{path}/visible_right_2cm": [0.0], f"{path}/visible_right_5cm": [0.0]}
                continue
            cloud = unproject(depth, exo.frame.rgb, exo.frame.camera, limits.near, limits.far)
            found = _of_picture(splat(cloud, x, ego.frame.camera), ego, visible)
            found |= _of_points(depth, x, truth, case.sample.T_ego_exo, exo.frame.camera, ego.frame.camera)
            values |= {f"{path}/{name}": [value] for name, value in found.items()}
    return values


def seen_by_both(exo: View, ego: View, limits: DepthParameters) -> BoolArray:
    """bool (H, W) of the ego picture: where the truth says that the third-person camera sees the same surface."""
    assert exo.frame.depth is not None and ego.frame.depth is not None
    depth = ego.frame.depth
    known = np.isfinite(depth) & (np.nan_to_num(depth) > 0)
    points = rays(ego.frame.camera)[known].astype(np.float64) * depth[known][:, None]
    T_exo_ego = rigid.invert(exo.T_world_camera) @ ego.T_world_camera
    pixels, z = project(rigid.apply(T_exo_ego, points), exo.frame.camera)
    measured = _at(exo.frame.depth, pixels)
    seen = np.zeros(depth.shape, bool)
    seen[known] = (np.abs(measured - z) < _SAME_SURFACE) & (measured >= limits.near) & (measured <= limits.far)
    return seen


def _at(depth: FloatArray, pixels: Float64Array) -> Float64Array:
    """The depth at the nearest pixel centres, NaN beyond the picture: float64 (N,)."""
    height, width = depth.shape
    inside = ((pixels > -0.5) & (pixels < np.array([width, height]) - 0.5)).all(axis=1)
    values = np.full(len(pixels), np.nan)
    column, row = np.rint(pixels[inside]).astype(int).T
    values[inside] = depth[row, column]
    return values


def _of_picture(sparse: SparseView, ego: View, visible: BoolArray) -> dict[str, float]:
    """Shares of S_ego's pixels that are right, and of the visible pixels that S_ego covers and has right.

    `within_2cm`, `within_5cm`, `within_20_grey` are shares of the pixels on which something landed and whose true
    depth is known; `visible_right_2cm` and `visible_right_5cm` of those visible to both cameras, and ask for depth
    and colour.
    """
    assert ego.frame.depth is not None
    truth = ego.frame.depth
    landed = sparse.projected & np.isfinite(truth)
    error = np.abs(np.where(landed, sparse.depth - truth, np.inf))
    color = np.abs(_grey(sparse.rgb) - _grey(ego.frame.rgb)) <= _GREY
    right = {"2cm": error <= _NEAR_M, "5cm": error <= _FAR_M}
    found = {f"within_{name}": _share(close, landed) for name, close in right.items()}
    found["within_20_grey"] = _share(color, landed)
    return found | {f"visible_right_{name}": _share(close & color, visible) for name, close in right.items()}


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


def _grey(rgb: ByteArray) -> Array:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)).astype(np.int16)


def _share(right: BoolArray, of: BoolArray) -> float:
    return float(right[of].mean()) if of.any() else float("nan")
