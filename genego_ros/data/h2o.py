"""H2O (Kwon et al., ICCV 2021) as it is distributed, and rendered recordings in the same format."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from genego_ros.data.encoding import metres
from genego_ros.data.h2o_format import (
    CAMERAS,
    EGO_CAMERA,
    EXO_CAMERAS,
    META,
    OBJECTS,
    Meta,
    parse_hands,
    parse_intrinsics,
    parse_label,
    parse_object,
    parse_object_pose,
    parse_pose,
    read_meta,
)
from genego_ros.data.sample import Sample, SampleId, View
from genego_ros.data.sample_ids import ListedDataset, Run
from genego_ros.errors import GenEgoError
from genego_ros.types import Array, ByteArray, Camera, Float64Array, FloatArray, Frame

_REQUIRED = ("rgb", "depth", "cam_pose", "hand_pose")
"""Folders that every camera must have, but for depth that is not read. Labels of verbs, actions and objects, and
descriptions, are left out of some releases as whole folders; a sample then says that it has none."""
_OBJECT_POSE = ("obj_pose_RT", "obj_pose_rt")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Recording:
    frames: NDArray[np.int32]
    """Of cam4, ascending."""
    folders: dict[str, frozenset[str]]
    """What lies in the folder of each camera."""
    meta: Meta


class H2O(ListedDataset):
    """A folder of recordings SUBJECT/SCENE/NUMBER/cam{0..4}; a `Dataset`.

    A frame of a recording exists if cam4 has its picture; numbers may have gaps. Folders whose names begin with a
    dot, or hold ".partial", are not looked into. One instance may be used by several processes.
    """

    def __init__(
        self,
        root: Path | str,
        cameras: Sequence[str] | None = None,
        stride: int = 1,
        recordings: Sequence[str] | None = None,
        ego_depth: bool = True,
    ) -> None:
        """Lists what there is; no picture is opened.

        Args:
            root: the folder that holds the subjects.
            cameras: third-person cameras to take; by default every recording gives all that it has. A recording with
                none of them is left out, which is logged.
            stride: takes every stride-th frame of a recording.
            recordings: names of those to take ("subject1/h1/0"); by default all.
            ego_depth: read the depth of cam4 too, which few need and takes a tenth of the time; without it the folder
                may be missing.

        Raises:
            GenEgoError: no such folder, no recording in it, an unknown camera or one that no recording has, a folder of
                a camera is missing, or a frame is missing in one camera; names the path.
        """
        self.root = Path(root)
        self._ego_depth = ego_depth
        if unknown := set(cameras or ()) - set(EXO_CAMERAS):
            raise GenEgoError(
                f"unknown camera '{min(unknown)}': H2O's third-person cameras are {', '.join(EXO_CAMERAS)}"
            )
        if not self.root.is_dir():
            raise GenEgoError(f"{self.root}: no such folder; give the folder that holds subject1, subject2, ...")
        self._recordings: dict[str, _Recording] = {}
        self._cameras: dict[tuple[str, str], Camera] = {}
        runs, without = [], []
        for name in recordings_in(self.root) if recordings is None else recordings:
            there = _exo_cameras(self.root / name)
            exo = tuple(camera for camera in there if cameras is None or camera in cameras)
            if not exo:
                without.append(f"{name} has {', '.join(there)}")
                continue
            self._recordings[name] = _list_recording(self.root / name, exo, ego_depth)
            runs += [Run(name, camera, self._recordings[name].frames) for camera in exo]
        asked = " or ".join(cameras or ())
        if without and not runs:
            raise GenEgoError(f"{self.root}: no recording has {asked}; {without[0]}")
        if without:
            _log.warning("%s: %d recordings without %s are left out", self.root, len(without), asked)
        super().__init__(
            runs, stride, f"{self.root}: no recording here; SUBJECT/SCENE/NUMBER/{EGO_CAMERA}/rgb was looked for"
        )

    @property
    def rate_hz(self) -> float:
        """Frames a second of the recordings.

        Raises:
            GenEgoError: they differ; `meta` says each one's.
        """
        rates = {recording.meta.rate_hz: name for name, recording in self._recordings.items()}
        if len(rates) > 1:
            (first, here), (second, there), *_ = rates.items()
            raise GenEgoError(
                f"{self.root}: recordings of different rates, {here} of {first:g} Hz and {there} of {second:g} Hz; "
                "move them to two folders"
            )
        return next(iter(rates))

    def meta(self, sequence: str) -> Meta:
        """What meta.json says of a recording; H2O's own tables where there is none."""
        return self._recordings[sequence].meta

    def cameras(self, sequence: str) -> tuple[str, ...]:
        """All third-person cameras of a recording, whichever were asked for."""
        return tuple(camera for camera in EXO_CAMERAS if camera in self._recordings[sequence].folders)

    def sample(self, id: SampleId, also: Sequence[str] = ()) -> Sample:
        """The sample of that name; frames that the stride leaves out can be named too.

        Args:
            also: further third-person cameras, which follow the one of `id` in `Sample.exo`.

        Raises:
            GenEgoError: there is none, or a file of it is missing or damaged; names the path.
        """
        recording = self._recordings.get(id.sequence)
        folder = self.root / id.sequence
        if recording is None:
            raise GenEgoError(f"{folder}: no such recording; {self.root} holds {', '.join(self.recordings[:8])}, ...")
        for camera in (id.camera, *also):
            if camera not in EXO_CAMERAS or camera not in recording.folders:
                raise GenEgoError(
                    f"{folder / camera}: no such third-person camera; there is {self.cameras(id.sequence)}"
                )
        place = int(np.searchsorted(recording.frames, id.frame))
        if place == len(recording.frames) or int(recording.frames[place]) != id.frame:
            raise GenEgoError(f"{folder / EGO_CAMERA / 'rgb' / f'{id.frame:06d}.png'}: no such frame in this recording")
        exo = tuple(self.view(id.sequence, camera, id.frame) for camera in (id.camera, *also))
        return self._sample(id, recording, exo, self.view(id.sequence, EGO_CAMERA, id.frame))

    def object_box(self, id: SampleId) -> Float64Array | None:
        """The box around the object, float64 (21, 3), metres, in the frame of the camera of `id`: see `parse_object`.

        Returns:
            None where the release lacks it, or there is no object.

        Raises:
            GenEgoError: the file is missing or damaged; names the path.
        """
        found = self._optional(id, self._recordings[id.sequence], id.camera, "obj_pose")
        number, points = (0, None) if found is None else parse_object(*found)
        return points if number else None

    def _sample(self, id: SampleId, recording: _Recording, exo: tuple[View, ...], ego: View) -> Sample:
        meta = recording.meta
        object_class, T_world_object = self._object(id, recording, exo[0].T_world_camera)
        verb = self._label(id, recording, "verb_label")
        action = self._label(id, recording, "action_label")
        text = self._optional(id, recording, EGO_CAMERA, "text")
        subject, scene, _ = id.sequence.split("/")
        name = meta.object_name if object_class and meta.object_name else _name(OBJECTS, object_class)
        return Sample(
            id=id,
            exo=exo,
            ego=ego,
            T_world_object=T_world_object,
            object_class=object_class,
            object_name=name,
            verb=verb,
            verb_name=_name(meta.verbs, verb),
            action=action,
            subject=subject,
            scene=scene,
            description="" if text is None else " ".join(text[0].split()),
        )

    def view(self, sequence: str, camera: str, number: int) -> View:
        """What one camera of a recording saw in one frame, that of the eyes included.

        Raises:
            GenEgoError: there is none, or a file of it is missing or damaged; names the path.
        """
        folder, name = f"{self.root}/{sequence}/{camera}", f"{number:06d}"
        intrinsics = self._intrinsics(sequence, camera)
        rgb = _read_rgb(f"{folder}/rgb/{name}.png")
        depth = _read_depth(f"{folder}/depth/{name}.png") if camera != EGO_CAMERA or self._ego_depth else None
        size = f"{intrinsics.width} x {intrinsics.height}"
        for kind, picture in (("rgb", rgb), ("depth", depth)):
            if picture is not None and picture.shape[:2] != (intrinsics.height, intrinsics.width):
                raise GenEgoError(
                    f"{folder}/{kind}/{name}.png: {picture.shape[1]} x {picture.shape[0]} pixels, but {folder}/"
                    f"cam_intrinsics.txt is an intrinsics file for another size, {size}; bring the two together"
                )
        pose, hands = f"{folder}/cam_pose/{name}.txt", f"{folder}/hand_pose/{name}.txt"
        stamp_ns = round(number * 1e9 / self._recordings[sequence].meta.rate_hz)
        frame = Frame(rgb, intrinsics, depth, stamp_ns, f"{camera}_optical_frame")
        return View(camera, frame, parse_pose(_read(pose), pose), parse_hands(_read(hands), hands))

    def picture(self, sequence: str, camera: str, number: int) -> ByteArray:
        """The picture of a view alone, uint8 (H, W, 3), RGB, in less than half the time.

        Raises:
            GenEgoError: there is none, or it is damaged; names the path.
        """
        return _read_rgb(f"{self.root}/{sequence}/{camera}/rgb/{number:06d}.png")

    def _intrinsics(self, sequence: str, camera: str) -> Camera:
        found = self._cameras.get((sequence, camera))
        if found is None:
            path = f"{self.root}/{sequence}/{camera}/cam_intrinsics.txt"
            found = self._cameras[sequence, camera] = parse_intrinsics(_read(path), path)
        return found

    def _object(
        self, id: SampleId, recording: _Recording, T_world_camera: Float64Array
    ) -> tuple[int, Float64Array | None]:
        for folder in _OBJECT_POSE:
            if found := self._optional(id, recording, id.camera, folder):
                number, T_camera_object = parse_object_pose(*found)
                return number, T_world_camera @ T_camera_object if number else None
        return 0, None

    def _label(self, id: SampleId, recording: _Recording, folder: str) -> int:
        found = self._optional(id, recording, EGO_CAMERA, folder)
        return 0 if found is None else parse_label(*found)

    def _optional(self, id: SampleId, recording: _Recording, camera: str, folder: str) -> tuple[str, str] | None:
        """Text and path of the frame's file in a folder that may be missing as a whole."""
        if folder not in recording.folders[camera]:
            return None
        path = f"{self.root}/{id.sequence}/{camera}/{folder}/{id.frame:06d}.txt"
        return _read(path), path


