"""s*: how a depth map and the hands agree on what a metre is (paper section 2.1)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from genego_ros.observation.depth import DepthMap
from genego_ros.observation.hands.hand_depth import HandDepth
from genego_ros.parameters import DepthParameters
from genego_ros.types import BoolArray, FloatArray, Frame, Hand, Scale

_FEWEST_PIXELS = 40
"""Below this the hand region is too small for its median to mean anything."""
_GAUSSIAN_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
_INNER = 0.5
"""Share of a hand's pixels, those nearest to its outline, that are left out: there an estimated hand misses the true
one most easily."""
_EDGE = 0.03
"""Where D_exo varies by more than this share from one pixel to its neighbours, it shows a depth edge."""
_AROUND = np.ones((3, 3), np.uint8)
_HAND_DEVIATION = 0.05
"""Standard deviation of an estimated hand's distance, as a share of it."""
_HAND_SIZE = {"average": 0.1, "hand_length": 0.04}
"""Standard deviation of the s* that hands tell, as a share of it, by what their size was taken from; others' sizes are
known as well as by their length."""
_LENS = 0.12
"""Standard deviation of the logarithm of an estimated focal length, and so of the distance of what is as large as it is
known to be; on rendered recordings."""
_LARGEST_SPREAD = 0.5
"""An s* that is known no better tells no metres; with `_DRIFT` it comes to that 100 s after the last hand."""
_DRIFT = 0.05
"""Standard deviation, as a share, that a carried s* gains in a second; it grows with the square root of time."""


def fit_scale(hand_depth: FloatArray, exo_depth: FloatArray) -> Scale | None:
    """The factor between D_hand and D_exo over the hand region Omega_hand.

    The paper compares the two maps over the hand region; the median of the ratios does that without
    being drawn away by the object in the hand or by pixels past the hand's edge. Ratios further than
    three deviations (by the median absolute deviation) from it are dropped, and the median taken again.

    Args:
        hand_depth: D_hand, float32, metres, NaN outside the hand region; the picture or some of its pixels.
        exo_depth: D_exo, float32, of the same pixels, any unit, NaN invalid.

    Returns:
        s* such that s* D_exo is metric, or None where fewer than 40 pixels can be compared.
    """
    both = np.isfinite(hand_depth) & np.isfinite(exo_depth) & (exo_depth > 0)
    ratios = hand_depth[both] / exo_depth[both]
    if len(ratios) < _FEWEST_PIXELS:
        return None
    median = np.median(ratios)
    deviation = _GAUSSIAN_MAD * np.median(np.abs(ratios - median))
    inliers = ratios[np.abs(ratios - median) <= 3 * deviation + 1e-6 * median]
    factor = float(np.median(inliers))
    spread = _GAUSSIAN_MAD * float(np.median(np.abs(inliers - factor))) / factor
    return Scale(factor, spread, len(inliers), "hands")


