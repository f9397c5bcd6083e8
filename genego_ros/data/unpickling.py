"""Reads pickles of strangers without running anything that they name.

A pickle is a program: it names functions and has them called. Here every name is looked up in a short table,
and what is found there are records that remember their arguments and do nothing. Only when the whole pickle has been
read are the records turned into numpy arrays, torch tensors (on the CPU), scipy matrices and chumpy's values (as plain
arrays), with all sizes checked.
"""

from __future__ import annotations

import io
import pickle
import re
import struct
import zipfile
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from genego_ros.errors import GenEgoError
from genego_ros.types import Array

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
"""First pickle of a file that torch.save wrote before it wrote zip files."""
_TORCH_PROTOCOL = 1001
_DTYPE = re.compile(r"[biufcSU]\d+|\?")
"""What numpy calls plain types: without objects, fields or sub-arrays."""
_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
}


class StandIn:
    """An object of a class that is not on the list: its name and what it was made of, without any behaviour."""

    name: ClassVar[str] = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> StandIn:
        made = super().__new__(cls)
        made.__dict__.update(args=args, kwargs=kwargs, state=None, items=[])
        return made

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    state: Any
    items: list[Any]
    """What was appended, added or set (as pairs)."""

    def __setstate__(self, state: Any) -> None:
        self.__dict__["state"] = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, item: Any) -> None:
        self.items.append(item)

    def extend(self, items: Any) -> None:
        self.items.extend(items)

    add = append

    def __repr__(self) -> str:
        return f"<stand-in for {self.name}>"


