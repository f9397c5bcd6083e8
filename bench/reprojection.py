"""The splat of real depth images from a moved camera, against a ray-cast mesh of the same depth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open3d as o3d
from scipy.spatial.transform import Rotation

from bench import Result, data_folder, no_recordings
from genego_ros.geometry.camera import rays, unproject
from genego_ros.geometry.rigid import compose, invert
from genego_ros.geometry.splatting import splat
from genego_ros.types import ByteArray, Camera, Float64Array, FloatArray

EDGE = 0.02
"""A triangle whose corners differ by more than this share of their depth spans a depth edge."""


T_EXO_EGO = compose(Rotation.from_euler("y", -15.0, degrees=True).as_matrix(), [0.2, 0.0, 0.0])
"""20 cm to the right, turned to the left: the tabletops' centres, 0.75 m away, stay in the middle."""


@dataclass(frozen=True)
class Reprojection:
    """How the splat and the mesh agree on one picture."""

    name: str
    agreeing: float
    """Share of the pixels seen by both whose depths differ by at most 1 cm."""
    coverage: float
    """Share of the mesh's pixels that the splat covers."""


def compare(folder: Path, name: str) -> Reprojection:
    """Moves the camera of one recording by 20 cm and 15 degrees and renders it both ways."""
    camera, depth, rgb = load(folder, name)
    cloud = unproject(depth, rgb, camera, 0.1, 8.0)
    view = splat(cloud, invert(T_EXO_EGO), camera)
    mesh_depth = ray_cast(depth, camera, T_EXO_EGO)
    both = view.projected & np.isfinite(mesh_depth)
    agreeing = np.abs(view.depth - mesh_depth)[both] <= 0.01
    coverage = both.sum() / np.isfinite(mesh_depth).sum()
    return Reprojection(name, float(agreeing.mean()), float(coverage))


def load(folder: Path, name: str) -> tuple[Camera, FloatArray, ByteArray]:
    k = json.loads((folder / "intrinsics.json").read_text())
    millimetres = np.asarray(o3d.io.read_image(str(folder / f"{name}_depth_mm.png")))
    rgb = np.asarray(o3d.io.read_image(str(folder / f"{name}_rgb.png")))
    camera = Camera(k["width"], k["height"], k["fx"], k["fy"], k["cx"], k["cy"])
    return camera, np.where(millimetres > 0, millimetres * np.float32(0.001), np.float32(np.nan)), rgb


def ray_cast(depth: FloatArray, camera: Camera, T_exo_ego: Float64Array) -> FloatArray:
    """Depth float32 (H, W) of the mesh through all neighbouring pixels, NaN where nothing is hit."""
    vertices = (rays(camera) * depth[..., None]).reshape(-1, 3)
    index = np.arange(depth.size).reshape(depth.shape)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    faces = np.concatenate([np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, c, b), (b, c, d))])
    z = vertices[faces, 2]
    faces = faces[np.ptp(z, axis=1) <= EDGE * z.min(axis=1)]  # false for NaN
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(np.nan_to_num(vertices), faces.astype(np.uint32))
    directions = rays(camera) @ T_exo_ego[:3, :3].T.astype(np.float32)
    origins = np.broadcast_to(T_exo_ego[:3, 3].astype(np.float32), directions.shape)
    hits = scene.cast_rays(o3d.core.Tensor.from_numpy(np.concatenate([origins, directions], axis=-1)))
    distance = hits["t_hit"].numpy()  # in units of the ray, whose z is 1: the depth itself
    return np.where(np.isfinite(distance), distance, np.nan)


def names(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix("_rgb.png") for path in folder.glob("*_rgb.png"))


def run() -> list[Result]:
    """Raises:
    GenEgoError: the recordings are absent.
    """
    folder = data_folder("rgbd_tabletop")
    found = [compare(folder, name) for name in names(folder)]
    if not found:
        raise no_recordings(folder)
    worst = min(each.agreeing for each in found)
    least = min(each.coverage for each in found)
    mesh = "ray-cast mesh of the same depth, 20 cm and 15 degrees aside"
    return [
        Result(
            f"reprojection, pixels within 1 cm, worst of {len(found)}",
            100 * worst,
            "%",
            mesh,
            None,
            ">= 97 %",
            worst >= 0.97,
        ),
        Result(
            f"reprojection, mesh pixels covered, worst of {len(found)}",
            100 * least,
            "%",
            mesh,
            None,
            ">= 99.9 %",
            least >= 0.999,
        ),
    ]
