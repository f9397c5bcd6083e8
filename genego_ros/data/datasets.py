"""Which reader a folder of recordings needs."""

from __future__ import annotations

from pathlib import Path

from genego_ros.data.h2o import H2O
from genego_ros.data.h2o_format import EGO_CAMERA
from genego_ros.data.sample import SampleId
from genego_ros.data.taco import TACO
from genego_ros.errors import GenEgoError

_TACO = "Egocentric_RGB_Videos"


def open_dataset(folder: Path | str) -> H2O | TACO:
    """The recordings of a folder, by the reader for its layout.

    Raises:
        GenEgoError: no such folder, or no recordings in it.
    """
    return TACO(folder) if (Path(folder) / _TACO).is_dir() else H2O(folder)


def open_named(path: Path | str) -> tuple[H2O | TACO, SampleId | None]:
    """What a path names: a folder of recordings, one recording, or one sample of it, as FOLDER/RECORDING/CAMERA/FRAME
    ("h2o/subject1/h1/0/cam2/000012").

    Returns:
        A data set of no more than needed, and the sample where one was named.

    Raises:
        GenEgoError: it names nothing that is there.
    """
    path = Path(path).absolute()
    if path.is_dir():
        return _recording(path) or open_dataset(path), None
    dataset = _recording(path.parent.parent) if path.stem.isdecimal() else None
    if dataset is None:
        wrong = "a file of a kind that is not shown" if path.exists() else "no such file or folder"
        raise GenEgoError(
            f"{path}: {wrong}; give a bag (a folder, a .mcap or a .db3 file), a folder of recordings, or a sample of "
            "one without .png: FOLDER/subject1/h1/0/cam2/000012"
        )
    return dataset, SampleId(dataset.recordings[0], path.parent.name, int(path.stem))


def _recording(path: Path) -> H2O | TACO | None:
    """The data set of this recording alone; None where it is none."""
    if len(path.parents) > 2 and (path / EGO_CAMERA).is_dir():
        return H2O(path.parents[2], recordings=("/".join(path.parts[-3:]),))
    if len(path.parents) > 1 and (path.parents[1] / _TACO / path.parent.name / path.name).is_dir():
        return TACO(path.parents[1], recordings=("/".join(path.parts[-2:]),))
    return None