def load_pickle(path: Path | str, stand_ins: bool = False, part: str = "") -> Any:
    """What a pickle or a file of torch.save (zip or older) holds, as far as it is data.

    Args:
        stand_ins: objects of other classes become `StandIn`s (for Lightning checkpoints, whose configuration objects
            do not matter); otherwise a file with one is refused.
        part: where the file holds a dictionary with this key, that entry alone is wanted, and the tensors of the others
            are never read (an optimizer's state is twice as large as the network's).

    Raises:
        GenEgoError: the file is missing or damaged, or names something that is not data; says which.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _load(file, path, stand_ins, part)
    except OSError as error:
        raise GenEgoError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def loads(data: bytes, source: Path | str, stand_ins: bool = False) -> Any:
    """As `load_pickle`, from bytes; `source` names them in errors."""
    return _load(io.BytesIO(data), source, stand_ins)


def _load(file: BinaryIO, source: Path | str, stand_ins: bool, part: str = "") -> Any:
    try:
        zipped = file.read(4) == b"PK\x03\x04"
        file.seek(0)
        frozen = (_read_zip if zipped else _read_plain)(file, stand_ins)
        if part and isinstance(frozen, dict) and part in frozen:
            frozen = {part: frozen[part]}
        return _Thaw()(frozen)
    except _RefusedError as error:
        raise GenEgoError(f"{source}: {error}; it was not loaded") from error
    except GenEgoError:
        raise
    # A damaged or hostile stream can make the unpickler and the conversions fail in any way; none is ours.
    except Exception as error:
        raise GenEgoError(f"{source}: no readable pickle ({type(error).__name__}: {error}); copy it again") from error


class _RefusedError(Exception):
    """The pickle asks for something that is not data."""


# Records: what a pickle may make -------------------------------------------------------------------


class _Record(ABC):
    """Remembers what it was made of."""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.__dict__["state"] = state

    @abstractmethod
    def thaw(self, thaw: _Thaw) -> Any:
        """The value that the pickle describes."""


class _Dtype(_Record):
    def thaw(self, thaw: _Thaw) -> np.dtype[Any]:
        name = self.args[0] if self.args else ""
        name = name.decode("ascii") if isinstance(name, bytes) else name
        if not isinstance(name, str) or not _DTYPE.fullmatch(name):
            raise _RefusedError(f"holds an array of the type {str(name)[:40]!r}, which is not plain numbers or text")
        order = self.state[1] if self.state else "="
        return np.dtype(name).newbyteorder(">" if order == ">" else "<" if order == "<" else "=")


class _NumpyArray(_Record):
    """`_reconstruct` and its state, or `_frombuffer` of protocol 5."""

    def thaw(self, thaw: _Thaw) -> Array:
        if len(self.args) == 4:  # _frombuffer: buffer, dtype, shape, order
            buffer, dtype, shape, order = self.args
        else:
            _, shape, dtype, fortran, buffer = self.state
            order = "F" if fortran else "C"
        return np.frombuffer(_bytes(buffer), _dtype(dtype, thaw)).reshape(_sizes(shape), order=order).copy()


class _NumpyScalar(_Record):
    def thaw(self, thaw: _Thaw) -> Any:
        dtype, buffer = self.args
        return np.frombuffer(_bytes(buffer), _dtype(dtype, thaw), count=1)[0]


class _Sparse(_Record):
    def thaw(self, thaw: _Thaw) -> Any:
        from scipy.sparse import csc_matrix

        state = thaw(self.state)
        parts = (np.asarray(state["data"]), np.asarray(state["indices"]), np.asarray(state["indptr"]))
        matrix = csc_matrix(parts, shape=_sizes(state.get("_shape", state.get("shape"))))
        matrix.check_format(full_check=True)  # indices outside of it would be followed by compiled code
        return matrix


class _Chumpy(_Record):
    """A `Ch` is its array x; a `Select` is a choice of the elements of a, in a shape of its own."""

    def thaw(self, thaw: _Thaw) -> Array:
        state = thaw(self.state)
        if "idxs" in state:
            chosen = np.asarray(state["a"]).ravel()[np.asarray(state["idxs"]).ravel()]
            return chosen.reshape(_sizes(state.get("preferred_shape", chosen.shape)))
        return np.asarray(state["x"])


class _Storage(_Record):
    """Torch's memory behind tensors, filled once its bytes are known."""

    def __init__(self, dtype: str, count: int, data: Callable[[int], bytes] | None = None) -> None:
        super().__init__()
        self.dtype, self.count, self.data = dtype, count, data
        self._flat: Any = None

    def thaw(self, thaw: _Thaw) -> Any:
        import torch

        if self._flat is None:
            dtype = _torch_dtype(self.dtype)
            size = self.count * dtype.itemsize
            data = self.data(size) if self.data else b""
            if len(data) != size:
                raise _RefusedError(f"is cut off: {len(data)} bytes where a tensor has {size}")
            self._flat = torch.frombuffer(bytearray(data), dtype=dtype) if size else torch.empty(0, dtype=dtype)
        return self._flat


class _Tensor(_Record):
    """`_rebuild_tensor`, `_v2` and `_v3`: storage, offset, size, stride, ..."""

    def thaw(self, thaw: _Thaw) -> Any:
        storage, offset, size, stride = self.args[:4]
        if not isinstance(storage, _Storage):
            raise _RefusedError("holds a tensor without storage")
        flat = storage.thaw(thaw)
        if len(self.args) > 6 and isinstance(self.args[6], _TorchType):  # v3: the storage is bytes of any type
            flat = flat.view(_torch_dtype(self.args[6].dtype))
        size, stride, offset = _sizes(size), _sizes(stride), _sizes((offset,))[0]
        last = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
        if all(size) and last >= len(flat):
            raise _RefusedError(f"holds a tensor that reaches to element {last} of {len(flat)}")
        return flat.as_strided(size, stride, offset)


class _Parameter(_Record):
    def thaw(self, thaw: _Thaw) -> Any:
        return thaw(self.args[0])


class _Fixed:
    """Something of the table itself, which all pickles share: none may change it."""

    def __setstate__(self, state: Any) -> None:
        raise _RefusedError("changes what it names")


class _StorageType(_Fixed):
    """torch.FloatStorage and its kin, as a persistent id names them."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


class _TorchType(_Fixed):
    """torch.float32 and its kin."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


