"""How cloth lies on a body: straight along trunk and sleeves, with seams where it is sewn together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genego_ros.data.synthetic.body_model import BodyModel
from genego_ros.types import Float64Array

Chart = Callable[[Float64Array], Float64Array]
"""Places (N, 3) -> metres of cloth (N, 2)."""
TRUNK_RADIUS = 0.15
SLEEVE_RADIUS = 0.055


@dataclass(frozen=True)
class Sewn:
    """A mesh whose vertices are doubled along seams."""

    source: NDArray[np.int64]
    """int64 (N,): the vertex that each was."""
    faces: NDArray[np.int64]
    uv: Float64Array
    """float64 (N, 2), metres of cloth."""
    weld: NDArray[np.int64]


def sew(
    model: BodyModel, heads: Float64Array, vertices: Float64Array, arm: Float64Array, faces: NDArray[np.int64],
    weld: NDArray[np.int64],
) -> Sewn:  # fmt: skip
    """A shirt of a front, a back and sleeves in two halves each.

    Args:
        heads: bone heads (B, 3) at rest.
        vertices, arm: of the shirt, (N, 3) and (N,), see `clothing.Places`.
    """
    middle, on_arm = vertices[faces].mean(axis=1), arm[faces].mean(axis=1) > 0.05
    charts = [_trunk(heads[model.bone("spine02")], sign) for sign in (-1.0, 1.0)]
    for letter in "LR":
        shoulder, elbow, wrist = (
            heads[model.bone(f"{name}.{letter}")] for name in ("upperarm01", "lowerarm01", "wrist")
        )
        charts += [_sleeve(shoulder, elbow, wrist, half) for half in (0.0, np.pi)]
    back = middle[:, 1] > heads[model.bone("spine02")][1]
    label = np.where(back, 1, 0)
    for side, first in ((1.0, 2), (-1.0, 4)):
        inner = abs(charts[first](middle)[:, 0]) > SLEEVE_RADIUS * np.pi / 2
        label = np.where(on_arm & (np.sign(middle[:, 0]) == side), first + inner, label)
    key, corner = np.unique(faces * len(charts) + label[:, None], return_inverse=True)
    source, chart = key // len(charts), key % len(charts)
    uv = np.zeros((len(key), 2))
    for number, chart_of in enumerate(charts):
        uv[chart == number] = chart_of(vertices[source[chart == number]])
    _, first_of, place = np.unique(weld[source], return_index=True, return_inverse=True)
    return Sewn(source, corner.reshape(-1, 3), uv, first_of[place.ravel()])


def _trunk(axis: Float64Array, sign: float) -> Chart:
    """Metres around and down of the trunk's front (sign -1) or back."""

    def chart(points: Float64Array) -> Float64Array:
        offset = points - axis
        around = np.arctan2(offset[:, 0], np.maximum(sign * offset[:, 1], 0) + 0.02)
        return np.stack([TRUNK_RADIUS * around, -points[:, 2]], axis=1)

    return chart


def _sleeve(shoulder: Float64Array, elbow: Float64Array, wrist: Float64Array, half: float) -> Chart:
    """Metres around and along a sleeve, on its one half (0) or the other one (pi)."""
    lengths = float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(wrist - elbow))
    upper, fore = (elbow - shoulder) / lengths[0], (wrist - elbow) / lengths[1]
    hinge = np.cross(upper, fore)
    hinge /= np.linalg.norm(hinge)

    def chart(points: Float64Array) -> Float64Array:
        offset = points - elbow
        before, after = offset @ upper, offset @ fore
        on_fore = before + after > 0
        across = np.cross(np.where(on_fore[:, None], fore, upper), hinge)
        angle = np.arctan2(np.einsum("ni,ni->n", offset, across), offset @ hinge) - half
        angle = (angle + np.pi) % (2 * np.pi) - np.pi
        along = lengths[0] + np.where(on_fore, after, before)
        return np.stack([SLEEVE_RADIUS * angle, along], axis=1)

    return chart
