"""A script while it is written: the courses of hands and object, to which deeds are added one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from genego_ros.data.synthetic import grasp as grasping
from genego_ros.data.synthetic.grasp import Grasp
from genego_ros.data.synthetic.hand_rig import HandRig
from genego_ros.data.synthetic.motion import Angles, Course, Poses, Wander, discomfort, minimum_jerk, still
from genego_ros.data.synthetic.object_model import Grip, ObjectModel
from genego_ros.data.synthetic.wording import Teller
from genego_ros.geometry import rigid
from genego_ros.types import SIDES, Float64Array

RELAXED = np.array([0.1, 0.3, 0.15, 0.2] + [0.0, 0.3, 0.4, 0.25] + [0.0, 0.36, 0.45, 0.3] * 2 + [0.0, 0.4, 0.5, 0.3])
"""Angles (20,) of a hand that does nothing."""
PALM = np.array([0.0, 0.09, 0.0])
"""About the middle of a hand, wrist frame, metres."""
EASY = 3.0
"""Discomfort up to which an arm takes hold of something."""
SLANTS = (-0.7, -0.35, 0.0, 0.35, 0.7)
"""Radians by which a grip may be slanted for the arm's comfort."""
OBJECT = -1
"""Where eyes are that are on the object and not on a hand (0, 1)."""


@dataclass(frozen=True)
class Person:
    """What a script must know of the person."""

    rigs: tuple[HandRig, HandRig]
    """Left, right."""
    shoulders: Float64Array
    """float64 (2, 3), metres, world: left, right, of the person sitting at the table."""
    arm: float
    """Metres from the shoulder to the wrist of a straight arm."""

    @property
    def chest(self) -> Float64Array:
        """float64 (3,), metres, world: between the shoulders."""
        return np.asarray(self.shoulders.mean(axis=0))

    def discomfort(self, hand: int, T_world_wrist: Float64Array) -> Float64Array:
        """See `motion.discomfort`; (N, 4, 4) to (N,)."""
        return discomfort(T_world_wrist, 2.0 * hand - 1.0, self.shoulders[hand], self.arm)


@dataclass(frozen=True)
class Hold:
    """A hand holds a part of the object for a while."""

    hand: int
    """0 is the left hand, 1 the right one."""
    grasp: Grasp
    start: float
    """Seconds from the first frame, as is `end`; may lie before it."""
    end: float


