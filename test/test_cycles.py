"""The path-traced renderer. What needs Blender is left out where no Python has it (GENEGO_BPY names one)."""

from __future__ import annotations

import importlib.util
import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import render_scene
from render_scene import even, quad

from genego_ros.data.synthetic import cycles
from genego_ros.data.synthetic.cycles import CyclesProcess, CyclesRenderer
from genego_ros.data.synthetic.cycles_process import wire
from genego_ros.data.synthetic.scene import (
    Environment,
    KeyLight,
    Material,
    Mesh,
    Moment,
    RecordingCamera,
    Scene,
    Sensor,
    Shot,
)
from genego_ros.errors import GenEgoError
from genego_ros.geometry import rigid
from genego_ros.geometry.camera import project
from genego_ros.types import Camera, FloatArray

HAS_BPY = importlib.util.find_spec("bpy") is not None or cycles.PYTHON_VARIABLE in os.environ
blender = pytest.mark.skipif(not HAS_BPY, reason=f"no Python with bpy; {cycles.PYTHON_VARIABLE} could name one")

SMALL = Camera(64, 36, 60.0, 60.0, 31.5, 17.5)
MATT = Material(roughness=1.0)


class NoGeometry:
    """Depth and flow are not looked at here."""

    def render(self, camera: str, moment: Moment, previous: Moment) -> Shot:
        nothing = np.zeros((1, 1), np.float32)
        return Shot(nothing, nothing, nothing)

    def close(self) -> None:
        pass


def plane(name: str, size: float, z: float, **look: Any) -> Mesh:
    """A square that faces up; texture coordinate (0, 0) at -x, +y."""
    return replace(quad(name, (-size / 2, -size / 2, z), (size, 0, 0), (0, size, 0), MATT), **look)


def ball(name: str, centre: tuple[float, ...], radius: float, material: Material = MATT) -> Mesh:
    return render_scene.ball(name, radius, material, centre, rings=12)


def scene(*meshes: Mesh, light: Environment, lamps: tuple[KeyLight, ...] = (), camera: Camera = SMALL) -> Scene:
    return Scene(meshes, light, lamps, (RecordingCamera("cam0", camera, Sensor()),))


def radiance(staged: Scene, *moments: Moment, samples: int = 4, threads: int = 1) -> list[FloatArray]:
    with CyclesRenderer(staged, samples, threads, NoGeometry()) as renderer:
        return [renderer.render("cam0", moment, moment).radiance for moment in moments]


FROM_ABOVE = Moment({"cam0": rigid.look_at((0, 0, 2), (0, 0, 0), (0, 1, 0))})


@blender
def test_the_pinhole_is_that_of_the_intrinsics() -> None:
    camera = Camera(160, 90, 190.0, 140.0, 90.3, 30.7)
    places = np.array([[0.1, 0.0, 0.8], [-0.15, 0.2, 0.9], [0.3, 0.3, 0.75], [-0.1, -0.1, 0.62]])
    shining = Material(emission=1.0)
    balls = [ball(f"ball{i}", tuple(place), 0.012, shining) for i, place in enumerate(places)]
    T_world_camera = rigid.look_at((0, -1, 1), (0.05, 0, 0.8), (0.1, 0, 1))
    staged = scene(*balls, light=even(0.0), camera=camera)
    (light,) = radiance(staged, Moment({"cam0": T_world_camera}), samples=64)
    rows, columns = np.mgrid[:90, :160]
    expected, _ = project(rigid.apply(rigid.invert(T_world_camera), places), camera)
    for column, row in expected:
        near = light[..., 0] * ((abs(columns - column) < 8) & (abs(rows - row) < 8))
        assert (near * columns).sum() / near.sum() == pytest.approx(column, abs=0.1)
        assert (near * rows).sum() / near.sum() == pytest.approx(row, abs=0.1)


@blender
def test_a_lamp_gives_the_irradiance_that_it_promises() -> None:
    lamp = KeyLight((0.4, 0.0, 2.0), (0.4, 0.0, 0.0), 0.3, (3.0, 2.0, 1.0))
    floor = plane("floor", 4, 0, material=Material(color=(0.5, 0.4, 0.3), roughness=1.0))
    moment = Moment({"cam0": rigid.look_at((0.4, -1, 1), (0.4, 0, 0), (0, 0, 1))})
    (light,) = radiance(scene(floor, light=even(0.0), lamps=(lamp,)), moment, samples=64)
    diffuse = np.array([0.5, 0.4, 0.3]) * (3, 2, 1) / np.pi
    np.testing.assert_allclose(light[16:20, 30:34].mean(axis=(0, 1)), diffuse, rtol=0.03)


