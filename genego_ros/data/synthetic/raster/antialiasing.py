"""Smooth edges from one shaded point a pixel.

The triangles are known at every half pixel, their light at the pixels' centres alone. Every half-pixel sample takes the
light of the neighbouring centre that shows the same surface (subpixel reconstruction, Chajdas et al. 2011), and a pixel
is the mean of its 3 x 3 samples under a tent.
"""

from __future__ import annotations

import numpy as np
from numba import float32, float64, int32, njit, types

_Image = types.Array(float32, 3, "C", readonly=True)


@njit(types.void(float32[:, :, ::1], _Image, float32, float64[:, ::1], float64[::1]), cache=True, nogil=True)
def fill_sky(radiance, sky, turn, R, pinhole):  # type: ignore[no-untyped-def]
    """Gives the pixels where nothing is, of depth 0, the environment's radiance, between its four nearest pixels.

    Args:
        radiance: float32 (H, W, 4), the fourth number is depth.
        sky: float32 (h, 2 h, 3), as `scene.Environment.radiance`, turned by `turn` radians.
        R: float64 (3, 3), world from camera.
        pinhole: float64 (4,): fx, fy, cx, cy.
    """
    rows, columns = sky.shape[0], sky.shape[1]
    for r in range(radiance.shape[0]):
        for c in range(radiance.shape[1]):
            if radiance[r, c, 3] > 0:
                continue
            u, v = (c - pinhole[2]) / pinhole[0], (r - pinhole[3]) / pinhole[1]
            x, y, z = (
                R[0, 0] * u + R[0, 1] * v + R[0, 2],
                R[1, 0] * u + R[1, 1] * v + R[1, 2],
                R[2, 0] * u + R[2, 1] * v + R[2, 2],
            )
            azimuth = (np.arctan2(y, x) - turn) / (2 * np.pi)
            column = (azimuth - np.floor(azimuth)) * columns - 0.5
            row = min(max(np.arccos(z / np.sqrt(x * x + y * y + z * z)) / np.pi * rows - 0.5, 0.0), rows - 1.001)
            left, top = int(np.floor(column)), int(row)
            right, part, fall = (left + 1) % columns, np.float32(column - left), np.float32(row - top)
            left %= columns
            for k in range(3):
                upper = (1 - part) * sky[top, left, k] + part * sky[top, right, k]
                lower = (1 - part) * sky[top + 1, left, k] + part * sky[top + 1, right, k]
                radiance[r, c, k] = (1 - fall) * upper + fall * lower


@njit(float32[:, :, ::1](_Image, _Image, int32[::1]), cache=True, nogil=True)
def reconstruct(radiance, seen, mesh_of):  # type: ignore[no-untyped-def]
    """The picture with its edges made smooth.

    Args:
        radiance: float32 (H, W, 4) at the pixels' centres; the fourth number is not looked at.
        seen: float32 (2 H + 1, 2 W + 1, 2), triangle and depth at every half pixel; the centre of pixel (r, c) is at
            (2 r + 1, 2 c + 1).
        mesh_of: int32 (F + 1,), the mesh of each triangle; the last one is that of "nothing", -1.

    Returns:
        float32 (H, W, 3).
    """
    height, width = radiance.shape[0], radiance.shape[1]
    picture = np.empty((height, width, 3), np.float32)
    for r in range(height):
        for c in range(width):
            own = seen[2 * r + 1, 2 * c + 1, 0]
            inside = True
            for i in range(3):
                for j in range(3):
                    if seen[2 * r + i, 2 * c + j, 0] != own:
                        inside = False
            if inside:
                for k in range(3):
                    picture[r, c, k] = radiance[r, c, k]
                continue
            red, green, blue = np.float32(0), np.float32(0), np.float32(0)
            for i in range(3):
                for j in range(3):
                    weight = np.float32((2 - abs(i - 1)) * (2 - abs(j - 1))) / np.float32(16)
                    triangle, z = seen[2 * r + i, 2 * c + j, 0], seen[2 * r + i, 2 * c + j, 1]
                    mesh = mesh_of[int(triangle)]
                    best, least = (r, c), np.float32(1e30)
                    for y in range(max(r + min(i - 1, 0), 0), min(r + max(i - 1, 0), height - 1) + 1):
                        for x in range(max(c + min(j - 1, 0), 0), min(c + max(j - 1, 0), width - 1) + 1):
                            other = seen[2 * y + 1, 2 * x + 1, 0]
                            cost = abs(seen[2 * y + 1, 2 * x + 1, 1] - z)
                            if other == triangle:
                                cost = np.float32(-1)
                            elif mesh_of[int(other)] != mesh:
                                cost += np.float32(10)
                            # The pixel's own light where there is no difference.
                            if cost < least or (cost == least and y == r and x == c):
                                best, least = (y, x), cost
                    red += weight * radiance[best[0], best[1], 0]
                    green += weight * radiance[best[0], best[1], 1]
                    blue += weight * radiance[best[0], best[1], 2]
            picture[r, c, 0], picture[r, c, 1], picture[r, c, 2] = red, green, blue
    return picture
