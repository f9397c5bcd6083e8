"""`./genego train unet`: the U-Net of the reconstruction `lite`, and what tells it the pose and where no text is."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor, nn

from genego_ros.data.sample import SampleId
from genego_ros.data.sample_ids import SampleIds
from genego_ros.data.sheet import captioned, contact_sheet
from genego_ros.errors import GenEgoError
from genego_ros.geometry.picture_errors import psnr
from genego_ros.inputs import file_state
from genego_ros.parameters import Parameters, parse_assignments
from genego_ros.reconstruction.autoencoder import LiteAutoencoder, load_autoencoder
from genego_ros.reconstruction.lite_file import load_lite, save_lite
from genego_ros.reconstruction.pipeline import EgoPipeline, from_splat
from genego_ros.reconstruction.pose_encoder import GenEgoPoseEncoder
from genego_ros.reconstruction.small_unet import small_unet
from genego_ros.reconstruction.text import NullText
from genego_ros.reconstruction.text_models import load_minilm
from genego_ros.training.conditions import KINDS, Source, cached_conditions, kept_conditions, kept_text
from genego_ros.training.forms import Form
from genego_ros.training.latents import cached_latents, encoder_state
from genego_ros.training.loop import Settings
from genego_ros.training.tokens import cached_tokens
from genego_ros.training.vae import SIDE
from genego_ros.training.views import listed, measuring
from genego_ros.types import Array, ByteArray

CHANNELS = (48, 96, 160)
"""With the VAE this makes a file of less than 20 MB."""
SHARES = (0.15, 0.25, 0.6)
"""Of the samples, by kind of conditions; see `KINDS`. An estimated splat lies beside its place, otherwise each time:
much of it teaches to blur all of it."""
NO_TEXT, NO_POSE = 0.1, 0.1
"""How often the network is not told, for guidance and for pictures without."""
AT_ORIGIN = 0.25
"""Share of the questions at the very beginning of the way, where few steps spend theirs."""
START_NOISE = 0.5
"""Of a flow, where the command line does not say; a latent's own standard deviation is 1."""
VALIDATED, PICTURED, SHOWN = 96, 16, 8
"""Held-out moments whose loss is measured; of them, those that pictures are made of, and those on the sheet."""
MEASURED_AT_ONCE = 32
STEPS = (1, 4)
"""That pictures are made in to be measured."""
LITE = "lite.safetensors"


def prepare(args: argparse.Namespace) -> tuple[UnetTask, Settings]:
    """What `./genego train unet` trains.

    Raises:
        GenEgoError: no such data set or split, no VAE, weights that do not fit or are missing.
    """
    if args.vae is None:
        raise GenEgoError("train unet works on latents: give the network that makes them, --vae weights.safetensors")
    if args.start:
        pipeline = load_lite(args.start)
        network, form = EgoDenoiser.of(pipeline), Form.of(pipeline.scheduler, pipeline.config.start_noise)
        if args.form not in (None, form.name) or args.start_noise not in (None, form.start_noise):
            noise = "" if form.start_noise is None else f" with --start-noise {form.start_noise:g}"
            raise GenEgoError(f"{args.start} was trained with --form {form.name}{noise}: it goes on with that alone")
    else:
        name = args.form or "flow"
        form = Form(name, START_NOISE if name == "flow" and args.start_noise is None else args.start_noise)
        null = NullText()
        unet = start_unet(null.config["width"])
        network = EgoDenoiser(unet, GenEgoPoseEncoder(), null, form.start_noise is not None)
    vae = load_autoencoder(args.vae)
    return UnetTask(network, form, vae, cached_moments(args, network.null_text, vae)), chosen_settings()


def trained(args: argparse.Namespace) -> tuple[EgoDenoiser, Form, LiteAutoencoder, Learning]:
    """What goes on from a trained U-Net: it, its form, the VAE and the moments.

    Raises:
        GenEgoError: no U-Net is named, or a VAE of other latents, no such data set or split, weights that do not fit or
            are missing.
    """
    if args.start is None:
        raise GenEgoError(f"train {args.model} goes on from a trained U-Net: give --start lite.safetensors")
    pipeline = load_lite(args.start)
    vae = load_autoencoder(args.vae) if args.vae else pipeline.vae
    if encoder_state(vae) != encoder_state(pipeline.vae):
        raise GenEgoError(
            f"{args.vae}: the latents of {args.start} are others: give a VAE of the same encoder, or none"
        )
    network = EgoDenoiser.of(pipeline)
    form = Form.of(pipeline.scheduler, pipeline.config.start_noise)
    learning = cached_moments(args, network.null_text, vae)
    learning.fingerprint += f" {file_state(args.start)}"  # a run does not go on with another teacher
    return network, form, vae, learning


