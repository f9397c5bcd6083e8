"""The paper's X: the rigid transformation from P_exo to the P_ego that phi_ego reads off the picture (section 2.1)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from genego_ros.geometry.rigid import apply
from genego_ros.geometry.umeyama import Alignment, align
from genego_ros.observation.beside import Beside
from genego_ros.observation.ego_hand import EgoHandEstimator, load_ego_hand_estimator
from genego_ros.parameters import Parameters
from genego_ros.types import SIDES, EgoHands, Float64Array, FloatArray, Frame, Hand, Viewpoint

_LEAST_SCORE = 0.5
"""phi_ego's confidence below which a hand that the hand estimator sees is another thing to it."""
_INDEPENDENT = 6.0
"""Keypoints of a hand whose errors are taken to be independent: a network errs by the hand's place and turn, much less
by single joints. With six, what is said of the place is right in the median over unseen rendered people, and what is
said of the rotation a little too much."""
_LARGEST_RESIDUAL = 0.06
"""Metres; hands that fit worse are not the same hands."""
_LARGEST_TURN = math.radians(30.0)
"""Where the hands leave more than this open, as a single flat or stretched hand may, they do not tell a pose."""


class PhiEgoViewpoint:
    """Umeyama's alignment of both hands together, weighted by how sure either side is of a keypoint.

    Rigid, since both are metric: a scale would take up the error of the hand's size and move the eyes by it. Robust
    against keypoints that do not fit by several times the error that phi_ego expects of itself.

    Args:
        estimator: phi_ego, instead of the one that `parameters` name.
    """

    def __init__(self, parameters: Parameters, estimator: EgoHandEstimator[Any] | None = None) -> None:
        self.parameters = parameters
        self._estimator = estimator or load_ego_hand_estimator(parameters)
        self._glance = Beside(self._estimator.look)

    def begin(self, frame: Frame) -> None:
        self._glance.begin(frame)

    def locate(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> Viewpoint | None:
        """None without hands, and where they do not fit or do not fix the rotation."""
        if not hands:
            return None
        return locate_by_hands(hands, self._estimator.tell(self._glance.result(frame), hands))

    def forget(self) -> None:
        """Keeps nothing."""

    def close(self) -> None:
        self._glance.close()


def locate_by_hands(hands: tuple[Hand, ...], ego: EgoHands) -> Viewpoint | None:
    """X from P_exo and P_ego; None where they do not fit or do not fix it."""
    pairs = [(hand, SIDES.index(hand.side)) for hand in hands if ego.scores[SIDES.index(hand.side)] >= _LEAST_SCORE]
    if not pairs:
        return None
    source = np.concatenate([hand.keypoints for hand, _ in pairs]).astype(np.float64)
    target = np.concatenate([ego.keypoints[side] for _, side in pairs]).astype(np.float64)
    deviations = np.repeat([float(ego.deviation[side]) for _, side in pairs], len(pairs[0][0].keypoints))
    scores = np.concatenate([hand.keypoint_scores * ego.scores[side] for hand, side in pairs]).astype(np.float64)
    finite = all(np.isfinite(values).all() for values in (source, target, deviations, scores))
    if not (finite and (deviations > 0).all() and (scores > 0).any()):
        return None
    noise = float(np.median(deviations))
    fit = align(source, target, scores * (noise / deviations) ** 2, robust=True, noise=noise)
    if fit.degenerate or fit.residual > _LARGEST_RESIDUAL:
        return None
    turns, error = _deviations(fit, noise, len(pairs))
    if turns.max() > _LARGEST_TURN:
        return None
    middle = apply(fit.matrix, np.average(source, axis=0, weights=fit.weights))
    turn = float(np.sqrt(np.mean(turns**2)))
    # The fit is exact in the points' middle, from where a turn swings the eyes; not one about the line between the two.
    shift = math.hypot(error, math.sqrt(2.0 / 3.0) * turn * float(np.linalg.norm(middle)))
    return Viewpoint(fit.matrix, "phi_ego", fit.residual, turn, shift)


def _deviations(fit: Alignment, noise: float, hands: int) -> tuple[Float64Array, float]:
    """Standard deviations of the rotation about the points' three axes, float64 (3,), radians, and of a coordinate
    of the points' middle, metres."""
    # What is left after the fit tells of this picture, what phi_ego expects tells of all.
    error = max(noise, fit.residual / math.sqrt(3.0)) / math.sqrt(_INDEPENDENT * hands)
    # A rotation about one axis moves the points by their spread along the two others.
    levers = np.sqrt(np.sum(fit.spread**2) - fit.spread**2)
    return error / np.maximum(levers, 1e-6), error
