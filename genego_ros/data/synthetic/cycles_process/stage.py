"""A described scene, built in Blender and photographed by Cycles.

`description` and `arrays` are what `genego_ros/data/synthetic/cycles.py` writes: the dataclasses of scene.py in plain
words, their arrays under "<list>/<index>/<field>".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from materials import CORNER_COLORS, new_image, new_material
from mathutils import Matrix, Vector
from numpy.typing import NDArray

Words = Mapping[str, Any]
Arrays = Mapping[str, NDArray[Any]]

OPTICAL = np.diag([1.0, -1.0, -1.0, 1.0])
"""Blender's cameras look along -z with y up."""
SENSOR_MM = 36.0
"""Width of the sensor; any value serves, since focal lengths are told in pixels."""
BOUNCES = 4
"""Interreflection that a room's look needs; each further one changes a picture by less than its noise."""
BRIGHTEST_DIRECT, BRIGHTEST_INDIRECT = 30.0, 6.0
"""What one sample may add, in units of the radiance that a camera shows as white: fireflies are cut."""


class Stage:
    """One scene; only what moves is touched between pictures."""

    def __init__(self, description: Words, arrays: Arrays, picture: Path) -> None:
        """`picture` is the file that Cycles writes each frame to."""
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self._scene = bpy.context.scene
        self._picture = picture
        self._cameras = {camera["name"]: camera for camera in description["cameras"]}
        self._materials = [
            new_material(words, _under(arrays, f"materials/{index}"))
            for index, words in enumerate(description["materials"])
        ]
        self._actors = {
            words["name"]: Actor(self._scene, words, _under(arrays, f"meshes/{index}"), self._materials)
            for index, words in enumerate(description["meshes"])
        }
        _set_up(self._scene, description["samples"], description["threads"], picture)
        _light_world(self._scene, arrays["environment/radiance"], description["environment"]["turn"])
        for light in description["lights"]:
            _add_light(self._scene, light)
        self._camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        self._camera.data.clip_start, self._camera.data.clip_end = description["reach"]
        self._scene.collection.objects.link(self._camera)
        self._scene.camera = self._camera

    def render(self, camera: str, moment: Arrays) -> NDArray[np.float32]:
        """Radiance, float32 (H, W, 3).

        `moment` has "T_world_camera" and, of what is not where the scene has it, "placed/<mesh>" (4, 4) and
        "vertices/<mesh>" (V, 3).
        """
        for name, actor in self._actors.items():
            actor.place(moment.get(f"placed/{name}"))
            actor.bend(moment.get(f"vertices/{name}"))
            actor.show(camera not in actor.hidden_from)
        lens = self._cameras[camera]
        _aim(self._scene, self._camera, lens, moment["T_world_camera"])
        white = 1.0 / (np.pi * lens["exposure"])
        self._scene.cycles.sample_clamp_direct = BRIGHTEST_DIRECT * white
        self._scene.cycles.sample_clamp_indirect = BRIGHTEST_INDIRECT * white
        self._picture.unlink(missing_ok=True)
        bpy.ops.render.render(write_still=True)
        return _read(self._picture, lens["width"], lens["height"])


class Actor:
    """One mesh, its seams welded: the texture coordinates belong to the corners of its faces."""

    def __init__(self, scene: Any, words: Words, arrays: Arrays, materials: list[Any]) -> None:
        self.hidden_from = frozenset(words["hidden_from"])
        doubled = len(arrays["vertices"])
        weld = arrays.get("weld", np.arange(doubled))
        self._kept, joined = np.unique(weld, return_inverse=True)
        self._rest = arrays["vertices"][self._kept]
        corners = joined.reshape(-1)[arrays["faces"]]
        # A face whose corners meet in one place (at a pole) has no area, and Blender wants none of them.
        whole = (corners != np.roll(corners, 1, axis=1)).all(axis=1)
        faces, corners = arrays["faces"][whole], corners[whole]

        self._mesh = bpy.data.meshes.new(words["name"])
        self._mesh.vertices.add(len(self._kept))
        self._mesh.loops.add(corners.size)
        self._mesh.polygons.add(len(corners))
        self._mesh.vertices.foreach_set("co", self._rest.ravel())
        self._mesh.loops.foreach_set("vertex_index", corners.ravel().astype(np.int32))
        self._mesh.polygons.foreach_set("loop_start", np.arange(0, corners.size, 3, dtype=np.int32))
        self._mesh.polygons.foreach_set("use_smooth", np.full(len(corners), words["smooth"]))
        uv = self._mesh.attributes.new("UVMap", "FLOAT2", "CORNER")
        uv.data.foreach_set("vector", (arrays["uv"][faces] * (1, -1) + (0, 1)).astype(np.float32).ravel())
        if "colors" in arrays:
            opaque = np.ones((doubled, 4), np.float32)
            opaque[:, :3] = arrays["colors"]
            color = self._mesh.attributes.new(CORNER_COLORS, "FLOAT_COLOR", "CORNER")
            color.data.foreach_set("color", opaque[faces].ravel())
        self._mesh.update(calc_edges=True)
        self._mesh.materials.append(materials[words["material"]])
        self._current = self._rest
        self._object = bpy.data.objects.new(words["name"], self._mesh)
        self._placed = np.eye(4)
        scene.collection.objects.link(self._object)

    def place(self, T_world_mesh: NDArray[Any] | None) -> None:
        placed = np.eye(4) if T_world_mesh is None else T_world_mesh
        if not np.array_equal(placed, self._placed):
            self._object.matrix_world = Matrix(placed.tolist())
            self._placed = placed

    def bend(self, vertices: NDArray[Any] | None) -> None:
        current = self._rest if vertices is None else vertices[self._kept]
        if not np.array_equal(current, self._current):
            self._mesh.vertices.foreach_set("co", current.ravel())
            self._mesh.update()
            self._current = current

    def show(self, visible: bool) -> None:
        if self._object.visible_camera != visible:
            self._object.visible_camera = visible


