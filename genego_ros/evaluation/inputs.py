"""What methods are given of a sample: all of them the same, and never the ego picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

from genego_ros.data.sample import Sample
from genego_ros.inputs import RecordedObserver
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
        self._observer = RecordedObserver(parameters)

    def case(self, sample: Sample) -> Case:
        frame, ego_camera = sample.exo[0].frame, sample.ego.frame.camera
        if self._inputs == "true":
            return Case(frame, ego_camera, lambda: self._observer.true(sample))
        return Case(replace(frame, depth=None), ego_camera, lambda: self._observer.estimated(sample))

    def __enter__(self) -> CaseMaker:
        return self

    def __exit__(self, *_: object) -> None:
        self._observer.__exit__()
