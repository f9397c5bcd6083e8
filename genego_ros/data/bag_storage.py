"""The storage files of a bag: which they are, what each holds, and its messages.

rosbags reads them. Around it stands what damaged, incomplete and old recordings need.
"""

from __future__ import annotations

import logging
import shutil
import struct
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rosbags.interfaces import Connection, ConnectionExtRosbag2, Qos
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.rosbag2.metadata import parse_qos
from rosbags.rosbag2.storage_mcap import McapReader

from genego_ros.data.file_order import by_number
from genego_ros.data.message_definitions import full_type_name
from genego_ros.errors import GenEgoError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

METADATA = "metadata.yaml"
STORAGES = {".mcap": "mcap", ".db3": "sqlite3"}
COMPRESSED = ".zstd"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
"""No CDR begins so: its first byte is 0. Tells a message compressed by itself without metadata."""
MCAP_MAGIC = b"\x89MCAP0\r\n"

_log = logging.getLogger(__name__)


class BagMessage(NamedTuple):
    """One recorded message."""

    topic: str
    type: str
    """For example `sensor_msgs/msg/Image`."""
    time_ns: int
    """When it was received, nanoseconds."""
    data: bytes
    """CDR with its 4 bytes of encapsulation, as DDS carried it."""
    qos: tuple[Qos, ...]
    """What its publishers offered; empty where the recording does not say."""


@dataclass(frozen=True)
class BagTopic:
    name: str
    type: str
    count: int
    qos: tuple[Qos, ...] = ()
    """What the publishers offered; empty where the recording does not say."""
    definition: str = ""
    """The message definition; empty in recordings older than those that keep it."""
    type_hash: str = ""
    """RIHS01; empty in recordings older than Iron."""


@dataclass(frozen=True)
class BagFile:
    """One storage file of a bag."""

    path: Path
    topics: tuple[BagTopic, ...]
    start_ns: int
    end_ns: int
    damage: str = ""
    """Why the file can be read only by scanning it from the front; empty for a sound file."""

    @property
    def count(self) -> int:
        return sum(topic.count for topic in self.topics)


def is_bag(path: Path) -> bool:
    """Whether a path is meant as a bag: a storage file, or a folder that holds one or a metadata.yaml."""
    if path.is_dir():
        return (path / METADATA).exists() or bool(_storage_files_in(path))
    return storage_of(path) is not None or path.suffix == ".bag" or path.name == METADATA


# Which files make up a bag -------------------------------------------------------------------------


def find_parts(path: Path) -> tuple[list[Path], dict[str, Any], list[str]]:
    """The storage files of a bag, its metadata (empty where there is none) and what is odd about them."""
    if not path.exists():
        raise GenEgoError(f"{path}: no such file or folder; check the path")
    if path.is_file():
        return [_checked_storage(path)], {}, []
    present = _storage_files_in(path)
    if (path / METADATA).exists():
        return _parts_by_metadata(path, present)
    if not present:
        raise GenEgoError(
            f"{path}: neither {METADATA} nor a .mcap or .db3 file in it; give the folder `ros2 bag record` made"
        )
    if len({storage_of(file) for file in present}) > 1:
        raise GenEgoError(f"{path}: both .mcap and .db3 files but no {METADATA}; give one of the files itself")
    return present, {}, [f"{path}: {METADATA} is missing; reading the {len(present)} storage files themselves"]


def _parts_by_metadata(path: Path, present: list[Path]) -> tuple[list[Path], dict[str, Any], list[str]]:
    metadata = _read_metadata(path / METADATA)
    named = metadata["relative_file_paths"]
    # Before version 4 the paths began with the bag's own folder.
    files = [path / Path(name).name for name in named]
    if missing := [file.name for file in files if not file.exists()]:
        cure = "copy them there"
        if rest := [file for file in files if file.exists()] or present:
            cure += f", or give a file that is there, for example {rest[0]}"
        raise GenEgoError(
            f"{path}: {METADATA} names {len(files)} files, {len(missing)} of which are not there "
            f"({', '.join(missing)}); {cure}"
        )
    if not files:
        raise GenEgoError(f"{path}: {METADATA} names no storage file; the recording never began")
    left_out = [file.name for file in present if file not in files]
    warnings = [f"{path}: left out, since {METADATA} does not name them: {', '.join(left_out)}"] if left_out else []
    return [_checked_storage(file) for file in files], metadata, warnings


