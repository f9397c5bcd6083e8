"""Scripted recordings: hands reach, take, use, pass on and put back one object on a table.

The world is z up with the person at -y looking along +y. What is held is rigid with the hand that holds it, and
otherwise stands on the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from genego_ros.data.synthetic import grasp as grasping
from genego_ros.data.synthetic.grasp import Grasp
from genego_ros.data.synthetic.hand_rig import HandRig
from genego_ros.data.synthetic.motion import Angles, Course, Poses, Wander, discomfort, minimum_jerk, still
from genego_ros.data.synthetic.object_model import Grip, ObjectModel
from genego_ros.data.synthetic.scene import IndexArray
from genego_ros.data.synthetic.wording import Teller
from genego_ros.geometry import rigid
from genego_ros.types import SIDES, Float64Array

VERBS = (
    "background", "grab", "place", "open", "close", "pour", "take out", "put in", "apply", "read", "spray", "squeeze",
)  # fmt: skip
"""H2O's; the index is the label."""
RELAXED = np.array([0.1, 0.3, 0.15, 0.2] + [0.0, 0.3, 0.4, 0.25] + [0.0, 0.36, 0.45, 0.3] * 2 + [0.0, 0.4, 0.5, 0.3])
OTHERWISE = 1.5
"""Discomfort above which an arm does not do it where there is another way."""
TRIES = 4


@dataclass(frozen=True)
class Hold:
    """A hand holds a part of the object for a while."""

    hand: int
    """0 is the left hand, 1 the right one."""
    grasp: Grasp
    start: float
    """Seconds from the first frame, as is `end`; may lie before it."""
    end: float


@dataclass(frozen=True)
class Action:
    """What hands and object do in a recording, frame by frame; N frames, P parts of the object."""

    wrists: Float64Array
    """float64 (N, 2, 4, 4), T_world_wrist, left and right."""
    fingers: Float64Array
    """float64 (N, 2, 20), radians, as `HandRig.pose` takes them."""
    T_world_object: Float64Array
    """float64 (N, 4, 4)."""
    T_world_parts: Float64Array
    """float64 (N, P, 4, 4): places the meshes of each part; the first is `T_world_object`."""
    gaze: Float64Array
    """float64 (N, 3), metres, world: what the eyes are on."""
    lean: Float64Array
    """float64 (N,), radians by which the trunk leans forward."""
    verb: IndexArray
    """int32 (N,): index in `VERBS`."""
    descriptions: tuple[str, ...]
    """N sentences."""
    holds: tuple[Hold, ...]


@dataclass(frozen=True)
class Person:
    """What a script must know of the person."""

    rigs: tuple[HandRig, HandRig]
    """Left, right."""
    shoulders: Float64Array
    """float64 (2, 3), metres, world: left, right, as the person sits and leans forward a little."""
    arm: float
    """Metres from the shoulder to the wrist of a straight arm."""

    def discomfort(self, hand: int, T_world_wrist: Float64Array) -> Float64Array:
        """See `motion.discomfort`; T (N, 4, 4) to (N,)."""
        return discomfort(T_world_wrist, 2.0 * hand - 1.0, self.shoulders[hand], self.arm)


@dataclass
class _Play:
    """A script as it is written: courses that grow as deeds are added."""

    rng: Generator
    person: Person
    model: ObjectModel
    table: float
    body: Course
    lid: Course | None
    hands: tuple[Course, Course]
    fingers: tuple[Angles, Angles]
    teller: Teller
    wander: Wander
    now: float = 0.0
    airborne: list[tuple[float, float]] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    verbs: list[tuple[float, str]] = field(default_factory=list)
    sentences: list[tuple[float, str]] = field(default_factory=list)
    looks: list[tuple[float, int]] = field(default_factory=list)
    """From when on the eyes are on the object (-1) or a hand (0, 1)."""
    relative: dict[int, Course] = field(default_factory=dict)
    """How each hand that is at the object stands to it."""
    guesses: dict[tuple[int, int], Float64Array] = field(default_factory=dict)

    def object_at(self, times: Float64Array) -> Float64Array:
        share = np.zeros(len(times))
        for up, down in self.airborne:
            share += minimum_jerk(times, up, up + 0.5) * (1 - minimum_jerk(times, down - 0.5, down))
        return self.body(times) @ self.wander(times, share)


