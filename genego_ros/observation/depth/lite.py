"""Depth and field of view of a single picture, by a network small enough for two processor cores."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genego_ros import weights
from genego_ros.device import resolve_device
from genego_ros.geometry.squeeze import squeeze
from genego_ros.observation.depth import HFOV_DEG, DepthMap
from genego_ros.observation.depth.lite_network import LiteNetwork, load_network, network_size
from genego_ros.observation.depth.upsampling import upsample
from genego_ros.parameters import Parameters
from genego_ros.types import ByteArray, Camera, FloatArray, Frame

_LOG_TANGENTS = tuple(math.log(math.tan(math.radians(degrees) / 2)) for degrees in HFOV_DEG)

_LENS_SHARE = 0.7
"""Exponent of f / f_estimated by which depth grows where f is known: a longer lens shows the same picture of what is
farther away, and most of the network's error in metres is one about the lens. Fitted on recordings that it learned
from; by geometry alone it would be 1 (Yin et al., Metric3D, ICCV 2023)."""
_DEVIATION, _DEVIATION_UNKNOWN_LENS = 0.1, 0.15
"""Of the network's own metres, relative, on rendered recordings: at the hands."""


class LiteDepth:
    """The depth backend `lite`.

    Raises:
        GenEgoError: its weights are missing or damaged.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self._device = resolve_device(parameters.device)
        path = parameters.depth.weights
        network = load_network(Path(path).expanduser() if path else weights.locate("depth_lite"))
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for width, height in ((640, 480), (640, 360)):
            self._warm_up(width, height)

    def estimate(self, frame: Frame) -> DepthMap:
        """Depth of the whole picture, finite and positive everywhere, in metres as far as a picture tells them, and
        K_exo with square pixels."""
        height, width = frame.rgb.shape[:2]
        inverse, tangent = predict(self._network, frame.rgb, self._device)
        camera = Camera.from_hfov(width, height, float(np.degrees(2 * np.arctan(tangent))))
        depth = upsample(inverse, frame.rgb)
        if frame.camera_source == "assumed":
            return DepthMap(depth, "lite", "relative", camera, _DEVIATION_UNKNOWN_LENS)
        depth *= np.float32((frame.camera.fx / camera.fx) ** _LENS_SHARE)
        return DepthMap(depth, "lite", "relative", camera, _DEVIATION)

    def _warm_up(self, width: int, height: int) -> None:
        """The first picture of a size takes several times as long."""
        predict(self._network, np.zeros((height, width, 3), np.uint8), self._device)


@torch.inference_mode()
def predict(network: LiteNetwork, rgb: ByteArray, device: str) -> tuple[FloatArray, float]:
    """What a network in evaluation mode says of a picture, uint8 (H, W, 3).

    Returns:
        The inverse of the relative depth, float32 (h / 2, w / 2) for the w and h of `network_size`; the tangent of
        half the horizontal field of view, which is held within `HFOV_DEG`.
    """
    size = network_size(rgb.shape[1], rgb.shape[0])
    picture: Any = torch.from_numpy(np.ascontiguousarray(squeeze(rgb, *size))).to(device)
    # Permuted alone, so that it lies in memory as channels_last wants it.
    found = network(picture[None].permute(0, 3, 1, 2) / 255.0)
    # Here and not in the network, whose gradient training needs outside too.
    log_tangent = min(max(float(found.log_tangent[0]), _LOG_TANGENTS[0]), _LOG_TANGENTS[1])
    return torch.exp(-found.log_depth[0]).float().cpu().numpy(), math.exp(log_tangent)
