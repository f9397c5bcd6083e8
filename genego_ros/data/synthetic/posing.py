"""From where the wrists are and where the eyes look to the turn of every bone.

Angles are radians. Directions without a frame are in the body's rest frame (see body_model.py); the person's
rest frame turned by half a turn about z stands in the world, so that the face looks along +y.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genego_ros.data.synthetic.body_model import HAND_BONES, BodyModel, RestHand
from genego_ros.errors import GenEgoError
from genego_ros.geometry.rigid import unit
from genego_ros.types import KEYPOINTS, SIDES, Float64Array, Side

TO_WORLD = np.diag([-1.0, -1.0, 1.0])
SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
BEND_SHARE = np.array([0.35, 0.45, 0.58, 0.72, 0.88, 1.0])
"""Of a bend of the trunk, how much the pelvis and each bone of the spine have taken over."""
NECK = ("neck01", "neck02", "neck03", "head")
NECK_SHARE = np.array([0.2, 0.4, 0.65, 1.0])
EYES_IN_HEAD = np.array([[-1.0, 0, 0], [0, 0, -1.0], [0, -1.0, 0]])
"""Columns: the optical axes of a face at rest."""
HEAD_SHARE = 0.78
"""Of the way to what is looked at, how much the head turns and not the eyes."""
HEAD_LIMITS = np.array([1.2, 1.0])
"""Turn to the side and nod, each way."""
EYE_LIMIT = 0.65
EASY_REACH = 0.93
"""Share of the arm's length beyond which the trunk helps."""
TRUNK_EASE = np.array([0.36, 0.3, 0.3, 0.3, 0.2, 0.2])
"""How readily the trunk leans and twists, the shoulders come forward (left, right) and rise."""
TRUNK_LIMITS = np.array([0.7, 0.6, 0.45, 0.45, 0.35, 0.35])
SWIVELS = np.linspace(-0.8, 1.1, 39)
"""Turns of the elbow about the line from shoulder to wrist that are compared; positive lifts it outwards."""
FOREARM_TWIST = (0.25, 0.65)
"""Of the hand's turn about the forearm, how much each of its two bones takes."""


@dataclass(frozen=True)
class Posture:
    """What a person is asked to do with the body at one moment; world frame."""

    wrists: Float64Array
    """float64 (2, 4, 4): T_world_wrist, left, right; the frame of hand_rig.py."""
    fingers: Float64Array
    """float64 (2, 20): angles of `HandRig.pose`."""
    gaze: Float64Array
    """float64 (3,): the point that is looked at."""
    seat: Float64Array
    """float64 (2,): x, y of the pelvis."""
    seated: bool = True
    lean: float = 0.0
    """Radians forward."""

    def __post_init__(self) -> None:
        for name, shape in (("wrists", (2, 4, 4)), ("fingers", (2, 20)), ("gaze", (3,)), ("seat", (2,))):
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise GenEgoError(f"posture: {name} has shape {value.shape}; it must be {shape}, all numbers finite")


@dataclass(frozen=True)
class Solved:
    """A skeleton in a posture; world frame."""

    transforms: Float64Array
    """float64 (B, 3, 4): rest to world, of each bone; the hands' fingers included."""
    keypoints: Float64Array
    """float64 (2, 21, 3)."""
    T_world_eyes: Float64Array
    """float64 (4, 4)."""
    reach_error: Float64Array
    """float64 (2,): metres by which each arm is too short."""
    wrist_bend: Float64Array
    """float64 (2,): radians between each hand and the straight prolongation of its forearm, from rest."""
    forearm_twist: Float64Array
    """float64 (2,): radians of pronation (negative) or supination from the thumb-up middle."""
    elbow_bend: Float64Array
    """float64 (2,): radians; 0 is a stretched arm."""
    hip_bend: float
    """Radians."""


@dataclass(frozen=True)
class Arm:
    """What of an arm at rest its inverse kinematics needs."""

    side: Side
    lengths: tuple[float, float]
    upper: Float64Array
    """float64 (3,), unit: shoulder to elbow."""
    fore: Float64Array
    hinge: Float64Array
    """float64 (3,), unit: the elbow's axis."""
    thumb_up: float
    """Twist about the forearm, from rest, that brings the thumb to where the forearm bends to."""


