"""Undoes lens distortion, once, where pictures come in."""

from __future__ import annotations

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo

from genego_ros.errors import GenEgoError
from genego_ros.types import ByteArray, FloatArray

_PINHOLE_MODELS = {"plumb_bob", "rational_polynomial", "thin_prism", ""}
_FISHEYE_MODELS = {"equidistant", "fisheye"}
_PINHOLE_COUNTS, _FISHEYE_COUNTS = {4, 5, 8, 12, 14}, {4}
"""Distortion coefficients that OpenCV takes."""


class Rectifier:
    """Maps pictures of one camera to the pinhole camera of the same K (CameraInfo.k).

    The maps are made once, for the first picture.

    Raises:
        GenEgoError: an unknown distortion model, or coefficients of another number, NaN or infinite.
    """

    def __init__(self, info: CameraInfo) -> None:
        self._matrix = np.array(info.k, np.float64).reshape(3, 3)
        self._distortion = np.array(info.d, np.float64)
        self._size = (int(info.width), int(info.height))
        self.needed = bool(np.any(self._distortion != 0))
        self._fisheye = info.distortion_model in _FISHEYE_MODELS
        if self.needed and not self._fisheye and info.distortion_model not in _PINHOLE_MODELS:
            raise GenEgoError(
                f"camera_info has distortion model '{info.distortion_model}': plumb_bob, rational_polynomial and "
                "equidistant are known; rectify the pictures before (image_proc)"
            )
        count, finite = len(self._distortion), bool(np.isfinite(self._distortion).all())
        if self.needed and not (finite and count in (_FISHEYE_COUNTS if self._fisheye else _PINHOLE_COUNTS)):
            raise GenEgoError(
                f"camera_info of model '{info.distortion_model}' has {count} distortion coefficients "
                f"{self._distortion.tolist()}: they must be finite, 5 for plumb_bob, 8 for rational_polynomial, "
                "4 for equidistant; calibrate the camera"
            )
        self._maps: tuple[np.ndarray, np.ndarray] | None = None

    def rgb(self, picture: ByteArray) -> ByteArray:
        """uint8 (H, W, 3) without distortion."""
        return np.asarray(cv2.remap(picture, *self._lookup(), cv2.INTER_LINEAR)) if self.needed else picture

    def depth(self, depth: FloatArray) -> FloatArray:
        """float32 (H, W) without distortion; taken from the nearest pixel, NaN where nothing was seen."""
        if not self.needed:
            return depth
        return np.asarray(
            cv2.remap(
                depth, *self._lookup(), cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=float("nan")
            )
        )

    def _lookup(self) -> tuple[np.ndarray, np.ndarray]:
        if self._maps is None:
            make = cv2.fisheye.initUndistortRectifyMap if self._fisheye else cv2.initUndistortRectifyMap
            # Of fixed-point maps the nearest pixel would be the one to the upper left: depth would be shifted.
            self._maps = make(self._matrix, self._distortion, np.eye(3), self._matrix, self._size, cv2.CV_32FC1)
        return self._maps
