"""Which recordings a rendered data set holds, and which of their frames serve for what.

All is fixed by numbers: a recipe and a seed name every person, room, object, motion and camera.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from genego_ros.data.h2o_format import CAMERAS, EGO_CAMERA, HEADS, RATES_HZ, Head
from genego_ros.data.sample import SampleId
from genego_ros.data.sample_ids import SampleIds
from genego_ros.data.splits import Splits
from genego_ros.data.synthetic.objects import OBJECT_NAMES
from genego_ros.errors import GenEgoError

RendererName = Literal["raster", "cycles"]

RECIPE_SEED = 1
"""Of the fixed recipes."""
CLASSES = tuple(OBJECT_NAMES)


@dataclass(frozen=True)
class RecordingPlan:
    """One recording, before anything of it is computed."""

    subject: int
    """Names the person: body, looks and where the head camera sits."""
    scene: str
    """Names the room: "h3"."""
    object_class: int
    """Names the kind of object; the object itself varies with `seed`."""
    seed: int
    """Of the data set."""
    frames: tuple[int, ...]
    """Numbers of the frames that are rendered, ascending."""
    length: int
    """Frames of the whole motion."""
    rate_hz: float
    head: Head
    """How much of the head the third-person cameras see."""
    cameras: tuple[str, ...]
    renderer: RendererName = "raster"

    @property
    def sequence(self) -> str:
        """H2O's path: subject, scene and object class."""
        return f"subject{self.subject}/{self.scene}/{self.object_class}"

    def samples(self, frames: Sequence[int]) -> list[SampleId]:
        """The pairs of these frames, for every third-person camera."""
        exo = [name for name in self.cameras if name != EGO_CAMERA]
        return [SampleId(self.sequence, camera, frame) for camera in exo for frame in frames]


@dataclass(frozen=True)
class Recipe:
    """A whole data set."""

    name: str
    recordings: tuple[RecordingPlan, ...]
    splits: Splits | None = None
    """What serves for what, where that is fixed; `./genego splits` makes them for other sets."""


@dataclass(frozen=True)
class _Amounts:
    """How large a recipe with splits is."""

    train: int
    """Train recordings."""
    train_traced: int
    """How many of them are path traced."""
    more: int
    """Train recordings beside those, short ones, each of somebody else in another room: a network learns more from new
    people than from the next moment."""
    test: int
    """Recordings for each of unseen objects, scenes and subjects."""
    test_traced: int
    test_pairs: int
    """Samples a test list."""
    stride: int
    """From one train frame to the next."""
    traced_stride: int


AMOUNTS = {"v1": _Amounts(140, 10, 400, 10, 5, 200, 1, 4), "mini": _Amounts(10, 0, 0, 2, 0, 40, 4, 4)}
LENGTH, RATE_HZ = 90, 10.0
TRAIN_FRAMES = range(0, 40)
ACTION_FRAMES = range(72, 90)
"""The last fifth of a train recording, which tests unseen actions; more than 30 frames after what is trained on."""
TEST_FRAMES = range(30, 60)
"""Of the other test recordings; consecutive where rendering is cheap, for measures over time."""
TEST_STRIDE = 3
TRAIN_SUBJECTS, TEST_SUBJECTS = range(1, 13), range(13, 17)
TRAIN_SCENES = tuple(f"{kind}{number}" for kind in "hk" for number in range(1, 13))
TEST_SCENES = tuple(f"o{number}" for number in range(1, 7))
TEST_OBJECTS = (3, 7, 11)
MORE_SUBJECTS, MORE_SCENES = range(17, 137), tuple(f"{kind}{number}" for kind in "hk" for number in range(13, 113))
MORE_STRIDE = 4
CAMERA_PAIRS = (("cam0", "cam2"), ("cam1", "cam3"), ("cam0", "cam3"), ("cam1", "cam2"))


def sequences(
    count: int,
    frames: int,
    seed: int,
    cameras: Sequence[str] = CAMERAS,
    renderer: RendererName = "raster",
    rate_hz: float = 30.0,
) -> Recipe:
    """`count` recordings of `frames` consecutive frames, no two of the same person, room and object.

    Raises:
        GenEgoError: there are not that many combinations, or a number or name makes no sense.
    """
    if count < 1 or frames < 1:
        raise GenEgoError(f"{count} recordings of {frames} frames: both must be at least 1")
    slowest = RATES_HZ[0]
    if not slowest <= rate_hz <= 240 or seed < 0:
        raise GenEgoError(
            f"{rate_hz:g} frames a second, seed {seed}: give a rate from {slowest:g} to 240, and a seed from 0"
        )
    unknown = [name for name in cameras if name not in CAMERAS]
    if unknown or EGO_CAMERA not in cameras or len(cameras) < 2 or len(set(cameras)) < len(cameras):
        raise GenEgoError(
            f"cameras {', '.join(cameras)}: choose some of cam0 to cam3, and {EGO_CAMERA} (on the head), each once"
        )
    rng = np.random.default_rng([seed, 0])
    scenes = TRAIN_SCENES[:2] + TRAIN_SCENES[12:14] + TEST_SCENES[:2]
    ordered = tuple(sorted(cameras))  # named in another order they see the same
    plans = [
        RecordingPlan(*triple, seed, tuple(range(frames)), frames, rate_hz, HEADS[index % 3], ordered, renderer)
        for index, triple in enumerate(_triples(rng, count, range(1, 5), scenes, CLASSES))
    ]
    return Recipe(f"seed {seed}", tuple(plans))