def rotation(axis: Float64Array, angle: Float64Array | float) -> Float64Array:
    """(..., 3, 3) about a unit axis (3,), Rodrigues' formula."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.asarray(angle)[..., None, None]
    turned: Float64Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return turned


def between(a: Float64Array, b: Float64Array) -> Float64Array:
    """The smallest rotation (3, 3) from unit vector a to unit vector b, which must not be opposite."""
    v, c = np.cross(a, b), a @ b
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    turned: Float64Array = np.eye(3) + cross + cross @ cross / (1 + c)
    return turned


def twist_and_swing(turns: Float64Array, axis: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Of rotations (..., 3, 3): the angle about a unit axis, -pi to pi, and the angle of what remains.

    For R = swing twist, the swing is the rotation from the axis to R's image of it.
    """
    swing = np.arccos(np.clip(np.einsum("...ij,i,j->...", turns, axis, axis), -1, 1))
    trace = np.trace(turns, axis1=-2, axis2=-1)
    # Of the quaternion (w, v): w ~ 1 + trace and v . axis ~ the skew part, both times 4 w.
    skew = np.stack(
        [
            turns[..., 2, 1] - turns[..., 1, 2],
            turns[..., 0, 2] - turns[..., 2, 0],
            turns[..., 1, 0] - turns[..., 0, 1],
        ],
        axis=-1,
    )
    return 2 * np.arctan2(skew @ axis, 1 + trace), swing


def soft_limit(value: Float64Array, limit: Float64Array | float) -> Float64Array:
    """The value itself while small; never beyond the limit."""
    limited: Float64Array = limit * np.tanh(value / limit)
    return limited


