"""Every parameter of the system, declared once: type, default, range, unit, meaning.

The nodes declare their ROS parameters from this, the commands their options, and docs/parameters.md
is printed from it. A ROS parameter's name is "<group>.<field>", for example `ego.width`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from typing import Any

import yaml

from genego_ros.errors import GenEgoError
from genego_ros.types import Camera, CameraSource

ASSUMED_HFOV_DEG = 60.0
"""Of a lens that nobody tells anything of."""


@dataclass(frozen=True)
class Declaration:
    """What a parameter is, beside its name and default."""

    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    """Empty where any text is allowed; a backend's name is checked when it is loaded."""
    read_only: bool = False
    """Set when the node is started; it cannot change afterwards."""


def parameter(default: Any, meaning: str, **rest: Any) -> Any:
    """A dataclass field that carries its `Declaration`."""
    return field(default=default, metadata={"declaration": Declaration(meaning, **rest)})


@dataclass(frozen=True)
class InputParameters:
    depth_slop_ms: float = parameter(
        20.0,
        "largest difference between the stamps of a picture and its depth image",
        unit="ms",
        low=0.0,
        high=1000.0,
    )
    assumed_hfov_deg: float = parameter(
        0.0,
        "horizontal field of view where no camera_info comes; 0 = as a depth network sees it, 60 where none does",
        unit="degrees",
        low=0.0,
        high=150.0,
    )
    silent_s: float = parameter(
        5.0, "say so when an input topic has had no message for this long", unit="s", low=0.5, high=3600.0
    )

    def __post_init__(self) -> None:
        if 0 < self.assumed_hfov_deg < 10:
            raise GenEgoError(
                f"parameter 'input.assumed_hfov_deg' is {self.assumed_hfov_deg:g}: it must be 0, or 10 to 150 degrees"
            )

    def lens(self, width: int, height: int) -> tuple[Camera, CameraSource]:
        """K_exo of a picture that comes without, and where it is from."""
        told = self.assumed_hfov_deg
        return Camera.from_hfov(width, height, told or ASSUMED_HFOV_DEG), "given" if told else "assumed"


@dataclass(frozen=True)
class HandParameters:
    backend: str = parameter("mediapipe", "hand estimator", read_only=True)
    detection_score: float = parameter(0.5, "least confidence of a hand detection", low=0.0, high=1.0, read_only=True)
    tracking_score: float = parameter(
        0.5, "least confidence to go on tracking a hand", low=0.0, high=1.0, read_only=True
    )
    hand_length: float = parameter(
        0.0,
        "the person's hand length, wrist to tip of the middle finger when stretched; 0 = unknown",
        unit="m",
        low=0.0,
        high=0.3,
    )
    checkout: str = parameter("", "`wilor`, `hamer`, `acr`: folder of your checkout of that repository", read_only=True)
    weights: str = parameter("", "`wilor`, `hamer`, `acr`: file of its checkpoint", read_only=True)
    smoothing: float = parameter(
        0.0,
        "time constant with which the keypoints of a still hand are smoothed (a moving hand's less); 0 = not at all",
        unit="s",
        low=0.0,
        high=2.0,
    )


@dataclass(frozen=True)
class DepthParameters:
    backend: str = parameter(
        "auto",
        "where D_exo comes from: depth images while they come, else the network `lite`, or one of them alone",
        read_only=True,
    )
    weights: str = parameter(
        "",
        "file or folder of the depth network's weights; empty: those of `lite` that come with the package",
        read_only=True,
    )
    checkout: str = parameter("", "`vggt`: folder of a checkout of facebookresearch/vggt", read_only=True)
    near: float = parameter(0.1, "depth below this is invalid", unit="m", low=0.0, high=10.0)
    far: float = parameter(8.0, "depth beyond this is invalid", unit="m", low=0.1, high=100.0)

    def __post_init__(self) -> None:
        if self.near >= self.far:
            raise GenEgoError(f"parameter 'depth.near' is {self.near}: it must be below 'depth.far', {self.far}")


@dataclass(frozen=True)
class EgoHandParameters:
    weights: str = parameter(
        "phi_ego_tiny", "phi_ego: weights by their name in models/manifest.yaml, or a file", read_only=True
    )


