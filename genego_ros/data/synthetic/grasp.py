"""Hands that hold things: the wrist's pose and the joint angles are found by least squares.

Finger pads are drawn onto the object's surface and turned to face it; skin that enters the object, the table or
the other hand is pushed out; the joints stay in their range and near how such a grip looks. Minimised by
Levenberg and Marquardt's method (Marquardt 1963) with the exact derivatives of the posed skin, for several
starts at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from genego_ros.data.synthetic.hand_rig import ANGLE_BONES, ANGLES, HandRig
from genego_ros.data.synthetic.object_model import Grip, GripKind, ObjectModel
from genego_ros.data.synthetic.scene import IndexArray
from genego_ros.geometry import rigid
from genego_ros.geometry.hand_model import PARENTS, FaceArray
from genego_ros.types import KEYPOINTS, Array, BoolArray, Float64Array

STARTS = 6
STEPS = 45
MILLIMETRE = 1e-3
TOUCH = 3e-3
"""A finger whose pad is nearer than this, in metres, touches."""
DEEPEST = 6e-3
"""Skin yields; deeper than this, in metres, it would not."""

LOWEST = np.array([-0.5, -0.4, -0.2, -0.3] + [-0.3, -0.25, 0.0, 0.0] * 4)
HIGHEST = np.array([0.7, 1.0, 0.9, 1.2] + [0.3, 1.45, 1.75, 1.2] * 4)
"""float64 (20,), radians from the rest pose: the range of healthy joints (after Gehrmann et al. 2010)."""
OPEN: dict[GripKind, Float64Array] = {
    "wrap": np.array([-0.2, 0.6, 0.0, 0.0] + [0.05, 0.25, 0.25, 0.15] * 4),
    "pinch": np.array([-0.2, 0.55, 0.0, 0.0] + [0.03, 0.45, 0.2, 0.1] * 2 + [0.0, 0.6, 0.4, 0.25] * 2),
    "span": np.array([-0.4, 0.4, 0.0, 0.0] + [0.12, 0.15, 0.2, 0.1] * 4),
}
CLOSED: dict[GripKind, Float64Array] = {
    "wrap": np.array([0.3, 0.6, 0.5, 0.6] + [0.0, 1.15, 1.35, 0.8] * 4),
    "pinch": np.array([0.2, 0.65, 0.35, 0.35] + [0.0, 0.95, 0.7, 0.45] * 2 + [0.0, 1.15, 1.0, 0.65] * 2),
    "span": np.array([0.2, 0.6, 0.3, 0.4] + [0.05, 0.95, 0.8, 0.5] * 4),
}
"""How wide open and closed a hand is in each kind of grip; the grip's width says where between them it is."""
FINGERS: dict[GripKind, tuple[int, ...]] = {"wrap": (0, 1, 2, 3, 4), "pinch": (0, 1, 2), "span": (0, 1, 2, 3, 4)}
"""Those that must touch, thumb first."""
THIN = 0.035
"""Metres below which a whole hand around something closes its fingers fully."""
SKIN_POINTS = 220
APART = 1.5e-3
"""Metres between the hands."""
SOFT = 1e-3
"""Metres by which skin may sink in before it is pushed out."""
CLEARANCE = 3e-3
"""Metres between the skin and the table."""
FIRM = 1.2e-3
"""Metres of depth that weigh as much as a millimetre at a pad."""
FACE = 1.5
DISTAL = 0.6
"""A finger's end joint bends by this share of its middle joint (Rijpkema and Girard 1991 have 2/3)."""
HABIT = np.array([0.5, 0.5, 0.6, 0.6] + [0.2, 0.7, 0.7, 0.7] * 4)
"""float64 (20,), radians: how far a joint strays from the grip's habit at the price of a millimetre at a pad."""


