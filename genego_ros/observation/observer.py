"""PHI_exo: joins the parts of stage 1 (paper section 2.1)."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from genego_ros import weights
from genego_ros.device import resolve_device
from genego_ros.geometry.camera import project, unproject
from genego_ros.geometry.hand_model import HandModel
from genego_ros.geometry.rigid import apply
from genego_ros.geometry.splatting import splat
from genego_ros.observation.beside import Beside
from genego_ros.observation.depth import DepthMap, load_depth_estimator
from genego_ros.observation.description import Describer, load_describer
from genego_ros.observation.description.stream import DescriptionStream
from genego_ros.observation.hands import load_hand_estimator
from genego_ros.observation.hands.hand_depth import HandDepth, hand_depth
from genego_ros.observation.hands.smoothing import OneEuro
from genego_ros.observation.scale import (
    HandScale,
    ScaleTracker,
    fit_scale,
    inner_region,
    measure_scale,
    metric_depth,
    told_by_hands,
    with_own_metres,
)
from genego_ros.observation.viewpoint import ViewpointEstimator, load_viewpoint_estimator
from genego_ros.parameters import Parameters
from genego_ros.types import (
    Camera,
    ExoObservation,
    Float64Array,
    FloatArray,
    Frame,
    Hand,
    Scale,
    SparseView,
    Viewpoint,
)

_log = logging.getLogger(__name__)

SETTLING_FRAMES = 3
"""The hand tracker refines a hand from frame to frame; a picture that is no stream is shown to it this often."""
LONGEST_GAP_S = 10.0
"""Pictures further apart are two streams: no hiccup of a camera or a network is as long, and by then somebody else may
have sat down."""
_LARGEST_CORRECTION = 2.0
"""A depth image that makes a hand more than twice or less than half the assumed size is not of that hand."""


class ExoObserver:
    """From one third-person frame to everything stage 2 needs.

    Args:
        parameters: see `Parameters`; those that are not read-only may be exchanged later by `update`.
        viewpoint: where X comes from, instead of the backend that `parameters` name.
        describer: who writes T_exo, likewise.
        warn: told what a frame has to do without, and why.

    Raises:
        GenEgoError: a backend or its weights are missing.
    """

    def __init__(
        self,
        parameters: Parameters,
        viewpoint: ViewpointEstimator | None = None,
        describer: Describer | None = None,
        warn: Callable[[str], None] = _log.warning,
    ) -> None:
        self._warn = warn
        self._device = resolve_device(parameters.device)
        self._hand_model = load_hand_mesh()
        self._depth_estimator = load_depth_estimator(parameters)
        self._depth = Beside(self._depth_estimator.estimate)
        self._viewpoint_estimator = viewpoint or load_viewpoint_estimator(parameters)
        self._scales = ScaleTracker()
        self._smoother = OneEuro()
        self._before: Frame | None = None
        self._descriptions = DescriptionStream(describer or load_describer(parameters), warn)
        try:
            self._hand_estimator = load_hand_estimator(parameters)
        except Exception:
            # MediaPipe's detectors, left to the garbage collector, may wait for threads that are gone.
            self._viewpoint_estimator.close()
            raise
        self.update(parameters)
        self._warm_up()

    @property
    def descriptions(self) -> DescriptionStream:
        return self._descriptions

    def update(self, parameters: Parameters) -> None:
        """Exchanges the parameters that are not read-only, from the next frame on."""
        self.parameters = parameters
        for part in (
            self._hand_estimator,
            self._depth_estimator,
            self._viewpoint_estimator,
            self._descriptions.describer,
        ):
            part.parameters = parameters

    def forget(self) -> None:
        """Ends a stream: what comes next is observed as the first frame of another."""
        self._before = None
        self._hand_estimator.forget()
        self._viewpoint_estimator.forget()
        self._scales.forget()
        self._smoother.forget()
        self._descriptions.forget()

    def settle(self, frame: Frame) -> None:
        """Shows the hand tracker a picture that is no stream, which is to be observed next."""
        for _ in range(SETTLING_FRAMES - 1):
            self._hand_estimator.estimate(frame)

    def close(self) -> None:
        """Gives back what the parts hold."""
        self._depth.close()
        self._descriptions.close()
        self._viewpoint_estimator.close()
        self._hand_estimator.close()

    def _warm_up(self) -> None:
        """Does once what is done on first use, such as a GPU's start, so that the first frame is not a second late."""
        camera = Camera.from_hfov(64, 48, 60.0)
        keypoints = self._hand_model.rest_keypoints("right") + np.array([0, 0, 0.5], np.float32)
        mesh = (self._hand_model.fit(keypoints, "right"), self._hand_model.faces("right"))
        depth = hand_depth([mesh], camera).depth
        splat(unproject(depth, np.zeros((48, 64, 3), np.uint8), camera, 0.1, 1.0), np.eye(4), camera, self._device)

    def _finite(self, hands: tuple[Hand, ...]) -> tuple[Hand, ...]:
        """Those of `hands` that are somewhere: with half precision a network may answer NaN."""
        somewhere = tuple(hand for hand in hands if np.isfinite(hand.keypoints).all())
        if len(somewhere) < len(hands):
            backend = self.parameters.hands.backend
            self._warn(f"a hand by the backend '{backend}' is left out: some of its keypoints are NaN or infinite")
        return somewhere

    def observe(self, frame: Frame, ego_camera: Camera | None = None) -> ExoObservation:
        """Stage 1 of one frame.

        A frame that does not go on with the one before, because its stamp is earlier or more than `LONGEST_GAP_S` later
        or because it is of another camera (`frame_id`), begins a stream of its own, as after `forget`.

        Args:
            ego_camera: K_ego, instead of the one that `parameters` describe.
        """
        if self._before is not None and not _goes_on(self._before, frame):
            self.forget()
        self._before = frame
        clock = StageClock()
        ego = self.parameters.ego
        ego_camera = ego_camera or Camera.from_hfov(ego.width, ego.height, ego.hfov_deg)
        picture = frame
        self._depth.begin(picture)
        if frame.camera_source == "assumed":  # the network may tell K_exo, which all else needs
            with clock.measure("depth"):
                looked = self._depth.result(picture)
            if looked is not None and looked.camera is not None:
                frame = replace(frame, camera=looked.camera, camera_source="estimated")
        self._viewpoint_estimator.begin(frame)
        with clock.measure("hands"):
            hands = self._finite(self._hand_estimator.estimate(frame))
        with clock.measure("depth"):
            depth_map = self._depth.result(picture)
        if depth_map is None or depth_map.source != "topic":
            frame = replace(frame, depth=None)  # what is not believed here is nobody's measure
        with clock.measure("hand_depth"):
            model = self._hand_model
            meshes = [(model.fit(hand.keypoints, hand.side), model.faces(hand.side)) for hand in hands]
            rendered = hand_depth(meshes, frame.camera)
        with clock.measure("scale"):
            limits = self.parameters.depth
            measured = measure_scale(depth_map, hands, rendered, limits.far)
            told = None if measured is None else told_by_hands(measured, hands, frame.camera_source == "given")
            settled, hands = reconcile(self._scales.follow(told, frame), depth_map, hands)
            depth, scale, hands = calibrate(depth_map, hands, rendered, settled)
            hands = self._smoother.smooth(hands, frame, self.parameters.hands.smoothing)
            depth = np.where((depth >= limits.near) & (depth <= limits.far), depth, np.float32(np.nan))
        around = depth if depth_map else np.full_like(depth, np.nan)
        with clock.measure("viewpoint"):
            viewpoint = self._viewpoint_estimator.locate(frame, hands, around)
        with clock.measure("cloud"):
            cloud = unproject(depth, frame.rgb, frame.camera, limits.near, limits.far)
        with clock.measure("projection"):
            sparse = (
                empty_view(ego_camera)
                if viewpoint is None
                else splat(cloud, viewpoint.T_ego_exo, ego_camera, self._device)
            )
        with clock.measure("description"):
            description = self._descriptions.offer(frame, hands, around)
        return ExoObservation(
            stamp_ns=frame.stamp_ns,
            frame_id=frame.frame_id,
            valid=viewpoint is not None,
            hands_exo=hands,
            hands_ego=() if viewpoint is None else to_ego(hands, viewpoint.T_ego_exo, ego_camera),
            ego_camera=ego_camera,
            viewpoint=viewpoint or Viewpoint(np.eye(4), "none"),
            sparse=sparse,
            description=description,
            scale=scale,
            depth_source=_depth_source(depth_map, scale),
            camera_source=frame.camera_source,
            exo_depth=depth,
            exo_cloud=cloud,
            stage_ms=clock.stage_ms,
        )


