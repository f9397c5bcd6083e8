"""Path-traced pictures of a scene: Blender's Cycles, in a process of its own.

Blender's Python package `bpy` is GPL: only the scripts in `cycles_process` import it, and this module speaks with them
over pipes. The light comes from Cycles; depth and flow come from the raster renderer, which draws the same
triangles through the same pinhole.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from genego_ros.data.synthetic.cycles_process import wire
from genego_ros.data.synthetic.raster import RasterRenderer
from genego_ros.data.synthetic.raster.light import FAR, NEAR
from genego_ros.data.synthetic.scene import Material, Mesh, Moment, Renderer, Scene, Shot
from genego_ros.errors import GenEgoError
from genego_ros.types import Array, FloatArray

PYTHON_VARIABLE = "GENEGO_BPY"
PROGRAM = Path(__file__).with_name("cycles_process")
PATIENCE_S = 2.0
"""How long a closed process may take to end by itself."""
LAST_WORDS = 1500
"""Bytes of the process' log that an error quotes."""


def bpy_python() -> str:
    """The Python that has Blender: this one, or the one that GENEGO_BPY names.

    Raises:
        GenEgoError: there is none.
    """
    if find_spec("bpy") is not None:
        return sys.executable
    named = os.environ.get(PYTHON_VARIABLE)
    if named is None:
        raise GenEgoError(
            f"the renderer 'cycles' needs Blender's Python package, which {sys.executable} does not have; install it "
            f"with `{sys.executable} -m pip install bpy==4.2.0` (Python 3.11 only), name another Python that has it in "
            f"the environment variable {PYTHON_VARIABLE}, or choose the renderer 'raster'"
        )
    if not os.access(named, os.X_OK) or Path(named).is_dir():
        raise GenEgoError(
            f"{PYTHON_VARIABLE} names '{named}', which is no program; it should be the path of a Python that "
            "has bpy 4.2"
        )
    return named


class CyclesRenderer:
    """A `Renderer` whose light is path traced and denoised."""

    def __init__(self, scene: Scene, samples: int = 6, threads: int = 1, geometry: Renderer | None = None) -> None:
        """
        Args:
            samples: paths a pixel; denoising does the rest.
            threads: those that Cycles may use; the picture does not depend on it.
            geometry: draws the same scene's depth and flow, and is closed with this renderer; a `RasterRenderer` where
                none is given.

        Raises:
            GenEgoError: Blender is not there, or could not take the scene.
        """
        self._cameras = tuple(camera.name for camera in scene.cameras)
        command = [bpy_python(), str(PROGRAM)]
        self._geometry = geometry or RasterRenderer(scene)
        self._process = CyclesProcess(command)
        content, arrays = describe(scene)
        try:
            self._process.ask({**content, "samples": samples, "threads": threads}, arrays)
            self._process.answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> CyclesRenderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def render(self, camera: str, moment: Moment, previous: Moment) -> Shot:
        """See `Renderer.render`.

        Raises:
            GenEgoError: the scene has no such camera, the moment does not place it, or the process has died or could
                not render (what it said last is quoted).
        """
        if camera not in self._cameras or camera not in moment.T_world_camera:
            raise GenEgoError(f"no camera '{camera}'; the scene has {', '.join(self._cameras)}")
        self._process.ask({"camera": camera}, _moment_arrays(camera, moment))
        try:
            shot = self._geometry.render(camera, moment, previous)
        finally:
            radiance = self._process.answer()["radiance"]
        return replace(shot, radiance=cast(FloatArray, radiance))

    def close(self) -> None:
        self._process.close()
        self._geometry.close()


