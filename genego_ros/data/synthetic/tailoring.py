"""Cuts clothes and hair out of the skin of a body: surfaces that follow its bones a little outside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from genego_ros.data.synthetic.anatomy import Anatomy, Skin, neighbours, vertex_normals
from genego_ros.data.synthetic.scene import IndexArray
from genego_ros.types import Float64Array, FloatArray

HEM = 0.012
"""Metres by which a hem is folded inwards."""


@dataclass(frozen=True)
class Layer:
    """A surface at rest that bones carry along."""

    vertices: Float64Array
    """float64 (C, 3), metres; seams of the texture double vertices."""
    faces: IndexArray
    """int32 (F, 3)."""
    weld: IndexArray
    """int32 (C,): the first vertex at the same place."""
    uv: FloatArray
    """float32 (C, 2)."""
    skin: Skin
    margin: Float64Array
    """float64 (C,): metres from the border along which it was cut."""

    @property
    def normals(self) -> Float64Array:
        """float64 (C, 3)."""
        return vertex_normals(self.vertices, self.weld[self.faces])[self.weld]


def cut(body: Anatomy, keep: Float64Array) -> Layer:
    """The part of a body's skin where `keep` is positive.

    Args:
        body: at rest.
        keep: float64 (V,), metres from the border, positive inside; triangles across the border are divided.
    """
    value = keep[body.corners]
    inside = value[body.faces] > 0
    count = inside.sum(axis=1)
    # The corner that is alone on its side of the border comes first.
    alone = np.where(count == 1, inside.argmax(axis=1), (~inside).argmax(axis=1))
    turned = np.take_along_axis(body.faces, (alone[:, None] + np.arange(3)) % 3, axis=1)
    one, two = turned[count == 1], turned[count == 2]
    edges = np.concatenate([one[:, [0, 1]], one[:, [0, 2]], two[:, [0, 1]], two[:, [0, 2]]])
    pairs, index = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True)
    first = len(body.corners)
    b, c, d, e = np.split(first + index.ravel(), np.cumsum([len(one), len(one), len(two)]))
    faces = np.concatenate(
        [
            body.faces[count == 3],
            np.stack([one[:, 0], b, c], axis=1),
            np.stack([d, two[:, 1], two[:, 2]], axis=1),
            np.stack([d, two[:, 2], e], axis=1),
        ]
    )
    share = value[pairs[:, 0]] / (value[pairs[:, 0]] - value[pairs[:, 1]])
    ends = np.concatenate([np.repeat(np.arange(first)[:, None], 2, axis=1), pairs])
    share = np.r_[np.zeros(first), share][:, None]
    used, faces = np.unique(faces, return_inverse=True)
    ends, share = ends[used], share[used]
    at = body.corners[ends]
    vertices = (1 - share) * body.vertices[at[:, 0]] + share * body.vertices[at[:, 1]]
    dense = body.skin.dense()
    weights = (1 - share) * dense[at[:, 0]] + share * dense[at[:, 1]]
    _, representative, place = np.unique(
        np.where(share > 0, np.sort(at, axis=1), at[:, :1]), axis=0, return_index=True, return_inverse=True
    )
    return Layer(
        vertices,
        faces.reshape(-1, 3).astype(np.int32),
        representative[place.ravel()].astype(np.int32),
        ((1 - share) * body.uv[ends[:, 0]] + share * body.uv[ends[:, 1]]).astype(np.float32),
        strongest(weights),
        np.maximum((1 - share[:, 0]) * keep[at[:, 0]] + share[:, 0] * keep[at[:, 1]], 0.0),
    )


def strongest(dense: FloatArray) -> Skin:
    """The six strongest weights of each row (V, 104)."""
    bones = np.argsort(-dense, axis=1, kind="stable")[:, :6]
    weights = np.take_along_axis(dense, bones, axis=1)
    return Skin((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32), bones.astype(np.uint8))


def drape(layer: Layer, distance: Float64Array, rounds: int) -> Layer:
    """Cloth: `distance` (C,) metres outside the skin, smoothed `rounds` times without touching it."""
    triangles = layer.weld[layer.faces]
    mean = neighbours(triangles, len(layer.vertices))
    skin, normals = layer.vertices, layer.normals
    vertices = skin + distance[:, None] * normals
    border = np.zeros(len(vertices), bool)
    border[border_edges(triangles).ravel()] = True
    for _ in range(rounds):
        vertices = np.where(border[:, None], vertices, 0.4 * vertices + 0.6 * (mean @ vertices))
        outside = np.einsum("ij,ij->i", vertices - skin, normals)
        vertices += np.maximum(0.5 * distance - outside, 0)[:, None] * normals
    return replace(layer, vertices=vertices[layer.weld])


def border_edges(triangles: IndexArray) -> IndexArray:
    """int32 (N, 2): the directed edges that only one triangle has."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    size = int(edges.max()) + 1
    keys, back = edges[:, 0] * np.int64(size) + edges[:, 1], edges[:, 1] * np.int64(size) + edges[:, 0]
    return edges[~np.isin(keys, back)]


def hemmed(layer: Layer, depth: float) -> Layer:
    """With its borders folded inwards by `HEM` and `depth` metres towards the skin, so that cloth has a thickness."""
    triangles = layer.weld[layer.faces]
    edges = border_edges(triangles)
    ring = np.unique(edges)
    inward = (neighbours(triangles, len(layer.vertices)) @ layer.vertices - layer.vertices)[ring]
    inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-9)
    folded = layer.vertices[ring] - depth * layer.normals[ring] + HEM * inward
    count = len(layer.vertices)
    inner = np.zeros(count, np.int64)
    inner[ring] = count + np.arange(len(ring))
    a, b = edges.T
    strip = np.concatenate([np.stack([b, a, inner[a]], axis=1), np.stack([b, inner[a], inner[b]], axis=1)])
    return Layer(
        np.vstack([layer.vertices, folded]),
        np.vstack([layer.faces, strip]).astype(np.int32),
        np.r_[layer.weld, inner[ring]].astype(np.int32),
        np.vstack([layer.uv, layer.uv[ring]]),
        Skin(
            np.vstack([layer.skin.weights, layer.skin.weights[ring]]),
            np.vstack([layer.skin.bones, layer.skin.bones[ring]]),
        ),
        np.r_[layer.margin, layer.margin[ring]],
    )


def waves(rng: np.random.Generator, places: Float64Array, length: float, count: int = 24) -> Float64Array:
    """Smooth noise in space: float64 (N,), mean 0, deviation about 1, with waves of `length` metres at (N, 3)."""
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    numbers = 2 * np.pi / (length * rng.uniform(0.6, 1.8, count))
    phases = rng.uniform(0, 2 * np.pi, count)
    total: Float64Array = np.sin(places @ (directions * numbers[:, None]).T + phases).sum(axis=1)
    return total * np.sqrt(2 / count)
