"""Samples as ROS messages: the third-person camera as a robot would have it, and beside it what is true.

`bag_topics` says under which names. Messages are CDR bytes; nothing of ROS is needed to make them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from genego_ros.data.bag_topics import (
    CAMERA_PREFIX,
    DESCRIPTION,
    EGO,
    EGO_HANDS,
    EGO_PREFIX,
    EXO,
    EXO_HANDS,
    OBJECT,
    WORLD,
)
from genego_ros.data.encoding import millimetres, png
from genego_ros.data.message_definitions import MessageDefinitions
from genego_ros.data.plausible import check_pose
from genego_ros.data.sample import Sample, View
from genego_ros.geometry import rigid
from genego_ros.geometry.camera import project
from genego_ros.types import KEYPOINTS, SIDES, Array, ByteArray, Camera, Float64Array

PSNR_DB = 39.0
"""What the jpeg of a recording's first picture reaches by default, so that the others stay above 38."""
_QUALITIES = (50, 60, 70, 75, 80, 85, 88, 90, 92, 94, 95, 96, 97, 98, 99, 100)
# Colour at full resolution: halved, as is usual, it costs more than the finest quality can win back.
_JPEG = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
# Of zlib's strategies the one that makes depth both smallest and fastest; lossless as all of them.
_PNG = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
_ENDLESS = QosTime(9223372036, 854775807)

Messages = list[tuple[str, bytes]]
"""Topics and CDR bytes of one moment, in the order in which they are sent."""


