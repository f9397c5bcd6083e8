"""Pictures from videos, photos and folders: every one, in order, upright, or an error that says why not."""

from __future__ import annotations

import logging
import os
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from genego_ros.data.pictures import Pictures, open_pictures
from genego_ros.errors import GenEgoError

SHARED = Path(os.environ.get("GENEGO_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "hands"


def write_video(path: Path, frames: int, rate_hz: float = 25.0, codec: str = "MJPG") -> Path:
    """A video whose n-th frame is grey of value 4 n (mod 256)."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate_hz, (64, 48))  # type: ignore[attr-defined]
    assert writer.isOpened()
    for index in range(frames):
        writer.write(np.full((48, 64, 3), 4 * index % 256, np.uint8))
    writer.release()
    return path


def write_picture(path: Path, red: int = 200, size: tuple[int, int] = (64, 48)) -> Path:
    width, height = size
    bgr = np.zeros((height, width, 3), np.uint8)
    bgr[..., 2] = red
    assert cv2.imwrite(str(path), bgr)
    return path


def greys(pictures: Pictures) -> list[float]:
    return [float(rgb.mean()) for rgb, _ in pictures]


def test_a_video_gives_every_frame_at_its_time(tmp_path: Path) -> None:
    pictures = open_pictures(write_video(tmp_path / "v.avi", 30))
    assert (pictures.kind, pictures.width, pictures.height) == ("video", 64, 48)
    assert (pictures.rate_hz, pictures.count) == (25.0, 30)
    frames = list(pictures)
    assert [time_ns for _, time_ns in frames] == [40_000_000 * i for i in range(30)]
    assert all(rgb.shape == (48, 64, 3) and rgb.dtype == np.uint8 for rgb, _ in frames)
    np.testing.assert_allclose(greys(pictures), [4 * i for i in range(30)], atol=3)


def test_times_do_not_drift_at_a_rate_that_is_no_whole_number(tmp_path: Path) -> None:
    pictures = open_pictures(write_video(tmp_path / "v.mp4", 60, 29.97, "mp4v"))
    assert pictures.rate_hz == pytest.approx(29.97, abs=0.01)
    assert [time_ns for _, time_ns in pictures][-1] == pytest.approx(59e9 / 29.97, rel=1e-4)


def test_a_photo_is_repeated_in_colour(tmp_path: Path) -> None:
    pictures = open_pictures(write_picture(tmp_path / "p.png"), rate_hz=10.0)
    assert (pictures.kind, pictures.count) == ("photo", None)
    frames = list(islice(pictures, 5))
    assert [time_ns for _, time_ns in frames] == [0, 100_000_000, 200_000_000, 300_000_000, 400_000_000]
    assert all((rgb == (200, 0, 0)).all() for rgb, _ in frames)


def test_a_photo_is_turned_upright_as_its_exif_says(tmp_path: Path) -> None:
    """Orientation 6: the camera was held so that the picture is to be turned clockwise by 90 degrees."""
    bgr = np.zeros((48, 64, 3), np.uint8)
    bgr[:, :32] = 255  # white on the left, so on the top once upright
    jpeg = cv2.imencode(".jpg", bgr)[1].tobytes()
    entry = bytes([0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0])  # tag 0x112, SHORT, one value: 6
    tiff = b"II*\x00" + (8).to_bytes(4, "little") + b"\x01\x00" + entry + bytes(4)
    exif = b"Exif\x00\x00" + tiff
    path = tmp_path / "held.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    pictures = open_pictures(path)
    assert (pictures.width, pictures.height) == (48, 64)
    rgb = next(iter(pictures))[0]
    assert rgb[:28].min() > 200
    assert rgb[36:].max() < 50


def test_a_folder_is_sorted_by_the_numbers_in_the_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in (10, 9, 1, 2):
        write_picture(tmp_path / f"picture_{number}.png", red=number)
    (tmp_path / "notes.txt").write_text("not a picture")
    with caplog.at_level(logging.WARNING):
        pictures = open_pictures(tmp_path, rate_hz=5.0)
    assert [int(rgb[0, 0, 0]) for rgb, _ in pictures] == [1, 2, 9, 10]
    assert [time_ns for _, time_ns in pictures] == [0, 200_000_000, 400_000_000, 600_000_000]
    assert (pictures.kind, pictures.count) == ("folder", 4)
    assert "notes.txt" in caplog.text


def test_a_folder_with_another_size_in_it_is_refused_there(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    write_picture(tmp_path / "2.png", size=(32, 48))
    with pytest.raises(GenEgoError, match=r"2\.png: 32 x 48 pixels, the first picture has 64 x 48"):
        list(open_pictures(tmp_path))


def test_a_cut_off_video_gives_what_it_has_and_then_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = []
    with pytest.raises(GenEgoError, match=r"v\.avi: breaks off after (\d+) of 60 frames") as error:
        frames.extend(open_pictures(path))
    assert 10 < len(frames) < 40
    assert f"after {len(frames)} of" in str(error.value)


def test_what_cannot_be_played_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("not a picture")
    cut_mp4 = write_video(tmp_path / "cut.mp4", 30, codec="mp4v")
    cut_mp4.write_bytes(cut_mp4.read_bytes()[:600])  # its index is at its end
    no_frames = write_video(tmp_path / "none.avi", 1)
    no_frames.write_bytes(no_frames.read_bytes().replace(b"00dc", b"0xxx"))
    damaged = write_picture(tmp_path / "damaged.png")
    damaged.write_bytes(damaged.read_bytes()[:40])
    for name, said in {
        "absent.mp4": "no such file or folder",
        "empty": "no picture in this folder",
        "notes.txt": "neither a picture nor a video",
        "cut.mp4": "neither a picture nor a video that OpenCV can read; it may be cut off",
        "none.avi": "without a readable frame",
        "damaged.png": "the picture is damaged",
    }.items():
        with pytest.raises(GenEgoError, match=said) as error:
            open_pictures(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no test data in {SHARED}; GENEGO_TEST_DATA names the folder")
def test_a_jpeg_that_breaks_off_is_damaged_and_not_half_grey(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    done, encoded = cv2.imencode(".jpg", rng.integers(0, 256, (96, 128, 3), dtype=np.uint8))
    assert done
    plain = encoded.tobytes()
    # As a camera writes it: with a thumbnail, a whole JPEG in a segment of its own, and something after the end.
    thumbnail = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    camera = plain[:2] + segment + plain[2:]
    path = tmp_path / "photo.jpg"
    for whole, after in ((plain, b""), (camera, b""), (camera, b"\xff\xda and a video")):
        path.write_bytes(whole + after)
        assert (open_pictures(path).width, open_pictures(path).height) == (128, 96)
    for whole in (plain, camera):
        for share in (0.5, 0.99):
            path.write_bytes(whole[: int(share * len(whole))])
            with pytest.raises(GenEgoError, match=r"photo\.jpg: the picture is damaged"):
                open_pictures(path)


def test_a_real_video() -> None:
    pictures = open_pictures(SHARED / "apache_mediapipe_test_video.mp4")
    assert (pictures.width, pictures.height, pictures.rate_hz, pictures.count) == (640, 360, 25.0, 202)
    assert sum(1 for _ in pictures) == 202
