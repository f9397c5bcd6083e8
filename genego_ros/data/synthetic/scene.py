"""What a renderer is told: surfaces, light, cameras, and where everything is at one moment.

The world is z up, the floor is z = 0, lengths are metres. Colours and light are linear RGB; pictures that
serve as textures are sRGB. Nothing here depends on which renderer draws it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from genego_ros.types import ByteArray, Camera, Float64Array, FloatArray

IndexArray = NDArray[np.int32]


@dataclass(frozen=True)
class Material:
    """The look of a surface: a dielectric of some roughness, or a metal."""

    color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Linear RGB, 0 to 1; multiplies the texture."""
    texture: ByteArray | None = None
    """uint8 (H, W, 3), sRGB; repeats. Texture coordinate (0, 0) is its upper left corner, v points down."""
    roughness: float = 0.6
    """0 is a mirror, 1 is matt."""
    metallic: float = 0.0
    bump: FloatArray | None = None
    """float32 (H, W), height in metres above the surface; repeats with the texture coordinates."""
    tile: float = 1.0
    """Metres of surface that one unit of texture coordinates spans; gives `bump` its slope."""
    subsurface: float = 0.0
    """Share of light that enters and leaves elsewhere (skin 0.3, wax, milk); 0 is opaque."""
    emission: float = 0.0
    """Radiance that the surface gives off by itself, times its colour (a window, a lamp, a screen)."""


@dataclass(frozen=True)
class Mesh:
    """Triangles of one material."""

    name: str
    """Unique in its scene."""
    vertices: FloatArray
    """float32 (V, 3), in the mesh's own frame: the world's unless a `Moment` places it."""
    faces: IndexArray
    """int32 (F, 3), counter-clockwise from outside. Both sides are drawn."""
    uv: FloatArray
    """float32 (V, 2), texture coordinates."""
    material: Material
    smooth: bool = True
    """Normals are the area-weighted mean around a vertex; otherwise those of the triangles."""
    colors: FloatArray | None = None
    """float32 (V, 3), linear RGB that multiplies the material's colour."""
    weld: IndexArray | None = None
    """int32 (V,): the first vertex at the same place, where seams of the texture have doubled vertices, so that
    smooth normals do not break there; None where there is no seam."""
    hidden_from: frozenset[str] = frozenset()
    """Names of cameras that do not see it (what sits in front of the eyes of the person who wears them)."""


@dataclass(frozen=True)
class Environment:
    """Light from all around."""

    radiance: FloatArray
    """float32 (H, 2H, 3), equirectangular: row 0 is the zenith, column u looks along azimuth 2 pi (u + 0.5) / 2H,
    counted from +x towards +y."""
    turn: float = 0.0
    """Radians by which it is turned about +z."""


@dataclass(frozen=True)
class KeyLight:
    """A square lamp that casts soft shadows."""

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    """What its middle axis points at."""
    size: float
    """Side of the square, metres."""
    irradiance: tuple[float, float, float]
    """Linear RGB on a surface at `target` that faces the lamp, in the unit of the environment's radiance times
    steradian; the lamp radiates as a Lambertian, so its flux is pi d^2 times this."""


@dataclass(frozen=True)
class Sensor:
    """What makes of light a picture as a camera gives it."""

    exposure: float = 1.0
    """Factor on radiance; 1 takes white paper under unit irradiance just below white."""
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors on linear RGB."""
    shot_noise: float = 0.0
    """Standard deviation at full scale; grows with the square root of the signal."""
    read_noise: float = 0.0
    """Standard deviation in the dark, of full scale."""
    shutter: float = 0.0
    """Share of the time between two frames for which the shutter is open: motion blur."""
    blur: float = 0.0
    """Standard deviation of the lens' blur, in pixels of a picture 640 wide."""
    vignetting: float = 0.0
    """Light lost in the corners, 0 to 1."""
    contrast: float = 1.0
    """Slope of the tone curve in the middle."""
    saturation: float = 1.0


@dataclass(frozen=True)
class RecordingCamera:
    """One of the recording's five cameras."""

    name: str
    camera: Camera
    sensor: Sensor


@dataclass(frozen=True)
class Moment:
    """Where everything is at one frame."""

    T_world_camera: Mapping[str, Float64Array]
    """Camera name to float64 (4, 4), optical frame."""
    T_world_mesh: Mapping[str, Float64Array] = field(default_factory=dict)
    """Mesh name to float64 (4, 4), rigid; a mesh that is not named stays where its vertices are."""
    vertices: Mapping[str, FloatArray] = field(default_factory=dict)
    """Mesh name to float32 (V, 3), world frame: meshes that bend (skin, clothes, hair)."""


@dataclass(frozen=True)
class Scene:
    """All that does not change during a recording."""

    meshes: tuple[Mesh, ...]
    environment: Environment
    lights: tuple[KeyLight, ...]
    cameras: tuple[RecordingCamera, ...]
    """Those that are rendered; names from `h2o_format.CAMERAS`."""


@dataclass(frozen=True)
class Shot:
    """What a renderer gives; `sensor.expose` makes a picture of it."""

    radiance: FloatArray
    """float32 (H, W, 3), linear RGB, scene referred."""
    depth: FloatArray
    """float32 (H, W), metres along z at the pixel centres; NaN where nothing is."""
    flow: FloatArray
    """float32 (H, W, 2), pixels by which the surface at a pixel moved in the picture since the previous moment."""


class Renderer(Protocol):
    """Draws one scene. Both renderers are made from a `Scene` alone and are context managers."""

    def render(self, camera: str, moment: Moment, previous: Moment) -> Shot:
        """What `camera` sees at `moment`; `previous` is the moment before (the same one for the first frame)."""

    def close(self) -> None: ...
