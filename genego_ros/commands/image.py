"""`./genego image PHOTO`: both stages on one photo, without ROS."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from genego_ros.data.encoding import metres
from genego_ros.data.pictures import open_pictures
from genego_ros.data.sheet import nobody_seen, save_picture
from genego_ros.errors import GenEgoError
from genego_ros.genego import GenEgo
from genego_ros.geometry.skeleton import draw_hands
from genego_ros.parameters import ASSUMED_HFOV_DEG, InputParameters, Parameters, parse_assignments
from genego_ros.types import Camera, Cloud, EgoView, FloatArray, Frame, Hand

_EMPTY_PLY = """ply
format ascii 1.0
element vertex 0
property double x
property double y
property double z
property uchar red
property uchar green
property uchar blue
end_header
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photo", type=Path, help="a third-person photo")
    parser.add_argument("--depth", type=Path, help="its depth: png of 16 bits in millimetres, same size")
    parser.add_argument(
        "--k", type=float, nargs=4, metavar=("FX", "FY", "CX", "CY"), help="intrinsics in pixels of the photo"
    )
    parser.add_argument("--out", type=Path, default=Path("out/image"), help="folder for what comes out")
    parser.add_argument("parameters", nargs="*", metavar="name:=value", help="parameters, for example ego.width:=320")
    # argparse gives positionals to the first gap between options alone; those after --out come as `further`.
    parser.set_defaults(further=[])


def run(args: argparse.Namespace) -> int:
    """Writes ego.png, seen.png, sparse.png, cloud.ply, hands.json and overlay.png.

    Raises:
        GenEgoError: the photo or its depth cannot be read or do not belong together, weights are missing.
    """
    parameters = Parameters.from_mapping(parse_assignments([*args.further, *args.parameters]))
    frame = read_frame(args.photo, args.depth, args.k, parameters.input)
    make_folder(args.out)
    with GenEgo(parameters) as genego:
        genego.observer.settle(frame)
        view = genego(frame)
    write(view, frame, args.out)
    observation = view.observation
    found = ", ".join(f"{hand.side} at {hand.keypoints[0, 2]:.2f} m" for hand in observation.hands_exo)
    print(f"hands: {found or 'none, so there is nobody to look through'}")
    if observation.camera_source == "estimated":
        print("no intrinsics given: the field of view was estimated from the picture")
    elif observation.camera_source == "assumed":
        print(f"no intrinsics given: a field of view of {ASSUMED_HFOV_DEG:g} degrees was assumed")
    print(f"depth: {observation.depth_source}, {100 * view.seen.mean():.1f} % of the view was seen by the camera")
    if view.notice:
        print(view.notice)
    print(f"{observation.description}\nwritten to {args.out}")
    return 0


def make_folder(out: Path) -> None:
    """Raises:
    GenEgoError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GenEgoError(f"folder '{out}' cannot be made ({error.strerror}); choose another --out") from error


def read_frame(photo: Path, depth: Path | None, k: list[float] | None, without: InputParameters) -> Frame:
    """The photo as a frame.

    Raises:
        GenEgoError: not one picture, a depth that is not of 16 bits or of another size, impossible intrinsics.
    """
    pictures = open_pictures(photo)
    if pictures.kind != "photo":
        raise GenEgoError(f"{photo} is a {pictures.kind}: `genego image` takes one photo, `genego demo` takes the rest")
    rgb, _ = next(iter(pictures))
    height, width = rgb.shape[:2]
    camera, source = without.lens(width, height)
    if k:
        camera, source = Camera(width, height, *k), "given"
    return Frame(np.ascontiguousarray(rgb), camera, read_depth(depth) if depth else None, camera_source=source)


def read_depth(path: Path) -> FloatArray:
    """float32 (H, W), metres, NaN invalid, from a png of 16 bits in millimetres.

    Raises:
        GenEgoError: no such file, or another kind of picture.
    """
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if raw is None:
        raise GenEgoError(f"depth '{path}' does not exist or is not a picture")
    if raw.dtype != np.uint16 or raw.ndim != 2:
        raise GenEgoError(f"depth '{path}' is {raw.dtype} {raw.shape}: one channel of 16 bits in millimetres is wanted")
    return metres(raw)


def write(view: EgoView, frame: Frame, out: Path) -> None:
    """Writes everything that a person may want to look at."""
    observation = view.observation
    overlay = frame.rgb.copy()
    draw_hands(overlay, observation.hands_exo)
    pictures = {
        "ego.png": view.image,
        "sparse.png": observation.sparse.rgb,
        "overlay.png": overlay if observation.hands_exo else nobody_seen(overlay),
    }
    for name, picture in pictures.items():
        save_picture(out / name, picture)
    save_picture(out / "seen.png", view.seen * np.uint8(255))
    assert observation.exo_cloud is not None  # made by the observer in this process
    write_ply(observation.exo_cloud, out / "cloud.ply")
    hands = {
        "valid": observation.valid,
        "frame": "optical frames: x right, y down, z forward; metres",
        "keypoints": "wrist, then thumb, index, middle, ring, pinky, each from base to tip",
        "exo": [_as_json(hand) for hand in observation.hands_exo],
        "ego": [_as_json(hand) for hand in observation.hands_ego],
        "T_ego_exo": observation.viewpoint.T_ego_exo.tolist(),
        "viewpoint_source": observation.viewpoint.source,
        "description": observation.description,
    }
    (out / "hands.json").write_text(json.dumps(hands, indent=1) + "\n")


def write_ply(cloud: Cloud, path: Path) -> None:
    """The cloud in its own frame, binary PLY with colours."""
    import open3d

    if not len(cloud.points):  # which Open3D refuses to write
        path.write_text(_EMPTY_PLY)
        return
    points = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(cloud.points.astype(np.float64)))
    points.colors = open3d.utility.Vector3dVector(cloud.colors / 255.0)
    if not open3d.io.write_point_cloud(path, points):
        raise GenEgoError(f"'{path}' cannot be written; is there room on the disk?")


def _as_json(hand: Hand) -> dict[str, Any]:
    return {
        "side": hand.side,
        "score": round(hand.score, 4),
        "scale_source": hand.scale_source,
        "keypoints_m": np.round(hand.keypoints.astype(float), 5).tolist(),
        # JSON has no NaN, which is the pixel of a point behind the camera.
        "keypoints_px": [
            None if np.isnan(p).any() else p for p in np.round(hand.keypoints_2d.astype(float), 2).tolist()
        ],
        "keypoint_scores": np.round(hand.keypoint_scores.astype(float), 4).tolist(),
    }
