"""Scripted recordings: hands reach for, take, use, pass on and put back one object on a table.

The world is z up with the person at -y looking along +y. What is held is rigid with the hand that holds it, and
otherwise stands on the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from genego_ros.data.synthetic.grasp import Grasp, overlap
from genego_ros.data.synthetic.motion import Poses, Wander, still
from genego_ros.data.synthetic.object_model import ObjectModel
from genego_ros.data.synthetic.play import OBJECT, Hold, Person, Play
from genego_ros.data.synthetic.scene import IndexArray
from genego_ros.data.synthetic.wording import Teller
from genego_ros.geometry import rigid
from genego_ros.types import SIDES, Float64Array

VERBS = (
    "background", "grab", "place", "open", "close", "pour", "take out", "put in", "apply", "read", "spray", "squeeze",
)  # fmt: skip
"""H2O's; the index is the label."""
TRIES = 4
"""Scripts that are written until one is without fault."""
FAULTLESS = 1e-3
"""Metres; see `faults`."""
HEIGHTS = (0.09, 0.2)
"""Metres over the table to which things are lifted."""
HELP = 0.75
"""How often the other hand helps where it can."""


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
    fault: float
    """Metres, see `faults`: 0 where nothing passes through anything and every arm is long enough."""


def script(
    rng: Generator,
    person: Person,
    model: ObjectModel,
    table_height: float,
    frames: int,
    rate_hz: float,
    setting: str = "a table",
) -> Action:
    """What happens in a recording of `frames` frames, at a natural speed whatever the rate.

    Not every script comes out without fault; of `TRIES` the first that does is taken, otherwise the least faulty, and
    `Action.fault` says how faulty that is.

    Args:
        table_height: metres; the table's top is the plane z = table_height.
        setting: the words for the table and where it stands: "a wooden table in a kitchen".
    """
    times = np.arange(frames) / rate_hz
    written = []
    for _ in range(TRIES):
        action = _written(rng, person, model, table_height, times, setting)
        written.append(replace(action, fault=faults(action, person, model, table_height)))
        if written[-1].fault < FAULTLESS:
            break
    return min(written, key=lambda action: action.fault)


def _written(
    rng: Generator, person: Person, model: ObjectModel, table: float, times: Float64Array, setting: str
) -> Action:
    play = Play(rng, person, model, table, Teller.random(rng, f"{model.color} {model.name}", setting))
    length = float(times[-1]) + 0.3
    while play.now < length:
        _cycle(play)
    # A recording starts before the first touch or soon after it, where there is time to spare.
    offset = rng.uniform(0.0, max(0.0, min(play.now - length, 2.5)))
    return _recorded(play, times + offset, offset)


def _cycle(play: Play) -> None:
    """A hand takes the object, does something with it, perhaps with the other hand's help, and puts it back."""
    rng, model = play.rng, play.model
    hand = int(rng.integers(2))
    # The first time the object can still be turned on the table to suit the hand.
    first = not play.holds
    poses = (
        [play.resting(hand, yaw) for yaw in rng.uniform(-np.pi, np.pi, 24)]
        if first
        else play.body(np.array([play.now]))
    )
    found = play.find(hand, np.array(poses), on_table=True)
    if found is None:
        hand = 1 - hand
        found = play.find(hand, np.array(poses), on_table=True)
    if found is None:
        play.shift(hand, play.now)
        play.now += 1.0
        return
    grasp, start = found
    if first:
        play.stand(start)
    verb = str(rng.choice(model.verbs)) if model.verbs and rng.random() < 0.85 else "background"
    play.tell(play.now + 0.1, "background", "reach", hand)
    contact = play.take(hand, grasp, play.now, rng.uniform(0.8, 1.15))
    play.tell(play.now + 0.5 * (contact - play.now), "grab", "grab", hand)
    lifted = contact + 0.1
    end = _wipe(play, hand, start, lifted) if verb == "apply" else _lift(play, hand, start, lifted, verb)
    play.say(end + 0.35, "background", play.teller.resting())
    play.now = end + rng.uniform(0.9, 1.5)