@dataclass(frozen=True)
class ViewpointParameters:
    backend: str = parameter("auto", "how X, the pose of the person's eyes, is found", read_only=True)
    distance: float = parameter(0.5, "`nominal`: eyes to the middle of the hands", unit="m", low=0.1, high=2.0)
    elevation_deg: float = parameter(
        50.0, "`nominal`: how far down the eyes look", unit="degrees", low=-80.0, high=80.0
    )
    hold_s: float = parameter(
        0.5,
        "how long the last pose stands in where none can be told, before `nominal` does",
        unit="s",
        low=0.0,
        high=60.0,
    )
    smoothing_s: float = parameter(
        0.0,
        "time constant with which the ego camera follows, against shaking; 0 = at once",
        unit="s",
        low=0.0,
        high=10.0,
    )
    camera_pitch_deg: float = parameter(
        0.0,
        "`nominal`: how far the third-person camera looks down, where no depth image shows the table",
        unit="degrees",
        low=-90.0,
        high=90.0,
    )


@dataclass(frozen=True)
class DescriptionParameters:
    backend: str = parameter("template", "who writes T_exo", read_only=True)
    text: str = parameter("", "the description itself, for the backend `parameter`")
    weights: str = parameter("", "folder of the vision-language model, for the backend `qwen_vl`", read_only=True)
    timeout_s: float = parameter(
        10.0, "what is not described by then is left out or cut short", unit="s", low=0.1, high=600.0
    )
    rate_hz: float = parameter(1.0, "how often the scene is described", unit="Hz", low=0.01, high=30.0)


@dataclass(frozen=True)
class EgoParameters:
    width: int = parameter(640, "width of the egocentric view", unit="px", low=16, high=4096)
    height: int = parameter(360, "height of the egocentric view", unit="px", low=16, high=4096)
    hfov_deg: float = parameter(
        90.0, "horizontal field of view of the egocentric view", unit="degrees", low=10.0, high=150.0
    )


@dataclass(frozen=True)
class ReconstructionParameters:
    backend: str = parameter("auto", "what completes S_ego", read_only=True)
    weights: str = parameter(
        "",
        "`lite`: file of its weights; `sd15`: folder of its pipeline; empty: those that are installed",
        read_only=True,
    )
    scheduler: str = parameter(
        "", "`lite`, `sd15`: ddim, dpm++, lcm, tcd or flow; empty: what the weights were saved with", read_only=True
    )
    steps: int = parameter(
        0, "`lite`, `sd15`: passes of the U-Net a picture; 0: 1 of `lite`, 20 of `sd15`", low=0, high=100
    )
    guidance: float = parameter(
        1.0, "`lite`, `sd15`: how much the description counts; above 1 each step takes two passes", low=1.0, high=20.0
    )
    seed: int = parameter(0, "`lite`, `sd15`: of the noise, the same for every picture", low=0, high=1_000_000_000)
    smoothing_s: float = parameter(
        0.2,
        "`lite`, `sd15`: time constant with which what is made up follows, against flicker; 0 = each picture by itself",
        unit="s",
        low=0.0,
        high=10.0,
    )
    size: int = parameter(
        0, "`lite`, `sd15`: side of the square that is worked on; 0 = the network's own", unit="px", low=0, high=1024
    )

    def __post_init__(self) -> None:
        if self.size % 8 or 0 < self.size < 64:
            raise GenEgoError(
                f"parameter 'reconstruction.size' is {self.size}: it must be 0, or a multiple of 8 from 64 on"
            )


@dataclass(frozen=True)
class BaselineParameters:
    pix2pixhd_weights: str = parameter(
        "", "`evaluate --methods pix2pixhd`: weights of `train baseline pix2pixhd`", read_only=True
    )
    pixelnerf_weights: str = parameter(
        "", "`evaluate --methods pixelnerf`: weights of `train baseline pixelnerf`", read_only=True
    )
    cfld_weights: str = parameter("", "`evaluate --methods cfld`: weights of `train baseline cfld`", read_only=True)
    egoworld_weights: str = parameter(
        "",
        "`evaluate --methods egoworld`: weights of `train baseline egoworld`, or the pipeline of `train sd15`",
        read_only=True,
    )


@dataclass(frozen=True)
class FrameParameters:
    ego: str = parameter(
        "ego_camera_optical_frame",
        "name of the egocentric optical frame; stage 2 takes it from stage 1",
        read_only=True,
    )
    tf_prefix: str = parameter("", "put before the names of the frames this package publishes", read_only=True)

    def __post_init__(self) -> None:
        if not self.ego:
            raise GenEgoError("parameter 'frames.ego' is empty: it must name a frame")


