"""How phi_ego learns (paper section 2.1): L2 on both hands' joints, on pictures varied in colour and viewpoint."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from genego_ros.data.datasets import open_dataset
from genego_ros.data.sample_ids import SampleIds
from genego_ros.data.splits import ALL, FILE, TRAIN, Splits
from genego_ros.errors import GenEgoError
from genego_ros.geometry import rigid
from genego_ros.geometry.hand_model import MIRROR, mean_pose
from genego_ros.geometry.pose_errors import pa_mpjpe, pose_error
from genego_ros.geometry.umeyama import align
from genego_ros.observation.ego_hand_network import (
    EYES,
    HINTS,
    SPREAD,
    EgoHandNetwork,
    Form,
    Prediction,
    hint_numbers,
    load_network,
    patch_places,
    start_network,
    view_numbers,
)
from genego_ros.training.loop import Settings
from genego_ros.training.pairs import Pairs, cached_pairs
from genego_ros.types import SIDES, Array, ByteArray, Camera, Float64Array, FloatArray

MARGIN = 1.25
"""Pictures are kept so much larger than the network's, so that a closer look shows more."""
VALIDATED = 300
"""Samples that are measured in the course of the training."""
_HEAD = 0.12
"""Metres, a head's radius."""
_SEEN_SHARE = 0.5
"""A hand is in the picture when so many of its keypoints are; whether something hides it does not matter."""
_TURN_DEG = (3.0, 4.0, 6.0)
"""Standard deviations of the virtual camera's rotation about x, y and z."""
_ZOOM = (0.95, 1.35)
_KEPT = ("stem.", "stages.0.", "stages.1.", "stages.2.")
"""Of the stem, down to 1/8 of the picture's size: what ImageNet taught about edges and texture. To learn it anew would
take most of the time."""
_RATES = {f"backbone.encoder.{name}": 0.0 for name in _KEPT} | {"backbone.encoder.": 0.1, "backbone.vit.": 0.5}
_PRESENCE_WEIGHT, _VARIANCE_WEIGHT, _LOOKS_WEIGHT, _HANDS_WEIGHT, _EYES_WEIGHT = 0.1, 0.05, 0.1, 0.3, 0.6
_MIDDLE = 9
"""The keypoint of a hand that the network looks for: the middle finger's first joint."""
_NOT_TOLD, _HAND_NOT_TOLD = 0.25, 0.1
"""How often the network is not told any hand, so that it learns from the picture too, and either of them."""
_SIZE_ERROR, _DEPTH_ERROR, _HAND_TURN, _JOINT_ERROR = 0.08, 0.03, 0.14, 0.007
"""Standard deviations of what the network is told: the distance of both hands, relative, and of each; the rotation of
each about its middle, radians; and a coordinate of a keypoint, metres. As hands are estimated from RGB alone."""


