"""PHI_ego as one diffusers pipeline (paper section 2.2): S_ego, P_ego and T_exo in, I_ego out."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from genego_ros.errors import GenEgoError
from genego_ros.reconstruction.pose_encoder import FACTOR, EgoWorldPoseEncoder, GenEgoPoseEncoder
from genego_ros.reconstruction.schedulers import is_flow
from genego_ros.reconstruction.text import NullText, embed

LATENT_CHANNELS = 4
TIMES = 1000
"""Timesteps of a way."""
INPUT_CHANNELS = 2 * LATENT_CHANNELS + 1
"""Of the U-Net: z_t, the pose channel, the latent of S_ego, in this order."""


@dataclass
class EgoPictures(BaseOutput):
    images: Tensor
    """float32 (N, 3, H, W), RGB in [0, 1]."""
    latents: Tensor
    """float32 (N, 4, H / 8, W / 8), scaled; may be the `previous` of the next frame."""


class EgoPipeline(DiffusionPipeline):
    """Latent diffusion over nine channels: z_t (4), pose (1), S_ego (4).

    Args:
        vae: from pictures in [-1, 1] to latents and back: an `AutoencoderKL`, or one that has `latents` and `sample`.
        unet: of nine input channels; what it predicts (noise, v, or a flow's velocity) is what `scheduler` says.
        text_encoder, tokenizer: any that give tokens of the width that the U-Net attends to.
        pose_encoder: its class is the layout: EgoWorld's, or ours.
        null_text: what the U-Net learned to attend to where there is no text; None: the empty text.
        fill: whether `sparse` is to have its holes filled (training decides it; those who prepare S_ego read it).
        start_noise: for a network trained by flow matching whose flow begins at the latent of the filled S_ego and not
            at noise: the standard deviation of the noise on it; what it says is taken as `from_splat` has it. None: it
            begins at noise.

    Raises:
        GenEgoError: the U-Net has another number of input channels, or `start_noise` is given without flow matching.
    """

    vae: Any
    unet: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: Any
    pose_encoder: EgoWorldPoseEncoder | GenEgoPoseEncoder
    null_text: NullText | None
    config: Any
    _optional_components = ["null_text"]  # noqa: RUF012 - diffusers adds to it as to a list

    def __init__(
        self,
        vae: Any,
        unet: Any,
        text_encoder: Any,
        tokenizer: Any,
        scheduler: Any,
        pose_encoder: EgoWorldPoseEncoder | GenEgoPoseEncoder,
        null_text: NullText | None = None,
        fill: bool = False,
        start_noise: float | None = None,
    ) -> None:
        super().__init__()
        if unet.config.in_channels != INPUT_CHANNELS:
            raise GenEgoError(
                f"the U-Net takes {unet.config.in_channels} channels: one of {INPUT_CHANNELS} is wanted, as "
                "Stable Diffusion's inpainting model and EgoWorld's have it"
            )
        if start_noise is not None and not is_flow(scheduler):
            raise GenEgoError("start_noise is for networks trained by flow matching: leave it out with this scheduler")
        self.register_modules(
            vae=vae,
            unet=unet,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            scheduler=scheduler,
            pose_encoder=pose_encoder,
            null_text=null_text,
        )
        self.register_to_config(fill=fill, start_noise=start_noise)
        self._embedded: tuple[Any, Tensor] | None = None

    # The parts, which training uses too ------------------------------------------------------------

    def encode(self, pictures: Tensor) -> Tensor:
        """Scaled latents, float (N, 4, H / 8, W / 8), of pictures, float (N, 3, H, W); always the same ones."""
        found = self.vae.encode(pictures.to(self.vae.dtype))
        latents = found.latent_dist.mode() if hasattr(found, "latent_dist") else found.latents
        return (latents - self._shift) * self.vae.config.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures, float (N, 3, H, W), about [-1, 1], of scaled latents."""
        unscaled = latents.to(self.vae.dtype) / self.vae.config.scaling_factor + self._shift
        pictures: Tensor = self.vae.decode(unscaled).sample
        return pictures

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """float (N, tokens, width); the last ones are kept, since a description stays for many frames."""
        key = (tuple(texts), self.text_encoder.device, self.text_encoder.dtype)
        if self._embedded is None or self._embedded[0] != key:
            self._embedded = key, embed(self.tokenizer, self.text_encoder, self.null_text, texts)
        return self._embedded[1]

    def encode_conditions(self, sparse: Tensor, projected: Tensor, pose_map: Tensor) -> Tensor:
        """The five channels beside z_t, float (N, 5, H / 8, W / 8): pose, then S_ego."""
        kind = self.pose_encoder.dtype
        pose = self.pose_encoder(pose_map.to(kind), projected.to(kind), lambda x: self.encode(x).to(kind))
        return torch.cat((pose.to(self.unet.dtype), self.encode(sparse).to(self.unet.dtype)), 1)

    @property
    def _shift(self) -> float:
        return getattr(self.vae.config, "shift_factor", None) or 0.0

    # The whole -------------------------------------------------------------------------------------

    @torch.no_grad()
    def __call__(
        self,
        sparse: Tensor,
        projected: Tensor,
        pose_map: Tensor | None = None,
        text: str | Sequence[str] = "",
        steps: int = 20,
        guidance: float = 1.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        strength: float = 1.0,
        previous: Tensor | None = None,
        filled: Tensor | None = None,
        eta: float = 0.0,
    ) -> EgoPictures:
        """I_ego.

        Args:
            sparse: S_ego, float (N, 3, H, W), RGB in [-1, 1], -1 where nothing landed (or filled: `config.fill`).
            projected: where the splat landed, float (N, 1, H, W) in [0, 1].
            pose_map: P_ego as a picture, float (N, 3, H, W), RGB in [0, 1]; None: no hands, black.
            text: T_exo, one for all pictures or one each; empty: none. What is longer than the text encoder reads is
                cut off.
            steps: passes of the U-Net, a picture; twice as many with guidance.
            guidance: weight of classifier-free guidance (Ho and Salimans, 2021); 1: none, at the price of one pass.
            generator: where the noise comes from, on the CPU; the same noise gives the same picture.
            strength: how much of the way from noise is gone, in (0, 1]. Below 1 the sampler starts from `previous`, or
                where there is none from the latent of `filled`, with as much noise on it as belongs there.
            previous: a scaled latent of the same size, float (N, 4, H / 8, W / 8).
            filled: S_ego with its holes filled, as `sparse`, to start from; None: `sparse`.
            eta: DDIM's noise between steps, of which EgoWorld takes 1; TCD's gamma.

        Raises:
            GenEgoError: a size or shape that does not fit, numbers that are not finite, a splat that landed nowhere,
                steps that the scheduler does not take; or the network's own numbers leave what its dtype can hold.
        """
        pose_map = torch.zeros_like(sparse) if pose_map is None else pose_map
        _check_pictures({"sparse": sparse, "pose_map": pose_map, "projected": projected, "filled": filled})
        if not (projected > 0).flatten(1).any(1).all():
            raise GenEgoError(
                "S_ego is empty: nothing of the scene lands in the view; check the depth and the viewpoint"
            )
        texts = [text] * len(sparse) if isinstance(text, str) else list(text)
        if len(texts) != len(sparse):
            raise GenEgoError(f"{len(texts)} texts for {len(sparse)} pictures: give one, or one each")
        sparse, projected, pose_map = (x.to(self.unet.device) for x in (sparse, projected, pose_map))
        conditions = self.encode_conditions(sparse, projected, pose_map)
        tokens = self._tokens(texts, guided=guidance != 1.0)
        timesteps = self._timesteps(steps, strength)
        noise = randn_tensor(
            (len(sparse), LATENT_CHANNELS, *conditions.shape[2:]),
            generator=generator,
            device=self.unet.device,
            dtype=torch.float32,
        )
        latents = self._start(noise, conditions, filled, previous, timesteps, strength)
        accepted = inspect.signature(self.scheduler.step).parameters
        extras = {"eta": eta, "generator": generator}
        extras = {name: value for name, value in extras.items() if name in accepted}
        for time in timesteps:
            predicted = self._predict(latents, conditions, time, tokens, guidance)
            latents = self.scheduler.step(predicted, time, latents, **extras).prev_sample
        images = self.decode(latents).float()
        if not torch.isfinite(images).all():
            raise GenEgoError(
                f"the network's numbers left what {self.unet.dtype} holds: choose dtype:=float32 or bfloat16"
            )
        return EgoPictures((images / 2 + 0.5).clamp(0, 1), latents)

    def _tokens(self, texts: Sequence[str], guided: bool) -> Tensor:
        """What the U-Net attends to; guided, the null texts' before the texts'."""
        return self.encode_text([*[""] * len(texts), *texts] if guided else texts).to(self.unet.dtype)

    def _timesteps(self, steps: int, strength: float) -> Tensor:
        if steps < 1 or not 0 < strength <= 1:
            raise GenEgoError(f"{steps} steps at strength {strength}: at least 1 step, and a strength in (0, 1]")
        if is_flow(self.scheduler):
            self.scheduler.set_timesteps(sigmas=np.linspace(strength, strength / steps, steps).tolist())
            return self.scheduler.timesteps
        # The way is divided so that its last part, which is gone, has as many steps as were asked for.
        whole = max(steps, math.floor(steps / strength))
        try:
            self.scheduler.set_timesteps(whole, device=self.unet.device)
        except ValueError as error:
            raise GenEgoError(
                f"{type(self.scheduler).__name__} does not take {steps} steps at strength {strength} ({error})"
            ) from error
        timesteps: Tensor = self.scheduler.timesteps
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(len(timesteps) - steps)
        return timesteps[len(timesteps) - steps :]

    def _start(
        self,
        noise: Tensor,
        conditions: Tensor,
        filled: Tensor | None,
        previous: Tensor | None,
        timesteps: Tensor,
        strength: float,
    ) -> Tensor:
        """Where the sampler starts, float32, as `noise`."""
        if previous is not None and (previous.shape != noise.shape or not torch.isfinite(previous).all()):
            raise GenEgoError(
                f"previous is {tuple(previous.shape)}: finite numbers of the shape {tuple(noise.shape)} are wanted"
            )

        def splat() -> Tensor:
            # The latent of `sparse` is among the conditions already.
            return (conditions[:, 1:] if filled is None else self.encode(filled.to(noise.device))).float()

        def begin() -> Tensor:
            return splat() if previous is None else previous.to(noise)

        if is_flow(self.scheduler):
            spread = self.config.start_noise
            origin = noise if spread is None else splat() + spread * noise
            return origin if strength == 1.0 else begin() * (1 - strength) + origin * strength
        if strength == 1.0:
            return noise * self.scheduler.init_noise_sigma
        noisy: Tensor = self.scheduler.add_noise(begin(), noise, timesteps[:1].repeat(len(noise)))
        return noisy

    def _predict(self, latents: Tensor, conditions: Tensor, time: Tensor, tokens: Tensor, guidance: float) -> Tensor:
        """What the U-Net says, guided, float32."""
        scaled = latents if is_flow(self.scheduler) else self.scheduler.scale_model_input(latents, time)
        channels = torch.cat((scaled.to(conditions.dtype), conditions), 1)
        if guidance == 1.0:
            said = self.unet(channels, time, encoder_hidden_states=tokens).sample.float()
        else:
            both = self.unet(torch.cat((channels, channels)), time, encoder_hidden_states=tokens).sample.float()
            null, told = both.chunk(2)
            said = null + guidance * (told - null)
        return said if self.config.start_noise is None else from_splat(said, latents, conditions[:, 1:], time)


def from_splat(said: Tensor, noisy: Tensor, filled: Tensor, time: Tensor) -> Tensor:
    """The velocity of a flow that begins at the filled splat, float (N, 4, h, w), from what the network says.

    At the beginning of the way z_t less the filled splat is the noise, which the velocity holds whole: a network that
    says nothing there leaves the splat as it is, and learns what has to change. Towards the end it says all of it.

    Args:
        said: by the U-Net.
        noisy, filled: z_t and the latent of the filled splat.
        time: float, (N,) or a single one, of `TIMES`.
    """
    share = time.to(said).view(-1, 1, 1, 1) / TIMES
    return said + share * (noisy - filled.to(said))


def _check_pictures(pictures: dict[str, Tensor | None]) -> None:
    sparse = pictures["sparse"]
    assert sparse is not None
    if sparse.ndim != 4 or sparse.shape[1] != 3:
        raise GenEgoError(f"sparse is {tuple(sparse.shape)}: (N, 3, H, W) is wanted")
    if sparse.shape[2] % FACTOR or sparse.shape[3] % FACTOR or 0 in sparse.shape:
        raise GenEgoError(
            f"pictures of {sparse.shape[3]} x {sparse.shape[2]}: both sides must be multiples of {FACTOR}"
        )
    for name, picture in pictures.items():
        if picture is None:
            continue
        shape = (len(sparse), 1 if name == "projected" else 3, *sparse.shape[2:])
        if tuple(picture.shape) != shape:
            raise GenEgoError(f"{name} is {tuple(picture.shape)}: {shape} is wanted, as sparse has it")
        if not torch.isfinite(picture).all():
            raise GenEgoError(f"{name} holds NaN or infinite numbers: only finite ones can be conditions")