def chosen_settings() -> Settings:
    """Where the command line does not say."""
    return Settings(batch=32, rate=5e-4, weight_decay=0.01, workers=1)


def start_unet(width: int) -> UNet2DConditionModel:
    """Of 7.6 M parameters, not trained; attends to tokens of this width at 1/2 and 1/4 of the latents' size."""
    unet: Any = small_unet(CHANNELS, width)
    nn.init.zeros_(unet.conv_out.weight)
    network: UNet2DConditionModel = unet
    return network


class EgoDenoiser(nn.Module):
    """What learns together.

    Args:
        from_splat: whether the way begins at the filled splat, see `pipeline.from_splat`.
    """

    unet: Any

    def __init__(
        self, unet: UNet2DConditionModel, pose_encoder: GenEgoPoseEncoder, null_text: NullText, from_splat: bool
    ) -> None:
        super().__init__()
        self.unet, self.pose_encoder, self.null_text = unet, pose_encoder, null_text
        self.from_splat = from_splat
        self.requires_grad_(True)

    @classmethod
    def of(cls, pipeline: EgoPipeline) -> EgoDenoiser:
        """Those of a pipeline.

        Raises:
            GenEgoError: it is of another layout.
        """
        pose_encoder, null_text = pipeline.pose_encoder, pipeline.null_text
        if not isinstance(pose_encoder, GenEgoPoseEncoder) or null_text is None or not pipeline.config.fill:
            raise GenEgoError("only a pipeline of our own layout is trained: give lite.safetensors of ./genego train")
        return cls(pipeline.unet, pose_encoder, null_text, pipeline.config.start_noise is not None)

    def forward(self, noisy: Tensor, time: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """What it says of z_t, float (N, 4, h, w).

        Args:
            noisy: z_t, float (N, 4, h, w).
            time: float (N,) or a single one.
            batch: see `MomentSamples`.
        """
        pose_map = batch["pose_map"].permute(0, 3, 1, 2).float() / 255
        pose = self.pose_encoder(pose_map, batch["projected"].float(), lambda picture: picture)
        described = batch["described"].view(-1, 1, 1)
        tokens = torch.where(described, batch["tokens"].float(), self.null_text.learned)
        filled = batch["filled"].float()
        said: Tensor = self.unet(torch.cat((noisy, pose, filled), 1), time, encoder_hidden_states=tokens).sample
        return from_splat(said, noisy, filled, time) if self.from_splat else said


class Moments:
    """Rows of conditions and of their latents, with the tokens of their words.

    Args:
        rows: see `conditions.row_type`.
        latents: see `latents.latent_type`.
        tokens: on the disk, like the others.
        words: place of each text in `tokens`.
    """

    def __init__(self, rows: Array, latents: Array, tokens: Array, words: Mapping[str, int]) -> None:
        self.rows, self.latents, self.tokens, self.words = rows, latents, tokens, words
        self.usable = np.flatnonzero(rows["there"].any(axis=1))

    def example(self, index: int, kind: int, mirrored: bool, pictured: bool = False) -> dict[str, Array]:
        """A moment as the network is shown it: a row of `MomentSamples.batch` without what is drawn."""
        row, latents, way = self.rows[index], self.latents[index], int(mirrored)
        seen = kept_conditions(row, kind, mirrored)
        text = kept_text(row["text"][kind], mirrored)
        truth = row["target"][:, ::-1] if mirrored else row["target"]
        return {
            **({"truth": truth, "splat": seen.filled} if pictured else {}),
            "target": latents["target"][way],
            "filled": latents["filled"][kind, way],
            "projected": seen.projected[None].astype(np.uint8),
            "pose_map": seen.pose_map,
            "tokens": self.tokens[self.words[text]],
            "described": np.array(bool(text.strip())),
        }


def drawn_kind(there: Array, rng: np.random.Generator) -> int:
    """One of a moment's kinds of conditions, of those that are there, by their `SHARES`."""
    shares = np.array(SHARES) * there
    if not shares.any():  # kinds that are never drawn
        shares = there.astype(np.float64)
    return int(rng.choice(len(KINDS), p=shares / shares.sum()))


class MomentSamples:
    """`training.loop.Samples`: moments by one of their kinds of conditions, in a mirror as often as not.

    Args:
        pictured: whether pictures come beside the latents.
    """

    def __init__(self, moments: Moments, pictured: bool = False) -> None:
        self._moments, self._pictured = moments, pictured

    def __len__(self) -> int:
        return len(self._moments.usable)

    def batch(self, indices: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Array]:
        """With S pixels a side and s elements of a latent: `target`, `filled` float16 and `noise` float32
        (N, 4, s, s); `projected` uint8 (N, 1, S, S) of 0 and 1; `pose_map` uint8 (N, S, S, 3); `tokens` float16
        (N, tokens, width); `described` bool (N,); `share` float32 (N,), see `Form.question`. Pictured, `truth` and
        `splat`, the filled one, uint8 (N, S, S, 3)."""
        rows = [self._row(int(self._moments.usable[index]), rng) for index in indices]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _row(self, index: int, rng: np.random.Generator) -> dict[str, Array]:
        kind = drawn_kind(self._moments.rows[index]["there"], rng)
        row = self._moments.example(index, kind, bool(rng.random() < 0.5), self._pictured)
        if rng.random() < NO_TEXT:
            row["described"] = np.array(False)
        if rng.random() < NO_POSE:
            row["pose_map"] = np.zeros_like(row["pose_map"])
        share = 1.0 if rng.random() < AT_ORIGIN else 1.0 - rng.random()
        noise = rng.standard_normal(row["target"].shape, np.float32)
        return {**row, "noise": noise, "share": np.array(share, np.float32)}


class Learning:
    """The moments to learn from and to measure with, and what reads their words."""

    def __init__(
        self, learned: Moments, held_out: Moments, fingerprint: str, text_encoder: Any, tokenizer: Any
    ) -> None:
        self.learned, self.held_out, self.fingerprint = learned, held_out, fingerprint
        self.text_encoder, self.tokenizer = text_encoder, tokenizer


def cached_moments(args: argparse.Namespace, null: NullText, vae: LiteAutoencoder) -> Learning:
    """What the command line names, made where it is not in the cache yet.

    Raises:
        GenEgoError: see `cached_conditions` and `cached_latents`; MiniLM is not installed.
    """
    encoder, tokenizer = load_minilm()
    folder = args.cache or args.out / "cache"
    observed = conditions_apart(args, SIDE)
    texts = sorted({kept_text(text, way) for rows, _ in observed for text in _texts(rows) for way in (False, True)})
    tokens = cached_tokens(texts, tokenizer, encoder, null, folder)
    words = {text: place for place, text in enumerate(texts)}
    learned, held_out = (
        Moments(rows, cached_latents(rows, name, vae, folder), tokens, words) for rows, name in observed
    )
    fingerprint = " ".join([*(name for _, name in observed), encoder_state(vae)])
    return Learning(learned, held_out, fingerprint, encoder, tokenizer)


def conditions_apart(args: argparse.Namespace, side: int) -> list[tuple[Array, str]]:
    """Rows of conditions to learn from and to measure with, and their fingerprints, of what the command line names.

    They are made where they are not in its cache yet.

    Args:
        side: pixels a side.

    Raises:
        GenEgoError: see `listed`, `divided` and `cached_conditions`; no such parameter.
    """
    _, ids = listed(args.dataset, args.split)
    parameters = Parameters.from_mapping(parse_assignments([*args.further, *args.parameters]))
    workers = (os.cpu_count() or 1) if args.workers is None else args.workers
    source, folder = Source(args.dataset, parameters, side), args.cache or args.out / "cache"
    return [cached_conditions(source, some, folder, workers) for some in divided(ids, args.stride)]


def _texts(rows: Array) -> set[bytes]:
    return set(rows["text"].ravel().tolist())


def divided(ids: SampleIds, stride: int) -> tuple[list[SampleId], list[SampleId]]:
    """The samples to learn from, and those to measure with, of recordings that are not learned from.

    Args:
        stride: frame numbers between two samples of a recording, at least.

    Raises:
        GenEgoError: the stride is none.
    """
    if stride < 1:
        raise GenEgoError(f"--stride {stride}: at least 1 is wanted")
    apart = measuring(ids)
    learned: list[SampleId] = []
    held_out: list[SampleId] = []
    for run in ids.runs:
        last = -stride
        for frame in run.frames.tolist():
            if frame - last >= stride:
                (held_out if run.sequence in apart else learned).append(SampleId(run.sequence, run.camera, frame))
                last = frame
    places = np.linspace(0, len(held_out) - 1, min(VALIDATED, len(held_out))).astype(int)
    return learned, [held_out[place] for place in places]


class UnetTask:
    """A `training.loop.Task`: the network sees S_ego with its holes filled; where they are, the pose encoder says."""

    rates: Mapping[str, float] = {}

    def __init__(self, network: EgoDenoiser, form: Form, vae: LiteAutoencoder, learning: Learning) -> None:
        # A processor learns a third faster so.
        self.network: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.form, self.vae = form, vae.requires_grad_(False)
        self.samples = MomentSamples(learning.learned)
        self.configuration: Mapping[str, Any] = {
            **asdict(form),
            "channels": list(network.unet.config["block_out_channels"]),
        }
        self.fingerprint = learning.fingerprint
        self.held_out = learning.held_out
        self._learning = learning

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean squared error in the latents' space."""
        target, filled = batch["target"].float(), batch["filled"].float()
        asked = self.form.question(target, filled, batch["noise"], batch["share"])
        error = (network(asked.noisy, asked.time, batch).float() - asked.answer).square().mean((1, 2, 3))
        return {"loss": (asked.weight * error).mean()}

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """The loss, and PSNR in dB of pictures, on recordings that are not learned from."""
        moments = self.held_out
        if not len(moments.usable):
            return {}
        samples, device = MomentSamples(moments), next(network.parameters()).device
        losses, rng = [], np.random.default_rng(0)  # the same questions every time
        for some in np.array_split(np.arange(len(samples)), -(-len(samples) // MEASURED_AT_ONCE)):
            tensors = {name: torch.from_numpy(values).to(device) for name, values in samples.batch(some, rng).items()}
            losses.append(len(some) / len(samples) * float(self.losses(network, tensors)["loss"]))
        return {"loss": sum(losses), **self.measured(self.pipeline(network))}

    def measured(self, pipeline: EgoPipeline) -> dict[str, float]:
        """PSNR in dB of pictures of held-out moments, by kind of conditions and steps."""
        measures = {}
        for kind in range(len(KINDS)):
            rows = [row for row in self._spread(PICTURED) if row["there"][kind]]
            for steps in STEPS if rows else ():
                made = self._pictures(pipeline, rows, kind, steps)
                found = [psnr(row["target"], picture) for row, picture in zip(rows, made, strict=True)]
                measures[f"psnr_{KINDS[kind]}_{steps}"] = float(np.mean(found))
        return measures

    def export(self, network: nn.Module, out: Path) -> None:
        """Writes the pipeline for use."""
        save_lite(self.pipeline(network.eval()), out / LITE)

    @torch.no_grad()
    def sheet(self, network: nn.Module) -> ByteArray | None:
        """Pictures made of held-out moments."""
        pipeline = self.pipeline(network.eval())
        lines = []
        for place, row in enumerate(self._spread(SHOWN)):
            kinds = np.flatnonzero(row["there"])
            kind = int(kinds[place % len(kinds)])
            made = [self._pictures(pipeline, [row], kind, steps)[0] for steps in STEPS]
            lines.append([captioned(row["sparse"][kind], KINDS[kind]), *made, row["target"]])
        titles = ["S_ego", *(f"made, steps: {steps}" for steps in STEPS), "truth"]
        return contact_sheet(titles, lines) if lines else None

    def pipeline(self, network: nn.Module) -> EgoPipeline:
        """The whole, with this network in it."""
        assert isinstance(network, EgoDenoiser)
        return self.joined(network, self.vae)

    def joined(self, network: EgoDenoiser, vae: LiteAutoencoder) -> EgoPipeline:
        """The whole of these parts."""
        device = next(network.parameters()).device
        nn.Module.to(vae, device)
        return EgoPipeline(
            vae,
            network.unet,
            self._learning.text_encoder.to(device),
            self._learning.tokenizer,
            self.form.scheduler(),
            network.pose_encoder,
            network.null_text,
            fill=True,
            start_noise=self.form.start_noise,
        )

    def _spread(self, count: int) -> list[np.void]:
        """Some held-out moments."""
        usable = self.held_out.usable
        places = np.linspace(0, len(usable) - 1, min(count, len(usable))).astype(int)
        return [self.held_out.rows[usable[place]] for place in places]

    def _pictures(self, pipeline: EgoPipeline, rows: Sequence[np.void], kind: int, steps: int) -> ByteArray:
        """uint8 (N, S, S, 3)."""
        maps = [kept_conditions(row, kind).tensors(fill=True) for row in rows]
        stacked: dict[str, Any] = {name: torch.cat([of[name] for of in maps]) for name in maps[0]}
        texts = [kept_text(row["text"][kind], False) for row in rows]
        generators = [torch.Generator().manual_seed(0) for _ in rows]
        images = pipeline(**stacked, text=texts, steps=steps, generator=generators).images
        pictures: ByteArray = (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return pictures
