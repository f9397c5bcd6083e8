"""Draws moments of one scene; the package's docstring tells how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from genego_ros.data.synthetic.raster import light
from genego_ros.data.synthetic.raster.antialiasing import fill_sky, reconstruct
from genego_ros.data.synthetic.raster.card import context, fullscreen, image, program, set_uniforms
from genego_ros.data.synthetic.raster.geometry import in_view
from genego_ros.data.synthetic.raster.stage import Slot, Stage
from genego_ros.data.synthetic.scene import Moment, Scene, Shot
from genego_ros.errors import GenEgoError
from genego_ros.geometry import rigid
from genego_ros.types import BoolArray, Camera, Float64Array

LAMPS = 2
"""Lamps of a scene at most; with the environment's brightest spot the shaders' arrays are full."""
STRIDE = 2
"""Pixels between the places for which it is found out how open they lie to surroundings and lamps."""
MIDDLE = (0.0, 0.0, 0.75)
"""Where the fine shadows are in a scene without lamps: on its table."""


class RasterRenderer:
    """Draws one scene; see `scene.Renderer`. The same scene and moments give the same bytes.

    Raises:
        GenEgoError: OpenGL cannot be had, or the scene has more than two lamps.
    """

    def __init__(self, scene: Scene) -> None:
        if len(scene.lights) > LAMPS:
            raise GenEgoError(f"the scene has {len(scene.lights)} lamps, the raster renderer draws {LAMPS} at most")
        context()  # fails here, not at the first picture
        # Shadows are cast by lamps alone: the environment's brightest spot becomes one.
        self._environment = scene.environment
        rest, spot = light.without_brightest(scene.environment, scene.lights[0].target if scene.lights else MIDDLE)
        self._scene = scene = replace(scene, environment=rest, lights=scene.lights + ((spot,) if spot else ()))
        self._cameras = {camera.name: camera.camera for camera in scene.cameras}
        self._stage: Stage | None = None
        self._moving: frozenset[str] = frozenset()
        self._targets: dict[tuple[int, int], _Targets] = {}
        self._light = _Light(scene)
        self._sky = np.ascontiguousarray(self._environment.radiance, np.float32)

    def __enter__(self) -> RasterRenderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the card's memory back."""
        for part in (self._stage, self._light, *self._targets.values()):
            if part is not None:
                part.close()
        self._stage, self._targets = None, {}

    def render(self, camera: str, moment: Moment, previous: Moment) -> Shot:
        """See `scene.Renderer`. Moments are known by identity: one that was drawn must not be changed.

        Raises:
            GenEgoError: the scene has no such camera, or the moment does not place it.
        """
        placed = moment.T_world_camera.keys() & previous.T_world_camera.keys()
        if camera not in self._cameras.keys() & placed:
            raise GenEgoError(
                f"no camera '{camera}'; the scene has {', '.join(self._cameras)}, the moments place {sorted(placed)}"
            )
        stage = self._on_stage(moment, previous)
        before = stage.at(previous)
        now = stage.at(moment, keep=before)
        stage.cast_shadows(now)
        lens = self._cameras[camera]
        size = lens.width, lens.height
        if size not in self._targets:
            self._targets[size] = _Targets(*size)
        shown = np.array([camera not in mesh.hidden_from for mesh in stage.geometry.meshes])
        pose, past = moment.T_world_camera[camera], previous.T_world_camera[camera]
        return self._draw(_Take(stage, self._targets[size], lens, pose, past, now, before, shown))

    def _on_stage(self, *moments: Moment) -> Stage:
        """The stage; set anew where a moment moves a mesh that stood still so far."""
        moving = self._moving.union(*(set(moment.T_world_mesh) | set(moment.vertices) for moment in moments))
        if self._stage is None or moving != self._moving:
            if unknown := moving - {mesh.name for mesh in self._scene.meshes}:
                raise GenEgoError(f"a moment places mesh '{min(unknown)}', which the scene does not have")
            if self._stage is not None:
                self._stage.close()
            self._moving, self._stage = moving, Stage(self._scene, moving)
        return self._stage

    def _draw(self, take: _Take) -> Shot:
        stage, targets, lens = take.stage, take.targets, take.lens
        _see(take)
        seen = targets.seen.color_attachments[0]
        pinhole = lens.fx, lens.fy, lens.cx, lens.cy
        R = np.ascontiguousarray(take.T_world_camera[:3, :3], np.float64)
        common = {
            "visible": seen,
            "triangles": stage.triangles,
            "here": take.now.table,
            "eye": take.T_world_camera[:3, 3],
            "world_from_camera": R,
            "pinhole": pinhole,
            "stride": STRIDE,
            "lamps": len(self._scene.lights),
            "lamp_size": [lamp.size for lamp in self._scene.lights],
        }
        context().enable_only(context().NOTHING)
        _occlude(take, common)
        _fill(
            targets.light,
            "shade.frag",
            **common,
            **self._light.uniforms,
            before=take.before.table,
            attributes=stage.attributes,
            materials=stage.materials,
            pictures=stage.pictures,
            slopes=stage.slopes,
            opens=targets.open[0].color_attachments[0],
            guides=targets.guide,
            previous=rigid.invert(take.T_world_camera_before),
            still=stage.geometry.still,
        )
        radiance, flow = map(_read, targets.light.color_attachments)
        fill_sky(radiance, self._sky, self._scene.environment.turn, R, np.array(pinhole))
        picture = reconstruct(radiance, _read(seen), stage.mesh_of)
        depth = np.where(radiance[..., 3] > 0, radiance[..., 3], np.float32(np.nan))
        return Shot(picture, depth, flow)