class Skeleton:
    """One person's bones."""

    def __init__(self, model: BodyModel, heads: Float64Array, sole: float, hands: tuple[RestHand, RestHand]) -> None:
        """`heads` float64 (B, 3) at rest; `sole` the height of the soles at rest; `hands` left, right."""
        self.heads, self.sole, self.hands = heads, sole, hands
        self.names, self.parents = model.names, model.parents
        self._number = {name: i for i, name in enumerate(model.names)}
        self._arms = tuple(self._rest_arm(side, hand) for side, hand in zip(SIDES, hands, strict=True))
        x, y, z = np.eye(3)
        self._x, self._y, self._z = x, y, z
        self._hand_bones = [
            np.array([self._number[f"{name or 'wrist'}.{side[0].upper()}"] for name in HAND_BONES]) for side in SIDES
        ]

    def _head(self, name: str) -> Float64Array:
        head: Float64Array = self.heads[self._number[name]]
        return head

    def _rest_arm(self, side: Side, hand: RestHand) -> Arm:
        letter = side[0].upper()
        shoulder, elbow, wrist = (self._head(f"{name}.{letter}") for name in ("upperarm01", "lowerarm01", "wrist"))
        upper, fore = unit(elbow - shoulder), unit(wrist - elbow)
        inside = unit(-upper + (upper @ fore) * fore)
        thumb = hand.T_rest_wrist[:3, 0]
        thumb = unit(thumb - (thumb @ fore) * fore)
        thumb_up = float(np.arctan2(np.cross(thumb, inside) @ fore, thumb @ inside))
        lengths = (float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(wrist - elbow)))
        return Arm(side, lengths, upper, fore, unit(np.cross(upper, fore)), thumb_up)

    def solve(self, posture: Posture) -> Solved:
        """All bones; smooth in everything that the posture says, as long as the wrists are in reach."""
        turns = np.tile(np.eye(3), (len(self.names), 1, 1))
        places = np.zeros((len(self.names), 3))
        legs = self._legs(posture.seated)
        places[0] = [*posture.seat, legs[0] + self.heads[0, 2]]
        trunk = self._trunk(posture, places[0])
        chain, clavicles = self._spine(trunk[None], posture.lean)
        for share, name in enumerate(("root", *SPINE)):
            turns[self._number[name]] = TO_WORLD @ chain[0, share]
        for arm, clavicle in zip(self._arms, clavicles, strict=True):
            for name in ("clavicle", "shoulder01"):
                turns[self._number[f"{name}.{arm.side[0].upper()}"]] = TO_WORLD @ clavicle[0]
        self._place_legs(turns, legs[1:])
        self._follow(turns, places, 1, self._number["clavicle.L"])  # legs and spine
        arm_state = [self._place_arm(turns, places, arm, posture) for arm in self._arms]
        T_world_eyes = self._place_head(turns, places, posture.gaze)
        transforms = np.concatenate([turns, (places - np.einsum("bij,bj->bi", turns, self.heads))[:, :, None]], axis=2)
        keypoints = np.empty((2, KEYPOINTS, 3))
        for i, hand in enumerate(self.hands):
            bones = posture.wrists[i] @ hand.rig.bone_transforms(posture.fingers[i])
            keypoints[i] = np.einsum("kij,kj->ki", bones[:, :3, :3], hand.rig.keypoints) + bones[:, :3, 3]
            transforms[self._hand_bones[i][2:]] = (bones @ np.linalg.inv(hand.T_rest_wrist))[2:, :3]
            transforms[self._hand_bones[i][0]] = (bones[0] @ np.linalg.inv(hand.T_rest_wrist))[:3]
        reach, bend, twist, elbow = (np.array(values) for values in zip(*arm_state, strict=True))
        return Solved(transforms, keypoints, T_world_eyes, reach, bend, twist, elbow, 1.5 if posture.seated else 0.0)

    def shoulders(self, seat: Float64Array, seated: bool, lean: float) -> Float64Array:
        """float64 (2, 3), world: the shoulder joints, left and right, of a trunk that reaches for nothing."""
        root = np.array([*seat, self._legs(seated)[0] + self.heads[0, 2]])
        placed: Float64Array = self._shoulders(np.zeros((1, 6)), lean, root)[0]
        return placed

    @property
    def arm_length(self) -> float:
        """Metres from shoulder joint to wrist, stretched."""
        return sum(self._arms[0].lengths)

    def _follow(self, turns: Float64Array, places: Float64Array, first: int, end: int) -> None:
        """Puts the heads of bones first to end - 1 where their parents carry them."""
        for bone in range(first, end):
            parent = self.parents[bone]
            places[bone] = places[parent] + turns[parent] @ (self.heads[bone] - self.heads[parent])

    def _legs(self, seated: bool) -> tuple[float, Float64Array, Float64Array]:
        """Height of the rest frame's origin, and the directions of the left thigh and shin."""
        hip, knee, ankle = (self._head(f"{name}.L") for name in ("upperleg01", "lowerleg01", "foot"))
        if not seated:
            return -self.sole, unit(knee - hip), unit(ankle - knee)
        thigh, shin = unit(np.array([0.17, -1.0, -0.06])), unit(np.array([0.02, 0.08, -1.0]))
        below = np.linalg.norm(knee - hip) * thigh[2] + np.linalg.norm(ankle - knee) * shin[2]
        return float(ankle[2] - self.sole - below - hip[2]), thigh, shin

    def _place_legs(self, turns: Float64Array, directions: tuple[Float64Array, Float64Array]) -> None:
        for letter, mirror in (("L", 1.0), ("R", -1.0)):
            hip, knee, ankle = (self._head(f"{name}.{letter}") for name in ("upperleg01", "lowerleg01", "foot"))
            thigh, shin = (direction * [mirror, 1, 1] for direction in directions)
            upper = TO_WORLD @ between(unit(knee - hip), thigh)
            lower = TO_WORLD @ between(unit(ankle - knee), shin)
            for name, turn in (("upperleg01", upper), ("upperleg02", upper), ("lowerleg01", lower)):
                turns[self._number[f"{name}.{letter}"]] = turn
            turns[self._number[f"lowerleg02.{letter}"]] = lower
            turns[self._number[f"foot.{letter}"]] = TO_WORLD
            turns[self._number[f"pelvis.{letter}"]] = turns[0]

    def _spine(self, trunk: Float64Array, lean: float) -> tuple[Float64Array, tuple[Float64Array, Float64Array]]:
        """Turns, in the rest frame, of pelvis and spine (N, 6, 3, 3) and of the clavicles (N, 3, 3) each, for
        trunks (N, 6), see `TRUNK_EASE`."""
        lean_more, twist, forward_left, forward_right, up_left, up_right = soft_limit(trunk, TRUNK_LIMITS).T
        twist_share = (BEND_SHARE - BEND_SHARE[0]) / (1 - BEND_SHARE[0])
        chain = rotation(self._z, twist[:, None] * twist_share) @ rotation(
            self._x, (lean + lean_more)[:, None] * BEND_SHARE
        )
        left = chain[:, -1] @ rotation(self._z, -forward_left) @ rotation(self._y, -up_left)
        right = chain[:, -1] @ rotation(self._z, forward_right) @ rotation(self._y, up_right)
        return chain, (left, right)

    def _shoulders(self, trunk: Float64Array, lean: float, root: Float64Array) -> Float64Array:
        """float64 (N, 2, 3), world, for trunks (N, 6)."""
        chain, clavicles = self._spine(trunk, lean)
        heads = np.array([self._head(name) for name in ("root", *SPINE)])
        top = np.einsum("nkij,kj->ni", chain[:, :-1], np.diff(heads, axis=0))
        both = []
        for arm, clavicle in zip(self._arms, clavicles, strict=True):
            base = self._head(f"clavicle.{arm.side[0].upper()}")
            end = self._head(f"upperarm01.{arm.side[0].upper()}")
            both.append(top + chain[:, -1] @ (base - heads[-1]) + clavicle @ (end - base))
        return root + np.stack(both, axis=1) @ TO_WORLD.T

    def _trunk(self, posture: Posture, root: Float64Array) -> Float64Array:
        """float64 (6,): how the trunk helps the arms to reach, least squares between effort and shortfall.

        A fixed number of damped Gauss-Newton steps from rest, so that the answer is as smooth as what is asked.
        """
        lengths = np.array([sum(arm.lengths) for arm in self._arms])
        step = 1e-4
        trunk, damping = np.zeros(6), np.diag(TRUNK_EASE**-2.0)
        targets = posture.wrists[:, :3, 3]
        for _ in range(8):
            trials = np.vstack([trunk, trunk + step * np.eye(6)])
            shoulders = self._shoulders(trials, posture.lean, root)
            beyond = np.linalg.norm(targets - shoulders, axis=2) - EASY_REACH * lengths
            short = np.logaddexp(0, beyond / 0.012)  # max(beyond, 0), softened; in units of 12 mm
            # What is out of anybody's reach must not pull the other hand from its work.
            short = soft_limit(short, 30.0)
            residual = np.concatenate([short[0], trunk / TRUNK_EASE])
            jacobian = np.vstack([((short[1:] - short[0]) / step).T, np.diag(1 / TRUNK_EASE)])
            normal = jacobian.T @ jacobian + damping
            trunk = trunk - np.linalg.solve(normal, jacobian.T @ residual)
        return trunk

    def _place_arm(
        self, turns: Float64Array, places: Float64Array, arm: Arm, posture: Posture
    ) -> tuple[float, float, float, float]:
        """Turns and places the arm's bones; reach error, wrist bend, forearm twist and elbow bend."""
        i, letter = SIDES.index(arm.side), arm.side[0].upper()
        number = {
            name: self._number[f"{name}.{letter}"]
            for name in ("clavicle", "shoulder01", "upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist")
        }
        for name in ("clavicle", "shoulder01", "upperarm01"):
            self._follow(turns, places, number[name], number[name] + 1)
        shoulder = places[number["upperarm01"]]
        target = posture.wrists[i, :3, 3]
        clavicle = turns[number["shoulder01"]]
        hand = posture.wrists[i, :3, :3] @ self.hands[i].T_rest_wrist[:3, :3].T
        distance = float(np.linalg.norm(target - shoulder))
        along = (target - shoulder) / distance
        outwards = 1.0 if arm.side == "left" else -1.0
        pole = TO_WORLD @ elbow_side(TO_WORLD.T @ along, outwards)
        lift = outwards * np.cross(along, pole)
        first, second = arm.lengths
        span = float(np.clip(distance, 1.02 * abs(first - second), 0.9995 * (first + second)))
        a = (first**2 - second**2 + span**2) / (2 * span)
        radius = np.sqrt(first**2 - a**2)

        def upper_and_fore(swivel: Float64Array) -> tuple[Float64Array, Float64Array]:
            out = np.cos(swivel)[:, None] * pole + np.sin(swivel)[:, None] * lift
            upper = (a * along + radius * out) / first
            fore = ((span - a) * along - radius * out) / second
            axis = np.cross(out, along)
            return _onto(arm.upper, arm.hinge, upper, axis), _onto(arm.fore, arm.hinge, fore, axis)

        _, fores = upper_and_fore(SWIVELS)
        twists, swings = twist_and_swing(np.swapaxes(fores, 1, 2) @ hand, arm.fore)
        twists = _wrapped(twists - arm.thumb_up)
        cost = (twists / 0.9) ** 2 + (swings / 0.5) ** 2 + (SWIVELS / 0.6) ** 2
        share = np.exp((cost.min() - cost) / 0.35)
        swivel = np.array([share @ SWIVELS / share.sum()])
        upper, fore = (turned[0] for turned in upper_and_fore(swivel))

        relative = clavicle.T @ upper
        twist, _ = twist_and_swing(relative, arm.upper)
        turns[number["upperarm01"]] = upper @ rotation(arm.upper, -0.6 * twist)
        turns[number["upperarm02"]] = upper
        twist, swing = twist_and_swing(fore.T @ hand, arm.fore)
        # The half turn at which the angle jumps lies where no forearm can turn to, opposite to thumb up.
        from_middle = _wrapped(twist - arm.thumb_up)
        twist = from_middle + arm.thumb_up
        for name, portion in zip(("lowerarm01", "lowerarm02"), FOREARM_TWIST, strict=True):
            turns[number[name]] = fore @ rotation(arm.fore, portion * twist)
        elbow = shoulder + upper @ (arm.upper * first)
        heads = {name: self.heads[k] for name, k in number.items()}
        places[number["upperarm02"]] = shoulder + upper @ (heads["upperarm02"] - heads["upperarm01"])
        places[number["lowerarm01"]] = elbow
        # From the wrist backwards: the bone's head lies a little off the line from elbow to wrist.
        to_wrist = turns[number["lowerarm02"]] @ (heads["wrist"] - heads["lowerarm02"])
        places[number["lowerarm02"]] = shoulder + span * along - to_wrist
        turns[number["wrist"]], places[number["wrist"]] = hand, target
        bend = float(np.arccos(np.clip(np.trace(upper.T @ fore) / 2 - 0.5, -1, 1)))
        sign = 1.0 if arm.side == "right" else -1.0
        return abs(distance - span), float(swing), sign * float(from_middle), bend

    def _place_head(self, turns: Float64Array, places: Float64Array, gaze: Float64Array) -> Float64Array:
        """Turns and places neck, head and eyes; T_world_eyes."""
        number = self._number
        chest = turns[number["spine01"]]
        eyes = [number["eye.L"], number["eye.R"]]
        numbers = [number[name] for name in NECK]
        self._follow(turns, places, numbers[0], numbers[0] + 1)
        middle = places[numbers[0]] + chest @ (self.heads[eyes].mean(axis=0) - self.heads[numbers[0]])
        for _ in range(3):  # turning the head moves the eyes a little
            turn, nod = soft_limit(HEAD_SHARE * _turn_and_nod(chest.T @ (gaze - middle)), HEAD_LIMITS)
            for bone, share in zip(numbers, NECK_SHARE, strict=True):
                turns[bone] = chest @ rotation(self._z, share * turn) @ rotation(self._x, share * nod)
            for bone in numbers[1:] + eyes:
                self._follow(turns, places, bone, bone + 1)
            middle = places[eyes].mean(axis=0)
        head = turns[numbers[-1]]
        for eye in eyes:
            turn, nod = np.clip(_turn_and_nod(head.T @ (gaze - places[eye])), -EYE_LIMIT, EYE_LIMIT)
            turns[eye] = head @ rotation(self._z, turn) @ rotation(self._x, nod)
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = head @ EYES_IN_HEAD, middle
        return T


