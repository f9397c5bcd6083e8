"""`./genego train sd15`: the paper's network, Stable Diffusion 1.5's for inpainting, on recordings of one's own.

By default as EgoWorld's published code trains it: AdamW at a constant 1e-5, batches of 3, float32, the U-Net alone, and
no text left out. Like there, the convolution that makes the pose channel is not learned.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from genego_ros.data.sheet import captioned, contact_sheet
from genego_ros.errors import GenEgoError
from genego_ros.reconstruction.pipeline import EgoPipeline
from genego_ros.reconstruction.schedulers import is_flow
from genego_ros.reconstruction.sd15 import ETA, SIZE, load_sd15
from genego_ros.training.conditions import KINDS, kept_conditions, kept_text
from genego_ros.training.loop import Settings
from genego_ros.training.unet import conditions_apart, drawn_kind
from genego_ros.types import Array, ByteArray

VALIDATED, SHOWN = 24, 4
"""Held-out moments whose loss is measured, and those that pictures are made of."""
STEPS = 20
"""Of those pictures, as EgoWorld samples."""
PIPELINE = "pipeline"


def prepare(args: argparse.Namespace) -> tuple[SD15Task, Settings]:
    """What `./genego train sd15` trains.

    Raises:
        GenEgoError: no pipeline is named, or something of it is missing; see `cached_conditions`.
    """
    if args.start is None:
        raise GenEgoError(
            "train sd15 goes on from a trained network: give --start FOLDER, a pipeline of weights import-egoworld, or "
            "Stable Diffusion 1.5 inpainting as diffusers has it"
        )
    pipeline = load_sd15(args.start)
    if is_flow(pipeline.scheduler):
        raise GenEgoError(f"{args.start}: a network that predicts noise or v is wanted, not a flow's velocity")
    (learned, first), (held_out, second) = conditions_apart(args, SIZE)
    workers = (os.cpu_count() or 1) if args.workers is None else args.workers
    task = SD15Task(pipeline, learned, held_out, f"{first} {second}")
    return task, Settings(
        batch=3, rate=1e-5, warmup=0.0, cosine=False, weight_decay=0.01, precision="no", workers=workers
    )


class TextedPictures:
    """`training.loop.Samples`: moments by one of their kinds of conditions, as pictures."""

    def __init__(self, rows: Array, tokenizer: Any, fill: bool) -> None:
        self._rows, self._tokenizer, self._fill = rows, tokenizer, fill
        self.usable = np.flatnonzero(rows["there"].any(axis=1))

    def __len__(self) -> int:
        return len(self.usable)

    def batch(self, indices: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Array]:
        """`truth`, `sparse` and `pose_map` uint8 (N, S, S, 3), `projected` uint8 (N, 1, S, S) of 0 and 1, `ids` int64
        (N, tokens)."""
        chosen = [self._rows[self.usable[index]] for index in indices]
        kinds = [drawn_kind(row["there"], rng) for row in chosen]
        seen = [kept_conditions(row, kind) for row, kind in zip(chosen, kinds, strict=True)]
        texts = [kept_text(row["text"][kind], False) for row, kind in zip(chosen, kinds, strict=True)]
        return {
            "truth": np.stack([row["target"] for row in chosen]),
            "sparse": np.stack([moment.filled if self._fill else moment.sparse for moment in seen]),
            "pose_map": np.stack([moment.pose_map for moment in seen]),
            "projected": np.stack([moment.projected[None].astype(np.uint8) for moment in seen]),
            "ids": self._tokenizer(texts, padding="max_length", truncation=True, return_tensors="np")["input_ids"],
        }


class SD15Task:
    """A `training.loop.Task`: the U-Net of a pipeline; all else of it is frozen.

    Args:
        pipeline: on the CPU.
        learned, held_out: see `conditions.row_type`.
        fingerprint: of these.
    """

    rates: Mapping[str, float] = {}

    def __init__(self, pipeline: EgoPipeline, learned: Array, held_out: Array, fingerprint: str) -> None:
        self.network: nn.Module = pipeline.unet.requires_grad_(True)
        self.samples = TextedPictures(learned, pipeline.tokenizer, pipeline.config.fill)
        self.configuration: Mapping[str, Any] = {"prediction": pipeline.scheduler.config.prediction_type}
        self.fingerprint = fingerprint
        self._pipeline, self._held_out = pipeline, held_out
        for part in self._frozen():
            part.eval().requires_grad_(False)

    def _frozen(self) -> Sequence[nn.Module]:
        return self._pipeline.vae, self._pipeline.text_encoder, self._pipeline.pose_encoder

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean squared error of the noise, or of v, at a timestep drawn evenly."""
        pipeline, scheduler = self._pipeline, self._pipeline.scheduler
        device = batch["truth"].device
        with torch.no_grad():
            for part in self._frozen():
                part.to(device)
            pose_map, projected = _pictures(batch["pose_map"]) / 2 + 0.5, batch["projected"].float()
            target = pipeline.encode(_pictures(batch["truth"]))
            conditions = pipeline.encode_conditions(_pictures(batch["sparse"]), projected, pose_map)
            tokens = pipeline.text_encoder(batch["ids"])[0]
            noise = torch.randn_like(target)
            time = torch.randint(scheduler.config.num_train_timesteps, (len(target),), device=device)
            noisy = scheduler.add_noise(target, noise, time)
            is_noise = scheduler.config.prediction_type == "epsilon"
            answer = noise if is_noise else scheduler.get_velocity(target, noise, time)
        said = network(torch.cat((noisy, conditions), 1), time, encoder_hidden_states=tokens).sample
        return {"loss": functional.mse_loss(said.float(), answer)}

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """The loss on recordings that are not learned from, by the same draws every time."""
        samples = TextedPictures(self._held_out, self._pipeline.tokenizer, self._pipeline.config.fill)
        if not len(samples):
            return {}
        device, rng = next(network.parameters()).device, np.random.default_rng(0)
        losses = []
        with torch.random.fork_rng():
            torch.manual_seed(0)
            for place in np.linspace(0, len(samples) - 1, min(VALIDATED, len(samples))).astype(int):
                batch = samples.batch(np.array([place]), rng)
                tensors = {name: torch.from_numpy(values).to(device) for name, values in batch.items()}
                losses.append(float(self.losses(network, tensors)["loss"]))
        return {"loss": float(np.mean(losses))}

    @torch.no_grad()
    def sheet(self, network: nn.Module) -> ByteArray | None:
        """Pictures made of held-out moments."""
        pipeline, lines = self._with(network), []
        usable = np.flatnonzero(self._held_out["there"].any(axis=1))
        for place in np.linspace(0, len(usable) - 1, min(SHOWN, len(usable))).astype(int):
            row = self._held_out[usable[place]]
            kinds = np.flatnonzero(row["there"])
            kind = int(kinds[place % len(kinds)])
            moment: dict[str, Any] = kept_conditions(row, kind).tensors(pipeline.config.fill)
            text, generator = kept_text(row["text"][kind], False), torch.Generator().manual_seed(0)
            made = pipeline(**moment, text=text, steps=STEPS, generator=generator, eta=ETA).images[0]
            picture = (made * 255).round().byte().permute(1, 2, 0).cpu().numpy()
            lines.append([captioned(row["sparse"][kind], KINDS[kind]), picture, row["target"]])
        return contact_sheet(["S_ego", f"made, steps: {STEPS}", "truth"], lines) if lines else None

    def export(self, network: nn.Module, out: Path) -> None:
        """Writes the pipeline for use: `reconstruction.weights:=OUT/pipeline`."""
        self._with(network).save_pretrained(out / PIPELINE)

    def _with(self, network: nn.Module) -> EgoPipeline:
        parts = {**self._pipeline.components, "unet": network.eval()}
        for part in self._frozen():
            part.to(next(network.parameters()).device)
        return EgoPipeline(**parts, fill=self._pipeline.config.fill)


def _pictures(pictures: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) as float (N, 3, H, W) in [-1, 1]."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
