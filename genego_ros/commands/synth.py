"""`genego synth OUT`: renders recordings of people at work with their hands, in H2O's folder format."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from genego_ros.data.h2o_format import CAMERAS
from genego_ros.data.synthetic.recipe import AMOUNTS, Recipe, rendered_h2o, sequences
from genego_ros.data.synthetic.rendering import render
from genego_ros.errors import GenEgoError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, help="folder for the recordings; what lies there already is not done again")
    parser.add_argument("--recipe", choices=sorted(AMOUNTS), help="rendered-H2O with its splits, seeds fixed")
    parser.add_argument("--sequences", type=int, metavar="N", help="recordings (default 4)")
    parser.add_argument("--frames", type=int, metavar="M", help="frames a recording (default 90)")
    parser.add_argument("--seed", type=int, metavar="S", help="another seed, other recordings (default 0)")
    parser.add_argument("--rate", type=float, metavar="HZ", help="frames a second (default 30)")
    parser.add_argument("--cameras", metavar="0,2,4", help="of 0 to 4; 4 is on the head (default all)")
    parser.add_argument("--size", default="640x360", metavar="WxH", help="of the pictures (default 640x360)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default one a core)")
    parser.add_argument(
        "--renderer",
        choices=("raster", "cycles"),
        help="fast, or path traced (default raster, or what the recipe says)",
    )


def run(args: argparse.Namespace) -> int:
    """Renders what is missing in the folder.

    Raises:
        GenEgoError: numbers that make no sense, a folder that holds something else, a missing renderer, a full disk.
    """
    size = parse_size(args.size)
    if args.workers < 1:
        raise GenEgoError(f"--workers {args.workers}: at least 1 is needed")
    recipe = chosen_recipe(args)
    render(recipe, args.out, size, args.workers)
    print(f"{recipe.name}: {len(recipe.recordings)} recordings in {args.out}")
    for name, ids in recipe.splits.lists.items() if recipe.splits else ():
        print(f"  {name}: {len(ids)} pairs")
    return 0


def chosen_recipe(args: argparse.Namespace) -> Recipe:
    """The recipe that the arguments name.

    Raises:
        GenEgoError: a recipe with numbers of one's own beside it.
    """
    own = {name: getattr(args, name) for name in ("sequences", "frames", "seed", "rate", "cameras")}
    given = {name: value for name, value in own.items() if value is not None}
    if args.recipe:
        if given:
            raise GenEgoError(f"--recipe {args.recipe} fixes --{', --'.join(given)}: leave them out")
        return rendered_h2o(args.recipe, args.renderer)
    return sequences(
        count=given.get("sequences", 4),
        frames=given.get("frames", 90),
        seed=given.get("seed", 0),
        cameras=[f"cam{number}" for number in given["cameras"].split(",")] if "cameras" in given else CAMERAS,
        renderer=args.renderer or "raster",
        rate_hz=given.get("rate", 30.0),
    )


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of "640x360".

    Raises:
        GenEgoError: it is no size, or a picture too small to show a hand.
    """
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()) or not all(32 <= int(side) <= 4096 for side in (width, height)):
        raise GenEgoError(f"--size {text}: give width and height in pixels, 32 to 4096, such as 640x360")
    return int(width), int(height)