@dataclass(frozen=True)
class Grasp:
    """A hand that holds an object."""

    grip: Grip
    T_object_wrist: Float64Array
    """float64 (4, 4), rigid."""
    angles: Float64Array
    """float64 (20,), radians, as `HandRig.pose` takes them."""
    gaps: Float64Array
    """float64 (5,), metres between each finger's end and the object's surface, 0 where they touch; thumb first."""
    penetration: float
    """How deep the deepest point of the skin is inside the object, metres."""

    @property
    def holds(self) -> bool:
        """The thumb and two fingers touch, and nothing is deeper in the object than skin yields."""
        touching = self.gaps <= TOUCH
        return bool(touching[0] and touching[1:].sum() >= 2 and self.penetration <= DEEPEST)

    def opened(self, share: float) -> Float64Array:
        """The angles (20,) of the same hand before it closes: `share` 1 is wide open."""
        return self.angles + share * (np.minimum(OPEN[self.grip.kind], self.angles) - self.angles)


@dataclass(frozen=True)
class _Skin:
    """What of a hand is watched while it closes, at rest in the wrist frame."""

    points: Float64Array
    """float64 (P, 3): skin, then the middles of the spheres that stand for the fingers."""
    normals: Float64Array
    """float64 (P, 3)."""
    weights: Float64Array
    """float64 (P, 21)."""
    radii: Float64Array
    """float64 (P,): 0 for skin."""
    pads: IndexArray
    """int (5, 3): the point on the end, middle and first bone of each finger that meets what it holds."""
    palm: IndexArray
    """int (N,): points of the palm."""
    pairs: IndexArray
    """int (K, 2): spheres that must not pass through each other."""

    ends: tuple[Array, ...]
    """int (N,) each: rig vertices of each finger's last bone, on the side of the pad."""

    @classmethod
    def of(cls, rig: HandRig) -> _Skin:
        vertices, weights = rig.vertices.astype(np.float64), rig.skin_weights.astype(np.float64)
        normals = vertex_normals(vertices, rig.faces.astype(np.int64))
        chosen = _spread_out(vertices, SKIN_POINTS)
        bends = rig.axes[[2, 3, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19]]
        pads, ends = np.empty((5, 3), np.int32), []
        for finger in range(5):
            for back in range(3):
                bone = 4 * finger + 4 - back
                head, tail = rig.keypoints[PARENTS[bone]], rig.keypoints[bone]
                along = (tail - head) / np.linalg.norm(tail - head)
                pad_side = np.cross(bends[3 * finger + 2 - back], along)
                share = (vertices - head) @ along / np.linalg.norm(tail - head)
                own = (weights[:, bone] > 0.5) & (share > 0.3) & (share < (0.85 if back == 0 else 0.8))
                facing = normals @ pad_side
                pads[finger, back] = np.argmax(np.where(own, facing - 0.8 * np.abs(share - 0.6), -9.0))
                if back == 0:
                    ends.append(np.flatnonzero((weights[:, bone] > 0.5) & (share > 0.1) & (facing > 0.0)))
        knuckles = 0.55 * rig.keypoints[[5, 9, 13, 17]] + 0.45 * rig.keypoints[0]
        inner = (normals @ rig.palm > 0.7) & (weights[:, 0] > 0.4)
        palm = [int(np.argmin(np.linalg.norm(vertices - k, axis=1) + np.where(inner, 0.0, 1.0))) for k in knuckles]
        spheres, bones, radii = _spheres(rig)
        index = np.concatenate([chosen, pads.ravel(), palm])
        one_hot = np.eye(KEYPOINTS)[bones]
        first = len(index)
        group = (bones - 1) // 4
        outer = np.where((bones - 1) % 4 >= 2)[0]
        pairs = [
            (i, j) for i in outer for j in outer if group[i] < group[j] and (group[i] == 0 or group[j] - group[i] == 1)
        ]
        return cls(
            points=np.vstack([vertices[index], spheres]),
            normals=np.vstack([normals[index], np.zeros_like(spheres)]),
            weights=np.vstack([weights[index], one_hot]),
            radii=np.concatenate([np.zeros(first), radii]),
            pads=(len(chosen) + np.arange(15).reshape(5, 3)).astype(np.int32),
            palm=(len(chosen) + 15 + np.arange(len(palm))).astype(np.int32),
            pairs=(first + np.array(pairs)).astype(np.int32),
            ends=tuple(ends),
        )


