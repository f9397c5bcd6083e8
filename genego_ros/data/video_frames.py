"""Any frame of a video by its number, exactly, without unpacking the video."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from genego_ros.errors import GenEgoError
from genego_ros.types import Array

_OPEN = 6
"""Videos that are kept open at a time, by each process."""


class VideoFrames:
    """The frames of one video, numbered from 0 in the order in which they are shown.

    Opening lists the packets without decoding. A frame is decoded from the last keyframe that is not shown
    after it, or from where the previous read ended when that is nearer.

    Raises:
        GenEgoError: the file is missing, is no video, or breaks off.
    """

    def __init__(self, path: Path | str) -> None:
        av = _av()
        self.path = Path(path)
        try:
            self._container = av.open(str(self.path))
            self._stream = self._container.streams.video[0]
            # One thread: workers are the parallel part, and threads of the decoder hold frames back.
            self._stream.codec_context.thread_count = 1
            packets = [(_time(packet), packet.is_keyframe) for packet in self._packets()]
        except (av.error.FFmpegError, OSError, IndexError) as error:
            raise GenEgoError(f"{self.path}: no readable video ({error}); copy it again") from error
        times = sorted(time for time, _ in packets)
        self._times: Array = np.array(times, np.int64)
        self._keyframes: Array = np.array(sorted(time for time, is_key in packets if is_key), np.int64)
        if not times or not len(self._keyframes) or (np.diff(self._times) == 0).any():
            raise GenEgoError(f"{self.path}: a video without frames, or with two at one time; copy it again")
        self._decoded: Any = iter(())
        self._last = -1
        """Index of the frame that was decoded last; -1 where nothing was."""

    def __len__(self) -> int:
        return len(self._times)

    @property
    def rate_hz(self) -> float:
        return float(self._stream.average_rate or 0)

    def read(self, index: int, pixels: str) -> Array:
        """The frame with that number.

        Args:
            pixels: how PyAV names the wanted format: `rgb24` gives uint8 (H, W, 3), `gray16le` gives uint16 (H, W).

        Raises:
            GenEgoError: there is no such frame, or it cannot be decoded.
        """
        av = _av()
        if not 0 <= index < len(self):
            raise GenEgoError(f"{self.path}: has {len(self)} frames, number {index} is not among them")
        try:
            return np.asarray(self._frame(index).to_ndarray(format=pixels))
        except (av.error.FFmpegError, OSError) as error:
            self._last = -1
            raise GenEgoError(
                f"{self.path}: frame {index} cannot be decoded ({error}); copy the video again"
            ) from error

    def close(self) -> None:
        self._container.close()

    def _packets(self) -> Any:
        packets = self._container.demux(self._stream)
        return (packet for packet in packets if packet.size and not packet.is_discard)

    def _frame(self, index: int) -> Any:
        wanted = int(self._times[index])
        keyframe = int(np.searchsorted(self._keyframes, wanted, side="right")) - 1
        nearer = self._last >= 0 and self._keyframes[max(keyframe, 0)] <= self._times[self._last] < wanted
        if not nearer:
            self._seek(max(keyframe, 0))
        for frame in self._decoded:
            time = _time(frame)
            self._last = int(np.searchsorted(self._times, time))
            if time == wanted:
                return frame
            if time > wanted:
                break
        self._last = -1
        raise GenEgoError(f"{self.path}: frame {index} of {len(self)} is damaged; copy the video again")

    def _seek(self, keyframe: int) -> None:
        """Continues with that keyframe, or an earlier one where the container is not exact."""
        time = int(self._keyframes[keyframe])
        self._container.seek(time, stream=self._stream, backward=True)
        for packet in self._packets():
            if _time(packet) <= time or keyframe == 0:
                break
            # Some containers seek by the time of decoding, which is before that of showing.
            self._seek(keyframe - 1)
            return
        self._container.seek(time, stream=self._stream, backward=True)
        self._decoded = self._container.decode(self._stream)


class OpenVideos:
    """Videos that were used last, kept open; every process has its own."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._videos: OrderedDict[Path, VideoFrames] = OrderedDict()
        self._inherited: list[OrderedDict[Path, VideoFrames]] = []

    def __getitem__(self, path: Path) -> VideoFrames:
        if self._process != os.getpid():
            # A forked process shares the place in the file with its parent and must not move it; nor may it close
            # what it inherited, whose threads are not there to be joined.
            self._inherited.append(self._videos)
            self._process, self._videos = os.getpid(), OrderedDict()
        if path not in self._videos:
            self._videos[path] = VideoFrames(path)
            if len(self._videos) > _OPEN:
                self._videos.popitem(last=False)[1].close()
        self._videos.move_to_end(path)
        return self._videos[path]

    def __getstate__(self) -> dict[str, Any]:
        return {"_process": -1, "_videos": OrderedDict(), "_inherited": []}


def _time(timed: Any) -> int:
    """When a packet or frame is shown; formats without reordering give the time of decoding alone."""
    return int(timed.pts if timed.pts is not None else timed.dts)


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise GenEgoError(
            "videos of data sets are read by PyAV, which is missing; install it: pip install av"
        ) from error
    return av
