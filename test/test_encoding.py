from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from genego_ros.atomic import write_whole
from genego_ros.data.encoding import metres, millimetres, png


def test_depth_to_millimetres_up_to_the_last_and_not_beyond() -> None:
    metres = [0.0, 0.0004, 0.001, 1.2344, 65.534, 65.535, 65.536, 65.6, 700.0, -0.5, np.nan, np.inf, -np.inf]
    told = [0, 0, 1, 1234, 65534, 65535, 0, 0, 0, 0, 0, 0, 0]
    depth = millimetres(np.array([metres], np.float32))
    assert depth.dtype == np.uint16
    assert depth.tolist() == [told]


def test_every_millimetre_comes_back() -> None:
    whole = np.arange(2**16, dtype=np.uint16)
    np.testing.assert_array_equal(millimetres(whole * np.float32(0.001)), whole)
    np.testing.assert_array_equal(millimetres((whole / 1000).astype(np.float32)), whole)


def test_metres_are_what_millimetres_were_made_of() -> None:
    stored = np.array([[0, 1, 1234, 65535]], np.uint16)
    depth = metres(stored)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, [[np.nan, 0.001, 1.234, 65.535]], rtol=1e-6)
    np.testing.assert_array_equal(millimetres(depth), stored)
    np.testing.assert_array_equal(
        metres(np.array([[2.5, -1.0, np.inf, np.nan]], np.float32), 1.0), [[2.5, np.nan, np.nan, np.nan]]
    )


def test_png_holds_colours_and_depth() -> None:
    rng = np.random.default_rng(0)
    rgb, depth = rng.integers(0, 256, (5, 7, 3), np.uint8), rng.integers(0, 2**16, (5, 7), np.uint16)
    read = [cv2.imdecode(np.frombuffer(png(p), np.uint8), cv2.IMREAD_UNCHANGED) for p in (rgb, depth)]
    np.testing.assert_array_equal(read[0][..., ::-1], rgb)
    np.testing.assert_array_equal(read[1], depth)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "numbers"
    write_whole(file, b"1 2 3")
    write = Path.write_bytes

    def break_off(path: Path, content: bytes) -> int:
        write(path, content[:2])
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", break_off)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"4 5 6")
    assert file.read_bytes() == b"1 2 3"
    assert list(tmp_path.iterdir()) == [file]
