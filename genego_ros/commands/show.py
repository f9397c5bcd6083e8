"""`genego show`: frames, hands, depth and reprojection of samples or a bag, for a person to look at."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genego_ros.data.bag_storage import is_bag
from genego_ros.data.datasets import open_named
from genego_ros.data.sample import Sample, View
from genego_ros.data.sheet import captioned, contact_sheet, depth_picture, drawn, save_picture
from genego_ros.errors import GenEgoError
from genego_ros.geometry.camera import project, unproject
from genego_ros.geometry.splatting import splat
from genego_ros.types import KEYPOINTS, SIDES, ByteArray, FloatArray, Hand

ROWS = 12
"""Samples of a data set or a bag, spread over it."""
TITLES = ("exo and hands", "ego and hands", "exo depth", "ego depth", "exo cloud in the ego view")
_NEAR, _FAR = 0.1, 8.0
"""Metres; depth outside of it is not reprojected."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        type=Path,
        metavar="SAMPLE|BAG|DIR",
        help="a folder of recordings, a recording, a sample (FOLDER/subject1/h1/0/cam2/000012), or a bag",
    )
    parser.add_argument("--out", type=Path, default=Path("sheet.png"), help="the picture to write (png)")


def run(arguments: argparse.Namespace) -> int:
    """Writes one sheet, a row for a sample.

    Raises:
        GenEgoError: nothing of that name, a damaged file, or the sheet cannot be written.
    """
    what, out = arguments.what, arguments.out
    titles: Sequence[str]
    if not out.absolute().parent.is_dir() or out.suffix != ".png":
        raise GenEgoError(f"'{out}' cannot be written: a .png in a folder that exists is wanted")
    if is_bag(what):
        from genego_ros.ros.bag_sheet import bag_rows

        titles, rows = bag_rows(what, ROWS)
    else:
        titles, rows = TITLES, _dataset_rows(what)
    save_picture(out, contact_sheet(titles, rows))
    print(f"{len(rows)} of {what} written to {out}")
    return 0


def _dataset_rows(what: Path) -> list[list[ByteArray]]:
    dataset, id = open_named(what)
    if id is not None:
        return [sample_row(dataset.sample(id))]
    chosen = np.unique(np.linspace(0, len(dataset) - 1, ROWS).round().astype(int))
    return [sample_row(dataset[int(index)]) for index in chosen]


def sample_row(sample: Sample) -> list[ByteArray]:
    """Pictures under `TITLES`, each uint8 (H, W, 3) RGB; black where the data set has no depth."""
    exo, ego = sample.exo[0], sample.ego
    told = ", ".join(filter(None, (str(sample.id), sample.verb_name, sample.object_name)))
    return [
        captioned(with_hands(exo), told),
        with_hands(ego),
        _depth(exo.frame.depth, exo.frame.rgb),
        _depth(ego.frame.depth, ego.frame.rgb),
        reprojection(sample),
    ]


def with_hands(view: View) -> ByteArray:
    """The view's picture with its true hands drawn in."""
    hands = []
    for side, keypoints in zip(SIDES, view.keypoints, strict=True):
        if view.has_hand(side):
            pixels, _ = project(keypoints, view.frame.camera)
            scores = np.ones(KEYPOINTS, np.float32)
            points = (keypoints.astype(np.float32), pixels.astype(np.float32))
            hands.append(Hand(side, 1.0, *points, scores, "truth"))
    return drawn(view.frame.rgb, hands)


def reprojection(sample: Sample) -> ByteArray:
    """What the ego camera would see of the exo cloud by the recording's own X; black where nothing landed."""
    exo, ego = sample.exo[0].frame, sample.ego.frame
    if exo.depth is None:
        return np.zeros_like(ego.rgb)
    cloud = unproject(exo.depth, exo.rgb, exo.camera, _NEAR, _FAR)
    return splat(cloud, sample.T_ego_exo, ego.camera).rgb


def _depth(depth: FloatArray | None, rgb: ByteArray) -> ByteArray:
    return np.zeros_like(rgb) if depth is None else depth_picture(depth)
