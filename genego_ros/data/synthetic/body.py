"""The person of a rendered recording: a dressed body that is posed by where its hands are and what it looks at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from genego_ros.data.synthetic import anatomy as bones
from genego_ros.data.synthetic.anatomy import ARM, BONES, LEG, carry
from genego_ros.data.synthetic.hand_rig import HandRig
from genego_ros.data.synthetic.outfit import Part, dress
from genego_ros.data.synthetic.person import Person
from genego_ros.data.synthetic.scene import Mesh
from genego_ros.geometry import rigid
from genego_ros.types import SIDES, Float64Array, FloatArray, Side

SEAT_HEIGHT = 0.56
"""Metres of a sitting person's hip joints above the floor."""
REACH = 0.96
"""Share of the arm's length from which on the upper body leans after the hand."""
SWIVELS = 72
"""Places of the elbow on its circle that are weighed against each other."""
EYES_AT_REST = np.array([[-1.0, 0, 0], [0, 0, -1.0], [0, -1.0, 0]])
"""Columns: right, down and forward of a face that looks along -y."""
FACING = np.diag([-1.0, -1.0, 1.0])
"""Turns the body at rest to look along +y."""

PARENTS = np.array(
    [
        *(-1, 0, 1, 2, 3, 4, 5, 6, 7, 6, 9, 10, 6, 12, 13, 6, 15, 16, 6, 18, 19),
        *(0, 21, 22, 23, 24, 25, 26, 27, 26, 29, 30, 26, 32, 33, 26, 35, 36, 26, 38, 39),
        *(0, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51),
        *(52, 53, 54, 52, 56, 57, 58, 52, 60, 61, 62, 52, 64, 65, 66, 52, 68, 69, 70),
        *(45, 72, 73, 74, 75, 76, 77, 78, 79, 80, 78, 82, 83, 84, 78, 86, 87, 88, 78, 90, 91, 92, 78, 94, 95, 96),
        *(45, 98, 99, 100, 101, 101),
    ]
)
"""Of the 104 bones; a parent comes before its children."""


@dataclass(frozen=True)
class Posture:
    """What a person does at one moment. World frame: z up, the person looks along +y."""

    wrists: Float64Array
    """float64 (2, 4, 4), T_world_wrist of the left and the right hand (hand_rig.py's wrist frame)."""
    fingers: Float64Array
    """float64 (2, 20), angles of the joints, radians."""
    gaze: Float64Array
    """float64 (3,): the point looked at."""
    seat: Float64Array
    """float64 (2,): x and y of the pelvis."""
    seated: bool = True
    lean: float = 0.0
    """Radians by which the upper body leans forward, before it leans further to reach."""


@dataclass(frozen=True)
class Posed:
    """A person at one moment, in the world."""

    vertices: Mapping[str, FloatArray]
    """Mesh name to float32 (V, 3), metres."""
    keypoints: Float64Array
    """float64 (2, 21, 3), left and right hand."""
    T_world_eyes: Float64Array
    """float64 (4, 4): optical axes of the face, origin midway between the eyes."""
    missed: Float64Array
    """float64 (2,): metres by which the arms are too short for the wrists that were asked for; the hands are there all
    the same, the forearms are stretched."""


