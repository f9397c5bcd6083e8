"""`./genego train baseline egoworld`: noise in latents, by the splat, the pose and the words, as was published."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from genego_ros.data.sheet import captioned, contact_sheet
from genego_ros.errors import GenEgoError
from genego_ros.evaluation.baselines.diffusion import TIMES, noise_schedule
from genego_ros.evaluation.baselines.egoworld import SIZES, EgoWorld, painted
from genego_ros.geometry.picture_errors import psnr
from genego_ros.training.baselines.moments import chosen_latent_network, spread
from genego_ros.training.conditions import KINDS, kept_conditions, kept_text
from genego_ros.training.loop import Settings
from genego_ros.training.unet import Learning, Moments, cached_moments, drawn_kind
from genego_ros.types import Array, ByteArray

PICTURED, PICTURE_STEPS = 8, 10
"""Held-out moments that pictures are made of, and in how many steps."""
MEASURED_AT_ONCE = 16


def prepare(args: argparse.Namespace) -> tuple[EgoWorldTask, Settings]:
    """What `./genego train baseline egoworld` trains.

    Raises:
        GenEgoError: the paper's size is asked for; see `chosen_latent_network` and `cached_moments`.
    """
    if args.size == "paper":
        raise GenEgoError(
            "egoworld at the paper's size is ./genego train sd15; its OUT/pipeline is baselines.egoworld_weights then"
        )
    network, configuration = chosen_latent_network(args, EgoWorld, SIZES)
    learning = cached_moments(args, network.null_text, network.vae)
    # The rate that `lite` learns by, which is no larger; the published one is for a network that goes on from weights.
    return EgoWorldTask(network, configuration, learning), Settings(batch=16, rate=5e-4, weight_decay=0.01, workers=1)


class SplatSamples:
    """`training.loop.Samples`: moments by one of their kinds of conditions, in a mirror as often as not."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments

    def __len__(self) -> int:
        return len(self._moments.usable)

    def batch(self, indices: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Array]:
        """With S pixels a side and s elements of a latent: `sparse`, `pose_map` uint8 (N, S, S, 3); `target` float16
        and `noise` float32 (N, 4, s, s); `tokens` float16 (N, tokens, width); `time` int64 (N,)."""
        rows = [self._row(int(self._moments.usable[index]), rng) for index in indices]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _row(self, index: int, rng: np.random.Generator) -> dict[str, Array]:
        row, mirrored = self._moments.rows[index], bool(rng.random() < 0.5)
        kind = drawn_kind(row["there"], rng)
        seen = kept_conditions(row, kind, mirrored)
        target = self._moments.latents[index]["target"][int(mirrored)]
        return {
            "sparse": seen.sparse,
            "pose_map": seen.pose_map,
            "target": target,
            "tokens": self._moments.tokens[self._moments.words[kept_text(row["text"][kind], mirrored)]],
            "noise": rng.standard_normal(target.shape, np.float32),
            "time": np.array(rng.integers(TIMES)),
        }


class EgoWorldTask:
    """A `training.loop.Task`."""

    rates: Mapping[str, float] = {"vae": 0.0, "pose_encoder": 0.0, "null_text": 0.0}

    def __init__(self, network: EgoWorld, configuration: Mapping[str, Any], learning: Learning) -> None:
        # A processor learns faster so.
        self.network: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.samples = SplatSamples(learning.learned)
        self.configuration: Mapping[str, Any] = {"baseline": "egoworld", **configuration}
        self.fingerprint = learning.fingerprint
        self._learning = learning

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean squared error of the noise."""
        sparse = batch["sparse"].permute(0, 3, 1, 2).float() / 127.5 - 1
        pose_map = batch["pose_map"].permute(0, 3, 1, 2).float() / 255
        noisy = noise_schedule().add_noise(batch["target"].float(), batch["noise"], batch["time"])
        said = network(noisy, batch["time"], sparse, pose_map, batch["tokens"].float())
        return {"loss": functional.mse_loss(said.float(), batch["noise"])}

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """The loss, by the same draws every time, and PSNR in dB of pictures, of recordings that are not learned
        from."""
        samples, rng, losses = SplatSamples(self._learning.held_out), np.random.default_rng(0), []
        if not len(samples):
            return {}
        device = next(network.parameters()).device
        for some in np.array_split(np.arange(len(samples)), -(-len(samples) // MEASURED_AT_ONCE)):
            tensors = {name: torch.from_numpy(values).to(device) for name, values in samples.batch(some, rng).items()}
            losses.append(len(some) / len(samples) * float(self.losses(network, tensors)["loss"]))
        made = [psnr(truth, picture) for _, picture, truth in self._pictured(network)]
        return {"loss": sum(losses), "psnr": float(np.mean(made))}

    def sheet(self, network: nn.Module) -> ByteArray | None:
        """Pictures made of held-out moments."""
        rows = self._pictured(network)
        return contact_sheet(("S_ego", "made", "truth"), rows) if rows else None

    def _pictured(self, network: nn.Module) -> list[tuple[ByteArray, ByteArray, ByteArray]]:
        """S_ego, what was made of it, and the truth, by the first kind of conditions that is there: estimated ones
        where anybody was found."""
        assert isinstance(network, EgoWorld)
        held_out, found = self._learning.held_out, []
        pipeline = network.pipeline(self._learning.text_encoder, self._learning.tokenizer)
        for place in spread(len(held_out.usable), PICTURED):
            row = held_out.rows[held_out.usable[place]]
            kind = int(np.flatnonzero(row["there"])[0])
            seen = kept_conditions(row, kind)
            made = painted(pipeline, seen.tensors(fill=False), kept_text(row["text"][kind], False), PICTURE_STEPS)
            found.append((captioned(seen.sparse, KINDS[kind]), made, np.array(row["target"])))
        return found