def _goes_on(before: Frame, frame: Frame) -> bool:
    """Whether both are of one stream. Equal stamps are: one picture shown again, or pictures without any."""
    return frame.frame_id == before.frame_id and 0 <= frame.stamp_ns - before.stamp_ns <= 1e9 * LONGEST_GAP_S


def _depth_source(depth_map: DepthMap | None, scale: Scale) -> str:
    """Who gave D'_exo; `none` where nothing tells metres, and it is all NaN."""
    if scale.source == "none":
        return "none"
    return depth_map.source if depth_map else "hands"


def hand_mesh_file() -> Path:
    """Of the hand behind D_hand: MANO's where the user has imported it, as in the paper, else the one that ships.

    Raises:
        GenEgoError: neither is there.
    """
    mano = weights.mano_directory() / "MANO_RIGHT.npz"
    return mano if mano.is_file() else weights.locate("hand_mesh")


def load_hand_mesh() -> HandModel:
    """See `hand_mesh_file`."""
    path = hand_mesh_file()
    return HandModel.load_mano(path) if path.suffix == ".npz" else HandModel.load(path)


class StageClock:
    """Milliseconds by stage, of which a frame takes the sum: of what runs beside, what was left to wait for."""

    def __init__(self) -> None:
        self.stage_ms: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        taken = 1e3 * (time.perf_counter() - start)
        self.stage_ms[stage] = self.stage_ms.get(stage, 0.0) + taken


