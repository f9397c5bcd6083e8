"""Stage 1 of recorded moments: what stage 2 is given of them, in evaluation and in training alike.

It stands on `data` and on `observation`, which do not know each other, and under `evaluation` and `training`, which do
not either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from genego_ros.data.sample import Sample
from genego_ros.data.truth import true_observation
from genego_ros.device import resolve_device
from genego_ros.errors import loading
from genego_ros.geometry.splatting import splat
from genego_ros.observation.observer import ExoObserver, to_ego
from genego_ros.parameters import Parameters
from genego_ros.types import Camera, ExoObservation, Float64Array, Frame, Viewpoint


class RecordedObserver:
    """Observes samples, each by itself; a context manager."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._observer: ExoObserver | None = None

    def true(self, sample: Sample) -> ExoObservation:
        """From the recording's own depth, X, hands and words.

        Raises:
            GenEgoError: the sample has no depth.
        """
        return true_observation(sample, self._parameters.depth, resolve_device(self._parameters.device))

    def estimated(self, sample: Sample) -> ExoObservation:
        """From the third-person picture and its intrinsics alone.

        Raises:
            GenEgoError: a backend or its weights are missing.
        """
        return observe_alone(self.load(), replace(sample.exo[0].frame, depth=None), sample.ego.frame.camera)

    def load(self) -> ExoObserver:
        """What estimates; otherwise loaded when the first one is asked for.

        Raises:
            GenEgoError: as `estimated`.
        """
        if self._observer is None:
            self._observer = ExoObserver(self._parameters)
        return self._observer

    def __enter__(self) -> RecordedObserver:
        return self

    def __exit__(self, *_: object) -> None:
        if self._observer is not None:
            self._observer.close()


def observe_alone(observer: ExoObserver, frame: Frame, ego_camera: Camera | None = None) -> ExoObservation:
    """Stage 1 of a picture by itself, whatever came before it.

    Args:
        ego_camera: K_ego, instead of the one that the parameters describe.
    """
    observer.forget()
    observer.settle(frame)
    return observer.observe(frame, ego_camera)


def seen_from(observation: ExoObservation, T_ego_exo: Float64Array, device: str = "cpu") -> ExoObservation:
    """What was observed, seen through eyes that are known: the same cloud and hands by the true X.

    Args:
        observation: with its cloud.
        T_ego_exo: X, float64 (4, 4).
        device: what splats, see `splat`.
    """
    assert observation.exo_cloud is not None
    camera = observation.ego_camera
    return replace(
        observation,
        valid=True,
        hands_ego=to_ego(observation.hands_exo, T_ego_exo, camera),
        viewpoint=Viewpoint(T_ego_exo, "truth", 0.0),
        sparse=splat(observation.exo_cloud, T_ego_exo, camera, device),
    )


def brought_weights(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """The state of each file or folder of weights that a parameter names, by the parameter."""
    for name, value in parameters.as_mapping().items():
        path = Path(str(value)).expanduser()
        # A word that is no path is an entry of the manifest.
        if name.endswith("weights") and value and path.exists():
            yield name, file_state(path)


def file_state(path: Path) -> str:
    """The sha256 of a file; of a folder, which may hold gigabytes, that of its files' names, sizes and times of change.

    Raises:
        GenEgoError: it cannot be read.
    """
    digest = hashlib.sha256()
    with loading(path, "make it readable"):
        if path.is_dir():
            for file in sorted(file for file in path.rglob("*") if file.is_file()):
                state = file.stat()
                line = f"{file.relative_to(path).as_posix()} {state.st_size} {state.st_mtime_ns}\n"
                digest.update(line.encode())
        else:
            with path.open("rb") as content:
                while block := content.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()
