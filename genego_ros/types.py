"""The values that travel through the system: frozen dataclasses of numpy arrays.

Conventions. Lengths are metres, image coordinates are pixels with integer pixel centres (the
top-left pixel is centred on (0, 0)), camera frames are optical (REP 103: x right, y down,
z forward) and `T_a_b` maps coordinates of frame b to frame a. Invalid depth is NaN (REP 118).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genego_ros.errors import GenEgoError

Array = NDArray[Any]
FloatArray = NDArray[np.float32]
Float64Array = NDArray[np.float64]
ByteArray = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
"""In the order in which hands are listed; their indices are the numbers of Hand.msg."""
CameraSource = Literal["given", "estimated", "assumed"]
KEYPOINTS = 21
"""Keypoints a hand, in OpenPose's and MediaPipe's order: wrist, then thumb, index, middle, ring
and pinky from base to tip, four each."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion; distortion is undone where pictures come in.

    Sizes, focal lengths and the principal point are in pixels.

    Raises:
        GenEgoError: the size is not positive, or a number is NaN, infinite or a focal length <= 0.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise GenEgoError(f"camera of {self.width} x {self.height} pixels: both must be positive")
        intrinsics = (self.fx, self.fy, self.cx, self.cy)
        if not all(map(math.isfinite, intrinsics)) or self.fx <= 0 or self.fy <= 0:
            raise GenEgoError(
                "camera intrinsics fx, fy, cx, cy = {}, {}, {}, {}: all must be finite and the focal "
                "lengths positive; calibrate the camera or leave camera_info out".format(*intrinsics)
            )

    @classmethod
    def from_hfov(cls, width: int, height: int, hfov_deg: float) -> Camera:
        """A camera with square pixels, a centred principal point and a horizontal field of view.

        Pixel centres are integers, so the picture reaches from -0.5 to width - 0.5.
        """
        focal = width / (2.0 * math.tan(math.radians(hfov_deg) / 2.0))
        return cls(width, height, focal, focal, (width - 1) / 2.0, (height - 1) / 2.0)

    @property
    def matrix(self) -> Float64Array:
        """K, float64 (3, 3), pixels."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float64)

    def resized(self, width: int, height: int) -> Camera:
        """The same camera for a picture squeezed to another size.

        A resize by s maps the pixel centre c to (c + 0.5) s - 0.5.
        """
        sx, sy = width / self.width, height / self.height
        return Camera(
            width,
            height,
            self.fx * sx,
            self.fy * sy,
            (self.cx + 0.5) * sx - 0.5,
            (self.cy + 0.5) * sy - 0.5,
        )

    def thinned(self, stride: int) -> Camera:
        """The same camera for a picture of every so many rows and columns, picture[::stride, ::stride]."""
        return Camera(
            -(-self.width // stride),
            -(-self.height // stride),
            self.fx / stride,
            self.fy / stride,
            self.cx / stride,
            self.cy / stride,
        )


@dataclass(frozen=True)
class Frame:
    """One picture of the third-person camera (I_exo) with what came beside it."""

    rgb: ByteArray
    """uint8 (H, W, 3), RGB."""
    camera: Camera
    """K_exo, for the size of `rgb`."""
    depth: FloatArray | None = None
    """float32 (H, W), metres along z, NaN invalid; registered to `rgb`; None where none was given."""
    stamp_ns: int = 0
    """Nanoseconds; the stamp of everything that is made from this frame."""
    frame_id: str = "exo_camera_optical_frame"
    camera_source: CameraSource = "given"
    """`estimated`, `assumed`: no intrinsics came with the picture, and a depth network told the field of view, or one
    was assumed."""

    def __post_init__(self) -> None:
        shape = (self.camera.height, self.camera.width)
        if self.rgb.dtype != np.uint8 or self.rgb.shape != (*shape, 3):
            raise GenEgoError(f"picture is {self.rgb.dtype} {self.rgb.shape}, its camera wants uint8 {(*shape, 3)}")
        if self.depth is not None and (self.depth.dtype != np.float32 or self.depth.shape != shape):
            raise GenEgoError(
                f"depth is {self.depth.dtype} {self.depth.shape}, the picture wants float32 {shape}; "
                "register the depth image to the colour camera"
            )


@dataclass(frozen=True)
class Hand:
    """One hand (of P_exo or P_ego) in the frame of the camera it is listed under."""

    side: Side
    score: float
    """Confidence that this is a hand, 0 to 1."""
    keypoints: FloatArray
    """float32 (21, 3), metres, camera frame."""
    keypoints_2d: FloatArray
    """float32 (21, 2), pixels; outside the picture is allowed."""
    keypoint_scores: FloatArray
    """float32 (21,), 0 to 1; weak keypoints stay in their slot with a low score."""
    scale_source: str
    """Where the hand's size comes from: `average` (a mean adult hand was assumed), `hand_length` (the parameter),
    `model` (an average hand and a depth network's metres), `depth` (a metric depth image) or `truth` (a data set's own
    keypoints)."""


@dataclass(frozen=True)
class EgoHands:
    """What phi_ego reads off the third-person picture: where the hands are for the person's own eyes."""

    keypoints: FloatArray
    """float32 (2, 21, 3): left, right, as `SIDES`; metres, ego optical frame; finite also where there is no hand."""
    scores: FloatArray
    """float32 (2,): how likely the picture shows that hand, 0 to 1."""
    deviation: FloatArray
    """float32 (2,), metres: the error that the estimator expects of a keypoint, root mean square over a coordinate."""


