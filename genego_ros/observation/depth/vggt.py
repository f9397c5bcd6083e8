"""VGGT (Wang et al., CVPR 2025), from a checkout of facebookresearch/vggt that the user made."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from genego_ros.device import resolve_device
from genego_ros.errors import GenEgoError, loading
from genego_ros.geometry.squeeze import squeeze
from genego_ros.observation.depth import HFOV_DEG, DepthMap
from genego_ros.observation.depth.local_weights import weights_folder
from genego_ros.parameters import Parameters
from genego_ros.types import Camera, Frame

LONGER_SIDE, PATCH = 518, 14
"""Pixels; what the network was trained at."""
_FILES = ("config.json", "model.safetensors")
_SOURCE = "facebook/VGGT-1B from the Hugging Face hub"


class VGGT:
    """The depth backend `vggt`: depth without a scale, and the field of view.

    Raises:
        GenEgoError: there is no checkout in the folder `depth.checkout`, or no model in `depth.weights`.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        folder = weights_folder(parameters, _FILES, _SOURCE)
        self._device = resolve_device(parameters.device)
        network_class = _network_class(parameters.depth.checkout)
        cure = f"download {_SOURCE} again, or update the checkout {parameters.depth.checkout}"
        with loading(folder, cure):
            network = network_class.from_pretrained(str(folder), local_files_only=True, strict=True)
        self._network = network.eval().to(self._device)

    @torch.inference_mode()
    def estimate(self, frame: Frame) -> DepthMap:
        camera = frame.camera
        scale = LONGER_SIDE / max(camera.width, camera.height)
        size = [max(1, round(side * scale / PATCH)) * PATCH for side in (camera.width, camera.height)]
        picture = torch.from_numpy(np.ascontiguousarray(squeeze(frame.rgb, *size))).to(self._device)
        with torch.autocast("cuda", torch.bfloat16, enabled=self._device != "cpu"):
            found = self._network(picture.permute(2, 0, 1)[None] / 255.0)
        depth = found["depth"][0, 0, ..., 0].float().cpu().numpy()
        values = cv2.resize(depth, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR)
        # The last number of its pose encoding is the horizontal field of view in radians.
        hfov_deg = min(max(math.degrees(float(found["pose_enc"][0, 0, -1])), HFOV_DEG[0]), HFOV_DEG[1])
        seen = Camera.from_hfov(camera.width, camera.height, hfov_deg)
        return DepthMap(np.asarray(values, np.float32), "vggt", "relative", seen)


def _network_class(name: str) -> Any:
    checkout = Path(name).expanduser()
    cure = "git clone https://github.com/facebookresearch/vggt, then start with depth.checkout:=FOLDER"
    if not (checkout / "vggt" / "models" / "vggt.py").is_file():
        raise GenEgoError(f"depth.checkout is '{name}': no checkout of VGGT, which the backend 'vggt' needs; {cure}")
    if str(checkout) not in sys.path:
        sys.path.append(str(checkout))
    with loading(checkout, cure):
        try:
            from vggt.models import vggt
        except ModuleNotFoundError as missing:
            raise GenEgoError(
                f"{checkout} needs the Python package '{missing.name}': pip install {missing.name}"
            ) from missing
        return vggt.VGGT