def script(
    rng: Generator,
    person: Person,
    model: ObjectModel,
    table_height: float,
    frames: int,
    rate_hz: float,
    setting: str = "a table",
) -> Action:
    """A recording of `frames` frames.

    Args:
        table_height: metres; the table's top is the plane z = table_height.
        setting: the words for the table and where it stands: "a wooden table in a kitchen".
    """
    times = np.arange(frames) / rate_hz
    best, least = None, np.inf
    for _ in range(TRIES):
        action = _written(rng, person, model, table_height, times, setting)
        fault = _faults(action, person, model, table_height)
        if fault < least:
            best, least = action, fault
        if fault == 0.0:
            break
    assert best is not None
    return best


def _written(
    rng: Generator, person: Person, model: ObjectModel, table: float, times: Float64Array, setting: str
) -> Action:
    play = _opened(rng, person, model, table, setting)
    length = times[-1] + 0.3
    while play.now < length:
        _cycle(play, length)
    # A recording starts anywhere before the first touch, or amid the deed where there is time to spare.
    offset = rng.uniform(0.0, max(0.0, min(play.now - length, 1.2)))
    return _recorded(play, times + offset, offset)


def _opened(rng: Generator, person: Person, model: ObjectModel, table: float, setting: str) -> _Play:
    place = _resting(rng, person, model, table, int(rng.integers(2)), rng.uniform(-np.pi, np.pi))
    body = Course(still(place))
    hands, fingers = [], []
    for hand in range(2):
        T, angles = _idle(rng, person, hand, table, place[:3, 3])
        hands.append(Course(_uneasy(still(T), Wander.random(rng))))
        fingers.append(Angles(angles))
    teller = Teller.random(rng, f"{model.color} {model.name}", setting)
    play = _Play(
        rng,
        person,
        model,
        table,
        body,
        None,
        (hands[0], hands[1]),
        (fingers[0], fingers[1]),
        teller,
        Wander.random(rng),
    )
    if len(model.parts) > 1:
        play.lid = Course(play.object_at)
    play.verbs.append((-1.0, "background"))
    play.sentences.append((-1.0, teller.resting()))
    play.looks.append((-1.0, -1))
    play.now = rng.uniform(0.1, 0.7)
    return play


def _uneasy(course: Poses, wander: Wander) -> Poses:
    return lambda times: course(times) @ wander(times, np.full(len(times), 0.6))


def _resting(rng: Generator, person: Person, model: ObjectModel, table: float, hand: int, yaw: float) -> Float64Array:
    """A pose on the table in easy reach of a hand."""
    chest = person.shoulders.mean(axis=0)
    side = 2 * hand - 1
    x = chest[0] + side * rng.uniform(-0.02, 0.14)
    y = chest[1] + rng.uniform(0.29, 0.42)
    return rigid.compose(Rotation.from_rotvec([0, 0, yaw]).as_matrix(), [x, y, table - model.base])


