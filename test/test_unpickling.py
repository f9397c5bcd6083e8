"""Pickles of strangers: data comes out, and nothing that they name is ever run."""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import sys
import types
import zipfile
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csc_matrix

from genego_ros.data.unpickling import StandIn, load_pickle, loads
from genego_ros.errors import GenEgoError

RECONSTRUCT = np.arange(1).__reduce__()[0]  # type: ignore[operator]
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def saved(value: object, zipped: bool) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_of_numpy_and_scipy_come_back(protocol: int) -> None:
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(4, 5)) * (rng.random((4, 5)) < 0.4)
    value = {
        "floats": rng.normal(size=(3, 4, 2)),
        "columns": np.asfortranarray(rng.integers(0, 9, (3, 4))),
        "big-endian": rng.normal(size=5).astype(">f4"),
        "truths": np.array([True, False]),
        "texts": np.array(["left", "right"]),
        "scalar": np.float32(1.25),
        "empty": np.zeros((0, 3)),
        "plain": [1, 2.5, None, ("a", b"b"), {3}, frozenset({4}), OrderedDict(x=1)],
        "sparse": csc_matrix(dense),
    }
    found = loads(pickle.dumps(value, protocol), "-")
    for name in ("floats", "columns", "big-endian", "truths", "texts", "empty"):
        np.testing.assert_array_equal(found[name], value[name])  # type: ignore[call-overload]
        assert type(found[name]) is np.ndarray and found[name].dtype == value[name].dtype  # type: ignore[attr-defined]
        assert found[name].flags.writeable
    assert found["scalar"] == np.float32(1.25) and found["plain"] == value["plain"]
    np.testing.assert_array_equal(found["sparse"].toarray(), dense)


def test_one_object_that_is_named_twice_stays_one() -> None:
    array, loop = np.arange(3), []
    loop.append(loop)
    found = loads(pickle.dumps([array, array, loop]), "-")
    assert found[0] is found[1] and found[2][0] is found[2]


@pytest.mark.parametrize("stored", [lambda v: saved(v, True), lambda v: saved(v, False), pickle.dumps])
def test_tensors_come_back_on_the_cpu(stored: Callable[[object], bytes]) -> None:
    grid = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    value = {
        "view": grid.T[1:3],
        "same": grid,
        "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "whole": torch.tensor(7),
        "none": torch.empty(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2, 2, dtype=torch.float64)),
        "unsigned": torch.tensor([1, 65535], dtype=torch.uint16),
        "layers": OrderedDict(weight=torch.tensor([True, False])),
        "array": np.arange(3),
    }
    found = loads(stored(value), "-")
    assert torch.equal(found["view"], value["view"]) and torch.equal(found["same"], grid)
    assert found["half"].dtype == torch.bfloat16 and found["half"].tolist() == [1.5, -2.0]
    assert found["whole"].item() == 7 and found["none"].shape == (0, 3)
    assert torch.equal(found["parameter"], torch.ones(2, 2, dtype=torch.float64))
    assert found["unsigned"].tolist() == [1, 65535]
    assert found["layers"]["weight"].tolist() == [True, False]
    np.testing.assert_array_equal(found["array"], np.arange(3))
    assert {found[name].device.type for name in ("view", "half", "whole")} == {"cpu"}


def test_tensors_that_were_on_a_gpu_come_back_on_the_cpu() -> None:
    data = saved(torch.arange(3.0), False).replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    assert b"cuda:0" in data
    assert loads(data, "-").tolist() == [0.0, 1.0, 2.0]


def as_python_2_wrote(name: bytes, value: float) -> bytes:
    """{name: array([value])} of protocol 2 with the byte strings that Python 2 had."""

    def text(raw: bytes) -> bytes:
        return b"U" + bytes([len(raw)]) + raw

    dtype = b"cnumpy\ndtype\n" + text(b"f8") + b"K\x00K\x01\x87R(K\x03" + text(b"<") + b"NNNJ\xff\xff\xff\xff"
    dtype += b"J\xff\xff\xff\xffK\x00tb"
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    state = b"(K\x01K\x01\x85" + dtype + b"\x89" + text(np.float64(value).tobytes()) + b"tb"
    return b"\x80\x02}" + text(name) + made + state + b"s."


def test_arrays_of_python_2_come_back() -> None:
    found = loads(as_python_2_wrote(b"f", -0.7), "-")
    assert found["f"].tolist() == [-0.7]