class Body:
    """One person."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self._body = bones.anatomy(person.number, person.change, person.stature)
        hands = {side: self._body.rig(side) for side in SIDES}
        self._rigs = {side: rig for side, (rig, _) in hands.items()}
        self._wrist_at_rest = {side: T_rest_wrist for side, (_, T_rest_wrist) in hands.items()}
        self._parts: tuple[Part, ...] = dress(person, self._body, self._wrist_at_rest)
        soles = self._body.vertices[:, 2].min()
        self._root_heights = {
            True: SEAT_HEIGHT,
            False: float(self._body.heads[bones.ROOT, 2] - soles),
        }
        shoulder, elbow, wrist = self._arm("left")
        self.arm_length = float(np.linalg.norm(elbow - shoulder) + np.linalg.norm(wrist - elbow))
        """Metres from the shoulder joint to the wrist, stretched."""

    @property
    def meshes(self) -> tuple[Mesh, ...]:
        """Skin, eyes, hair and clothes; a `Posed` holds the vertices of every one."""
        return tuple(part.mesh for part in self._parts)

    def hand_rig(self, side: Side) -> HandRig:
        return self._rigs[side]

    def shoulders(self, seat: Float64Array, seated: bool = True, lean: float = 0.0) -> Float64Array:
        """float64 (2, 3): the shoulder joints, world, of a person who sits upright or leans."""
        transforms = self._torso(seat, seated, lean)
        return np.array([_moved(transforms[bones.SPINE[-1]], self._arm(side)[0]) for side in SIDES])

    def pose(self, posture: Posture) -> Posed:
        """The person in a posture; see `Posture`."""
        lean = self._lean(posture)
        T = self._torso(posture.seat, posture.seated, lean)
        self._aim_head(T, posture.gaze)
        missed = np.zeros(2)
        keypoints = np.zeros((2, 21, 3))
        for index, side in enumerate(SIDES):
            T_world_wrist = posture.wrists[index]
            missed[index] = self._reach(T, side, T_world_wrist)
            rig = self._rigs[side]
            moved = rig.bone_transforms(posture.fingers[index])
            keypoints[index] = rigid.apply(
                T_world_wrist, np.einsum("kij,kj->ki", moved[:, :3, :3], rig.keypoints) + moved[:, :3, 3]
            )
            first = bones.wrist_bone(side)
            hand = T_world_wrist @ moved[bones.HAND_KEYPOINTS] @ rigid.invert(self._wrist_at_rest[side])
            T[first : first + bones.HAND_BONES] = hand
        transforms = np.ascontiguousarray(T[:, :3])
        vertices = {
            part.mesh.name: carry(part.rest, part.skin.weights, part.skin.bones, transforms) for part in self._parts
        }
        middle = self._body.heads[list(bones.EYES)].mean(axis=0)
        T_world_eyes = T[bones.HEAD] @ rigid.compose(EYES_AT_REST, middle)
        return Posed(vertices, keypoints, T_world_eyes, missed)

    def _arm(self, side: Side) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Shoulder, elbow and wrist at rest."""
        offset = ARM * SIDES.index(side)
        heads = self._body.heads
        return heads[bones.UPPER_ARM + offset], heads[bones.ELBOW + offset], heads[bones.WRIST + offset]

    def _lean(self, posture: Posture) -> float:
        """The posture's own lean, and what it takes to bring both wrists into reach."""
        lean = posture.lean
        for _ in range(5):
            shoulders = self.shoulders(posture.seat, posture.seated, lean)
            far = np.linalg.norm(posture.wrists[:, :3, 3] - shoulders, axis=1).max() - REACH * self.arm_length
            lean += max(float(far), 0.0) / 0.5
        return min(lean, 1.2)

    def _torso(self, seat: Float64Array, seated: bool, lean: float) -> Float64Array:
        """float64 (104, 4, 4), rest to world, of a body that leans and looks straight ahead, its arms at rest."""
        turns = {bone: _about_x(lean / len(bones.SPINE)) for bone in bones.SPINE}
        height = self._root_heights[seated]
        if seated:
            for leg in (0, LEG):
                turns[bones.THIGH + leg] = _about_x(-math.radians(84))
                turns[bones.KNEE + leg] = _about_x(math.radians(82))
        root = rigid.compose(FACING, np.array([*seat, height]) - FACING @ self._body.heads[bones.ROOT])
        T = np.zeros((BONES, 4, 4))
        T[0] = root
        for bone in range(1, BONES):
            T[bone] = T[PARENTS[bone]]
            if bone in turns:
                T[bone] = T[bone] @ _about(self._body.heads[bone], turns[bone])
        return T

    def _aim_head(self, T: Float64Array, gaze: Float64Array) -> None:
        """Turns neck and head towards the gaze; the eyes do the last fifth."""
        heads = self._body.heads
        chest = T[bones.SPINE[-1]]
        eyes = heads[list(bones.EYES)].mean(axis=0)
        pivot = heads[bones.NECK[0]]
        yaw = pitch = 0.0
        for _ in range(3):
            turned = pivot + _about_z(yaw) @ _about_x(pitch) @ (eyes - pivot)
            d = chest[:3, :3].T @ (gaze - _moved(chest, turned))
            yaw = _soft(0.9 * math.atan2(d[0], -d[1]), 1.1)
            pitch = _soft(0.85 * math.atan2(-d[2], math.hypot(d[0], d[1])), 1.05)
        share = 1 / len(bones.NECK)
        for bone, parent in zip(bones.NECK, (bones.SPINE[-1], *bones.NECK), strict=False):
            T[bone] = T[parent] @ _about(heads[bone], _about_z(share * yaw) @ _about_x(share * pitch))
        T[list(bones.EYES)] = T[bones.HEAD]

    def _reach(self, T: Float64Array, side: Side, T_world_wrist: Float64Array) -> float:
        """Poses one arm so that it ends in the wrist, and returns by how much it is too short, metres."""
        offset = ARM * SIDES.index(side)
        shoulder, elbow, wrist = self._arm(side)
        upper, lower = float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(wrist - elbow))
        chest = T[bones.SPINE[-1]]
        target = T_world_wrist[:3, 3]
        # The collar bone follows the arm a little.
        before, after = chest[:3, :3] @ (wrist - shoulder), target - _moved(chest, shoulder)
        swing = Rotation.from_rotvec(0.16 * _between(before, after)).as_matrix()
        clavicle = bones.CLAVICLE + offset
        T[clavicle] = _about(_moved(chest, self._body.heads[clavicle]), swing) @ chest
        T[clavicle + 1] = T[clavicle]
        start = _moved(T[clavicle], shoulder)
        way = target - start
        distance = float(np.linalg.norm(way))
        along = way / distance
        short = max(distance - 0.9995 * (upper + lower), 0.0)
        d = distance - short
        offset_along = (d * d + upper * upper - lower * lower) / (2 * d)
        radius = math.sqrt(max(upper * upper - offset_along * offset_along, 0.0))
        out = self._elbow_side(chest, side, along, T_world_wrist, offset_along, radius, d)
        bent = start + offset_along * along + radius * out
        end = start + d * along
        hinge = np.cross(out, along)
        hinge_at_rest = np.cross(elbow - shoulder, wrist - elbow)
        R_upper = _basis(bent - start, hinge) @ _basis(elbow - shoulder, hinge_at_rest).T
        R_lower = _basis(end - bent, hinge) @ _basis(wrist - elbow, hinge_at_rest).T
        # Skin twists along the limbs: half of the upper arm's stays at the shoulder, the forearm turns with the hand.
        twist = _twist(R_upper @ T[clavicle][:3, :3].T, bent - start)
        half = Rotation.from_rotvec(-0.5 * twist * _unit(bent - start)).as_matrix()
        T[bones.UPPER_ARM + offset] = _placed(half @ R_upper, shoulder, start)
        T[bones.UPPER_ARM_LOW + offset] = _placed(R_upper, shoulder, start)
        R_hand = T_world_wrist[:3, :3] @ self._wrist_at_rest[side][:3, :3].T
        twist = _twist(R_hand @ R_lower.T, end - bent)
        for bone, part in ((bones.ELBOW, 0.3), (bones.FOREARM_LOW, 0.75)):
            turn = Rotation.from_rotvec(part * twist * _unit(end - bent)).as_matrix()
            T[bone + offset] = _placed(turn @ R_lower, elbow, bent)
        return short

    def _elbow_side(
        self,
        chest: Float64Array,
        side: Side,
        along: Float64Array,
        T_world_wrist: Float64Array,
        offset_along: float,
        radius: float,
        distance: float,
    ) -> Float64Array:
        """Unit vector from the line between shoulder and wrist to the elbow.

        Elbows hang down and a little outwards, and give way where the wrist would have to bend. The mean over all
        places, weighted by how well each suits, moves smoothly when the hand does.
        """
        outwards = chest[:3, 0] * (1.0 if side == "left" else -1.0)
        wanted = _unit(0.55 * outwards - 0.85 * chest[:3, 2] + 0.15 * chest[:3, 1])
        u = _unit(wanted - (wanted @ along) * along)
        v = np.cross(along, u)
        angle = np.linspace(-np.pi, np.pi, SWIVELS, endpoint=False)
        places = np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v
        forearms = (distance - offset_along) * along - radius * places
        forearms /= np.linalg.norm(forearms, axis=1, keepdims=True)
        cost = (1 - places @ wanted) + 1.6 * (1 - forearms @ T_world_wrist[:3, 1])
        weights = np.exp(-(cost - cost.min()) / 0.08)
        return _unit(weights @ places)


