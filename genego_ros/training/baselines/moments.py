"""The pairs that all baselines learn from and are measured with, cached once for all of them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from genego_ros.data.sheet import contact_sheet
from genego_ros.errors import GenEgoError
from genego_ros.evaluation.baselines.network import Network, read_network
from genego_ros.geometry.picture_errors import psnr
from genego_ros.reconstruction.autoencoder import load_autoencoder
from genego_ros.training.pairs import PicturePairs, cached_picture_pairs
from genego_ros.training.unet import divided
from genego_ros.training.views import listed
from genego_ros.types import ByteArray, Camera, Float64Array

PICTURED, SHOWN = 16, 8
"""Held-out pairs that pictures are made of to be measured, and those on the sheet."""
_MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])


class Pair(NamedTuple):
    """One moment, squeezed."""

    exo: ByteArray
    """I_exo, uint8 (S, S, 3), RGB."""
    ego: ByteArray
    """The truth, likewise."""
    exo_camera: Camera
    """K_exo, of the squeezed picture."""
    ego_camera: Camera
    """K_ego, likewise."""
    T_ego_exo: Float64Array
    """X, float64 (4, 4)."""


def pair(pairs: PicturePairs, index: int, mirrored: bool = False) -> Pair:
    """A moment, or what a mirror before it shows: x of both optical frames turns round there."""
    side = pairs.pictures.shape[1]
    exo, ego = np.array(pairs.pictures[index]), np.array(pairs.targets[index])
    kept = Pair(
        exo,
        ego,
        Camera(side, side, *pairs.intrinsics[index].tolist()),
        Camera(side, side, *pairs.ego_intrinsics[index].tolist()),
        pairs.T_ego_exo[index],
    )
    if not mirrored:
        return kept
    return Pair(
        np.ascontiguousarray(exo[:, ::-1]),
        np.ascontiguousarray(ego[:, ::-1]),
        _mirrored(kept.exo_camera),
        _mirrored(kept.ego_camera),
        _MIRROR @ kept.T_ego_exo @ _MIRROR,
    )


def _mirrored(camera: Camera) -> Camera:
    return Camera(camera.width, camera.height, camera.fx, camera.fy, camera.width - 1 - camera.cx, camera.cy)


@dataclass(frozen=True)
class PairsApart:
    """Pairs to learn from, and pairs of other recordings to measure with."""

    learned: PicturePairs
    held_out: PicturePairs

    @property
    def fingerprint(self) -> str:
        return f"{self.learned.fingerprint} {self.held_out.fingerprint}"


def cached_pairs_apart(args: argparse.Namespace, side: int) -> PairsApart:
    """The pairs of the list that the command line names; made where they are not in its cache yet.

    The moments are those that the U-Net of `lite` learns from and measures with.

    Raises:
        GenEgoError: no such data set or split, a sample that cannot be read, a cache that cannot be written.
    """
    dataset, ids = listed(args.dataset, args.split)
    folder = args.cache or args.out / "cache"
    return PairsApart(
        *(cached_picture_pairs(dataset, args.dataset, some, (side, side), folder) for some in divided(ids, args.stride))
    )


def chosen_network(
    args: argparse.Namespace, build: Callable[..., Network], sizes: Mapping[str, Mapping[str, Any]]
) -> tuple[Network, dict[str, Any]]:
    """The network of the size that `--size` names (`small` where it names none), or the one that `--start` holds, and
    its configuration.

    Raises:
        GenEgoError: there is no such size, `--start` is of another one or cannot be loaded.
    """
    size = args.size or "small"
    if size not in sizes:
        raise GenEgoError(f"train baseline {args.model} has no --size {size}; choose {', '.join(sizes)}")
    wanted = json.loads(json.dumps(sizes[size]))  # as it is kept with weights
    if args.start is None:
        return build(**wanted), wanted
    network, configuration = read_network(args.start, args.model, build)
    if args.size and any(configuration.get(name) != value for name, value in wanted.items()):
        raise GenEgoError(f"{args.start}: holds a network of another size than --size {size}; leave --size out")
    return network, configuration


def chosen_latent_network(
    args: argparse.Namespace, build: Callable[..., Network], sizes: Mapping[str, Mapping[str, Any]]
) -> tuple[Network, dict[str, Any]]:
    """As `chosen_network`, with the autoencoder that `--vae` names, or the one that `--start` holds, in it as `vae`.

    Raises:
        GenEgoError: likewise; both or none of `--vae` and `--start` are given, or `--vae` cannot be loaded.
    """
    if (args.vae is None) == (args.start is None):
        raise GenEgoError(
            f"train baseline {args.model} works on latents: give the network that makes them, --vae "
            "weights.safetensors, or --start, which holds it, but not both"
        )
    if args.vae is None:
        return chosen_network(args, build, sizes)
    vae = load_autoencoder(args.vae)
    config: Any = vae.config
    own = {key: config[key] for key in ("down", "up", "noise")}
    network, configuration = chosen_network(args, build, {name: {**size, "vae": own} for name, size in sizes.items()})
    network.get_submodule("vae").load_state_dict(vae.state_dict())
    return network, configuration


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` of `count` places, evenly spread."""
    return np.linspace(0, count - 1, min(wanted, count)).astype(int).tolist()


def picture_measures(
    held_out: PicturePairs, make: Callable[[int], ByteArray], places: Sequence[int]
) -> dict[str, float]:
    """PSNR in dB of pictures, uint8 (S, S, 3), that `make` makes of the held-out pairs at `places`, in the mean."""
    return {"psnr": float(np.mean([psnr(held_out.targets[place], make(place)) for place in places]))} if places else {}


def picture_sheet(held_out: PicturePairs, make: Callable[[int], ByteArray], places: Sequence[int]) -> ByteArray | None:
    """The held-out pairs at `places` with what `make` makes of them; None where there are none."""
    rows = [(held_out.pictures[place], make(place), held_out.targets[place]) for place in places]
    return contact_sheet(("third person", "made", "truth"), rows) if rows else None
