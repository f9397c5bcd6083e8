"""Training of the depth network: views, appearance, loss, batches."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mock_datasets import MockScene, write_h2o
from scipy.spatial.transform import Rotation

from genego_ros import weights
from genego_ros.data.h2o import H2O
from genego_ros.errors import GenEgoError
from genego_ros.geometry.camera import rays
from genego_ros.geometry.rigid import compose
from genego_ros.observation.depth.lite import LiteDepth
from genego_ros.observation.depth.lite_network import LiteNetwork, Prediction, start_network
from genego_ros.parameters import Parameters
from genego_ros.training import depth as depth_training
from genego_ros.training import rooms
from genego_ros.training import views as training_views
from genego_ros.training.appearance import disguise
from genego_ros.training.depth import DepthSamples, DepthTask
from genego_ros.training.depth_loss import depth_losses, sum_of_slopes
from genego_ros.training.loop import WEIGHTS, train
from genego_ros.training.views import views
from genego_ros.training.virtual_view import COVERED, HFOV_DEG, VirtualView, depth_of, draw_view, picture_of
from genego_ros.types import Camera, Float64Array

ENCODER = weights.manifest()["efficientnet_lite0"]


@dataclass(frozen=True)
class Turned(MockScene):
    """The same scene, rendered anew by another camera at the same place."""

    view: VirtualView = field(default_factory=lambda: VirtualView(Camera.from_hfov(2, 2, 60.0), np.eye(3)))

    def camera(self, name: str) -> Camera:
        return self.view.camera

    def camera_pose(self, name: str, frame: int) -> Float64Array:
        T = super().camera_pose(name, frame)
        return compose(T[:3, :3] @ self.view.R_source_view, T[:3, 3])


def test_a_virtual_view_is_what_a_turned_camera_renders() -> None:
    scene = MockScene((640, 360))
    rgb, depth = scene.seen("cam0", 0)
    source = scene.camera("cam0")
    turn = Rotation.from_euler("xyz", [9, -7, 12], degrees=True).as_matrix()
    view = VirtualView(Camera(288, 224, 400.0, 415.0, 143.5, 111.5), turn)
    true_rgb, true_depth = Turned((288, 224), view=view).seen("cam0", 0)
    found = depth_of(view, depth, source, (288, 224))
    known = np.isfinite(found) & np.isfinite(true_depth)
    assert known.mean() > 0.6
    off = np.abs(found - true_depth)[known] / true_depth[known]
    assert np.quantile(off, 0.95) < 0.004  # a pixel of the source, at most, on slanted surfaces
    axis_left_alone = depth_of(VirtualView(view.camera, np.eye(3)), depth, source, (288, 224))
    assert np.nanmax(np.abs(axis_left_alone)) <= np.nanmax(depth)
    half = depth_of(view, depth, source, (144, 112))
    assert np.nanmedian(np.abs(half - true_depth.reshape(112, 2, 144, 2).mean((1, 3)))) < 0.002
    picture = picture_of(view, rgb, source)
    different = np.abs(picture.astype(int) - true_rgb).max(axis=2) > 40
    assert different[known].mean() < 0.06  # the lines between the squares
    assert view.log_tangent == pytest.approx(math.log(144 / 400))


def test_drawn_views_are_covered_and_wide_enough() -> None:
    source = Camera.from_hfov(640, 360, 60.0)
    rng = np.random.default_rng(0)
    drawn = [draw_view(source, (288, 224), rng) for _ in range(60)]
    hfov = [2 * math.degrees(math.atan(math.exp(view.log_tangent))) for view in drawn]
    turns = [math.degrees(Rotation.from_matrix(view.R_source_view).magnitude()) for view in drawn]
    assert min(hfov) > 15 and max(hfov) <= HFOV_DEG[1] and np.std(hfov) > 5 and np.median(turns) > 5
    for view in drawn:
        depth = depth_of(view, np.ones((360, 640), np.float32), source, (144, 112))
        assert np.isfinite(depth).mean() > COVERED - 0.1


def test_appearances_differ_and_nothing_moves() -> None:
    """A white square on black stays where it is, whichever way it is coloured."""
    rgb = np.full((96, 128, 3), 40, np.uint8)
    rgb[32:64, 48:80] = 220
    rng = np.random.default_rng(1)
    looks = [disguise(rgb, rng) for _ in range(40)]
    assert all(look.shape == rgb.shape and look.dtype == np.uint8 for look in looks)
    spread = np.mean([look.astype(float) for look in looks], axis=0).mean(axis=2)
    edges = np.abs(np.diff(spread, axis=1))[40:56].mean(axis=0)
    assert set(np.argsort(edges)[-2:]) == {47, 79}
    assert np.std([look.mean() for look in looks]) > 10
    again = np.random.default_rng(1)
    assert all((disguise(rgb, again) == look).all() for look in looks)


def test_the_loss_leaves_the_scale_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    depth = torch.rand(3, 16, 20, generator=generator) + 0.5
    depth[0, :4] = torch.nan
    tangent = torch.rand(3, generator=generator)
    right = Prediction(torch.nan_to_num(depth, nan=7.0).log() + torch.tensor([0.0, 1.0, -2.0])[:, None, None], tangent)
    losses = depth_losses(right, depth, tangent)
    assert losses["shape"] < 1e-6 and losses["slope"] < 1e-5 and losses["tangent"] == 0
    assert float(losses["distance"]) == pytest.approx(1.0, rel=1e-5)  # (0 + 1 + 2) / 3
    wrong = Prediction(right.log_depth + 0.1 * (torch.arange(20) >= 15), tangent + 0.2)
    losses = depth_losses(wrong, depth, tangent)
    assert float(losses["shape"]) == pytest.approx(0.1 * 5 / 20, rel=1e-4)
    assert float(losses["tangent"]) == pytest.approx(0.2, rel=1e-5)


def test_slopes_are_counted_at_every_size() -> None:
    residual = torch.zeros(1, 16, 16)
    residual[:, :, 8:] = 1.0
    everywhere = torch.ones(1, 16, 16, dtype=torch.bool)
    # Along the row one neighbour of 15, 7, 3 and 1 differs.
    assert float(sum_of_slopes(residual, everywhere)) == pytest.approx(1 / 15 + 1 / 7 + 1 / 3 + 1)
    assert float(sum_of_slopes(residual, torch.zeros_like(everywhere))) == 0.0


def test_a_picture_without_depth_teaches_nothing_wrong() -> None:
    prediction = Prediction(torch.zeros(1, 8, 8, requires_grad=True), torch.zeros(1, requires_grad=True))
    losses = depth_losses(prediction, torch.full((1, 8, 8), torch.nan), torch.zeros(1))
    losses["loss"].backward()
    assert float(losses["loss"].detach()) == 0.0 and torch.isfinite(prediction.log_depth.grad).all()  # type: ignore[union-attr]


def test_rooms_have_the_depth_of_their_boxes() -> None:
    """Against Open3D's ray casting of the same boxes as meshes."""
    o3d = pytest.importorskip("open3d")
    rng = np.random.default_rng(3)
    boxes = rooms.Boxes(
        np.vstack([[0.2, 0.3, 2.0], rng.uniform([-1, -0.5, 1], [1, 0.5, 3.5], (6, 3))]),
        np.vstack([[2.0, 1.5, 3.0], rng.uniform(0.1, 0.5, (6, 3))]),
        np.concatenate([[0.2], rng.uniform(-3, 3, 6)]),
    )
    camera = Camera(72, 56, 60.0, 62.0, 35.5, 27.5)
    turn = Rotation.from_euler("YXZ", [10, -8, 5], degrees=True).as_matrix()
    scene = o3d.t.geometry.RaycastingScene()
    for centre, half, angle in zip(*boxes, strict=True):
        mesh = o3d.geometry.TriangleMesh.create_box(*(2 * half))
        mesh.translate(-half)
        mesh.rotate(Rotation.from_rotvec([0, angle, 0]).as_matrix(), center=(0, 0, 0))
        mesh.translate(centre)
        scene.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(mesh))
    directions = rays(camera) @ turn.T.astype(np.float32)
    cast = scene.cast_rays(o3d.core.Tensor(np.concatenate([np.zeros_like(directions), directions], axis=2)))
    depth, seen, _ = rooms.trace(boxes, turn, camera)
    assert len(np.unique(seen)) >= 5
    assert np.quantile(np.abs(depth - cast["t_hit"].numpy()), 0.995) < 1e-4