def prepare(args: argparse.Namespace) -> tuple[EgoHandTask, Settings]:
    """What `./genego train ego-hand` trains, and how where the command line does not say.

    Raises:
        GenEgoError: no such size, data set, split or weights to start from.
    """
    size = args.size or "tiny"
    network = _start(size, args.start)
    dataset = open_dataset(args.dataset)
    whole = SampleIds.of(dataset.ids)
    splits = Splits("", {}, whole) if args.split == ALL else Splits.read(args.dataset / FILE, whole)
    kept = round(MARGIN * network.form.width), round(MARGIN * network.form.height)

    def pairs(ids: Sequence[Any]) -> Pairs:
        return cached_pairs(dataset, args.dataset, ids, kept, args.out / "cache")

    tested = args.split.removeprefix(f"{TRAIN}-") if args.split.startswith(f"{TRAIN}-") else "subjects"
    held_out = splits.lists.get(tested)
    task = EgoHandTask(
        network,
        pairs(splits.ids(args.split)),
        None if held_out is None else pairs(held_out[:: max(1, len(held_out) // VALIDATED)]),
    )
    chosen = Settings(batch=32, rate=1e-3, workers=1) if size == "tiny" else Settings(batch=64, rate=1e-4)
    return task, chosen


def _start(size: str, start: Path | None) -> EgoHandNetwork:
    if start is None:
        return start_network(size)
    if size == "base" and start.is_dir():
        return start_network(size, start)
    network = load_network(start)
    if network.form.size != size:
        raise GenEgoError(f"{start}: weights of size {network.form.size}; give --size {network.form.size}")
    return network


class EgoHandTask:
    """A `training.loop.Task`.

    Args:
        held_out: what the averaged weights are measured on in between; None for nothing.
    """

    def __init__(self, network: EgoHandNetwork, pairs: Pairs, held_out: Pairs | None = None) -> None:
        self.network, self.held_out = network, held_out
        self.samples = AugmentedPairs(pairs, network.form)
        self.configuration: Mapping[str, Any] = asdict(network.form)
        self.fingerprint = pairs.fingerprint
        self.rates = _RATES
        self.mean = symmetric_mean(pairs.ego)
        if not network.hints.bias.any():  # it is yet to be trained
            network.begin(self.mean, mean_hints(pairs))

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The paper's L2, and beside it terms for what else the network says of the picture.

        The deviation is learned by the likelihood of errors that are taken as given (no gradient runs through them), so
        the joints keep the least-squares estimate that L2 alone would give.
        """
        picture = batch["picture"].permute(0, 3, 1, 2).float()
        prediction = network(picture, batch["view"], batch["told"], batch["known"])
        labelled = batch["labelled"]
        square = ((prediction.keypoints - batch["ego"]) / SPREAD).square().mean((2, 3))
        joints = (square * labelled).sum() / labelled.sum().clamp(min=1)
        log_variance = prediction.log_variance - 2 * float(np.log(SPREAD))
        likelihood = 0.5 * (square.detach() * (-log_variance).exp() + log_variance)
        deviation = (likelihood * labelled).sum() / labelled.sum().clamp(min=1)
        presence = binary_cross_entropy_with_logits(prediction.presence, batch["present"])
        places = batch["places"]
        looks = -(places * prediction.looks.log_softmax(-1)).sum() / places.sum().clamp(min=1)
        hinted = batch["hinted"]
        square = (prediction.hints - batch["hints"]).square() * hinted
        of_hands, of_eyes = slice(None, HINTS - EYES), slice(HINTS - EYES, None)
        hands, eyes = (square[:, of].sum() / hinted[:, of].sum().clamp(min=1) for of in (of_hands, of_eyes))
        loss = joints + _PRESENCE_WEIGHT * presence + _VARIANCE_WEIGHT * deviation + _LOOKS_WEIGHT * looks
        loss = loss + _HANDS_WEIGHT * hands + _EYES_WEIGHT * eyes
        beside = {"presence": presence, "deviation": deviation, "looks": looks, "hands": hands, "eyes": eyes}
        return {"loss": loss, "joints": joints, **beside}

    def validate(self, network: nn.Module) -> dict[str, float]:
        if self.held_out is None:
            return {}
        return measures(network, self.held_out, self.network.form, self.mean)


class AugmentedPairs:
    """`training.loop.Samples`: every time another look at the same moment."""

    def __init__(self, pairs: Pairs, form: Form) -> None:
        self._pairs, self._form, self._patches = pairs, form, patch_places(form)

    def __len__(self) -> int:
        return len(self._pairs)

    def batch(self, indices: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Array]:
        rows = [self._row(index, rng) for index in indices]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _row(self, index: np.int64, rng: np.random.Generator) -> dict[str, Array]:
        look = kept_look(self._pairs, int(index))
        if rng.random() < 0.5:
            look = mirrored(look)
        look = turned(look, (self._form.width, self._form.height), rng)
        seen = in_picture(look.camera, look.exo)
        known = seen & (rng.random(2) >= _HAND_NOT_TOLD) & (rng.random() >= _NOT_TOLD)
        row = example(look._replace(picture=recolored(look.picture, rng)), self._patches)
        return {**row, **told(look.exo, known, rng)}


class Look(NamedTuple):
    """One moment as a third-person camera sees it, with its truth."""

    picture: ByteArray
    """uint8 (H, W, 3), RGB."""
    camera: Camera
    """K_exo, for the size of `picture`."""
    exo: Float64Array
    """P_exo, float64 (2, 21, 3): left, right; metres, NaN where there is no label."""
    ego: Float64Array
    """P_ego, likewise."""
    T_exo_ego: Float64Array
    """float64 (4, 4): the pose of the eyes."""


def kept_look(pairs: Pairs, index: int) -> Look:
    height, width = pairs.pictures.shape[1:3]
    camera = Camera(width, height, *pairs.intrinsics[index].tolist())
    eyes = rigid.invert(pairs.T_ego_exo[index])
    return Look(pairs.pictures[index], camera, pairs.exo[index], pairs.ego[index], eyes)


def mirrored(look: Look) -> Look:
    """The same moment in a mirror: a left hand is a right hand there, and x of both optical frames turns round."""
    camera = look.camera
    flipped = replace(camera, cx=camera.width - 1 - camera.cx)
    flip = np.diag([*MIRROR, 1.0])
    exo, ego = look.exo[::-1] * MIRROR, look.ego[::-1] * MIRROR
    return Look(look.picture[:, ::-1], flipped, exo, ego, flip @ look.T_exo_ego @ flip)


def turned(look: Look, size: tuple[int, int], rng: np.random.Generator) -> Look:
    """What a camera in the same place sees that is turned a little and has another focal length; P_ego stays the same.

    A camera that turns on the spot sees the same rays elsewhere in its picture (Hartley and Zisserman, Multiple View
    Geometry, section 8.4).

    Args:
        size: width and height of the picture in pixels.
    """
    turn = Rotation.from_rotvec(np.radians(rng.normal(0.0, _TURN_DEG))).as_matrix()
    zoom = float(np.exp(rng.uniform(*np.log(_ZOOM))))
    camera = look.camera.resized(*size)
    camera = replace(camera, fx=zoom * camera.fx, fy=zoom * camera.fy)
    mapping = camera.matrix @ turn @ np.linalg.inv(look.camera.matrix)
    picture = np.asarray(cv2.warpPerspective(look.picture, mapping, size, borderMode=cv2.BORDER_REPLICATE))
    T_turned_exo = rigid.compose(turn, np.zeros(3))
    return Look(picture, camera, look.exo @ turn.T, look.ego, T_turned_exo @ look.T_exo_ego)


def example(look: Look, patches: FloatArray) -> dict[str, Array]:
    """One row of a batch; what has no label is 0.

    Args:
        patches: as `patch_places` gives them.
    """
    labelled: NDArray[np.bool_] = np.asarray(np.isfinite(look.ego).all(axis=(1, 2)))
    hints = hint_numbers(look.exo, look.T_exo_ego)
    return {
        "picture": look.picture,
        "view": view_numbers(look.camera),
        "ego": np.nan_to_num(look.ego * labelled[:, None, None]).astype(np.float32),
        "labelled": labelled.astype(np.float32),
        "present": in_picture(look.camera, look.exo).astype(np.float32),
        "hints": np.nan_to_num(hints),
        "hinted": np.isfinite(hints).astype(np.float32),
        "places": places(look, patches),
    }


def told(exo: Float64Array, known: NDArray[np.bool_], rng: np.random.Generator) -> dict[str, Array]:
    """P_exo as it is estimated: float32 (2, 21, 3), metres, and float32 (2,), 1 for the hands that are `known`."""
    middle = exo.mean(axis=1, keepdims=True)
    turns = Rotation.from_rotvec(rng.normal(0.0, _HAND_TURN, (2, 3))).as_matrix()
    hands = middle + (exo - middle) @ turns + rng.normal(0.0, _JOINT_ERROR, exo.shape)
    # Along the rays: a hand that is taken for a larger one seems to be further away.
    hands = hands * (1 + rng.normal(0.0, _SIZE_ERROR)) * (1 + rng.normal(0.0, _DEPTH_ERROR, (2, 1, 1)))
    return {
        "told": np.where(known[:, None, None], hands, 0).astype(np.float32),
        "known": known.astype(np.float32),
    }


def places(look: Look, patches: FloatArray) -> FloatArray:
    """Where in the picture both hands and the head are, float32 (LOOKS, patches): shares of the up to four patches
    around each, so that the mean of their places is its own; 0 where it is not in the picture."""
    points = np.concatenate([look.exo[:, _MIDDLE], look.T_exo_ego[None, :3, 3]])
    depth = np.where(points[:, 2:] > 0, points[:, 2:], np.nan)
    right, below, left, above = view_numbers(look.camera)
    place = (points[:, :2] / depth + [left, above]) / [left + right, above + below]
    patch = 2 * patches[0]  # the first one begins in the corner
    shares = np.clip(1 - np.abs(place[:, None] - patches) / patch, 0, None).prod(axis=-1)
    inside = ((place > 0) & (place < 1)).all(axis=1)
    shares[~inside] = 0
    return np.asarray(shares / shares.sum(axis=1, keepdims=True).clip(1e-6), np.float32)


def in_picture(camera: Camera, exo: Float64Array) -> NDArray[np.bool_]:
    """Whether the camera sees each hand, bool (2,): at least half of its keypoints lie before it and in the picture."""
    x, y, z = np.moveaxis(np.nan_to_num(exo, nan=-1.0), -1, 0)
    depth = np.maximum(z, 1e-6)
    u, v = camera.fx * x / depth + camera.cx, camera.fy * y / depth + camera.cy
    inside = (z > 0) & (u > -0.5) & (u < camera.width - 0.5) & (v > -0.5) & (v < camera.height - 0.5)
    seen: NDArray[np.bool_] = inside.mean(axis=1) >= _SEEN_SHARE
    return seen


def recolored(picture: ByteArray, rng: np.random.Generator) -> ByteArray:
    """uint8 (H, W, 3) under other light and through a worse camera."""
    values = picture.astype(np.float32)
    if rng.random() < 0.5:
        grey = values.mean(axis=2, keepdims=True)
        values = grey + rng.uniform(0.3, 1.5) * (values - grey)
    values = 255 * (np.clip(values, 0, 255) / 255) ** np.exp(rng.normal(0, 0.25))
    values = values * np.exp(rng.normal(0, 0.08, 3)) * np.exp(rng.normal(0, 0.15)) + rng.normal(0, 10)
    if rng.random() < 0.3:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.3, 1.3))
    if rng.random() < 0.5:
        values = values + rng.uniform(1, 10) * rng.standard_normal(values.shape, np.float32)
    out = np.clip(values, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        out = np.asarray(
            cv2.imdecode(cv2.imencode(".jpg", out, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))))[1], 1)
        )
    return out


def symmetric_mean(ego: Float64Array) -> Float64Array:
    """The mean pose, float64 (2, 21, 3), of (N, 2, 21, 3) with NaN and of their mirror images, which are seen as often.

    Raises:
        GenEgoError: no hand has a label.
    """
    mean = mean_pose([*ego, *(ego[:, ::-1] * MIRROR)])
    if not np.isfinite(mean).all():
        raise GenEgoError("no hand of these samples has a label in the ego view; choose other recordings")
    return mean


def mean_hints(pairs: Pairs) -> FloatArray:
    """Of the pairs and of their mirror pictures, float32 (HINTS,); 0 where nothing has a label."""
    kept = [kept_look(pairs, index) for index in range(len(pairs))]
    hints = np.stack([hint_numbers(look.exo, look.T_exo_ego) for look in (*kept, *map(mirrored, kept))])
    known = np.isfinite(hints)
    return np.asarray(np.where(known, hints, 0).sum(axis=0) / known.sum(axis=0).clip(1), np.float32)


# Measures -------------------------------------------------------------------------------------------


@torch.inference_mode()
def predict(network: nn.Module, pairs: Pairs, form: Form, hands: FloatArray, batch: int = 32) -> Prediction:
    """Of all pairs as they are, on the CPU.

    Args:
        hands: float32 (N, 2, 21, 3): P_exo as the network is told it; NaN where it is not.
    """
    device = next(network.parameters()).device
    parts = []
    for start in range(0, len(pairs), batch):
        rows = range(start, min(start + batch, len(pairs)))
        pictures = [
            cv2.resize(pairs.pictures[i], (form.width, form.height), interpolation=cv2.INTER_AREA) for i in rows
        ]
        views = torch.from_numpy(np.stack([view_numbers(kept_look(pairs, i).camera) for i in rows])).to(device)
        exo = torch.from_numpy(hands[rows.start : rows.stop]).to(device)
        known = exo.isfinite().all(-1).all(-1).float()
        stacked = torch.from_numpy(np.stack(pictures)).to(device).permute(0, 3, 1, 2).float()
        prediction = network(stacked, views, exo.nan_to_num(), known)
        parts.append([part.cpu() for part in prediction])
    return Prediction(*(torch.cat(column) for column in zip(*parts, strict=True)))


def measures(network: nn.Module, pairs: Pairs, form: Form, mean: Float64Array) -> dict[str, float]:
    """Medians over the samples, hands in mm: `mpjpe`, by side and of the mean pose too, `pa_mpjpe`; the error of X from
    P_exo as the network is told it and the estimated P_ego, `x_deg` and `x_cm`; `mpjpe_head`, `x_deg_head` and
    `x_cm_head` of those whose picture shows the head; `mpjpe_alone` of the network that is told nothing; and
    `calibration`, the root mean square of errors over expected deviations, which should be 1."""
    rng = np.random.default_rng(0)
    hands = np.stack([_estimated(kept_look(pairs, index), rng) for index in range(len(pairs))])
    alone = predict(network, pairs, form, np.full_like(hands, np.nan)).keypoints.double().numpy()
    prediction = predict(network, pairs, form, hands)
    estimate = prediction.keypoints.double().numpy()
    labelled: NDArray[np.bool_] = np.asarray(np.isfinite(pairs.ego).all(axis=(2, 3)))
    rows = np.flatnonzero(labelled.any(axis=1))
    head = np.array([sees_head(pairs, int(row)) for row in rows], bool)
    error = 1000 * np.linalg.norm(estimate - pairs.ego, axis=3).mean(axis=2)
    constant = 1000 * np.linalg.norm(mean - pairs.ego, axis=3).mean(axis=2)
    seen = labelled & np.isfinite(hands).all(axis=(2, 3))
    turns = [_x_error(estimate[i], hands[i], pairs, int(i), seen[i]) for i in rows]
    degrees, centimetres = np.array(turns).T
    shapes = [pa_mpjpe(estimate[i], pairs.ego[i]) for i in zip(*np.nonzero(labelled), strict=True)]
    square = np.square(estimate - pairs.ego).mean(axis=(2, 3)) / prediction.log_variance.double().exp().numpy()
    errors = {
        "mpjpe": error[labelled],
        "mpjpe_mean_pose": constant[labelled],
        **{f"mpjpe_{side}": error[labelled[:, i], i] for i, side in enumerate(SIDES)},
        "mpjpe_alone": (1000 * np.linalg.norm(alone - pairs.ego, axis=3).mean(axis=2))[labelled],
        "mpjpe_head": error[rows[head]][labelled[rows[head]]],
        "pa_mpjpe": 1000 * np.array(shapes),
        **{"x_deg": degrees, "x_cm": centimetres, "x_deg_head": degrees[head], "x_cm_head": centimetres[head]},
    }
    medians = {name: float(np.nanmedian(values)) for name, values in errors.items() if np.isfinite(values).any()}
    return {**medians, "calibration": float(np.sqrt(square[labelled].mean()))}


def sees_head(pairs: Pairs, index: int) -> bool:
    """Whether a ball around the person's camera, which is as large as a head, lies in the picture."""
    look = kept_look(pairs, index)
    x, y, z = look.T_exo_ego[:3, 3]
    right, below, left, above = view_numbers(look.camera) * z
    return bool(z > 0 and _HEAD - left < x < right - _HEAD and _HEAD - above < y < below - _HEAD)


def _estimated(look: Look, rng: np.random.Generator) -> FloatArray:
    """P_exo of the hands in the picture as `told` gives it, NaN of the others."""
    seen = in_picture(look.camera, look.exo)
    return np.where(seen[:, None, None], told(look.exo, seen, rng)["told"], np.float32(np.nan))


def _x_error(
    ego: Float64Array, exo: FloatArray, pairs: Pairs, index: int, hands: NDArray[np.bool_]
) -> tuple[float, float]:
    """Degrees between the directions, centimetres between the eyes; NaN without hands."""
    if not hands.any():
        return math.nan, math.nan
    T_ego_exo = align(exo[hands].reshape(-1, 3).astype(np.float64), ego[hands].reshape(-1, 3)).matrix
    metres, radians = pose_error(rigid.invert(T_ego_exo), rigid.invert(pairs.T_ego_exo[index]))
    return float(np.degrees(radians)), 100 * metres
