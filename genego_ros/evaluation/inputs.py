"""What methods are given of a sample: all of them the same, and never the ego picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

from genego_ros.data.sample import Sample
from genego_ros.data.truth import true_observation
from genego_ros.device import resolve_device
from genego_ros.observation.observer import SETTLING_FRAMES, ExoObserver
from genego_ros.parameters import Parameters
from genego_ros.types import Camera, ExoObservation, Frame

Inputs = Literal["estimated", "true"]
"""`estimated`: the third-person picture and its intrinsics, and what stage 1 makes of them. `true`: besides,
the recording's own depth, X, hands and words in place of the estimates."""
INPUTS: tuple[Inputs, ...] = get_args(Inputs)


class Case:
    """One sample as a method sees it.

    Args:
        frame: I_exo, K_exo and, with true inputs, its depth.
        ego_camera: K_ego, of the picture that is asked for.
        observe: stage 1; called at most once.
    """

    def __init__(self, frame: Frame, ego_camera: Camera, observe: Callable[[], ExoObservation]) -> None:
        self.frame = frame
        self.ego_camera = ego_camera
        self._observe = observe
        self.observed: ExoObservation | None = None
        """The observation, once a method has asked for it."""

    @property
    def observation(self) -> ExoObservation:
        """Stage 1, made when it is first asked for.

        Raises:
            GenEgoError: inputs are true and the sample has no depth; a backend or its weights are missing.
        """
        if self.observed is None:
            self.observed = self._observe()
        return self.observed


class CaseMaker:
    """Makes cases of samples; a context manager."""

    def __init__(self, inputs: Inputs, parameters: Parameters) -> None:
        self._inputs = inputs
        self._parameters = parameters
        self._observer: ExoObserver | None = None

    def case(self, sample: Sample) -> Case:
        frame, ego_camera = sample.exo[0].frame, sample.ego.frame.camera
        if self._inputs == "true":
            device = resolve_device(self._parameters.device)
            return Case(frame, ego_camera, lambda: true_observation(sample, self._parameters.depth, device))
        bare = replace(frame, depth=None)
        return Case(bare, ego_camera, lambda: self._estimate(bare, ego_camera))

    def _estimate(self, frame: Frame, ego_camera: Camera) -> ExoObservation:
        if self._observer is None:
            self._observer = ExoObserver(self._parameters)
        return observe_alone(self._observer, frame, ego_camera)

    def __enter__(self) -> CaseMaker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._observer is not None:
            self._observer.close()


def observe_alone(observer: ExoObserver, frame: Frame, ego_camera: Camera) -> ExoObservation:
    """Stage 1 of a picture by itself, whatever came before it."""
    observer.forget()
    for _ in range(SETTLING_FRAMES):
        observation = observer.observe(frame, ego_camera)
    return observation
