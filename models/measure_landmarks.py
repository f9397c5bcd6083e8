"""Measures where MediaPipe's landmarks lie on the hand mesh: the table in observation/hands/landmarks.py.

    ./genego synth SET --sequences 8 --frames 20 --rate 8 --seed 77 --cameras 0,2,4
    python models/measure_landmarks.py SET

Of every hand that MediaPipe finds in the third-person pictures the true keypoints are known, and so is how each bone of
the mesh lies. A landmark is a point that is fixed to its bone; its place on the rest hand is the one whose projections
come nearest to all pixels found, with Geman and McClure's weights, so that hands gone wrong count little.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from genego_ros import weights
from genego_ros.data.datasets import open_dataset
from genego_ros.geometry.camera import project
from genego_ros.geometry.hand_model import MIRROR, HandModel
from genego_ros.observation.hands.mediapipe import MediaPipeHands
from genego_ros.parameters import Parameters
from genego_ros.types import SIDES, Float64Array

NEAR = 0.35
"""A found hand is the true one when its keypoints are nearer, in the median, than this share of its extent."""
ROBUST = 3.0
"""Pixels."""
STIFFNESS = 1e3
"""Pixels squared a square metre: what holds a landmark to its keypoint where hardly any picture shows it."""
ROUNDS = 12

Observation = tuple[Float64Array, Float64Array, Float64Array]
"""Of one hand: pixels (21, 2), camera matrix (3, 3), bone transformations from the right rest hand (21, 3, 4)."""


def observations(folder: Path, model: HandModel) -> list[Observation]:
    dataset, estimator = open_dataset(folder), MediaPipeHands(Parameters())
    found, last = [], None
    for identity in sorted(dataset.ids):
        if last != (identity.sequence, identity.camera):
            estimator.forget()
            last = (identity.sequence, identity.camera)
        view = dataset.sample(identity).exo[0]
        for detection in estimator.detections(view.frame):
            true = view.keypoints[SIDES.index(detection.side)]
            pixels, _ = project(true, view.frame.camera)
            off = np.median(np.linalg.norm(detection.pixels - pixels, axis=1))
            if off < NEAR * np.ptp(pixels, axis=0).max():  # false for NaN
                transforms = model.bone_transforms(true.astype(np.float32), detection.side)
                mirror = np.append(MIRROR if detection.side == "left" else np.ones(3), 1.0)
                found.append((detection.pixels.astype(np.float64), view.frame.camera.matrix, transforms * mirror))
    estimator.close()
    return found


def places(found: list[Observation], keypoints: Float64Array) -> Float64Array:
    """float64 (21, 3): the landmarks on the right rest hand, metres."""
    pixels, K, T = (np.stack(part) for part in zip(*found, strict=True))
    marked = keypoints.copy()
    for _ in range(ROUNDS):
        points = np.einsum("nkab,kb->nka", T[..., :3], marked) + T[..., 3]
        seen = np.einsum("nab,nkb->nka", K, points)
        z = seen[..., 2:]
        residual = pixels - seen[..., :2] / z
        weight = 1.0 / (1.0 + (residual**2).sum(axis=2) / ROBUST**2) ** 2
        by_point = (K[:, None, :2] - (seen[..., :2] / z)[..., None] * K[:, None, 2:]) / z[..., None]
        J = by_point @ T[..., :3]
        H = np.einsum("nk,nkab,nkac->kbc", weight, J, J) + STIFFNESS * np.eye(3)
        g = np.einsum("nk,nkab,nka->kb", weight, J, residual) - STIFFNESS * (marked - keypoints)
        marked = marked + np.linalg.solve(H, g[..., None])[..., 0]
    return marked


def main() -> None:
    model = HandModel.load(weights.locate("hand_mesh"))
    found = observations(Path(sys.argv[1]), model)
    offsets = places(found, model.keypoints) - model.keypoints
    print(f"{len(found)} hands; landmark minus keypoint on the right rest hand, mm:")
    print(np.array2string(1e3 * offsets, precision=1, suppress_small=True, separator=", "))


if __name__ == "__main__":
    main()
