"""Backends whose code and weights are the user's own: a checkout of the repository, and its checkpoint.

Nothing of theirs is part of this package; their licences forbid it, or ask for a registration.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genego_ros.errors import GenEgoError, loading
from genego_ros.parameters import HandParameters


def checkout_of(parameters: HandParameters, repository: str, package: str) -> Path:
    """The folder that `hands.checkout` names.

    Args:
        repository: where it comes from, for the error.
        package: a folder that it must hold.

    Raises:
        GenEgoError: it is not set, or is no checkout of that repository.
    """
    backend = parameters.backend
    cure = f"clone {repository} and set hands.checkout:=FOLDER"
    if not parameters.checkout:
        raise GenEgoError(f"hands backend '{backend}' runs from your own checkout: {cure}")
    folder = Path(parameters.checkout).expanduser().resolve()
    if not (folder / package).is_dir():
        raise GenEgoError(f"hands.checkout '{folder}' has no folder '{package}', which '{backend}' needs: {cure}")
    return folder


def weights_of(parameters: HandParameters, default: Path) -> Path:
    """The checkpoint that `hands.weights` names, or the place where the repository's instructions put it.

    Raises:
        GenEgoError: there is no such file.
    """
    path = Path(parameters.weights).expanduser().resolve() if parameters.weights else default
    if not path.is_file():
        raise GenEgoError(
            f"weights '{path}' of hands backend '{parameters.backend}' do not exist; get them as its README says, "
            "or set hands.weights:=FILE"
        )
    return path


@contextmanager
def working_in(checkout: Path, backend: str, weights: Path) -> Iterator[None]:
    """Inside, the checkout's modules can be imported, and its relative paths are right.

    Args:
        weights: what is loaded there, for the error.

    Raises:
        GenEgoError: what was done inside lacks a package or a file, the code there does not fit, or the weights are
            damaged.
    """
    what = f"hands backend '{backend}' from '{checkout}' with the weights '{weights}'"
    cure = "get the weights again, and follow its README, with the files of MANO where it wants them"
    with loading(what, cure), _standing_in(checkout, backend):
        yield


@contextmanager
def _standing_in(checkout: Path, backend: str) -> Iterator[None]:
    before, arguments = Path.cwd(), sys.argv
    sys.path.insert(0, str(checkout))
    os.chdir(checkout)
    sys.argv = arguments[:1]  # some of them parse the command line when imported
    try:
        yield
    except ModuleNotFoundError as error:
        raise GenEgoError(
            f"hands backend '{backend}' needs the Python package '{error.name}', which is not installed; "
            f"install what {checkout / 'requirements.txt'} or its README lists"
        ) from error
    finally:
        sys.argv = arguments
        os.chdir(before)
        sys.path.remove(str(checkout))
