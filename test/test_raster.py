"""The raster renderer against ray casting, projection and radiometry done elsewhere."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import open3d as o3d
import pytest
from render_scene import ball, box, even, make_scene, moments, quad
from scipy.spatial.transform import Rotation

from genego_ros.data.synthetic.raster import RasterRenderer, card
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
from genego_ros.geometry.camera import project, rays
from genego_ros.geometry.rigid import invert, look_at
from genego_ros.types import Camera

CAMERA = Camera(96, 64, 90.0, 85.0, 44.3, 33.9)
DARK = Environment(np.zeros((16, 32, 3), np.float32))
WHITE = Material(roughness=1.0)
ABOVE = look_at((0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))
"""One metre above the origin; the picture's right is +x, its top +y."""


def floor(material: Material = WHITE, side: float = 4.0) -> Mesh:
    return quad("floor", (-side / 2, -side / 2, 0), (side, 0, 0), (0, side, 0), material)


def draw(
    meshes: tuple[Mesh, ...],
    environment: Environment = DARK,
    lights: tuple[KeyLight, ...] = (),
    pose: np.ndarray = ABOVE,
    camera: Camera = CAMERA,
    before: np.ndarray | None = None,
) -> Shot:
    scene = Scene(meshes, environment, lights, (RecordingCamera("cam0", camera, Sensor()),))
    moment = Moment({"cam0": pose})
    previous = moment if before is None else Moment({"cam0": before})
    with RasterRenderer(scene) as renderer:
        return renderer.render("cam0", moment, previous)


