"""Writes one rendered recording in H2O's folder format."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from genego_ros.atomic import GROWING, write_whole
from genego_ros.data import h2o_format
from genego_ros.data.encoding import millimetres, png
from genego_ros.data.h2o_format import EGO_CAMERA, META, UNFINISHED, read_meta
from genego_ros.data.synthetic.objects import OBJECT_NAMES
from genego_ros.data.synthetic.raster import RasterRenderer
from genego_ros.data.synthetic.recipe import RecordingPlan
from genego_ros.data.synthetic.scene import RecordingCamera, Renderer, Scene
from genego_ros.data.synthetic.sensor import expose
from genego_ros.data.synthetic.take import Instant, Take, stream
from genego_ros.errors import GenEgoError
from genego_ros.geometry import rigid
from genego_ros.types import Float64Array

OWN = ("subject", "scene", "object_class", "head")
"""Settings in which the recordings of one `--seed` differ."""
KINDS = ("rgb", "depth", "cam_pose", "hand_pose", "obj_pose", "obj_pose_RT", "verb_label")
EGO_KINDS = (*KINDS, "action_label", "text")
PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
"""Noise does not repeat: without looking for repetitions a picture takes a third less time and space, depth a quarter
more space."""


@dataclass(frozen=True)
class RecordingFolder:
    """Where a recording goes, and what it has to be."""

    out: Path
    """The data set's folder."""
    plan: RecordingPlan
    size: tuple[int, int]
    """Width and height of the pictures, pixels."""

    @property
    def path(self) -> Path:
        return self.out / self.plan.sequence

    @property
    def unfinished(self) -> Path:
        """Where it grows: apart from the recordings, so that nobody takes it for one."""
        return self.out / UNFINISHED / self.plan.sequence.replace("/", "-")

    @property
    def settings(self) -> dict[str, Any]:
        """What meta.json says of how the recording was made."""
        return {"plan": asdict(self.plan), "size": self.size}

    def is_complete(self) -> bool:
        """Whether it has been rendered already.

        Raises:
            GenEgoError: something else lies there.
        """
        if not self.path.exists():
            return False
        self._check(self.path)
        return True

    def begin(self) -> Path:
        """The folder to write into; it keeps what a run that was broken off has left there.

        Raises:
            GenEgoError: that run had other settings, or the folder cannot be made.
        """
        folder = self.unfinished
        if (folder / META).exists():
            self._check(folder)
        try:
            for camera in self.plan.cameras:
                for kind in EGO_KINDS if camera == EGO_CAMERA else KINDS:
                    (folder / camera / kind).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GenEgoError(f"'{folder}' cannot be made ({error.strerror}); choose another folder") from error
        return folder

    def finish(self) -> None:
        """Gives the recording its name.

        Raises:
            GenEgoError: the folder cannot be made or moved.
        """
        try:
            for left in self.unfinished.rglob(f"*{GROWING}"):  # by a run that was killed
                left.unlink()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.unfinished.rename(self.path)
        except OSError as error:
            raise GenEgoError(
                f"'{self.path}' cannot be made ({error.strerror}); mend that and run the same command again"
            ) from error

    def _check(self, folder: Path) -> None:
        if differing := difference(folder, self.settings):
            raise GenEgoError(
                f"'{folder}' is another recording than the one asked for ({differing}); render into another folder"
            )


def difference(folder: Path, settings: Mapping[str, Any], but: Collection[str] = ()) -> str:
    """In which of the settings (see `RecordingFolder`) a recording that is there was made otherwise, as
    "seed 5 there, 7 asked for"; empty where in none.

    Args:
        but: names of settings that may differ.
    """
    try:
        there = read_meta(folder / META).further.get("made_by")
    except GenEgoError as error:
        return str(error)
    if not (isinstance(there, dict) and isinstance(there.get("plan"), dict)):
        return f"it was not rendered: no made_by in {META}"
    theirs, ours = ({**made["plan"], "size": made.get("size")} for made in (there, plain(settings)))
    return ", ".join(
        f"{name} {_short(theirs.get(name))} there, {_short(ours.get(name))} asked for"
        for name in {**ours, **theirs}
        if name not in but and theirs.get(name) != ours.get(name)
    )


def _short(value: Any) -> str:
    numbers = isinstance(value, list) and len(value) > 5
    return f"{value[0]} to {value[-1]} ({len(value)})" if numbers else str(value)[:60]


