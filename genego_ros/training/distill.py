"""`./genego train distill`: a network that needs fewer steps, taught by one that needs more.

The student learns the teacher's own ways straightened: from where a way began to where it ended (reflow, Liu et al.,
ICLR 2023; for noise and v, Wang et al., Rectified Diffusion, ICLR 2025). A question thus has one answer and not the
mean of several, which is why one step then leads far, and the samplers stay what they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from genego_ros.reconstruction.autoencoder import LiteAutoencoder
from genego_ros.training.forms import Form
from genego_ros.training.loop import Settings
from genego_ros.training.unet import EgoDenoiser, Learning, UnetTask, chosen_settings, trained

TEACHER_STEPS = 8


def prepare(args: argparse.Namespace) -> tuple[DistillTask, Settings]:
    """What `./genego train distill` trains; the form is the teacher's.

    Raises:
        GenEgoError: see `unet.trained`.
    """
    network, form, vae, learning = trained(args)
    return DistillTask(network, form, vae, learning), replace(chosen_settings(), rate=2e-4)


class DistillTask(UnetTask):
    """A `training.loop.Task`; the teacher is the network as it is given."""

    def __init__(self, network: EgoDenoiser, form: Form, vae: LiteAutoencoder, learning: Learning) -> None:
        super().__init__(network, form, vae, learning)
        self._teacher = deepcopy(network).eval().requires_grad_(False)
        self.configuration = {**self.configuration, "teacher_steps": TEACHER_STEPS}

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As the U-Net's, with what the teacher makes of the same noise for truth."""
        return super().losses(network, {**batch, "target": self.taught(batch)})

    @torch.no_grad()
    def taught(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Where the teacher's ways end, float (N, 4, s, s)."""
        self._teacher.to(batch["noise"].device)
        origin = self.form.origin(batch["filled"].float(), batch["noise"])
        return self.form.walk(lambda x, time: self._teacher(x, time, batch).float(), origin, TEACHER_STEPS)