def cast(meshes: list[tuple[Mesh, np.ndarray]], camera: Camera, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth (H, W), NaN where nothing is, and the number of the mesh, by Open3D's ray casting."""
    scene = o3d.t.geometry.RaycastingScene()
    for mesh, vertices in meshes:
        scene.add_triangles(np.ascontiguousarray(vertices, np.float32), mesh.faces.astype(np.uint32))
    directions = rays(camera).astype(np.float64) @ pose[:3, :3].T
    origins = np.broadcast_to(pose[:3, 3], directions.shape)
    hits = scene.cast_rays(o3d.core.Tensor(np.concatenate([origins, directions], axis=-1).astype(np.float32)))
    depth = hits["t_hit"].numpy()
    return np.where(np.isfinite(depth), depth, np.nan), hits["geometry_ids"].numpy().astype(np.int64)


def placed(scene: Scene, moment: Moment) -> list[tuple[Mesh, np.ndarray]]:
    found = []
    for mesh in scene.meshes:
        vertices = moment.vertices.get(mesh.name, mesh.vertices).astype(np.float64)
        if (T := moment.T_world_mesh.get(mesh.name)) is not None:
            vertices = vertices @ T[:3, :3].T + T[:3, 3]
        found.append((mesh, vertices))
    return found


@pytest.fixture(scope="module")
def room() -> dict[str, Any]:
    """The room of render_scene.py at its second moment, from both cameras."""
    scene = make_scene(480, 270, rings=24)
    steps = moments(scene, 2)
    with RasterRenderer(scene) as renderer:
        shots = {name: renderer.render(name, steps[1], steps[0]) for name in ("cam0", "cam4")}
    cameras = {camera.name: camera.camera for camera in scene.cameras}
    return {"scene": scene, "moments": steps, "shots": shots, "cameras": cameras}


@pytest.mark.parametrize("name", ["cam0", "cam4"])
def test_depth_agrees_with_ray_casting(room: dict[str, Any], name: str) -> None:
    moment = room["moments"][1]
    depth, _ = cast(placed(room["scene"], moment), room["cameras"][name], moment.T_world_camera[name])
    drawn = room["shots"][name].depth
    assert drawn.dtype == np.float32 and drawn.shape == depth.shape
    error = np.abs(drawn - depth)
    both = np.isfinite(error)
    # A ray that grazes an edge may meet either side.
    assert np.mean(np.isnan(drawn) != np.isnan(depth)) < 2e-4
    assert np.mean(error[both] > 0.5e-3) < 5e-4
    assert np.median(error[both]) < 1e-5


@pytest.mark.parametrize("name", ["cam0", "cam4"])
def test_flow_is_where_the_surface_came_from(room: dict[str, Any], name: str) -> None:
    scene, (before, now), camera = room["scene"], room["moments"], room["cameras"][name]
    shot = room["shots"][name]
    _, owner = cast(placed(scene, now), camera, now.T_world_camera[name])
    points = (rays(camera) * shot.depth[..., None]).astype(np.float64)
    pose = now.T_world_camera[name]
    world = points @ pose[:3, :3].T + pose[:3, 3]
    names = [mesh.name for mesh in scene.meshes]
    for index in (names.index("held"), names.index("table"), names.index("floor")):
        seen = (owner == index) & np.isfinite(shot.depth)
        assert seen.sum() > 100
        if names[index] == "held":
            T = before.T_world_mesh["held"] @ invert(now.T_world_mesh["held"])
            came = world[seen] @ T[:3, :3].T + T[:3, 3]
        else:
            came = world[seen]
        back = invert(before.T_world_camera[name])
        pixels, _ = project(came @ back[:3, :3].T + back[:3, 3], camera)
        row, column = np.nonzero(seen)
        expected = np.stack([column, row], axis=1) - pixels
        error = np.abs(shot.flow[seen] - expected).max(axis=1)
        assert np.mean(error > 0.01) < 0.01, names[index]


def test_flow_of_a_bent_mesh() -> None:
    sheet = floor(side=1.0)
    scene = Scene((sheet,), DARK, (), (RecordingCamera("cam0", CAMERA, Sensor()),))
    before = Moment({"cam0": ABOVE}, vertices={"floor": sheet.vertices})
    now = Moment({"cam0": ABOVE}, vertices={"floor": sheet.vertices + np.float32([0.02, 0.01, 0])})
    with RasterRenderer(scene) as renderer:
        first, second = renderer.render("cam0", before, before), renderer.render("cam0", now, before)
    assert np.abs(first.flow).max() < 1e-4
    # One metre away; y is up in the picture.
    np.testing.assert_allclose(second.flow[32, 44], [0.02 * CAMERA.fx, -0.01 * CAMERA.fy], atol=1e-3)


def test_background_flows_with_the_turning_camera() -> None:
    turned = ABOVE.copy()
    turned[:3, :3] = ABOVE[:3, :3] @ Rotation.from_euler("y", 2, degrees=True).as_matrix()
    flow = draw((box("far", (0.01, 0.01, 0.01), WHITE, (9, 9, 9)),), pose=turned, before=ABOVE).flow
    direction = turned[:3, :3] @ rays(CAMERA)[20, 30]
    came, _ = project((ABOVE[:3, :3].T @ direction)[None], CAMERA)
    np.testing.assert_allclose(flow[20, 30], np.array([30, 20]) - came[0], atol=1e-3)


def test_edges_fall_where_projection_puts_them() -> None:
    turned = Rotation.from_euler("z", 17, degrees=True).as_matrix()
    sheet = quad("sheet", turned @ [-0.2, -0.15, 0], turned @ [0.4, 0, 0], turned @ [0, 0.3, 0], WHITE)
    depth = draw((sheet,)).depth
    T = invert(ABOVE)
    corners, _ = project(sheet.vertices @ T[:3, :3].T + T[:3, 3], CAMERA)
    row, column = np.mgrid[: CAMERA.height, : CAMERA.width]
    inside, nearest = np.ones(depth.shape, bool), np.full(depth.shape, np.inf)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        normal = np.array([b[1] - a[1], a[0] - b[0]]) / np.linalg.norm(b - a)
        beyond = (column - a[0]) * normal[0] + (row - a[1]) * normal[1]
        inside &= beyond > 0 if normal @ (corners.mean(axis=0) - a) > 0 else beyond < 0
        nearest = np.minimum(nearest, np.abs(beyond))
    assert np.array_equal(np.isfinite(depth) & (nearest > 0.01), inside & (nearest > 0.01))
    assert inside.sum() > 500


def test_depth_is_never_mixed_and_light_is_at_edges() -> None:
    emitter = box("block", (0.2, 0.2, 0.1), Material(emission=1.0), (0.013, 0.007, 0.05))
    shot = draw((floor(Material(color=(0, 0, 0), roughness=1.0)), emitter))
    assert set(np.round(np.unique(shot.depth), 4)) == {np.float32(0.9), np.float32(1.0)}
    values = shot.radiance[..., 0]
    between = (values > 0.05) & (values < 0.95)
    assert 20 < between.sum() < 200  # about the outline's length, 80 pixels
    assert np.mean((values > 0.95) == (shot.depth < 0.95)) > 0.95


def test_near_plane_and_both_sides() -> None:
    near = quad("sheet", (-1, -1, 0.965), (0, 2, 0), (2, 0, 0), WHITE)  # 3.5 cm before the camera, seen from behind
    assert draw((near,)).depth[30, 40] == pytest.approx(0.035, abs=1e-4)
    nearer = quad("sheet", (-1, -1, 0.98), (0, 2, 0), (2, 0, 0), WHITE)
    assert np.isnan(draw((nearer,)).depth).all()


def test_hidden_from_hides_from_that_camera_alone() -> None:
    glasses = dataclasses.replace(box("glasses", (0.1, 0.1, 0.1), WHITE), hidden_from=frozenset({"cam4"}))
    cameras = tuple(RecordingCamera(name, CAMERA, Sensor()) for name in ("cam0", "cam4"))
    moment = Moment({"cam0": ABOVE, "cam4": ABOVE})
    with RasterRenderer(Scene((floor(), glasses), DARK, (), cameras)) as renderer:
        seen, hidden = (renderer.render(name, moment, moment).depth[34, 44] for name in ("cam0", "cam4"))
    assert seen == pytest.approx(0.95, abs=1e-4)
    assert hidden == pytest.approx(1.0, abs=1e-4)


def test_white_plane_in_an_even_environment() -> None:
    for roughness in (0.3, 1.0):
        radiance = draw((floor(Material(roughness=roughness)),), even(0.7)).radiance
        np.testing.assert_allclose(radiance, 0.7, rtol=0.03)


def test_diffuse_light_of_an_uneven_environment() -> None:
    # Radiance 1 + cos of the angle to +x; irradiance over pi of a surface that faces d is 1 + 2/3 dot(d, x).
    polar = np.pi * (np.arange(32) + 0.5) / 32
    azimuth = np.pi * (np.arange(64) + 0.5) / 32
    radiance = 1 + np.sin(polar)[:, None] * np.cos(azimuth)
    turn = 0.7
    environment = Environment(np.repeat(radiance[..., None], 3, axis=2).astype(np.float32), turn)
    target = np.array([np.cos(turn), np.sin(turn), 0.0])
    matt = Material(color=(0.5, 0.5, 0.5), roughness=1.0)
    for normal in (np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), np.array([0.6, -0.8, 0])):
        across = np.cross([0, 0, 1.0], normal)
        wall = quad("wall", -across - [0, 0, 1], 2 * across, (0, 0, 2), matt)
        shot = draw((wall,), environment, pose=look_at(normal, (0, 0, 0), (0, 0, 1)))
        expected = 0.5 * (1 + 2 / 3 * normal @ target)
        assert shot.radiance[32, 44, 1] == pytest.approx(expected, rel=0.06)


