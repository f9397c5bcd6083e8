"""What the U-Net is asked for: noise, v, or the velocity of a flow that begins at the filled splat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from genego_ros.errors import GenEgoError
from genego_ros.reconstruction.pipeline import TIMES
from genego_ros.reconstruction.schedulers import is_flow

FORMS = {"epsilon": "epsilon", "v": "v_prediction", "flow": None}
"""By name, what diffusers calls it."""
LARGEST_SNR = 5.0
"""Signal-to-noise ratio from which on easy timesteps count less (min-SNR, Hang et al., ICCV 2023)."""


class Question(NamedTuple):
    """A point of the way, and what the network should say there."""

    noisy: Tensor
    """z_t, float (N, 4, h, w)."""
    time: Tensor
    """float (N,), of `TIMES`."""
    answer: Tensor
    """As `noisy`."""
    weight: Tensor
    """float (N,), of the answer's mean squared error."""


@dataclass(frozen=True)
class Form:
    """One way from noise, or from the splat, to the picture.

    Raises:
        GenEgoError: no such name, or noise that is not positive.
    """

    name: str
    """Of `FORMS`."""
    start_noise: float | None = None
    """Of a flow that begins at the filled splat's latent: standard deviation of the noise on it; None: at noise."""

    def __post_init__(self) -> None:
        if self.name not in FORMS:
            raise GenEgoError(f"there is no form '{self.name}'; known: {', '.join(FORMS)}")
        if self.start_noise is not None and (self.name != "flow" or self.start_noise <= 0):
            raise GenEgoError(f"--start-noise {self.start_noise:g}: a positive number is wanted, and --form flow")

    @classmethod
    def of(cls, scheduler: Any, start_noise: float | None) -> Form:
        """That of a pipeline with this scheduler."""
        if is_flow(scheduler):
            return cls("flow", start_noise)
        return cls(next(name for name, kind in FORMS.items() if kind == scheduler.config.prediction_type))

    def scheduler(self) -> Any:
        """What samples from a network of this form."""
        if self.name == "flow":
            return FlowMatchEulerDiscreteScheduler(TIMES)
        return DDIMScheduler(
            TIMES,
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",  # as Stable Diffusion's
            clip_sample=False,
            timestep_spacing="trailing",  # a few steps must not leave out the first one
            prediction_type=FORMS[self.name],
        )

    def origin(self, filled: Tensor, noise: Tensor) -> Tensor:
        """Where the sampler begins.

        Args:
            filled: latents of the filled splat, float (N, 4, h, w).
            noise: of standard deviation 1, likewise.
        """
        return noise if self.start_noise is None else filled + self.start_noise * noise

    def question(self, target: Tensor, filled: Tensor, noise: Tensor, share: Tensor) -> Question:
        """What training asks of the network.

        Args:
            target: latents of the truth, float (N, 4, h, w).
            filled, noise: as of `origin`.
            share: float (N,), how far back on the way from the truth to the origin: in (0, 1].
        """
        one = share.view(-1, 1, 1, 1)
        if self.name == "flow":
            origin = self.origin(filled, noise)
            noisy = (1 - one) * target + one * origin
            return Question(noisy, TIMES * share, origin - target, torch.ones_like(share))
        time = (share * TIMES).ceil().long().clamp(1, TIMES) - 1
        alpha = self.scheduler().alphas_cumprod.to(target.device)[time]
        signal, spread = (x.sqrt().view(-1, 1, 1, 1) for x in (alpha, 1 - alpha))
        ratio = alpha / (1 - alpha)
        counted = ratio.clamp(max=LARGEST_SNR)
        noisy = signal * target + spread * noise
        if self.name == "epsilon":
            return Question(noisy, time.float(), noise, counted / ratio)
        return Question(noisy, time.float(), signal * noise - spread * target, counted / (ratio + 1))

    def walk(self, predict: Callable[[Tensor, Tensor], Tensor], origin: Tensor, steps: int) -> Tensor:
        """Where so many steps lead from the origin, as the pipeline takes them.

        Args:
            predict: what the network says of z_t at a time.
        """
        scheduler = self.scheduler()
        if self.name == "flow":
            scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps).tolist(), device=origin.device)
        else:
            scheduler.set_timesteps(steps, device=origin.device)
        for time in scheduler.timesteps:
            origin = scheduler.step(predict(origin, time), time, origin).prev_sample
        return origin
