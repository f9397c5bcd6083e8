"""WiLoR, HaMeR and ACR: their conventions as their code documents them, on hands that are known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scene import CAMERA, as_hand, curled_hand
from scipy.spatial.transform import Rotation

from genego_ros.errors import GenEgoError
from genego_ros.geometry.hand_model import hand_length
from genego_ros.observation.hands import load_hand_estimator
from genego_ros.observation.hands.mano_outputs import from_crop, from_whole_picture, placed
from genego_ros.parameters import Parameters
from genego_ros.types import SIDES, Frame, Side

FOCAL = 5000 / 256
"""Both configurations: EXTRA.FOCAL_LENGTH over MODEL.IMAGE_SIZE."""


def hand(side: Side) -> np.ndarray:
    """float64 (21, 3): a half open hand about its wrist, turned somehow, as the camera's axes have it."""
    posed = Rotation.from_euler("xyz", [0.4, -0.5, 0.8]).apply(curled_hand(35, side))
    return posed - posed[0]


def network_output(side: Side, center: np.ndarray, size: float, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`pred_keypoints_3d` and `pred_cam` of a network that makes no mistake about a hand whose wrist is at `place`.

    It is shown the square crop, flipped for a left hand, and answers for the right hand that it sees there: of all
    s (X + t) / 2, in which s is how many half crops a metre spans, the nearest to the pixels.
    """
    flip = np.array([-1.0 if side == "left" else 1.0, 1.0])
    joints = hand(side) * [flip[0], 1, 1]
    in_crop = (as_hand(hand(side) + place).keypoints_2d - center) / size * flip
    spread = joints[:, :2] - joints[:, :2].mean(axis=0)
    half_s = (spread * (in_crop - in_crop.mean(axis=0))).sum() / (spread**2).sum()
    return joints, np.array([2 * half_s, *(in_crop.mean(axis=0) / half_s - joints[:, :2].mean(axis=0))])


@pytest.mark.parametrize("side", SIDES)
def test_a_crop_s_hand_lies_where_hamer_s_own_drawing_puts_it(side: Side) -> None:
    """cam_crop_to_full of both repositories, written out: the way they draw meshes over the whole picture."""
    center, size, place = np.array([250.0, 210.0]), 180.0, np.array([-0.05, 0.02, 0.9])
    joints, camera = network_output(side, center, size, place)
    sign = 1.0 if side == "right" else -1.0
    focal = FOCAL * 640  # scaled_focal_length for a picture 640 pixels wide
    scale = size * camera[0]
    translation = [
        2 * (center[0] - 320) / scale + sign * camera[1],
        2 * (center[1] - 240) / scale + camera[2],
        2 * focal / scale,
    ]
    drawn = joints * [sign, 1, 1] + translation
    expected = focal * drawn[:, :2] / drawn[:, 2:] + [320, 240]
    found = from_crop(joints, camera, side == "right", center, size, FOCAL, 0.8)
    assert (found.side, found.score) == (side, 0.8)
    np.testing.assert_allclose(found.pixels, expected, atol=3.0)  # drawn from four times as far
    np.testing.assert_allclose(found.shape, hand(side), atol=1e-6)


@pytest.mark.parametrize("side", SIDES)
def test_a_crop_s_hand_is_placed_in_metres_on_its_side(side: Side) -> None:
    center, size, place = np.array([300.0, 215.0]), 170.0, np.array([-0.03, -0.02, 1.1])
    joints, camera = network_output(side, center, size, place)
    detection = from_crop(joints, camera, side == "right", center, size, FOCAL, 0.9)
    found = placed(detection, CAMERA, hand_length(hand(side)))
    assert found is not None and (found.side, found.scale_source) == (side, "hand_length")
    assert np.linalg.norm(found.keypoints[0] - place) < 0.03
    shape = found.keypoints - found.keypoints[0]
    assert np.linalg.norm(shape - hand(side), axis=1).max() < 0.02
    average = placed(detection, CAMERA, 0.0)
    assert average is not None and average.scale_source == "average"


@pytest.mark.parametrize("side", SIDES)
def test_acr_s_hands_are_taken_as_they_are(side: Side) -> None:
    """About joint 9, left hands unmirrored, pixels of the whole picture."""
    true = hand(side) + [0.1, 0.05, 0.8]
    detection = from_whole_picture(true - true[9], as_hand(true).keypoints_2d, side == "right", 0.7)
    found = placed(detection, CAMERA, hand_length(true))
    assert found is not None and found.side == side
    assert np.linalg.norm(found.keypoints - true, axis=1).max() < 0.03


@pytest.mark.parametrize("backend", ["wilor", "hamer", "acr"])
def test_what_is_missing_is_named_with_its_cure(backend: str, tmp_path: Path) -> None:
    def load(**more: str) -> None:
        named = {f"hands.{name}": value for name, value in more.items()}
        load_hand_estimator(Parameters.from_mapping({"hands.backend": backend, **named}))

    with pytest.raises(GenEgoError, match=r"clone https://github.com/.* and set hands.checkout"):
        load()
    with pytest.raises(GenEgoError, match=f"{tmp_path}' has no folder '{backend}'"):
        load(checkout=str(tmp_path))
    (tmp_path / backend).mkdir()
    with pytest.raises(GenEgoError, match=r"weights '.*' of hands backend .* do not exist"):
        load(checkout=str(tmp_path))
    with pytest.raises(GenEgoError, match=r"nowhere\.ckpt"):
        load(checkout=str(tmp_path), weights=str(tmp_path / "nowhere.ckpt"))


WILOR = {
    "ultralytics.py": """
import torch
from types import SimpleNamespace as Named
class YOLO:
    def __init__(self, path): assert open(path)
    def __call__(self, picture, conf, verbose, device):
        boxes = torch.tensor([[205., 150., 295., 270.], [345., 150., 435., 270.]])
        return [Named(boxes=Named(xyxy=boxes, cls=torch.tensor([1., 0.]), conf=torch.tensor([0.9, 0.8])))]
""",
    "wilor/__init__.py": "",
    "wilor/datasets/__init__.py": "",
    "wilor/datasets/vitdet_dataset.py": """
import numpy as np
class ViTDetDataset:
    def __init__(self, cfg, img_cv2, boxes, right, rescale_factor):
        self.boxes, self.right, self.factor = boxes, right, rescale_factor
    def __getitem__(self, i):
        low, high = self.boxes[i, :2], self.boxes[i, 2:]
        return {'img': np.zeros((3, 4, 4), np.float32), 'right': self.right[i], 'box_center': (low + high) / 2,
                'box_size': self.factor * (high - low).max(), 'img_size': np.array([640., 480.])}
""",
    "wilor/models.py": """
import os, torch, numpy as np
from types import SimpleNamespace as Named
class Network(torch.nn.Module):
    def forward(self, batch):
        known = np.load(HERE)
        order = [int(r) for r in batch['right']]
        joints, cameras = (torch.tensor(known[name][order]) for name in ('joints', 'cameras'))
        return {'pred_keypoints_3d': joints, 'pred_cam': cameras}
HERE = os.path.abspath('answers.npz')
def load_wilor(checkpoint_path, cfg_path):
    return Network(), Named(EXTRA=Named(FOCAL_LENGTH=5000), MODEL=Named(IMAGE_SIZE=256))
""",
}


def test_a_checkout_is_loaded_from_its_folder_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of WiLoR's names and signatures, whose network knows the answer."""
    for name, text in WILOR.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    pretrained = tmp_path / "pretrained_models"
    pretrained.mkdir()
    for name in ("wilor_final.ckpt", "detector.pt", "model_config.yaml"):
        (pretrained / name).write_text("")
    places: dict[Side, np.ndarray] = {"left": np.array([0.12, -0.05, 0.95]), "right": np.array([-0.12, -0.05, 1.0])}
    outputs = [
        network_output(side, np.array([390.0 if side == "left" else 250.0, 210.0]), 240.0, places[side])
        for side in SIDES
    ]
    np.savez(tmp_path / "answers.npz", joints=[o[0] for o in outputs], cameras=[o[1] for o in outputs])
    before, path = Path.cwd(), list(sys.path)
    values = {
        "hands.backend": "wilor",
        "hands.checkout": str(tmp_path),
        "hands.hand_length": hand_length(hand("left")),
        "device": "cpu",
    }
    estimator = load_hand_estimator(Parameters.from_mapping(values))
    assert Path.cwd() == before and sys.path == path
    hands = estimator.estimate(Frame(np.zeros((480, 640, 3), np.uint8), CAMERA))
    assert [(each.side, each.score) for each in hands] == [("left", pytest.approx(0.8)), ("right", pytest.approx(0.9))]
    for each in hands:
        assert np.linalg.norm(each.keypoints[0] - places[each.side]) < 0.05
    for name in [name for name in sys.modules if name.split(".")[0] in ("wilor", "ultralytics")]:
        monkeypatch.delitem(sys.modules, name)