def test_a_bright_spot_of_the_environment_casts_a_shadow_and_keeps_its_light() -> None:
    # A disk of 10 degrees about (-1, 0, 1), fifty times as bright as the rest.
    polar, azimuth = np.pi * (np.arange(64) + 0.5) / 64, np.pi * (np.arange(128) + 0.5) / 64
    towards = (np.cos(polar)[:, None] - np.sin(polar)[:, None] * np.cos(azimuth)) / np.sqrt(2)
    radiance = np.where(towards > np.cos(np.radians(10)), 10.0, 0.2)
    environment = Environment(np.repeat(radiance[..., None], 3, axis=2).astype(np.float32))
    grey = Material(color=(0.5, 0.5, 0.5), roughness=1.0)
    solid_angles = (np.sin(polar) * (np.pi / 64) ** 2)[:, None]
    received = (radiance * solid_angles * np.maximum(np.cos(polar), 0)[:, None]).sum()
    plain = draw((floor(grey),), environment).radiance[..., 1]
    assert plain[34, 44] == pytest.approx(0.5 * received / np.pi, rel=0.05)
    # A post whose top shades (0.2, 0, 0).
    post = box("post", (0.02, 0.1, 0.2), grey, (0.0, 0.0, 0.1))
    shaded = draw((floor(grey), post), environment).radiance[..., 1] / plain
    column = round(CAMERA.cx + CAMERA.fx * 0.1)
    assert shaded[34, column] < 0.5 * 0.2 * np.pi / received + 0.35
    assert shaded[34, column] < 0.6 * shaded[34, 30]


def test_background_is_the_environment() -> None:
    rng = np.random.default_rng(0)
    environment = Environment(rng.uniform(0, 2, (16, 32, 3)).astype(np.float32), turn=0.4)
    pose = look_at((0, 0, 0), (1.0, 0.7, 0.2), (0, 0, 1))
    radiance = draw((box("far", (0.01, 0.01, 0.01), WHITE, (-9, 9, 9)),), environment, pose=pose).radiance
    direction = pose[:3, :3] @ rays(CAMERA)[12, 70]
    row = np.arccos(direction[2] / np.linalg.norm(direction)) / np.pi * 16 - 0.5
    column = (np.arctan2(direction[1], direction[0]) - 0.4) / (2 * np.pi) * 32 - 0.5
    r, c = int(np.floor(row)), int(np.floor(column))
    weights = np.outer([1 - (row - r), row - r], [1 - (column - c), column - c])
    corners = environment.radiance[np.ix_([r, r + 1], [c % 32, (c + 1) % 32])]
    np.testing.assert_allclose(radiance[12, 70], np.einsum("rc,rck->k", weights, corners), rtol=1e-4)