def test_rooms_are_drawn_within_reason() -> None:
    rng = np.random.default_rng(0)
    drawn = [rooms.draw_room((96, 64), [np.full((50, 60, 3), 90, np.uint8)], rng) for _ in range(20)]
    for picture, depth, log_tangent in drawn:
        assert picture.shape == (64, 96, 3) and depth.shape == (32, 48)
        assert np.isfinite(depth).all() and (depth > 0.02).all() and (depth < 20).all()
        assert 38 < 2 * math.degrees(math.atan(math.exp(log_tangent))) < 80
    assert np.std([picture.mean() for picture, _, _ in drawn]) > 10
    assert np.median([depth.max() / depth.min() for _, depth, _ in drawn]) > 2


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> H2O:
    root = tmp_path_factory.mktemp("h2o")
    write_h2o(root, ("subject1/h1/0", "subject1/h1/1", "subject2/h1/0"), frames=range(2))
    return H2O(root)


def test_every_camera_is_learned_from_and_recordings_are_held_out(dataset: H2O) -> None:
    learned, held_out = views(dataset.ids)
    assert {view.sequence for view in learned} == {"subject1/h1/1", "subject2/h1/0"}
    assert {view.sequence for view in held_out} == {"subject1/h1/0"}
    assert len(learned) == 2 * 2 * 5 and {view.camera for view in learned} == {f"cam{i}" for i in range(5)}