@dataclass(frozen=True)
class Parameters:
    """All parameters; a node or command that does not use one simply leaves it alone."""

    device: str = parameter("auto", "what computes: auto, cpu or cuda:N", read_only=True)
    dtype: str = parameter(
        "auto",
        "numbers that the reconstruction's networks compute with; auto: float16 on a GPU, else float32",
        choices=("auto", "float32", "bfloat16", "float16"),
        read_only=True,
    )
    input: InputParameters = field(default_factory=InputParameters)
    hands: HandParameters = field(default_factory=HandParameters)
    depth: DepthParameters = field(default_factory=DepthParameters)
    ego_hand: EgoHandParameters = field(default_factory=EgoHandParameters)
    viewpoint: ViewpointParameters = field(default_factory=ViewpointParameters)
    description: DescriptionParameters = field(default_factory=DescriptionParameters)
    ego: EgoParameters = field(default_factory=EgoParameters)
    reconstruction: ReconstructionParameters = field(default_factory=ReconstructionParameters)
    frames: FrameParameters = field(default_factory=FrameParameters)
    baselines: BaselineParameters = field(default_factory=BaselineParameters)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Parameters:
        """Parameters from full names ("ego.width") to values; the rest keep their defaults.

        Raises:
            GenEgoError: an unknown name (the nearest known one is named), a wrong type, a value out of
                range or not among the choices.
        """
        known = {name: (default, declaration) for name, default, declaration in declarations()}
        groups: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            if name not in known:
                raise GenEgoError(unknown_parameter(name))
            group, _, leaf = name.rpartition(".")
            groups.setdefault(group, {})[leaf] = _checked(name, value, *known[name])
        built = {}
        for outer in fields(cls):
            if (group_type := _group_type(outer)) is not None:
                built[outer.name] = group_type(**groups.get(outer.name, {}))
        return cls(**groups.get("", {}), **built)

    def as_mapping(self) -> dict[str, Any]:
        """Full names to values."""
        values: dict[str, Any] = {}
        for name, _, _ in declarations():
            group, _, leaf = name.rpartition(".")
            values[name] = getattr(getattr(self, group) if group else self, leaf)
        return values

    def changed(self, values: Mapping[str, Any]) -> Parameters:
        """These parameters with some exchanged; names that are no parameters of the system are passed over.

        Raises:
            GenEgoError: as `from_mapping`.
        """
        mine = self.as_mapping()
        return Parameters.from_mapping({**mine, **{name: value for name, value in values.items() if name in mine}})


def _group_type(outer: Field[Any]) -> type[Any] | None:
    """The dataclass of a group of parameters, None for a single parameter."""
    factory = outer.default_factory
    return factory if isinstance(factory, type) and is_dataclass(factory) else None


def declarations() -> Iterator[tuple[str, Any, Declaration]]:
    """Every parameter as (full name, default, declaration), in order."""
    for outer in fields(Parameters):
        group_type = _group_type(outer)
        if group_type is None:
            yield outer.name, outer.default, outer.metadata["declaration"]
            continue
        for inner in fields(group_type):
            yield f"{outer.name}.{inner.name}", inner.default, inner.metadata["declaration"]


def unknown_parameter(name: str) -> str:
    """The text of the error for a name that is not a parameter."""
    near = get_close_matches(name, [known for known, _, _ in declarations()], n=1)
    hint = f"; did you mean '{near[0]}'?" if near else "; docs/parameters.md lists the parameters"
    return f"unknown parameter '{name}'{hint}"


def parse_assignments(texts: Sequence[str]) -> dict[str, Any]:
    """Full names to values, from texts of the form name:=value, the value written as in YAML.

    Raises:
        GenEgoError: a text of another form, or a value that is not YAML.
    """
    values = {}
    for text in texts:
        name, separator, value = text.partition(":=")
        if not separator:
            raise GenEgoError(f"'{text}' is not of the form name:=value")
        try:
            values[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise GenEgoError(f"'{text}': the value of name:=value must be YAML; put it in quotes") from error
    return values


def _checked(name: str, value: Any, default: Any, declaration: Declaration) -> Any:
    kind = type(default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise GenEgoError(f"parameter '{name}' is {value!r}: it must be a {kind.__name__}")
    low, high = declaration.low, declaration.high
    if low is not None and high is not None and not low <= value <= high:
        span = f"between {low:g} and {high:g} {declaration.unit}".rstrip()
        raise GenEgoError(f"parameter '{name}' is {value}: it must lie {span}")
    if declaration.choices and value not in declaration.choices:
        raise GenEgoError(f"parameter '{name}' is '{value}': it must be one of {', '.join(declaration.choices)}")
    return value
