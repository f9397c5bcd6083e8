"""Recordings: what is written comes back, and a bad bag is refused or read as far as it goes, aloud."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from backports import zstd
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from genego_ros.data.bags import BagWriter, inspect_bag, read_bag
from genego_ros.data.message_definitions import MessageDefinitions
from genego_ros.errors import GenEgoError
from genego_ros.ros.camera_topics import find_camera

KILTED = get_typestore(Stores.ROS2_KILTED)
ENDLESS = QosTime(9223372036, 854775807)
LATCHED = Qos(
    QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, ENDLESS, ENDLESS,
    QosLiveliness.AUTOMATIC, ENDLESS, False,
)  # fmt: skip
SHARED = Path(os.environ.get("GENEGO_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "bags"


def text_message(text: str) -> bytes:
    """CDR of std_msgs/msg/String by hand: encapsulation, length with the closing zero, text."""
    return b"\x00\x01\x00\x00" + (len(text) + 1).to_bytes(4, "little") + text.encode() + b"\x00"


def messages(count: int = 40, size: int = 100_000) -> list[tuple[str, int, bytes]]:
    """Two topics in turns, big enough for several mcap chunks."""
    return [(f"/{'ab'[i % 2]}", 1_000 + 10 * i, text_message(f"{i}" * size)) for i in range(count)]


def write(path: Path, content: list[tuple[str, int, bytes]]) -> Path:
    with BagWriter(path, {"/a": "std_msgs/msg/String", "/b": "std_msgs/msg/String"}) as writer:
        for topic, time_ns, data in content:
            writer.write(topic, time_ns, data)
    return path


def write_foreign(
    path: Path, content: list[tuple[str, int, bytes]], storage: StoragePlugin, compression: CompressionMode
) -> Path:
    """A bag written by rosbags itself, in the variants that BagWriter does not write."""
    writer = Writer(path, version=8, storage_plugin=storage)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        topics = {t: writer.add_connection(t, "std_msgs/msg/String", typestore=KILTED) for t in ("/a", "/b")}
        for topic, time_ns, data in content:
            writer.write(topics[topic], time_ns, data)
    return path


def read(path: Path) -> list[tuple[str, int, bytes]]:
    return [(m.topic, m.time_ns, m.data) for m in read_bag(path)]


def read_until_error(path: Path) -> tuple[list[tuple[str, int, bytes]], str]:
    found: list[tuple[str, int, bytes]] = []
    with pytest.raises(GenEgoError) as error:
        found.extend((m.topic, m.time_ns, m.data) for m in read_bag(path))
    return found, str(error.value)


# What is written -----------------------------------------------------------------------------------


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    content = messages()
    path = write(tmp_path / "bag", content)
    assert read(path) == content
    info = inspect_bag(path)
    assert (info.storage, info.message_count, info.start_ns, info.duration_ns) == ("mcap", 40, 1_000, 390)
    assert {(t.name, t.type, t.count) for t in info.topics} == {
        ("/a", "std_msgs/msg/String", 20),
        ("/b", "std_msgs/msg/String", 20),
    }
    assert info.warnings == ()
    assert [m.topic for m in read_bag(path, topics=["/b"])] == ["/b"] * 20
    assert read(path / "metadata.yaml") == read(path / "bag.mcap") == content


def test_messages_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    content = messages()
    path = write(tmp_path / "bag", content[::-1])
    assert read(path) == content


def test_metadata_is_what_rosbag2_version_9_decodes(tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="compares with what ROS installed")
    """Every key, with its type, that rosbag2's yaml.hpp and qos.cpp read without a fallback."""
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", [LATCHED])
        writer.add_topic("/hands", "genego_ros/msg/HandArray")
        writer.write("/tf_static", 7_000_000_000, b"\x00\x01\x00\x00" + bytes(4))
    metadata = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["version"] == 9
    assert metadata["storage_identifier"] == "mcap"
    assert metadata["relative_file_paths"] == ["bag.mcap"]
    assert (tmp_path / "bag" / "bag.mcap").is_file()
    assert metadata["starting_time"] == {"nanoseconds_since_epoch": 7_000_000_000}
    assert metadata["duration"] == {"nanoseconds": 0}
    assert metadata["message_count"] == 1
    assert metadata["compression_format"] == metadata["compression_mode"] == ""
    assert metadata["files"] == [
        {
            "path": "bag.mcap",
            "starting_time": {"nanoseconds_since_epoch": 7_000_000_000},
            "duration": {"nanoseconds": 0},
            "message_count": 1,
        }
    ]
    assert metadata["custom_data"] is None
    assert isinstance(metadata["ros_distro"], str)
    latched, hands = metadata["topics_with_message_count"]
    assert (latched["message_count"], hands["message_count"]) == (1, 0)
    assert latched["topic_metadata"]["serialization_format"] == "cdr"
    endless = {"sec": 9223372036, "nsec": 854775807}
    assert latched["topic_metadata"]["offered_qos_profiles"] == [
        {
            "history": "keep_last",
            "depth": 1,
            "reliability": "reliable",
            "durability": "transient_local",
            "deadline": endless,
            "lifespan": endless,
            "liveliness": "automatic",
            "liveliness_lease_duration": endless,
            "avoid_ros_namespace_conventions": False,
        }
    ]
    assert hands["topic_metadata"]["offered_qos_profiles"] == []
    for topic in (latched, hands):
        assert topic["topic_metadata"]["type_description_hash"].startswith("RIHS01_")


