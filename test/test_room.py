"""Rooms, their light, and what lies on the table."""

from __future__ import annotations

import runpy
from collections import defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from genego_ros.data.h2o_format import CAMERAS
from genego_ros.data.synthetic import light
from genego_ros.data.synthetic.body import Person
from genego_ros.data.synthetic.clutter import THINGS, clutter, overlap
from genego_ros.data.synthetic.rig import make_rig
from genego_ros.data.synthetic.room import Room, chair_meshes, make_room
from genego_ros.data.synthetic.scene import Mesh, Sensor
from genego_ros.data.synthetic.take import metered
from genego_ros.types import Float64Array

MODELS = Path(__file__).parents[1] / "models"
SEEDS = (1, 6)  # a round table, a tablecloth
FREE = ((0.0, -0.12, 0.24), (0.3, 0.1, 0.05))


@cache
def room(seed: int) -> Room:
    return make_room(np.random.default_rng(seed))


@cache
def things(seed: int) -> tuple[Mesh, ...]:
    return clutter(np.random.default_rng(100 + seed), room(seed), FREE, count=14)


def highest(meshes: tuple[Mesh, ...], points: Float64Array) -> Float64Array:
    """z of the highest surface over each of points (N, 2), by barycentric coordinates; -inf where there is none."""
    triangles = np.concatenate([mesh.vertices[mesh.faces] for mesh in meshes]).astype(np.float64)
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    level = np.abs(area) > 1e-12
    a, b, c, area = a[level], b[level], c[level], area[level]
    found = []
    for x, y in points:
        s = ((x - a[:, 0]) * (c[:, 1] - a[:, 1]) - (y - a[:, 1]) * (c[:, 0] - a[:, 0])) / area
        t = ((b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (b[:, 1] - a[:, 1]) * (x - a[:, 0])) / area
        hit = (s >= 0) & (t >= 0) & (s + t <= 1)
        z = a[:, 2] + s * (b[:, 2] - a[:, 2]) + t * (c[:, 2] - a[:, 2])
        found.append(z[hit].max(initial=-np.inf))
    return np.array(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_meshes_are_sound(seed: int) -> None:
    meshes = room(seed).meshes + things(seed) + chair_meshes(np.random.default_rng(0), room(seed), (0.0, -0.55))
    assert len({mesh.name for mesh in meshes}) == len(meshes)
    assert sum(len(mesh.faces) for mesh in meshes) < 50_000
    for mesh in meshes:
        assert np.isfinite(mesh.vertices).all() and np.isfinite(mesh.uv).all()
        assert mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices)
        assert mesh.weld is not None
        np.testing.assert_allclose(mesh.vertices[mesh.weld], mesh.vertices, atol=2e-5)
        assert mesh.vertices[:, 2].min() > -1e-3


@pytest.mark.parametrize("seed", SEEDS)
def test_the_table_is_as_high_and_as_large_as_it_says(seed: int) -> None:
    table = room(seed).table
    assert 0.72 <= table.height <= 0.785
    rng = np.random.default_rng(1)
    inside = rng.dirichlet(np.ones(len(table.outline)), 30) @ table.outline
    np.testing.assert_allclose(highest(room(seed).meshes, inside), table.height, atol=3e-4)
    beyond = table.outline[:: max(1, len(table.outline) // 8)] * 1.08
    assert (highest(room(seed).meshes, beyond) < table.height - 2e-3).all()


def test_the_floor_is_whole_and_walls_stand_all_around() -> None:
    floor = highest(room(SEEDS[0]).meshes, np.random.default_rng(2).uniform(-1.9, 1.9, (40, 2)))
    assert (floor >= 0).all()
    points = np.concatenate([mesh.vertices for mesh in room(SEEDS[0]).meshes])
    for axis in (0, 1):
        for sign in (-1, 1):
            assert 1.9 < (sign * points[:, axis]).max() < 3.5


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_stands_where_cameras_stand(seed: int) -> None:
    place = room(seed)
    points = np.concatenate([mesh.vertices for mesh in place.meshes])
    tall = points[points[:, 2] > place.table_height + 0.16]
    assert np.abs(tall[:, :2]).max(axis=1).min() > 1.6
    eyes, work = np.array([0, -0.42, place.table_height + 0.42]), np.array([0, -0.08, place.table_height + 0.07])
    rig = make_rig(np.random.default_rng(seed), work, eyes, "cropped", (640, 360), lambda _: Sensor())
    for name in CAMERAS[:4]:
        away = np.linalg.norm(points - rig.T_world_camera[name][:3, 3], axis=1)
        assert away.min() > 0.12, name
    seen = clutter(np.random.default_rng(9), place, [(0, -0.08, 0.2)], [T[:3, 3] for T in rig.T_world_camera.values()])
    solid = np.concatenate([mesh.vertices for mesh in seen])
    for T in rig.T_world_camera.values():
        sight = np.linspace(T[:3, 3], [0, -0.08, place.table_height + 0.05], 200)
        nearest = np.linalg.norm(solid[:, None] - sight[None], axis=2).min()
        assert nearest > 0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_things_rest_on_the_table_and_touch_nothing(seed: int) -> None:
    table = room(seed).table
    groups = defaultdict(list)
    for mesh in things(seed):
        groups[mesh.name.rsplit("/", 1)[0]].append(mesh.vertices)
    assert len(groups) >= 5
    hulls = []
    for parts in groups.values():
        points = np.concatenate(parts).astype(np.float64)
        assert -1e-6 < points[:, 2].min() - table.height < 1e-3
        flat = points[:, :2]
        assert cv2.pointPolygonTest(table.outline.astype(np.float32), flat.mean(axis=0).tolist(), False) > 0
        hull = flat[ConvexHull(flat).vertices].astype(np.float32)
        whole, _ = cv2.intersectConvexConvex(hull, table.outline.astype(np.float32))
        assert whole == pytest.approx(cv2.contourArea(hull), rel=1e-3)
        for x, y, radius in FREE:
            assert cv2.pointPolygonTest(hull, (x, y), True) < -radius
        hulls.append(hull)
    for i, a in enumerate(hulls):
        for b in hulls[:i]:
            assert cv2.intersectConvexConvex(a, b)[0] == 0


def test_every_kind_of_thing_stands_on_the_plane() -> None:
    kinds = sorted({kind for kinds in THINGS.values() for kind in kinds}, key=lambda kind: kind.__name__)
    assert len(kinds) >= 12
    for kind in kinds:
        for seed in range(2):
            points = kind(np.random.default_rng(seed), room(SEEDS[0]).palette).vertices
            assert 0 <= points[:, 2].min() < 1e-3, kind.__name__
            assert np.ptp(points, axis=0).max() < 0.5, kind.__name__


def test_overlap_of_outlines() -> None:
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    diamond = np.array([[0.0, -1], [1, 0], [0, 1], [-1, 0]]) + np.array([1.6, 1.6])
    assert overlap(square, square + np.array([0.9, 0.9])) and not overlap(square, square + np.array([1.01, 0]))
    assert overlap(square, square + np.array([1.01, 0]), 0.02)
    # Their bounding boxes overlap, they do not: corner to side is 0.2 / sqrt 2.
    assert not overlap(square, diamond) and overlap(square, diamond, 0.15)


def test_a_scene_is_the_same_every_time_and_its_clutter_is_not() -> None:
    again = make_room(np.random.default_rng(1))
    assert again.words == room(1).words and again.lights == room(1).lights and again.irradiance == room(1).irradiance
    np.testing.assert_array_equal(again.environment.radiance, room(1).environment.radiance)
    for a, b in zip(again.meshes, room(1).meshes, strict=True):
        np.testing.assert_array_equal(a.vertices, b.vertices)
        np.testing.assert_array_equal(a.material.texture, b.material.texture)
    first, second, third = (clutter(np.random.default_rng(seed), again, FREE) for seed in (3, 3, 4))
    assert [len(mesh.faces) for mesh in first] == [len(mesh.faces) for mesh in second]
    np.testing.assert_array_equal(first[0].vertices, second[0].vertices)
    assert [len(mesh.faces) for mesh in first] != [len(mesh.faces) for mesh in third]
    assert len({room(seed).words for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_irradiance_is_what_falls_on_the_table(seed: int) -> None:
    place = room(seed)
    rng = np.random.default_rng(0)
    # The environment, by cosine-distributed directions; the lamps, by points on them.
    radius, angle = np.sqrt(rng.random(200_000)), rng.uniform(0, 2 * np.pi, 200_000)
    row = np.arcsin(radius) / np.pi * 64
    column = angle / (2 * np.pi) * 128
    total = np.pi * place.environment.radiance[row.astype(int), column.astype(int) % 128].mean(axis=0, dtype=np.float64)
    table = np.array([0.0, 0.0, place.table_height])
    for lamp in place.lights:
        axis = np.asarray(lamp.target) - lamp.position
        distance = np.linalg.norm(axis)
        axis = axis / distance
        across = np.linalg.svd(axis[None])[2][1:]
        spots = lamp.position + rng.uniform(-0.5, 0.5, (50_000, 2)) @ across * lamp.size
        way = table - spots
        square = (way**2).sum(axis=1)
        cosines = (way @ axis) * -way[:, 2] / square
        radiance = np.asarray(lamp.irradiance) * distance**2 / lamp.size**2
        total += radiance * lamp.size**2 * (cosines / square).mean()
    assert place.irradiance == pytest.approx(total @ [0.2126, 0.7152, 0.0722], rel=0.05)
    assert 1.5 < place.irradiance < 6


def test_environments_are_normalised_and_small() -> None:
    assert (MODELS / "environments.safetensors").stat().st_size < 1_000_000
    maps = light.panoramas()
    assert len(maps) == 17
    polar = (np.arange(64) + 0.5) * np.pi / 64
    weights = np.sin(polar) / np.sin(polar).sum()
    for name, radiance in maps.items():
        assert radiance.shape == (64, 128, 3) and np.isfinite(radiance).all() and radiance.min() >= 0
        mean = weights @ (radiance @ [0.2126, 0.7152, 0.0722]).mean(axis=1)
        assert mean == pytest.approx(1, rel=0.01), name
    assert light.irradiance(np.ones((64, 128, 3), np.float32), np.array([0, 0.6, 0.8])) == pytest.approx(
        np.pi, rel=1e-3
    )


def test_azimuth_of_an_environment_runs_from_x_to_y() -> None:
    # In a panorama, seen from inside, what is to the right of +x is at -y.
    environment = runpy.run_path(str(MODELS / "build_environments.py"))["environment"]
    panorama = np.full((256, 512, 3), 0.1, np.float32)
    panorama[120:136, 32:48] = 5.0
    small = environment(panorama)
    bright = light.directions()[small[..., 1] > small.max() / 2].mean(axis=0)
    assert np.degrees(np.arctan2(bright[1], bright[0])) % 360 == pytest.approx(360 - 40 / 512 * 360, abs=2)


def test_exposure_is_metered_from_the_room_and_the_skin() -> None:
    person, place = Person.random(np.random.default_rng(0)), room(1)
    factors = [
        metered(replace(place, reflectance=seen), replace(person, skin=(tone,) * 3)) * place.irradiance
        for seen, tone in ((0.3, 0.3), (0.3, 0.15), (0.15, 0.3), (0.05, 0.03), (0.8, 0.6))
    ]
    # Half way to a reflectance of 0.3: an octave of skin counts for 0.3 stops, one of the room for 0.2.
    assert factors == pytest.approx([1, 2**0.3, 2**0.2, 2.2, 0.8])