def calibrate(
    depth_map: DepthMap | None, hands: tuple[Hand, ...], rendered: HandDepth, scale: Scale | None = None
) -> tuple[FloatArray, Scale, tuple[Hand, ...]]:
    """Makes depth and hands agree on the metre; without any depth the hands' own serves.

    Depth that is not metric is scaled by the hands (s* of the paper), and is none without a scale. Metric depth from a
    camera is the better ruler: it stays, and each hand is moved along its rays to where the camera measured it.

    Args:
        scale: s* for depth that is not metric, as `ScaleTracker` gives it; by default what these hands alone say.

    Returns:
        D'_exo in metres, NaN where nothing tells them, s*, and the hands.
    """
    if depth_map is None:
        return rendered.depth, Scale(1.0, source="hand_mesh" if hands else "none"), hands
    if depth_map.kind == "metric":
        inner = inner_region(rendered, depth_map.values)
        regions = [inner & (rendered.hand == i) for i in range(len(hands))]
        ratios = [fit_scale(rendered.depth[region], depth_map.values[region]) for region in regions]
        corrected = tuple(_at_measured_depth(hand, ratio) for hand, ratio in zip(hands, ratios, strict=True))
        compared = [ratio for ratio in ratios if ratio is not None]
        scale = Scale(
            factor=1.0,
            spread=max((ratio.spread for ratio in compared), default=math.nan),
            inliers=sum(ratio.inliers for ratio in compared),
            source="topic" if depth_map.source == "topic" else "model",
        )
        return depth_map.values, scale, corrected
    scale = scale or measure_scale(depth_map, hands, rendered)
    if scale is None:
        return np.full_like(depth_map.values, np.nan), Scale(source="none"), hands
    return metric_depth(depth_map, scale), scale, hands


def reconcile(
    told: HandScale | None, depth_map: DepthMap | None, hands: tuple[Hand, ...]
) -> tuple[Scale | None, tuple[Hand, ...]]:
    """s* with what the depth map's own metres say of it, and the hands moved along their rays to agree with it.

    Args:
        told: by the hands alone, of this frame or carried on: what is wrong about their size is so in both.
    """
    if depth_map is None or depth_map.deviation is None:
        return (told.scale if told else None), hands
    settled = with_own_metres(told, depth_map)
    if told is None:
        return settled, hands
    ratio = np.float32(settled.factor / told.scale.factor)

    def moved(hand: Hand) -> Hand:
        source = "model" if hand.scale_source == "average" else hand.scale_source
        return replace(hand, keypoints=hand.keypoints * ratio, scale_source=source)

    return settled, tuple(moved(hand) for hand in hands)


def _at_measured_depth(hand: Hand, ratio: Scale | None) -> Hand:
    if ratio is None or not 1 / _LARGEST_CORRECTION < ratio.factor < _LARGEST_CORRECTION:
        return hand
    # Scaling about the camera's centre moves every keypoint along its own ray.
    return replace(hand, keypoints=hand.keypoints / np.float32(ratio.factor), scale_source="depth")


def to_ego(hands: tuple[Hand, ...], T_ego_exo: Float64Array, camera: Camera) -> tuple[Hand, ...]:
    """P_ego: `hands` moved to the ego optical frame and projected with K_ego."""
    moved = []
    for hand in hands:
        keypoints = apply(T_ego_exo, hand.keypoints)
        pixels, _ = project(keypoints, camera)
        moved.append(replace(hand, keypoints=keypoints, keypoints_2d=pixels.astype(np.float32)))
    return tuple(moved)


def empty_view(camera: Camera) -> SparseView:
    """S_ego of nothing."""
    shape = (camera.height, camera.width)
    return SparseView(np.zeros((*shape, 3), np.uint8), np.full(shape, np.nan, np.float32), np.zeros(shape, bool))
