"""MoGe-2 (Wang et al., 2025), as the package dlr-moge runs it: metric depth and the field of view."""

from __future__ import annotations

import math

import numpy as np
import torch

from genego_ros.device import resolve_device
from genego_ros.errors import GenEgoError, loading
from genego_ros.observation.depth import DepthKind, DepthMap
from genego_ros.observation.depth.local_weights import weights_folder
from genego_ros.parameters import Parameters
from genego_ros.types import Camera, Frame

try:
    from moge.model.v2 import MoGeModel
except ModuleNotFoundError as missing:
    raise GenEgoError(
        f"depth backend 'moge' needs the Python package '{missing.name}': pip install dlr-moge"
    ) from missing

_FILE = "model.pt"
_SOURCE = "Ruicheng/moge-2-vits-normal from the Hugging Face hub"


class MoGe:
    """The depth backend `moge`.

    Raises:
        GenEgoError: there is no model of MoGe-2 in the folder `depth.weights`.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        path = weights_folder(parameters, (_FILE,), _SOURCE) / _FILE
        self._device = resolve_device(parameters.device)
        with loading(path, f"download {_SOURCE} again"):
            # Tensors, numbers and texts alone are read of the file (torch's weights_only).
            network = MoGeModel.from_pretrained(path)
        self._network = network.eval().to(self._device)
        self._kind: DepthKind = "metric" if hasattr(network, "scale_head") else "relative"

    @torch.inference_mode()
    def estimate(self, frame: Frame) -> DepthMap:
        """Depth, NaN where the network sees none (sky), and K_exo; a K_exo that was given is believed."""
        camera = frame.camera
        given = frame.camera_source == "given"
        picture = torch.from_numpy(np.ascontiguousarray(frame.rgb)).to(self._device).permute(2, 0, 1) / 255.0
        hfov_deg = 2 * math.degrees(math.atan(camera.width / (2 * camera.fx)))
        found = self._network.infer(picture, fov_x=hfov_deg if given else None, use_fp16=self._device != "cpu")
        depth = found["depth"].float().cpu().numpy()
        depth[~np.isfinite(depth)] = np.nan
        k = found["intrinsics"].double().cpu().numpy()  # of a picture of width and height 1
        seen = Camera(
            camera.width,
            camera.height,
            float(k[0, 0]) * camera.width,
            float(k[1, 1]) * camera.height,
            float(k[0, 2]) * camera.width - 0.5,
            float(k[1, 2]) * camera.height - 0.5,
        )
        return DepthMap(depth, "moge", self._kind, camera if given else seen)