def _under(arrays: Arrays, prefix: str) -> Arrays:
    return {name[len(prefix) + 1 :]: array for name, array in arrays.items() if name.startswith(prefix + "/")}


def _set_up(scene: Any, samples: int, threads: int, picture: Path) -> None:
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.threads_mode, render.threads = "FIXED", threads
    render.use_persistent_data = True
    render.filepath = str(picture)
    render.image_settings.file_format = "OPEN_EXR"
    render.image_settings.color_depth = "32"
    render.image_settings.exr_codec = "NONE"
    render.resolution_percentage = 100
    cycles.device = "CPU"
    cycles.samples = samples
    cycles.use_adaptive_sampling = False
    # With the few lights of a room, choosing among them blindly is faster and less noisy than by a tree.
    cycles.use_light_tree = False
    # One pattern of noise for all frames: what is left of it after denoising must not boil.
    cycles.seed = 0
    cycles.use_denoising = True
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    # "ACCURATE" takes a second longer and cannot be told from this.
    cycles.denoising_prefilter = "FAST"
    cycles.max_bounces = BOUNCES
    cycles.diffuse_bounces = BOUNCES
    cycles.glossy_bounces = BOUNCES
    cycles.transmission_bounces = 0
    cycles.caustics_reflective = cycles.caustics_refractive = False


def _light_world(scene: Any, radiance: NDArray[Any], turn: float) -> None:
    """Blender's azimuth falls from pi to -pi along a row, ours rises from 0."""
    width = radiance.shape[1]
    column = (width // 2 - 1 - np.arange(width)) % width
    world = scene.world = bpy.data.worlds.new("environment")
    world.use_nodes = True
    # Blender's own choice is finer than the panorama, and looking things up in it took a fifth of the time.
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", width
    nodes, links = world.node_tree.nodes, world.node_tree.links
    direction = nodes.new("ShaderNodeTexCoord")
    turned = nodes.new("ShaderNodeMapping")
    turned.inputs["Rotation"].default_value[2] = -turn
    picture = nodes.new("ShaderNodeTexEnvironment")
    picture.image = new_image("environment", radiance[:, column], "Non-Color")
    links.new(direction.outputs["Generated"], turned.inputs["Vector"])
    links.new(turned.outputs["Vector"], picture.inputs["Vector"])
    links.new(picture.outputs["Color"], nodes["Background"].inputs["Color"])


def _add_light(scene: Any, words: Words) -> None:
    position, target = Vector(words["position"]), Vector(words["target"])
    irradiance = np.array(words["irradiance"])
    strength = float(irradiance.max())
    lamp = bpy.data.lights.new("lamp", "AREA")
    lamp.shape = "SQUARE"
    lamp.size = words["size"]
    # A Lambertian lamp of flux F gives F / (pi d^2) along its axis.
    lamp.energy = np.pi * (target - position).length_squared * strength
    lamp.color = irradiance / strength if strength > 0 else (0, 0, 0)
    placed = bpy.data.objects.new("lamp", lamp)
    placed.location = position
    placed.rotation_mode = "QUATERNION"
    placed.rotation_quaternion = (target - position).to_track_quat("-Z", "Y")
    placed.visible_camera = False
    scene.collection.objects.link(placed)


def _aim(scene: Any, camera: Any, lens: Words, T_world_camera: NDArray[Any]) -> None:
    """The pinhole of fx, fy, cx, cy: with fx != fy pixels are not square, and Blender wants the larger side from 1."""
    width, height, fx, fy = (lens[name] for name in ("width", "height", "fx", "fy"))
    aspect = fx / fy
    render = scene.render
    render.resolution_x, render.resolution_y = width, height
    render.pixel_aspect_x, render.pixel_aspect_y = max(1.0, 1.0 / aspect), max(1.0, aspect)
    data = camera.data
    data.sensor_fit, data.sensor_width = "HORIZONTAL", SENSOR_MM
    data.lens = fx * SENSOR_MM / width
    data.shift_x = ((width - 1) / 2 - lens["cx"]) / width
    data.shift_y = (lens["cy"] - (height - 1) / 2) * aspect / width
    camera.matrix_world = Matrix((T_world_camera @ OPTICAL).tolist())


def _read(picture: Path, width: int, height: int) -> NDArray[np.float32]:
    # Blender does not say when it could not write, and four floats a pixel are what it should have.
    if not picture.exists() or picture.stat().st_size < 16 * width * height:
        raise OSError(f"'{picture}' could not be written; is the disk full?")
    image = bpy.data.images.load(str(picture))
    try:
        image.colorspace_settings.name = "Non-Color"
        pixels = np.empty((height, width, 4), np.float32)
        image.pixels.foreach_get(pixels.ravel())
    finally:
        bpy.data.images.remove(image)
    return np.ascontiguousarray(pixels[::-1, :, :3])