def rendered_h2o(name: str, renderer: RendererName | None = None) -> Recipe:
    """rendered-H2O `v1`, or `mini`: one train list that is disjoint from the four test lists.

    Unseen objects, scenes and subjects are held out by whole recordings, each new in that one respect alone.

    Args:
        name: a key of `AMOUNTS`.
        renderer: draws everything; by default the recipe says what is path traced.
    """
    amounts = AMOUNTS[name]
    rng = np.random.default_rng([RECIPE_SEED, 0])
    objects = [number for number in CLASSES if number not in TEST_OBJECTS]
    train = [
        _train_plan(index, triple, amounts, renderer)
        for index, triple in enumerate(_triples(rng, amounts.train, TRAIN_SUBJECTS, TRAIN_SCENES, objects))
    ]
    lists = {"train": _pairs(train, TRAIN_FRAMES), "actions": _actions(train, amounts)}
    # A small train list does not hold all that there is to train on.
    known_subjects = [subject for subject in TRAIN_SUBJECTS if any(plan.subject == subject for plan in train)]
    known_scenes = [scene for scene in TRAIN_SCENES if any(plan.scene == scene for plan in train)]
    known_objects = [number for number in objects if any(plan.object_class == number for plan in train)]
    plans = train
    for kind, subjects, scenes, classes in (
        ("objects", known_subjects, known_scenes, TEST_OBJECTS),
        ("scenes", known_subjects, TEST_SCENES, known_objects),
        ("subjects", TEST_SUBJECTS, known_scenes, known_objects),
    ):
        held_out = [
            _test_plan(len(plans) + index, triple, index < amounts.test_traced, renderer)
            for index, triple in enumerate(_triples(rng, amounts.test, subjects, scenes, classes))
        ]
        lists[kind] = _pairs(held_out, TEST_FRAMES[::TEST_STRIDE])
        plans = plans + held_out
    more = [
        _plan(len(plans) + index, triple, tuple(TRAIN_FRAMES[::MORE_STRIDE]), False, renderer)
        for index, triple in enumerate(_triples(rng, amounts.more, MORE_SUBJECTS, MORE_SCENES, objects))
    ]
    lists["train"] += _pairs(more, TRAIN_FRAMES)
    plans = plans + more
    whole = SampleIds.of(sample for plan in plans for sample in plan.samples(plan.frames))
    splits = Splits("rendered", {kind: SampleIds.of(samples) for kind, samples in lists.items()}, whole)
    return Recipe(f"rendered-H2O {name}", tuple(plans), splits)


def _triples(
    rng: np.random.Generator, count: int, subjects: Sequence[int], scenes: Sequence[str], classes: Sequence[int]
) -> list[tuple[int, str, int]]:
    """Different triples in which every subject, scene and class comes about as often as any other."""
    if count > len(subjects) * len(scenes) * len(classes) // 2:
        raise GenEgoError(
            f"{count} recordings are more than {len(subjects)} people in {len(scenes)} rooms with {len(classes)} "
            "kinds of objects give; render with another --seed into another folder"
        )
    drawn: dict[tuple[int, str, int], None] = {}
    while len(drawn) < count:
        longest = max(len(subjects), len(scenes), len(classes))
        columns = [np.resize(rng.permutation(len(values)), longest) for values in (subjects, scenes, classes)]
        for i, j, k in zip(*columns, strict=True):
            drawn[int(subjects[i]), scenes[j], int(classes[k])] = None
    return list(drawn)[:count]


def _train_plan(
    index: int, triple: tuple[int, str, int], amounts: _Amounts, renderer: RendererName | None
) -> RecordingPlan:
    traced = index < amounts.train_traced
    stride = amounts.traced_stride if traced else amounts.stride
    return _plan(index, triple, (*TRAIN_FRAMES[::stride], *ACTION_FRAMES[:: max(stride, 2)]), traced, renderer)


def _test_plan(index: int, triple: tuple[int, str, int], traced: bool, renderer: RendererName | None) -> RecordingPlan:
    return _plan(index, triple, tuple(TEST_FRAMES[:: TEST_STRIDE if traced else 1]), traced, renderer)


def _plan(
    index: int, triple: tuple[int, str, int], frames: tuple[int, ...], traced: bool, renderer: RendererName | None
) -> RecordingPlan:
    """Two third-person cameras a recording, another pair each time."""
    cameras = (*CAMERA_PAIRS[index % 4], EGO_CAMERA)
    drawn_by = renderer or ("cycles" if traced else "raster")
    return RecordingPlan(*triple, RECIPE_SEED, frames, LENGTH, RATE_HZ, HEADS[index % 3], cameras, drawn_by)


def _pairs(plans: Iterable[RecordingPlan], frames: Sequence[int]) -> tuple[SampleId, ...]:
    return tuple(sample for plan in plans for sample in plan.samples([f for f in frames if f in plan.frames]))


def _actions(train: Sequence[RecordingPlan], amounts: _Amounts) -> tuple[SampleId, ...]:
    """Half from the path-traced recordings, if there are any; spread over all recordings and cameras."""
    traced = _pairs(train[: amounts.train_traced], ACTION_FRAMES)
    others = _pairs(train[amounts.train_traced :], ACTION_FRAMES)
    half = amounts.test_pairs // 2 if traced else 0
    chosen = [*_spread(traced, half), *_spread(others, amounts.test_pairs - half)]
    return tuple(chosen)


def _spread(samples: Sequence[SampleId], count: int) -> list[SampleId]:
    """`count` of them, evenly."""
    return [samples[index] for index in np.linspace(0, len(samples) - 1, count).round().astype(int)]
