"""Photographs one scene: `python cycles_process FOLDER`, with a folder for what is in between.

The scene's description comes first over stdin, then a moment for every picture wanted. Each message is answered by
one over stdout: {} or {"error": text}. When stdin ends, the process removes the folder and ends; so it does when the
one that started it dies.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from wire import receive, send


def main(folder: Path) -> None:
    # Control-C is for the process at the other end, which then closes this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Blender reports its progress to stdout.
    from stage import Stage

    stage = None
    while True:
        try:
            content, arrays = receive(sys.stdin.buffer)
        except EOFError:
            break
        pictures: dict[str, NDArray[np.float32]] = {}
        try:
            if stage is None:
                stage = Stage(content, arrays, folder / "picture.exr")
            else:
                pictures["radiance"] = stage.render(content["camera"], arrays)
        except (RuntimeError, OSError, MemoryError) as error:
            send(answers, {"error": f"{type(error).__name__}: {error}"}, {})
        else:
            send(answers, {}, pictures)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