def test_batches_depend_on_their_seed_alone(dataset: H2O) -> None:
    samples = DepthSamples(dataset, views(dataset.ids)[0])
    indices = np.array([3, 0, 11])
    first, again, other = (samples.batch(indices, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert all((np.nan_to_num(first[name]) == np.nan_to_num(again[name])).all() for name in first)
    assert first["log_tangent"].tolist() != other["log_tangent"].tolist()
    _, height, width, _ = first["pictures"].shape
    assert (width, height) in depth_training.SIZES and first["depth"].shape == (3, height // 2, width // 2)
    assert first["pictures"].dtype == np.uint8 and first["depth"].dtype == first["log_tangent"].dtype == np.float32
    assert 0.3 < np.nanmedian(first["depth"]) < 3.0


def test_pictures_and_depth_run_the_same_way(dataset: H2O, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where they were mirrored: what is nearer is darker."""
    ramp = np.tile(np.linspace(0.5, 2.0, 96, dtype=np.float32), (54, 1))
    rgb = np.repeat(np.rint(ramp[..., None] * 100), 3, axis=2).astype(np.uint8)
    view = dataset.view("subject1/h1/0", "cam0", 0)
    shown = replace(view, frame=replace(view.frame, rgb=rgb, depth=ramp))
    monkeypatch.setattr(depth_training, "disguise", lambda picture, rng: picture)
    monkeypatch.setattr(H2O, "view", lambda *_: shown)
    monkeypatch.setattr(depth_training, "ROOMS", 0.0)
    samples = DepthSamples(dataset, views(dataset.ids)[0])
    found = samples.batch(np.zeros(8, int), np.random.default_rng(0))
    for picture, depth in zip(found["pictures"], found["depth"], strict=True):
        grey = picture[::2, ::2, 0].astype(float)
        known = np.isfinite(depth)
        assert np.corrcoef(grey[known], depth[known])[0, 1] > 0.9


@pytest.mark.skipif(not ENCODER.path.is_file(), reason=f"{ENCODER.path} is missing: {ENCODER.cure}")
def test_training_lowers_the_loss_and_what_it_writes_serves(
    dataset: H2O, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depth_training, "SIZES", ((96, 64), (64, 64), (64, 64)))
    monkeypatch.setattr(training_views, "VALIDATED", 3)
    arguments = argparse.Namespace(dataset=dataset.root, split="all", start=None)
    task, settings = depth_training.prepare(arguments)
    frozen = task.network.encoder.stem[0].weight.clone()
    settings = replace(settings, steps=10, batch=3, rate=3e-3, workers=0, log_steps=1, averaging=0.5)
    assert train(task, settings, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "train"]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    measured = lines[-1]
    assert measured["kind"] == "validation" and 0 < measured["abs_rel"] < 1 and 0 <= measured["hfov_deg"] < 60
    assert torch.equal(task.network.encoder.stem[0].weight, frozen)
    estimator = LiteDepth(Parameters.from_mapping({"device": "cpu", "depth.weights": str(tmp_path / WEIGHTS)}))
    assert np.isfinite(estimator.estimate(dataset.view("subject1/h1/0", "cam4", 0).frame).values).all()
    again, _ = depth_training.prepare(argparse.Namespace(**{**vars(arguments), "start": tmp_path / WEIGHTS}))
    assert not torch.equal(again.network.depth.weight, LiteNetwork().depth.weight)


def test_other_views_are_other_data_and_another_path_to_them_is_not(
    dataset: H2O, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned, held_out = views(dataset.ids)
    same, fewer = (DepthTask(LiteNetwork(), dataset, learned[start:], held_out).fingerprint for start in (0, 1))
    monkeypatch.chdir(dataset.root.parent)
    typed = H2O(Path(dataset.root.name))
    assert DepthTask(LiteNetwork(), typed, learned, held_out).fingerprint == same != fewer


def test_data_sets_without_depth_are_refused(tmp_path: Path) -> None:
    (tmp_path / "Egocentric_RGB_Videos").mkdir()
    with pytest.raises(GenEgoError):
        depth_training.prepare(argparse.Namespace(dataset=tmp_path, split="all", start=None))


def test_without_the_encoder_s_weights_training_says_what_they_are_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENEGO_WEIGHTS", str(tmp_path))
    with pytest.raises(GenEgoError, match=r"'efficientnet_lite0' for .*`train depth`.*weights install effi"):
        start_network()