def test_qos_and_definitions_come_back(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", [LATCHED, LATCHED])
        writer.write("/tf_static", 1, b"\x00\x01\x00\x00" + bytes(4))
    (topic,) = inspect_bag(tmp_path / "bag").topics
    assert topic.qos == (LATCHED,)
    assert topic.definition.startswith("geometry_msgs/TransformStamped[] transforms\n")
    assert "MSG: std_msgs/Header" in topic.definition
    assert topic.type_hash == KILTED.hash_rihs01("tf2_msgs/msg/TFMessage")
    (message,) = read_bag(tmp_path / "bag")
    assert message.qos == (LATCHED,)


def test_type_hashes_are_those_that_rosidl_installed() -> None:
    pytest.importorskip("rclpy", reason="compares with what ROS installed")
    definitions = MessageDefinitions()
    # Published with REP 2016's implementation; std_msgs/Char is the one rosbags alone hashes differently.
    known = {
        "std_msgs/msg/String": "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18",
        "sensor_msgs/msg/Image": "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47",
    }
    for name, type_hash in known.items():
        assert definitions.definition(name)[1] == type_hash
    text, type_hash = definitions.definition("std_msgs/msg/Char")
    assert text == "char data\n"
    assert type_hash != KILTED.hash_rihs01("std_msgs/msg/Char")


def test_definitions_are_found_below_ament_prefix_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "share" / "my_msgs" / "msg"
    folder.mkdir(parents=True)
    (folder / "Grip.msg").write_text("std_msgs/Header header\nfloat32 force  # newtons\nFinger[5] fingers\n")
    (folder / "Finger.msg").write_text("float32 angle\n")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere{os.pathsep}{tmp_path}")
    text, _ = MessageDefinitions().definition("my_msgs/msg/Grip")
    assert text.startswith("std_msgs/Header header\nfloat32 force\nmy_msgs/Finger[5] fingers\n")
    assert "MSG: my_msgs/Finger\nfloat32 angle\n" in text
    with pytest.raises(GenEgoError, match="install the package 'other_msgs'"):
        MessageDefinitions().definition("other_msgs/msg/Thing")


def test_an_unfinished_bag_never_has_its_name(tmp_path: Path) -> None:
    content = messages()
    with pytest.raises(ZeroDivisionError), BagWriter(tmp_path / "bag", {"/a": "std_msgs/msg/String"}) as writer:
        for _, time_ns, data in content:
            writer.write("/a", time_ns, data)
            assert not (tmp_path / "bag").exists()
        raise ZeroDivisionError
    assert not (tmp_path / "bag").exists()
    (partial,) = tmp_path.iterdir()
    assert partial.name.startswith("bag.partial-")
    rescued, error = read_until_error(partial / "bag")
    assert rescued == [("/a", time_ns, data) for _, time_ns, data in content][: len(rescued)]
    assert len(rescued) >= 20
    assert f"{len(rescued)} messages can be read" in error


def test_a_finished_bag_leaves_nothing_beside_it_and_is_not_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "bag", messages(4))
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(GenEgoError, match="exists already"):
        write(path, [])
    assert read(path) == messages(4)


