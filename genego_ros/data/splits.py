"""Which samples a method learns from and which measure it, written down sample by sample.

A data set's splits lie in its folder as splits.json. Test lists have the names of what they hold out: `objects`,
`actions`, `scenes`, `subjects`; rules of a data set may add their own. A test list NAME is learned for on the list
`train-NAME` where there is one, otherwise on `train`, which serves all others.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genego_ros.atomic import write_whole
from genego_ros.data.sample_ids import LAST_FRAME, Run, SampleIds
from genego_ros.errors import GenEgoError

FILE = "splits.json"
VERSION = 1
TRAIN = "train"
PAPER = ("objects", "actions", "scenes", "subjects")
"""The four of the paper, in its order."""
ALL = "all"
"""The whole folder as one split."""
TEST_SHARE = 0.2
"""Of every recording for `actions`: its end."""
GAP = 30
"""Frames between the train part of a rendered recording and its end that tests `actions`."""
CLIP = 30
"""Frames of a clip of H2O under Exo2Ego's rules; a recording is cut between clips."""
UNSEEN_ACTIONS = ("empty", "put in", "stir")
"""Of TACO, held out whole by our rule: 17% of its sequences."""

_RANGE = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6})(?::([0-9]{1,6}))?)?")
_log = logging.getLogger(__name__)
Frames = NDArray[np.int32]


@dataclass(frozen=True)
class Splits:
    """The lists of one data set, and all of its samples."""

    dataset: str
    """The rules that made them: `h2o`, `taco` or `rendered`."""
    lists: Mapping[str, SampleIds]
    whole: SampleIds
    """Every sample of the folder."""

    def __post_init__(self) -> None:
        for name, ids in self.lists.items():
            if not len(ids):
                raise GenEgoError(
                    f"split '{name}' has no samples; put more or longer recordings into the folder, or make splits by "
                    "other rules: genego splits DIR --rules h2o (or taco, or rendered)"
                )
            if name != TRAIN and not name.startswith(f"{TRAIN}-"):
                self._check_apart(name)

    def ids(self, name: str) -> SampleIds:
        """The samples of a list, or of the whole folder (`all`).

        Raises:
            GenEgoError: there is no such list.
        """
        if name == ALL:
            return self.whole
        if name not in self.lists:
            raise GenEgoError(f"no split '{name}' here; there is {', '.join(self.lists)} and {ALL}")
        return self.lists[name]

    def train_ids(self, name: str) -> SampleIds:
        """What a method that is tested on the list `name` may learn from."""
        return self.ids(self.train_name(name))

    def names(self, choice: str) -> tuple[str, ...]:
        """The lists that a choice on the command line means: `paper` the four, otherwise itself.

        Raises:
            GenEgoError: one of them is missing.
        """
        chosen = PAPER if choice == "paper" else (choice,)
        for name in chosen:
            self.ids(name)
        return chosen

    @classmethod
    def read(cls, path: Path | str, whole: SampleIds) -> Splits:
        """The splits of a file.

        Args:
            whole: all samples of the folder that it speaks of, with every camera.

        Raises:
            GenEgoError: no such file, another format, a list without samples, a sample that is not in the folder, or
                one whose moment is learned from too, by whatever camera; names the path.
        """
        path = Path(path)
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise GenEgoError(f"{path}: cannot be read ({error}); make it with: genego splits {path.parent}") from error
        if not isinstance(said, dict) or said.get("version") != VERSION or not isinstance(said.get("lists"), dict):
            raise GenEgoError(f"{path}: no split file of version {VERSION}; make it with: genego splits {path.parent}")
        lists = {name: _parse_list(path, name, recordings, whole) for name, recordings in said["lists"].items()}
        try:
            return cls(str(said.get("dataset", "")), lists, whole)
        except GenEgoError as error:
            raise GenEgoError(f"{path}: {error}") from error

    def write(self, path: Path | str) -> None:
        """Writes the file; it appears whole or not at all.

        Raises:
            GenEgoError: it cannot be written.
        """
        path = Path(path)
        lists = {name: _listed(ids) for name, ids in self.lists.items()}
        text = json.dumps({"version": VERSION, "dataset": self.dataset, "lists": lists}, indent=1) + "\n"
        try:
            write_whole(path, text.encode())
        except OSError as error:
            raise GenEgoError(
                f"{path}: cannot be written ({error.strerror}); choose a folder that is writable"
            ) from error

    def train_name(self, name: str) -> str:
        """The list that a method which is tested on `name` learns from; it may be missing."""
        own = f"{TRAIN}-{name}"
        return own if own in self.lists else TRAIN

    def _check_apart(self, name: str) -> None:
        train = self.train_name(name)
        if train not in self.lists:
            return
        # Every camera has the same first-person view: a moment seen by another one would be known as well.
        learned: dict[str, Frames] = {}
        for run in self.lists[train].runs:
            learned[run.sequence] = np.union1d(learned.get(run.sequence, run.frames[:0]), run.frames)
        for run in self.lists[name].runs:
            both = np.intersect1d(run.frames, learned.get(run.sequence, run.frames[:0]))
            if both.size:
                sample = f"{run.sequence}/{run.camera}/{both[0]:06d}"
                raise GenEgoError(
                    f"sample {sample} is in '{name}' and its moment in '{train}', which would be learned by heart"
                )


