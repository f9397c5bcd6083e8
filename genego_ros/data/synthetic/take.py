"""Everything that a recording shows, before it is drawn: person, room, object, what happens, cameras.

Every part draws its chances from a stream of its own, named by what it depends on: the same subject is the same
person in every room, and the same scene the same room for every person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from genego_ros.data.h2o_format import EGO_CAMERA
from genego_ros.data.synthetic import action
from genego_ros.data.synthetic.body import Body, Person, Posed, Posture
from genego_ros.data.synthetic.clutter import Disc, clutter
from genego_ros.data.synthetic.light import LUMINANCE
from genego_ros.data.synthetic.objects import make_object
from genego_ros.data.synthetic.recipe import RecordingPlan, RendererName
from genego_ros.data.synthetic.rig import ego_mount, make_rig
from genego_ros.data.synthetic.room import Room, chair_meshes, make_room
from genego_ros.data.synthetic.scene import Moment, RecordingCamera, Scene
from genego_ros.data.synthetic.sensor import random_sensor
from genego_ros.errors import GenEgoError
from genego_ros.types import Float64Array

FROM_TABLE = (0.1, 0.18)
"""Metres from the table's edge to a sitting person's hip joints."""
LEAN = 0.15
"""Radians by which people lean over their work, about; motion is planned for shoulders there."""
LOOKS = 9
"""Moments of a recording at which it is looked up where the person is."""
TAKES = 6
"""Motions that are tried until the cameras have places from where they see it."""
METER: dict[RendererName, float] = {"raster": 1.0, "cycles": 1.3}
"""Path tracing lets walls keep the surroundings' light out, which leaves about three quarters of it."""
GREY = 0.3
"""Reflectance that meters take for the middle; they stop half way to it, as people set them."""
SKIN_SHARE = 0.6
"""Weight of the person's skin against the room in what is metered: cameras look for people."""
METERED = (0.8, 2.2)
"""Factors on the exposure that shows white paper just below white."""
ABOVE_TABLE = 0.15
"""Metres above the table below which what moves needs a free place on it."""
GRID = 0.06
"""Metres between the places that are kept free."""


@dataclass(frozen=True)
class Instant:
    """One frame of a take."""

    moment: Moment
    keypoints: Float64Array
    """float64 (2, 21, 3): left, right; metres, world."""
    T_world_object: Float64Array
    """float64 (4, 4)."""
    verb: int
    text: str


def stream(plan: RecordingPlan, *names: object) -> np.random.Generator:
    """Chances that depend on the data set's seed and on these names alone."""
    return np.random.default_rng([plan.seed, *"/".join(map(str, names)).encode()])


