"""Every frame of a video is the one that was asked for, in any order of asking."""

from __future__ import annotations

import pickle
from pathlib import Path

import av
import numpy as np
import pytest
from mock_datasets import write_depth_video, write_video

from genego_ros.data.video_frames import OpenVideos, VideoFrames
from genego_ros.errors import GenEgoError

FRAMES = 95


def numbered(number: int) -> np.ndarray:
    """uint8 (16, 64, 3): the bits of the number as black and white squares."""
    bits = [(number >> bit) & 1 for bit in range(8)]
    return np.repeat(np.repeat(np.array(bits, np.uint8) * 255, 8)[None, :, None], 16, axis=0).repeat(3, axis=2)


def number_of(picture: np.ndarray) -> int:
    bits = picture[4:12].mean(axis=(0, 2)).reshape(8, 8)[:, 2:6].mean(axis=1) > 127
    return int((bits << np.arange(8)).sum())


@pytest.fixture(scope="module", params=[False, True], ids=["closed GOP", "open GOP"])
def video(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    write_video(path, [numbered(number) for number in range(FRAMES)], open_gop=request.param)
    with av.open(str(path)) as container:
        kinds = [int(frame.pict_type) for frame in container.decode(video=0)]
    assert kinds.count(3) > FRAMES / 2 and kinds.count(1) == 4  # B-frames and keyframes
    return path


def test_frames_are_exact_in_any_order(video: Path) -> None:
    frames = VideoFrames(video)
    assert (len(frames), frames.rate_hz) == (FRAMES, 30.0)
    rng = np.random.default_rng(0)
    # Around keyframes; the last; backwards; jumps.
    order = [
        0,
        29,
        30,
        31,
        30,
        94,
        93,
        59,
        60,
        58,
        89,
        90,
        91,
        *range(94, 60, -7),
        *rng.integers(0, FRAMES, 60).tolist(),
    ]
    assert [number_of(frames.read(index, "rgb24")) for index in order] == order
    assert [number_of(frames.read(index, "rgb24")) for index in range(FRAMES)] == list(range(FRAMES))
    frames.close()


def test_depth_is_exact_to_the_bit(tmp_path: Path) -> None:
    depths = np.random.default_rng(0).integers(0, 65536, (7, 12, 20), dtype=np.uint16)
    write_depth_video(tmp_path / "d.avi", list(depths))
    frames = VideoFrames(tmp_path / "d.avi")
    for index in (6, 0, 3, 4):
        np.testing.assert_array_equal(frames.read(index, "gray16le"), depths[index])


def test_few_videos_are_open_at_a_time(video: Path, tmp_path: Path) -> None:
    copies = [tmp_path / f"{number}.mp4" for number in range(9)]
    for path in copies:
        path.write_bytes(video.read_bytes())
    videos = OpenVideos()
    for number in (*range(9), 0, 8, 8):
        assert number_of(videos[copies[number]].read(7 + number, "rgb24")) == 7 + number
    opened = {link.resolve() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}
    assert len(opened & {path.resolve() for path in copies}) <= 6
    assert number_of(pickle.loads(pickle.dumps(videos))[copies[0]].read(9, "rgb24")) == 9


def test_damage_is_named(video: Path, tmp_path: Path) -> None:
    cut, text = tmp_path / "cut.mp4", tmp_path / "text.mp4"
    cut.write_bytes(video.read_bytes()[:3000])
    text.write_text("no video")
    for path in (cut, text, tmp_path / "absent.mp4"):
        with pytest.raises(GenEgoError, match="no readable video") as error:
            VideoFrames(path)
        assert str(path) in str(error.value)
    with pytest.raises(GenEgoError, match=r"v\.mp4: has 95 frames, number 95 is not among them"):
        VideoFrames(video).read(FRAMES, "rgb24")