class _Call(_Fixed):
    """A function of ours, in the place of one that a pickle calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)


def _sizes(values: Any) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or not all(isinstance(value, int) and value >= 0 for value in values):
        raise _RefusedError(f"holds an array of the shape {str(values)[:40]}")
    return tuple(values)


def _bytes(buffer: Any) -> bytes:
    if isinstance(buffer, str):  # Python 2's, read as latin1
        return buffer.encode("latin1")
    if not isinstance(buffer, (bytes, bytearray)):
        raise _RefusedError("holds an array of objects")
    return bytes(buffer)


def _dtype(record: Any, thaw: _Thaw) -> np.dtype[Any]:
    if not isinstance(record, _Dtype):
        raise _RefusedError("holds an array without a type")
    return record.thaw(thaw)


class _Thaw:
    """Turns records into what they stand for, each once, through all containers."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}
        self._kept: list[Any] = []  # so that no address is given to another object meanwhile

    def __call__(self, frozen: Any) -> Any:
        if id(frozen) in self._done:
            return self._done[id(frozen)]
        self._kept.append(frozen)
        thawed: Any
        if isinstance(frozen, dict):
            thawed = self._done[id(frozen)] = type(frozen)()
            thawed.update((self(key), self(value)) for key, value in dict.items(frozen))
        elif isinstance(frozen, list):
            thawed = self._done[id(frozen)] = []
            thawed.extend(map(self, frozen))
        elif isinstance(frozen, (tuple, set, frozenset)):
            thawed = type(frozen)(map(self, frozen))
        elif isinstance(frozen, _Record):
            thawed = frozen.thaw(self)
        elif isinstance(frozen, _TorchType):
            thawed = _torch_dtype(frozen.dtype)
        elif isinstance(frozen, StandIn):
            thawed = self._done[id(frozen)] = frozen
            frozen.__dict__.update({key: self(value) for key, value in frozen.__dict__.items()})
        elif isinstance(frozen, type) and issubclass(frozen, StandIn):
            thawed = frozen()
        elif frozen is None or isinstance(frozen, (bool, int, float, complex, str, bytes, bytearray)):
            thawed = frozen
        else:
            raise _RefusedError(f"holds {getattr(frozen, '__name__', type(frozen).__name__)!r} itself")
        self._done[id(frozen)] = thawed
        return thawed


# Names: what a pickle may say ----------------------------------------------------------------------


def _reconstruct_array(subtype: Any, shape: Any, kind: Any) -> _NumpyArray:
    return _NumpyArray()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Bytes, as Python 3 writes them for older protocols."""
    if not isinstance(text, str) or encoding != "latin1":
        raise _RefusedError(f"encodes to {str(encoding)[:40]!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Empty bytes, as Python 3 writes them for older protocols."""
    return b""


def _reconstruct_object(cls: Any, base: Any, state: Any) -> Any:
    """copyreg's way to make an object without calling its class, of old protocols."""
    if base is not object or not (isinstance(cls, type) and issubclass(cls, (_Record, StandIn))):
        raise _RefusedError(f"makes an object of {cls!r}")
    return cls()


def _load_storage(data: Any) -> Any:
    """The storage of a tensor that lies in a plain pickle: a file of torch.save within."""
    if not isinstance(data, bytes):
        raise _RefusedError("holds a tensor without bytes")
    return _read_plain(io.BytesIO(data), stand_ins=False)


def _tensor_of_type(rebuild: Any, kind: Any, args: Any, state: Any) -> _Tensor:
    if rebuild is not _Tensor:
        raise _RefusedError(f"rebuilds a tensor by {rebuild!r}")
    return _Tensor(*args)