def _idle(
    rng: Generator, person: Person, hand: int, table: float, place: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Wrist pose and angles of a hand that has nothing to do: it lies on the table or hovers above it."""
    side = 2.0 * hand - 1
    angles = RELAXED * rng.uniform(0.5, 1.3) + rng.normal(0, 0.04, 20)
    inward = rng.uniform(0.1, 0.7)
    y = np.array([-side * np.sin(inward), np.cos(inward), 0.0])
    z = np.array([0.0, 0.0, -side])
    rotation = np.stack([np.cross(y, z), y, z], axis=1)
    # The thumb's side a little up, the fingers a little down.
    rotation = rotation @ Rotation.from_rotvec([side * rng.uniform(-0.15, 0.05), rng.uniform(0.05, 0.5), 0]).as_matrix()
    chest = person.shoulders.mean(axis=0)
    x = chest[0] + side * rng.uniform(0.17, 0.26)
    if abs(x - place[0]) < 0.17:
        x = place[0] + side * 0.19
    skin, _ = person.rigs[hand].pose(angles)
    lowest = float((skin.astype(np.float64) @ rotation.T)[:, 2].min())
    hover = 0.001 if rng.random() < 0.65 else rng.uniform(0.02, 0.08)
    position = [x, chest[1] + rng.uniform(0.2, 0.3), table + hover + 0.002 - lowest]
    return rigid.compose(rotation, position), angles


def _offers(play: _Play, hand: int, poses: Float64Array, part: int, on_table: bool) -> list[tuple[float, int, Grip]]:
    """Grips for a hand, easiest first: discomfort, index of the object's pose (K, 4, 4), grip."""
    rig = play.person.rigs[hand]
    offers = []
    for index, grip in enumerate(play.model.grips):
        if grip.part != part or (on_table and not grip.table) or SIDES[hand] not in grip.sides:
            continue
        if (hand, index) not in play.guesses:
            play.guesses[hand, index] = grasping.first_guess(rig, grip)
        guess = play.guesses[hand, index]
        for yaw in np.arange(0, 2 * np.pi, np.pi / 9) if grip.turns else [0.0]:
            turn = rigid.compose(Rotation.from_rotvec([0, 0, yaw]).as_matrix(), np.zeros(3))
            costs = play.person.discomfort(hand, poses @ turn @ guess)
            turned = grip.turned(yaw) if yaw else grip
            offers += [(float(cost), k, turned) for k, cost in enumerate(costs)]
    # A different choice in every recording among those that are easy.
    order = np.argsort([cost + play.rng.exponential(0.4) for cost, _, _ in offers], kind="stable")
    return [offers[k] for k in order]


def _found(
    play: _Play, hand: int, offers: list[tuple[float, int, Grip]], poses: Float64Array, others: Float64Array | None
) -> tuple[Grasp, int] | None:
    """The first grasp among the easiest offers that holds and that the arm does not mind, and its pose's index."""
    for cost, k, grip in offers[:3]:
        if cost > 2 * OTHERWISE:
            break
        grasp = grasping.find_grasp(play.person.rigs[hand], play.model, grip, play.rng, others)
        if grasp.holds and play.person.discomfort(hand, poses[k : k + 1] @ grasp.T_object_wrist)[0] < 3 * OTHERWISE:
            return grasp, k
    return None


def _cycle(play: _Play, length: float) -> None:
    """A hand takes the object, does something with it, perhaps with the other hand's help, and puts it back."""
    rng = play.rng
    hand = int(rng.integers(2))
    here = play.body(np.array([play.now]))
    first = not play.holds
    # The first time the object can still be turned on the table to suit the hand.
    poses = here
    if first:
        poses = np.array(
            [_resting(rng, play.person, play.model, play.table, hand, yaw) for yaw in rng.uniform(-np.pi, np.pi, 24)]
        )
    found = None
    for hand in (hand, 1 - hand):
        found = _found(play, hand, _offers(play, hand, poses, 0, on_table=True), poses, None)
        if found:
            break
    if found is None:
        play.now += 0.5
        return
    grasp, k = found
    if first:
        play.body.first = still(poses[k])
    side = SIDES[hand]
    t = play.now
    contact = _take(play, hand, grasp, t, rng.uniform(0.8, 1.15))
    play.verbs.append((t + 0.3, "grab"))
    idle = f"the {SIDES[1 - hand]} hand rests on the table"
    play.sentences.append((t + 0.2, play.teller.says("reach", side, idle)))
    play.looks.append((t - 0.2, -1))
    play.sentences.append((contact, play.teller.says("grab", side, idle)))
    lifted = contact + 0.1
    t = lifted
    for pose in _held_poses(play, hand, grasp, poses[k], int(rng.integers(1, 4))):
        seconds = rng.uniform(0.7, 1.0)
        play.body.to(t, t + seconds, still(pose))
        t += seconds * 0.8 + rng.uniform(0.2, 0.6)
        if len(play.body.legs) and t - lifted > 0.7:
            play.verbs.append((t, "background"))
            play.sentences.append((t, play.teller.says("hold", side, idle)))
    goal = _resting(rng, play.person, play.model, play.table, hand, 0.0)
    goal[:3, :3] = poses[k][:3, :3]
    above = goal.copy()
    above[2, 3] += rng.uniform(0.06, 0.1)
    play.verbs.append((t, "place"))
    play.sentences.append((t, play.teller.says("place", side, idle)))
    play.body.to(t, t + 0.9, still(above))
    play.body.to(t + 0.75, t + 1.4, still(goal))
    play.airborne.append((lifted, t + 1.2))
    end = t + 1.45
    _leave(play, hand, grasp, contact, end, goal[:3, 3])
    play.verbs.append((end + 0.3, "background"))
    play.sentences.append((end + 0.3, play.teller.resting()))
    play.now = end + rng.uniform(0.6, 1.2)


def _take(play: _Play, hand: int, grasp: Grasp, start: float, seconds: float) -> float:
    """A hand reaches and closes; returns when it holds."""
    contact = start + seconds
    before = rigid.compose(np.eye(3), -0.07 * grasp.grip.approach + [0, 0, 0.015]) @ grasp.T_object_wrist
    relative = Course(still(before))
    relative.to(start + 0.55 * seconds, contact, still(grasp.T_object_wrist))
    course = _carried(play, relative)
    play.hands[hand].to(start, start + 0.85 * seconds, course, 0.02)
    play.fingers[hand].to(start, start + 0.6 * seconds, grasp.opened(1.0))
    play.fingers[hand].to(start + 0.6 * seconds, contact, grasp.angles)
    play.relative[hand] = relative
    return contact


def _carried(play: _Play, relative: Course) -> Poses:
    return lambda times: play.object_at(times) @ relative(times)


def _leave(play: _Play, hand: int, grasp: Grasp, contact: float, end: float, place: Float64Array) -> None:
    """The hand opens, backs off and goes to rest."""
    away = rigid.compose(np.eye(3), -0.09 * grasp.grip.approach + [0, 0, 0.02]) @ grasp.T_object_wrist
    play.relative[hand].to(end, end + 0.7, still(away))
    play.fingers[hand].to(end - 0.05, end + 0.4, grasp.opened(0.8))
    T, angles = _idle(play.rng, play.person, hand, play.table, place)
    play.hands[hand].to(end + 0.25, end + 1.2, _uneasy(still(T), Wander.random(play.rng)), 0.02)
    play.fingers[hand].to(end + 0.4, end + 1.2, angles)
    play.holds.append(Hold(hand, grasp, contact, end - 0.05))


def _held_poses(play: _Play, hand: int, grasp: Grasp, start: Float64Array, count: int) -> list[Float64Array]:
    """Where the held object goes: comfortable for the hand, between chest and table."""
    rng = play.rng
    chest = play.person.shoulders.mean(axis=0)
    side = 2 * hand - 1
    poses = []
    for _ in range(count):
        candidates = []
        for _ in range(40):
            turn = Rotation.from_rotvec([rng.normal(0, 0.25), rng.normal(0, 0.25), rng.uniform(-1.0, 1.0)])
            position = [
                chest[0] + side * rng.uniform(-0.05, 0.12),
                chest[1] + rng.uniform(0.26, 0.42),
                play.table + rng.uniform(0.16, 0.26),
            ]
            candidates.append(rigid.compose(turn.as_matrix() @ start[:3, :3], position))
        costs = play.person.discomfort(hand, np.array(candidates) @ grasp.T_object_wrist)
        poses.append(candidates[int(np.argmin(costs + rng.exponential(0.3, len(costs))))])
    return poses


def _recorded(play: _Play, times: Float64Array, offset: float) -> Action:
    """The script at the frames' times."""
    body = play.object_at(times)
    parts = [body] + ([play.lid(times)] if play.lid else [])
    wrists = np.stack([course(times) for course in play.hands], axis=1)
    fingers = np.stack([angles(times) for angles in play.fingers], axis=1)
    names = _latest(play.verbs, times)
    verb = np.array([VERBS.index(str(name)) for name in names], np.int32)
    holds = tuple(Hold(h.hand, h.grasp, h.start - offset, h.end - offset) for h in play.holds)
    return Action(
        wrists,
        fingers,
        body,
        np.stack(parts, axis=1),
        _gaze(play, times),
        _lean(play, wrists, times),
        verb,
        tuple(_latest(play.sentences, times)),
        holds,
    )


def _latest(events: list[tuple[float, str]], times: Float64Array) -> list[str]:
    """What was last said before each time."""
    events = sorted(events, key=lambda event: event[0])
    index = np.searchsorted([at for at, _ in events], times, side="right") - 1
    return [events[k][1] for k in index]


def _gaze(play: _Play, times: Float64Array) -> Float64Array:
    """The eyes are where the deed is, a moment before the hands and never quite still."""
    step = 0.05
    dense = np.arange(times[0] - 1.0, times[-1] + 1.0, step)
    targets = np.stack(
        [play.hands[0](dense)[:, :3, 3], play.hands[1](dense)[:, :3, 3], play.object_at(dense)[:, :3, 3]]
    )
    looks = sorted(play.looks)
    which = np.array([who for _, who in looks])[np.searchsorted([at for at, _ in looks], dense, side="right") - 1]
    point = targets[which, np.arange(len(dense))]
    at = dense[0]
    while (at := at + play.rng.exponential(3.0)) < dense[-1]:
        glance = (dense > at) & (dense < at + play.rng.uniform(0.3, 0.7))
        point[glance] += play.rng.normal(0, [0.12, 0.1, 0.05])
    smooth = gaussian_filter1d(point, 0.16 / step, axis=0, mode="nearest")
    return np.stack([np.interp(times, dense, smooth[:, k]) for k in range(3)], axis=1)


def _lean(play: _Play, wrists: Float64Array, times: Float64Array) -> Float64Array:
    """The trunk follows what the arms cannot reach with ease."""
    reach = np.linalg.norm(wrists[:, :, :3, 3] - play.person.shoulders, axis=-1).max(axis=1)
    wanted = 0.08 + np.clip(1.2 * (reach - 0.75 * play.person.arm), 0.0, 0.35)
    rate = 1.0 / (times[1] - times[0]) if len(times) > 1 else 1.0
    return gaussian_filter1d(wanted, 0.4 * rate, mode="nearest")


def _faults(action: Action, person: Person, model: ObjectModel, table: float) -> float:
    """Metres by which hands pass through the table, each other or the object, or the object through the table."""
    frames = np.linspace(0, len(action.wrists) - 1, min(len(action.wrists), 50)).astype(int)
    fault = 0.0
    for n in frames:
        skins = []
        for hand in range(2):
            skin, _ = person.rigs[hand].pose(action.fingers[n, hand])
            skins.append(rigid.apply(action.wrists[n, hand], skin.astype(np.float64)))
            fault += max(0.0, table - 0.003 - float(skins[hand][:, 2].min()))
        gap = np.linalg.norm(skins[0][::8, None] - skins[1][None, ::8], axis=-1).min()
        fault += max(0.0, 0.006 - float(gap))
        inside = model.distance(rigid.apply(rigid.invert(action.T_world_object[n]), np.concatenate(skins)))
        fault += max(0.0, -0.01 - float(inside.min()))
    return fault
