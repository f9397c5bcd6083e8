"""Tiny data sets in H2O's and TACO's own formats, of one invented scene whose geometry is known.

A table (z = 0), an upright box and two hands made of balls at their keypoints, seen by four cameras that stand still
and one on the head. Pictures, depth, poses and labels of all cameras agree.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from genego_ros.data import h2o_format
from genego_ros.data.h2o_format import Meta
from genego_ros.data.mano import OPENPOSE, TIPS
from genego_ros.geometry import rigid
from genego_ros.geometry.camera import rays
from genego_ros.geometry.hand_model import MIRROR, HandModel
from genego_ros.resources import resource
from genego_ros.types import SIDES, ByteArray, Camera, Float64Array, FloatArray

CAMERAS = ("cam0", "cam1", "cam2", "cam3", "cam4")
SIZE = (96, 54)
VERBS = ("background", "lift", "turn")
ACTIONS = ("background", "lift carton", "turn carton")
_EYES = {"cam0": (0.9, 0.9, 0.7), "cam1": (-0.9, 0.8, 0.8), "cam2": (0.1, 1.2, 0.6), "cam3": (-1.1, -0.1, 0.7)}
_BOX = np.array([0.05, 0.03, 0.09])
"""Half its sides, metres."""
_BALL = 0.009
_FAR = 3.5
"""Metres; depth cameras see no further, and say 0 there."""


@dataclass(frozen=True)
class MockScene:
    """Where everything is; the world is z up."""

    size: tuple[int, int] = SIZE
    seed: int = 0
    hand: Float64Array = field(
        default_factory=lambda: HandModel.load(resource("models/hand_mesh.safetensors")).keypoints
    )

    def camera(self, name: str) -> Camera:
        width, height = self.size
        return Camera.from_hfov(width, height, 80.0 if name == "cam4" else 52.0 + CAMERAS.index(name))

    def camera_pose(self, name: str, frame: int) -> Float64Array:
        if name != "cam4":
            return rigid.look_at(_EYES[name], (0.0, 0.0, 0.05), (0.0, 0.0, 1.0))
        sway = 0.02 * np.sin(0.2 * frame + self.seed)
        return rigid.look_at((sway, -0.42, 0.45 + sway / 2), (sway / 2, 0.02, 0.03), (0.0, 0.1, 1.0))

    def object_pose(self, frame: int) -> Float64Array:
        angle = 0.03 * frame + self.seed
        turn = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        return rigid.compose(turn, (0.02 * np.sin(0.1 * frame), 0.02, 0.09 + 0.01 * (1 - np.cos(0.1 * frame))))

    def keypoints(self, frame: int) -> Float64Array:
        """float64 (2, 21, 3), left, right, world: flat hands beside the box, palms towards it."""
        x, _, z = self.object_pose(frame)[:3, 3]
        hands = []
        for sign in (-1.0, 1.0):
            local = self.hand * (MIRROR if sign < 0 else 1.0)
            along = local[9] / np.linalg.norm(local[9])
            across = local[5] - local[17]
            across = across - (across @ along) * along
            across /= np.linalg.norm(across)
            own = np.stack([across, along, np.cross(across, along)], axis=1)
            # Fingers point away from the person, index fingers up.
            posed = np.stack([(0, 0.1, 1.0), (0, 1.0, -0.1), np.cross((0, 0.1, 1.0), (0, 1.0, -0.1))], axis=1)
            posed /= np.linalg.norm(posed, axis=0)
            hands.append(local @ (posed @ own.T).T + (x + sign * 0.085, -0.09, z))
        return np.array(hands)

    def seen(self, name: str, frame: int) -> tuple[ByteArray, FloatArray]:
        """uint8 (H, W, 3) RGB and float32 (H, W) depth in metres, NaN where nothing is near enough."""
        camera, T = self.camera(name), self.camera_pose(name, frame)
        directions = rays(camera).astype(np.float64) @ T[:3, :3].T
        eye = T[:3, 3]
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = np.where(directions[..., 2] < 0, -eye[2] / directions[..., 2], np.inf)
            ground = eye + depth[..., None] * directions
            squares = (np.floor(ground[..., 0] / 0.06) + np.floor(ground[..., 1] / 0.06)) % 2
        rgb = np.stack([140 + 60 * squares, 120 + 50 * squares, 90 + 40 * squares], axis=-1)
        box, face = self._box(frame, eye, directions)
        nearer = box < depth
        depth[nearer] = box[nearer]
        rgb[nearer] = np.array([[40, 90, 170], [60, 130, 80], [200, 190, 60]])[face[nearer]]
        for side, hand in enumerate(self.keypoints(frame)):
            for joint, centre in enumerate(hand):
                ball = _ball(eye - centre, directions)
                nearer = ball < depth
                depth[nearer] = ball[nearer]
                rgb[nearer] = (225 - 40 * side, 170 - 3 * joint, 140 - 4 * joint)
        depth = np.where(depth < _FAR, depth, np.nan)
        rgb[np.isnan(depth)] = (185, 190, 200)
        return rgb.astype(np.uint8), depth.astype(np.float32)

    def _box(self, frame: int, eye: Float64Array, directions: Float64Array) -> tuple[Float64Array, np.ndarray]:
        """Depth of the box along each ray, infinite beside it, and the axis of the face that is hit (slabs)."""
        T = rigid.invert(self.object_pose(frame))
        start, turned = rigid.apply(T, eye), directions @ T[:3, :3].T
        with np.errstate(divide="ignore"):
            ends = np.stack([(-_BOX - start) / turned, (_BOX - start) / turned])
        enter, leave = ends.min(axis=0), ends.max(axis=0)
        near = enter.max(axis=-1)
        return np.where((near < leave.min(axis=-1)) & (near > 0), near, np.inf), enter.argmax(axis=-1)


def _ball(offset: Float64Array, directions: Float64Array) -> Float64Array:
    a, b = (directions**2).sum(axis=-1), directions @ offset
    root = b**2 - a * (offset @ offset - _BALL**2)
    return np.where((root > 0) & (b < 0), (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)


def write_h2o(
    root: Path,
    recordings: Iterable[str] = ("subject1/h1/0",),
    frames: Sequence[int] = range(4),
    cameras: Sequence[str] = CAMERAS,
    size: tuple[int, int] = SIZE,
    rendered: bool = False,
    rate_hz: float = 30.0,
    head: str = "visible",
) -> dict[str, MockScene]:
    """Writes recordings in H2O's format and returns their scenes by name.

    `rendered` adds meta.json and descriptions, and takes the recording's number as the class of the object; otherwise
    the recordings are as H2O's own, with the class number + 1.
    """
    scenes = {}
    for seed, name in enumerate(recordings):
        scene = scenes[name] = MockScene(size, seed)
        number = int(name.rsplit("/", 1)[1]) + (not rendered)
        for camera in cameras:
            _write_camera(root / name / camera, scene, camera, frames, number)
        if rendered:
            (root / name / "cam4/text").mkdir()
            for frame in frames:
                (root / name / f"cam4/text/{frame:06d}.txt").write_text(f"A person holds a carton, moment {frame}.\n")
            meta = Meta(rate_hz, "carton", VERBS, ACTIONS, head)
            (root / name / "meta.json").write_text(h2o_format.format_meta(meta))
    return scenes


def _write_camera(folder: Path, scene: MockScene, camera: str, frames: Sequence[int], number: int) -> None:
    kinds = ["rgb", "depth", "cam_pose", "hand_pose", "obj_pose", "obj_pose_RT", "verb_label"]
    for kind in kinds + ["action_label"] * (camera == "cam4"):
        (folder / kind).mkdir(parents=True)
    (folder / "cam_intrinsics.txt").write_text(h2o_format.format_intrinsics(scene.camera(camera)))
    for frame in frames:
        T_world_camera = scene.camera_pose(camera, frame)
        to_camera = rigid.invert(T_world_camera)
        T_camera_object = to_camera @ scene.object_pose(frame)
        texts = {
            "cam_pose": h2o_format.format_pose(T_world_camera),
            "hand_pose": h2o_format.format_hands(rigid.apply(to_camera, scene.keypoints(frame))),
            "obj_pose": h2o_format.format_object(number, rigid.apply(T_camera_object, _box_points())),
            "obj_pose_RT": h2o_format.format_object_pose(number, T_camera_object),
            "verb_label": h2o_format.format_label(1 + frame % 2),
        }
        if camera == "cam4":
            texts["action_label"] = h2o_format.format_label(1 + frame % 2)
        for kind, text in texts.items():
            (folder / kind / f"{frame:06d}.txt").write_text(text + "\n")
        rgb, depth = scene.seen(camera, frame)
        assert cv2.imwrite(str(folder / f"rgb/{frame:06d}.png"), rgb[..., ::-1])
        assert cv2.imwrite(str(folder / f"depth/{frame:06d}.png"), depth_units(depth, 1000))


def depth_units(depth: FloatArray, units_a_metre: int) -> np.ndarray:
    """uint16 (H, W); 0 where `depth` is NaN."""
    return np.where(np.isfinite(depth), np.rint(np.nan_to_num(depth) * units_a_metre), 0).astype(np.uint16)


def _box_points() -> Float64Array:
    """float64 (21, 3): centre, 8 corners, 12 middles of edges, in the box's frame."""
    steps = np.stack(np.meshgrid(*[(-1.0, 0.0, 1.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    kind = np.abs(steps).sum(axis=1)
    return np.concatenate([steps[kind == wanted] for wanted in (0, 3, 2)]) * _BOX


TRIPLET = "(stir, spoon, bowl)"
TACO_CAMERAS = ("22070938", "22139905")
_TACO_NAMES = {"22070938": "cam0", "22139905": "cam2", "egocentric": "cam4"}


def write_taco(
    root: Path,
    sequences: Iterable[str] = (f"{TRIPLET}/20231105_019",),
    frames: int = 8,
    size: tuple[int, int] = SIZE,
    half_depth: bool = False,
) -> dict[str, MockScene]:
    """Writes sequences in TACO's format and returns their scenes by name.

    The calibration of the third-person cameras is for twice the size. `half_depth` gives the depth video every other
    frame, at 15 Hz.
    """
    scenes = {}
    for seed, name in enumerate(sequences):
        scene = scenes[name] = MockScene(size, seed)
        for kind in ("Egocentric_RGB_Videos", "Egocentric_Depth_Videos", "Egocentric_Camera_Parameters", "Hand_Poses"):
            (root / kind / name).mkdir(parents=True)
        for kind in ("Allocentric_RGB_Videos", "Allocentric_Camera_Parameters", "Object_Poses"):
            (root / kind / name).mkdir(parents=True)
        for camera in TACO_CAMERAS:
            pictures = [scene.seen(_TACO_NAMES[camera], frame)[0] for frame in range(frames)]
            write_video(root / "Allocentric_RGB_Videos" / name / f"{camera}.mp4", pictures)
        ego = [scene.seen("cam4", frame) for frame in range(frames)]
        write_video(root / "Egocentric_RGB_Videos" / name / "color.mp4", [rgb for rgb, _ in ego])
        depths = [depth_units(depth, 4000) for _, depth in ego[:: 2 if half_depth else 1]]
        write_depth_video(root / "Egocentric_Depth_Videos" / name / "egocentric_depth.avi", depths)
        _write_taco_poses(root, name, scene, frames)
    return scenes


def _write_taco_poses(root: Path, name: str, scene: MockScene, frames: int) -> None:
    import torch

    folder = root / "Egocentric_Camera_Parameters" / name
    np.savetxt(folder / "egocentric_intrinsic.txt", scene.camera("cam4").matrix)
    to_ego = np.array([rigid.invert(scene.camera_pose("cam4", frame)) for frame in range(frames)])
    np.save(folder / "egocentric_frame_extrinsic.npy", to_ego)
    calibration = {}
    for camera in TACO_CAMERAS:
        T = rigid.invert(scene.camera_pose(_TACO_NAMES[camera], 0))
        width, height = 2 * scene.size[0], 2 * scene.size[1]
        K = scene.camera(_TACO_NAMES[camera]).resized(width, height).matrix
        calibration[camera] = {
            "imgSize": [width, height],
            "K": K.ravel().tolist(),
            "R": T[:3, :3].ravel().tolist(),
            "T": T[:3, 3].tolist(),
        }
    (root / "Allocentric_Camera_Parameters" / name / "calibration.json").write_text(json.dumps(calibration))
    np.save(root / "Object_Poses" / name / "tool_151.npy", [scene.object_pose(frame) for frame in range(frames)])
    np.save(root / "Object_Poses" / name / "target_042.npy", np.tile(np.eye(4), (frames, 1, 1)))
    for index, side in enumerate(SIDES):
        rest = scene.hand * (MIRROR if side == "left" else 1.0)
        poses = {}
        for frame in range(frames):
            posed = scene.keypoints(frame)[index]
            turn, _ = Rotation.align_vectors(posed - posed[0], rest - rest[0])
            pose = torch.zeros(48, dtype=torch.float64)
            pose[:3] = torch.from_numpy(turn.as_rotvec())
            poses[f"{frame + 1:05d}"] = {"hand_pose": pose, "hand_trans": torch.from_numpy(posed[0])}
        folder = root / "Hand_Poses" / name
        (folder / f"{side}_hand.pkl").write_bytes(pickle.dumps(poses))
        (folder / f"{side}_hand_shape.pkl").write_bytes(pickle.dumps({"hand_shape": torch.zeros(10)}))


def write_video(path: Path, pictures: Sequence[ByteArray], rate: int = 30, open_gop: bool = False) -> None:
    """H.264 with three B-frames and a keyframe every 30 frames, before which B-frames may reach with `open_gop`."""
    import av

    height, width = pictures[0].shape[:2]
    x264 = f"bframes=3:b-adapt=0:keyint=30:min-keyint=30:scenecut=0:open-gop={int(open_gop)}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "12", "x264-params": x264})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def write_depth_video(path: Path, depths: Sequence[np.ndarray], rate: int = 15) -> None:
    """FFV1 of 16 bits, every frame a keyframe, as TACO's."""
    import av

    height, width = depths[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate, options={"level": "1", "coder": "1", "context": "1", "g": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "gray16le"
        for depth in depths:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(depth, format="gray16le")))
        container.mux(stream.encode())


def write_mano(folder: Path, seed: int = 0) -> None:
    """Models of MANO's form whose hand at rest is the scene's: joints and tips are vertices, the other ones noise."""
    rng = np.random.default_rng(seed)
    rest = MockScene().hand
    for side in SIDES:
        template = rng.normal(scale=0.05, size=(778, 3))
        joints = np.empty((21, 3))
        joints[list(OPENPOSE)] = rest * (MIRROR if side == "left" else 1.0)
        places = [*range(16), *TIPS[side]]
        template[places] = joints
        weights = rng.dirichlet(np.ones(16), 778)
        arrays = {
            "v_template": template,
            "shapedirs": rng.normal(scale=0.003, size=(778, 3, 10)),
            "posedirs": rng.normal(scale=0.0005, size=(778, 3, 135)),
            "J_regressor": np.eye(16, 778),
            "weights": weights,
            "kintree_table": np.array([[4294967295, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14], range(16)]),
        }
        np.savez(folder / f"MANO_{side.upper()}.npz", **arrays)
