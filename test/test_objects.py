from __future__ import annotations

import numpy as np
import open3d
import pytest

from genego_ros.data.synthetic import shapes
from genego_ros.data.synthetic.object_model import ObjectModel
from genego_ros.data.synthetic.objects import OBJECT_NAMES, make_object
from genego_ros.errors import GenEgoError

MODELS = {number: make_object(number, np.random.default_rng(number)) for number in OBJECT_NAMES}


def vertices_of(model: ObjectModel) -> np.ndarray:
    return np.concatenate([mesh.vertices for mesh in model.meshes]).astype(np.float64)


def drawn_distance(model: ObjectModel, points: np.ndarray) -> np.ndarray:
    """Unsigned distances of points from the drawn triangles, by Open3D."""
    scene = open3d.t.geometry.RaycastingScene(nthreads=1)
    for mesh in model.meshes:
        scene.add_triangles(open3d.core.Tensor(mesh.vertices), open3d.core.Tensor(mesh.faces.astype(np.uint32)))
    return scene.compute_distance(open3d.core.Tensor(points.astype(np.float32)), nthreads=1).numpy()


def test_there_are_classes_enough_and_others_are_refused() -> None:
    assert list(OBJECT_NAMES) == list(range(1, len(OBJECT_NAMES) + 1))
    assert len(set(OBJECT_NAMES.values())) >= 14
    assert sum(len(model.parts) > 1 for model in MODELS.values()) >= 3
    with pytest.raises(GenEgoError, match="object class 99"):
        make_object(99, np.random.default_rng(0))


@pytest.mark.parametrize("number", OBJECT_NAMES)
def test_objects_are_of_hand_size_and_centred(number: int) -> None:
    model = MODELS[number]
    points = vertices_of(model)
    assert points.max(axis=0) == pytest.approx(model.size / 2, abs=1e-6)
    assert points.min(axis=0) == pytest.approx(-model.size / 2, abs=1e-6)
    assert points[:, 2].min() == pytest.approx(model.base, abs=1e-6)
    assert 0.08 < model.size.max() < 0.4 and model.size.min() > 0.005
    assert len({mesh.name for mesh in model.meshes}) == len(model.meshes)


@pytest.mark.parametrize("number", OBJECT_NAMES)
def test_distance_is_that_of_the_drawn_surface(number: int) -> None:
    model = MODELS[number]
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.75, 0.75, (400, 3)) * model.size + rng.normal(0, 0.02, (400, 3))
    distance = model.distance(points)
    drawn = drawn_distance(model, points)
    # Outside nothing drawn is nearer than said or, where no hollow counts as full, farther; prints add 0.3 mm, and
    # small trim (a can's tab, a cap's button, a stripe) stands out a little.
    free = distance > 0.004
    assert (drawn[free] > distance[free] - 0.003).all()
    assert np.quantile(np.abs(drawn[free] - distance[free]), 0.8) < 0.0015


@pytest.mark.parametrize("number", OBJECT_NAMES)
def test_triangles_face_outwards_and_seams_are_welded(number: int) -> None:
    for mesh in MODELS[number].meshes:
        corners = mesh.vertices[mesh.faces].astype(np.float64)
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert (np.linalg.norm(normal, axis=1) > 0).all()
        assert mesh.weld is not None
        assert np.abs(mesh.vertices[mesh.weld] - mesh.vertices).max() < 2e-6
        assert mesh.uv.shape == (len(mesh.vertices), 2)
        assert np.isfinite(mesh.uv).all()


@pytest.mark.parametrize(
    ("surface", "volume"),
    [
        (shapes.turned([[0, 0], [0.03, 0], [0.03, 0.1], [0, 0.1]], 400), np.pi * 0.03**2 * 0.1),
        (shapes.bent([[0, 0, 0], [0, 0, 0.1]], np.full((2, 2), 0.01), 300), np.pi * 1e-4 * 0.1 + 4 / 3 * np.pi * 1e-6),
    ],
)
def test_closed_surfaces_hold_their_volume(surface: shapes.Surface, volume: float) -> None:
    a, b, c = (surface.vertices[surface.faces[:, k]].astype(np.float64) for k in range(3))
    assert np.einsum("ni,ni->", a, np.cross(b, c)) / 6 == pytest.approx(volume, rel=0.02)


def test_extruded_sides_and_ends_close_a_box() -> None:
    parts = shapes.extruded(shapes.rectangle(0.2, 0.1, 0.01), 0.05, 0.004)
    total = 0.0
    for surface in parts:
        a, b, c = (surface.vertices[surface.faces[:, k]].astype(np.float64) for k in range(3))
        total += np.einsum("ni,ni->", a, np.cross(b, c)) / 6
    # Rounded corners and bevels take less than 3 percent of the block.
    assert 0.97 < total / (0.2 * 0.1 * 0.05) < 1.0
    distance = shapes.extruded_distance(shapes.rectangle(0.2, 0.1, 0.01), 0.05, 0.004)
    points = np.array([[0.15, 0, 0], [0, 0, 0.035], [0, 0, 0], [0.13, 0, 0.065]])
    assert distance(points) == pytest.approx([0.05, 0.01, -0.025, np.hypot(0.034, 0.044) - 0.004], abs=1e-9)


def test_field_interpolates_distance_and_points_away() -> None:
    field = shapes.DistanceField.sample(lambda p: np.linalg.norm(p, axis=1) - 0.04, [-0.04] * 3, [0.04] * 3)
    points = np.random.default_rng(1).uniform(-0.2, 0.2, (500, 3))
    distance, gradient = field.at(points)
    near = np.abs(points).max(axis=1) < 0.06
    truth = np.linalg.norm(points, axis=1)
    assert distance[near] == pytest.approx(truth[near] - 0.04, abs=2e-3)
    assert np.einsum("ni,ni->n", gradient, points / truth[:, None]).min() > 0.7


def test_instances_differ_and_a_seed_gives_the_same_one() -> None:
    a, b, other = (make_object(4, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(m.vertices, n.vertices) for m, n in zip(a.meshes, b.meshes, strict=True))
    assert np.array_equal(a.meshes[0].material.texture, b.meshes[0].material.texture)
    assert not np.array_equal(a.size, other.size)
