"""The folder of an evaluation: what was predicted, so that an interrupted run goes on where it stopped.

    settings.json                            what the predictions were made with
    recordings.json                          which files of each recording they were made from
    predictions/METHOD/RECORDING/CAM/N.png   squeezed to the ruler's size; METHOD `truth` is the true picture
    seen/METHOD/RECORDING/CAM/N.json         scores of what METHOD marked as seen, where it says that
    observations/RECORDING/CAM/N.json        what stage 1 said, where a method asked

Files are written under another name and then renamed, so whatever has its own name is whole.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from genego_ros.atomic import write_whole
from genego_ros.data.encoding import png
from genego_ros.data.sample import SampleId
from genego_ros.errors import GenEgoError
from genego_ros.evaluation.metrics import SIZE
from genego_ros.types import ByteArray, ExoObservation

TRUTH = "truth"


class Resumable:
    """A folder whose contents were all made in the same way, of the same files; one without any may be of any kind.

    Args:
        folder: made where it is missing.
        settings: all that the contents depend on, beside the method and the sample; what JSON can hold.

    Raises:
        GenEgoError: the folder cannot be made or written, or was made with other settings.
    """

    contents = "results"
    """What it holds, for the texts of errors."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        path = folder / "settings.json"
        settings = json.loads(json.dumps(settings))
        self._begun = any(file.is_file() for file in folder.glob("*/**/*"))
        if not self._begun:  # at most a command that was refused has left settings here
            save(path, json.dumps(settings, indent=1).encode() + b"\n")
            return
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise GenEgoError(f"'{path}' cannot be read ({error}); choose another --out") from error
        differing = [key for key in settings if not isinstance(found, dict) or found.get(key) != settings[key]]
        if differing:
            raise GenEgoError(
                f"'{folder}' holds {self.contents} made with other {' and '.join(differing)} (see {path.name} there): "
                "choose another --out, or delete that folder to make them anew"
            )

    def check_data(self, fingerprints: Mapping[str, str]) -> None:
        """Notes from which files of each recording the contents are made.

        Raises:
            GenEgoError: those of one were made from other files.
        """
        path = self.folder / "recordings.json"
        try:
            noted = json.loads(path.read_text()) if self._begun and path.exists() else {}
        except (OSError, ValueError) as error:
            raise GenEgoError(f"'{path}' cannot be read ({error}); choose another --out") from error
        for sequence, files in fingerprints.items():
            if noted.setdefault(sequence, files) != files:
                raise GenEgoError(
                    f"'{self.folder}' holds {self.contents} of other files than {sequence} has now: choose another "
                    "--out, or delete that folder to make them anew"
                )
        save(path, json.dumps(noted, indent=1, sort_keys=True).encode() + b"\n")


class Store(Resumable):
    """Keeps predictions and what is known of their making."""

    contents = "predictions"

    def path(self, method: str, id: SampleId) -> Path:
        return self.folder / "predictions" / method / id.sequence / id.camera / f"{id.frame:06d}.png"

    def has(self, method: str, id: SampleId) -> bool:
        return self.path(method, id).is_file()

    def write(self, method: str, id: SampleId, picture: ByteArray) -> None:
        """Keeps uint8 (SIZE, SIZE, 3), RGB.

        Raises:
            GenEgoError: it cannot be written; nothing of it is left.
        """
        save(self.path(method, id), png(picture))

    def read(self, method: str, id: SampleId) -> ByteArray:
        """uint8 (SIZE, SIZE, 3), RGB.

        Raises:
            GenEgoError: the picture is missing, damaged, or of another size.
        """
        path = self.path(method, id)
        cure = "delete it and run the command again: it makes what is missing"
        if not path.is_file():
            raise GenEgoError(f"prediction '{path}' is missing; run the command again: it makes what is missing")
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise GenEgoError(f"prediction '{path}' is damaged; {cure}")
        if picture.shape != (SIZE, SIZE, 3):
            height, width = picture.shape[:2]
            raise GenEgoError(f"prediction '{path}' has {width} x {height} pixels instead of {SIZE} x {SIZE}; {cure}")
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))

    def write_seen(self, method: str, id: SampleId, scores: Mapping[str, float]) -> None:
        """Keeps the scores of a seen mask, NaN as null; to be written before the picture, which then vouches for it."""
        said = {name: None if math.isnan(value) else value for name, value in scores.items()}
        save(self._seen(method, id), json.dumps(said).encode() + b"\n")

    def seen(self, method: str, id: SampleId) -> dict[str, float] | None:
        """What `write_seen` kept; None where the method did not say what it saw.

        Raises:
            GenEgoError: the file is damaged.
        """
        path = self._seen(method, id)
        try:
            found = json.loads(path.read_text())
            return {name: math.nan if value is None else float(value) for name, value in found.items()}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, AttributeError, TypeError) as error:
            prediction = self.path(method, id)
            raise GenEgoError(
                f"'{path}' is damaged ({error}); delete '{prediction}' and run the command again: it makes both anew"
            ) from error

    def write_observation(self, id: SampleId, observation: ExoObservation) -> None:
        """Keeps what a table needs to say of stage 1."""
        said = {
            "valid": observation.valid,
            "hands": [hand.side for hand in observation.hands_exo],
            "viewpoint": observation.viewpoint.source,
            "depth": observation.depth_source,
            "projected": round(float(observation.sparse.projected.mean()), 4),
        }
        save(self._observation(id), json.dumps(said).encode() + b"\n")

    def observed(self, id: SampleId) -> bool | None:
        """Whether stage 1 found somebody to look through; None where no method has asked it.

        Raises:
            GenEgoError: the file is damaged.
        """
        path = self._observation(id)
        try:
            return bool(json.loads(path.read_text())["valid"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GenEgoError(f"'{path}' is damaged ({error}); delete its folder and run the command again") from error

    def _seen(self, method: str, id: SampleId) -> Path:
        return self.folder / "seen" / method / id.sequence / id.camera / f"{id.frame:06d}.json"

    def _observation(self, id: SampleId) -> Path:
        return self.folder / "observations" / id.sequence / id.camera / f"{id.frame:06d}.json"


def save(path: Path, content: bytes) -> None:
    """Writes a file that appears only when it is whole, and makes its folder.

    Raises:
        GenEgoError: it cannot be written: no room, no permission; nothing is left.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise GenEgoError(
            f"'{path}' cannot be written ({error.strerror}): make room or choose another --out; "
            "what is written already is kept, and the same command goes on from there"
        ) from error