class Take:
    """A recording that is ready to be drawn.

    Args:
        plan: what it is.
        size: width and height of the pictures, pixels.
    """

    def __init__(self, plan: RecordingPlan, size: tuple[int, int]) -> None:
        self.plan = plan
        name = plan.sequence
        self._body = Body(Person.random(stream(plan, "person", plan.subject)))
        self._mount = ego_mount(stream(plan, "mount", plan.subject))
        self.model = make_object(plan.object_class, stream(plan, name, "object"))
        room = make_room(stream(plan, "room", plan.scene))
        front = room.table.outline[:, 1].min() - stream(plan, name, "seat").uniform(*FROM_TABLE)
        self._seat = np.array([0.0, front])
        self._names = [tuple(mesh.name for mesh in part.meshes) for part in self.model.parts]
        self._recent: dict[int, Instant] = {}
        for attempt in range(TAKES):
            try:
                self._action = self._play(room, attempt)
                self._set_up(room, size)
                return
            except GenEgoError as error:
                # What is done there hides from every camera; something else is done instead.
                failure = error
        raise GenEgoError(f"recording {name} cannot be staged: {failure}")

    @property
    def motion_fault(self) -> float:
        """Metres by which the motion could not be made without fault; see `action.Action.fault`."""
        return self._action.fault

    def instant(self, frame: int) -> Instant:
        """Where everything is at a frame of the motion; the same object again for a frame just asked for, by which
        renderers know what they have drawn."""
        if frame not in self._recent:
            self._recent = {**dict(list(self._recent.items())[-1:]), frame: self._instant(frame)}
        return self._recent[frame]

    def _instant(self, frame: int) -> Instant:
        posed = self._posed(frame)
        cameras = {**self._standing, EGO_CAMERA: posed.T_world_eyes @ self._mount}
        placed = {
            name: T for names, T in zip(self._names, self._action.T_world_parts[frame], strict=True) for name in names
        }
        return Instant(
            Moment(cameras, placed, posed.vertices),
            posed.keypoints,
            self._action.T_world_object[frame],
            int(self._action.verb[frame]),
            self._action.descriptions[frame],
        )

    def _play(self, room: Room, attempt: int) -> action.Action:
        plan, body = self.plan, self._body
        person = action.Person(
            (body.hand_rig("left"), body.hand_rig("right")), body.shoulders(self._seat, lean=LEAN), body.arm_length
        )
        rng = stream(plan, plan.sequence, "action", attempt)
        return action.script(rng, person, self.model, room.table_height, plan.length, plan.rate_hz, room.words)

    def _posed(self, frame: int) -> Posed:
        act = self._action
        return self._body.pose(
            Posture(act.wrists[frame], act.fingers[frame], act.gaze[frame], self._seat, True, float(act.lean[frame]))
        )

    def _set_up(self, room: Room, size: tuple[int, int]) -> None:
        """Cameras around the work, and clutter where nobody moves."""
        plan = self.plan
        looks = np.unique(np.linspace(0, plan.length - 1, LOOKS).round().astype(int))
        posed = [self._posed(frame) for frame in looks]
        hands = np.concatenate([moment.keypoints.reshape(-1, 3) for moment in posed])
        eyes = np.array([moment.T_world_eyes[:3, 3] for moment in posed])
        rig = make_rig(stream(plan, plan.sequence, "cameras"), hands.mean(axis=0), eyes, plan.head, size, random_sensor)
        self._standing = {name: T for name, T in rig.T_world_camera.items() if name in plan.cameras}
        exposure = metered(room, self._body.person) * METER[plan.renderer]
        cameras = tuple(_set(camera, exposure, plan) for camera in rig.cameras if camera.name in plan.cameras)
        views = [T[:3, 3] for T in self._standing.values()]
        things = clutter(stream(plan, plan.sequence, "clutter"), room, self._busy(posed, looks, room), views)
        chair = chair_meshes(stream(plan, "chair", plan.scene), room, (float(self._seat[0]), float(self._seat[1])))
        meshes = (*room.meshes, *chair, *things, *self.model.meshes, *self._body.meshes)
        self.scene = Scene(meshes, room.environment, room.lights, cameras)

    def _busy(self, posed: list[Posed], looks: np.ndarray, room: Room) -> list[Disc]:
        """Where arms and the object are just above the table, some time: x, y, radius, metres."""
        low = [np.concatenate(list(moment.vertices.values())) for moment in posed]
        for frame in looks:
            corners = self._action.T_world_object[frame][:3, :3] @ (self.model.size[:, None] / 2 * _CORNERS)
            low.append((self._action.T_world_object[frame][:3, 3:] + corners).T)
        points = np.concatenate(low)
        points = points[(points[:, 2] < room.table_height + ABOVE_TABLE) & (points[:, 2] > room.table_height - 0.05)]
        places = np.unique(np.round(points[:, :2] / GRID), axis=0) * GRID
        return [(float(x), float(y), GRID) for x, y in places]


_CORNERS = np.array([[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 1)], np.float64).T


def metered(room: Room, person: Person) -> float:
    """The factor for `Sensor.exposure` that a camera chooses which meters the room and the person in it.

    It goes by the logarithmic mean of both, so that dark hands are seen before a white table, too, which then loses
    some of its highlights, and more on a dark one.
    """
    seen = room.reflectance ** (1 - SKIN_SHARE) * float(np.dot(person.skin, LUMINANCE)) ** SKIN_SHARE
    return float(np.clip(np.sqrt(GREY / seen), *METERED)) / room.irradiance


def _set(camera: RecordingCamera, exposure: float, plan: RecordingPlan) -> RecordingCamera:
    """With the exposure that was metered; the shutter's times are those of 30 frames a second at any rate."""
    sensor = camera.sensor
    shutter = min(sensor.shutter * plan.rate_hz / 30, 1.0)
    return replace(camera, sensor=replace(sensor, exposure=sensor.exposure * exposure, shutter=shutter))