def inner_region(rendered: HandDepth, exo_depth: FloatArray) -> BoolArray:
    """The pixels of the hand region that show a hand for sure: far inside its outline, and off the edges of D_exo.

    Args:
        exo_depth: D_exo, float32 (H, W), any unit, NaN invalid.

    Returns:
        bool (H, W). Hands too small to lose an outline keep theirs.
    """
    inner = np.zeros(exo_depth.shape, bool)
    for index in range(int(rendered.hand.max(initial=-1)) + 1):
        rows, columns = np.nonzero(rendered.hand == index)
        if len(rows) < _FEWEST_PIXELS:
            continue
        box = (slice(max(rows.min() - 1, 0), rows.max() + 2), slice(max(columns.min() - 1, 0), columns.max() + 2))
        region = rendered.hand[box] == index
        depth = np.nan_to_num(exo_depth[box], nan=0.0, posinf=0.0, neginf=0.0)
        # The outline's distance grows inwards; a border of zeros makes the picture's border an outline as well.
        distance = cv2.distanceTransform(np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
        smooth = cv2.dilate(depth, _AROUND) - cv2.erode(depth, _AROUND) <= _EDGE * depth
        kept = region & smooth & (distance >= np.quantile(distance[region], _INNER))
        inner[box] |= kept if np.count_nonzero(kept) >= _FEWEST_PIXELS else region & smooth
    return inner


def measure_scale(
    depth_map: DepthMap | None, hands: tuple[Hand, ...], rendered: HandDepth, far: float = DepthParameters.far
) -> Scale | None:
    """s* of a depth map that is not metric, from all hands.

    Relative depth: each hand has its own factor, and the answer is their geometric mean, weighted by the score and the
    square root of the number of pixels; for what is wrong about a hand's distance is wrong in all of its pixels.

    Disparity: see `_fit_disparity`.

    Args:
        hands: those that `rendered` shows, in its order.
        far: metres; no depth is expected beyond.

    Returns:
        None where the map is metric or absent, or no hand can be compared.
    """
    if depth_map is None or depth_map.kind == "metric":
        return None
    inner = inner_region(rendered, depth_map.values) & np.isfinite(rendered.depth) & np.isfinite(depth_map.values)
    regions = [inner & (rendered.hand == i) for i in range(len(hands))]
    if depth_map.kind == "disparity":
        return _fit_disparity(depth_map.values, rendered.depth, regions, far)
    fits = [fit_scale(rendered.depth[region], depth_map.values[region]) for region in regions]
    found = [(fit, hand.score) for fit, hand in zip(fits, hands, strict=True) if fit is not None]
    if not found:
        return None
    logs = np.log([fit.factor for fit, _ in found])
    mean = np.average(logs, weights=[max(score, 1e-3) * math.sqrt(fit.inliers) for fit, score in found])
    spread = max(np.abs(logs - mean).max(), *(fit.spread for fit, _ in found))
    return Scale(float(np.exp(mean)), float(spread), sum(fit.inliers for fit, _ in found), "hands")


class HandScale(NamedTuple):
    """What hands say of s*."""

    scale: Scale
    deviation: float
    """Of the logarithm of its factor: how far off it is, as far as hands of unknown size and a lens tell."""


def told_by_hands(scale: Scale, hands: tuple[Hand, ...], lens_given: bool) -> HandScale:
    """An s* that these hands measured.

    Args:
        lens_given: whether K_exo came with the picture; an estimated lens puts hands wrong by its own error.
    """
    size = max(_HAND_SIZE.get(hand.scale_source, _HAND_SIZE["hand_length"]) for hand in hands)
    return HandScale(scale, size if lens_given else math.hypot(size, _LENS))


def with_own_metres(told: HandScale | None, depth_map: DepthMap) -> Scale:
    """s* by the hands and by what the depth map itself takes for a metre, weighed by their variances.

    Hands that are larger than the average look nearer than they are; a network that has seen rooms errs in other ways.
    Together they are off by less than either alone.

    Args:
        depth_map: with a `deviation`.

    Returns:
        That of the map alone, 1 by `model`, where hands tell none.
    """
    assert depth_map.deviation is not None
    if told is None:
        return Scale(1.0, depth_map.deviation, source="model")
    share = depth_map.deviation**2 / (depth_map.deviation**2 + told.deviation**2)
    return replace(told.scale, factor=told.scale.factor**share)


def _fit_disparity(disparity: FloatArray, hand_depth: FloatArray, regions: list[BoolArray], far: float) -> Scale | None:
    """The line 1 / z = factor d + shift through the hands, where d is the disparity.

    Each hand is one point (the medians over its region), known to 5 %. One or two points so close together hardly fix a
    line, so what is known of the whole picture is a third: its farthest place (the 2nd percentile of d) lies about half
    way to `far`, 1 / z = 2 / far with the standard deviation 1 / far, and never beyond `far`: so all but the farthest
    2 % of the picture have a depth, and one that counts.
    """
    hands = [region for region in regions if np.count_nonzero(region) >= _FEWEST_PIXELS]
    if not hands:
        return None
    d = np.array([np.median(disparity[region]) for region in hands], np.float64)
    y = np.array([np.median(1.0 / hand_depth[region]) for region in hands], np.float64)
    w = 1.0 / (_HAND_DEVIATION * y) ** 2
    farthest = float(np.percentile(disparity[np.isfinite(disparity)], 2.0))
    d_hands, y_hands = float(np.average(d, weights=w)), float(np.average(y, weights=w))
    if not farthest < d_hands - 1e-6 * abs(d_hands):
        return None
    columns = np.stack([np.append(d, farthest), np.ones(len(d) + 1)], axis=1)
    roots = np.sqrt(np.append(w, far**2))
    factor, shift = np.linalg.lstsq(columns * roots[:, None], np.append(y, 2.0 / far) * roots, rcond=None)[0]
    y_far = min(max(factor * farthest + shift, 1.0 / far), 0.95 * y_hands)
    if y_far != factor * farthest + shift:
        factor = (y_hands - y_far) / (d_hands - farthest)
        shift = y_hands - factor * d_hands
    seen = np.concatenate([(factor * disparity[region] + shift) * hand_depth[region] for region in hands])
    spread = _GAUSSIAN_MAD * float(np.median(np.abs(seen - np.median(seen))))
    return Scale(float(factor), spread, len(seen), "hands", float(shift))


def metric_depth(depth_map: DepthMap, scale: Scale) -> FloatArray:
    """D'_exo, float32 (H, W), metres, NaN invalid."""
    if depth_map.kind != "disparity":
        return depth_map.values * np.float32(scale.factor)
    inverse = depth_map.values * np.float32(scale.factor) + np.float32(scale.shift)
    return np.divide(1.0, inverse, out=np.full_like(inverse, np.nan), where=inverse > 0)


class ScaleTracker:
    """What hands say of s*, from frame to frame: while they say nothing, what they last said is carried on."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The next frame has nothing to do with the last one."""
        self._last: tuple[int, HandScale] | None = None
        self._lens: object = None

    def follow(self, told: HandScale | None, frame: Frame) -> HandScale | None:
        """s* of this frame.

        Args:
            told: what the hands of this frame say; None where they say nothing.
            frame: not earlier than the last one.

        Returns:
            `told`, or the last one as `carried`, with a spread and a deviation that have grown since; None before the
            first hand, with another lens than then, and once the spread has grown past a half.
        """
        # An estimated lens is a little different in every frame, and depth and hands with it, alike.
        lens = frame.camera if frame.camera_source == "given" else frame.camera_source
        if lens != self._lens:
            self._last, self._lens = None, lens
        if told is not None:
            self._last = frame.stamp_ns, told
            return told
        if self._last is None:
            return None
        since, (scale, deviation) = self._last
        drift = _DRIFT * math.sqrt(1e-9 * (frame.stamp_ns - since))
        spread = math.hypot(scale.spread, drift)
        if spread > _LARGEST_SPREAD:
            return None
        return HandScale(replace(scale, spread=spread, inliers=0, source="carried"), math.hypot(deviation, drift))
