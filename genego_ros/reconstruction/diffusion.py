"""A diffusion pipeline as a reconstruction backend: from an observation to the view at K_ego's size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from genego_ros.device import resolve_device, resolve_dtype
from genego_ros.geometry.squeeze import squeeze
from genego_ros.parameters import Parameters
from genego_ros.reconstruction import Reconstruction
from genego_ros.reconstruction.blending import blend, nearness, splat_weight
from genego_ros.reconstruction.conditioning import condition
from genego_ros.reconstruction.geometric import GeometricReconstruction
from genego_ros.reconstruction.pipeline import EgoPipeline
from genego_ros.reconstruction.schedulers import exchanged
from genego_ros.reconstruction.steadying import Steadier
from genego_ros.types import ByteArray, ExoObservation, FloatArray

SAMPLES, CHEAP_STEPS = 3, 2
"""Pictures, and steps of each at most, that the confidence is read from."""
UNSURE = 0.1
"""Standard deviation of a colour among them, of 1, at which the confidence has fallen to 1 / e."""
_STEP = 64
"""Pixels; what a halved size is a multiple of."""


class DiffusionReconstruction:
    """Works on squares, to which the view is squeezed and from which it is stretched back.

    Args:
        name: of the backend, for what is said of it.
        pipeline: on the CPU; is moved to where, and what kind of numbers, the parameters say.
        size, steps: the square's side in pixels, and the passes of the U-Net, where the parameters leave them to the
            network.
        eta: as the pipeline's.
    """

    def __init__(
        self, parameters: Parameters, name: str, pipeline: EgoPipeline, size: int, steps: int, eta: float = 0.0
    ) -> None:
        self.parameters = parameters
        self._name, self._size, self._steps, self._eta = name, size, steps, eta
        self._geometric = GeometricReconstruction(parameters)
        device = resolve_device(parameters.device)
        if parameters.reconstruction.scheduler:
            pipeline.scheduler = exchanged(pipeline.scheduler, parameters.reconstruction.scheduler)
        for component in pipeline.components.values():
            if isinstance(component, nn.Module):
                # Torch's own `to`: that of diffusers warns of parts that should stay float32 where there are none.
                nn.Module.to(component, device, resolve_dtype(parameters.dtype, device))
        self._pipeline = pipeline
        self._steadier = Steadier()
        self._too_large: set[int] = set()
        """Sizes that the GPU had no memory for."""

    def reconstruct(self, observation: ExoObservation, confidence: bool = False) -> Reconstruction:
        """As the Protocol says; without a splat, or without memory, what `geometric` makes of it, and a notice.

        Raises:
            GenEgoError: as the pipeline.
        """
        if not observation.sparse.projected.any():
            return self._fallback(observation, confidence, "S_ego is empty: nothing of the scene lands in the view")
        wanted = self.parameters.reconstruction.size or self._size
        half = max(_STEP, wanted // 2 // _STEP * _STEP)
        for size in (wanted, half):
            if size in self._too_large:
                continue
            notice = f"the GPU has no memory for {wanted} pixels a side: {size} are made" if size != wanted else ""
            try:
                return replace(self._at(size, observation, confidence), notice=notice)
            except torch.OutOfMemoryError:
                self._too_large.add(size)
                torch.cuda.empty_cache()
        cure = "choose a smaller reconstruction.size, or another device"
        return self._fallback(observation, confidence, f"the GPU has no memory for {half} pixels a side; {cure}")

    def _fallback(self, observation: ExoObservation, confidence: bool, reason: str) -> Reconstruction:
        made = self._geometric.reconstruct(observation, confidence)
        return replace(made, notice=f"{reason} (reconstruction '{self._name}'; 'geometric' served)")

    def _at(self, size: int, observation: ExoObservation, confidence: bool) -> Reconstruction:
        conditions = condition(observation, size)
        tensors = conditions.tensors(self._pipeline.config.fill)
        chosen = self.parameters.reconstruction
        steps = chosen.steps or self._steps
        (made,) = self._sample(tensors, observation.description, [chosen.seed], steps)
        made = self._steadier.steadied(made, observation, chosen.smoothing_s)
        camera = observation.ego_camera
        stretched = squeeze(made, camera.width, camera.height)
        weight = splat_weight(observation.sparse.projected, conditions, made)
        sure = None
        if confidence:
            seeds = [chosen.seed + 1 + index for index in range(SAMPLES)]
            cheap = self._sample(tensors, observation.description, seeds, min(steps, CHEAP_STEPS))
            sure = cv2.resize(agreement(cheap), (camera.width, camera.height), interpolation=cv2.INTER_LINEAR)
            sure = weight + (1 - weight) * nearness(weight >= 0.5) * sure
        image = blend(observation.sparse, stretched, weight)
        return Reconstruction(image, weight >= 0.5, self._name, sure)

    def _sample(self, tensors: dict[str, torch.Tensor], text: str, seeds: list[int], steps: int) -> ByteArray:
        """A picture a seed, uint8 (N, S, S, 3)."""
        maps: dict[str, Any] = {name: tensor.repeat(len(seeds), 1, 1, 1) for name, tensor in tensors.items()}
        found = self._pipeline(
            **maps,
            text=text,
            steps=steps,
            guidance=self.parameters.reconstruction.guidance,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            eta=self._eta,
        )
        pictures: ByteArray = (found.images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return pictures


def agreement(pictures: ByteArray) -> FloatArray:
    """How much pictures of the same view, uint8 (N, H, W, 3), agree: float32 (H, W), 1 wholly, towards 0 not at all."""
    spread = (pictures / np.float32(255)).std(axis=0).mean(axis=2)
    return np.exp(-spread / np.float32(UNSURE))
