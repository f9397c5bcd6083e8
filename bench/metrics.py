"""Measuring pictures of four methods, against the plain way: one picture at a time, nothing shared."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from bench import Result, interleaved_ms
from genego_ros.efficientnet import DEVIATION, MEAN, load_efficientnet
from genego_ros.evaluation.metrics import SIZE, Ruler
from genego_ros.geometry.picture_errors import psnr, ssim
from genego_ros.types import ByteArray

BATCH, BATCHES, METHODS = 4, 8, 4


def pictures() -> tuple[ByteArray, dict[str, ByteArray]]:
    """A batch of truth, and what the methods made of it."""
    rng = np.random.default_rng(0)
    truth = np.stack(
        [cv2.resize(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8), (SIZE, SIZE)) for _ in range(BATCH)]
    )
    noise = rng.integers(-40, 41, (METHODS, *truth.shape))
    return truth, {str(i): np.clip(truth + noise[i], 0, 255).astype(np.uint8) for i in range(METHODS)}


def run() -> list[Result]:
    truth, made = pictures()
    ruler, network = Ruler(), load_efficientnet()
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))

    @torch.inference_mode()
    def plain() -> list[tuple[float, float, float]]:
        scores = []
        for first, second in zip(truth, made["0"], strict=True):
            both = torch.from_numpy(np.stack([first, second])).permute(0, 3, 1, 2).contiguous() / 255.0
            features = [f / f.norm(dim=1, keepdim=True) for f in network((both - mean) / deviation)]
            distances = [(f[0] - f[1]).square().sum(dim=0).mean() for f in features]
            scores.append((psnr(first, second), ssim(first, second), float(torch.stack(distances).mean())))
        return scores

    _, measured = ruler.measure(truth, made)
    ours = np.stack([measured["0"].scores[name] for name in ("psnr", "ssim", "pd_effnet")], axis=1)
    if not np.allclose(ours, plain(), rtol=1e-4):
        raise AssertionError("the two sides give other scores")

    def shared() -> object:
        return list(ruler.measure_all(range(BATCHES), lambda _: (truth, made)))

    shared_ms, plain_ms = interleaved_ms(shared, plain, rounds=7)
    each, other = shared_ms / (BATCHES * BATCH * METHODS), plain_ms / BATCH
    return [
        Result(
            name=f"measuring a picture of {METHODS} methods: {', '.join(measured['0'].scores)} and features",
            value=each,
            unit="ms",
            reference="a picture at a time, plain network",
            reference_value=other,
            target="<= 20 ms (50 images/s)",
            met=each <= 20.0,
        )
    ]