@pytest.mark.parametrize("position", [(0.0, 0.0, 2.0), (1.2, -0.4, 1.5)])
def test_a_lamp_gives_the_irradiance_it_says(position: tuple[float, float, float]) -> None:
    lamp = KeyLight(position, (0.0, 0.0, 0.0), 0.05, (2.0, 1.0, 0.5))
    radiance = draw((floor(),), lights=(lamp,)).radiance
    cosine = position[2] / np.linalg.norm(position)
    for pixel, point in (((34, 44), (0, 0)), ((10, 80), ((80 - CAMERA.cx) / CAMERA.fx, (CAMERA.cy - 10) / CAMERA.fy))):
        to = np.array(position) - [*point, 0]
        r, axis = np.linalg.norm(to), np.array(position) / np.linalg.norm(position)
        # Intensity E d^2 along the axis, cosine on leaving and on arriving, inverse square.
        share = (to @ axis / r) * (to[2] / r) * (np.array(position) @ position) / r**2
        np.testing.assert_allclose(radiance[pixel] * np.pi, share * np.array(lamp.irradiance), rtol=0.03)
    assert radiance[34, 44, 0] * np.pi == pytest.approx(2.0 * cosine, rel=0.03)


def test_a_wide_lamp_has_the_flux_it_says() -> None:
    """Against the sum over its surface: a Lambertian square of flux pi d^2 E."""
    lamp = KeyLight((0.0, 0.0, 1.5), (0.0, 0.0, 0.0), 0.9, (1.0, 1.0, 1.0))
    radiance = draw((floor(),), lights=(lamp,)).radiance[..., 0] * np.pi
    x, y = np.meshgrid(*[(np.arange(60) + 0.5) / 60 * 0.9 - 0.45] * 2)
    for row, column in ((34, 44), (34, 84), (4, 5)):
        point = (column - CAMERA.cx) / CAMERA.fx, (CAMERA.cy - row) / CAMERA.fy
        r2 = (x - point[0]) ** 2 + (y - point[1]) ** 2 + 1.5**2
        expected = np.mean(1.5**2 * 1.5**2 / r2**2)
        assert radiance[row, column] == pytest.approx(expected, rel=0.04)


def test_shadows_are_sharp_at_contact_and_soft_away_from_it() -> None:
    lamp = KeyLight((-1.0, 0.0, 1.5), (0.0, 0.0, 0.0), 0.3, (1.0, 1.0, 1.0))
    camera = Camera(480, 320, 800.0, 800.0, 239.5, 159.5)
    wall = box("wall", (0.02, 2.0, 0.2), Material(color=(0, 0, 0), roughness=1.0), (0.0, 0.0, 0.1))
    plain = draw((floor(),), lights=(lamp,), camera=camera).radiance[160, :, 1]
    row = draw((floor(), wall), lights=(lamp,), camera=camera).radiance[160, :, 1] / plain
    x = (np.arange(480) - 239.5) / 800
    # Right of the wall's foot, which stands on the floor at x = 0.01; its top hides the floor up to x = 0.0125.
    # What light is left is that of unseen neighbours.
    assert row[(x > 0.016) & (x < 0.08)].max() < 0.2
    # The lamp's ends over the edge at height 0.2: similar triangles.
    a, b = (0.01 + 0.2 * (0.01 - end[0]) / (end[1] - 0.2) for end in ((-1.125, 1.417), (-0.875, 1.583)))
    reach = x[(row > 0.25) & (row < 0.9) & (x > 0.02)]
    assert min(a, b) - 0.01 < reach.min() and reach.max() < max(a, b) + 0.01
    assert len(reach) > 8
    assert row[x > max(a, b) + 0.01].min() > 0.97