def elbow_side(along: Float64Array, outwards: float) -> Float64Array:
    """Unit vector across `along` (shoulder to wrist, rest frame) to the side where the elbow hangs.

    The side that it has when the arm reaches forward, outwards and down, carried along by the smallest
    rotation: continuous everywhere but for an arm that reaches straight back.
    """
    forward = unit(np.array([-0.1 * outwards, -1.0, -0.25]))
    down = np.array([0.45 * outwards, 0.0, -1.0])
    down = unit(down - (down @ forward) * forward)
    if along @ forward < -0.999:
        return down
    return between(forward, along) @ down


def _onto(a: Float64Array, b: Float64Array, to_a: Float64Array, to_b: Float64Array) -> Float64Array:
    """Rotations (N, 3, 3) that take orthogonal unit vectors a, b (3,) to to_a, to_b (N, 3)."""
    source = np.stack([a, b, np.cross(a, b)], axis=1)
    target = np.stack([to_a, to_b, np.cross(to_a, to_b)], axis=2)
    turned: Float64Array = target @ source.T
    return turned


def _wrapped(angle: Float64Array) -> Float64Array:
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _turn_and_nod(direction: Float64Array) -> Float64Array:
    """float64 (2,): turn to the left and nod down that bring a face at rest to look along a direction."""
    x, y, z = direction
    return np.array([np.arctan2(x, -y), np.arctan2(-z, np.hypot(x, y))])
