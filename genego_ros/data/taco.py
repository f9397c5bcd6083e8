"""TACO (Liu et al., CVPR 2024) as it is distributed: videos, poses and MANO hands, in folders by kind."""

from __future__ import annotations

import json
import logging
import math
import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genego_ros.data.encoding import metres
from genego_ros.data.mano import load_mano
from genego_ros.data.plausible import check_hand, check_pose
from genego_ros.data.sample import Sample, SampleId, View
from genego_ros.data.sample_ids import ListedDataset, Run
from genego_ros.data.unpickling import load_pickle
from genego_ros.data.video_frames import OpenVideos
from genego_ros.errors import GenEgoError
from genego_ros.geometry import rigid
from genego_ros.types import KEYPOINTS, SIDES, Array, Camera, Float64Array, FloatArray, Frame, Side

EGO_CAMERA = "egocentric"
RATE_HZ = 30.0
DEPTH_UNITS = 4000
"""A metre in the depth videos."""
ACTIONS = (
    *("background", "brush", "cut", "dust", "empty", "hit", "measure", "pour in some", "put in", "put out"),
    *("scrape off", "screw", "skim off", "smear", "stir", "stir-fry"),
)
"""TACO names its actions; these are our numbers for them, in the order of the alphabet."""
_KEPT = 8
"""Sequences whose poses are kept in memory."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Hand:
    poses: Float64Array
    """float64 (N, 48)."""
    translations: Float64Array
    """float64 (N, 3), world."""
    shape: Float64Array
    """float64 (10,)."""


@dataclass(frozen=True)
class _Poses:
    """All of a sequence that is not pictures."""

    T_world_ego: Float64Array
    """float64 (N, 4, 4)."""
    K_ego: Float64Array
    exo: dict[str, tuple[tuple[int, int], Float64Array, Float64Array]]
    """Camera to size of the picture that its K is for, K, and T_world_camera."""
    hands: dict[Side, _Hand]
    T_world_tool: Float64Array | None
    tool: int


class TACO(ListedDataset):
    """A folder with Egocentric_RGB_Videos, Allocentric_RGB_Videos, Hand_Poses, ...; a `Dataset`.

    A sequence is named "(action, tool, object)/20231105_019", a camera by its serial number. Sequences without an
    egocentric video are left out. The object of a sample is the tool. One instance may be used by several processes,
    and by threads, which take turns.
    """

    def __init__(
        self,
        root: Path | str,
        cameras: Sequence[str] | None = None,
        stride: int = 1,
        recordings: Sequence[str] | None = None,
        mano: Path | str | None = None,
    ) -> None:
        """Lists what there is; no video is opened.

        Args:
            root: the folder of all kinds.
            cameras: third-person cameras to take; by default all that a sequence has.
            stride: takes every stride-th frame.
            recordings: names of the sequences to take; by default all.
            mano: folder of MANO_LEFT and MANO_RIGHT. Without it keypoints are NaN, which is logged.

        Raises:
            GenEgoError: a folder or file is missing or damaged; names the path.
        """
        self.root = Path(root)
        self._mano = None if mano is None else load_mano(mano)
        if mano is None:
            _log.warning("%s: hands are left out (NaN): they need MANO's files, whose folder was not given", self.root)
        self._videos = OpenVideos()
        self._poses: OrderedDict[str, _Poses] = OrderedDict()
        self._frames: dict[str, int] = {}
        runs = []
        for name in self._with_ego_view() if recordings is None else recordings:
            self._frames[name] = count = self._count(name)
            runs += [Run(name, camera, np.arange(count, dtype=np.int32)) for camera in self._exo(name, cameras)]
        super().__init__(
            runs, stride, f"{self.root}: no sequence here; Egocentric_RGB_Videos/TRIPLET/SEQUENCE was looked for"
        )

    @property
    def rate_hz(self) -> float:
        """Frames a second of the recordings."""
        return RATE_HZ

    def cameras(self, sequence: str) -> tuple[str, ...]:
        """All third-person cameras of a sequence, whichever were asked for."""
        return self._exo(sequence, None)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_poses": OrderedDict()}

    def sample(self, id: SampleId, also: Sequence[str] = ()) -> Sample:
        """The sample of that name; frames that the stride leaves out can be named too.

        Args:
            also: further third-person cameras, which follow the one of `id` in `Sample.exo`.

        Raises:
            GenEgoError: there is none, or a file of it is missing or damaged; names the path.
        """
        count = self._frames.get(id.sequence)
        if count is None:
            raise GenEgoError(f"{self.root / 'Egocentric_RGB_Videos' / id.sequence}: no such sequence")
        if not 0 <= id.frame < count:
            raise GenEgoError(
                f"{self.root / 'Egocentric_RGB_Videos' / id.sequence}: has {count} frames, not {id.frame}"
            )
        with self._videos.lock:
            return self._sample(id, also)

    def _sample(self, id: SampleId, also: Sequence[str]) -> Sample:
        poses = self._poses_of(id.sequence)
        hands = self._keypoints(poses, id)
        exo = tuple(self._exo_view(id, camera, poses, hands) for camera in (id.camera, *also))
        action, tool, _ = _triplet(id.sequence)
        number = ACTIONS.index(action)
        return Sample(
            id=id,
            exo=exo,
            ego=self._ego_view(id, poses, hands),
            T_world_object=None if poses.T_world_tool is None else poses.T_world_tool[id.frame],
            object_class=poses.tool,
            object_name=tool,
            verb=number,
            verb_name=action,
            action=number,
            subject="",
            scene="",
            description="",
        )

    # Views --------------------------------------------------------------------------------------------

    def _exo_view(self, id: SampleId, camera: str, poses: _Poses, hands: Float64Array) -> View:
        path = self.root / "Allocentric_RGB_Videos" / id.sequence / f"{camera}.mp4"
        if camera not in poses.exo:
            known = ", ".join(sorted(poses.exo))
            raise GenEgoError(f"{path}: no camera of that name in the calibration, which has {known}")
        size, K, T_world_camera = poses.exo[camera]
        rgb = self._picture(path, id)
        return self._view(id, camera, rgb, _resized(size, K, rgb, path), None, T_world_camera, hands)

    def _ego_view(self, id: SampleId, poses: _Poses, hands: Float64Array) -> View:
        path = self.root / "Egocentric_RGB_Videos" / id.sequence / "color.mp4"
        rgb = self._picture(path, id)
        height, width = rgb.shape[:2]
        if not (abs(2 * poses.K_ego[0, 2] / width - 1) < 0.25 and abs(2 * poses.K_ego[1, 2] / height - 1) < 0.25):
            raise GenEgoError(
                f"{path}: {width} x {height} pixels, but egocentric_intrinsic.txt is for another size: its principal "
                f"point is {poses.K_ego[0, 2]:.0f}, {poses.K_ego[1, 2]:.0f}; take the video as it was distributed"
            )
        depth = self._depth(id, rgb)
        camera = _resized((width, height), poses.K_ego, rgb, path)
        return self._view(id, EGO_CAMERA, rgb, camera, depth, poses.T_world_ego[id.frame], hands)

    @staticmethod
    def _view(
        id: SampleId,
        name: str,
        rgb: Array,
        camera: Camera,
        depth: FloatArray | None,
        T_world_camera: Float64Array,
        hands: Float64Array,
    ) -> View:
        frame = Frame(rgb, camera, depth, round(id.frame * 1e9 / RATE_HZ), f"{name}_optical_frame")
        return View(name, frame, T_world_camera, rigid.apply(rigid.invert(T_world_camera), hands))

    def _picture(self, path: Path, id: SampleId) -> Array:
        video = self._videos[path]
        if len(video) != self._frames[id.sequence]:
            raise GenEgoError(
                f"{path}: {len(video)} frames, but the camera's poses are for {self._frames[id.sequence]}; "
                "copy the video again, or leave the sequence out"
            )
        return video.read(id.frame, "rgb24")

    def _depth(self, id: SampleId, rgb: Array) -> FloatArray | None:
        path = self.root / "Egocentric_Depth_Videos" / id.sequence / "egocentric_depth.avi"
        if not path.parent.is_dir():
            return None
        video, count = self._videos[path], self._frames[id.sequence]
        # Encoded at 15 Hz and unpacked at 30, every picture serves twice.
        if len(video) not in (count, math.ceil(count / 2), count // 2):
            raise GenEgoError(f"{path}: {len(video)} frames, which are neither {count} nor half of it; copy it again")
        halved = len(video) != count
        raw = video.read(min(id.frame // 2, len(video) - 1) if halved else id.frame, "gray16le")
        if raw.shape != rgb.shape[:2]:
            raise GenEgoError(
                f"{path}: {raw.shape[1]} x {raw.shape[0]} pixels, color.mp4 has {rgb.shape[1]} x {rgb.shape[0]}"
            )
        return metres(raw, 1 / DEPTH_UNITS)

    def _keypoints(self, poses: _Poses, id: SampleId) -> Float64Array:
        """float64 (2, 21, 3), world; NaN where there is no hand or no model of it."""
        keypoints = np.full((2, KEYPOINTS, 3), np.nan)
        for index, side in enumerate(SIDES):
            if self._mano is not None and side in poses.hands:
                hand, frame = poses.hands[side], id.frame
                keypoints[index] = self._mano[side].keypoints(hand.poses[frame], hand.shape, hand.translations[frame])
                check_hand(keypoints[index], side, self._hands_folder(id.sequence) / f"{side}_hand.pkl")
        return keypoints

    # What there is ------------------------------------------------------------------------------------

    def _with_ego_view(self) -> list[str]:
        folder = self.root / "Egocentric_RGB_Videos"
        if not folder.is_dir():
            raise GenEgoError(f"{folder}: no such folder; give the folder of TACO that holds Egocentric_RGB_Videos")
        names = [f"{triplet}/{name}" for triplet in _folders(folder) for name in _folders(folder / triplet)]
        there = [name for name in names if (folder / name / "color.mp4").is_file()]
        if len(there) < len(names):
            _log.info("%s: %d sequences have no color.mp4 and are left out", folder, len(names) - len(there))
        return there

    def _count(self, sequence: str) -> int:
        if _triplet(sequence)[0] not in ACTIONS:
            raise GenEgoError(f"{self.root}: the action of '{sequence}' is none of TACO's: {', '.join(ACTIONS[1:])}")
        return len(_array(self._ego_folder(sequence) / "egocentric_frame_extrinsic.npy", (4, 4)))

    def _exo(self, sequence: str, cameras: Iterable[str] | None) -> tuple[str, ...]:
        folder = self.root / "Allocentric_RGB_Videos" / sequence
        if not folder.is_dir():
            raise GenEgoError(f"{folder}: no such folder; copy it, or leave the sequence out")
        there = sorted(path.stem for path in folder.glob("*.mp4"))
        if missing := sorted(set(cameras or ()) - set(there)):
            raise GenEgoError(f"{folder / missing[0]}.mp4: missing; there is {', '.join(there)}")
        return tuple(there if cameras is None else cameras)

    def _ego_folder(self, sequence: str) -> Path:
        return self.root / "Egocentric_Camera_Parameters" / sequence

    # Poses --------------------------------------------------------------------------------------------

    def _poses_of(self, sequence: str) -> _Poses:
        if sequence not in self._poses:
            self._poses[sequence] = self._read_poses(sequence)
            if len(self._poses) > _KEPT:
                self._poses.popitem(last=False)
        self._poses.move_to_end(sequence)
        return self._poses[sequence]

    def _read_poses(self, sequence: str) -> _Poses:
        count, folder = self._frames[sequence], self._ego_folder(sequence)
        path = folder / "egocentric_frame_extrinsic.npy"
        to_camera = _array(path, (4, 4))
        for T in to_camera:
            check_pose(T, path)
        intrinsics = folder / "egocentric_intrinsic.txt"
        tool, T_world_tool = self._tool(sequence, count)
        return _Poses(
            T_world_ego=np.array([rigid.invert(T) for T in to_camera]),
            K_ego=_intrinsics(_text(intrinsics).split(), intrinsics),
            exo=_calibration(self.root / "Allocentric_Camera_Parameters" / sequence / "calibration.json"),
            hands=self._hands(sequence, count),
            T_world_tool=T_world_tool,
            tool=tool,
        )

    def _hands(self, sequence: str, count: int) -> dict[Side, _Hand]:
        folder = self._hands_folder(sequence)
        if self._mano is None or not folder.is_dir():
            return {}
        return {side: _hand(folder, side, count) for side in SIDES if (folder / f"{side}_hand.pkl").is_file()}

    def _hands_folder(self, sequence: str) -> Path:
        return self.root / "Hand_Poses" / sequence

    def _tool(self, sequence: str, count: int) -> tuple[int, Float64Array | None]:
        """Number and poses of the tool, whose file is tool_NUMBER.npy."""
        for path in sorted((self.root / "Object_Poses" / sequence).glob("tool_*.npy")):
            T_world_tool = _array(path, (4, 4))
            number = path.stem.removeprefix("tool_")
            if len(T_world_tool) != count or not number.isdecimal():
                raise GenEgoError(
                    f"{path}: {len(T_world_tool)} poses of tool '{number}', {count} of a number belong here"
                )
            for T in T_world_tool:
                check_pose(T, path, "tool's pose")
            return int(number), T_world_tool
        return 0, None


def _triplet(sequence: str) -> tuple[str, str, str]:
    """Action, tool and object of "(stir, spoon, bowl)/20231105_019"."""
    words = sequence.split("/")[0].strip("()").split(", ")
    if len(words) != 3:
        raise GenEgoError(f"'{sequence}' is no sequence of TACO: (action, tool, object)/NAME is wanted")
    return words[0], words[1], words[2]


def _folders(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _hand(folder: Path, side: Side, count: int) -> _Hand:
    path, shape_path = folder / f"{side}_hand.pkl", folder / f"{side}_hand_shape.pkl"
    frames, shape = load_pickle(path), np.zeros(10)
    if shape_path.is_file():
        shape = _flat(load_pickle(shape_path), "hand_shape", 10, shape_path)
    if not isinstance(frames, dict) or len(frames) != count:
        raise GenEgoError(f"{path}: not the {count} hands that the camera's poses are for; copy it again")
    moments = [frames[key] for key in sorted(frames)]
    poses = np.array([_flat(moment, "hand_pose", 48, path) for moment in moments])
    translations = np.array([_flat(moment, "hand_trans", 3, path) for moment in moments])
    return _Hand(poses, translations, shape)


def _flat(found: Any, name: str, count: int, path: Path) -> Float64Array:
    try:
        numbers = np.asarray(found[name], np.float64).ravel()
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise GenEgoError(f"{path}: no '{name}' in it; copy it again") from error
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise GenEgoError(f"{path}: {name} must be {count} finite numbers; copy it again")
    return numbers


def _calibration(path: Path) -> dict[str, tuple[tuple[int, int], Float64Array, Float64Array]]:
    """Camera to size, K and T_world_camera; the file has the world in the camera's frame."""
    try:
        cameras = json.loads(_text(path))
        found = {}
        for name, said in cameras.items():
            width, height = (int(pixels) for pixels in said["imgSize"])
            if width <= 0 or height <= 0:
                raise ValueError(f"pictures of {width} x {height} pixels")
            rotation, translation = (
                np.array(said["R"], np.float64).reshape(3, 3),
                np.array(said["T"], np.float64).ravel(),
            )
            T_camera_world = rigid.compose(rotation, translation)
            check_pose(T_camera_world, path)
            K = _intrinsics(np.array(said["K"], np.float64).ravel().tolist(), path)
            found[name] = ((width, height), K, rigid.invert(T_camera_world))
        return found
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
        raise GenEgoError(f"{path}: no calibration ({type(error).__name__}: {error}); copy it again") from error