def render_recording(
    folder: RecordingFolder, count: Callable[[], None] = lambda: None, clock: Clock | None = None
) -> None:
    """Renders what is missing of a recording, and gives the folder its name when all is there.

    Args:
        folder: where it goes.
        count: called after every frame, also after one that was there already.
        clock: told how long each step takes: staging, posing, drawing, sensor, writing.

    Raises:
        GenEgoError: the renderer is missing or failed, the disk is full or not writable.
    """
    clock = clock or Clock()
    plan, path = folder.plan, folder.begin()
    with clock("staging"):
        take = Take(plan, folder.size)
        save(path / META, h2o_format.format_meta(meta_of(folder, take)).encode())
        for camera in take.scene.cameras:
            save(path / camera.name / "cam_intrinsics.txt", h2o_format.format_intrinsics(camera.camera).encode())
    with closing(make_renderer(plan.renderer, take.scene)) as renderer:
        for frame in plan.frames:
            # The text is the last file of a frame.
            if not (path / EGO_CAMERA / "text" / f"{frame:06d}.txt").exists():
                render_frame(path, take, frame, renderer, clock)
            count()
    folder.finish()


def render_frame(path: Path, take: Take, frame: int, renderer: Renderer, clock: Clock) -> None:
    """Draws one frame with every camera, and writes it and its labels."""
    with clock("posing"):
        previous = take.instant(max(frame - 1, 0)).moment
        instant = take.instant(frame)
    for camera in take.scene.cameras:
        with clock("drawing"):
            shot = renderer.render(camera.name, instant.moment, previous)
        with clock("sensor"):
            rgb = expose(shot, camera.sensor, stream(take.plan, take.plan.sequence, camera.name, frame))
        with clock("writing"):
            save(path / camera.name / "rgb" / f"{frame:06d}.png", png(rgb, PNG_OPTIONS))
            save(path / camera.name / "depth" / f"{frame:06d}.png", png(millimetres(shot.depth), PNG_OPTIONS))
    with clock("writing"):
        for camera in take.scene.cameras:
            for kind, text in labels(take, instant, camera).items():
                save(path / camera.name / kind / f"{frame:06d}.txt", text.encode())


def labels(take: Take, instant: Instant, camera: RecordingCamera) -> dict[str, str]:
    """Folder to content of a frame's text files."""
    T_world_camera = instant.moment.T_world_camera[camera.name]
    T_camera_world = rigid.invert(T_world_camera)
    T_camera_object = T_camera_world @ instant.T_world_object
    number = take.plan.object_class
    texts = {
        "cam_pose": h2o_format.format_pose(T_world_camera),
        "hand_pose": h2o_format.format_hands(rigid.apply(T_camera_world, instant.keypoints)),
        "obj_pose": h2o_format.format_object(number, rigid.apply(T_camera_object, box_points(take.model.size))),
        "obj_pose_RT": h2o_format.format_object_pose(number, T_camera_object),
        "verb_label": h2o_format.format_label(instant.verb),
    }
    if camera.name == EGO_CAMERA:
        texts["action_label"] = h2o_format.format_label(action_number(instant.verb, number))
        texts["text"] = instant.text
    return texts


def meta_of(folder: RecordingFolder, take: Take) -> h2o_format.Meta:
    """meta.json: the names of the recording's numbers, how it was made, and how faulty its motion is."""
    return h2o_format.Meta(
        rate_hz=folder.plan.rate_hz,
        object_name=take.model.name,
        verbs=h2o_format.VERBS,
        actions=tuple(action_names()),
        head=folder.plan.head,
        further={"made_by": plain(folder.settings), "motion_fault_m": round(take.motion_fault, 4)},
    )


def action_names() -> Iterator[str]:
    """Every verb on every object; the names of `action_number`."""
    yield h2o_format.VERBS[0]
    for verb in h2o_format.VERBS[1:]:
        for name in OBJECT_NAMES.values():
            yield f"{verb} {name}"


def action_number(verb: int, object_class: int) -> int:
    """`action_label`; 0 is background."""
    return 0 if verb == 0 else 1 + (verb - 1) * len(OBJECT_NAMES) + object_class - 1


def box_points(size: Float64Array) -> Float64Array:
    """H2O's 21 points of a box of `size` (3,) around the origin: centre, 8 corners, middles of 12 edges; (21, 3)."""
    units = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    edges = [(a + b) / 2 for i, a in enumerate(units) for b in units[i + 1 :] if np.abs(a - b).sum() == 1]
    return np.vstack([np.zeros((1, 3)), units, edges]) * size


def save(path: Path, content: bytes) -> None:
    """Writes a file that is either whole or not there.

    Raises:
        GenEgoError: it cannot be written: the disk is full, the folder read-only.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise GenEgoError(
            f"'{path}' cannot be written ({error.strerror}); mend that and run the same command again: it goes on there"
        ) from error


def plain(settings: Mapping[str, Any]) -> Any:
    """The settings as they come back from JSON."""
    return json.loads(json.dumps(settings))


class Clock:
    """Seconds by step."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        start = self._now()
        yield
        self.seconds[step] = self.seconds.get(step, 0.0) + self._now() - start


def make_renderer(name: str, scene: Scene) -> Renderer:
    """Raises GenEgoError where the renderer or what it needs is missing."""
    if name == "cycles":
        from genego_ros.data.synthetic.cycles import CyclesRenderer

        return CyclesRenderer(scene)
    return RasterRenderer(scene)