def _read_metadata(path: Path) -> dict[str, Any]:
    cure = "put it right, or move it away: the storage files can be read without it"
    try:
        metadata = yaml.safe_load(path.read_text(encoding="utf8"))["rosbag2_bagfile_information"]
        storage, files = metadata["storage_identifier"], list(metadata["relative_file_paths"])
        topics = [topic["topic_metadata"] for topic in metadata["topics_with_message_count"]]
        names = [*files, *(topic["name"] for topic in topics)]
        hashes = [topic.get("type_description_hash") or "" for topic in topics]
        if strange := [name for name in (storage, *names, *hashes) if not isinstance(name, str)]:
            raise TypeError(f"{strange[0]!r} where a text belongs")
        for topic in topics:
            parse_qos(topic.get("offered_qos_profiles") or [])
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GenEgoError(f"{path}: not YAML ({' '.join(str(error).split())}); {cure}") from error
    except (KeyError, TypeError, AttributeError, ReaderError) as error:
        raise GenEgoError(f"{path}: not the metadata of a bag ({error!r}); {cure}") from error
    if storage not in STORAGES.values():
        raise GenEgoError(
            f"{path}: unknown storage '{storage}'; `ros2 bag convert` the bag to mcap on the machine that has it"
        )
    compression = metadata.get("compression_format") or "zstd"
    if compression != "zstd":
        raise GenEgoError(f"{path}: compressed by '{compression}'; `ros2 bag convert` it, only zstd can be read")
    return dict(metadata)


def _checked_storage(path: Path) -> Path:
    if path.suffix == ".bag":
        raise GenEgoError(f"{path}: a ROS 1 bag; convert it: rosbags-convert --src {path} --dst {path.stem}")
    if storage_of(path) is None:
        raise GenEgoError(f"{path}: unknown storage; a bag is a folder, a .mcap or a .db3 file")
    for unfinished in (Path(f"{path}-wal"), Path(f"{path}-journal")):
        if unfinished.exists() and unfinished.stat().st_size:
            raise GenEgoError(
                f"{path}: {unfinished.name} beside it holds what the recorder had not yet put in; "
                f"put it in: sqlite3 {path} 'PRAGMA journal_mode=DELETE'"
            )
    return path


def _storage_files_in(folder: Path) -> list[Path]:
    """The storage files of a folder, bag_2 before bag_10."""
    files = (file for file in folder.iterdir() if file.is_file() and storage_of(file) is not None)
    return sorted(files, key=by_number)


def _uncompressed(path: Path) -> Path:
    """The path without the suffix of a file that was compressed as a whole."""
    return path.with_suffix("") if path.suffix == COMPRESSED else path


def storage_of(path: Path) -> str | None:
    """`mcap` or `sqlite3`, by the name of a storage file; None for any other file."""
    return STORAGES.get(_uncompressed(path).suffix)


# One storage file ----------------------------------------------------------------------------------


def inspect_file(path: Path) -> BagFile:
    if _uncompressed(path).suffix == ".mcap" and path.suffix != COMPRESSED:
        _check_profile(path)
    try:
        with _opened(path) as reader:
            connections, start_ns, end_ns = list(reader.connections), reader.start_time, reader.end_time - 1
        damage = ""
    except Exception as error:  # rosbags lets pass whatever damaged bytes provoke
        if _uncompressed(path).suffix != ".mcap":
            raise GenEgoError(
                f"{path}: damaged or cut off ({error}); recover what is left: "
                f"sqlite3 {path} .recover | sqlite3 recovered.db3"
            ) from error
        connections, start_ns, end_ns, damage = _scanned(path, error)
    if foreign := {_extension(c).serialization_format for c in connections} - {"cdr"}:
        raise GenEgoError(
            f"{path}: messages are serialised as '{foreign.pop()}'; only cdr can be read, `ros2 bag convert` it"
        )
    topics = joined_topics(
        BagTopic(c.topic, full_type_name(c.msgtype), c.msgcount, tuple(_extension(c).offered_qos_profiles),
                 c.msgdef.data, c.digest)
        for c in connections
    )  # fmt: skip
    return BagFile(path, topics, start_ns, end_ns, damage)


def _check_profile(path: Path) -> None:
    """An mcap begins with its magic and a header record that says what is in it."""
    with path.open("rb") as file:
        head = file.read(8 + 9 + 4 + 32)
    if not head:
        raise GenEgoError(f"{path}: the file is empty; the recording never began")
    if not head.startswith(MCAP_MAGIC):
        raise GenEgoError(f"{path}: not an mcap file; check that it was copied whole and unchanged")
    if len(head) < 21:
        raise GenEgoError(f"{path}: cut off within its header; copy it again, or record anew")
    (length,) = struct.unpack_from("<I", head, 17)
    profile = head[21 : 21 + length].decode(errors="replace")
    if profile != "ros2":
        raise GenEgoError(f"{path}: an mcap with profile '{profile}'; only recordings of ROS 2 topics can be played")