def test_textures_lie_as_the_scene_says() -> None:
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:32, :32], texture[:32, 32:], texture[32:, :32] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    sheet = floor(Material(texture=texture, roughness=1.0), side=0.5)
    vertices = np.array([[-0.25, -0.25, 0], [0.25, -0.25, 0], [0.25, 0.25, 0], [-0.25, 0.25, 0]], np.float32)
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
    sheet = dataclasses.replace(sheet, vertices=vertices, uv=uv)
    radiance = draw((sheet,), even(1.0)).radiance
    corner = {name: radiance[34 + dy, 44 + dx] for name, dx, dy in (("ul", -10, -10), ("ur", 10, -10), ("dl", -10, 10))}
    assert corner["ul"][0] > 0.8 and corner["ul"][1:].max() < 0.1
    assert corner["ur"][1] > 0.8 and corner["ur"][[0, 2]].max() < 0.1
    assert corner["dl"][2] > 0.8 and corner["dl"][:2].max() < 0.1


def test_bumps_rise_towards_the_light() -> None:
    # A ramp of 45 degrees that rises along u (+x) over most of the tile: its normal leans to -x.
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    sheet = floor(Material(bump=ramp, tile=1.0, roughness=1.0), side=1.0)
    values = {}
    for side in (-1, 1):
        lamp = KeyLight((side * 2.0, 0.0, 2.0), (0.0, 0.0, 0.0), 0.05, (1.0, 1.0, 1.0))
        values[side] = draw((sheet,), lights=(lamp,)).radiance[34, 44, 1] * np.pi
    assert values[-1] == pytest.approx(1.0, abs=0.06)  # faces the lamp
    assert values[1] == pytest.approx(0.0, abs=0.06)


def test_vertex_colors_and_smooth_normals_over_a_seam() -> None:
    lamp = KeyLight((-1.0, 0.0, 2.0), (0.0, 0.0, 0.0), 0.05, (3.0, 3.0, 3.0))
    globe = ball("globe", 0.3, WHITE, rings=12)
    half = (globe.vertices[:, 1] > 0).astype(np.float32)[:, None] * np.float32([[1, 0.5, 0.25]])
    colored = dataclasses.replace(globe, colors=half)
    radiance = draw((colored,), lights=(lamp,)).radiance
    upper, lower = radiance[20, 44], radiance[50, 44]
    np.testing.assert_allclose(upper / upper[0], [1, 0.5, 0.25], rtol=0.1)
    assert lower.max() < 0.05
    # The seam is at y = 0, x > 0: along it the light changes as smoothly as beside it.
    plain = draw((globe,), lights=(lamp,)).radiance[..., 1]
    column = plain[24:44, 54]
    assert np.abs(np.diff(column, 2)).max() < 0.03 * column.max()


def test_the_same_bytes_whatever_was_drawn_before() -> None:
    scene = make_scene(96, 54, rings=8)
    steps = moments(scene, 4)
    with RasterRenderer(scene) as renderer:
        in_order = [renderer.render("cam4", now, before) for before, now in pairwise(steps)]
    with RasterRenderer(scene) as renderer:
        renderer.render("cam0", steps[0], steps[0])
        alone = renderer.render("cam4", steps[3], steps[2])
    for a, b in zip(dataclasses.astuple(in_order[2]), dataclasses.astuple(alone), strict=True):
        assert np.array_equal(a, b, equal_nan=True)


def test_errors_say_what_is_wrong() -> None:
    scene = Scene((floor(),), DARK, (), (RecordingCamera("cam0", CAMERA, Sensor()),))
    moment = Moment({"cam0": ABOVE})
    with RasterRenderer(scene) as renderer:
        with pytest.raises(GenEgoError, match="no camera 'cam3'; the scene has cam0"):
            renderer.render("cam3", moment, moment)
        with pytest.raises(GenEgoError, match="places mesh 'cup', which the scene does not have"):
            renderer.render("cam0", Moment({"cam0": ABOVE}, {"cup": np.eye(4)}), moment)
        bent = Moment({"cam0": ABOVE}, vertices={"floor": np.zeros((3, 3), np.float32)})
        with pytest.raises(GenEgoError, match=r"mesh 'floor' has \(4, 3\) vertices, the moment gives \(3, 3\)"):
            renderer.render("cam0", bent, bent)
    lamp = KeyLight((0, 0, 2), (0, 0, 0), 0.1, (1, 1, 1))
    with pytest.raises(GenEgoError, match="the scene has 3 lamps"):
        RasterRenderer(dataclasses.replace(scene, lights=(lamp, lamp, lamp)))


def test_missing_egl_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    import moderngl

    def fail(**_: Any) -> None:
        raise ImportError("libEGL.so not loaded")

    monkeypatch.setattr(moderngl, "create_context", fail)
    with pytest.raises(GenEgoError, match=r"libEGL.so not loaded.*apt-get install libegl1 libgl1-mesa-dri"):
        card.context.__wrapped__()
