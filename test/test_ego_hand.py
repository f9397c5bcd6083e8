"""phi_ego: its network, its backend, how it learns and how it is measured."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import mock_datasets
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scene import as_hand, rest_hand
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from genego_ros import cli
from genego_ros.data.datasets import open_dataset
from genego_ros.errors import GenEgoError
from genego_ros.geometry import rigid
from genego_ros.geometry.pose_errors import pa_mpjpe
from genego_ros.observation.ego_hand import load_ego_hand_estimator
from genego_ros.observation.ego_hand_network import (
    FORMS,
    HINTS,
    SPREAD,
    EgoHandNetwork,
    Form,
    Prediction,
    from_hints,
    hint_numbers,
    patch_places,
    seen_by_eyes,
    told_numbers,
    view_numbers,
)
from genego_ros.parameters import Parameters
from genego_ros.training.ego_hand import (
    AugmentedPairs,
    EgoHandTask,
    Look,
    in_picture,
    kept_look,
    mean_hints,
    measures,
    mirrored,
    places,
    prepare,
    sees_head,
    symmetric_mean,
    told,
    turned,
)
from genego_ros.training.loop import save_weights
from genego_ros.training.pairs import Pairs, cached_pairs
from genego_ros.types import Camera, Float64Array, Frame

SMALL = Form("tiny", width=64, height=32, channels=24, layers=1, heads=2)
CAMERA = Camera(80, 40, 70.0, 71.0, 38.0, 21.0)


def some_pairs(count: int = 6, seed: int = 0) -> Pairs:
    """Hands half a metre before the eyes and about a metre before the camera; the last one has no left hand."""
    rng = np.random.default_rng(seed)
    ego = rng.normal([0.0, 0.1, 0.5], 0.06, (count, 2, 21, 3))
    X = np.stack(
        [rigid.compose(Rotation.random(rng=rng).as_matrix(), rng.normal(0, 0.1, 3) + [0, 0, 1]) for _ in range(count)]
    )
    exo = np.stack([rigid.apply(rigid.invert(T), hands) for T, hands in zip(X, ego, strict=True)])
    exo[-1, 0] = ego[-1, 0] = np.nan
    pictures = rng.integers(0, 256, (count, CAMERA.height, CAMERA.width, 3), np.uint8)
    intrinsics = np.tile([CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy], (count, 1))
    return Pairs(pictures, intrinsics, exo, ego, X, "some")


def project(camera: Camera, points: Float64Array) -> Float64Array:
    u = camera.fx * points[..., 0] / points[..., 2] + camera.cx
    return np.stack([u, camera.fy * points[..., 1] / points[..., 2] + camera.cy], axis=-1)


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = EgoHandNetwork(SMALL)
    nn.init.normal_(network.regressor[-1].weight, std=0.02)
    network.begin(symmetric_mean(some_pairs().ego), mean_hints(some_pairs()))
    save_weights(network, asdict(SMALL), tmp_path / "phi.safetensors")
    return tmp_path / "phi.safetensors"


def parameters_for(path: Path) -> Parameters:
    return Parameters.from_mapping({"ego_hand.weights": str(path), "device": "cpu"})


# The backend ----------------------------------------------------------------------------------------


def test_the_backend_gives_what_the_network_says_of_the_squeezed_picture(weights_file: Path) -> None:
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (SMALL.height, SMALL.width, 3), np.uint8)
    camera = Camera.from_hfov(640, 320, 70)
    large = np.repeat(np.repeat(small, 10, axis=0), 10, axis=1)
    estimator = load_ego_hand_estimator(parameters_for(weights_file))
    weak, strong = (replace(as_hand(rest_hand("right") + [0, 0, z], "right"), score=z) for z in (0.8, 0.9))
    found = estimator.tell(estimator.look(Frame(large, camera)), (strong, weak))

    network = EgoHandNetwork(SMALL).eval()
    network.load_state_dict(load_file(weights_file))
    tangent = np.tan(np.radians(35))
    view = torch.tensor([[tangent, tangent / 2, tangent, tangent / 2]], dtype=torch.float32)
    with torch.no_grad():
        exo, known = torch.zeros(1, 2, 21, 3), torch.tensor([[0.0, 1.0]])
        exo[0, 1] = torch.from_numpy(strong.keypoints)
        said = network(torch.from_numpy(small).permute(2, 0, 1)[None].float(), view, exo, known)
        alone = network(torch.from_numpy(small).permute(2, 0, 1)[None].float(), view, exo, 0 * known)
    np.testing.assert_allclose(found.keypoints, said.keypoints[0], atol=1e-5)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-said.presence[0].numpy())), atol=1e-5)
    np.testing.assert_allclose(found.deviation, np.sqrt(np.exp(said.log_variance[0].numpy())), rtol=1e-4)
    assert np.abs(found.keypoints - symmetric_mean(some_pairs().ego)).max() > 1e-3  # it does look at the picture
    np.testing.assert_allclose(
        estimator.tell(estimator.look(Frame(large, camera))).keypoints, alone.keypoints[0], atol=1e-5
    )
    assert found.keypoints.dtype == found.scores.dtype == found.deviation.dtype == np.float32


def test_a_network_that_knows_nothing_says_the_mean_pose() -> None:
    task = EgoHandTask(EgoHandNetwork(SMALL), some_pairs())
    said = task.network(torch.rand(2, 3, 32, 64) * 255, torch.rand(2, 4), torch.zeros(2, 2, 21, 3), torch.zeros(2, 2))
    np.testing.assert_allclose(said.keypoints.detach()[1], symmetric_mean(some_pairs().ego), atol=1e-6)
    np.testing.assert_allclose(said.hints.detach()[1], mean_hints(some_pairs()), atol=1e-6)
    np.testing.assert_allclose(said.log_variance.detach().exp().sqrt(), SPREAD, rtol=1e-5)


def before_the_camera(seed: int) -> Look:
    """Somebody opposite, about a metre away."""
    rng = np.random.default_rng(seed)
    eyes = rigid.compose(Rotation.from_rotvec([0.5, 2.6, *rng.normal(0, 0.2, 1)]).as_matrix(), [0.1, -0.2, 1.3])
    exo = rng.normal([0.05, 0.1, 1.0], [0.15, 0.1, 0.05], (2, 21, 3))
    picture = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    return Look(picture, CAMERA, exo, rigid.apply(rigid.invert(eyes), exo), eyes)


@pytest.mark.parametrize("seed", range(3))
def test_the_eyes_see_the_hands_that_are_hinted_at(seed: int) -> None:
    look = before_the_camera(seed)
    hints = torch.from_numpy(hint_numbers(look.exo, look.T_exo_ego))[None]
    np.testing.assert_allclose(seen_by_eyes(*from_hints(hints))[0], look.ego, atol=1e-5)
    hints[:, -12:-3] *= 1.1  # no rotation any more
    np.testing.assert_allclose(seen_by_eyes(*from_hints(hints))[0], look.ego, atol=1e-5)


def test_a_hand_that_is_told_is_seen_where_it_was_told_and_the_other_where_it_is_hinted_at() -> None:
    look, other = before_the_camera(0), before_the_camera(1)
    network = EgoHandNetwork(SMALL).eval()
    with torch.no_grad():
        network.hints.bias.copy_(torch.from_numpy(hint_numbers(look.exo, look.T_exo_ego)))
        exo, known = torch.from_numpy(other.exo).float()[None], torch.tensor([[0.0, 1.0]])
        said = network(torch.zeros(1, 3, 32, 64), torch.ones(1, 4), exo, known).keypoints[0]
    np.testing.assert_allclose(said[0], look.ego[0], atol=1e-5)
    np.testing.assert_allclose(said[1], rigid.apply(rigid.invert(look.T_exo_ego), other.exo[1]), atol=1e-5)


def test_what_is_told_of_hands_is_about_them_alone() -> None:
    exo = torch.from_numpy(before_the_camera(0).exo).float()[None]
    one = told_numbers(exo, torch.tensor([[0.0, 1.0]]))
    exo[0, 0] = 7.0  # not known
    assert torch.equal(one, told_numbers(exo, torch.tensor([[0.0, 1.0]])))
    assert not one[0, :70].any() and one[0, 70:133].abs().max() < 10 and one[0, 139] == 1.0
    assert not told_numbers(exo, torch.zeros(1, 2)).any()
    turned_hand = told_numbers(exo + torch.tensor([0.1, 0.0, 0.0]), torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(turned_hand[0, 70:136], one[0, 70:136])  # shape; alone it is in the middle of all
    assert not torch.equal(turned_hand, one)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_looked_for_lies_where_the_camera_sees_it(seed: int) -> None:
    look, patches = before_the_camera(seed), patch_places(SMALL)
    found = places(look, patches)
    points = np.stack([*look.exo[:, 9], look.T_exo_ego[:3, 3]])
    expected = (project(CAMERA, points) + 0.5) / [CAMERA.width, CAMERA.height]
    # Beyond the middle of the outermost patches their mean cannot be.
    np.testing.assert_allclose(found @ patches, expected.clip(patches[0], 1 - patches[0]), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert (found > 0).sum(axis=1).max() <= 4
    for other in (look.exo * [1, 1, -1], look.exo + [5, 0, 0], np.full((2, 21, 3), np.nan)):
        assert not places(look._replace(exo=other), patches)[:2].any()


def test_weights_that_cannot_serve_are_refused_by_path(weights_file: Path) -> None:
    missing = weights_file.with_name("none.safetensors")
    with pytest.raises(GenEgoError, match=r"none\.safetensors: cannot be loaded"):
        load_ego_hand_estimator(parameters_for(missing))
    save_file({"a": torch.zeros(2)}, missing)
    with pytest.raises(GenEgoError, match=r"none\.safetensors: .*weights of phi_ego .* \./genego train ego-hand"):
        load_ego_hand_estimator(parameters_for(missing))
    weights_file.write_bytes(weights_file.read_bytes()[:-100])
    with pytest.raises(GenEgoError, match=r"phi\.safetensors: cannot be loaded"):
        load_ego_hand_estimator(parameters_for(weights_file))
    with pytest.raises(GenEgoError, match="there are no weights 'phi_ego_huge'"):
        load_ego_hand_estimator(Parameters.from_mapping({"ego_hand.weights": "phi_ego_huge"}))


def test_the_field_of_view_does_not_depend_on_the_size_of_the_picture() -> None:
    np.testing.assert_allclose(view_numbers(Camera.from_hfov(640, 320, 90)), [1, 0.5, 1, 0.5], rtol=1e-6)
    camera = Camera(640, 360, 400.0, 420.0, 300.0, 200.0)
    np.testing.assert_allclose(view_numbers(camera.resized(256, 144)), view_numbers(camera), rtol=1e-6)


def test_tiny_has_about_three_million_parameters() -> None:
    assert 2.5e6 < sum(p.numel() for p in EgoHandNetwork(FORMS["tiny"]).parameters()) < 3.5e6


def test_base_is_a_vision_transformer_that_starts_from_a_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    form = Form("base", width=32, height=32, channels=24, layers=2, heads=2)
    network = EgoHandNetwork(form)
    vit = transformers.ViTModel(network.backbone.vit.config, add_pooling_layer=False)
    vit.save_pretrained(tmp_path)
    network.backbone.start(tmp_path)
    network.eval(), vit.eval()
    pictures, views = torch.rand(1, 3, 32, 32) * 255, torch.rand(1, 4)
    with torch.no_grad():
        tokens = vit(pictures / 127.5 - 1).last_hidden_state
        seen = network.backbone(pictures / 127.5 - 1, network.view(views)[:, None])
        assert torch.allclose(seen, tokens + network.view(views)[:, None], atol=1e-5)
        assert network.look(pictures, views).looks.shape == (1, 3, 4)
    with pytest.raises(GenEgoError, match=r"nothing: cannot be loaded .* ViT-B/16"):
        network.backbone.start(tmp_path / "nothing")


# How it learns --------------------------------------------------------------------------------------


def test_a_mirror_turns_left_into_right() -> None:
    look = kept_look(some_pairs(), 0)
    other = mirrored(look)
    before, after = project(CAMERA, look.exo), project(other.camera, other.exo)
    np.testing.assert_allclose(after[0, :, 0], CAMERA.width - 1 - before[1, :, 0])
    np.testing.assert_allclose(after[0, :, 1], before[1, :, 1])
    assert np.linalg.det(other.T_exo_ego[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_allclose(rigid.apply(other.T_exo_ego, other.ego), other.exo, atol=1e-12)
    again = mirrored(other)
    assert again.camera == CAMERA and np.array_equal(again.picture, look.picture)
    for name in ("exo", "ego", "T_exo_ego"):
        assert np.array_equal(getattr(again, name), getattr(look, name))


@pytest.mark.parametrize("seed", range(4))
def test_a_turned_camera_sees_the_hands_where_its_labels_say(seed: int) -> None:
    camera = Camera(320, 180, 260.0, 255.0, 150.0, 95.0)
    points = np.array([[-0.2, 0.1, 1.0], [0.15, -0.1, 1.2], [0.0, 0.05, 0.7]])
    picture = np.zeros((180, 320, 3), np.uint8)
    for point in project(camera, points):
        cv2.circle(picture, np.rint(point).astype(int).tolist(), 3, (255, 255, 255), -1)
    eyes = rigid.compose(Rotation.from_rotvec([0.3, 2.0, 0.1]).as_matrix(), [0.1, -0.3, 1.4])
    ego = rigid.apply(rigid.invert(eyes), points[None])
    look = turned(Look(picture, camera, points[None], ego, eyes), (256, 144), np.random.default_rng(seed))
    assert (look.camera.width, look.camera.height) == (256, 144)
    np.testing.assert_allclose(rigid.apply(look.T_exo_ego, ego), look.exo, atol=1e-12)
    found = 0
    for u, v in project(look.camera, look.exo[0]):
        if 8 < u < 248 and 8 < v < 136:
            patch = look.picture[round(v) - 7 : round(v) + 8, round(u) - 7 : round(u) + 8, 0].astype(float)
            rows, columns = np.indices(patch.shape) - 7
            middle = [round(u) + (columns * patch).sum() / patch.sum(), round(v) + (rows * patch).sum() / patch.sum()]
            np.testing.assert_allclose(middle, [u, v], atol=0.7)
            found += 1
    assert found >= 2


def test_a_hand_is_there_while_half_of_it_is_in_the_picture() -> None:
    hand = np.tile([0.0, 0.0, 1.0], (21, 1))
    out = hand.copy()
    out[:11] = [2.0, 0.0, 1.0]
    assert in_picture(CAMERA, np.stack([hand, out])).tolist() == [True, False]
    assert in_picture(CAMERA, np.stack([-hand, np.full((21, 3), np.nan)])).tolist() == [False, False]


def test_hints_tell_where_the_hands_and_the_eyes_are() -> None:
    exo = np.full((2, 21, 3), [0.25, -0.5, 2.0])
    exo[0, 3] = [0.1, 0.1, -1.0]  # behind the camera
    exo[1] = np.nan
    hints = hint_numbers(exo, rigid.compose(np.eye(3), [0.5, 0.0, 1.0]))
    np.testing.assert_allclose(hints[:3], [0.5, -1.0, 2.0])
    assert np.isnan(hints[9:12]).all() and np.isfinite(hints[12:63]).all() and np.isnan(hints[63:126]).all()
    np.testing.assert_allclose(hints[126:], [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 2])


def test_examples_are_a_function_of_the_generator_and_hold_no_nan() -> None:
    samples = AugmentedPairs(some_pairs(), SMALL)
    indices = np.array([5, 0, 3])
    one, other = (samples.batch(indices, np.random.default_rng(7)) for _ in range(2))
    assert all(np.array_equal(one[name], other[name]) and np.isfinite(one[name]).all() for name in one)
    assert not np.array_equal(one["picture"], samples.batch(indices, np.random.default_rng(8))["picture"])
    assert one["labelled"].sum() == 5 and one["picture"].shape == (3, 32, 64, 3)


def test_the_network_is_told_hands_in_the_picture_as_they_are_estimated() -> None:
    look = before_the_camera(0)
    both, neither = np.array([True, True]), np.array([False, False])
    rows = [told(look.exo, both, np.random.default_rng(seed)) for seed in range(200)]
    z = np.stack([row["told"][..., 2].mean(axis=1) for row in rows])
    assert z.mean() == pytest.approx(look.exo[..., 2].mean(), rel=0.02)
    assert np.std(z.mean(axis=1) / z.mean()) == pytest.approx(np.hypot(0.08, 0.03 / np.sqrt(2)), rel=0.15)
    assert all(row["known"].tolist() == [1, 1] for row in rows)
    nothing = told(look.exo * np.nan, neither, np.random.default_rng(0))
    assert not nothing["told"].any() and not nothing["known"].any()
    looks = [before_the_camera(seed) for seed in range(6)]
    exo, ego = np.stack([look.exo for look in looks]), np.stack([look.ego for look in looks])
    pairs = replace(
        some_pairs(), exo=exo, ego=ego, T_ego_exo=np.stack([rigid.invert(look.T_exo_ego) for look in looks])
    )
    kept = [AugmentedPairs(pairs, SMALL).batch(np.arange(6), np.random.default_rng(seed)) for seed in range(30)]
    known, present = (np.concatenate([batch[name] for batch in kept]) for name in ("known", "present"))
    assert not known[present == 0].any() and 0.5 < known[present == 1].mean() < 0.8


class Said(nn.Module):
    """Says the same of every picture."""

    form = SMALL

    def __init__(self, prediction: Prediction) -> None:
        super().__init__()
        self.keypoints, self.presence, self.log_variance = (nn.Parameter(part) for part in prediction[:3])

    def forward(self, pictures: Tensor, views: Tensor, exo: Tensor, known: Tensor) -> Prediction:
        count = len(pictures)
        rest = torch.zeros(count, 3, len(patch_places(SMALL))), torch.zeros(count, HINTS)
        return Prediction(self.keypoints, self.presence, self.log_variance, *rest)


def test_joints_learn_by_l2_alone_and_deviations_by_their_errors() -> None:
    pairs = some_pairs()
    task = EgoHandTask(EgoHandNetwork(SMALL), pairs)
    batch = {
        name: torch.from_numpy(values)
        for name, values in task.samples.batch(np.arange(6), np.random.default_rng(0)).items()
    }
    error = 0.01 * torch.randn(6, 2, 21, 3, generator=torch.Generator().manual_seed(0))
    expected = error.square().mean((2, 3)).log()
    said = Said(Prediction(batch["ego"] + error, torch.zeros(6, 2), expected, *2 * [torch.empty(0)]))
    task.losses(said, batch)["loss"].backward()
    # d/dp of the mean over the 11 labelled hands and 63 coordinates of ((p - t) / SPREAD)^2
    gradient = 2 * error / SPREAD**2 / (11 * 63) * batch["labelled"][:, :, None, None]
    assert said.keypoints.grad is not None and said.log_variance.grad is not None
    torch.testing.assert_close(said.keypoints.grad, gradient)
    # The likelihood is highest where the variance is the mean square error.
    torch.testing.assert_close(said.log_variance.grad, torch.zeros(6, 2), atol=1e-6, rtol=0)


def test_measures_of_known_errors() -> None:
    pairs = some_pairs()
    shift = np.array([0.006, 0.0, 0.008])
    truth = torch.from_numpy(np.nan_to_num(pairs.ego) + shift).float()
    log_variance = torch.full((6, 2), float(np.log(1e-4 / 3)))
    said = Said(Prediction(truth, torch.zeros(6, 2), log_variance, *2 * [torch.empty(0)]))
    found = measures(said, pairs, SMALL, symmetric_mean(pairs.ego))
    for name in ("mpjpe", "mpjpe_left", "mpjpe_right"):
        assert found[name] == pytest.approx(10.0, abs=1e-3)
    assert found["pa_mpjpe"] == pytest.approx(0.0, abs=1e-3)
    assert found["mpjpe_alone"] == found["mpjpe"]
    assert found["calibration"] == pytest.approx(1.0, abs=1e-3)
    assert 50 < found["mpjpe_mean_pose"] < 150


def test_errors_of_shape_are_those_of_the_evaluation() -> None:
    pairs = some_pairs()
    truth = np.nan_to_num(pairs.ego)
    estimate = 1.1 * truth + np.random.default_rng(9).normal(0, 0.01, truth.shape)
    said = Said(
        Prediction(torch.from_numpy(estimate).float(), torch.zeros(6, 2), torch.zeros(6, 2), *2 * [torch.empty(0)])
    )
    hands = [(row, side) for row in range(6) for side in range(2) if (row, side) != (5, 0)]
    expected = 1000 * np.median([pa_mpjpe(estimate[hand], truth[hand]) for hand in hands])
    assert 5 < expected < 20
    assert measures(said, pairs, SMALL, symmetric_mean(pairs.ego))["pa_mpjpe"] == pytest.approx(expected, rel=1e-3)


def test_the_head_is_seen_while_all_of_it_is_in_the_picture() -> None:
    pairs = some_pairs()
    edge = 41.5 / CAMERA.fx * 1.5  # metres from the axis to the right border, 1.5 m away

    def seen_at(*eyes: float) -> bool:
        X = np.tile(rigid.invert(rigid.compose(np.eye(3), eyes)), (6, 1, 1))
        return sees_head(replace(pairs, T_ego_exo=X), 0)

    assert seen_at(0.0, 0.0, 1.5) and seen_at(edge - 0.13, 0.0, 1.5)
    assert not seen_at(edge - 0.11, 0.0, 1.5) and not seen_at(0.0, 0.0, -1.5)


def test_the_command_trains_on_recordings_and_keeps_them_small(
    tmp_path: Path, weights_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mock_datasets.write_h2o(tmp_path / "h2o", frames=range(3))
    command = ["train", "ego-hand", str(tmp_path / "h2o"), "--out", str(tmp_path / "run"), "--split", "all"]
    command += ["--steps", "2", "--batch", "2", "--device", "cpu", "--precision", "no", "--start", str(weights_file)]
    assert cli.main(command) == 0
    trained = tmp_path / "run" / "weights.safetensors"
    assert f"weights: {trained}" in capsys.readouterr().out
    before, after = load_file(weights_file), load_file(trained)
    assert not torch.equal(before["regressor.2.weight"], after["regressor.2.weight"])
    assert torch.equal(before["backbone.encoder.stem.0.weight"], after["backbone.encoder.stem.0.weight"])  # kept
    load_ego_hand_estimator(parameters_for(trained))

    dataset = open_dataset(tmp_path / "h2o")
    pairs = cached_pairs(dataset, tmp_path / "h2o", dataset.ids, (80, 40), tmp_path / "run" / "cache")
    sample = dataset[1]
    assert len(pairs) == len(dataset) and pairs.fingerprint == json_line(trained)
    np.testing.assert_allclose(pairs.ego[1], sample.ego.keypoints)
    both = rigid.apply(pairs.T_ego_exo[1], pairs.exo[1])
    np.testing.assert_allclose(both, pairs.ego[1], atol=1e-6)
    assert kept_look(pairs, 1).camera == sample.exo[0].frame.camera.resized(80, 40)
    assert len(list((tmp_path / "run" / "cache").glob("*.npy"))) == 1


def json_line(path: Path) -> str:
    """The fingerprint of the data in the header of a safetensors file."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    fingerprint: str = header["__metadata__"]["data"]
    return fingerprint


def test_a_size_that_is_not_that_of_the_weights_is_refused(tmp_path: Path, weights_file: Path) -> None:
    with pytest.raises(GenEgoError, match="weights of size tiny; give --size tiny"):
        prepare(Namespace(size="base", start=weights_file, dataset=tmp_path, split="all", out=tmp_path))