@dataclass
class Play:
    """What is decided so far. Times are seconds, poses are in the world."""

    rng: Generator
    person: Person
    model: ObjectModel
    table: float
    """Height of the table's top, metres."""
    teller: Teller
    body: Course = field(init=False)
    """The object's body but for the unrest of the hand that holds it."""
    lid: Course | None = None
    hands: tuple[Course, Course] = field(init=False)
    fingers: tuple[Angles, Angles] = field(init=False)
    wander: Wander = field(init=False)
    now: float = 0.0
    airborne: list[tuple[float, float]] = field(default_factory=list)
    """From when until when the object is off the table."""
    holds: list[Hold] = field(default_factory=list)
    verbs: list[tuple[float, str]] = field(default_factory=list)
    sentences: list[tuple[float, str]] = field(default_factory=list)
    looks: list[tuple[float, int]] = field(default_factory=list)
    clauses: list[str] = field(default_factory=lambda: ["", ""])
    """What each hand does while the other one acts."""
    taken: dict[int, tuple[Grasp, float, Course]] = field(default_factory=dict)
    """By hand: how it holds, since when, and the course of the wrist relative to the part it holds."""
    guesses: dict[tuple[int, int], Float64Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wander = Wander.random(self.rng)
        self.stand(self.resting(int(self.rng.integers(2)), self.rng.uniform(-np.pi, np.pi)))
        if len(self.model.parts) > 1:
            self.lid = Course(self.object_at)
        self.say(-1.0, "background", self.teller.resting())
        self.looks.append((-1.0, OBJECT))
        self.now = self.rng.uniform(0.1, 0.7)

    def stand(self, place: Float64Array) -> None:
        """At first the object stands at `place` (4, 4) and the hands are idle beside it."""
        self.body = Course(still(place))
        courses, angles = zip(*(self.idle(hand, place[:3, 3]) for hand in range(2)), strict=True)
        self.hands = (Course(courses[0]), Course(courses[1]))
        self.fingers = (Angles(angles[0]), Angles(angles[1]))

    def say(self, start: float, verb: str, sentence: str) -> None:
        """From `start` on the frames bear this verb and sentence."""
        self.verbs.append((start, verb))
        self.sentences.append((start, sentence))

    def tell(self, start: float, verb: str, deed: str, hand: int) -> None:
        """From `start` on the frames bear this verb and say that `hand` does `deed`, a key of `wording.DEEDS`."""
        self.say(start, verb, self.teller.says(deed, SIDES[hand], self.clauses[1 - hand]))

    def object_at(self, times: Float64Array) -> Float64Array:
        """T_world_object (N, 4, 4)."""
        share = np.zeros(len(times))
        for up, down in self.airborne:
            share += minimum_jerk(times, up, up + 0.5) * (1 - minimum_jerk(times, down - 0.5, down))
        return self.body(times) @ self.wander(times, share)

    def part_at(self, part: int) -> Poses:
        """The course of a part of the object."""
        return self.object_at if part == 0 or self.lid is None else self.lid

    def resting(self, hand: int, yaw: float) -> Float64Array:
        """A pose (4, 4) on the table in easy reach of a hand."""
        side = 2 * hand - 1
        x = self.person.chest[0] + side * self.rng.uniform(-0.02, 0.14)
        y = self.person.chest[1] + self.rng.uniform(0.29, 0.42)
        turn = Rotation.from_rotvec([0, 0, yaw]).as_matrix()
        return rigid.compose(turn, [x, y, self.table - self.model.base])

    def idle(self, hand: int, place: Float64Array) -> tuple[Poses, Float64Array]:
        """Course and angles of a hand that has nothing to do: it lies on the table or hovers above it, away from what
        is at `place` (3,)."""
        rng, side = self.rng, 2.0 * hand - 1
        angles = RELAXED * rng.uniform(0.5, 1.3) + rng.normal(0, 0.04, len(RELAXED))
        inward = rng.uniform(0.1, 0.7)
        y = np.array([-side * np.sin(inward), np.cos(inward), 0.0])
        z = np.array([0.0, 0.0, -side])
        # The thumb's side a little up, the fingers a little down.
        tip = Rotation.from_rotvec([side * rng.uniform(-0.15, 0.05), rng.uniform(0.05, 0.5), 0]).as_matrix()
        rotation = np.stack([np.cross(y, z), y, z], axis=1) @ tip
        x = self.person.chest[0] + side * rng.uniform(0.15, 0.25)
        clear = 0.13 + float(self.model.size[:2].max()) / 2
        if side * (x - place[0]) < clear:
            x = place[0] + side * clear
        skin, _ = self.person.rigs[hand].pose(angles)
        lowest = float((skin.astype(np.float64) @ rotation.T)[:, 2].min())
        lies = rng.random() < 0.65
        # Hands that hover are not quite still, so those that lie have a little room for unrest too.
        height = 0.003 if lies else rng.uniform(0.02, 0.08)
        self.clauses[hand] = f"the {SIDES[hand]} hand {'rests on the table' if lies else 'hovers over the table'}"
        T = rigid.compose(rotation, [x, self.person.chest[1] + rng.uniform(0.2, 0.3), self.table + height - lowest])
        unrest = Wander.random(rng)
        return lambda times: still(T)(times) @ unrest(times, np.full(len(times), 0.3 if lies else 0.8)), angles

    def offers(
        self, hand: int, poses: Float64Array, part: int = 0, on_table: bool = False
    ) -> list[tuple[float, int, Grip]]:
        """Grips for a hand, easiest first: discomfort, index of the object's pose among `poses` (K, 4, 4), grip."""
        offers = []
        palms = [
            rigid.apply(grasp.T_object_wrist, PALM) for other, (grasp, _, _) in self.taken.items() if other != hand
        ]
        for index, grip in enumerate(self.model.grips):
            if grip.part != part or (on_table and not grip.table) or SIDES[hand] not in grip.sides:
                continue
            if (hand, index) not in self.guesses:
                self.guesses[hand, index] = grasping.first_guess(self.person.rigs[hand], grip)
            for variant, T_variant in _variants(grip):
                guess = T_variant @ self.guesses[hand, index]
                # Two hands want room.
                crowd = sum(
                    max(0.0, 0.12 - float(np.linalg.norm(palm - rigid.apply(guess, PALM)))) / 0.02 for palm in palms
                )
                costs = self.person.discomfort(hand, poses @ guess) + crowd
                offers += [(float(cost), k, variant) for k, cost in enumerate(costs) if cost < 1.5 * EASY]
        # Another choice in every recording among those that are easy.
        order = np.argsort([cost + self.rng.exponential(0.4) for cost, _, _ in offers], kind="stable")
        return [offers[k] for k in order]

    def find(
        self, hand: int, poses: Float64Array, part: int = 0, on_table: bool = False, tries: int = 3
    ) -> tuple[Grasp, Float64Array] | None:
        """A grasp of a part of the object at one of `poses` (K, 4, 4), and that pose, raised where the hand needs
        room over the table; None where none is good."""
        rig = self.person.rigs[hand]
        held = [(other, grasping.skin_at(self.person.rigs[other], self.taken[other][0])) for other in self.taken]
        spheres = [grasping.hand_spheres(self.person.rigs[other], self.taken[other][0]) for other, _ in held]
        blocked = np.concatenate(spheres) if spheres else None
        for _, k, grip in _different(self.offers(hand, poses, part, on_table), tries):
            grasp = grasping.find_grasp(rig, self.model, grip, self.rng, blocked)
            skin = grasping.skin_at(rig, grasp)
            clear = all(grasping.overlap(skin, other, self.person.rigs[k].faces) < 3e-3 for k, other in held)
            if not (grasp.holds and clear):
                continue
            pose = poses[k].copy()
            if not on_table:
                low = min(0.0, float((_before(grasp) @ grasp.T_object_wrist)[2, 3] - grasp.T_object_wrist[2, 3]))
                lowest = float(rigid.apply(pose, skin)[:, 2].min()) + low
                pose[2, 3] += max(0.0, self.table + 0.01 - lowest)
            if self.person.discomfort(hand, pose[None] @ grasp.T_object_wrist)[0] < EASY:
                return grasp, pose
        return None

    def take(self, hand: int, grasp: Grasp, start: float, seconds: float) -> float:
        """A hand reaches and closes; returns when it holds."""
        contact = start + seconds
        relative = Course(still(_before(grasp) @ grasp.T_object_wrist))
        relative.to(start + 0.42 * seconds, start + 0.92 * seconds, still(grasp.T_object_wrist))
        part = self.part_at(grasp.grip.part)
        self.hands[hand].to(start, start + 0.64 * seconds, lambda times: part(times) @ relative(times), 0.02)
        self.fingers[hand].to(start, start + 0.5 * seconds, self.opened(hand, grasp))
        self.fingers[hand].to(start + 0.68 * seconds, contact, grasp.angles)
        self.taken[hand] = (grasp, contact, relative)
        self.looks.append((start - 0.2, OBJECT))
        return contact

    def opened(self, hand: int, grasp: Grasp) -> Float64Array:
        """Angles (20,) of the hand before it closes, as wide as the table below leaves room for."""
        for share in (1.0, 0.7, 0.4, 0.15):
            skin, _ = self.person.rigs[hand].pose(grasp.opened(share))
            low = rigid.apply(grasp.T_object_wrist, skin.astype(np.float64))[:, 2].min()
            if not grasp.grip.table or low > self.model.base:
                return grasp.opened(share)
        return grasp.angles

    def leave(self, hand: int, start: float) -> float:
        """The hand opens, backs off and goes to rest; returns when it is away from the object."""
        grasp, contact, relative = self.taken.pop(hand)
        self.holds.append(Hold(hand, grasp, contact, start))
        relative.to(start + 0.08, start + 0.7, still(_before(grasp) @ grasp.T_object_wrist))
        self.fingers[hand].to(start, start + 0.4, self.opened(hand, grasp))
        place = self.body(np.array([start]))[0, :3, 3]
        course, angles = self.idle(hand, place)
        self.hands[hand].to(start + 0.42, start + 1.25, course, 0.02)
        self.fingers[hand].to(start + 0.5, start + 1.2, angles)
        return start + 0.7

    def shift(self, hand: int, start: float) -> None:
        """An idle hand changes its place."""
        course, angles = self.idle(hand, self.body(np.array([start]))[0, :3, 3])
        self.hands[hand].to(start, start + 0.9, course, 0.03)
        self.fingers[hand].to(start, start + 0.9, angles)

    def carry(self, start: float, seconds: float, pose: Float64Array) -> float:
        """The held object goes to a pose; returns when it is nearly there."""
        self.body.to(start, start + seconds, still(pose))
        return start + 0.85 * seconds

    def easy(self, candidates: Sequence[Float64Array], count: int) -> Float64Array:
        """Of some poses of the object, (count, 4, 4) that the hands that hold its body like best, above the table."""
        poses = np.array([self.above_table(pose) for pose in candidates])
        cost = self.rng.exponential(0.25, len(poses))
        for hand, (grasp, _, _) in self.taken.items():
            if grasp.grip.part == 0:
                cost = cost + self.person.discomfort(hand, poses @ grasp.T_object_wrist)
        return np.asarray(poses[np.argsort(cost, kind="stable")[:count]])

    def above_table(self, pose: Float64Array, clearance: float = 0.025) -> Float64Array:
        """The pose, raised until the object and the hands that hold it are clear of the table, metres."""
        points = [rigid.apply(pose, _corners(self.model))]
        for hand, (grasp, _, _) in self.taken.items():
            _, keypoints = self.person.rigs[hand].pose(grasp.angles)
            points.append(rigid.apply(pose @ grasp.T_object_wrist, keypoints) - [0, 0, 0.012])
        lowest = min(float(part[:, 2].min()) for part in points)
        raised = pose.copy()
        raised[2, 3] += max(0.0, self.table + clearance - lowest)
        return raised


def _corners(model: ObjectModel) -> Float64Array:
    """float64 (8, 3): the corners of the closed object's bounding box."""
    return np.array(list(np.ndindex(2, 2, 2)), np.float64) * model.size - model.size / 2


def _before(grasp: Grasp) -> Float64Array:
    """The way (4, 4), object frame, that a hand stands off before it closes and after it has opened."""
    return rigid.compose(np.eye(3), -0.11 * grasp.grip.approach + np.array([0, 0, 0.02]))


def _different(offers: list[tuple[float, int, Grip]], count: int) -> list[tuple[float, int, Grip]]:
    """The first few offers whose grips are not nearly the same."""
    chosen: list[tuple[float, int, Grip]] = []
    for offer in offers:
        others = [o[2] for o in chosen]
        if all(offer[2].approach @ o.approach < 0.9 or np.abs(offer[2].centre - o.centre).max() > 0.02 for o in others):
            chosen.append(offer)
            if len(chosen) == count:
                break
    return chosen


def _variants(grip: Grip) -> list[tuple[Grip, Float64Array]]:
    """The grip from other sides and at other slants, and what moves the hand there, (4, 4), object frame."""
    variants = []
    for yaw in np.arange(0, 2 * np.pi, np.pi / 9) if grip.turns else [0.0]:
        turn = Rotation.from_rotvec([0, 0, yaw])
        for angle in SLANTS:
            swing = Rotation.from_rotvec(angle * grip.thumb)
            T = rigid.compose((turn * swing).as_matrix(), turn.apply(grip.centre - swing.apply(grip.centre)))
            variants.append((grip.tilted(angle).turned(yaw), T))
    return variants
