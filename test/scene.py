"""What several tests look at: hands of known geometry, and the sample that ships with the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from genego_ros.geometry.hand_model import HandModel
from genego_ros.types import SIDES, Camera, Frame, Hand, Side

ROOT = Path(__file__).resolve().parents[1]
CAMERA = Camera(640, 480, 560.0, 555.0, 322.5, 236.0)


@cache
def hand_model() -> HandModel:
    return HandModel.load(ROOT / "models/hand_mesh.safetensors")


def rest_hand(side: Side = "right") -> np.ndarray:
    """float64 (21, 3), metres: an open hand, wrist at the origin."""
    return hand_model().rest_keypoints(side).astype(np.float64)


def curled_hand(degrees: float, side: Side = "right") -> np.ndarray:
    """float64 (21, 3): the open hand with every joint of its four fingers bent by this much to the palm."""
    keypoints = rest_hand(side)
    back = np.cross(keypoints[17] - keypoints[0], keypoints[5] - keypoints[0]) * (1 if side == "right" else -1)
    for finger in (5, 9, 13, 17):
        axis = np.cross(back, keypoints[finger + 3] - keypoints[finger])
        turn = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis))
        for joint in range(finger, finger + 3):
            beyond = slice(joint + 1, finger + 4)
            keypoints[beyond] = keypoints[joint] + turn.apply(keypoints[beyond] - keypoints[joint])
    return keypoints


def as_hand(keypoints: np.ndarray, side: Side = "right", camera: Camera = CAMERA, score: float = 0.9) -> Hand:
    """A hand seen by `camera`: pixels by u = f x / z + c, written out here."""
    x, y, z = np.asarray(keypoints, np.float64).T
    pixels = np.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], axis=1)
    return Hand(
        side,
        score,
        np.asarray(keypoints, np.float32),
        pixels.astype(np.float32),
        np.full(21, score, np.float32),
        "average",
    )


@cache
def recorded() -> dict[str, list[Any]]:
    """Topic to messages of the sample recording, read without ROS and without the package's own reader."""
    found: dict[str, list[Any]] = {}
    with AnyReader([ROOT / "examples/sample"], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
        for connection, _, raw in reader.messages():
            found.setdefault(connection.topic, []).append(reader.deserialize(raw, connection.msgtype))
    return found


@cache
def sample(count: int = 2) -> tuple[Frame, ...]:
    """The first pictures of the sample recording."""
    topics = recorded()
    frames = []
    for image, depth, info in zip(
        topics["/camera/image_raw/compressed"][:count],
        topics["/camera/depth/compressed"],
        topics["/camera/camera_info"],
        strict=False,
    ):
        rgb = cv2.imdecode(image.data, cv2.IMREAD_COLOR)[..., ::-1]
        millimetres = cv2.imdecode(depth.data, cv2.IMREAD_UNCHANGED)
        metres = np.where(millimetres > 0, millimetres / 1000.0, np.nan).astype(np.float32)
        k = info.k
        camera = Camera(info.width, info.height, k[0], k[4], k[2], k[5])
        frames.append(Frame(np.ascontiguousarray(rgb), camera, metres, stamp_ns=10**9))
    return tuple(frames)


def true_keypoints(side: Side, index: int) -> np.ndarray:
    """float64 (21, 3), metres, in the sample's camera: where the hand of frame `index` was when it was rendered."""
    hands = recorded()["/truth/exo/hands"][index].hands
    found = next(hand for hand in hands if hand.side == SIDES.index(side))
    return np.asarray(found.keypoints, np.float64).reshape(21, 3)


def in_the_sample_world(points: np.ndarray) -> np.ndarray:
    """(..., 3) of the sample's camera in its world: z up from the floor, the person looks along +y."""
    pose = recorded()["/tf_static"][0].transforms[0].transform
    turn, place = pose.rotation, pose.translation
    rotation = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w])
    return rotation.apply(points) + [place.x, place.y, place.z]
