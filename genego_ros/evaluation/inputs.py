"""What methods are given of a sample: all of them the same, and never the ego picture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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


@dataclass
class Case:
    """One sample as a method sees it."""

    frame: Frame
    """I_exo, K_exo and, with true inputs, its depth."""
    ego_camera: Camera
    """K_ego, of the picture that is asked for."""
    _sample: Sample = field(repr=False)
    _inputs: Inputs
    _parameters: Parameters
    _observation: ExoObservation | None = None

    @property
    def observation(self) -> ExoObservation:
        """Stage 1, made when it is first asked for.

        Raises:
            GenEgoError: inputs are true and the sample has no depth; a backend or its weights are missing.
        """
        if self._observation is None:
            if self._inputs == "true":
                device = resolve_device(self._parameters.device)
                self._observation = true_observation(self._sample, self._parameters.depth, device)
            else:
                self._observation = _estimate(self.frame, self.ego_camera, self._parameters)
        return self._observation

    @property
    def observed(self) -> ExoObservation | None:
        """The observation if a method has asked for it."""
        return self._observation


def make_case(sample: Sample, inputs: Inputs, parameters: Parameters) -> Case:
    frame = sample.exo[0].frame
    return Case(
        frame if inputs == "true" else replace(frame, depth=None),
        sample.ego.frame.camera,
        sample,
        inputs,
        parameters,
    )


def _estimate(frame: Frame, ego_camera: Camera, parameters: Parameters) -> ExoObservation:
    """Stage 1 of a picture by itself: its own observer, so that no sample depends on the one before it."""
    observer = ExoObserver(parameters)
    try:
        for _ in range(SETTLING_FRAMES):
            observation = observer.observe(frame, ego_camera)
    finally:
        observer.close()
    return observation