class CyclesProcess:
    """The other process: one answer to every question."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="genego_cycles_", ignore_cleanup_errors=True)
            self._log = Path(self._folder.name, "log.txt")
            log = self._log.open("wb")
        except OSError as error:
            raise GenEgoError(f"no room for temporary files ({error}); free some or set TMPDIR") from error
        pipe = subprocess.PIPE
        try:
            with log:
                self._process = subprocess.Popen([*command, self._folder.name], stdin=pipe, stdout=pipe, stderr=log)
        except OSError as error:
            self._folder.cleanup()
            raise GenEgoError(f"'{command[0]}' could not be started ({error}); set {PYTHON_VARIABLE}") from error

    def ask(self, content: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Sends a question; the other process works on it until `answer` is called, and beyond."""
        assert self._process.stdin is not None
        try:
            wire.send(self._process.stdin, content, arrays)
        except OSError as error:
            raise self._death() from error

    def answer(self) -> dict[str, Array]:
        """The arrays of the answer to the last question."""
        assert self._process.stdout is not None
        try:
            content, arrays = wire.receive(self._process.stdout)
        except EOFError as error:
            raise self._death() from error
        except (ValueError, TypeError) as error:
            raise self._failure("gave an answer that cannot be read") from error
        if "error" in content:
            raise self._failure(f"could not do its work ({content['error']})")
        return arrays

    def close(self) -> None:
        """Ends the process: at once, where it does not end by itself with its stdin."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def _death(self) -> GenEgoError:
        # Its pipes close a moment before it is gone.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_S)
        status = self._process.returncode
        hint = ": the machine may have run out of memory" if status == -signal.SIGKILL else ""
        return self._failure(f"has ended with status {status}{hint}")

    def _failure(self, what: str) -> GenEgoError:
        words = self._log.read_bytes()[-LAST_WORDS:].decode(errors="replace").strip()
        return GenEgoError(f"Blender's process ({' '.join(self._command)}) {what}; it said: {words or 'nothing'}")


def describe(scene: Scene) -> tuple[dict[str, Any], dict[str, Array]]:
    """The scene as JSON and arrays, as `cycles_process/stage.py` reads them."""
    arrays: dict[str, Array] = {"environment/radiance": scene.environment.radiance}
    # Meshes share materials, and those their pictures; with vertex colours it is another material.
    looks: dict[tuple[int, bool], int] = {}
    materials: list[dict[str, Any]] = []
    meshes: list[dict[str, Any]] = []
    for index, mesh in enumerate(scene.meshes):
        look = (id(mesh.material), mesh.colors is not None)
        if look not in looks:
            looks[look] = len(materials)
            arrays.update(_material_arrays(f"materials/{len(materials)}", mesh.material))
            materials.append(_material_words(mesh.material, has_colors=mesh.colors is not None))
        arrays.update(_mesh_arrays(f"meshes/{index}", mesh))
        meshes.append(
            {
                "name": mesh.name,
                "material": looks[look],
                "smooth": mesh.smooth,
                "hidden_from": sorted(mesh.hidden_from),
            }
        )
    content = {
        "meshes": meshes,
        "materials": materials,
        "environment": {"turn": scene.environment.turn},
        "lights": [asdict(light) for light in scene.lights],
        # Both renderers pass over what is too near (the face of who wears the camera), so that light and depth agree.
        "reach": (NEAR, FAR),
        "cameras": [
            {"name": camera.name, "exposure": camera.sensor.exposure, **asdict(camera.camera)}
            for camera in scene.cameras
        ],
    }
    return content, arrays


def _material_words(material: Material, has_colors: bool) -> dict[str, Any]:
    names = ("color", "roughness", "metallic", "subsurface", "emission")
    return {"has_colors": has_colors, **{name: getattr(material, name) for name in names}}


def _material_arrays(prefix: str, material: Material) -> dict[str, Array]:
    return _named(prefix, {"texture": material.texture, "bump": material.bump})


def _mesh_arrays(prefix: str, mesh: Mesh) -> dict[str, Array]:
    names = ("vertices", "faces", "uv", "colors", "weld")
    return _named(prefix, {name: getattr(mesh, name) for name in names})


def _named(prefix: str, arrays: Mapping[str, Array | None]) -> dict[str, Array]:
    return {f"{prefix}/{name}": array for name, array in arrays.items() if array is not None}


def _moment_arrays(camera: str, moment: Moment) -> dict[str, Array]:
    return {
        "T_world_camera": moment.T_world_camera[camera],
        **{f"placed/{name}": T for name, T in moment.T_world_mesh.items()},
        **{f"vertices/{name}": vertices for name, vertices in moment.vertices.items()},
    }
