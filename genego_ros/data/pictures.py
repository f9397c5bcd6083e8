"""A sequence of pictures from a video, a photo or a folder of pictures."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count as count_up
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from genego_ros.data.file_order import by_number
from genego_ros.errors import GenEgoError
from genego_ros.types import ByteArray

DEFAULT_RATE_HZ = 30.0
"""For photos and folders, and for a video that does not say its own."""
TRUNCATED = 0.95
"""A video that ends before this share of the frames its container names is cut off. Containers that
estimate the number from the duration are off by a frame or two."""

_JPEG, _SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
"""Markers of JPEG (ISO/IEC 10918-1, annex B): start of the file, of a picture's data, end of the picture."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pictures:
    """Pictures of one size, in order; iterating gives (rgb uint8 (H, W, 3), time in nanoseconds from the
    first), upright where EXIF or the container says how the camera was held.

    Iterating raises GenEgoError for a picture that cannot be decoded or has another size, and after the
    last frame of a video that is cut off.
    """

    path: Path
    kind: Literal["video", "photo", "folder"]
    width: int
    height: int
    rate_hz: float
    count: int | None
    """None for a photo, which is repeated without end, and where a video does not say."""
    files: tuple[Path, ...]
    """The picture files; the video itself for a video."""

    def __iter__(self) -> Iterator[tuple[ByteArray, int]]:
        pictures = {"video": self._frames, "photo": self._repeated, "folder": self._files}[self.kind]()
        for index, rgb in enumerate(pictures):
            if rgb.shape[:2] != (self.height, self.width):
                raise GenEgoError(
                    f"{self.files[index % len(self.files)]}: {rgb.shape[1]} x {rgb.shape[0]} pixels, the first "
                    f"picture has {self.width} x {self.height}; a camera has one size, resize it or take it out"
                )
            yield rgb, round(index * 1e9 / self.rate_hz)

    def _repeated(self) -> Iterator[ByteArray]:
        photo = _read_picture(self.path)
        for _ in count_up():
            yield photo

    def _files(self) -> Iterator[ByteArray]:
        return map(_read_picture, self.files)

    def _frames(self) -> Iterator[ByteArray]:
        video = cv2.VideoCapture(str(self.path))
        read = 0
        try:
            while (frame := video.read()[1]) is not None:
                read += 1
                yield _rgb(frame)
        finally:
            video.release()
        if self.count is not None and read < TRUNCATED * self.count:
            raise GenEgoError(
                f"{self.path}: breaks off after {read} of {self.count} frames; copy it again, or cut it there: "
                f"ffmpeg -i {self.path.name} -c copy whole_{self.path.name}"
            )


def open_pictures(path: str | Path, rate_hz: float = DEFAULT_RATE_HZ) -> Pictures:
    """Opens a video, a photo or a folder of pictures (in the order of the numbers in their names).

    The first picture is decoded here, so that what cannot be played is refused at once. `rate_hz` is for
    photos and folders; a video has its own.

    Raises:
        GenEgoError: no such file, no picture or video, an empty folder, a video without frames.
    """
    path = Path(path)
    if not path.exists():
        raise GenEgoError(f"{path}: no such file or folder; check the path")
    if path.is_dir():
        files = _pictures_in(path)
        height, width = _read_picture(files[0]).shape[:2]
        return Pictures(path, "folder", width, height, rate_hz, len(files), files)
    if cv2.haveImageReader(str(path)):
        height, width = _read_picture(path).shape[:2]
        return Pictures(path, "photo", width, height, rate_hz, None, (path,))
    return _open_video(path)


def _open_video(path: Path) -> Pictures:
    video = cv2.VideoCapture(str(path))
    try:
        if not video.isOpened():
            raise GenEgoError(
                f"{path}: neither a picture nor a video that OpenCV can read; it may be cut off or damaged, "
                "copy it again or convert it: ffmpeg -i FILE out.mp4"
            )
        frame = video.read()[1]
        if frame is None:
            raise GenEgoError(f"{path}: a video without a readable frame; copy it again or record anew")
        rate_hz, frames = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
    finally:
        video.release()
    if not (math.isfinite(rate_hz) and 0 < rate_hz < 1000):
        _log.warning("%s: the video does not say its frame rate; %g frames/s are assumed", path, DEFAULT_RATE_HZ)
        rate_hz = DEFAULT_RATE_HZ
    height, width = frame.shape[:2]
    # OpenCV gives a huge negative number where the container does not say.
    return Pictures(path, "video", width, height, rate_hz, int(frames) if frames >= 1 else None, (path,))


def _pictures_in(folder: Path) -> tuple[Path, ...]:
    files = sorted((file for file in folder.iterdir() if file.is_file()), key=by_number)
    pictures = tuple(file for file in files if cv2.haveImageReader(str(file)))
    if not pictures:
        raise GenEgoError(f"{folder}: no picture in this folder; give a folder of jpg or png files, or a video")
    if others := [file.name for file in files if file not in pictures]:
        _log.warning("%s: not pictures, left out: %s", folder, ", ".join(others))
    return pictures


def _read_picture(path: Path) -> ByteArray:
    # IMREAD_COLOR turns the picture as its EXIF orientation says, and brings 16 bits and grey to 8-bit colour.
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None or _breaks_off(path):
        raise GenEgoError(f"{path}: the picture is damaged; copy it again or take it out")
    return _rgb(picture)


def _breaks_off(path: Path) -> bool:
    """Whether a JPEG file ends within its picture: what is missing of it OpenCV fills with grey, and says nothing."""
    content = path.read_bytes()
    place = 2 if content.startswith(_JPEG) else len(content)
    # Segment by segment to the picture itself: before it there may be a small one, with an end of its own.
    while content[place : place + 1] == b"\xff":
        if content[place : place + 2] == _SCAN:
            return _JPEG_END not in content[place:]
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return False


def _rgb(bgr: ByteArray) -> ByteArray:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
