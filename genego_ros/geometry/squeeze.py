"""Pictures at a network's own size: squeezed to it, never cropped."""

from __future__ import annotations

import cv2
import numpy as np

from genego_ros.types import ByteArray


def squeeze(picture: ByteArray, width: int, height: int) -> ByteArray:
    """The whole picture at another size, the aspect ratio given up.

    Each axis that shrinks is averaged over area, so that nothing flickers or vanishes between samples; one that
    grows is interpolated linearly. `Camera.resized` is what happens to the intrinsics.

    Args:
        picture: uint8 (H, W, 3) or (H, W).
    """
    rows, columns = picture.shape[:2]
    small = (min(width, columns), min(height, rows))
    exact = picture if small == (width, height) else picture.astype(np.float32)
    # In one call OpenCV averages over area only where both axes shrink.
    shrunk = cv2.resize(exact, small, interpolation=cv2.INTER_AREA)
    if exact is picture:
        return np.asarray(shrunk)
    grown = cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.rint(grown).astype(np.uint8)
