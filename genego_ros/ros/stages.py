"""The two stages with their topics; a node has one of them or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from genego_ros.genego import EgoReconstructor
from genego_ros.geometry.camera import rays
from genego_ros.geometry.rigid import apply, invert
from genego_ros.geometry.skeleton import pose_map
from genego_ros.geometry.state_vector import state_vector
from genego_ros.msg import EgoObservation as EgoObservationMessage
from genego_ros.msg import ExoObservation as ExoObservationMessage
from genego_ros.msg import HandArray, SceneDescription
from genego_ros.observation.observer import ExoObserver
from genego_ros.parameters import Parameters
from genego_ros.ros import conversions, observation_message
from genego_ros.ros.description_topic import TopicDescription
from genego_ros.ros.markers import hand_markers
from genego_ros.ros.pipeline_node import PipelineNode
from genego_ros.ros.transforms import TfViewpoint, ego_transform, to_pose, transform_tree
from genego_ros.types import EgoView, ExoObservation, FloatArray, Frame, Hand


class _Outputs:
    """Publishers by topic; a message nobody wants is not made."""

    def __init__(self, node: PipelineNode, kinds: dict[str, type]) -> None:
        self._node = node
        self._publishers = {topic: node.create_output(kind, topic) for topic, kind in kinds.items()}

    def wanted(self, topic: str) -> bool:
        return bool(self._publishers[topic].get_subscription_count())

    def publish(self, topic: str, make: Callable[..., Any], *arguments: Any) -> None:
        if self.wanted(topic):
            self._publishers[topic].publish(make(*arguments))

    def close(self) -> None:
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)


class ExoStage:
    """Stage 1 and its topics."""

    def __init__(self, node: PipelineNode) -> None:
        self._node = node
        parameters = node.parameters
        self._tf_given = parameters.viewpoint.backend == "tf"
        self._tree = transform_tree(node) if self._tf_given else None
        viewpoint = TfViewpoint(parameters, self._tree, node.ego_frame_id, node.warn) if self._tree else None
        listens = parameters.description.backend == "topic"
        self._listener = TopicDescription(parameters, node) if listens else None
        try:
            self._observer = ExoObserver(parameters, viewpoint, self._listener, node.warn)
        except Exception:
            self._close_inputs()
            raise
        self._described_at = -1
        kinds: dict[str, type] = {
            "exo/depth": Image,
            "exo/points": PointCloud2,
            "exo/hands": HandArray,
            "exo/observation": ExoObservationMessage,
            "ego/hands": HandArray,
            "ego/points": PointCloud2,
            "ego/sparse": Image,
            "ego/projected": Image,
            "ego/pose_map": Image,
            "hands/markers": MarkerArray,
            "description": SceneDescription,
        }
        if not self._tf_given:  # else the ego camera has a parent in TF already
            kinds["/tf"] = TFMessage
        self._outputs = _Outputs(node, kinds)

    def process(self, frame: Frame) -> ExoObservation:
        """Observes `frame` and publishes what stage 1 owns."""
        observation = self._observer.observe(frame)
        stamp, exo, ego = frame.stamp_ns, frame.frame_id, self._node.ego_frame_id
        publish = self._outputs.publish
        publish("exo/observation", observation_message.to_message, observation, ego)
        publish("exo/hands", _hand_array, observation.hands_exo, stamp, exo)
        publish("ego/hands", _hand_array, observation.hands_ego, stamp, ego)
        publish("hands/markers", hand_markers, observation.hands_exo, stamp, exo)
        publish("exo/depth", conversions.to_image, observation.exo_depth, "32FC1", stamp, exo)
        publish("exo/points", _organised_cloud, observation, frame)
        publish("ego/sparse", conversions.to_image, observation.sparse.rgb, "rgb8", stamp, ego)
        publish("ego/projected", conversions.mask_to_image, observation.sparse.projected, stamp, ego)
        publish("ego/pose_map", _pose_map, observation, ego)
        if observation.valid:
            publish("ego/points", _ego_cloud, observation, ego)
            if not self._tf_given:
                publish("/tf", ego_transform, observation.viewpoint.T_ego_exo, stamp, exo, ego)
        self._publish_description()
        return observation

    def forget(self) -> None:
        """The next frame has nothing to do with the last one."""
        self._observer.forget()

    def update(self, parameters: Parameters) -> None:
        self._observer.update(parameters)

    def close(self) -> None:
        self._outputs.close()
        self._observer.close()
        self._close_inputs()

    def _close_inputs(self) -> None:
        for source in (self._tree, self._listener):
            if source:
                source.close()

    def _publish_description(self) -> None:
        newest = self._observer.descriptions.latest
        if newest is None or newest.stamp_ns == self._described_at:
            return
        self._described_at = newest.stamp_ns
        header = conversions.to_header(newest.stamp_ns, newest.frame_id)
        source = self._node.parameters.description.backend
        self._outputs.publish("description", lambda: SceneDescription(header=header, text=newest.text, source=source))


class EgoStage:
    """Stage 2 and its topics."""

    def __init__(self, node: PipelineNode) -> None:
        self._node = node
        self._reconstructor = EgoReconstructor(node.parameters)
        self._outputs = _Outputs(
            node,
            {
                "ego/image": Image,
                "ego/image/compressed": CompressedImage,
                "ego/camera_info": CameraInfo,
                "ego/seen": Image,
                "ego/confidence": Image,
                "ego/observation": EgoObservationMessage,
            },
        )

    def process(self, observation: ExoObservation, ego_frame_id: str) -> EgoView:
        """Completes `observation` and publishes what stage 2 owns, in the frame that stage 1 gave to TF."""
        view = self._reconstructor.reconstruct(observation, self._outputs.wanted("ego/confidence"))
        if view.notice:
            self._node.warn(view.notice)
        stamp, ego = observation.stamp_ns, ego_frame_id
        publish = self._outputs.publish
        publish("ego/image", conversions.to_image, view.image, "rgb8", stamp, ego)
        publish("ego/image/compressed", conversions.to_compressed, view.image, stamp, ego)
        publish("ego/camera_info", conversions.to_camera_info, observation.ego_camera, stamp, ego)
        publish("ego/seen", conversions.mask_to_image, view.seen, stamp, ego)
        if view.confidence is not None:
            publish("ego/confidence", _confidence, view.confidence, stamp, ego)
        publish("ego/observation", _ego_observation, view, ego)
        return view

    def update(self, parameters: Parameters) -> None:
        self._reconstructor.update(parameters)

    def close(self) -> None:
        self._outputs.close()


def _hand_array(hands: Sequence[Hand], stamp_ns: int, frame_id: str) -> HandArray:
    return HandArray(
        header=conversions.to_header(stamp_ns, frame_id), hands=[conversions.to_hand(hand) for hand in hands]
    )


def _organised_cloud(observation: ExoObservation, frame: Frame) -> PointCloud2:
    depth = observation.exo_depth
    assert depth is not None  # made by the observer in this process
    points: FloatArray = rays(frame.camera) * depth[..., None]
    return conversions.to_organised_cloud(points, frame.rgb, frame.stamp_ns, frame.frame_id)


def _ego_cloud(observation: ExoObservation, frame_id: str) -> PointCloud2:
    cloud = observation.exo_cloud
    assert cloud is not None  # made by the observer in this process
    moved = apply(observation.viewpoint.T_ego_exo, cloud.points)
    return conversions.to_point_cloud(replace(cloud, points=moved), observation.stamp_ns, frame_id)


def _pose_map(observation: ExoObservation, frame_id: str) -> Image:
    camera = observation.ego_camera
    picture = pose_map(camera.height, camera.width, observation.hands_ego)
    return conversions.to_image(picture, "rgb8", observation.stamp_ns, frame_id)


def _confidence(confidence: FloatArray, stamp_ns: int, frame_id: str) -> Image:
    levels = np.rint(confidence * 255).astype(np.uint8)
    return conversions.to_image(levels, "mono8", stamp_ns, frame_id)


def _ego_observation(view: EgoView, frame_id: str) -> EgoObservationMessage:
    observation = view.observation
    stamp = observation.stamp_ns
    return EgoObservationMessage(
        header=conversions.to_header(stamp, frame_id),
        valid=observation.valid,
        image=conversions.to_image(view.image, "rgb8", stamp, frame_id),
        seen=conversions.mask_to_image(view.seen, stamp, frame_id),
        camera=conversions.to_camera_info(observation.ego_camera, stamp, frame_id),
        hands=[conversions.to_hand(hand) for hand in observation.hands_ego],
        exo_frame_id=observation.frame_id,
        pose=to_pose(invert(observation.viewpoint.T_ego_exo)),
        viewpoint_residual=observation.viewpoint.residual,
        viewpoint_source=observation.viewpoint.source,
        state=state_vector(observation.hands_ego),
    )