def _about(pivot: Float64Array, rotation: Float64Array) -> Float64Array:
    return rigid.compose(rotation, pivot - rotation @ pivot)


def _placed(rotation: Float64Array, pivot: Float64Array, place: Float64Array) -> Float64Array:
    """Turns by `rotation` and takes `pivot` to `place`."""
    return rigid.compose(rotation, place - rotation @ pivot)


def _moved(T: Float64Array, point: Float64Array) -> Float64Array:
    moved: Float64Array = T[:3, :3] @ point + T[:3, 3]
    return moved


def _unit(vector: Float64Array) -> Float64Array:
    return vector / np.linalg.norm(vector)


def _basis(first: Float64Array, second: Float64Array) -> Float64Array:
    """Columns: `first`, `second` made orthogonal to it, and their cross product; unit."""
    a = _unit(first)
    b = _unit(second - (second @ a) * a)
    return np.stack([a, b, np.cross(a, b)], axis=1)


def _between(a: Float64Array, b: Float64Array) -> Float64Array:
    """Rotation vector of the smallest turn from a to b."""
    axis = np.cross(a, b)
    sine, cosine = float(np.linalg.norm(axis)), float(a @ b)
    return axis * (math.atan2(sine, cosine) / max(sine, 1e-12))


def _twist(rotation: Float64Array, axis: Float64Array) -> float:
    """Radians by which a rotation turns about `axis` (swing-twist decomposition of its quaternion)."""
    R = rotation
    four_wv = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
    return 2 * math.atan2(float(four_wv @ _unit(axis)), 1 + float(np.trace(R)))


def _soft(angle: float, limit: float) -> float:
    return limit * math.tanh(angle / limit)


def _about_x(angle: float) -> Float64Array:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])


def _about_z(angle: float) -> Float64Array:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