def _intrinsics(words: Sequence[Any], path: Path) -> Float64Array:
    """K, float64 (3, 3), of nine numbers."""
    try:
        K = np.array([float(word) for word in words]).reshape(3, 3)
    except ValueError as error:
        raise GenEgoError(f"{path}: no 3 x 3 intrinsics ({error}); copy it again") from error
    if not (np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0):
        raise GenEgoError(f"{path}: no camera has the intrinsics {K.tolist()}; copy it again")
    return K


def _resized(size: tuple[int, int], K: Float64Array, rgb: Array, path: Path) -> Camera:
    """The camera for a picture of the size of K, or squeezed from it."""
    (width, height), (rows, columns) = size, rgb.shape[:2]
    if abs(width * rows - height * columns) > 0.01 * width * rows:
        raise GenEgoError(
            f"{path}: {columns} x {rows} pixels cannot come from {width} x {height}, as the calibration says"
        )
    camera = Camera(width, height, K[0, 0], K[1, 1], K[0, 2], K[1, 2])
    return camera if (width, height) == (columns, rows) else camera.resized(columns, rows)


def _array(path: Path, shape: tuple[int, ...]) -> Float64Array:
    """float64 (N, *shape) of an .npy file."""
    try:
        array = np.asarray(np.lib.format.open_memmap(path, mode="r"), np.float64)
    except (OSError, ValueError) as error:
        raise GenEgoError(f"{path}: cannot be read ({error}); copy it again") from error
    if array.shape[1:] != shape or not len(array):
        raise GenEgoError(f"{path}: an array of {array.shape}, (N, {', '.join(map(str, shape))}) belongs here")
    return array


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GenEgoError(f"{path}: cannot be read ({error}); copy it again") from error
