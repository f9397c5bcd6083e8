"""What is measured: each method makes a first-person picture of a `Case`.

Other packages add theirs through the entry point group `genego_ros.backends`, under "method.<name>".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from genego_ros.backends import load_backend
from genego_ros.evaluation.inputs import Case
from genego_ros.genego import EgoReconstructor
from genego_ros.parameters import Parameters
from genego_ros.types import ByteArray, EgoView, ExoObservation

METHODS = {
    "genego": "genego_ros.evaluation.methods:GenEgoView",
    "geometric": "genego_ros.evaluation.methods:GeometricView",
    "splat": "genego_ros.evaluation.methods:Splat",
    "copy": "genego_ros.evaluation.methods:Copy",
    "genego_pose": "genego_ros.evaluation.methods:PoseOnly",
    "genego_text": "genego_ros.evaluation.methods:TextOnly",
    "genego_neither": "genego_ros.evaluation.methods:Neither",
    "pix2pixhd": "genego_ros.evaluation.baselines.pix2pixhd:Pix2PixHDView",
    "pixelnerf": "genego_ros.evaluation.baselines.pixelnerf:PixelNeRFView",
    "cfld": "genego_ros.evaluation.baselines.cfld:CFLDView",
    "egoworld": "genego_ros.evaluation.baselines.egoworld:EgoWorldView",
}
USUAL = ("genego", "geometric", "splat", "copy")
"""What is measured where nothing is said."""
GROUPS = {"ablation": ("genego_neither", "genego_pose", "genego_text", "genego")}
"""Names that stand for several methods; what P_ego and T_exo give, as in the paper's table 3."""


class Method(Protocol):
    def predict(self, case: Case) -> ByteArray | EgoView:
        """I_ego, uint8 (H, W, 3), RGB, of any size: the whole field of view of `case.ego_camera`.

        A method that knows which pixels it saw gives an `EgoView` of that camera's size instead.
        """
        ...


def load_method(name: str, parameters: Parameters) -> Method:
    """The method of that name.

    Raises:
        GenEgoError: no such method, or its weights or packages are missing.
    """
    method: Method = load_backend("method", name, METHODS)(parameters)
    return method


class GenEgoView:
    """Stage 2 by the reconstruction backend that the parameters name."""

    def __init__(self, parameters: Parameters) -> None:
        # Each picture by itself: the one before may be of another recording.
        self._reconstructor = EgoReconstructor(parameters.changed({"reconstruction.smoothing_s": 0.0}))

    def predict(self, case: Case) -> EgoView:
        return self._reconstructor.reconstruct(self.observation(case))

    def observation(self, case: Case) -> ExoObservation:
        """What stage 2 is given."""
        return case.observation


class PoseOnly(GenEgoView):
    """Stage 2 without T_exo."""

    def observation(self, case: Case) -> ExoObservation:
        return replace(super().observation(case), description="")


class TextOnly(GenEgoView):
    """Stage 2 without P_ego."""

    def observation(self, case: Case) -> ExoObservation:
        return replace(super().observation(case), hands_ego=())


class Neither(PoseOnly, TextOnly):
    """Stage 2 with S_ego alone."""


class GeometricView(GenEgoView):
    """Stage 2 by filling holes from their surroundings."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters.changed({"reconstruction.backend": "geometric"}))


class Splat:
    """S_ego as it is, black where nothing landed."""

    def __init__(self, parameters: Parameters) -> None:
        pass

    def predict(self, case: Case) -> EgoView:
        sparse = case.observation.sparse
        return EgoView(sparse.rgb, sparse.projected, case.observation, "splat")


class Copy:
    """The third-person picture itself."""

    def __init__(self, parameters: Parameters) -> None:
        pass

    def predict(self, case: Case) -> ByteArray:
        return case.frame.rgb
