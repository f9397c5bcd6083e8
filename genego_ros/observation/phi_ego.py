"""phi_ego by the network of ego_hand_network.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from genego_ros.device import resolve_device
from genego_ros.geometry.squeeze import squeeze
from genego_ros.observation.ego_hand_network import HANDS, Glance, load_network, view_numbers
from genego_ros.types import KEYPOINTS, SIDES, EgoHands, Frame, Hand


class PhiEgo:
    """Looks at each picture for itself.

    Args:
        path: a file that `./genego train ego-hand` made.
        device: as the parameter `device`.

    Raises:
        GenEgoError: the file is missing, damaged or of something else, or there is no such device.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        self._device = torch.device(resolve_device(device))
        self._network = load_network(path).to(self._device)

    @torch.inference_mode()
    def look(self, frame: Frame) -> Glance:
        """What the ViT finds."""
        form = self._network.form
        picture = torch.from_numpy(squeeze(frame.rgb, form.width, form.height)).to(self._device)
        view = torch.from_numpy(view_numbers(frame.camera)).to(self._device)
        glance: Glance = self._network.look(picture.permute(2, 0, 1).unsqueeze(0).float(), view.unsqueeze(0))
        return glance

    @torch.inference_mode()
    def tell(self, glance: Glance, hands: tuple[Hand, ...] = ()) -> EgoHands:
        """P_ego; of several hands of a side it is told the one of the highest score."""
        exo, known = np.zeros((1, HANDS, KEYPOINTS, 3), np.float32), np.zeros((1, HANDS), np.float32)
        for hand in sorted(hands, key=lambda hand: hand.score):
            if np.isfinite(hand.keypoints).all():
                side = SIDES.index(hand.side)
                exo[0, side], known[0, side] = hand.keypoints, 1.0
        told = (torch.from_numpy(array).to(self._device) for array in (exo, known))
        prediction = self._network.tell(glance, *told)
        return EgoHands(
            keypoints=prediction.keypoints[0].cpu().numpy(),
            scores=prediction.presence[0].sigmoid().cpu().numpy(),
            deviation=(0.5 * prediction.log_variance[0]).exp().cpu().numpy(),
        )