def vertex_normals(vertices: Float64Array, faces: IndexArray) -> Float64Array:
    """Unit normals (V, 3) of a mesh, the area-weighted mean of the triangles around each vertex."""
    corners = vertices[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    np.add.at(normals, faces.ravel(), np.repeat(area, 3, axis=0))
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _spread_out(vertices: Float64Array, count: int) -> IndexArray:
    """Vertices far from each other, each the farthest from those before (Gonzalez 1985)."""
    chosen = [int(np.argmax(vertices[:, 1]))]
    nearest = np.full(len(vertices), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, ((vertices - vertices[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(np.argmax(nearest)))
    return np.array(chosen, np.int32)


def _spheres(rig: HandRig) -> tuple[Float64Array, IndexArray, Float64Array]:
    """Two spheres a bone of the fingers: middles (30, 3) at rest, the bones that carry them, radii, metres."""
    middles, bones, radii = [], [], []
    for bone in range(1, KEYPOINTS):
        if bone % 4 == 1:
            continue
        head, tail = rig.keypoints[PARENTS[bone]], rig.keypoints[bone]
        along = (tail - head) / np.linalg.norm(tail - head)
        share = (rig.vertices - head) @ along / np.linalg.norm(tail - head)
        own = (rig.skin_weights[:, bone] > 0.5) & (share > 0.2) & (share < 0.8)
        off = rig.vertices[own] - head
        radius = np.linalg.norm(off - (off @ along)[:, None] * along, axis=1).mean()
        for place in (0.3, 0.8):
            middles.append(head + place * (tail - head))
            bones.append(bone)
            radii.append(0.9 * float(radius))
    return np.array(middles), np.array(bones, np.int32), np.array(radii)


@dataclass(frozen=True)
class _Hands:
    """Several poses of one hand at an object: the state of the search."""

    angles: Float64Array
    """float64 (B, 20)."""
    rotation: Float64Array
    """float64 (B, 3, 3), of T_object_wrist."""
    position: Float64Array
    """float64 (B, 3)."""

    def moved(self, step: Float64Array) -> _Hands:
        """A step (B, 26): angles, a turn and a shift in the wrist's frame."""
        turn = Rotation.from_rotvec(step[:, 20:23]).as_matrix()
        shift = np.einsum("bij,bj->bi", self.rotation, step[:, 23:])
        return _Hands(self.angles + step[:, :20], self.rotation @ turn, self.position + shift)

    def chosen(self, mask: BoolArray, other: _Hands) -> _Hands:
        """The poses of `other` where `mask` (B,) holds, these elsewhere."""
        m = mask[:, None]
        return _Hands(
            np.where(m, other.angles, self.angles),
            np.where(m[..., None], other.rotation, self.rotation),
            np.where(m, other.position, self.position),
        )


@dataclass(frozen=True)
class _Problem:
    """What a good grasp is, as residuals of order one and their derivatives."""

    rig: HandRig
    skin: _Skin
    model: ObjectModel
    grip: Grip
    start: _Hands
    others: Float64Array
    """float64 (K, 4): middles and radii of spheres to keep out of, metres, object frame."""

    def residuals(self, hands: _Hands) -> tuple[Float64Array, Float64Array]:
        """Residuals (B, M) and derivatives (B, M, 26)."""
        points, slopes, normals, turns = self._skin_at(hands)
        rows = [*self._surface(hands, points, slopes, normals, turns), self._apart(points, slopes)]
        if len(self.others):
            rows.append(self._others(hands, points, slopes))
        rows.append(self._habits(hands))
        return np.concatenate([r for r, _ in rows], axis=1), np.concatenate([j for _, j in rows], axis=1)

    def _skin_at(self, hands: _Hands) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
        """Points (B, P, 3) in the wrist frame, their derivatives by the angles (B, P, 20, 3), the normals
        (B, 5, 3) of the fingers' ends and their derivatives (B, 5, 20, 3)."""
        rig, skin = self.rig, self.skin
        T = rig.bone_transforms(hands.angles)
        rest = np.concatenate([skin.points, np.ones((len(skin.points), 1))], axis=1)
        # What each bone carries of each point, (B, 21, P, 3).
        carried = (skin.weights.T[:, :, None] * rest) @ T[:, :, :3].transpose(0, 1, 3, 2)
        points = carried.sum(axis=1)
        ends = skin.pads[:, 0]
        normals = np.einsum("bkij,pk,pj->bpi", T[:, :, :3, :3], skin.weights[ends], skin.normals[ends], optimize=True)
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        first = np.arange(2, KEYPOINTS, 4)
        moved, share = np.empty((*points.shape[:2], ANGLES, 3)), np.empty((len(rest), ANGLES))
        for angle, bone in enumerate(ANGLE_BONES):
            end = first[angle // 4] + 3
            moved[:, :, angle] = carried[:, bone:end].sum(axis=1)
            share[:, angle] = skin.weights[:, bone:end].sum(axis=1)
        axes, pivots = self._axes(hands.angles, T)
        moved -= share[None, :, :, None] * pivots[:, None]
        slopes = np.cross(axes[:, None], moved)
        turns = np.cross(axes[:, None], normals[:, :, None]) * share[ends][None, :, :, None]
        return points, slopes, normals, turns

    def _axes(self, angles: Float64Array, T: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Axes and pivots (B, 20, 3) of the angles as the hand is posed."""
        parents = PARENTS[ANGLE_BONES]
        local = np.broadcast_to(self.rig.axes, (*angles.shape, 3)).copy()
        for second in (1, 5, 9, 13, 17):
            before = Rotation.from_rotvec(self.rig.axes[second - 1] * angles[:, second - 1, None]).as_matrix()
            local[:, second] = before @ self.rig.axes[second]
        axes = np.einsum("baij,baj->bai", T[:, parents, :3, :3], local)
        heads = self.rig.keypoints[parents]
        return axes, np.einsum("baij,aj->bai", T[:, parents, :3, :3], heads) + T[:, parents][..., :3, 3]

    def _surface(
        self, hands: _Hands, points: Float64Array, slopes: Float64Array, normals: Float64Array, turns: Float64Array
    ) -> list[tuple[Float64Array, Float64Array]]:
        """Contact of the pads, and distance of everything else from the object and the table."""
        batch, count = points.shape[:2]
        placed = np.einsum("bij,bpj->bpi", hands.rotation, points) + hands.position[:, None]
        distance, gradient = self.model.parts[self.grip.part].field.at(placed.reshape(-1, 3))
        for k, part in enumerate(self.model.parts):
            if k != self.grip.part:
                other, slope = part.field.at(placed.reshape(-1, 3))
                nearer = other < distance
                distance, gradient = np.where(nearer, other, distance), np.where(nearer[:, None], slope, gradient)
        distance, gradient = distance.reshape(batch, count), gradient.reshape(batch, count, 3)
        local = np.einsum("bij,bpi->bpj", hands.rotation, gradient)
        slope = _along(local, points, slopes)
        deep = np.minimum(distance - self.skin.radii + SOFT, 0.0) / FIRM
        rows = [(deep, slope * ((deep < 0) / FIRM)[..., None])]
        pads, weights = self._contacts()
        rows.append((weights * distance[:, pads], weights[:, None] * slope[:, pads]))
        fingers = list(FINGERS[self.grip.kind])
        ends = self.skin.pads[fingers, 0]
        facing = FACE * (normals[:, fingers] + local[:, ends])
        facing_slope = np.zeros((batch, len(ends), 3, 26))
        facing_slope[..., :20] = FACE * turns[:, fingers].transpose(0, 1, 3, 2)
        facing_slope[..., 20:23] = FACE * _cross_matrix(local[:, ends])
        rows.append((facing.reshape(batch, -1), facing_slope.reshape(batch, -1, 26)))
        if self.grip.table:
            height = placed[..., 2] - self.model.base
            up = np.broadcast_to(hands.rotation[:, None, 2], points.shape)
            low = np.minimum(height - self.skin.radii - CLEARANCE, 0.0) / FIRM
            rows.append((low, _along(up, points, slopes) * ((low < 0) / FIRM)[..., None]))
        return rows

    def _contacts(self) -> tuple[IndexArray, Float64Array]:
        """Indices of the points that shall be on the surface, and their weights, 1 / metres."""
        ends = self.skin.pads[list(FINGERS[self.grip.kind]), 0]
        weights = [1.0 / MILLIMETRE] * len(ends)
        if self.grip.kind != "wrap":
            return ends, np.array(weights)
        inner = self.skin.pads[1:, 1:].ravel()
        pads = np.concatenate([ends, inner, self.skin.palm])
        return pads, np.array(weights + [0.12 / MILLIMETRE] * len(inner) + [0.08 / MILLIMETRE] * len(self.skin.palm))

    def _apart(self, points: Float64Array, slopes: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Fingers do not pass through the thumb or each other."""
        i, j = self.skin.pairs.T
        offset = points[:, i] - points[:, j]
        distance = np.maximum(np.linalg.norm(offset, axis=-1), 1e-9)
        closeness = np.minimum(distance - self.skin.radii[i] - self.skin.radii[j], 0.0) / FIRM
        direction = offset / distance[..., None] * ((closeness < 0) / FIRM)[..., None]
        slope = np.zeros((*closeness.shape, 26))
        slope[..., :20] = np.einsum("bki,bkai->bka", direction, slopes[:, i] - slopes[:, j])
        return closeness, slope

    def _others(self, hands: _Hands, points: Float64Array, slopes: Float64Array) -> tuple[Float64Array, Float64Array]:
        """The skin stays away from the other hand."""
        placed = np.einsum("bij,bpj->bpi", hands.rotation, points) + hands.position[:, None]
        offset = placed[:, :, None] - self.others[:, :3]
        distance = np.linalg.norm(offset, axis=-1)
        nearest = np.argmin(distance - self.others[:, 3], axis=-1)[..., None]
        length = np.maximum(np.take_along_axis(distance, nearest, axis=-1), 1e-9)
        gap = length[..., 0] - self.others[nearest[..., 0], 3]
        away = np.take_along_axis(offset, nearest[..., None], axis=2)[:, :, 0] / length
        local = np.einsum("bij,bpi->bpj", hands.rotation, away)
        close = np.minimum(gap - self.skin.radii - APART, 0.0) / FIRM
        return close, _along(local, points, slopes) * ((close < 0) / FIRM)[..., None]

    def _habits(self, hands: _Hands) -> tuple[Float64Array, Float64Array]:
        """Joints in their range and near the grip's habit; ends bend with the middles; the wrist near its start."""
        batch = len(hands.angles)
        eye = np.broadcast_to(np.eye(26), (batch, 26, 26))
        beyond = np.minimum(hands.angles - LOWEST, 0.0) + np.maximum(hands.angles - HIGHEST, 0.0)
        habit = (hands.angles - self.start.angles) / HABIT
        middle, end = np.arange(6, ANGLES, 4), np.arange(7, ANGLES, 4)
        coupled = (hands.angles[:, end] - DISTAL * hands.angles[:, middle]) / 0.25
        turn = Rotation.from_matrix(self.start.rotation.transpose(0, 2, 1) @ hands.rotation).as_rotvec() / 0.35
        shift = np.einsum("bij,bi->bj", hands.rotation, hands.position - self.start.position) / 0.02
        return np.concatenate([beyond / 0.03, habit, coupled, turn, shift], axis=1), np.concatenate(
            [
                eye[:, :20] * ((beyond != 0) / 0.03)[..., None],
                eye[:, :20] / HABIT[:, None],
                (eye[:, end] - DISTAL * eye[:, middle]) / 0.25,
                eye[:, 20:23] / 0.35,
                eye[:, 23:] / 0.02,
            ],
            axis=1,
        )


def _along(direction: Float64Array, points: Float64Array, slopes: Float64Array) -> Float64Array:
    """Derivatives (B, P, 26) of a height over a surface with normals `direction` (B, P, 3), wrist frame."""
    by_angle = np.einsum("bpi,bpai->bpa", direction, slopes)
    return np.concatenate([by_angle, np.cross(points, direction), direction], axis=-1)


def _cross_matrix(v: Float64Array) -> Float64Array:
    """(..., 3, 3): v x."""
    matrix = np.zeros((*v.shape, 3))
    matrix[..., (2, 0, 1), (1, 2, 0)] = v
    matrix[..., (1, 2, 0), (2, 0, 1)] = -v
    return matrix


def find_grasp(
    rig: HandRig, model: ObjectModel, grip: Grip, rng: Generator, others: Float64Array | None = None
) -> Grasp:
    """The best of several tries to hold `model` by `grip`; `Grasp.holds` says whether it is good.

    Args:
        others: float64 (K, 4), middles and radii of spheres to keep out of (`hand_spheres` of the other hand),
            metres, object frame.
    """
    skin = _Skin.of(rig)
    start = _starts(rig, skin, grip, rng)
    problem = _Problem(rig, skin, model, grip, start, np.empty((0, 4)) if others is None else others)
    hands = _minimise(problem, start)
    # Rounded, so that a last bit that differs between machines is the same number again.
    angles, vectors = np.round(hands.angles, 6), np.round(Rotation.from_matrix(hands.rotation).as_rotvec(), 6)
    positions = np.round(hands.position, 6)
    found, bad = [], []
    for k in range(len(angles)):
        T = rigid.compose(Rotation.from_rotvec(vectors[k]).as_matrix(), positions[k])
        found.append(_judged(rig, skin, model, grip, T, angles[k]))
        bad.append(_badness(found[k]) + 2 * _crowding(skin_at(rig, found[k]), problem.others))
    return found[int(np.argmin(bad))]


def first_guess(rig: HandRig, grip: Grip) -> Float64Array:
    """T_object_wrist, float64 (4, 4), from which the search for a grasp sets out: good enough to see whether an arm
    would like it."""
    start = _starts(rig, _Skin.of(rig), grip, np.random.default_rng(0), 1)
    return rigid.compose(start.rotation[0], start.position[0])


def skin_at(rig: HandRig, grasp: Grasp) -> Float64Array:
    """float64 (V, 3): the skin of a hand that holds, metres, object frame."""
    vertices, _ = rig.pose(grasp.angles)
    return rigid.apply(grasp.T_object_wrist, vertices.astype(np.float64))


def hand_spheres(rig: HandRig, grasp: Grasp) -> Float64Array:
    """float64 (K, 4): middles and radii of spheres that fill a hand that holds, metres, object frame."""
    middles, bones, radii = _spheres(rig)
    knuckles = rig.keypoints[[5, 9, 13, 17]]
    palm = np.concatenate([rig.keypoints[0] + share * (knuckles - rig.keypoints[0]) for share in (0.3, 0.55, 0.8, 1.0)])
    size = float(np.linalg.norm(rig.keypoints[9])) / 0.11
    arm = size * np.array([[0.0, 0.0, 0.0], [0.0, -0.03, 0.0], [0.0, -0.06, 0.0]])
    T = grasp.T_object_wrist @ rig.bone_transforms(grasp.angles)[bones]
    fingers = np.einsum("kij,kj->ki", T[:, :3, :3], middles) + T[:, :3, 3]
    rest = rigid.apply(grasp.T_object_wrist, np.concatenate([palm, arm]))
    sizes = [radii / 0.9, np.full(len(palm), 0.013 * size), np.full(len(arm), 0.026 * size)]
    return np.concatenate([np.concatenate([fingers, rest]), np.concatenate(sizes)[:, None]], axis=1)


def overlap(points: Float64Array, skin: Float64Array, faces: FaceArray) -> float:
    """How deep the deepest of `points` (N, 3) is under a skin, metres, by the tangent plane at its nearest vertex."""
    distance, nearest = cKDTree(skin).query(points, distance_upper_bound=0.02)
    close = np.isfinite(distance)
    if not close.any():
        return 0.0
    normals = vertex_normals(skin, faces.astype(np.int64))[nearest[close]]
    return max(0.0, -float(np.einsum("ni,ni->n", points[close] - skin[nearest[close]], normals).min()))


def _crowding(points: Float64Array, spheres: Float64Array) -> float:
    """How deep the deepest of `points` (N, 3) is in spheres (K, 4), metres."""
    if not len(spheres):
        return 0.0
    depth = spheres[:, 3] - np.linalg.norm(points[:, None] - spheres[:, :3], axis=-1)
    return max(0.0, float(depth.max()))


def _badness(grasp: Grasp) -> float:
    fingers = list(FINGERS[grasp.grip.kind])
    return float(np.minimum(grasp.gaps[fingers], 0.02).sum() + 2 * max(0.0, grasp.penetration - 2 * MILLIMETRE))


def _judged(rig: HandRig, skin: _Skin, model: ObjectModel, grip: Grip, T: Float64Array, angles: Float64Array) -> Grasp:
    """Measured on the whole skin and with exact distances."""
    vertices, _ = rig.pose(angles)
    distance = model.distance(rigid.apply(T, vertices.astype(np.float64)))
    gaps = np.array([max(0.0, float(distance[end].min())) for end in skin.ends])
    return Grasp(grip, T, angles, gaps, max(0.0, -float(distance.min())))


def _minimise(problem: _Problem, hands: _Hands) -> _Hands:
    damping = np.full(len(hands.angles), 1e-2)
    r, J = problem.residuals(hands)
    cost = (r**2).sum(axis=1)
    for _ in range(STEPS):
        square = J.transpose(0, 2, 1) @ J
        diagonal = np.einsum("bii->bi", square)
        damped = (
            square + np.eye(26) * (damping[:, None] * (diagonal + 1e-3 * diagonal.max(axis=1, keepdims=True)))[:, None]
        )
        step = -np.linalg.solve(damped, np.einsum("bmi,bm->bi", J, r)[..., None])[..., 0]
        trial = hands.moved(np.clip(step, -0.3, 0.3))
        new_r, new_J = problem.residuals(trial)
        new_cost = (new_r**2).sum(axis=1)
        better = new_cost < cost
        hands = hands.chosen(better, trial)
        r, J = np.where(better[:, None], new_r, r), np.where(better[:, None, None], new_J, J)
        cost = np.where(better, new_cost, cost)
        damping = np.clip(np.where(better, 0.3 * damping, 4.0 * damping), 1e-5, 1e4)
    return hands


def _starts(rig: HandRig, skin: _Skin, grip: Grip, rng: Generator, count: int = STARTS) -> _Hands:
    """Hands opened to the grip's width and laid at the object, each a little otherwise."""
    mirrored = 1.0 if rig.side == "right" else -1.0
    angles, rotations, positions = [], [], []
    for k in range(count):
        pose, middle, across, reach = _preshape(rig, skin, grip.kind, grip.width * rng.uniform(0.95, 1.35))
        thing = _basis(grip.approach, mirrored * np.cross(grip.approach, grip.thumb))
        tilt = Rotation.from_rotvec(rng.normal(0, 0.12, 3) * (k > 0)).as_matrix()
        rotation = thing @ _basis(reach, across).T @ tilt
        centre = grip.centre + rng.normal(0, 0.006, 3) * (k > 0)
        angles.append(pose)
        rotations.append(rotation)
        positions.append(centre - rotation @ middle)
    return _Hands(np.array(angles), np.array(rotations), np.array(positions))


def _basis(first: Float64Array, second: Float64Array) -> Float64Array:
    """A rotation (3, 3) whose columns are `first`, what of `second` is across it, and their cross product."""
    a = first / np.linalg.norm(first)
    b = second - (second @ a) * a
    b /= np.linalg.norm(b)
    return np.stack([a, b, np.cross(a, b)], axis=1)


def _preshape(
    rig: HandRig, skin: _Skin, kind: GripKind, width: float
) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """The angles (20,) that leave `width` between thumb and fingers, the point between them, the direction from the
    thumb to the fingers and the one from the palm to the point, wrist frame."""
    pads = skin.pads[list(FINGERS[kind])]
    low, high = 0.0, 1.0
    for _ in range(12):
        share = (low + high) / 2
        angles = CLOSED[kind] + share * (OPEN[kind] - CLOSED[kind])
        T = rig.bone_transforms(angles)[:, :3]
        rest = np.concatenate([skin.points[pads], np.ones((*pads.shape, 1))], axis=-1)
        posed = np.einsum("kij,fpk,fpj->fpi", T, skin.weights[pads], rest)
        thumb, fingers = posed[0, 0], posed[1:, 0].mean(axis=0)
        low, high = (share, high) if np.linalg.norm(fingers - thumb) < width else (low, share)
    middle, palm = (thumb + fingers) / 2, skin.points[skin.palm].mean(axis=0)
    if kind != "wrap" or width > THIN:
        return angles, middle, fingers - thumb, middle - palm
    # A thin thing lies in the bend of the fingers, not between their ends.
    turned = np.einsum("kij,pk,pj->pi", T[:, :, :3], skin.weights[pads[1:, 2]], skin.normals[pads[1:, 2]])
    bend = (posed[1:, 2] + turned * width / 2).mean(axis=0)
    return angles, bend, fingers - thumb, rig.palm
