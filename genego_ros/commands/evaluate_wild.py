"""`./genego evaluate wild`: both stages on photos without truth, to look at and to count."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from tqdm import tqdm

from genego_ros.commands.image import make_folder, read_frame
from genego_ros.data.encoding import png
from genego_ros.data.file_order import by_number
from genego_ros.errors import GenEgoError
from genego_ros.evaluation.store import save
from genego_ros.evaluation.wild import look, markdown, sheet
from genego_ros.genego import GenEgo
from genego_ros.parameters import InputParameters, Parameters, parse_assignments

_ENDINGS = (".jpg", ".jpeg", ".png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", type=Path, metavar="DIR", help="a folder of third-person photos, jpg or png")
    parser.add_argument("--out", type=Path, default=Path("out/wild"), metavar="DIR", help="folder for what comes out")
    parser.add_argument("--skip-damaged", action="store_true", help="leave out, and name, photos that cannot be read")
    parser.add_argument("parameters", nargs="*", metavar="name:=value", help="parameters, for example device:=cpu")
    # argparse gives positionals to the first gap between options alone; those after it come as `further`.
    parser.set_defaults(further=[])


def run(args: argparse.Namespace) -> int:
    """Writes wild.md, wild.json and sheet.png.

    Raises:
        GenEgoError: no such folder, no photo in it, one that cannot be read and is not to be skipped, a backend or its
            weights are missing, the folder cannot be written.
    """
    parameters = Parameters.from_mapping(parse_assignments([*args.further, *args.parameters]))
    # Each photo by itself: the one before is of other people.
    parameters = parameters.changed({"reconstruction.smoothing_s": 0.0})
    if args.out.resolve() == args.photos.resolve():
        raise GenEgoError(f"--out is {args.photos} itself, where sheet.png would pass for a photo: choose another one")
    photos, skipped = _readable(_photos(args.photos), args.skip_damaged, parameters.input)
    make_folder(args.out)
    command = "./genego " + shlex.join(sys.argv[1:])
    with GenEgo(parameters) as genego:
        looks = [
            look(genego, read_frame(photo, None, None, parameters.input), photo.name)
            for photo in tqdm(photos, "looking", unit="photo", disable=None)
        ]
    text = markdown(looks, skipped, command)
    as_json = {"photos": {one.name: one.numbers for one in looks}, "skipped": skipped}
    save(args.out / "sheet.png", png(sheet(looks)))
    save(args.out / "wild.md", text.encode())
    save(args.out / "wild.json", (json.dumps(as_json, indent=1, allow_nan=False) + "\n").encode())
    print(text)
    print(f"written to {args.out}")
    return 0


def _photos(folder: Path) -> list[Path]:
    """By their names' numbers.

    Raises:
        GenEgoError: no such folder, or no photo in it.
    """
    if not folder.is_dir():
        raise GenEgoError(f"{folder}: no such folder; give one with photos, jpg or png")
    photos = [path for path in sorted(folder.iterdir(), key=by_number) if path.suffix.lower() in _ENDINGS]
    if not photos:
        raise GenEgoError(f"{folder}: no photo in this folder; jpg and png are looked for, folders in it are not")
    return photos


def _readable(photos: list[Path], skip: bool, without: InputParameters) -> tuple[list[Path], dict[str, str]]:
    """Those that can be read, and of the others why not; looked at before anything is made of the first.

    Raises:
        GenEgoError: one cannot be read, and `skip` does not allow that; or none can.
    """
    damaged = {}
    for photo in tqdm(photos, "reading", unit="photo", disable=None):
        try:
            read_frame(photo, None, None, without)
        except GenEgoError as error:
            damaged[photo.name] = str(error)
    left = [photo for photo in photos if photo.name not in damaged]
    if damaged and not (skip and left):
        cure = "take them out, or leave them to --skip-damaged" if left else "there is no other photo in this folder"
        raise GenEgoError(
            f"{len(damaged)} of {len(photos)} photos cannot be read: {', '.join(damaged)}; {cure} "
            f"({next(iter(damaged.values()))})"
        )
    return left, damaged
