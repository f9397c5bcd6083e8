"""Hands by ACR, from the user's own checkout (github.com/ZhengdiYu/Arbitrary-Hands-3D-Reconstruction)."""

from __future__ import annotations

import sys

import numpy as np

from genego_ros.errors import GenEgoError
from genego_ros.observation.hands.checkouts import checkout_of, weights_of, working_in
from genego_ros.observation.hands.detection import Detection, one_a_side
from genego_ros.observation.hands.mano_outputs import from_whole_picture, placed
from genego_ros.parameters import Parameters
from genego_ros.types import SIDES, Frame, Hand

_INPUT = 512
"""Pixels; what ACR squeezes the padded picture to."""


class ACRHands:
    """Both hands of a picture at once, by the paper's own choice of estimator.

    Its code calls CUDA by name, so it needs an NVIDIA GPU.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        repository = "https://github.com/ZhengdiYu/Arbitrary-Hands-3D-Reconstruction"
        checkout = checkout_of(parameters.hands, repository, "acr")
        weights = weights_of(parameters.hands, checkout / "checkpoints/wild.pkl")
        import torch

        if not torch.cuda.is_available():
            raise GenEgoError("hands backend 'acr' runs on an NVIDIA GPU alone, and there is none; use mediapipe")
        with working_in(checkout, "acr", weights):
            sys.argv += ["--demo_mode", "image", "--model_path", str(weights)]
            from acr.mano_wrapper import MANOWrapper
            from acr.model import ACR
            from acr.utils import img_preprocess, load_model

            model = load_model(str(weights), ACR().eval(), prefix="module.", drop_prefix="", fix_loaded=False)
            self._model, self._mano = model.cuda().eval(), MANOWrapper().cuda()
        self._preprocess = img_preprocess

    def estimate(self, frame: Frame) -> tuple[Hand, ...]:
        """The best left and the best right hand of `frame`."""
        known = self.parameters.hands.hand_length
        hands = {d.side: placed(d, frame.camera, known) for d in one_a_side(self._detections(frame))}
        return tuple(hand for side in SIDES if (hand := hands.get(side)) is not None)

    def _detections(self, frame: Frame) -> list[Detection]:
        import torch

        bgr = np.ascontiguousarray(frame.rgb[..., ::-1])
        prepared = self._preprocess(bgr, None, input_size=_INPUT, single_img_input=True)
        del prepared["data_set"]
        prepared["batch_ids"] = torch.arange(len(prepared["image"]))
        with torch.inference_mode():
            out = self._model(prepared, mode="parsing", calc_loss=False)
            found = out["detection_flag_cache"].cpu().numpy()
            if not found.any():
                return []
            out = self._mano(out, out["meta_data"])
        # One left hand, then one right hand, whether found or not.
        scores = torch.cat([out["l_centers_conf"], out["r_centers_conf"]]).flatten().clamp(0, 1).cpu().numpy()
        joints, pixels = out["j3d"].float().cpu().numpy(), out["pj2d_org"].float().cpu().numpy()
        kinds = out["output_hand_type"].cpu().numpy()
        return [
            from_whole_picture(joints[i], pixels[i], bool(kinds[i] == 1), float(scores[i]))
            for i in np.flatnonzero(found)
        ]

    def forget(self) -> None:
        """Every frame stands for itself."""

    def close(self) -> None:
        """Holds nothing but memory."""
