"""pixelNeRF: rendering against what can be worked out by hand, and what it learns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_baselines import SIDE, arguments, is_picture, losses, recordings, true_case
from torch import Tensor

from genego_ros.evaluation.baselines import pixelnerf
from genego_ros.evaluation.baselines.pixelnerf import PixelNeRF, View, encoded, view_of
from genego_ros.evaluation.baselines.rendering import rays, resampled, seen_at, spaced, stopped
from genego_ros.evaluation.inputs import Case
from genego_ros.evaluation.methods import load_method
from genego_ros.geometry import rigid
from genego_ros.geometry.camera import project
from genego_ros.parameters import Parameters
from genego_ros.training.baselines.pixelnerf import RAYS, PixelNeRFTask, prepare
from genego_ros.training.loop import train
from genego_ros.types import Camera, Viewpoint

SIZES = [dict(pixelnerf.SIZES[name]) for name in ("small", "paper")]
TINY = {
    "side": SIDE,
    "rays_side": 16,
    "channels": (8, 8, 16, 16),
    "depths": (1, 1, 1),
    "features": 16,
    "width": 32,
    "blocks": 3,
    "coarse": 16,
    "fine": 8,
    "near": 0.15,
    "far": 3.0,
}
EXO = Camera(SIDE, SIDE, 30.0, 40.0, 14.0, 17.5)
EGO = Camera(SIDE, SIDE, 20.0, 25.0, 15.5, 12.0)
X = rigid.compose(rigid.rotation_from_quaternion((0.2, 0.9, -0.1, 0.3)), (0.1, -0.3, 0.8))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recordings(tmp_path_factory.mktemp("h2o"))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(pixelnerf.SIZES, "small", TINY)
    torch.manual_seed(0)
    yield


def tensor(values: object) -> Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float32)[None]


def intrinsics(camera: Camera) -> Tensor:
    return tensor([camera.fx, camera.fy, camera.cx, camera.cy])


# Rendering ----------------------------------------------------------------------------------------


def test_a_ray_runs_through_the_point_that_its_pixel_shows() -> None:
    """Points of the ego frame are projected by K_ego; the ray of each pixel meets its point in the exo frame."""
    points = np.array([(0.1, 0.2, 0.7), (-0.3, 0.1, 1.5), (0.0, -0.2, 0.4)])
    pixels, _ = project(points, EGO)
    origins, directions = rays(tensor(pixels), intrinsics(EGO), tensor(rigid.invert(X)))
    expected = rigid.apply(rigid.invert(X), points)
    distances = np.linalg.norm(points, axis=1)
    found = origins[0].numpy() + distances[:, None] * directions[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(directions[0].numpy(), axis=1), 1, atol=1e-6)


def test_a_point_is_looked_up_where_the_camera_projects_it() -> None:
    """A picture whose channels are its own columns and rows says where it was looked at, between pixels too."""
    columns, rows = torch.meshgrid(torch.arange(float(SIDE)), torch.arange(float(SIDE)), indexing="xy")
    picture = torch.stack((columns, rows))[None]
    points = np.array([(0.05, 0.1, 0.9), (-0.2, 0.13, 0.8), (0.21, -0.3, 1.1), (0.0, 0.0, -1.0)])
    pixels, _ = project(points[:3], EXO)
    assert ((pixels > 0) & (pixels < SIDE - 1)).all()
    found = PixelNeRF(**TINY).at(picture, tensor(points), intrinsics(EXO))[0].numpy()
    np.testing.assert_allclose(found[:3], pixels, atol=1e-3)
    np.testing.assert_array_equal(found[3], 0)  # behind the camera
    places, before = seen_at(tensor(points), intrinsics(EXO), SIDE)
    assert before.tolist() == [[True, True, True, False]]
    np.testing.assert_allclose(places[0, :3], (pixels + 0.5) / SIDE * 2 - 1, atol=1e-5)


def test_features_of_half_the_size_are_looked_up_at_the_same_place() -> None:
    """Each feature is the mean of two by two pixels, whose middle lies between them."""
    columns, rows = torch.meshgrid(torch.arange(float(SIDE)), torch.arange(float(SIDE)), indexing="xy")
    halved = torch.nn.functional.avg_pool2d(torch.stack((columns, rows))[None], 2)
    points = np.array([(0.05, 0.1, 0.9), (-0.2, 0.13, 0.8)])
    pixels, _ = project(points, EXO)
    found = PixelNeRF(**TINY).at(halved, tensor(points), intrinsics(EXO))[0].numpy()
    np.testing.assert_allclose(found, pixels, atol=1e-3)


def test_an_even_fog_stops_light_as_beer_and_lambert_say() -> None:
    distances = torch.linspace(1.0, 3.0, 101)
    density = torch.full((101,), 0.7)
    density[-1] = 0  # nothing behind it
    weights = stopped(density, distances)
    assert float(weights.sum()) == pytest.approx(1 - np.exp(-0.7 * 2.0), abs=1e-5)
    reached = 1 - weights.cumsum(0)[49]  # of what lies 1 m deep in it
    assert float(reached) == pytest.approx(np.exp(-0.7 * 1.0), abs=1e-5)


def test_a_wall_stops_all_and_hides_what_is_behind() -> None:
    distances = torch.tensor([1.0, 2.0, 3.0, 4.0])
    weights = stopped(torch.tensor([0.0, 1e4, 1e4, 5.0]), distances)
    torch.testing.assert_close(weights, torch.tensor([0.0, 1.0, 0.0, 0.0]))
    # The last one stands for all that comes after it.
    torch.testing.assert_close(stopped(torch.tensor([0.0, 0.0, 0.0, 5.0]), distances)[-1], torch.tensor(1.0))


def test_samples_lie_each_in_its_part_of_the_ray() -> None:
    found = spaced(0.2, 6.4, (2, 3), 5, torch.rand(2, 3, 5))
    edges = 0.2 * 2.0 ** np.arange(6)
    assert found.shape == (2, 3, 5)
    assert (found.numpy() >= edges[:-1]).all() and (found.numpy() <= edges[1:]).all()
    np.testing.assert_allclose(spaced(0.2, 6.4, (1,), 5, None)[0], 0.2 * 2.0 ** (np.arange(5) + 0.5), rtol=1e-6)


def test_fine_samples_are_drawn_as_the_weights_say() -> None:
    distances = torch.tensor([[1.0, 2.0, 4.0, 5.0]])
    weights = torch.tensor([[0.0, 3.0, 1.0, 0.0]])
    drawn = resampled(distances, weights, (torch.arange(4000)[None] + 0.5) / 4000)[0]
    # Parts reach halfway to the neighbours: 1.5 to 3 and 3 to 4.5.
    assert float(((drawn >= 1.5) & (drawn <= 3)).float().mean()) == pytest.approx(0.75, abs=0.01)
    assert float(((drawn >= 3) & (drawn <= 4.5)).float().mean()) == pytest.approx(0.25, abs=0.01)
    inside = drawn[(drawn > 1.51) & (drawn < 2.99)]
    assert float(inside.mean()) == pytest.approx(2.25, abs=0.02)
    assert (drawn.diff() >= 0).all()
    nothing = resampled(distances, torch.zeros(1, 4), torch.tensor([[0.0, 0.999]]))
    assert torch.isfinite(nothing).all() and nothing.min() >= 1 and nothing.max() <= 5


def test_the_encoding_is_that_of_the_paper() -> None:
    found = encoded(torch.tensor([[0.3, -0.2, 0.7]]))[0].numpy()
    expected = [np.sin(1.5 * 2**k * x) for x in (0.3, -0.2, 0.7) for k in range(6)]
    np.testing.assert_allclose(found[:18], expected, atol=1e-5)
    assert len(found) == 36


# The network --------------------------------------------------------------------------------------


def test_sizes_are_those_that_are_promised() -> None:
    small, paper = (PixelNeRF(**size) for size in SIZES)
    assert sum(p.numel() for p in small.parameters()) < 10e6
    # Of a field: five blocks of two 512 x 512 layers, features to the first three, and both ends.
    layers = 13 * (512 * 512 + 512) + (3 + 36 + 3 + 1) * 512 + 513 * 4
    assert sum(p.numel() for p in paper.coarse.parameters()) == layers
    assert (paper.counts, paper.encoder.joined.out_channels) == ((64, 32), 512)


def test_pictures_are_always_the_same_and_follow_x() -> None:
    network = PixelNeRF(**TINY).eval()
    for field in (network.coarse, network.fine):
        torch.nn.init.normal_(field.exit.weight, std=2.0)
    exo = torch.rand(1, 3, SIDE, SIDE) * 2 - 1
    view = view_of(network, X, EXO, EGO)
    made = network.picture(exo, view)
    assert made.shape == (1, 3, 16, 16) and made.abs().max() <= 1
    assert torch.equal(made, network.picture(exo, view))
    moved = view_of(network, rigid.compose(np.eye(3), (0.2, 0, 0)) @ X, EXO, EGO)
    assert not torch.allclose(made, network.picture(exo, moved), atol=1e-3)


def test_a_known_field_is_seen_through_both_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall that wears the third-person picture: the ego camera has to see each point of it where X and both K say."""
    torch.manual_seed(0)
    network = PixelNeRF(**{**TINY, "rays_side": SIDE, "coarse": 64, "fine": 64}).eval()
    exo = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 4) * 2 - 1, SIDE, mode="bilinear")
    depth = 1.0

    def wall(told: Tensor, points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        return told, 1e4 * (points[..., 2] >= depth).float()

    monkeypatch.setattr(network, "encoder", torch.nn.Identity())
    for field in (network.coarse, network.fine):
        monkeypatch.setattr(field, "forward", wall)
    turned = rigid.compose(rigid.rotation_from_quaternion((0.05, -0.08, 0.02, 1.0)), (0.08, 0.05, 0.1))
    made = network.picture(exo, view_of(network, turned, EXO, EGO))[0].permute(1, 2, 0).numpy()
    errors = []
    for u, v in ((8, 8), (16, 10), (15, 14), (20, 12)):
        direction = turned[:3, :3].T @ ((u - EGO.cx) / EGO.fx, (v - EGO.cy) / EGO.fy, 1.0)
        eye = rigid.invert(turned)[:3, 3]
        hit = eye + (depth - eye[2]) / direction[2] * direction
        (pixel,), _ = project(hit[None], EXO)
        assert ((pixel > 0) & (pixel < SIDE - 1)).all()
        corner = np.floor(pixel).astype(int)
        share = pixel - corner
        patch = exo[0, :, corner[1] : corner[1] + 2, corner[0] : corner[0] + 2].numpy()
        across = patch[..., 0] * (1 - share[0]) + patch[..., 1] * share[0]
        errors.append(np.abs(made[v, u] - (across[:, 0] * (1 - share[1]) + across[:, 1] * share[1])).max())
    assert max(errors) < 0.05  # the fine samples find the wall to some millimetres


# Learning -----------------------------------------------------------------------------------------


def test_rays_have_the_colours_of_their_pixels(dataset: Path, tmp_path: Path) -> None:
    task = prepare(arguments(dataset, tmp_path, "pixelnerf"))[0]
    batch = task.samples.batch(np.array([1, 1, 1, 1]), np.random.default_rng(0))
    truth = np.array(prepare(arguments(dataset, tmp_path, "pixelnerf"))[0].samples._pairs.targets[1])
    assert batch["pixels"].shape == (4, RAYS, 2) and batch["colours"].dtype == np.uint8
    ways = 0
    for row in range(4):
        u, v = batch["pixels"][row].astype(int).T
        plain = (truth[v, u] == batch["colours"][row]).all()
        mirrored = (truth[v, SIDE - 1 - u] == batch["colours"][row]).all()
        assert plain or mirrored
        ways += int(mirrored and not plain)
    assert 0 < ways < 4


def test_it_learns_a_view_by_heart(dataset: Path, tmp_path: Path) -> None:
    """Colours that run across the ego picture, which one colour for all rays misses by far."""
    task = prepare(arguments(dataset, tmp_path, "pixelnerf"))[0]
    network = task.network
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    given = task.samples.batch(np.arange(1), np.random.default_rng(0))
    batch = {name: torch.from_numpy(x) for name, x in given.items()}
    ramps = 255 * batch["pixels"] / (SIDE - 1)
    batch["colours"] = torch.cat((ramps, 255 - ramps[..., :1]), -1).byte()
    errors = []
    for _ in range(100):
        optimizer.zero_grad()
        found = task.losses(network, batch)
        found["loss"].backward()
        optimizer.step()
        errors.append(float(found["fine"].detach()))
    assert np.mean(errors[-10:]) < 0.1 * float((batch["colours"] / 255).var(dim=1).mean())


def test_a_run_trains_goes_on_alike_and_becomes_a_method(dataset: Path, tmp_path: Path) -> None:
    def run(out: str, steps: int) -> Path:
        torch.manual_seed(0)
        task, settings = prepare(arguments(dataset, tmp_path / out, "pixelnerf", cache=tmp_path / "cache"))
        assert isinstance(task, PixelNeRFTask)
        settings = replace(settings, steps=steps, batch=2, rate=5e-3, workers=0, log_steps=1, precision="no")
        settings = replace(settings, cosine=False, warmup=0.0)
        assert train(task, settings, tmp_path / out)
        return tmp_path / out / "weights.safetensors"

    whole = run("whole", 30)
    run("parts", 12)
    parts = run("parts", 30)
    assert all(torch.equal(a, b) for a, b in zip(load_file(whole).values(), load_file(parts).values(), strict=True))
    found = losses(tmp_path / "whole")
    assert np.mean(found[-5:]) < 0.8 * np.mean(found[:3])
    assert (tmp_path / "whole" / "sheet.png").is_file()
    parameters = Parameters.from_mapping({"device": "cpu", "baselines.pixelnerf_weights": str(whole)})
    method = load_method("pixelnerf", parameters)
    case = true_case(dataset)
    picture = method.predict(case)
    assert is_picture(picture, 16)
    np.testing.assert_array_equal(picture, method.predict(true_case(dataset)))
    # It looks by the X that it is given, whoever found it.
    wrong = rigid.compose(np.eye(3), (0.3, 0, 0)) @ case.observation.viewpoint.T_ego_exo
    estimated = replace(case.observation, viewpoint=Viewpoint(wrong, "nominal"), valid=False)
    other = method.predict(Case(case.frame, case.ego_camera, lambda: estimated))
    assert not np.array_equal(other, picture)


def test_a_view_of_a_picture_of_another_size_is_the_same_view() -> None:
    network = PixelNeRF(**TINY)
    small, large = (view_of(network, X, EXO.resized(w, h), EGO.resized(w, h)) for w, h in ((SIDE, SIDE), (640, 360)))
    assert isinstance(small, View)
    for a, b in zip(small, large, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=0)
