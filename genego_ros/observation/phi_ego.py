"""phi_ego by the network of ego_hand_network.py."""

from __future__ import annotations

from pathlib import Path

import torch

from genego_ros.device import resolve_device
from genego_ros.geometry.squeeze import squeeze
from genego_ros.observation.ego_hand_network import load_network, view_numbers
from genego_ros.types import EgoHands, Frame


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
    def estimate(self, frame: Frame) -> EgoHands:
        """P_ego of `frame`."""
        form = self._network.form
        picture = torch.from_numpy(squeeze(frame.rgb, form.width, form.height)).to(self._device)
        view = torch.from_numpy(view_numbers(frame.camera)).to(self._device)
        prediction = self._network(picture.permute(2, 0, 1).unsqueeze(0).float(), view.unsqueeze(0))
        return EgoHands(
            keypoints=prediction.keypoints[0].cpu().numpy(),
            scores=prediction.presence[0].sigmoid().cpu().numpy(),
            deviation=(0.5 * prediction.log_variance[0]).exp().cpu().numpy(),
        )
