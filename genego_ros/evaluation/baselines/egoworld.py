"""EgoWorld (arXiv 2506.17896), which GenEgo is the short form of: its stage 2 as it was published, on our stage 1.

Noise is predicted by a U-Net of nine channels, z_t, the pose and S_ego: the pose map through the autoencoder and a
convolution that is never trained, and a sigmoid; S_ego black where nothing landed. It begins at pure noise, DDIM with
eta 1 takes 20 steps, and what was seen is not put back into the picture. No text was left out of its training, so none
is guided by.

`small` has the U-Net, the autoencoder and the text encoder of `lite`, so that the two differ by what is told here. The
paper's size is `./genego train sd15`, whose folder serves as weights too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from genego_ros.device import resolve_device
from genego_ros.evaluation.baselines.diffusion import SEED, noise_schedule
from genego_ros.evaluation.baselines.network import load_network, weights_file
from genego_ros.evaluation.inputs import Case
from genego_ros.parameters import Parameters
from genego_ros.reconstruction.autoencoder import LiteAutoencoder
from genego_ros.reconstruction.conditioning import condition
from genego_ros.reconstruction.pipeline import EgoPipeline
from genego_ros.reconstruction.pose_encoder import EgoWorldPoseEncoder
from genego_ros.reconstruction.sd15 import ETA, SIZE, load_sd15
from genego_ros.reconstruction.small_unet import small_unet
from genego_ros.reconstruction.text import NullText
from genego_ros.reconstruction.text_models import load_minilm
from genego_ros.types import ByteArray

SIZES: dict[str, dict[str, Any]] = {"small": {"side": 256, "channels": (48, 96, 160), "tokens": 64, "width": 384}}
STEPS = 20


class EgoWorld(nn.Module):
    """The U-Net, and what is frozen: autoencoder and pose encoder.

    Args:
        side: S, pixels a side of all pictures.
        channels: of the U-Net.
        tokens, width: of the text.
        vae: configuration of the `LiteAutoencoder`.
    """

    def __init__(self, side: int, channels: Sequence[int], tokens: int, width: int, vae: Mapping[str, Any]) -> None:
        super().__init__()
        self.side = side
        self.vae = LiteAutoencoder(**vae).eval().requires_grad_(False)
        self.pose_encoder = EgoWorldPoseEncoder().requires_grad_(False)
        self.unet: Any = small_unet(channels, width)
        # Where there is no text there are zeros, and nothing is learned of it.
        self.null_text = NullText(tokens, width).requires_grad_(False)

    def train(self, mode: bool = True) -> EgoWorld:
        super().train(mode)
        self.vae.eval()  # its statistics stay what they are
        return self

    def forward(self, noisy: Tensor, time: Tensor, sparse: Tensor, pose_map: Tensor, tokens: Tensor) -> Tensor:
        """The noise in z_t, float (N, 4, S / 8, S / 8).

        Args:
            sparse: S_ego, float (N, 3, S, S) in [-1, 1].
            pose_map: P_ego as a picture, likewise in [0, 1].
            tokens: float (N, tokens, width).
        """
        with torch.no_grad():
            conditions = torch.cat((self.pose_encoder(pose_map, sparse, self._encoded), self._encoded(sparse)), 1)
        said: Tensor = self.unet(torch.cat((noisy, conditions), 1), time, encoder_hidden_states=tokens).sample
        return said

    def _encoded(self, pictures: Tensor) -> Tensor:
        latents: Tensor = self.vae.encode(pictures).latents * self.vae.config.scaling_factor
        return latents

    def pipeline(self, text_encoder: Any, tokenizer: Any) -> EgoPipeline:
        """The whole, on the device of the network."""
        text_encoder = text_encoder.to(next(self.parameters()).device)
        return EgoPipeline(
            self.vae, self.unet, text_encoder, tokenizer, noise_schedule(), self.pose_encoder, self.null_text
        )


def painted(pipeline: EgoPipeline, maps: Mapping[str, Tensor], text: str, steps: int = STEPS) -> ByteArray:
    """I_ego, uint8 (S, S, 3); the same for the same conditions.

    Args:
        maps: `Conditions.tensors` without filling.
        text: T_exo.
    """
    given: dict[str, Any] = dict(maps)
    generator = torch.Generator().manual_seed(SEED)
    image = pipeline(**given, text=text, steps=steps, eta=ETA, generator=generator).images[0]
    picture: ByteArray = (image * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return picture


class EgoWorldView:
    """The method `egoworld`.

    Raises:
        GenEgoError: see `load_network` and, for a folder, `load_sd15`; MiniLM is not installed.
    """

    def __init__(self, parameters: Parameters) -> None:
        path = weights_file(parameters, "egoworld")
        if path.is_dir():
            self._pipeline, self._size = load_sd15(path), SIZE
            for component in self._pipeline.components.values():
                if isinstance(component, nn.Module):
                    nn.Module.to(component, resolve_device(parameters.device))
        else:
            network = load_network(parameters, "egoworld", EgoWorld)
            self._pipeline, self._size = network.pipeline(*load_minilm()), network.side

    def predict(self, case: Case) -> ByteArray:
        observation = case.observation
        maps = condition(observation, self._size).tensors(fill=False)
        return painted(self._pipeline, maps, observation.description)