def _lift(play: Play, hand: int, start: Float64Array, lifted: float, verb: str) -> float:
    """The object is lifted, used and put back; returns when it stands."""
    rng, other = play.rng, 1 - hand
    opens = verb == "open" and play.lid is not None
    # Lids are opened low, where the other forearm can come from above.
    poses = play.easy(_around(play, hand, start[:3, :3], 60, (0.03, 0.1) if opens else HEIGHTS), 12)
    found = play.find(other, poses, part=int(opens)) if opens or rng.random() < HELP else None
    pose = poses[0] if found is None else found[1]
    t = play.carry(lifted, rng.uniform(0.75, 1.05), pose)
    if found is None:
        if rng.random() < 0.5:
            play.shift(other, t + rng.uniform(0.0, 0.8))
        t = _use(play, hand, pose, t, verb)
    elif opens:
        t = _open(play, hand, found[0], pose, t)
    elif verb == "read" and play.model.face[2] > 0.5:
        t = _read_flat(play, hand, found[0], pose, t)
    else:
        t = _join(play, other, found[0], t)
        if verb == "background" and rng.random() < 0.6:
            play.tell(t, "background", "pass", hand)
            play.clauses[hand] = f"the {SIDES[hand]} hand lets go"
            t = play.leave(hand, t + 0.15)
            hand = other
            t = _use(play, hand, pose, t, verb)
        else:
            t = _use(play, hand, pose, t, verb)
            t = play.leave(other, t)
    return _put_back(play, hand, start, lifted, t)


def _read_flat(play: Play, hand: int, grasp: Grasp, pose: Float64Array, t: float) -> float:
    """What was taken from above is held by its edge to be read: the hand on its face gives it to the other one and
    takes it back; returns then."""
    other = 1 - hand
    own = play.taken[hand][0]
    t = play.leave(hand, _join(play, other, grasp, t) + 0.1)
    t = _use(play, other, pose, t, "read")
    t = play.carry(t, 0.8, pose) + 0.2
    t = play.take(hand, own, t - 0.3, play.rng.uniform(0.8, 1.0)) + 0.1
    return play.leave(other, t)


def _put_back(play: Play, hand: int, start: Float64Array, lifted: float, t: float) -> float:
    """The object goes back to the table; returns when it stands."""
    rng = play.rng
    candidates = []
    for _ in range(20):
        yaw = Rotation.from_rotvec([0, 0, rng.normal(0, 0.5)]).as_matrix()
        place = play.resting(hand, 0.0)
        candidates.append(rigid.compose(yaw @ start[:3, :3], place[:3, 3]))
    costs = play.person.discomfort(hand, np.array(candidates) @ play.taken[hand][0].T_object_wrist)
    goal = candidates[int(np.argmin(costs))]
    above = goal.copy()
    above[2, 3] += rng.uniform(0.06, 0.1)
    play.tell(t, "place", "place", hand)
    play.carry(t, 0.95, above)
    play.carry(t + 0.8, 0.65, goal)
    play.airborne.append((lifted, t + 1.3))
    play.leave(hand, t + 1.5)
    return t + 1.5


def _join(play: Play, hand: int, grasp: Grasp, t: float) -> float:
    """The other hand takes hold as well; returns when it has."""
    play.looks.append((t - 0.1, hand))
    t = play.take(hand, grasp, t - 0.3, play.rng.uniform(0.75, 1.0)) + 0.1
    play.clauses[hand] = f"the {SIDES[hand]} hand steadies it"
    play.tell(t, "background", "hold", 1 - hand)
    return t


def _open(play: Play, hand: int, grasp: Grasp, pose: Float64Array, t: float) -> float:
    """The other hand takes the lid off and puts it back; returns when it has let go."""
    rng, other = play.rng, 1 - hand
    assert play.lid is not None
    play.clauses[hand] = f"the {SIDES[hand]} hand holds it"
    play.tell(t - 0.2, "open", "open", other)
    t = play.take(other, grasp, t - 0.3, rng.uniform(0.75, 1.0)) + 0.1
    play.looks.append((t, other))
    body = play.object_at
    # The screw's thread, then straight up, then aside; back the same way.
    twist = -rng.uniform(0.5, 0.8) if grasp.grip.turns else 0.0
    loose = rigid.compose(Rotation.from_rotvec([0, 0, -twist]).as_matrix(), [0, 0, 0.004])
    up = rigid.compose(loose[:3, :3], [0, 0, 0.05])
    for at, seconds, where in ((t, 0.7, loose), (t + 0.6, 0.5, up)):
        play.lid.to(at, at + seconds, _on(body, where))
    aside = _aside(play, other, grasp, pose @ up)
    unrest = Wander.random(rng)
    play.lid.to(t + 0.9, t + 1.7, lambda times: still(aside)(times) @ unrest(times, np.full(len(times), 0.7)))
    t += 1.6
    play.clauses[other] = f"the {SIDES[other]} hand holds the lid"
    play.tell(t, "background", "hold", hand)
    play.looks.append((t, OBJECT))
    t = _use(play, hand, pose, t, "pour" if "pour" in play.model.verbs and rng.random() < 0.6 else "background")
    t = play.carry(t, 0.8, pose) + 0.1
    play.clauses[hand] = f"the {SIDES[hand]} hand holds it"
    play.tell(t, "close", "close", other)
    for at, seconds, where in ((t, 0.7, up), (t + 0.55, 0.5, loose), (t + 0.95, 0.7, np.eye(4))):
        play.lid.to(at, at + seconds, _on(body, where))
    return play.leave(other, t + 1.7)