def h2o_splits(ids: SampleIds) -> Splits:
    """Exo2Ego's rules for H2O (Luo et al., ECCV 2024): each test list has its own train list.

    `objects`: folders 0 to 5 train, 7 tests, 6 is left out. `actions`: the last fifth of every recording tests, cut
    between clips of 30 frames. `scenes`: h1, h2, k1, k2 train, o1, o2 test. `subjects`: subject1 trains, subject2
    tests. Lists for which the folder has nothing are left out, which is logged.
    """
    parts = {
        "objects": (_where(2, "012345"), _where(2, "7")),
        "actions": _ends(_cut_between_clips),
        "scenes": (_where(1, ("h1", "h2", "k1", "k2")), _where(1, ("o1", "o2"))),
        "subjects": (_where(0, ("subject1",)), _where(0, ("subject2",))),
    }
    lists = {}
    for name, (train, test) in parts.items():
        lists[f"{TRAIN}-{name}"], lists[name] = _chosen(ids, train), _chosen(ids, test)
    return Splits("h2o", _filled(lists), ids)


def taco_splits(
    ids: SampleIds, official: Mapping[str, str] | None = None, unseen: Collection[str] = UNSEEN_ACTIONS
) -> Splits:
    """TACO: `actions` holds out whole actions; its official lists are `train` and `test_1` to `test_4`.

    Args:
        official: sequence ("20231105_019") to list, as `read_official` gives it.
        unseen: the actions that are held out.
    """

    def is_unseen(sequence: str) -> bool:
        return sequence.lstrip("(").split(",")[0] in unseen

    lists = {
        f"{TRAIN}-actions": _chosen(ids, lambda run: run.frames[:0] if is_unseen(run.sequence) else run.frames),
        "actions": _chosen(ids, lambda run: run.frames if is_unseen(run.sequence) else run.frames[:0]),
    }
    for name in sorted(set((official or {}).values())):
        lists[name] = _chosen(ids, _of_official(official or {}, name))
    return Splits("taco", _filled(lists), ids)


