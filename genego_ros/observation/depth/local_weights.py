"""The weights of networks that users bring themselves."""

from __future__ import annotations

from pathlib import Path

from genego_ros.errors import GenEgoError
from genego_ros.parameters import Parameters


def weights_folder(parameters: Parameters, files: tuple[str, ...], source: str) -> Path:
    """The folder that the parameter `depth.weights` names.

    Args:
        files: what has to lie in it.
        source: where it can be had, for the error.

    Raises:
        GenEgoError: none was named, or something is missing in it; nothing is ever downloaded.
    """
    backend, name = parameters.depth.backend, parameters.depth.weights
    cure = f"download {source}, all files of it, into a folder and start with depth.weights:=FOLDER"
    if not name:
        raise GenEgoError(f"depth backend '{backend}' has no weights: {cure}")
    folder = Path(name).expanduser()
    for file in files:
        if not (folder / file).is_file():
            raise GenEgoError(f"{folder / file}: missing, the depth backend '{backend}' needs it; {cure}")
    return folder