class _Take(NamedTuple):
    """One picture to be drawn."""

    stage: Stage
    targets: _Targets
    lens: Camera
    T_world_camera: Float64Array
    T_world_camera_before: Float64Array
    now: Slot
    before: Slot
    shown: BoolArray
    """bool (M,): meshes that are not hidden from the camera."""


def _see(take: _Take) -> None:
    """Draws which triangle is seen at every half pixel."""
    card, lens, target = context(), take.lens, take.targets.seen
    size = np.array([2 * lens.width + 1, 2 * lens.height + 1])
    focal, centre = np.array([lens.fx, lens.fy]), np.array([lens.cx, lens.cy])
    # Sample s shows pixel (s - 1) / 2; OpenGL counts to its middle, s + 0.5.
    clip = light.clip_space(rigid.invert(take.T_world_camera), 4 * focal / size, (4 * centre + 3) / size - 1)
    card.enable_only(card.DEPTH_TEST)
    target.use()
    target.clear(-1.0, 0.0, 0.0, 0.0, depth=1.0)
    visibility = program("triangles.vert", "visibility.frag")
    set_uniforms(visibility, clip_from_world=clip)
    for first, count in take.stage.ranges(take.shown & in_view(take.now.placed, clip)):
        visibility["first"] = first
        take.now.visible.render(vertices=3 * count, first=3 * first)


def _occlude(take: _Take, common: dict[str, Any]) -> None:
    """Draws what is seen of surroundings and lamps, and smooths it along rows, then columns."""
    stage, targets = take.stage, take.targets
    _fill(
        targets.occlusion,
        "occlusion.frag",
        **common,
        maps=stage.maps.color_attachments[0],
        lamp_from_world=[view.T_lamp_world for view in stage.narrow_views],
        focal=[(a.focal, b.focal) for a, b in zip(stage.narrow_views, stage.wide_views, strict=True)],
    )
    for source, target, step in ((0, 1, (1, 0)), (1, 0, (0, 1))):
        opens = targets.open[source].color_attachments[0]
        _fill(targets.open[target], "smooth.frag", values=opens, guides=targets.guide, step=step)


@dataclass
class _Targets:
    """What is drawn into, for pictures of one size."""

    width: int
    height: int

    def __post_init__(self) -> None:
        card, size = context(), (self.width, self.height)
        fine = (2 * self.width + 1, 2 * self.height + 1)
        coarse = -(-self.width // STRIDE), -(-self.height // STRIDE)
        self.depth = card.depth_renderbuffer(fine)
        self.seen = card.framebuffer([image(fine, 2, "f4")], self.depth)
        opens = [image(coarse, 4, "f1") for _ in range(2)]
        self.guide = image(coarse, 4, "f2")
        self.occlusion = card.framebuffer([opens[0], self.guide])
        self.open = [card.framebuffer([open_]) for open_ in opens]
        self.light = card.framebuffer([image(size, 4, "f4"), image(size, 2, "f4")])

    def close(self) -> None:
        for framebuffer in (self.seen, self.occlusion, *self.open, self.light):
            for attachment in framebuffer.color_attachments:
                attachment.release()
            framebuffer.release()
        self.depth.release()


class _Light:
    """The environment and the lamps, as light.frag wants them."""

    def __init__(self, scene: Scene) -> None:
        card, environment, lamps = context(), scene.environment, scene.lights
        images = light.mirror_images(np.asarray(environment.radiance, np.float32)).astype(np.float16)
        levels, rows, columns = images.shape[:3]
        self._glossy = card.texture3d((columns, rows, levels), 3, images.tobytes(), dtype="f2", alignment=2)
        self._glossy.filter = (card.LINEAR, card.LINEAR)
        self._glossy.repeat_y = self._glossy.repeat_z = False
        distances = [float(np.linalg.norm(np.subtract(lamp.target, lamp.position))) for lamp in lamps]
        self.uniforms: dict[str, Any] = {
            "glossy": self._glossy,
            "turn": environment.turn,
            "harmonics": light.harmonics(environment),
            "bounce": light.bounce(scene),
            "lamp_position": [lamp.position for lamp in lamps],
            "lamp_axis": [light.lamp_axes(lamp)[2] for lamp in lamps],
            "lamp_power": [np.multiply(lamp.irradiance, d * d) for lamp, d in zip(lamps, distances, strict=True)],
        }

    def close(self) -> None:
        self._glossy.release()


def _fill(target: Any, fragment: str, **uniforms: Any) -> None:
    """Runs a shader for every pixel of a framebuffer."""
    target.use()
    triangle = fullscreen(fragment)
    set_uniforms(triangle.program, **uniforms)
    triangle.render(vertices=3)


def _read(texture: Any) -> np.ndarray:
    """float32 (H, W, C) of a texture; row 0 is the picture's top."""
    read = np.empty((texture.height, texture.width, texture.components), np.float32)
    texture.read_into(read)
    return read