def recordings_in(root: Path) -> list[str]:
    """Names of the recordings in a data set's folder: folders three levels down that hold one of H2O's cameras.

    Raises:
        GenEgoError: a folder cannot be read.
    """
    names = [""]
    for _ in range(3):
        names = [f"{name}{folder}/" for name in names for folder in _folders(root / name)]
    names = [name.rstrip("/") for name in names]
    return [name for name in names if any((root / name / camera).is_dir() for camera in CAMERAS)]


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except OSError as error:
        raise GenEgoError(f"{path}: cannot be read ({error.strerror}); check its permissions and the disk") from error
    return sorted(name for name in names if not name.startswith(".") and ".partial" not in name)


def _exo_cameras(path: Path) -> tuple[str, ...]:
    """The third-person cameras of a recording."""
    if not path.is_dir():
        raise GenEgoError(f"{path}: no such recording; check the path")
    there = tuple(camera for camera in EXO_CAMERAS if (path / camera).is_dir())
    if not there:
        raise GenEgoError(f"{path}: no third-person camera ({', '.join(EXO_CAMERAS)}); download the other views too")
    return there


def _list_recording(path: Path, exo: Sequence[str], ego_depth: bool) -> _Recording:
    """What there is of a recording of which the third-person cameras `exo` are taken."""
    if not (path / EGO_CAMERA).is_dir():
        raise GenEgoError(f"{path / EGO_CAMERA}: missing; copy this camera, or leave the recording out")
    folders = {}
    for camera in (EGO_CAMERA, *_exo_cameras(path)):
        folders[camera] = frozenset(_folders(path / camera))
        if camera not in (EGO_CAMERA, *exo):
            continue  # one that was not asked for may be in parts
        required = [name for name in _REQUIRED if name != "depth" or camera != EGO_CAMERA or ego_depth]
        if missing := [name for name in required if name not in folders[camera]]:
            raise GenEgoError(f"{path / camera / missing[0]}: missing; copy this folder, or leave the recording out")
    frames = _frames(path / EGO_CAMERA / "rgb")
    if not len(frames):
        raise GenEgoError(f"{path / EGO_CAMERA / 'rgb'}: no picture in this folder; leave the recording out")
    for camera in exo:
        _same_frames(path, camera, frames)
    return _Recording(frames, folders, read_meta(path / META))