# What can be read ----------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize("compression", [CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE])
def test_storages_and_compressions(tmp_path: Path, storage: StoragePlugin, compression: CompressionMode) -> None:
    content = messages(6)
    path = write_foreign(tmp_path / "bag", content, storage, compression)
    assert read(path) == content
    (file,) = (f for f in path.iterdir() if f.name != "metadata.yaml")
    assert read(file) == content


def test_without_metadata_the_files_are_read_and_the_lack_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Numbered files in the order of their numbers, the messages in the order of their times."""
    content = messages(6, 10)
    folder = tmp_path / "split"
    folder.mkdir()
    for number, part in ((2, content[:3]), (10, content[3:])):
        bag = write(tmp_path / f"part_{number}", part)
        shutil.move(bag / f"part_{number}.mcap", folder)
    with caplog.at_level(logging.WARNING):
        assert read(folder) == content
    assert "metadata.yaml is missing" in caplog.text
    info = inspect_bag(folder)
    assert [file.path.name for file in info.files] == ["part_2.mcap", "part_10.mcap"]
    assert any("metadata.yaml is missing" in warning for warning in info.warnings)


def test_files_that_metadata_does_not_name_and_other_counts_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "bag", messages(4))
    shutil.copy(path / "bag.mcap", path / "bag_1.mcap")
    text = (path / "metadata.yaml").read_text()
    (path / "metadata.yaml").write_text(text.replace("message_count: 4", "message_count: 5"))
    warnings = "\n".join(inspect_bag(path).warnings)
    assert "left out" in warnings and "bag_1.mcap" in warnings
    assert "promises 5 messages, the files hold 4" in warnings


# What is broken ------------------------------------------------------------------------------------


def test_an_mcap_that_breaks_off_gives_what_it_has_and_then_says_so(tmp_path: Path) -> None:
    content = messages()
    path = write(tmp_path / "bag", content)
    data = (path / "bag.mcap").read_bytes()
    (path / "bag.mcap").write_bytes(data[: len(data) * 6 // 10])
    found, error = read_until_error(path)
    assert found == content[: len(found)]
    assert 15 <= len(found) < 40
    assert str(path / "bag.mcap") in error
    assert f"{len(found)} messages can be read" in error
    assert "mcap recover" in error


def test_an_mcap_damaged_in_the_middle_gives_the_rest_of_the_bag_and_then_says_so(tmp_path: Path) -> None:
    content = messages()
    path = write(tmp_path / "bag", content)
    data = bytearray((path / "bag.mcap").read_bytes())
    chunk = data.index(b"\x06", len(data) // 2)  # any place within the second half of the chunks
    data[chunk : chunk + 200_000] = b"\xff" * 200_000
    (path / "bag.mcap").write_bytes(data)
    found, error = read_until_error(path)
    assert [m for m in found if m in content][:15] == content[:15]
    assert str(path / "bag.mcap") in error


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    content = messages()
    path = write(tmp_path / "bag", content)
    data = bytearray((path / "bag.mcap").read_bytes())
    data[len(data) // 2] ^= 0x40  # within a text, where nothing else would show it
    (path / "bag.mcap").write_bytes(data)
    found, error = read_until_error(path)
    assert found == content[: len(found)] and len(found) >= 10
    assert f"damaged (Chunk checksum mismatch.): {len(found)} of 40 messages could be read" in error


def test_other_files_of_a_split_bag_survive_a_broken_one(tmp_path: Path) -> None:
    content = messages()
    folder = tmp_path / "split"
    folder.mkdir()
    for number in range(2):
        bag = write(tmp_path / f"part_{number}", content[20 * number : 20 * number + 20])
        shutil.move(bag / f"part_{number}.mcap", folder)
    first = folder / "part_0.mcap"
    first.write_bytes(first.read_bytes()[:-600_000])
    found, error = read_until_error(folder)
    assert found[-20:] == content[20:]
    assert "part_0.mcap" in error and "part_1.mcap" not in error


def test_a_message_whose_compression_is_damaged_is_not_passed_on(tmp_path: Path) -> None:
    good, bad = zstd.compress(text_message("good")), zstd.compress(text_message("bad"))[:-3]
    path = write(tmp_path / "bag", [("/a", 1, good), ("/a", 2, bad)])
    found, error = read_until_error(path)
    assert found == [("/a", 1, text_message("good"))]
    assert "1 of 2 messages" in error


def _cut_mcap_to_its_header(path: Path) -> None:
    (path / "bag.mcap").write_bytes((path / "bag.mcap").read_bytes()[:60])


def _overwrite_mcap(path: Path) -> None:
    (path / "bag.mcap").write_bytes(b"not a recording at all" * 100)


def _empty_mcap(path: Path) -> None:
    (path / "bag.mcap").write_bytes(b"")


def _other_profile(path: Path) -> None:
    data = (path / "bag.mcap").read_bytes()
    (path / "bag.mcap").write_bytes(data.replace(b"\x04\x00\x00\x00ros2", b"\x04\x00\x00\x00ros1", 1))


def _lose_mcap(path: Path) -> None:
    (path / "bag.mcap").unlink()


def _spoil_yaml(path: Path) -> None:
    (path / "metadata.yaml").write_text("rosbag2_bagfile_information: [unclosed")


def _other_yaml(path: Path) -> None:
    (path / "metadata.yaml").write_text("name: something else")


def _metadata(**changes: object) -> Callable[[Path], None]:
    def applied(path: Path) -> None:
        said = yaml.safe_load((path / "metadata.yaml").read_text())
        said["rosbag2_bagfile_information"].update(changes)
        (path / "metadata.yaml").write_text(yaml.safe_dump(said))

    return applied


def _topic(**metadata: object) -> Callable[[Path], None]:
    return _metadata(topics_with_message_count=[{"message_count": 4, "topic_metadata": metadata}])


def _other_storage(path: Path) -> None:
    text = (path / "metadata.yaml").read_text()
    (path / "metadata.yaml").write_text(text.replace("identifier: mcap", "identifier: rocksdb"))


def _other_serialization(path: Path) -> None:
    data = (path / "bag.mcap").read_bytes()
    (path / "bag.mcap").write_bytes(data.replace(b"\x03\x00\x00\x00cdr", b"\x03\x00\x00\x00abc"))


def _empty_folder(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def _remove(path: Path) -> None:
    shutil.rmtree(path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_cut_mcap_to_its_header, r"bag\.mcap.*not one message can be read.*copy it again"),
        (_overwrite_mcap, r"bag\.mcap: not an mcap file"),
        (_empty_mcap, r"bag\.mcap: the file is empty"),
        (_other_profile, r"bag\.mcap: an mcap with profile 'ros1'"),
        (_lose_mcap, r"names 1 files, 1 of which are not there \(bag\.mcap\); copy them there"),
        (_spoil_yaml, r"metadata\.yaml: not YAML.*move it away"),
        (_other_yaml, r"metadata\.yaml: not the metadata of a bag.*rosbag2_bagfile_information"),
        (
            _metadata(relative_file_paths=[None]),
            r"metadata\.yaml: not the metadata of a bag .*None where a text belongs",
        ),
        (_metadata(storage_identifier=[1]), r"metadata\.yaml: not the metadata of a bag .*\[1\] where a text belongs"),
        (_topic(type="std_msgs/msg/String"), r"metadata\.yaml: not the metadata of a bag \(KeyError\('name'\)\)"),
        (_topic(name=["/a"]), r"metadata\.yaml: not the metadata of a bag .*\['/a'\] where a text belongs"),
        (_topic(name="/a", type_description_hash=7), r"metadata\.yaml: not the metadata of a bag .*7 where a text"),
        (_other_storage, r"metadata\.yaml: unknown storage 'rocksdb'; `ros2 bag convert`"),
        (_other_serialization, r"serialised as 'abc'; only cdr"),
        (_empty_folder, r"neither metadata\.yaml nor a \.mcap or \.db3 file"),
        (_remove, r"bag: no such file or folder"),
    ],
)
def test_bad_bags_are_refused_with_the_reason(tmp_path: Path, spoil: object, said: str) -> None:
    path = write(tmp_path / "bag", messages(4))
    assert callable(spoil)
    spoil(path)
    with pytest.raises(GenEgoError, match=f"(?s){said}") as error:
        read(path)
    assert str(path) in str(error.value)


def test_files_that_are_no_bags_are_refused(tmp_path: Path) -> None:
    for name, said in (("x.bag", "rosbags-convert"), ("x.txt", "unknown storage")):
        (tmp_path / name).write_text("x")
        with pytest.raises(GenEgoError, match=said):
            inspect_bag(tmp_path / name)


def test_truncated_sqlite3_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = write_foreign(tmp_path / "bag", messages(), StoragePlugin.SQLITE3, CompressionMode.NONE)
    data = (path / "bag.db3").read_bytes()
    (path / "bag.db3").write_bytes(data[: len(data) // 2])
    with pytest.raises(GenEgoError, match=r"bag\.db3: damaged or cut off.*sqlite3 .*\.recover"):
        read(path)


def test_sqlite3_with_messages_still_in_its_log_is_not_read_without_them(tmp_path: Path) -> None:
    path = write_foreign(tmp_path / "bag", messages(4), StoragePlugin.SQLITE3, CompressionMode.NONE)
    database = sqlite3.connect(path / "bag.db3")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("INSERT INTO messages(topic_id, timestamp, data) VALUES (1, 5, x'00010000')")
    database.commit()
    with pytest.raises(GenEgoError, match=r"bag\.db3-wal .*journal_mode=DELETE"):
        read(path)
    database.execute("PRAGMA journal_mode=DELETE")
    database.close()
    assert len(read(path)) == 5


# Bags that genuine rosbag2 wrote -------------------------------------------------------------------

GENUINE = [
    # path, topics with their counts, or why it is refused
    ("apache_amber_soccer/soccer_goal_12.mcap", {"/camera/image_raw": 2}),
    ("apache_ros2_rosbag2/mcap/cdr_test", {"/array_topic": 4, "/test_topic": 3}),
    ("apache_ros2_rosbag2/mcap/talker", {"/topic": 10, "/rosout": 10, "/parameter_events": 0}),
    ("apache_ros2_rosbag2/mcap/wrong_rmw_test", "serialised as 'wrong_format'"),
    ("apache_ros2_rosbag2/sqlite3/cdr_test", {"/array_topic": 4, "/test_topic": 3}),
    ("apache_ros2_rosbag2/sqlite3/talker", {"/topic": 10, "/rosout": 10, "/parameter_events": 0}),
    ("apache_ros2bag_tools_images", {"/image": 3}),
    *(
        (
            f"apache_ros2_rosbag2/{storage}/wbag",
            {"AAA": 804, "BBB": 742, "CCC": 742, "DDD": 753, "EEE": 804, "FFF": 772, "GGG": 731, "HHH": 726},
        )
        for storage in ("mcap", "sqlite3")
    ),
]


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no test data in {SHARED}; GENEGO_TEST_DATA names the folder")
@pytest.mark.parametrize(("name", "expected"), GENUINE, ids=[name for name, _ in GENUINE])
def test_genuine_bags(name: str, expected: dict[str, int] | str) -> None:
    """The expected counts are those of the bags' own metadata.yaml."""
    if isinstance(expected, str):
        with pytest.raises(GenEgoError, match=expected):
            inspect_bag(SHARED / name)
        return
    info = inspect_bag(SHARED / name)
    counts = dict.fromkeys(expected, 0)
    previous = 0
    for message in read_bag(info):
        counts[message.topic] += 1
        assert message.time_ns >= previous
        assert message.data[:2] == b"\x00\x01"  # little-endian CDR, also where it was compressed
        previous = message.time_ns
    assert counts == expected == {topic.name: topic.count for topic in info.topics}


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no test data in {SHARED}; GENEGO_TEST_DATA names the folder")
def test_a_genuine_bag_with_twelve_of_thirteen_files_gone(tmp_path: Path) -> None:
    for file in (SHARED / "apache_amber_soccer").iterdir():
        shutil.copy(file, tmp_path / file.name.replace("metadata.orig", "metadata"))
    with pytest.raises(GenEgoError) as error:
        inspect_bag(tmp_path)
    text = str(error.value)
    assert "names 13 files, 12 of which are not there" in text
    assert all(f"soccer_goal_{number}.mcap" in text for number in range(13))
    (tmp_path / "metadata.yaml").unlink()
    images = [KILTED.deserialize_cdr(m.data, m.type) for m in read_bag(tmp_path)]
    assert [(i.width, i.height, len(i.data)) for i in images] == [(640, 480, 921_600)] * 2  # type: ignore[attr-defined]


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no test data in {SHARED}; GENEGO_TEST_DATA names the folder")
def test_every_genuine_file_is_read_by_itself_or_refused() -> None:
    """The files of a split bag hold together what the bag holds; none is left untried."""
    files = [path for path in sorted(SHARED.rglob("*")) if path.suffix in (".mcap", ".db3")]
    tried = [SHARED / name for name, _ in GENUINE]
    assert files and all(any(path.is_relative_to(bag) for bag in tried) for path in files)
    counts: dict[str, int] = {}
    for path in files:
        bag = str((path if path in tried else path.parent).relative_to(SHARED))
        try:
            counts[bag] = counts.get(bag, 0) + len(read(path))
        except GenEgoError as error:
            assert isinstance(dict(GENUINE)[bag], str) and str(path) in str(error)
    assert counts == {name: sum(e.values()) for name, e in GENUINE if not isinstance(e, str)}


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no test data in {SHARED}; GENEGO_TEST_DATA names the folder")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("apache_amber_soccer", ("/camera/image_raw", 2)),
        ("apache_ros2bag_tools_images", ("/image", 3)),
        ("apache_ros2_rosbag2/mcap/talker", "has no camera topic .*; its topics: /parameter_events, /rosout, /topic"),
        ("apache_ros2_rosbag2/sqlite3/wbag", "has no camera topic .*; its topics: AAA, BBB"),
    ],
)
def test_the_camera_of_a_genuine_bag_is_found_or_its_lack_is_said(name: str, expected: tuple[str, int] | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(GenEgoError, match=expected):
            find_camera(SHARED / name, None)
        return
    camera = find_camera(SHARED / name, None)
    assert (camera.image, camera.frames) == expected
