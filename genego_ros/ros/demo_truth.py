"""How far the demo's output is from the truth, where its input is a bag that knows it: topics below /truth, as
`genego convert` writes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from genego_ros.data.bag_storage import is_bag
from genego_ros.data.bag_topics import EGO_HANDS, EGO_PREFIX, EXO_HANDS
from genego_ros.data.bags import BagInfo, inspect_bag
from genego_ros.geometry.camera import as_seen_by
from genego_ros.geometry.picture_errors import psnr, ssim
from genego_ros.geometry.pose_errors import mpjpe, pa_mpjpe, pose_error
from genego_ros.ros import conversions
from genego_ros.ros.camera_topics import CameraTopics
from genego_ros.ros.recorded_moments import Moments, read_messages, read_moments
from genego_ros.types import SIDES, Array, ByteArray, Camera, Hand

_EGO_PICTURES = (f"{EGO_PREFIX}/image_raw", f"{EGO_PREFIX}/image_raw/compressed")
_EGO_INFO = f"{EGO_PREFIX}/camera_info"
_IN_PICTURE = 11
"""Keypoints of a hand that must lie in the picture for it to count as one that can be found."""


def compare(source: Path, out: Path, prefix: str, camera: CameraTopics) -> dict[str, Any]:
    """The errors of the recording in `out`, whose nodes publish below `prefix`; empty where the source knows no truth.

    Of hands and poses the median, of pictures the mean, over the frames that were processed.
    """
    if not (bag := _bag_with_truth(source)):
        return {}
    output = inspect_bag(out / "output.mcap")
    truth = read_moments(bag, EXO_HANDS, EGO_HANDS)
    found = read_moments(output, f"{prefix}/exo/hands", f"{prefix}/ego/hands")
    return {
        "hands": _hand_errors(found, truth, _picture_size(output, camera.camera_info)),
        "ego_pose": _pose_errors(found, truth),
        "image": _image_errors(bag, output, prefix),
    }


def truth_pictures(source: Path, stamps: Collection[int]) -> dict[int, ByteArray]:
    """What the person's own camera saw at those times, as far as the source knows it."""
    if not (bag := _bag_with_truth(source)):
        return {}
    return {stamp: _decoded(message) for stamp, _, message in read_messages(bag, _EGO_PICTURES, stamps)}


