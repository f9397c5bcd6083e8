"""Stage 1 of a 640 x 480 picture with `lite` depth, against a straightforward version of the same steps.

The other side runs the depth network in PyTorch as it was trained, in float32 on the whole picture, casts a ray through
every pixel for the hands' depth and projects the cloud with Open3D, one step after the other. Hands and
viewpoint come from the same backends. Both sides have two threads, see the same frames of the sample in the same order,
and settle before they are timed, in turn. Words are left out: ours come beside the stream, now and then, in a thread
that would take the other side's time.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import open3d
import torch
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from bench import Result, interleaved_ms
from genego_ros import weights
from genego_ros.geometry.hand_model import HandModel
from genego_ros.observation.depth.lite_network import load_network_to_train
from genego_ros.observation.hands import load_hand_estimator
from genego_ros.observation.observer import ExoObserver
from genego_ros.observation.viewpoint import load_viewpoint_estimator
from genego_ros.parameters import Parameters
from genego_ros.resources import resource
from genego_ros.types import Array, Camera, Float64Array, FloatArray, Frame, Hand

THREADS = 2
FRAMES = 24
WARM_UP, ROUNDS = 5, 20
LONGEST_MS, FEWEST_TIMES = 125.0, 3.0


class Straightforward:
    """Stage 1 as one would write it down.

    Args:
        weights_file: of the depth network.
    """

    def __init__(self, parameters: Parameters, weights_file: Path) -> None:
        self._network = load_network_to_train(weights_file).eval()
        self._hands = load_hand_estimator(parameters)
        self._model = HandModel.load(weights.locate("hand_mesh"))
        self._viewpoint = load_viewpoint_estimator(parameters)
        self._limits, ego = parameters.depth, parameters.ego
        self._ego = Camera.from_hfov(ego.width, ego.height, ego.hfov_deg)

    def observe(self, frame: Frame) -> tuple[Array, Array]:
        """Colour and depth of S_ego."""
        relative = self._depth(frame)
        hands = self._hands.estimate(frame)
        of_hands = self._hand_depth(hands, frame.camera)
        both = np.isfinite(of_hands)
        depth = relative * np.median(of_hands[both] / relative[both]) if both.any() else relative
        viewpoint = self._viewpoint.locate(frame, hands, depth)
        T = np.eye(4) if viewpoint is None else viewpoint.T_ego_exo
        return self._projected(frame, depth, T)

    def _depth(self, frame: Frame) -> FloatArray:
        height, width = frame.rgb.shape[:2]
        with torch.no_grad():
            picture = torch.from_numpy(frame.rgb.copy()).permute(2, 0, 1)[None].float() / 255.0
            log_depth = self._network(picture)[0][0].numpy()
        return np.exp(cv2.resize(log_depth, (width, height), interpolation=cv2.INTER_LINEAR))

    def _hand_depth(self, hands: tuple[Hand, ...], camera: Camera) -> FloatArray:
        scene: Any = open3d.t.geometry.RaycastingScene(nthreads=THREADS)
        for hand in hands:
            scene.add_triangles(self._model.fit(hand.keypoints, hand.side), self._model.faces(hand.side))
        # The corner of a pixel is Open3D's origin. Directions have z = 1, so that a hit's distance is its depth.
        K = camera.matrix + [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
        rays = scene.create_rays_pinhole(K, np.eye(4), camera.width, camera.height)
        hit: FloatArray = scene.cast_rays(rays, nthreads=THREADS)["t_hit"].numpy()
        return np.where(np.isfinite(hit), hit, np.float32(np.nan))

    def _projected(self, frame: Frame, depth: FloatArray, T_ego_exo: Float64Array) -> tuple[Array, Array]:
        # Open3D's declarations do not know the arrays that it takes.
        t: Any = open3d.t.geometry
        core: Any = open3d.core
        color = t.Image(core.Tensor(frame.rgb.astype(np.float32) / 255.0))
        near = np.where((depth >= self._limits.near) & (depth <= self._limits.far), depth, 0.0).astype(np.float32)
        pair = t.RGBDImage(color, t.Image(core.Tensor(near)))
        cloud = t.PointCloud.create_from_rgbd_image(
            pair, frame.camera.matrix, depth_scale=1.0, depth_max=self._limits.far
        ).transform(T_ego_exo)
        seen = cloud.project_to_rgbd_image(
            self._ego.width, self._ego.height, self._ego.matrix, depth_scale=1.0, depth_max=self._limits.far
        )
        return seen.color.as_tensor().numpy(), seen.depth.as_tensor().numpy()

    def close(self) -> None:
        self._hands.close()


def frames() -> list[Frame]:
    """Pictures of the sample, forth and back, so that the hands move without a jump; with black bars to full VGA.

    They have no stamp: one that goes back would begin another stream.
    """
    found: list[Frame] = []
    with AnyReader([resource("examples/sample")], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
        by_topic = {connection.topic: connection for connection in reader.connections}
        (_, _, info), *_ = reader.messages([by_topic["/camera/camera_info"]])
        camera_info: Any = reader.deserialize(info, "sensor_msgs/msg/CameraInfo")
        k = camera_info.k
        for _, _, raw in reader.messages([by_topic["/camera/image_raw/compressed"]]):
            message: Any = reader.deserialize(raw, "sensor_msgs/msg/CompressedImage")
            rgb = np.asarray(cv2.cvtColor(cv2.imdecode(message.data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))
            bar = (480 - rgb.shape[0]) // 2
            camera = Camera(640, 480, k[0], k[4], k[2], k[5] + bar)
            found.append(Frame(np.pad(rgb, ((bar, bar), (0, 0), (0, 0))), camera))
            if len(found) == FRAMES:
                break
    stream = found + found[-2:0:-1]
    return [replace(frame, stamp_ns=number * 33_333_333) for number, frame in enumerate(stream)]


def measure(parameters: Parameters) -> tuple[float, float]:
    """Milliseconds of the median frame: ours, and the straightforward version's."""
    mine, other = iter(frames()), iter(frames())
    network = Path(parameters.depth.weights).expanduser() if parameters.depth.weights else weights.locate("depth_lite")
    ours, theirs = ExoObserver(parameters), Straightforward(parameters, network)
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(THREADS)
    cv2.setNumThreads(THREADS)
    try:
        for _ in range(WARM_UP):
            ours.observe(next(mine))
            theirs.observe(next(other))
        taken = interleaved_ms(lambda: ours.observe(next(mine)), lambda: theirs.observe(next(other)), rounds=ROUNDS)
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
        ours.close()
        theirs.close()
    return taken[0], taken[1]


def run() -> list[Result]:
    setting = {"depth.backend": "lite", "description.backend": "parameter", "device": "cpu"}
    ours, theirs = measure(Parameters().changed(setting))
    return [
        Result(
            name="stage 1 of a 640 x 480 picture, `lite` depth, without words, median",
            value=ours,
            unit="ms",
            reference="PyTorch float32 on the whole picture, Open3D, one step after the other",
            reference_value=theirs,
            target=f"<= {LONGEST_MS:g} ms, >= {FEWEST_TIMES:g}x",
            met=ours <= LONGEST_MS and theirs >= FEWEST_TIMES * ours,
        )
    ]