def read_official(path: Path | str) -> dict[str, str]:
    """TACO's data_lists/v1_overall_data_train_test_split.txt: sequence to `train` or `test_1` to `test_4`.

    Raises:
        GenEgoError: the file cannot be read, or a line is no such pair.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise GenEgoError(f"{path}: cannot be read ({error}); check the path") from error
    pairs = [line.partition(",")[::2] for line in lines]
    for sequence, name in pairs:
        if not sequence or name not in (TRAIN, "test_1", "test_2", "test_3", "test_4"):
            raise GenEgoError(f"{path}: '{sequence},{name}' is no sequence and list; copy the file again")
    return dict(pairs)


def rendered_splits(
    ids: SampleIds,
    test_objects: Collection[str],
    test_scenes: Collection[str],
    test_subjects: Collection[str],
) -> Splits:
    """Rendered recordings: one train list that is apart from all four test lists.

    Objects, scenes and subjects are held out by whole recordings; a recording that holds out two of them tests both.
    `actions` is the last fifth of every other recording, with `GAP` frame numbers before it that nobody uses.

    Args:
        test_objects: names of recordings' folders, which are numbers of objects: {"3", "7"}.

    Raises:
        GenEgoError: a list would have no samples.
    """
    held_out = {"objects": (2, test_objects), "scenes": (1, test_scenes), "subjects": (0, test_subjects)}
    tests = {name: _where(part, values) for name, (part, values) in held_out.items()}

    def of_train(frames_of: Callable[[Run], Frames]) -> Callable[[Run], Frames]:
        return lambda run: run.frames[:0] if any(len(test(run)) for test in tests.values()) else frames_of(run)

    train, end = _ends(_cut, GAP)
    lists = {TRAIN: _chosen(ids, of_train(train))}
    lists.update({name: _chosen(ids, of_train(end) if name == "actions" else tests[name]) for name in PAPER})
    return Splits("rendered", lists, ids)


# Rules: from a run to those of its frames that belong ---------------------------------------------


def _chosen(ids: SampleIds, rule: Callable[[Run], Frames]) -> SampleIds:
    return SampleIds(run._replace(frames=rule(run)) for run in ids.runs)


def _where(part: int, values: Iterable[str]) -> Callable[[Run], Frames]:
    """All of a recording whose path has one of the values in that place (subject, scene, number)."""
    wanted = frozenset(values)
    return lambda run: run.frames if run.sequence.split("/")[part] in wanted else run.frames[:0]


def _of_official(official: Mapping[str, str], name: str) -> Callable[[Run], Frames]:
    return lambda run: run.frames if official.get(run.sequence.rsplit("/", 1)[-1]) == name else run.frames[:0]


def _ends(cut: Callable[[Frames], int], gap: int = 0) -> tuple[Callable[[Run], Frames], Callable[[Run], Frames]]:
    """The beginning of every recording, and its end from frame number `cut` on."""
    return (
        lambda run: run.frames[run.frames < cut(run.frames) - gap],
        lambda run: run.frames[run.frames >= cut(run.frames)],
    )


def _cut(frames: Frames) -> int:
    """Number of the frame with which the last fifth begins."""
    return int(frames[-math.ceil(TEST_SHARE * len(frames))])


def _cut_between_clips(frames: Frames) -> int:
    """Number of the first frame of the last fifth of the clips; at least one clip."""
    clips = math.ceil(len(frames) / CLIP)
    return int(frames[CLIP * min(math.ceil((1 - TEST_SHARE) * clips), clips - 1)])


def _filled(lists: Mapping[str, SampleIds]) -> dict[str, SampleIds]:
    """Those for which there is something to test, and to learn from."""
    empty = {name.removeprefix(f"{TRAIN}-") for name, ids in lists.items() if not len(ids)}
    if empty:
        _log.warning("the folder has nothing to train or test on for: %s; left out", ", ".join(sorted(empty)))
    return {name: ids for name, ids in lists.items() if name.removeprefix(f"{TRAIN}-") not in empty}


# The file -----------------------------------------------------------------------------------------


def _listed(ids: SampleIds) -> dict[str, dict[str, str]]:
    listed: dict[str, dict[str, str]] = {}
    for run in ids.runs:
        listed.setdefault(run.sequence, {})[run.camera] = format_frames(run.frames)
    return listed


def format_frames(frames: Frames) -> str:
    """Ascending numbers as ranges, FIRST-LAST:STEP with a comma between: "0-27:3,40,50-59"."""
    numbers, words, start = frames.tolist(), [], 0
    steps = [after - before for before, after in pairwise(numbers)]
    while start < len(numbers):
        end = start + 1
        while end < len(numbers) and steps[end - 1] == steps[start]:
            end += 1
        if end - start < 3:  # two numbers are no range
            end = start + 1
        step = steps[start] if end - start > 1 else 0
        words.append(f"{numbers[start]}" + (f"-{numbers[end - 1]}" + f":{step}" * (step > 1) if step else ""))
        start = end
    return ",".join(words)


def parse_frames(text: str) -> Frames:
    """int32 (N,), ascending, of the text that `format_frames` gives.

    Raises:
        ValueError: another text, or numbers that do not ascend or are no frames' (0 to `LAST_FRAME`).
    """
    ranges: list[range] = []
    for word in text.split(","):
        # Six digits at most, in ranges that ascend: whatever a file says, there are no more numbers than frames.
        if not (found := _RANGE.fullmatch(word)):
            raise ValueError(f"'{word[:40]}' is no FIRST, FIRST-LAST or FIRST-LAST:STEP from 0 to {LAST_FRAME}")
        first, last, step = found.groups()
        numbers = range(int(first), int(last or first) + 1, int(step or 1))
        if not numbers or (ranges and numbers[0] <= ranges[-1][-1]):
            raise ValueError(f"the frames '{text[:40]}' do not ascend at '{word}'")
        ranges.append(numbers)
    return np.concatenate([np.arange(of.start, of.stop, of.step, dtype=np.int32) for of in ranges])


def _parse_list(path: Path, name: str, recordings: Any, whole: SampleIds) -> SampleIds:
    """The samples of a list, all of which are in the folder."""

    def runs() -> Iterator[Run]:
        for sequence, cameras in recordings.items():
            for camera, frames in cameras.items():
                run = Run(sequence, camera, parse_frames(frames))
                _check_there(path, name, run, whole)
                yield run

    try:
        return SampleIds(runs())
    except (AttributeError, ValueError) as error:
        raise GenEgoError(
            f"{path}: list '{name}' cannot be read ({error}); take the file away and make it anew: genego splits "
            f"{path.parent}"
        ) from error


def _check_there(path: Path, name: str, run: Run, whole: SampleIds) -> None:
    missing = np.setdiff1d(run.frames, whole.frames(run.sequence, run.camera))
    if missing.size:
        sample = path.parent / run.sequence / run.camera / f"{missing[0]:06d}"
        raise GenEgoError(
            f"{sample}: in list '{name}' of {path}, but not in the folder ({missing.size} such in this recording); "
            f"restore the recording, or make the splits anew: genego splits {path.parent}"
        )
