"""`./genego train depth`: the network of the depth backend `lite`, on every view of a recording that has depth."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genego_ros.data.h2o import H2O
from genego_ros.geometry.depth_errors import DepthError, depth_error, median_factor
from genego_ros.observation.depth.lite import predict
from genego_ros.observation.depth.lite_network import LiteNetwork, load_network_to_train, start_network
from genego_ros.observation.depth.upsampling import upsample
from genego_ros.training.appearance import disguise
from genego_ros.training.depth_loss import depth_losses
from genego_ros.training.loop import Settings
from genego_ros.training.rooms import draw_room
from genego_ros.training.views import ViewId, views_fingerprint, views_of
from genego_ros.training.virtual_view import depth_of, draw_view, picture_of
from genego_ros.types import Array, ByteArray, FloatArray

SIZES = ((288, 224), (320, 192), (256, 256))
SHARES = (0.55, 0.35, 0.1)
"""Of the batches, by size."""
ROOMS = 0.3
"""Share of the samples that `rooms` draws."""


def prepare(args: argparse.Namespace) -> tuple[DepthTask, Settings]:
    """What `./genego train depth` trains.

    Raises:
        GenEgoError: no such data set or split, recordings without depth, weights that do not fit.
    """
    dataset, learned, held_out = views_of(args.dataset, args.split)
    network = load_network_to_train(args.start) if args.start else start_network()
    task = DepthTask(network, dataset, learned, held_out)
    return task, Settings(batch=16, rate=1e-3, weight_decay=0.01, precision="no", workers=1)


class DepthSamples:
    """Each view seen by a virtual camera in its place, in another appearance; in the place of some, rooms that are made
    up."""

    def __init__(self, dataset: H2O, ids: Sequence[ViewId]) -> None:
        self._dataset, self._ids = dataset, ids

    def __len__(self) -> int:
        return len(self._ids)

    def batch(self, indices: NDArray[np.int64], rng: np.random.Generator) -> Mapping[str, Array]:
        """`pictures` uint8 (N, H, W, 3), `depth` float32 (N, H / 2, W / 2), metres, NaN invalid, and `log_tangent`
        float32 (N,), see `Prediction`; a batch has one size."""
        size = SIZES[rng.choice(len(SIZES), p=SHARES)]
        pictures: list[ByteArray] = []
        samples: list[dict[str, Array]] = []
        for index in indices:
            if rng.random() < ROOMS:
                picture, depth, log_tangent = draw_room(size, pictures, rng)
            else:
                picture, depth, log_tangent = self._recorded(self._ids[index], size, rng)
                pictures.append(picture)
            if rng.random() < 0.5:
                picture, depth = np.ascontiguousarray(picture[:, ::-1]), depth[:, ::-1]
            tangent = np.asarray(log_tangent, np.float32)
            samples.append({"pictures": disguise(picture, rng), "depth": depth, "log_tangent": tangent})
        return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}

    def _recorded(
        self, id: ViewId, size: tuple[int, int], rng: np.random.Generator
    ) -> tuple[ByteArray, FloatArray, float]:
        frame = self._dataset.view(*id).frame
        assert frame.depth is not None  # H2O refuses recordings without
        view = draw_view(frame.camera, size, rng)
        border = cv2.BORDER_REFLECT_101 if rng.random() < 0.5 else cv2.BORDER_CONSTANT
        picture = picture_of(view, frame.rgb, frame.camera, border)
        depth = depth_of(view, frame.depth, frame.camera, (size[0] // 2, size[1] // 2))
        return picture, depth, view.log_tangent


class DepthTask:
    """See `training.loop.Task`."""

    rates: Mapping[str, float] = {
        "encoder.stem.": 0.0,
        "encoder.stages.0.": 0.0,
        "encoder.stages.1.": 0.0,
        "encoder.": 0.3,
    }
    """The encoder knows what it sees already. Its first layers, down to 1/4 of the size, know real pictures: rendered
    ones could only spoil them, and a quarter of a step's time would go there."""

    def __init__(
        self, network: LiteNetwork, dataset: H2O, learned: Sequence[ViewId], held_out: Sequence[ViewId]
    ) -> None:
        self.network: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.samples = DepthSamples(dataset, learned)
        self.configuration: Mapping[str, Any] = {"network": "depth_lite"}
        self._dataset, self._held_out = dataset, held_out
        self.fingerprint = views_fingerprint(dataset, learned, held_out)

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        prediction = network(batch["pictures"].permute(0, 3, 1, 2) / 255.0)
        return depth_losses(prediction, batch["depth"], batch["log_tangent"])

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Mean errors after median scaling, and of the field of view in degrees, on whole pictures of recordings that
        are not learned from."""
        if not self._held_out:
            return {}
        assert isinstance(network, LiteNetwork)
        device = str(next(network.parameters()).device)
        errors, turns = [], []
        for id in self._held_out:
            frame = self._dataset.view(*id).frame
            inverse, tangent = predict(network, frame.rgb, device)
            camera = frame.camera
            depth = upsample(inverse, frame.rgb)
            assert frame.depth is not None
            errors.append(depth_error(depth, frame.depth, median_factor(depth, frame.depth)))
            turns.append(abs(math.atan(tangent) - math.atan(camera.width / (2 * camera.fx))))
        means = np.nanmean(errors, axis=0)
        return {**DepthError(*means.tolist())._asdict(), "hfov_deg": math.degrees(2 * float(np.mean(turns)))}