class SampleMessages:
    """Makes the messages of a recording's samples; may be called from several threads at once."""

    def __init__(self, source: str, first: Sample, raw: bool = False, psnr_db: float = PSNR_DB) -> None:
        """
        Args:
            source: the data set's name.
            first: its pictures decide of which quality the jpegs are.
            raw: pictures as they are, instead of jpeg, and png for depth.
            psnr_db: what jpegs must reach.
        """
        self._source = source
        self._raw = raw
        views = {CAMERA_PREFIX: first.exo[0], EGO_PREFIX: first.ego}
        self._quality = {} if raw else {prefix: _fine_enough(view.frame.rgb, psnr_db) for prefix, view in views.items()}
        self.definitions = MessageDefinitions()
        message = self.definitions.message
        self._time = message("builtin_interfaces/msg/Time")
        self._header = message("std_msgs/msg/Header")
        self._image = message("sensor_msgs/msg/Image")
        self._compressed = message("sensor_msgs/msg/CompressedImage")
        self._info = message("sensor_msgs/msg/CameraInfo")
        self._region = message("sensor_msgs/msg/RegionOfInterest")
        self._vector = message("geometry_msgs/msg/Vector3")
        self._quaternion = message("geometry_msgs/msg/Quaternion")
        self._transform = message("geometry_msgs/msg/Transform")
        self._stamped = message("geometry_msgs/msg/TransformStamped")
        self._transforms = message("tf2_msgs/msg/TFMessage")
        self._hand = message("genego_ros/msg/Hand")
        self._hands = message("genego_ros/msg/HandArray")
        self._description = message("genego_ros/msg/SceneDescription")

    @property
    def topics(self) -> dict[str, tuple[str, Qos]]:
        """Every topic that may come, with its message type and how it is offered."""
        image, suffix = (self._image, "") if self._raw else (self._compressed, "/compressed")
        depth = "depth/image_raw" if self._raw else "depth/compressed"
        kinds = {
            "/tf_static": self._transforms,
            "/tf": self._transforms,
            f"{CAMERA_PREFIX}/camera_info": self._info,
            f"{CAMERA_PREFIX}/{depth}": image,
            f"{CAMERA_PREFIX}/image_raw{suffix}": image,
            f"{EGO_PREFIX}/camera_info": self._info,
            f"{EGO_PREFIX}/image_raw{suffix}": image,
            EXO_HANDS: self._hands,
            EGO_HANDS: self._hands,
            DESCRIPTION: self._description,
        }
        return {topic: (kind.__msgtype__, _qos(latched=topic == "/tf_static")) for topic, kind in kinds.items()}

    def of(self, sample: Sample, stamp_ns: int) -> Messages:
        """All messages of one moment but /tf_static.

        Raises:
            GenEgoError: a pose that is none; names the sample.
        """
        exo, ego = sample.exo[0], sample.ego
        moving = {EGO: ego.T_world_camera}
        if sample.T_world_object is not None:
            moving[OBJECT] = sample.T_world_object
        for frame, T in {EXO: exo.T_world_camera, **moving}.items():
            check_pose(T, sample.id, f"pose of '{frame}'")
        in_exo, in_ego = self._header_of(stamp_ns, EXO), self._header_of(stamp_ns, EGO)
        contents = [
            ("/tf", self._tf(moving, stamp_ns)),
            *self._view(CAMERA_PREFIX, exo, in_exo, with_depth=True),
            *self._view(EGO_PREFIX, ego, in_ego, with_depth=False),
            (EXO_HANDS, self._hand_array(exo, in_exo)),
            (EGO_HANDS, self._hand_array(ego, in_ego)),
        ]
        if sample.description:
            contents.append((DESCRIPTION, self._description(in_exo, sample.description, self._source)))
        return [(topic, self.definitions.serialize(message)) for topic, message in contents]

    def static(self, T_world_exo: Float64Array, stamp_ns: int) -> bytes:
        """What /tf_static says of a third-person camera that stands still, T_world_exo float64 (4, 4)."""
        return self.definitions.serialize(self._tf({EXO: T_world_exo}, stamp_ns))

    def _header_of(self, stamp_ns: int, frame: str) -> Any:
        return self._header(self._time(*divmod(stamp_ns, 1_000_000_000)), frame)

    def _tf(self, T_world_frames: Mapping[str, Float64Array], stamp_ns: int) -> Any:
        header = self._header_of(stamp_ns, WORLD)
        placed = {
            frame: self._transform(
                self._vector(*T[:3, 3].tolist()),
                self._quaternion(*rigid.quaternion_from_rotation(T[:3, :3]).tolist()),
            )
            for frame, T in T_world_frames.items()
        }
        return self._transforms([self._stamped(header, frame, transform) for frame, transform in placed.items()])

    def _view(self, prefix: str, view: View, header: Any, with_depth: bool) -> Iterator[tuple[str, Any]]:
        frame = view.frame
        yield f"{prefix}/camera_info", self._camera_info(frame.camera, header)
        if with_depth and frame.depth is not None:
            depth = millimetres(frame.depth)
            if self._raw:
                yield f"{prefix}/depth/image_raw", self._raw_image(depth, "16UC1", header)
            else:
                content = np.frombuffer(png(depth, _PNG), np.uint8)
                yield f"{prefix}/depth/compressed", self._compressed(header, "16UC1; png compressed ", content)
        if self._raw:
            yield f"{prefix}/image_raw", self._raw_image(frame.rgb, "rgb8", header)
        else:
            jpeg = _jpeg(np.asarray(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR)), self._quality[prefix])
            yield f"{prefix}/image_raw/compressed", self._compressed(header, "rgb8; jpeg compressed bgr8", jpeg)

    def _raw_image(self, pixels: Array, encoding: str, header: Any) -> Any:
        height, width = pixels.shape[:2]
        data = np.ascontiguousarray(pixels).reshape(-1).view(np.uint8)
        return self._image(header, height, width, encoding, 0, data.size // height, data)

    def _camera_info(self, camera: Camera, header: Any) -> Any:
        K = camera.matrix
        projection = np.hstack([K, np.zeros((3, 1))])
        size = (camera.height, camera.width)
        numbers = (np.zeros(5), K.ravel(), np.eye(3).ravel(), projection.ravel())
        return self._info(header, *size, "plumb_bob", *numbers, 0, 0, self._region(0, 0, 0, 0, False))

    def _hand_array(self, view: View, header: Any) -> Any:
        hands = []
        for number, side in enumerate(SIDES):
            if view.has_hand(side):
                keypoints = view.keypoints[number]
                pixels, _ = project(keypoints, view.frame.camera)
                scores = np.ones(KEYPOINTS, np.float32)
                points = (keypoints.astype(np.float32).ravel(), pixels.astype(np.float32).ravel())
                hands.append(self._hand(number, 1.0, *points, scores, "truth"))
        return self._hands(header, hands)


def _qos(latched: bool) -> Qos:
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    ends = (_ENDLESS, _ENDLESS, QosLiveliness.AUTOMATIC, _ENDLESS)
    return Qos(QosHistory.KEEP_LAST, 1 if latched else 10, QosReliability.RELIABLE, durability, *ends, False)


def _fine_enough(rgb: ByteArray, psnr_db: float) -> int:
    """The lowest jpeg quality that reaches `psnr_db` on a picture; the finest where none does."""
    bgr = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))

    def psnr(quality: int) -> float:
        return float(cv2.PSNR(bgr, cv2.imdecode(_jpeg(bgr, quality), cv2.IMREAD_COLOR)))

    return _QUALITIES[min(bisect_left(_QUALITIES, psnr_db, key=psnr), len(_QUALITIES) - 1)]


def _jpeg(bgr: ByteArray, quality: int) -> ByteArray:
    return np.asarray(cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality, *_JPEG))[1]).reshape(-1)
