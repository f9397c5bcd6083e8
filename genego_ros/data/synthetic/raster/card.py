"""The one OpenGL context of this process, its programs and its textures."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from genego_ros.errors import GenEgoError
from genego_ros.types import Array

SHADERS = Path(__file__).parent / "shaders"
ROW = 1024
"""Texels a row of the textures that serve as tables."""
NEAREST = (0x2600, 0x2600)
"""OpenGL's GL_NEAREST, for pictures made smaller and larger."""


@cache
def context() -> Any:
    """A moderngl context without a window.

    On the processor alone it draws in the calling thread, so that as many workers as cores are quickest;
    LP_NUM_THREADS=N gives it N threads of its own.

    Raises:
        GenEgoError: moderngl, EGL or a driver is missing.
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")
    try:
        import moderngl
    except ImportError as error:
        raise GenEgoError("rendering needs moderngl: run ./genego setup, or pip install moderngl") from error
    settings: dict[str, Any] = {"standalone": True, "backend": "egl", "require": 430}
    try:
        made = moderngl.create_context(**settings)
    except Exception as error:  # the loader below moderngl raises whatever it likes
        raise GenEgoError(
            f"rendering needs OpenGL 4.3 through EGL, which cannot be had here ({error}); "
            "install it: apt-get install libegl1 libgl1-mesa-dri"
        ) from error
    made.gc_mode = "auto"
    return made


@cache
def program(vertex: str, fragment: str) -> Any:
    """The program of two files in shaders/."""
    common = (SHADERS / "common.glsl").read_text()
    sources = [(SHADERS / name).read_text().replace('#include "common.glsl"', common) for name in (vertex, fragment)]
    return context().program(*sources)


@cache
def fullscreen(fragment: str) -> Any:
    """One triangle over the whole picture; `render(vertices=3)`."""
    return context().vertex_array(program("picture.vert", fragment), [])


def set_uniforms(of: Any, **values: Any) -> None:
    """Sets uniforms by name: textures go to units in their order, matrices are row-major numpy arrays."""
    unit = 0
    for name, value in values.items():
        if hasattr(value, "use"):
            value.use(unit)
            value, unit = unit, unit + 1
        uniform = of[name]
        if uniform.fmt[-1] == "i":
            uniform.value = value
            continue
        array = np.asarray(value, np.float32)
        if uniform.matrix and array.size:
            array = np.swapaxes(array, -1, -2)  # OpenGL's matrices are column-major
        room = np.zeros(uniform.array_length * uniform.dimension, np.float32)
        room[: array.size] = np.ravel(array)
        uniform.write(room.tobytes())


def table(rows: Array, dtype: str) -> Any:
    """A texture that holds (N, 4) numbers, ROW texels a row; `dtype` is moderngl's: f4, i4, u4."""
    padded = np.zeros((-(-len(rows) // ROW) * ROW, 4), rows.dtype)
    padded[: len(rows)] = rows
    made = context().texture((ROW, len(padded) // ROW), 4, padded.tobytes(), dtype=dtype)
    made.filter = NEAREST
    return made


def image(size: tuple[int, int], components: int, dtype: str) -> Any:
    """A texture to draw into, read texel by texel."""
    made = context().texture(size, components, dtype=dtype)
    made.filter = NEAREST
    made.repeat_x = made.repeat_y = False
    return made