@blender
@pytest.mark.parametrize("turn", [0.0, 2.0])
def test_the_environment_lights_the_side_it_should(turn: float) -> None:
    panorama = np.zeros((16, 32, 3), np.float32)
    panorama[6:10, 5] = 5.0
    staged = scene(ball("ball", (0, 0, 0), 0.3), light=Environment(panorama, turn))
    (light,) = radiance(staged, FROM_ABOVE, samples=16)
    rows, columns = np.mgrid[:36, :64]
    bright = light[..., 0] / light[..., 0].sum()
    # From above +x is right and +y is up in the picture.
    seen = np.arctan2(17.5 - (bright * rows).sum(), (bright * columns).sum() - 31.5)
    azimuth = 2 * np.pi * 5.5 / 32 + turn
    assert abs(np.angle(np.exp(1j * (seen - azimuth)))) < np.radians(3)


@blender
def test_colours_textures_and_what_moves() -> None:
    """A texture's upper left corner is texture coordinate (0, 0), colours multiply, and meshes move and come back."""
    texture = np.zeros((8, 8, 3), np.uint8)
    texture[:4, :4] = (188, 0, 0)  # sRGB for 0.503
    colors = np.tile(np.array([[0.5, 1, 1]], np.float32), (4, 1))
    poster = plane("poster", 1.0, 0, material=Material((1.0, 1, 1), texture, emission=1.0), colors=colors)
    card = plane("card", 0.2, 0.5, material=Material((0, 0, 1.0), emission=1.0))
    aside = Moment(FROM_ABOVE.T_world_camera, {"poster": rigid.compose(np.eye(3), (9, 0, 0))})
    bent = Moment(FROM_ABOVE.T_world_camera, vertices={"card": card.vertices - np.array([0.4, 0, 0], np.float32)})
    staged = scene(poster, card, light=even(0.0))
    # OpenImageDenoise brightens what shines alone in the dark, so that brightness is no measure here.
    first, away, moved, again = radiance(staged, FROM_ABOVE, aside, bent, FROM_ABOVE)
    assert first[10, 24] == pytest.approx([0.25, 0, 0], abs=0.04)
    assert first[25, 39].max() < 0.05
    assert first[17, 31, 2] > 0.9
    assert away[10, 24].max() < 1e-3 and away[17, 31, 2] > 0.9
    assert moved[17, 15, 2] > 0.9 and moved[17, 33, 2] < 0.05
    np.testing.assert_array_equal(again, first)


@blender
def test_a_hidden_mesh_still_casts_its_shadow() -> None:
    lamp = KeyLight((0.0, 0.0, 1.5), (0.0, 0.0, 0.0), 0.02, (1.0, 1.0, 1.0))
    floor, shade = plane("floor", 4, 0), plane("shade", 0.3, 0.5, material=Material((1.0, 0, 0)))
    hidden = replace(shade, hidden_from=frozenset({"cam0"}))
    (light,) = radiance(scene(floor, hidden, light=even(0.0), lamps=(lamp,)), FROM_ABOVE)
    assert light[18, 32].max() < 0.05 and light[18, 60].min() > 0.1


@blender
def test_the_picture_depends_on_nothing_but_the_scene() -> None:
    """Neither on threads, nor on what was drawn before, nor on the process."""
    lamp = KeyLight((0.5, 0.5, 1.5), (0.0, 0.0, 0.0), 0.3, (1.0, 1.0, 1.0))
    skin = Material((0.6, 0.4, 0.3), subsurface=0.3)
    round_ = ball("ball", (0, 0, 0.3), 0.25, skin)
    staged = scene(plane("floor", 4, 0), round_, light=even(0.3), lamps=(lamp,))
    bent = Moment(FROM_ABOVE.T_world_camera, vertices={"ball": (round_.vertices * 1.1).astype(np.float32)})
    one, again = radiance(staged, FROM_ABOVE, bent)[1], radiance(staged, bent, threads=2)[0]
    np.testing.assert_array_equal(one, again)