@dataclass(frozen=True)
class Scale:
    """The factor s* that turns D_exo into metres (paper section 2.1)."""

    factor: float = 1.0
    """Metres a unit of D_exo; of a disparity, 1 / metres a unit."""
    spread: float = math.nan
    """Relative spread of D_hand / D_exo over the inliers (1.4826 MAD / median), with a metric D_exo the larger one of
    the two hands; NaN where nothing could be compared."""
    inliers: int = 0
    """Pixels of the hand region that agree on the ratio."""
    source: str = "none"
    """`topic` (a depth camera is metric already), `model` (so is this depth network, or its own metres serve), `hands`,
    `carried` (from hands of earlier frames), `hand_mesh` (the depth is the hands' own) or `none`."""
    shift: float = 0.0
    """1 / metres; of a disparity alone, whose depth is 1 / (factor D_exo + shift)."""


@dataclass(frozen=True)
class Cloud:
    """A coloured point cloud (C_exo or C_ego)."""

    points: FloatArray
    """float32 (N, 3), metres, in the frame named by the holder; finite."""
    colors: ByteArray
    """uint8 (N, 3), RGB."""
    spacing: FloatArray
    """float32 (N,), metres between neighbours: the side of the surface patch a point stands for."""


@dataclass(frozen=True)
class SparseView:
    """S_ego: the cloud as the egocentric camera sees it, with holes where nothing landed."""

    rgb: ByteArray
    """uint8 (H, W, 3); black where nothing landed."""
    depth: FloatArray
    """float32 (H, W), metres along z; NaN where nothing landed."""
    projected: BoolArray
    """bool (H, W): where the splat landed."""


@dataclass(frozen=True)
class Viewpoint:
    """X, the exocentric-to-egocentric transformation, and how far to trust it."""

    T_ego_exo: Float64Array
    """float64 (4, 4), rigid; maps the exo optical frame to the ego optical frame."""
    source: str
    """The backend that gave it: `phi_ego`, `head`, `tf`, `nominal`, ..., or `previous` (carried on from before)."""
    residual: float = math.nan
    """Root mean square distance in metres between X P_exo and P_ego; NaN where nothing was fitted."""
    turn_deviation: float = math.nan
    """Radians: the standard deviation of the rotation about an axis that the backend expects; NaN unknown."""
    shift_deviation: float = math.nan
    """Metres: likewise, of a coordinate of the eyes' place; NaN unknown."""


@dataclass(frozen=True)
class ExoObservation:
    """All that stage 1 (PHI_exo) says of a frame, and all that stage 2 (PHI_ego) needs."""

    stamp_ns: int
    frame_id: str
    """The exo optical frame."""
    valid: bool
    """False when no viewpoint could be found (nobody seen): the maps are then empty."""
    hands_exo: tuple[Hand, ...]
    """P_exo."""
    hands_ego: tuple[Hand, ...]
    """P_ego, the same hands in the same order in the ego optical frame."""
    ego_camera: Camera
    """K_ego."""
    viewpoint: Viewpoint
    sparse: SparseView
    """S_ego."""
    description: str
    """T_exo."""
    scale: Scale
    depth_source: str
    """The depth backend that served this frame: `topic`, `hands`, ...; `none` where no pixel has a depth in metres."""
    camera_source: CameraSource = "given"
    exo_depth: FloatArray | None = None
    """D'_exo, float32 (H, W), metres, NaN invalid; None in an observation that came over a topic."""
    exo_cloud: Cloud | None = None
    """C_exo in the exo optical frame; None in an observation that came over a topic."""
    stage_ms: dict[str, float] = field(default_factory=dict)
    """Milliseconds spent in each step."""


@dataclass(frozen=True)
class EgoView:
    """The scene as the person sees it, with every pixel marked as seen or made up."""

    image: ByteArray
    """uint8 (H, W, 3), RGB."""
    seen: BoolArray
    """bool (H, W): True where the pixel comes from the camera."""
    observation: ExoObservation
    source: str
    """The reconstruction backend that made it."""
    stage_ms: dict[str, float] = field(default_factory=dict)
    confidence: FloatArray | None = None
    """float32 (H, W), 0 to 1: how sure each pixel is; None where it was not asked for."""
    notice: str = ""
    """What a user should hear of, such as that another backend had to serve; else empty."""
