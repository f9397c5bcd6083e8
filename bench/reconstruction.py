"""Stage 2 by `lite` on two threads, from S_ego to the view of 640 x 360, by number of steps.

The other side is the same with diffusers' own small autoencoder, AutoencoderTiny, in place of ours; its weights are
random, which costs the same time. Both sides look at the same stream in turn.

`python -m bench.reconstruction FILE` measures weights that are yet to become the package's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import torch
from diffusers import AutoencoderTiny

from bench import Result, interleaved_ms
from bench.observation import frames
from genego_ros.genego import GenEgo
from genego_ros.parameters import Parameters
from genego_ros.reconstruction.lite import LiteReconstruction
from genego_ros.types import ExoObservation

THREADS, ROUNDS = 2, 12
LONGEST_MS = {1: 120.0, 2: None, 4: 250.0, 20: None}
"""By steps."""


def run(weights: str = "") -> Iterator[Result]:
    """Args:
        weights: a file, instead of the weights that come with the package.

    Raises:
        GenEgoError: weights are absent.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with GenEgo({"description.backend": "parameter"}) as genego:
            # As many as are asked for, and the one before.
            seen = [genego.observer.observe(frame) for frame in frames()[: ROUNDS + 1]]
        for steps, longest in LONGEST_MS.items():
            taken, reference = measure(weights, steps, seen)
            yield Result(
                name=f"reconstruction `lite`, steps: {steps}",
                value=taken,
                unit="ms",
                reference="with AutoencoderTiny",
                reference_value=reference,
                target=f"<= {longest:g} ms" if longest else "none",
                met=longest is None or taken <= longest,
            )
    finally:
        torch.set_num_threads(threads)


def measure(weights: str, steps: int, seen: Sequence[ExoObservation]) -> tuple[float, float]:
    """Milliseconds of the median frame: ours, and the other side's."""
    given = Parameters.from_mapping({"reconstruction.weights": weights, "reconstruction.steps": steps})
    ours, other = LiteReconstruction(given), LiteReconstruction(given)
    other._pipeline.register_modules(vae=AutoencoderTiny().eval().requires_grad_(False))
    mine, theirs = iter(seen), iter(seen)
    taken = interleaved_ms(
        lambda: ours.reconstruct(next(mine)), lambda: other.reconstruct(next(theirs)), rounds=len(seen) - 1
    )
    return taken[0], taken[1]


if __name__ == "__main__":
    for result in run(sys.argv[1]):
        print(f"{result.name}: {result.value:.1f} ms, {result.reference} {result.reference_value:.1f} ms")
