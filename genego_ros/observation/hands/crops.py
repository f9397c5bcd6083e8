"""Hands by WiLoR and HaMeR, from the user's own checkouts: one crop a hand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genego_ros.device import resolve_device
from genego_ros.observation.hands.checkouts import checkout_of, weights_of, working_in
from genego_ros.observation.hands.detection import Detection, one_a_side
from genego_ros.observation.hands.mano_outputs import box_around, from_crop, placed
from genego_ros.observation.hands.mediapipe import MediaPipeHands
from genego_ros.parameters import Parameters
from genego_ros.types import SIDES, Float64Array, Frame, Hand

_PADDING = 2.0
"""Crop over box, as both demonstrations have it."""


@dataclass(frozen=True)
class Box:
    """Where a hand is to be looked at."""

    corners: Float64Array
    """float64 (4,), pixels: left, top, right, bottom."""
    is_right: bool
    score: float


class CropHands(ABC):
    """What WiLoR and HaMeR share: batches of crops, and what comes out of them."""

    _model: Any
    _configuration: Any
    _crops: Any
    """Their `ViTDetDataset`."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self._device = resolve_device(parameters.device)

    @abstractmethod
    def _boxes(self, frame: Frame) -> Sequence[Box]:
        """Where hands are to be looked at."""

    def estimate(self, frame: Frame) -> tuple[Hand, ...]:
        """The best left and the best right hand of `frame`."""
        boxes = self._boxes(frame)
        known = self.parameters.hands.hand_length
        hands = {d.side: placed(d, frame.camera, known) for d in one_a_side(self._detections(frame, boxes))}
        return tuple(hand for side in SIDES if (hand := hands.get(side)) is not None)

    def _detections(self, frame: Frame, boxes: Sequence[Box]) -> list[Detection]:
        if not boxes:
            return []
        import torch

        bgr = np.ascontiguousarray(frame.rgb[..., ::-1])
        corners, right = np.stack([box.corners for box in boxes]), np.array([float(box.is_right) for box in boxes])
        crops = self._crops(self._configuration, bgr, corners, right, rescale_factor=_PADDING)
        batch = torch.utils.data.default_collate([crops[i] for i in range(len(boxes))])
        batch = {name: part.to(self._device) for name, part in batch.items()}
        with torch.inference_mode():
            out = self._model(batch)
        joints, cameras = out["pred_keypoints_3d"].float().cpu().numpy(), out["pred_cam"].float().cpu().numpy()
        centers, sizes = batch["box_center"].cpu().numpy(), batch["box_size"].cpu().numpy()
        focal = self._configuration.EXTRA.FOCAL_LENGTH / self._configuration.MODEL.IMAGE_SIZE
        return [
            from_crop(joints[i][:21], cameras[i], box.is_right, centers[i], float(sizes[i]), focal, box.score)
            for i, box in enumerate(boxes)
        ]


class WiLoRHands(CropHands):
    """WiLoR with its own detector (github.com/rolpotamias/WiLoR)."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        checkout = checkout_of(parameters.hands, "https://github.com/rolpotamias/WiLoR", "wilor")
        pretrained = checkout / "pretrained_models"
        weights = weights_of(parameters.hands, pretrained / "wilor_final.ckpt")
        with working_in(checkout, "wilor", weights):
            from ultralytics import YOLO
            from wilor.datasets.vitdet_dataset import ViTDetDataset
            from wilor.models import load_wilor

            model, self._configuration = load_wilor(str(weights), str(pretrained / "model_config.yaml"))
            self._detector = YOLO(str(pretrained / "detector.pt"))
        self._crops = ViTDetDataset
        self._model = model.to(self._device).eval()

    def _boxes(self, frame: Frame) -> Sequence[Box]:
        score = self.parameters.hands.detection_score
        bgr = np.ascontiguousarray(frame.rgb[..., ::-1])
        found = self._detector(bgr, conf=score, verbose=False, device=self._device)[0].boxes
        rows = zip(found.xyxy.cpu().numpy(), found.cls.cpu().numpy(), found.conf.cpu().numpy(), strict=True)
        return [Box(corners.astype(np.float64), bool(kind == 1), float(sure)) for corners, kind, sure in rows]

    def forget(self) -> None:
        """Every frame stands for itself."""

    def close(self) -> None:
        """Holds nothing but memory."""


class HaMeRHands(CropHands):
    """HaMeR (github.com/geopavlakos/hamer), which needs to be told where hands are.

    Its demonstration asks ViTDet for people and ViTPose for their hands; the landmarks of MediaPipe, which are here
    anyway, make the same boxes.
    """

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        checkout = checkout_of(parameters.hands, "https://github.com/geopavlakos/hamer", "hamer")
        weights = weights_of(parameters.hands, checkout / "_DATA/hamer_ckpts/checkpoints/hamer.ckpt")
        with working_in(checkout, "hamer", weights):
            from hamer.datasets.vitdet_dataset import ViTDetDataset
            from hamer.models import load_hamer

            model, self._configuration = load_hamer(str(weights))
        self._crops = ViTDetDataset
        self._model = model.to(self._device).eval()
        self._landmarker = MediaPipeHands(parameters)

    def _boxes(self, frame: Frame) -> Sequence[Box]:
        found = one_a_side(self._landmarker.detections(frame))
        return [Box(box_around(each.pixels), each.side == "right", each.score) for each in found]

    def forget(self) -> None:
        self._landmarker.forget()

    def close(self) -> None:
        self._landmarker.close()
