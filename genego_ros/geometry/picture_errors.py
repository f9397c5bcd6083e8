"""Measures of one picture against the true one, pixel by pixel."""

from __future__ import annotations

import math

import cv2
import numpy as np

from genego_ros.types import BoolArray, ByteArray, FloatArray

PSNR_CEILING = 100.0
"""dB given to a picture that equals the truth to the bit, so that a mean stays a number."""
_RADIUS, _SIGMA = 5, 1.5
_C1, _C2 = np.float32(0.01**2), np.float32(0.03**2)


def psnr(truth: ByteArray, picture: ByteArray, where: BoolArray | None = None) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(1 / mean squared error) on [0, 1].

    Args:
        truth, picture: uint8, one shape.
        where: bool (H, W), the pixels that count, one at least; by default all.
    """
    difference = (truth.astype(np.int32) - picture)[... if where is None else where]
    error = float(np.mean(np.square(difference))) / 255.0**2
    return PSNR_CEILING if error == 0 else min(PSNR_CEILING, -10.0 * math.log10(error))


def ssim(truth: ByteArray, picture: ByteArray, where: BoolArray | None = None) -> float:
    """Structural similarity (Wang et al., 2004) on [0, 1]: Gaussian window of 11 x 11 pixels and deviation 1.5,
    K1 = 0.01, K2 = 0.03, data range 1, averaged over channels and pixels; at the border the pictures are mirrored.
    These are torchmetrics' defaults; scikit-image leaves the border out.

    Args:
        truth, picture: uint8 (H, W, 3), one shape.
        where: bool (H, W), the pixels around which it is taken, one at least; by default all.
    """
    x, y = (image.astype(np.float32) / np.float32(255) for image in (truth, picture))
    mean_x, mean_y = _windowed(x), _windowed(y)
    products = mean_x * mean_y
    squares = mean_x * mean_x + mean_y * mean_y
    variances = _windowed(x * x + y * y) - squares
    covariance = _windowed(x * y) - products
    similarity = (2 * products + _C1) * (2 * covariance + _C2) / ((squares + _C1) * (variances + _C2))
    return float(np.mean(similarity[... if where is None else where], dtype=np.float64))


def _windowed(picture: FloatArray) -> FloatArray:
    """The window's weighted mean around each pixel."""
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    window = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    window /= window.sum()
    return np.asarray(cv2.sepFilter2D(picture, -1, window, window, borderType=cv2.BORDER_REFLECT_101))
