"""Recordings of ROS 2 topics (rosbag2, mcap or sqlite3): reading and writing them as raw CDR bytes.

Every storage file is read by itself. metadata.yaml says which files belong to a bag and what was promised
of them, and may be missing; what counts is what the files hold, and a difference is said.

A bag that breaks off or is damaged in the middle gives what comes before the damage, by whole chunks (about 1 MB in
bags of ours), and then an error that says how much that was. Nothing is left out in silence. A changed message is
noticed where a file has checksums: in an .mcap file of ours, and in those of recorders that write them.
"""

from __future__ import annotations

import heapq
import logging
import shutil
import struct
import tempfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.metadata import parse_qos
from rosbags.rosbag2.storage_mcap import McapWriter

from genego_ros.data.bag_storage import (
    METADATA,
    BagFile,
    BagMessage,
    BagTopic,
    file_messages,
    find_parts,
    inspect_file,
    joined_topics,
    storage_of,
)
from genego_ros.data.message_definitions import MessageDefinitions, full_type_name
from genego_ros.errors import GenEgoError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BagInfo:
    """What a bag holds, by its storage files."""

    path: Path
    storage: str
    """`mcap` or `sqlite3`."""
    files: tuple[BagFile, ...]
    topics: tuple[BagTopic, ...]
    start_ns: int
    duration_ns: int
    warnings: tuple[str, ...]
    """What was found amiss but can be read; logged already."""

    @property
    def message_count(self) -> int:
        return sum(topic.count for topic in self.topics)


def inspect_bag(path: str | Path) -> BagInfo:
    """What a bag folder, or a lone .mcap or .db3 file, holds.

    Raises:
        GenEgoError: there is no such bag, or nothing of it can be read; says what is wrong and the cure.
    """
    path = Path(path)
    if path.name == METADATA:
        path = path.parent
    try:
        files, metadata, warnings = find_parts(path)
        scanned = tuple(inspect_file(file) for file in files)
    except OSError as error:
        raise GenEgoError(f"{path}: cannot be read ({error}); check its permissions and the disk") from error
    topics = joined_topics(topic for file in scanned for topic in file.topics)
    topics = _with_promised_qos(topics, metadata)
    warnings += [f"{file.path}: {file.damage}" for file in scanned if file.damage]
    count = sum(file.count for file in scanned)
    if (promised := metadata.get("message_count", count)) != count:
        warnings.append(f"{path / METADATA} promises {promised} messages, the files hold {count}")
    for warning in warnings:
        _log.warning(warning)
    filled = [file for file in scanned if file.count]
    start_ns = min((file.start_ns for file in filled), default=0)
    duration_ns = max((file.end_ns for file in filled), default=start_ns) - start_ns
    storage = str(storage_of(files[0]))
    return BagInfo(path, storage, scanned, topics, start_ns, duration_ns, tuple(warnings))


