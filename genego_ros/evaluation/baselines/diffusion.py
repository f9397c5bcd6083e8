"""What the latent diffusion methods share: the noise, by the schedule of Stable Diffusion, and the way back (DDIM)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor

TIMES = 1000
"""Timesteps of the way from a picture to noise."""
SEED = 0
"""Of the noise that every picture is made from."""


def noise_schedule() -> Any:
    """A `DDIMScheduler` for networks that predict the noise."""
    return DDIMScheduler(
        TIMES,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        timestep_spacing="trailing",  # so that the first step begins at pure noise
    )


def first_noise(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """The same for every picture and on every device, float32 (N, 4, h, w)."""
    one = torch.randn((1, *shape[1:]), generator=torch.Generator().manual_seed(SEED))
    return one.expand(shape).to(device)


def denoised(predict: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int) -> Tensor:
    """Where so many steps of DDIM lead from the noise, float (N, 4, h, w).

    Args:
        predict: the noise in z_t, float (N, 4, h, w), at a timestep.
    """
    scheduler = noise_schedule()
    scheduler.set_timesteps(steps, device=noise.device)
    for time in scheduler.timesteps:
        noise = scheduler.step(predict(noise, time), time, noise).prev_sample
    return noise