def _frames(folder: Path) -> NDArray[np.int32]:
    """Numbers of the pictures in a folder, ascending; names of six digits alone are H2O's."""
    with os.scandir(folder) as entries:
        names = [entry.name[:-4] for entry in entries if entry.name.endswith(".png")]
    return np.sort(np.array([int(name) for name in names if len(name) == 6 and name.isdecimal()], np.int32))


def _same_frames(path: Path, camera: str, frames: NDArray[np.int32]) -> None:
    found = _frames(path / camera / "rgb")
    if np.array_equal(found, frames):
        return
    missing = [(camera, number) for number in np.setdiff1d(frames, found)]
    missing += [(EGO_CAMERA, number) for number in np.setdiff1d(found, frames)]
    where, number = missing[0]
    raise GenEgoError(
        f"{path / where / 'rgb' / f'{number:06d}.png'}: missing ({len(missing)} such), but the other camera has this "
        f"frame; copy it, or take the frame out of all of {camera} and {EGO_CAMERA}"
    )


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if number < len(names) else str(number)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - ten of these a sample; Path would cost as much again
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _read_rgb(path: str) -> ByteArray:
    picture = _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _read_depth(path: str) -> FloatArray:
    raw = _decode(path, cv2.IMREAD_UNCHANGED)
    if raw.dtype != np.uint16 or raw.ndim != 2:
        raise GenEgoError(f"{path}: {raw.dtype} {raw.shape}, one channel of 16 bits in millimetres belongs here")
    return metres(raw)


def _decode(path: str, flags: int) -> Array:
    try:
        encoded = np.fromfile(path, np.uint8)
    except OSError as error:
        raise _unreadable(path, error) from error
    picture = cv2.imdecode(encoded, flags) if encoded.size else None
    if picture is None:
        raise GenEgoError(f"{path}: the picture is damaged or cut off; copy it again")
    return np.asarray(picture)


def _unreadable(path: str, error: Exception) -> GenEgoError:
    if isinstance(error, FileNotFoundError):
        return GenEgoError(f"{path}: missing; copy it, or leave the frame out")
    return GenEgoError(f"{path}: cannot be read ({error}); copy it again")
