"""`genego convert`: recordings of a data set as bags that `genego play` and `ros2 bag play` replay."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tqdm import tqdm

from genego_ros.data.bags import BagWriteError
from genego_ros.data.convert import bag_name, convert, recordings
from genego_ros.data.fingerprint import fingerprint
from genego_ros.data.h2o import H2O
from genego_ros.data.sample import Dataset
from genego_ros.data.sample_messages import PSNR_DB
from genego_ros.data.taco import TACO
from genego_ros.errors import GenEgoError

DATASETS = ("h2o", "taco")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", choices=DATASETS, help="in whose format the recordings are")
    parser.add_argument("source", type=Path, metavar="SRC", help="the data set's folder")
    parser.add_argument("--out", type=Path, required=True, help="folder for the bags, one a recording")
    parser.add_argument(
        "--camera",
        help="the third-person camera (default: the first of every recording); h2o: recordings without it are left out",
    )
    parser.add_argument(
        "--psnr", type=float, default=PSNR_DB, metavar="DB", help="what jpegs must reach (default %(default)g)"
    )
    parser.add_argument("--mano", type=Path, metavar="DIR", help="taco: MANO's files, without which hands are left out")
    pictures = parser.add_mutually_exclusive_group()
    pictures.add_argument("--raw", action="store_true", help="pictures as they are; large")
    pictures.add_argument(
        "--compressed", dest="raw", action="store_false", help="jpeg, and png for depth; this is the default"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the bags that are not there yet; 1 where a recording could not be read.

    Raises:
        GenEgoError: no such data set or camera, or the disk is full.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it, too, leaves nothing half-written
    if not 0 < args.psnr <= 60:
        raise GenEgoError(f"--psnr {args.psnr:g}: give decibels above 0, at most 60; --raw keeps pictures as they are")
    dataset = _open(args)
    found = recordings(dataset, args.camera)
    failed = 0
    with tqdm(total=sum(map(len, found.values())), unit="frame", file=sys.stderr) as bar:
        for indices in found.values():
            path, end = args.out / bag_name(dataset.ids[indices[0]]), bar.n + len(indices)
            try:
                # A video is decoded frame after frame.
                in_threads = args.dataset != "taco"
                files = fingerprint(args.source, dataset.ids[indices[0]].sequence)
                new = convert(dataset, indices, path, args.dataset, args.raw, args.psnr, in_threads, bar.update, files)
                bar.write(f"{path}: {len(indices)} frames" + ("" if new else ", there already"))
            except BagWriteError:
                raise  # the next one could not be written either
            except GenEgoError as error:
                failed += 1
                bar.write(f"{path}: not made: {error}", file=sys.stderr)
            bar.update(end - bar.n)
    if failed:
        others = "the others are whole" if failed < len(found) else "there is no bag of any"
        raise GenEgoError(f"{failed} of {len(found)} recordings could not be converted, see above; {others}")
    return 0


def _open(args: argparse.Namespace) -> Dataset:
    cameras = [args.camera] if args.camera else None
    if args.dataset == "taco":
        return TACO(args.source, cameras, mano=args.mano)
    if args.mano:
        raise GenEgoError("--mano belongs to taco; the recordings of h2o bring their keypoints along")
    return H2O(args.source, cameras, ego_depth=False)