_NAMES: dict[str, Any] = {
    **{f"numpy.{core}.multiarray._reconstruct": _Call(_reconstruct_array) for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _NumpyScalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _NumpyArray for core in ("core", "_core")},
    "numpy.ndarray": _NumpyArray,
    "numpy.dtype": _Dtype,
    **{f"scipy.sparse.{module}.{kind}": _Sparse for module in ("csc", "_csc") for kind in ("csc_matrix", "csc_array")},
    "chumpy.ch.Ch": _Chumpy,
    "chumpy.reordering.Select": _Chumpy,
    "copyreg._reconstructor": _Call(_reconstruct_object),
    "_codecs.encode": _Call(_encode),
    "builtins.bytes": _Call(_no_bytes),
    "builtins.object": object,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor": _Tensor,
    "torch._utils._rebuild_tensor_v2": _Tensor,
    "torch._utils._rebuild_tensor_v3": _Tensor,
    "torch._utils._rebuild_parameter": _Parameter,
    "torch._tensor._rebuild_from_type_v2": _Call(_tensor_of_type),
    "torch.storage._load_from_bytes": _Call(_load_storage),
    "torch.Size": tuple,
    "torch.Tensor": _Tensor,
    "torch.nn.parameter.Parameter": _Tensor,
    **{f"torch.{name}": _StorageType(dtype) for name, dtype in _STORAGES.items()},
    "torch.storage.UntypedStorage": _StorageType("uint8"),
    **{f"torch.{dtype}": _TorchType(dtype) for dtype in (*_STORAGES.values(), "uint16", "uint32", "uint64")},
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, stand_ins: bool, storage: Callable[[Any], _Storage] | None = None) -> None:
        super().__init__(file, encoding="latin1")
        self._stand_ins, self._storage = stand_ins, storage

    def find_class(self, module: str, name: str) -> Any:
        full = f"{_PYTHON_2.get(module, module)}.{name}"
        if full in _NAMES:
            return _NAMES[full]
        if not self._stand_ins:
            raise _RefusedError(f"names {full[:80]!r}, which is not data")
        return type("StandIn", (StandIn,), {"name": full})

    def persistent_load(self, id: Any) -> _Storage:
        if self._storage is None:
            raise _RefusedError("refers to something outside of itself")
        return self._storage(id)


def _read_plain(file: BinaryIO, stand_ins: bool) -> Any:
    """A pickle, or a file of torch.save before zip: magic number, version, system, object, keys, storages."""
    first = _Unpickler(file, stand_ins).load()
    if not isinstance(first, int) or first != _TORCH_MAGIC:
        return first
    version, _ = _Unpickler(file, stand_ins).load(), _Unpickler(file, stand_ins).load()
    if version != _TORCH_PROTOCOL:
        raise _RefusedError(f"is of version {str(version)[:20]} of torch.save")
    storages: dict[str, _Storage] = {}

    def storage(id: Any) -> _Storage:
        kind, storage_type, key, _, count, *view = id
        if kind != "storage" or not isinstance(storage_type, _StorageType) or any(part is not None for part in view):
            raise _RefusedError(f"refers to {str(id)[:60]}")
        return storages.setdefault(key, _Storage(storage_type.dtype, _sizes((count,))[0]))

    frozen = _Unpickler(file, stand_ins, storage).load()
    for key in _Unpickler(file, stand_ins).load():
        (count,) = struct.unpack("<q", file.read(8))
        found = storages[key]
        if count != found.count:
            raise _RefusedError(f"promises {found.count} numbers and holds {count}")
        found.data = io.BytesIO(file.read(count * _torch_dtype(found.dtype).itemsize)).read
    return frozen


def _torch_dtype(name: str) -> Any:
    import torch

    return getattr(torch, name)


def _read_zip(file: BinaryIO, stand_ins: bool) -> Any:
    archive = zipfile.ZipFile(file)
    names = archive.namelist()
    pickles = [name for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise _RefusedError("is a zip file, but not one of torch.save")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") != b"little":
        raise _RefusedError("was written on a big-endian machine")
    storages: dict[str, _Storage] = {}

    def storage(id: Any) -> _Storage:
        kind, storage_type, key, _, count = id
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise _RefusedError(f"refers to {str(id)[:60]}")
        member = archive.getinfo(f"{folder}data/{key}")

        def read(size: int) -> bytes:
            if member.file_size != size:
                raise _RefusedError(f"holds {member.file_size} bytes where a tensor has {size}")
            return archive.read(member)

        return storages.setdefault(key, _Storage(storage_type.dtype, _sizes((count,))[0], read))

    return _Unpickler(io.BytesIO(archive.read(pickles[0])), stand_ins, storage).load()