@pytest.fixture
def chumpy(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Classes of chumpy's names, which pickle as chumpy's do and are not there while reading."""

    def kind(module: str, name: str) -> type:
        made = type(name, (), {"__module__": module})
        holder = sys.modules.get(module) or types.ModuleType(module)
        monkeypatch.setitem(sys.modules, module, holder)
        setattr(holder, name, made)
        return made

    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    return types.SimpleNamespace(Ch=kind("chumpy.ch", "Ch"), Select=kind("chumpy.reordering", "Select"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_chumpy_s_values_are_plain_arrays(chumpy: types.SimpleNamespace, protocol: int) -> None:
    base = chumpy.Ch()
    base.__dict__.update(x=np.arange(12.0).reshape(3, 4), _dirty_vars={"x"}, _itr=None)
    select = chumpy.Select()
    select.__dict__.update(a=base, idxs=np.array([11, 0, 5, 5]), preferred_shape=(2, 2), _itr=None)
    data = pickle.dumps({"shapedirs": select, "base": base}, protocol)
    for name in ("chumpy", "chumpy.ch", "chumpy.reordering"):
        del sys.modules[name]
    found = loads(data, "-")
    np.testing.assert_array_equal(found["shapedirs"], [[11, 0], [5, 5]])
    np.testing.assert_array_equal(found["base"], np.arange(12.0).reshape(3, 4))


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *args: Any, state: Any = None) -> None:
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self) -> tuple:
        return self.reduced


class Settings(dict):
    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.rate = 1e-4


def hostile(mark: Path) -> dict[str, bytes]:
    command = f"touch {mark}"
    nested = pickle.dumps(Call(os.system, command))
    code = f"open({str(mark)!r}, 'w').close()"
    eval_global = f"cbuiltins\neval\n(S{code!r}\ntR.".encode()
    tensor = saved(Call(os.system, command), True)
    return {
        "os.system": nested,
        "eval": pickle.dumps(Call(eval, code)),
        "exec of protocol 0": eval_global,
        "getattr": pickle.dumps(Call(getattr, os, "system"))
        if False
        else b"cbuiltins\ngetattr\n(cos\n__name__\nS'x'\ntR.",
        "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0c_core.os.abc\x93.",
        "a module's module": b"\x80\x04\x8c\x0bgenego_ros.x\x8c\x0dos.path.join\x93.",
        "copyreg": b"ccopyreg\n_reconstructor\n(cbuiltins\nCall\ncbuiltins\nobject\nNtR.",
        "copyreg of a tuple": b"ccopyreg\n_reconstructor\n(ctorch\nSize\ncbuiltins\nobject\nNtR.",
        "the extension registry": b"\x80\x02ccopyreg\nadd_extension\n(S'os'\nS'system'\nK\x01tR\x82\x01.",
        "in a dict": pickle.dumps({"a": [Call(os.system, command)]}),
        "as a state": pickle.dumps(Call(OrderedDict, state={"x": Call(os.system, command)})),
        "in torch.save": tensor,
        "in old torch.save": saved(Call(os.system, command), False),
        "in a tensor's storage": pickle.dumps(Call(torch.storage._load_from_bytes, nested)),  # type: ignore[attr-defined]
        "as a rebuilding function": pickle.dumps(
            Call(torch._tensor._rebuild_from_type_v2, os.system, str, (command,), {})
        ),
        "numpy's load": pickle.dumps(Call(np.load, "x.npy")),
        "numpy's array class": pickle.dumps(Call(np.ndarray, (2, 2))),
        "a function itself": pickle.dumps({"f": np.ndarray}),
        "INST": b"(S'" + command.encode() + b"'\nios\nsystem\n.",
        "OBJ": b"\x80\x02(cos\nsystem\nX\x01\x00\x00\x00ao.",
        "something outside": b"Pdata\n.",
        "a change of a function": b"\x80\x02c_codecs\nencode\nN}X\x0c\x00\x00\x00__defaults__)s\x86b.",
        "a change of a type": b"\x80\x02ctorch\nFloatStorage\n}X\x05\x00\x00\x00dtypeX\x04\x00\x00\x00loadsb.",
        "a change of a class": b"\x80\x02cnumpy\ndtype\n}X\x04\x00\x00\x00thawK\x01sb.",
    }


HOSTILE = sorted(hostile(Path("mark")))


@pytest.mark.parametrize("stand_ins", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_that_a_pickle_names_is_run(
    tmp_path: Path, name: str, stand_ins: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, path = tmp_path / "mark", tmp_path / "hostile.pkl"
    path.write_bytes(hostile(mark)[name])
    imported = set(sys.modules)
    registered = dict(copyreg._extension_registry)  # type: ignore[attr-defined]
    try:
        load_pickle(path, stand_ins)
    except GenEgoError as error:
        assert str(error).startswith(str(path))
    else:
        assert stand_ins
    assert not mark.exists()
    assert dict(copyreg._extension_registry) == registered  # type: ignore[attr-defined]
    assert loads(pickle.dumps(b"\xff", 2), "-") == b"\xff" and loads(saved(torch.ones(2), True), "-").tolist() == [1, 1]
    assert not {module for module in set(sys.modules) - imported if "genego" in module}


def test_of_a_checkpoint_the_part_that_is_wanted_is_read_alone(tmp_path: Path) -> None:
    """The optimizer's tensor is cut short, which nobody notices who does not read it."""
    whole, path = tmp_path / "whole.ckpt", tmp_path / "cut.ckpt"
    torch.save({"state_dict": {"a": torch.arange(3.0)}, "optimizer": torch.arange(4.0), "lr": Namespace()}, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as cut:
        for name in source.namelist():
            cut.writestr(name, source.read(name)[: 8 if name.endswith("data/1") else None])
    found = load_pickle(path, stand_ins=True, part="state_dict")
    assert list(found) == ["state_dict"] and found["state_dict"]["a"].tolist() == [0, 1, 2]
    with pytest.raises(GenEgoError, match=r"cut\.ckpt: holds 8 bytes where a tensor has 16"):
        load_pickle(path, stand_ins=True)
    assert load_pickle(whole, stand_ins=True, part="elsewhere").keys() == {"state_dict", "optimizer", "lr"}


def test_what_is_refused_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(Call(os.system, "true")))
    with pytest.raises(GenEgoError, match=r"x\.pkl: names '(posix|nt)\.system', which is not data; it was not loaded"):
        load_pickle(path)


@pytest.mark.parametrize("stored", [lambda v: saved(v, True), lambda v: saved(v, False), pickle.dumps])
def test_a_checkpoint_s_settings_become_stand_ins(stored: Callable[[object], bytes]) -> None:
    data = stored({"state_dict": {"weight": torch.ones(2)}, "hyper": Settings(steps=20), "kind": Settings})
    with pytest.raises(GenEgoError, match=r"names '.*Settings', which is not data"):
        loads(data, "-")
    found = loads(data, "-", stand_ins=True)
    assert found["state_dict"]["weight"].tolist() == [1.0, 1.0]
    stand_in = found["hyper"]
    assert isinstance(stand_in, StandIn) and stand_in.name.endswith("Settings")
    assert (stand_in.items, stand_in.state) == ([("steps", 20)], {"rate": 1e-4})
    assert not isinstance(stand_in, dict) and repr(stand_in).startswith("<stand-in for ")


def array_of(dtype: object, shape: object, raw: object) -> bytes:
    made = Call(RECONSTRUCT, np.ndarray, (0,), b"b", state=(1, shape, dtype, False, raw))
    return pickle.dumps(made)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (array_of(np.dtype("O"), (1,), b"\x41" * 8), "not plain numbers"),
        (array_of(np.dtype([("a", "f4")]), (1,), b"\x41" * 4), "not plain numbers"),
        (array_of(np.dtype("f8"), (1 << 40,), b"\x00" * 8), "no readable pickle"),
        (array_of(np.dtype("f8"), (-1,), b"\x00" * 8), "shape"),
        (array_of(np.dtype("f8"), (1,), ["/"]), "an array of objects"),
        (array_of("f8", (1,), b"\x00" * 8), "without a type"),
        (pickle.dumps(np.array([1, "a"], object)), "an array of objects"),
        (saved(torch.arange(4.0), True)[:-40], "no readable pickle"),
        (saved(torch.arange(4.0), False)[:-4], "is cut off"),
        (pickle.dumps([1, 2, 3])[:-2], "no readable pickle"),
        (b"", "no readable pickle"),
        (b"PK\x03\x04 not a zip", "no readable pickle"),
    ],
)
def test_damage_and_lies_about_sizes_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(GenEgoError, match=said):
        loads(data, "-")


def test_a_tensor_cannot_reach_beyond_its_storage() -> None:
    storage = torch.arange(4.0).untyped_storage()
    typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
    rebuild = torch._utils._rebuild_tensor_v2
    for offset, size, stride, said in (
        (2, (3,), (1,), "reaches to element 4 of 4"),
        (0, (2, 2), (3, 1), "reaches to element 4 of 4"),
        (0, (2,), (-1,), "shape"),
        (-1, (2,), (1,), "shape"),
    ):
        with pytest.raises(GenEgoError, match=said):
            loads(saved(Call(rebuild, typed, offset, size, stride, False, OrderedDict()), True), "-")


def test_a_sparse_matrix_cannot_reach_beyond_its_size() -> None:
    matrix = csc_matrix(np.eye(3))
    matrix.indices[1] = 1000
    with pytest.raises(GenEgoError, match="no readable pickle"):
        loads(pickle.dumps(matrix), "-")


def test_a_deep_pickle_is_refused() -> None:
    with pytest.raises(GenEgoError, match="RecursionError"):
        loads(b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".", "-")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GenEgoError, match=r"absent\.pkl: cannot be read \(No such file"):
        load_pickle(tmp_path / "absent.pkl")