def _aside(play: Play, hand: int, grasp: Grasp, lid: Float64Array) -> Float64Array:
    """Where a hand keeps the lid that it has taken off: to its own side, as is easy for it."""
    poses = []
    for _ in range(30):
        turn = Rotation.from_rotvec(play.rng.normal(0, 0.25, 3)).as_matrix()
        shift = play.rng.uniform([0.1, -0.1, -0.02], [0.16, 0.0, 0.05]) * [2 * hand - 1, 1, 1]
        poses.append(rigid.compose(turn @ lid[:3, :3], lid[:3, 3] + shift))
    costs = play.person.discomfort(hand, np.array(poses) @ grasp.T_object_wrist)
    return poses[int(np.argmin(costs))]


def _on(body: Poses, where: Float64Array) -> Poses:
    return lambda times: body(times) @ where


def _use(play: Play, hand: int, pose: Float64Array, t: float, verb: str) -> float:
    """The lifted object is used; returns when that is over."""
    rng = play.rng
    begin = t
    if verb == "pour":
        tilted = play.easy(_tilted(play, pose, 1.2, 1.9), 1)[0]
        play.tell(t, "pour", "pour", hand)
        t = play.carry(t, rng.uniform(0.8, 1.1), tilted) + rng.uniform(0.5, 1.2)
        return play.carry(t, rng.uniform(0.7, 0.9), pose)
    if verb == "read":
        play.tell(t, "read", "read", hand)
        return play.carry(t, rng.uniform(0.8, 1.1), play.easy(_faced(play, pose), 1)[0]) + rng.uniform(1.0, 2.0)
    if verb in ("spray", "squeeze"):
        play.tell(t, verb, verb, hand)
        least, most = (0.1, 0.5) if verb == "spray" else (1.6, 2.5)
        aimed = play.easy(_tilted(play, pose, least, most), 1)[0]
        t = play.carry(t, 0.9, aimed)
        for _ in range(int(rng.integers(2, 5))):
            pushed = aimed.copy()
            pushed[:3, 3] += rng.normal(0, 0.012, 3)
            t = play.carry(t, rng.uniform(0.35, 0.5), pushed)
        return t + 0.2
    play.tell(t, "background", str(rng.choice(["hold", "turn"])), hand)
    for _ in range(int(rng.integers(1, 4))):
        there = play.easy(_around(play, hand, pose[:3, :3], 40), 1)[0]
        t = play.carry(t, rng.uniform(0.8, 1.2), there) + rng.uniform(0.0, 0.5)
    return max(t, begin + 0.8)


def _wipe(play: Play, hand: int, start: Float64Array, t: float) -> float:
    """Strokes on the table; returns when they are over and the hand leaves."""
    rng = play.rng
    play.tell(t, "apply", "apply", hand)
    for _ in range(int(rng.integers(4, 9))):
        pose = start.copy()
        pose[:2, 3] += rng.uniform([-0.07, -0.04], [0.07, 0.06])
        t = play.carry(t, rng.uniform(0.45, 0.65), pose)
    t += 0.2
    play.leave(hand, t)
    return t


def _around(
    play: Play, hand: int, rotation: Float64Array, count: int, heights: tuple[float, float] = HEIGHTS
) -> list[Float64Array]:
    """Poses between chest and table, upright but for a little."""
    rng, chest = play.rng, play.person.chest
    poses = []
    for _ in range(count):
        turn = Rotation.from_rotvec([rng.normal(0, 0.2), rng.normal(0, 0.2), rng.uniform(-1.0, 1.0)])
        x = chest[0] + (2 * hand - 1) * rng.uniform(-0.04, 0.12)
        y = chest[1] + rng.uniform(0.26, 0.4)
        middle = play.table + rng.uniform(*heights) + play.model.size[2] / 2
        poses.append(rigid.compose(turn.as_matrix() @ rotation, [x, y, middle]))
    return poses


def _tilted(play: Play, pose: Float64Array, least: float, most: float) -> list[Float64Array]:
    """The pose tilted over some horizontal axis by radians."""
    poses = []
    for azimuth in play.rng.uniform(-np.pi, np.pi, 40):
        axis = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        turn = Rotation.from_rotvec(axis * play.rng.uniform(least, most)).as_matrix()
        shift = play.rng.uniform([-0.05, -0.04, 0.0], [0.05, 0.04, 0.06])
        poses.append(rigid.compose(turn @ pose[:3, :3], pose[:3, 3] + shift))
    return poses


