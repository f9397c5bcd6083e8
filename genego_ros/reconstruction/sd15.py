"""The paper's own network: Stable Diffusion 1.5's for inpainting, with EgoWorld's weights or yours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from genego_ros import weights
from genego_ros.errors import GenEgoError, loading
from genego_ros.parameters import Parameters
from genego_ros.reconstruction.diffusion import DiffusionReconstruction
from genego_ros.reconstruction.pipeline import EgoPipeline
from genego_ros.reconstruction.pose_encoder import EgoWorldPoseEncoder

SIZE, STEPS = 512, 20
ETA = 1.0
"""EgoWorld's own, as the steps are."""
_CURE = (
    "make it of EgoWorld's checkpoint with ./genego weights import-egoworld step=7000.ckpt, or start with "
    "reconstruction.weights:=FOLDER, a folder of Stable Diffusion 1.5 inpainting as diffusers has it, in safetensors"
)


class SD15Reconstruction(DiffusionReconstruction):
    """The reconstruction backend `sd15`.

    Raises:
        GenEgoError: there is no such pipeline in the folder `reconstruction.weights`, by default the one that
            `weights import-egoworld` makes.
    """

    def __init__(self, parameters: Parameters) -> None:
        chosen = parameters.reconstruction.weights
        folder = Path(chosen).expanduser() if chosen else egoworld_directory()
        super().__init__(parameters, "sd15", load_sd15(folder), SIZE, STEPS, ETA)


def egoworld_directory() -> Path:
    """Where EgoWorld's pipeline lies, once `genego weights import-egoworld` converted it."""
    return weights.directory() / "egoworld"


def load_sd15(folder: Path) -> EgoPipeline:
    """The pipeline of a folder, on the CPU.

    One of Stable Diffusion 1.5 inpainting has no pose encoder: it gets one as EgoWorld began with, random but always
    the same, and shows hands only after training.

    Raises:
        GenEgoError: something is missing in the folder, or damaged.
    """
    if not (folder / "model_index.json").is_file():
        raise GenEgoError(
            f"{folder / 'model_index.json'}: missing, the reconstruction backend 'sd15' needs it; {_CURE}"
        )
    # The log of a node is no place for progress bars.
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    with loading(folder, _CURE):
        if (folder / "pose_encoder").is_dir():
            ours: EgoPipeline = EgoPipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True)
            return ours
        safe: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            pose_encoder = EgoWorldPoseEncoder()
        return EgoPipeline(
            vae=AutoencoderKL.from_pretrained(folder / "vae", **safe),
            unet=UNet2DConditionModel.from_pretrained(folder / "unet", **safe),
            text_encoder=CLIPTextModel.from_pretrained(folder / "text_encoder", **safe),
            tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
            scheduler=DDIMScheduler.from_pretrained(folder / "scheduler", local_files_only=True),
            pose_encoder=pose_encoder,
        )
