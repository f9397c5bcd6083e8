"""Lets stage 1 look at a sample in every way that is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from genego_ros import weights
from genego_ros.backends import load_backend
from genego_ros.data.h2o import H2O
from genego_ros.data.sample import Dataset, Sample
from genego_ros.errors import GenEgoError
from genego_ros.evaluation.observation.case import Case
from genego_ros.evaluation.observation.truth import hand_region, head_of, touches, visible_hands
from genego_ros.evaluation.observation.viewpoints import BACKENDS
from genego_ros.geometry.hand_model import HandModel, hand_length
from genego_ros.inputs import observe_alone
from genego_ros.observation import viewpoint
from genego_ros.observation.depth import load_depth_estimator
from genego_ros.observation.ego_hand import EgoHandEstimator, load_ego_hand_estimator
from genego_ros.observation.observer import ExoObserver
from genego_ros.observation.viewpoint import ViewpointEstimator
from genego_ros.parameters import Parameters
from genego_ros.types import SIDES, EgoHands, ExoObservation, Frame, Hand, Side, Viewpoint

_HAND_LENGTHS = (0.1, 0.3)
"""Metres; what the parameter takes."""


class Watcher:
    """Makes cases of samples; a context manager. Every sample is a picture by itself.

    Args:
        dataset: where the samples come from; asked for what a sample does not hold.

    Raises:
        GenEgoError: what `parameters` name cannot be loaded.
    """

    def __init__(self, dataset: Dataset, parameters: Parameters) -> None:
        self._dataset = dataset
        self.parameters = parameters
        self._observer = ExoObserver(parameters)
        self._with_depth = ExoObserver(parameters.changed({"depth.backend": "topic"}))
        self._depth = load_depth_estimator(parameters)
        self._viewpoints = {name: _loaded_viewpoint(name, parameters) for name in BACKENDS}
        self._ego_hands = _loaded_ego_hands(parameters)
        self._hand_model = HandModel.load(weights.locate("hand_mesh"))

    def case(self, sample: Sample) -> Case:
        view = sample.exo[0]
        frame = replace(view.frame, depth=None)
        observation = self._observe(frame, sample)
        described = self._observer.descriptions.latest
        return Case(
            sample=sample,
            observation=observation,
            description_ms=described.taken_ms if described else None,
            known_length=self._with_length(frame, sample),
            depth_topic=None if view.frame.depth is None else self._topic(view.frame, sample),
            depth_map=self._depth.estimate(frame),
            viewpoints={name: _located(found, frame, observation) for name, found in self._viewpoints.items()},
            ego_hands=_told(self._ego_hands, frame, observation.hands_exo),
            visible=visible_hands(view),
            touching=self._touching(sample),
            region=hand_region(view, self._hand_model),
            head=head_of(self._dataset, sample.id),
        )

    def _observe(self, frame: Frame, sample: Sample) -> ExoObservation:
        return observe_alone(self._observer, frame, sample.ego.frame.camera)

    def _topic(self, frame: Frame, sample: Sample) -> ExoObservation:
        return observe_alone(self._with_depth, frame, sample.ego.frame.camera)

    def _with_length(self, frame: Frame, sample: Sample) -> ExoObservation | None:
        view = sample.exo[0]
        lengths = [hand_length(hand) for side, hand in zip(SIDES, view.keypoints, strict=True) if view.has_hand(side)]
        if not lengths or not _HAND_LENGTHS[0] <= np.mean(lengths) <= _HAND_LENGTHS[1]:
            return None
        self._observer.update(self.parameters.changed({"hands.hand_length": float(np.mean(lengths))}))
        try:
            return self._observe(frame, sample)
        finally:
            self._observer.update(self.parameters)

    def _touching(self, sample: Sample) -> Mapping[Side, bool]:
        box = self._dataset.object_box(sample.id) if isinstance(self._dataset, H2O) else None
        view = sample.exo[0]
        if box is None:
            return {}
        return {side: touches(view.keypoints[SIDES.index(side)], box) for side in SIDES if view.has_hand(side)}

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._observer.close()
        self._with_depth.close()
        for estimator in self._viewpoints.values():
            if not isinstance(estimator, str):
                estimator.close()


def _loaded_viewpoint(name: str, parameters: Parameters) -> ViewpointEstimator | str:
    """The backend itself, without what stands in for it."""
    try:
        estimator: ViewpointEstimator = load_backend("viewpoint", name, viewpoint.BACKENDS)(parameters)
    except GenEgoError as reason:
        return str(reason)
    return estimator


def _loaded_ego_hands(parameters: Parameters) -> EgoHandEstimator[Any] | str:
    try:
        return load_ego_hand_estimator(parameters)
    except GenEgoError as reason:
        return str(reason)


def _told(estimator: EgoHandEstimator[Any] | str, frame: Frame, hands: tuple[Hand, ...]) -> EgoHands | str:
    """P_ego, from the picture and the hands that were found in it."""
    return estimator if isinstance(estimator, str) else estimator.tell(estimator.look(frame), hands)


def _located(estimator: ViewpointEstimator | str, frame: Frame, observation: ExoObservation) -> Viewpoint | str | None:
    """X by one backend, from the hands and the depth of the observation."""
    if isinstance(estimator, str):
        return estimator
    depth = observation.exo_depth
    # The hands' own depth is no depth of what is around them.
    if depth is None or observation.depth_source == "hands":
        depth = np.full(frame.rgb.shape[:2], np.nan, np.float32)
    estimator.forget()
    return estimator.locate(frame, observation.hands_exo, depth)