def read_bag(bag: BagInfo | str | Path, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
    """The messages of a bag in the order of their times, over all its files; `topics` limits them.

    Raises:
        GenEgoError: as `inspect_bag`; and after the last readable message, when there is damage or fewer
            messages than the files' indexes name.
    """
    info = bag if isinstance(bag, BagInfo) else inspect_bag(bag)
    qos = {(topic.name, topic.type): topic.qos for topic in info.topics}
    problems: list[str] = []
    streams = [file_messages(file, qos, topics, problems) for file in info.files]
    yield from heapq.merge(*streams, key=lambda message: message.time_ns)
    if problems:
        raise GenEgoError("\n".join(problems))


def _with_promised_qos(topics: tuple[BagTopic, ...], metadata: Mapping[str, Any]) -> tuple[BagTopic, ...]:
    """The topics with what only metadata.yaml says of them: the type hash, and in old bags the QoS."""
    promised = {
        entry["topic_metadata"]["name"]: entry["topic_metadata"]
        for entry in metadata.get("topics_with_message_count", ())
    }
    return tuple(
        replace(
            topic,
            qos=topic.qos or tuple(parse_qos(promised[topic.name].get("offered_qos_profiles") or [])),
            type_hash=topic.type_hash or promised[topic.name].get("type_description_hash") or "",
        )
        if topic.name in promised
        else topic
        for topic in topics
    )


# Writing -------------------------------------------------------------------------------------------


PARTIAL = ".partial-"
"""In the name of the folder in which an unfinished bag lies, after the bag's own name."""
_CHECKSUM_PLACE = 9 + 3 * 8
"""In a chunk of an mcap: after opcode and length, two times and a size; CRC-32 of what it holds, 0 for none."""


class BagWriteError(GenEgoError):
    """The disk is full or gone: what is written next will fail as well."""


class _CheckedMcapWriter(McapWriter):
    """Gives its chunks the checksums that readers look for; rosbags leaves them out."""

    def close_chunk(self) -> None:
        start, checksum = self.bio.tell(), zlib.crc32(self.chunk.bio.getbuffer())
        super().close_chunk()
        end = self.bio.tell()
        self.bio.seek(start + _CHECKSUM_PLACE)
        self.bio.write(struct.pack("<I", checksum))
        self.bio.seek(end)


class _CheckedWriter(Writer):
    STORAGE_PLUGINS = MappingProxyType({StoragePlugin.MCAP: _CheckedMcapWriter})


class BagWriter:
    """Writes a bag (mcap, rosbag2 metadata version 9) that appears under its name only when it is whole.

    Until the `with` block ends cleanly the recording lies in a folder `<name>.partial-*` beside. When the block
    fails it stays there, and its .mcap can be read as far as its chunks go; unless it can be made anew.

    Raises:
        GenEgoError: the path exists, cannot be written, or a message type is not known.
    """

    def __init__(
        self,
        path: str | Path,
        topics: Mapping[str, str] | None = None,
        custom_data: Mapping[str, str] | None = None,
        keep_partial: bool = True,
        definitions: MessageDefinitions | None = None,
    ) -> None:
        """
        Args:
            topics: names to message types; `add_topic` adds more at any time.
            custom_data: for metadata.yaml.
            keep_partial: leave what was written when the block fails.
            definitions: that know the types already.
        """
        self.path = Path(path)
        self._custom_data = dict(custom_data or {})
        self._keep_partial = keep_partial
        self.counts: dict[str, int] = {}
        """Messages written so far, by topic."""
        self._topics = dict(topics or {})
        self._connections: dict[str, Connection] = {}
        self._definitions = definitions or MessageDefinitions()

    def __enter__(self) -> BagWriter:
        if self.path.exists():
            raise GenEgoError(f"{self.path} exists already; choose another folder, or move it away")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # rosbags names the .mcap after its folder, which therefore carries the final name from the start.
            self._partial = Path(tempfile.mkdtemp(prefix=f"{self.path.name}{PARTIAL}", dir=self.path.parent))
        except OSError as error:
            raise BagWriteError(f"{self.path} cannot be written ({error}); choose another folder") from error
        try:
            self._writer = _CheckedWriter(self._partial / self.path.name, version=9, storage_plugin=StoragePlugin.MCAP)
            for key, value in self._custom_data.items():
                self._writer.set_custom_data(key, value)
            self._writer.open()
            for name, kind in self._topics.items():
                self.add_topic(name, kind)
        except BaseException as error:
            shutil.rmtree(self._partial, ignore_errors=True)  # nothing is in it yet
            if isinstance(error, OSError):
                raise self._failure(error) from error
            raise
        return self

    def add_topic(self, name: str, type_name: str, qos: Iterable[Qos] = ()) -> None:
        """Makes a topic known; `qos` is what its publishers offer, for those who play the bag."""
        definition, type_hash = self._definitions.definition(full_type_name(type_name))
        self._connections[name] = self._writer.add_connection(
            name,
            full_type_name(type_name),
            msgdef=definition,
            rihs01=type_hash,
            offered_qos_profiles=list(dict.fromkeys(qos)),
        )
        self.counts[name] = 0

    def write(self, topic: str, time_ns: int, data: bytes) -> None:
        """Adds a message: CDR bytes with their encapsulation, received at `time_ns`."""
        try:
            self._writer.write(self._connections[topic], time_ns, data)
        except OSError as error:
            raise self._failure(error) from error
        self.counts[topic] += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            try:
                self._writer.close()
                (self._partial / self.path.name).rename(self.path)
                self._partial.rmdir()
                return
            except OSError as failure:
                self._give_up()
                raise self._failure(failure) from failure
        self._give_up()

    def _give_up(self) -> None:
        with suppress(OSError):  # of what cannot be written now: the disk is full, which was told already
            self._writer.abort()
        if self._keep_partial:
            _log.warning("the recording was not finished; what there is of it lies in %s", self._partial)
        else:
            shutil.rmtree(self._partial, ignore_errors=True)

    def _failure(self, error: OSError) -> BagWriteError:
        kept = f"; what came before is kept in {self._partial}" if self._keep_partial else ""
        return BagWriteError(f"{self.path}: writing failed ({error}); make room on the disk{kept}")