@blender
def test_light_and_depth_show_the_same_surfaces() -> None:
    camera = Camera(64, 36, 55.0, 60.0, 30.2, 18.9)
    glasses = plane("glasses", 0.1, 1.98)  # nearer than either renderer looks
    staged = scene(ball("ball", (0.1, 0, 0), 0.5, Material(emission=1.0)), glasses, light=even(0.0), camera=camera)
    try:
        renderer = CyclesRenderer(staged, samples=16)
    except GenEgoError as error:
        if "OpenGL" not in str(error):
            raise
        pytest.skip(str(error))
    with renderer:
        shot = renderer.render("cam0", FROM_ABOVE, FROM_ABOVE)
        with pytest.raises(GenEgoError, match="no camera 'cam7'"):
            renderer.render("cam7", FROM_ABOVE, FROM_ABOVE)
    assert shot.depth.shape == (36, 64) and shot.radiance.dtype == np.float32
    assert np.nanmin(shot.depth) == pytest.approx(1.5, abs=0.01)
    assert ((shot.radiance[..., 0] > 0.5) != np.isfinite(shot.depth)).mean() < 0.01


@blender
def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on the size of files stands for it: writing fails in the same place."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nulimit -f 4\nexec {cycles.bpy_python()} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv(cycles.PYTHON_VARIABLE, str(python))
    monkeypatch.setattr(cycles, "find_spec", lambda name: None)
    with pytest.raises(GenEgoError, match="is the disk full"):
        radiance(scene(ball("ball", (0, 0, 0), 0.3), light=even(1.0)), FROM_ABOVE)


@blender
def test_blender_ends_with_the_process_that_started_it() -> None:
    starter = (
        "import sys, time; from genego_ros.data.synthetic.cycles import CyclesProcess, PROGRAM, bpy_python\n"
        "process = CyclesProcess([bpy_python(), str(PROGRAM)])\n"
        "print(process._process.pid, process._folder.name, flush=True); time.sleep(60)"
    )
    root = Path(cycles.__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, cwd=root, text=True) as parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().split()
        assert Path("/proc", pid).exists() and Path(folder).exists()
        parent.send_signal(signal.SIGKILL)
    ends = time.monotonic() + 20
    while Path(folder).exists() and time.monotonic() < ends:
        time.sleep(0.05)
    assert not Path(folder).exists()


def test_messages_arrive_as_they_were_sent() -> None:
    stream = io.BytesIO()
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros((0, 3), np.int32), "c": np.array(2.5)}
    wire.send(stream, {"camera": "cam0"}, arrays)
    whole = stream.getvalue()
    content, received = wire.receive(io.BytesIO(whole))
    assert content == {"camera": "cam0"}
    for name, array in arrays.items():
        assert received[name].dtype == array.dtype
        np.testing.assert_array_equal(received[name], array)
    with pytest.raises(EOFError):
        wire.receive(io.BytesIO(whole[:-1]))
    with pytest.raises(ValueError):
        wire.receive(io.BytesIO(b"Blender 4.2.0\n"))


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("import sys; sys.exit('out of cheese')", "has ended with status 1.*out of cheese"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "may have run out of memory"),
        ("print('Blender 4.2.0'); input()", "cannot be read"),
        ("print('[]'); input()", "cannot be read"),
        ('print(\'{"content": {"error": "No space left"}, "arrays": []}\'); input()', "No space left"),
    ],
)
def test_what_goes_wrong_in_the_process_is_named(program: str, complaint: str) -> None:
    process = CyclesProcess([sys.executable, "-u", "-c", program])
    try:
        with pytest.raises(GenEgoError, match=complaint):
            process.ask({}, {})
            process.answer()
    finally:
        process.close()
    assert not Path(process._folder.name).exists()
    process.close()


def test_a_process_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycles, "PATIENCE_S", 0.1)
    process = CyclesProcess([sys.executable, "-c", "import time; time.sleep(60)"])
    process.close()
    assert process._process.returncode == -signal.SIGKILL


def test_a_missing_blender_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cycles, "find_spec", lambda name: None)
    monkeypatch.delenv(cycles.PYTHON_VARIABLE, raising=False)
    with pytest.raises(GenEgoError, match=r"pip install bpy==4\.2\.0"):
        cycles.bpy_python()
    monkeypatch.setenv(cycles.PYTHON_VARIABLE, str(tmp_path / "python"))
    with pytest.raises(GenEgoError, match="is no program"):
        cycles.bpy_python()
    broken = tmp_path / "python"
    broken.write_text("not a program")
    broken.chmod(0o755)
    with pytest.raises(GenEgoError, match="could not be started"):
        CyclesProcess([cycles.bpy_python()])


@pytest.mark.skipif(importlib.util.find_spec("bpy") is not None, reason="this Python has bpy")
def test_a_python_without_blender_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cycles.PYTHON_VARIABLE, sys.executable)
    with pytest.raises(GenEgoError, match="No module named 'bpy'"):
        CyclesRenderer(scene(light=even(1.0)), geometry=NoGeometry())
