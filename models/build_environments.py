"""Builds environments.safetensors, light from all around for rendered scenes, from 17 panoramas (CC0).

    npm pack @pmndrs/assets@1.7.0
    python models/build_environments.py pmndrs-assets-1.7.0.tgz     # needs the PyPI package OpenEXR

What is written is described in environments.md.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import tarfile
import tempfile
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import save_file

INDOORS = ("apartment", "bridge", "esplanade", "hall", "lab", "lobby", "studio", "warehouse", "workshop")
OUTDOORS = ("city", "dawn", "forest", "park", "sky", "sunrise", "sunset", "venice")
"""All of the package but `night`, which hardly lights anything."""
WIDTH, HEIGHT = 128, 64
BRIGHTEST = 60.0
"""Of the mean luminance. A sun of one pixel is noise to a path tracer; scenes have a lamp of their own for that."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def solid_angles(height: int) -> np.ndarray:
    """Share of the sphere that each row of an equirectangular picture covers, float64 (height,)."""
    edges = np.cos(np.linspace(0, np.pi, height + 1))
    return (edges[:-1] - edges[1:]) / 2


def panorama(package: Path, name: str) -> np.ndarray:
    """One panorama of the package, float32 (256, 512, 3), linear RGB."""
    import OpenEXR

    with tarfile.open(package) as archive, tempfile.NamedTemporaryFile(suffix=".exr") as file:
        member = archive.extractfile(f"package/hdri/{name}.exr.js")
        assert member is not None
        found = re.search(r"base64,([A-Za-z0-9+/=]+)", member.read().decode())
        assert found is not None
        file.write(base64.b64decode(found.group(1)))
        file.flush()
        with OpenEXR.File(file.name) as picture:
            # Their compression rings around the brightest spots.
            return np.maximum(picture.channels()["RGB"].pixels.astype(np.float32), 0)


def environment(radiance: np.ndarray) -> np.ndarray:
    """The map that is shipped, float16 (64, 128, 3), of a panorama (256, 512, 3)."""
    # A panorama is seen from inside, so azimuth grows to the left; `Environment` counts from +x towards +y.
    small = cv2.resize(radiance, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)[:, ::-1]
    weights = solid_angles(HEIGHT)[:, None] / WIDTH
    for _ in range(3):  # cutting the brightest lowers the mean, and so the limit
        luminance = small @ LUMINANCE
        limit = BRIGHTEST * (luminance * weights).sum()
        small = small * np.minimum(1, limit / np.maximum(luminance, 1e-6))[..., None]
    return (small / ((small @ LUMINANCE) * weights).sum()).astype(np.float16)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the environments that light rendered scenes.")
    parser.add_argument("package", type=Path, help="@pmndrs/assets, as `npm pack` writes it")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("environments.safetensors"))
    arguments = parser.parse_args()
    maps = {
        f"{place}.{name}": environment(panorama(arguments.package, name))
        for place, names in (("indoors", INDOORS), ("outdoors", OUTDOORS))
        for name in names
    }
    # One entry alone: safetensors writes several in a random order, and the file would not reproduce.
    save_file(maps, arguments.out, metadata={"source": "@pmndrs/assets 1.7.0, hdri; CC0-1.0"})
    content = arguments.out.read_bytes()
    print(f"{arguments.out}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
