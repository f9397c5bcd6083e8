"""Depth Anything (Yang et al., 2024), version 1 or 2, as the package transformers runs it."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from transformers import AutoConfig, AutoImageProcessor, AutoModelForDepthEstimation

from genego_ros.device import resolve_device
from genego_ros.errors import GenEgoError, loading
from genego_ros.observation.depth import DepthKind, DepthMap
from genego_ros.observation.depth.local_weights import weights_folder
from genego_ros.parameters import Parameters
from genego_ros.types import Frame

_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
_SOURCE = "depth-anything/Depth-Anything-V2-Small-hf (or one of its Metric-Indoor models) from the Hugging Face hub"


class DepthAnything:
    """The depth backend `depth_anything`: disparity, or with the models that are called metric, metres.

    Raises:
        GenEgoError: there is no model in the folder `depth.weights`, or another one.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        folder = weights_folder(parameters, _FILES, _SOURCE)
        self._device = resolve_device(parameters.device)
        with loading(folder, f"download {_SOURCE} again, all files of it"):
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            if config.model_type != "depth_anything":
                raise GenEgoError(f"{folder}: holds the model '{config.model_type}'; give {_SOURCE}")
            self._processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
            network = AutoModelForDepthEstimation.from_pretrained(
                folder, config=config, local_files_only=True, use_safetensors=True
            )
        self._network = network.eval().to(self._device)
        self._kind: DepthKind = "metric" if config.depth_estimation_type == "metric" else "disparity"

    @torch.inference_mode()
    def estimate(self, frame: Frame) -> DepthMap:
        inputs = self._processor(images=frame.rgb, return_tensors="pt").to(self._device)
        found = self._network(**inputs).predicted_depth[0].float().cpu().numpy()
        size = (frame.camera.width, frame.camera.height)
        values = cv2.resize(found, size, interpolation=cv2.INTER_LINEAR)
        return DepthMap(np.asarray(values, np.float32), "depth_anything", self._kind)