def _faced(play: Play, pose: Float64Array) -> list[Float64Array]:
    """The object with its face more or less towards the eyes."""
    eyes = play.person.chest + np.array([0.0, 0.12, 0.3])
    poses = []
    for _ in range(40):
        where = pose[:3, 3] + play.rng.uniform([-0.06, -0.08, 0.0], [0.06, 0.0, 0.06])
        face, wanted = pose[:3, :3] @ play.model.face, (eyes - where) / np.linalg.norm(eyes - where)
        axis = np.cross(face, wanted)
        angle = np.arctan2(np.linalg.norm(axis), face @ wanted) * play.rng.uniform(0.5, 1.0)
        turn = Rotation.from_rotvec(axis / max(float(np.linalg.norm(axis)), 1e-6) * angle)
        roll = Rotation.from_rotvec(wanted * play.rng.normal(0, 0.3))
        poses.append(rigid.compose((roll * turn).as_matrix() @ pose[:3, :3], where))
    return poses


def _recorded(play: Play, times: Float64Array, offset: float) -> Action:
    """The script at the frames' times."""
    body = play.object_at(times)
    parts = [body] + ([play.lid(times)] if play.lid else [])
    wrists = np.stack([course(times) for course in play.hands], axis=1)
    verb = np.array([VERBS.index(name) for name in _latest(play.verbs, times)], np.int32)
    return Action(
        wrists,
        np.stack([angles(times) for angles in play.fingers], axis=1),
        body,
        np.stack(parts, axis=1),
        _gaze(play, times),
        _lean(play.person, wrists, times),
        verb,
        tuple(_latest(play.sentences, times)),
        tuple(replace(hold, start=hold.start - offset, end=hold.end - offset) for hold in play.holds),
        fault=np.nan,  # not looked for yet
    )


def _latest(events: list[tuple[float, str]], times: Float64Array) -> list[str]:
    """What was last said before each time."""
    events = sorted(events, key=lambda event: event[0])
    index = np.searchsorted([at for at, _ in events], times, side="right") - 1
    return [events[k][1] for k in index]


def _gaze(play: Play, times: Float64Array) -> Float64Array:
    """The eyes are where the deed is, a moment before the hands, with a glance elsewhere now and then; the head's lag
    smooths it."""
    step = 0.05
    dense = np.arange(times[0] - 1.0, times[-1] + 1.0, step)
    left, right = (course(dense)[:, :3, 3] for course in play.hands)
    targets = np.stack([left, right, play.object_at(dense)[:, :3, 3]])
    looks = sorted(play.looks)
    which = np.array([who for _, who in looks])[np.searchsorted([at for at, _ in looks], dense, side="right") - 1]
    point = targets[which, np.arange(len(dense))]
    at = dense[0]
    while (at := at + play.rng.exponential(3.0)) < dense[-1]:
        glance = (dense > at) & (dense < at + play.rng.uniform(0.3, 0.7))
        point[glance] += play.rng.normal(0, [0.12, 0.1, 0.05])
    smooth = gaussian_filter1d(point, 0.16 / step, axis=0, mode="nearest")
    return np.stack([np.interp(times, dense, smooth[:, k]) for k in range(3)], axis=1)


def _lean(person: Person, wrists: Float64Array, times: Float64Array) -> Float64Array:
    """The trunk follows what the arms cannot reach with ease."""
    reach = np.linalg.norm(wrists[:, :, :3, 3] - person.shoulders, axis=-1).max(axis=1)
    wanted = 0.08 + np.clip(1.2 * (reach - 0.75 * person.arm), 0.0, 0.35)
    rate = 1.0 / (times[1] - times[0]) if len(times) > 1 else 1.0
    return np.asarray(gaussian_filter1d(wanted, 0.4 * rate, mode="nearest"))


def faults(action: Action, person: Person, model: ObjectModel, table_height: float) -> float:
    """Metres, summed over up to fifty frames, by which hands pass through the table, each other or the object more
    than they may, or arms would have to be longer."""
    fault = 0.0
    for n in np.linspace(0, len(action.wrists) - 1, min(len(action.wrists), 50)).astype(int):
        skins = []
        for hand, rig in enumerate(person.rigs):
            skin, _ = rig.pose(action.fingers[n, hand])
            skins.append(rigid.apply(action.wrists[n, hand], skin.astype(np.float64)))
            fault += max(0.0, table_height - 0.003 - float(skins[hand][:, 2].min()))
            reach = np.linalg.norm(action.wrists[n, hand, :3, 3] - person.shoulders[hand])
            fault += max(0.0, float(reach) - person.arm)
        fault += max(0.0, overlap(skins[0], skins[1], person.rigs[1].faces) - 0.003)
        for part, T in zip(model.parts, action.T_world_parts[n], strict=True):
            inside = part.distance(rigid.apply(rigid.invert(T), np.concatenate(skins)))
            fault += max(0.0, -0.01 - float(inside.min()))
    return fault