@contextmanager
def _opened(path: Path) -> Iterator[Reader]:
    with tempfile.TemporaryDirectory() as folder:
        if path.suffix == COMPRESSED:
            plain = Path(folder, _uncompressed(path).name)
            with zstd.open(path, "rb") as source, plain.open("wb") as target:
                shutil.copyfileobj(source, target)
            path = plain
        with Reader(path) as reader:
            yield reader


class _UnfinishedMcap(McapReader):
    """An mcap whose index at the end is missing or damaged: it is read from the front instead."""

    def __enter__(self) -> _UnfinishedMcap:
        self.bio = self.path.open("rb")
        self.data_start = len(MCAP_MAGIC)
        self.data_end = self.path.stat().st_size
        try:
            self.meta_scan()
        except Exception as error:  # the channels found until then are what is wanted
            _log.debug("%s: scan ends: %s", self.path, error)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def messages(self, connections: Any, *_: Any) -> Any:
        return self.messages_scan(connections)


def _scanned(path: Path, reason: Exception) -> tuple[list[Connection], int, int, str]:
    """The connections of a broken mcap with the count of their readable messages, first and last time."""
    counts: dict[int, int] = {}
    times: list[int] = []
    with _UnfinishedMcap(path) as reader:
        found = list(reader.connections)
        try:
            for connection, time_ns, _ in reader.messages(found):
                counts[connection.id] = counts.get(connection.id, 0) + 1
                times = [min([time_ns, *times]), max([time_ns, *times])]
        except Exception as error:  # where it breaks off
            _log.debug("%s: breaks off: %s", path, error)
    if not times:
        raise GenEgoError(
            f"{path}: damaged or cut off, and not one message can be read ({reason}); copy it again, or "
            "`mcap recover` it"
        ) from reason
    damage = (
        f"damaged or cut off ({reason}): {sum(counts.values())} messages can be read, what follows is lost; "
        "`mcap recover` makes a sound file of them"
    )
    connections = [c._replace(msgcount=counts.get(c.id, 0)) for c in found]
    return connections, times[0], times[1], damage


def file_messages(
    file: BagFile,
    qos: Mapping[tuple[str, str], tuple[Qos, ...]],
    topics: Collection[str] | None,
    problems: list[str],
) -> Iterator[BagMessage]:
    """The messages of a file; what stops them goes into `problems`, for the other files to be read first."""
    wanted = sum(topic.count for topic in file.topics if topics is None or topic.name in topics)
    if not wanted and not file.damage:
        return
    read = 0
    problem = file.damage
    try:
        with _UnfinishedMcap(file.path) if file.damage else _opened(file.path) as reader:
            chosen = [c for c in reader.connections if topics is None or c.topic in topics]
            for connection, time_ns, data in reader.messages(chosen):
                if data[:4] == ZSTD_MAGIC:
                    data = zstd.decompress(data)
                kind = full_type_name(connection.msgtype)
                read += 1
                yield BagMessage(connection.topic, kind, time_ns, data, qos[connection.topic, kind])
    except Exception as error:  # rosbags lets pass whatever damaged bytes provoke
        problem = problem or (
            f"damaged ({error}): {read} of {wanted} messages could be read; `mcap recover` (for .db3: sqlite3 "
            ".recover) may find others"
        )
    if read < wanted and not problem:
        problem = f"its index names {wanted} messages, only {read} could be read; `mcap recover` may find the others"
    if problem:
        problems.append(f"{file.path}: {problem}")


def _extension(connection: Connection) -> ConnectionExtRosbag2:
    assert isinstance(connection.ext, ConnectionExtRosbag2)
    return connection.ext


def joined_topics(topics: Iterable[BagTopic]) -> tuple[BagTopic, ...]:
    """One entry a topic and type, from entries by file and publisher."""
    joined: dict[tuple[str, str], BagTopic] = {}
    for topic in topics:
        known = joined.setdefault((topic.name, topic.type), replace(topic, count=0))
        joined[topic.name, topic.type] = replace(
            known,
            count=known.count + topic.count,
            qos=tuple(dict.fromkeys(known.qos + topic.qos)),
            definition=known.definition or topic.definition,
            type_hash=known.type_hash or topic.type_hash,
        )
    return tuple(joined.values())