def lines(truth: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The errors for a person: names and values."""
    if not truth:
        return []
    told = []
    hands, pose, image = truth["hands"], truth["ego_pose"], truth["image"]
    for side, of_side in hands["by_side"].items():
        told.append((f"{side} hand found where it can be seen", f"{of_side['found']} of {of_side['visible']}"))
    if hands["compared"]:
        text = "{mpjpe_cm:.1f} cm a joint, wrist {wrist_cm:.1f} cm, shape {pa_mpjpe_mm:.1f} mm (PA-MPJPE)"
        told.append(("hands off by (median)", text.format(**hands)))
    if pose["frames"]:
        told.append(("ego pose off by (median)", "{translation_cm:.1f} cm, {rotation_deg:.1f} degrees".format(**pose)))
    for which, scores in image.items():
        if scores["frames"]:
            told.append((f"ego image, {which} pixels (mean)", "PSNR {psnr:.2f} dB, SSIM {ssim:.3f}".format(**scores)))
    return told


def _bag_with_truth(source: Path) -> BagInfo | None:
    if not is_bag(source):
        return None
    bag = inspect_bag(source)
    kinds = {"genego_ros/msg/HandArray", "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"}
    known = {topic.name for topic in bag.topics if topic.type in kinds}
    return bag if {EXO_HANDS, *_EGO_PICTURES} & known else None


def _picture_size(output: BagInfo, camera_info: str) -> tuple[int, int] | None:
    info = next((message for _, _, message in read_messages(output, (camera_info,))), None)
    return (info.width, info.height) if info else None


def _hand_errors(found: Moments, truth: Moments, size: tuple[int, int] | None) -> dict[str, Any]:
    by_side = {side: {"visible": 0, "found": 0} for side in SIDES}
    errors: list[tuple[float, float, float]] = []
    in_ego: list[float] = []
    for stamp in found.exo.keys() & truth.exo.keys():
        for side, hand in truth.exo[stamp].items():
            by_side[side]["visible"] += (visible := _can_be_seen(hand, size))
            if (estimate := found.exo[stamp].get(side)) is None:
                continue
            by_side[side]["found"] += visible
            a, b = estimate.keypoints, hand.keypoints
            errors.append((mpjpe(a, b), mpjpe(a[:1], b[:1]), pa_mpjpe(a, b)))
            with suppress(KeyError):  # neither side has hands in the ego frame while there is no viewpoint
                in_ego.append(mpjpe(found.ego[stamp][side].keypoints, truth.ego[stamp][side].keypoints))
    joints, wrists, shapes = zip(*errors, strict=True) if errors else ((), (), ())
    return {
        "by_side": by_side,
        "compared": len(errors),
        "mpjpe_cm": _median(joints, 100),
        "wrist_cm": _median(wrists, 100),
        "pa_mpjpe_mm": _median(shapes, 1000),
        "ego_mpjpe_cm": _median(in_ego, 100),
    }


def _can_be_seen(hand: Hand, size: tuple[int, int] | None) -> bool:
    """Whether most of it lies in the picture; anything may still stand before it."""
    if size is None:
        return True
    pixels = hand.keypoints_2d
    inside = (pixels > -0.5).all(axis=1) & (pixels < np.array(size) - 0.5).all(axis=1)  # False for NaN
    return int(inside.sum()) >= _IN_PICTURE


def _pose_errors(found: Moments, truth: Moments) -> dict[str, Any]:
    errors = []
    for stamp in found.exo:
        parent, T_exo_ego = found.moving.get((found.ego_frame, stamp), ("", np.eye(4)))
        if parent != found.exo_frame:  # no viewpoint, or one that TF was told by others
            continue
        true = truth.ego_pose(stamp)
        true = truth.ego_pose_of_hands(stamp) if true is None else true
        if true is not None:
            errors.append(pose_error(T_exo_ego, true))
    return {
        "frames": len(errors),
        "translation_cm": _median([error.translation for error in errors], 100),
        "rotation_deg": _median([error.rotation for error in errors], np.degrees(1.0)),
    }


def _image_errors(bag: BagInfo, output: BagInfo, prefix: str) -> dict[str, Any]:
    views, seen, camera = _views(output, prefix)
    true_info = next((message for _, _, message in read_messages(bag, (_EGO_INFO,))), None)
    everywhere: list[tuple[float, float]] = []
    where_seen: list[tuple[float, float]] = []
    for stamp, _, message in read_messages(bag, _EGO_PICTURES, views):
        view, picture = conversions.from_compressed(views[stamp]), _decoded(message)
        wanted = camera or Camera.from_hfov(view.shape[1], view.shape[0], 90.0)
        true_camera = conversions.from_camera_info(true_info) if true_info else wanted.resized(*picture.shape[1::-1])
        truth, known = as_seen_by(picture, true_camera, wanted)
        in_view = np.unpackbits(seen[stamp], count=known.size).reshape(known.shape).astype(bool)
        for mask, scores in ((known, everywhere), (known & in_view, where_seen)):
            if mask.any():
                scores.append((psnr(truth, view, mask), ssim(truth, view, mask)))
    return {"all": _mean_scores(everywhere), "seen": _mean_scores(where_seen)}


def _mean_scores(scores: Sequence[tuple[float, float]]) -> dict[str, Any]:
    if not scores:
        return {"frames": 0, "psnr": None, "ssim": None}
    psnr_mean, ssim_mean = np.nanmean(scores, axis=0).round(4).tolist()
    return {"frames": len(scores), "psnr": psnr_mean, "ssim": ssim_mean}


def _views(output: BagInfo, prefix: str) -> tuple[dict[int, Any], dict[int, Array], Camera | None]:
    """By stamp ego/image, and ego/seen packed to bits, of the frames that have both; and K_ego."""
    image, mask, info = f"{prefix}/ego/image/compressed", f"{prefix}/ego/seen", f"{prefix}/ego/camera_info"
    views: dict[int, Any] = {}
    seen: dict[int, Array] = {}
    camera = None
    for stamp, topic, message in read_messages(output, (image, mask, info)):
        if topic == image:
            views[stamp] = message
        elif topic == mask:
            seen[stamp] = np.packbits(conversions.mask_from_image(message))
        else:
            camera = conversions.from_camera_info(message)
    return {stamp: view for stamp, view in views.items() if stamp in seen}, seen, camera


def _decoded(message: Any) -> ByteArray:
    compressed = hasattr(message, "format")
    return conversions.from_compressed(message) if compressed else conversions.from_image(message)


def _median(values: Sequence[float], unit: float) -> float | None:
    return round(unit * median(values), 3) if values else None
