"""Renders a whole data set: recordings side by side in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from genego_ros.data import splits
from genego_ros.data.h2o import recordings_in
from genego_ros.data.h2o_format import META, UNFINISHED
from genego_ros.data.synthetic.cycles import bpy_python
from genego_ros.data.synthetic.recipe import Recipe
from genego_ros.data.synthetic.recording import OWN, RecordingFolder, difference, render_recording
from genego_ros.errors import GenEgoError

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

GO_ON = "run the same command again: it goes on where it stopped"
LOG_S = 60.0
"""Seconds between two signs of life in a file that takes the progress bar's place."""

_frames_done: Synchronized[int]


def render(recipe: Recipe, out: Path, size: tuple[int, int], workers: int) -> None:
    """Renders the recordings of `recipe` that `out` does not hold yet, and then writes the splits beside them.

    A recording appears under its name when all of it is there. One that was broken off goes on where it stopped.

    Raises:
        GenEgoError: `out` is no folder, or holds recordings made with other settings; see `RecordingFolder` and
            `render_recording`; a worker that died; the keyboard interrupted.
    """
    folders = [RecordingFolder(out, plan, size) for plan in recipe.recordings]
    _check_company(recipe, out, folders)
    # What is path traced takes a hundred times as long, and the rest can be used meanwhile.
    missing = sorted(
        (folder for folder in folders if not folder.is_complete()), key=lambda folder: folder.plan.renderer == "cycles"
    )
    if missing:
        # Now, not when a worker comes to it: that may be hours later.
        if any(folder.plan.renderer == "cycles" for folder in missing):
            bpy_python()
        _make_folder(out)
        _render_all(missing, workers)
    # Not by the recording that is finished last: another process may be making its own folder there.
    with suppress(OSError):  # there is none, or it holds recordings that were not asked for now
        (out / UNFINISHED).rmdir()
    if recipe.splits:
        recipe.splits.write(out / splits.FILE)


def _make_folder(out: Path) -> None:
    try:
        (out / UNFINISHED).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GenEgoError(f"'{out}' cannot be made a folder ({error.strerror}); choose another one") from error


def _check_company(recipe: Recipe, out: Path, folders: list[RecordingFolder]) -> None:
    """Refuses recordings in `out`, whole or not, that would not make one data set with those of `recipe`.

    Those of more `--sequences` than are asked for now do; a fixed recipe has company of none.
    """
    unfinished = out / UNFINISHED
    there = [out / name for name in recordings_in(out)] if out.is_dir() else []
    there += [path.parent for path in sorted(unfinished.glob(f"*/{META}"))]
    asked = {path: folder for folder in folders for path in (folder.path, folder.unfinished)}
    for path in there:
        if path in asked:
            differing = difference(path, asked[path].settings)
        elif recipe.splits:
            differing = f"it is none of {recipe.name}"
        else:
            differing = difference(path, folders[0].settings, but=OWN)
        if differing:
            cure = f", or delete '{unfinished}', which holds no whole recording" if unfinished in path.parents else ""
            raise GenEgoError(
                f"'{path}' is another recording than those asked for ({differing}); render into another folder{cure}"
            )


def _render_all(folders: list[RecordingFolder], workers: int) -> None:
    workers = min(workers, len(folders))
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    frames = sum(len(folder.plan.frames) for folder in folders)
    interval = 0.5 if sys.stderr.isatty() else LOG_S
    with (
        threads_shared(workers),
        ProcessPoolExecutor(workers, context, _start_worker, (counter,)) as pool,
        tqdm(total=frames, unit="frame", smoothing=0.05, mininterval=interval, maxinterval=interval) as bar,
    ):
        try:
            _watch([pool.submit(_render_one, folder) for folder in folders], counter, bar)
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            # What they are at can go on another time, and nobody wants to wait for it now.
            for worker in multiprocessing.active_children():
                worker.terminate()
            if isinstance(error, KeyboardInterrupt):
                raise GenEgoError(f"interrupted; {GO_ON}") from error
            raise


@contextmanager
def threads_shared(workers: int) -> Iterator[None]:
    """Lets processes that start in here share the processor's cores; libraries read how when they are loaded."""
    # Software OpenGL takes further threads, numpy's number of all.
    further = max((os.cpu_count() or 1) // workers - 1, 0)
    shares = {"LP_NUM_THREADS": str(further), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in shares}
    os.environ.update(shares)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _watch(futures: Iterable[Future[None]], counter: Synchronized[int], bar: tqdm[Any]) -> None:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
        if counter.value > bar.n:
            bar.update(counter.value - bar.n)
        for future in done:
            try:
                future.result()
            except BrokenProcessPool as error:
                raise GenEgoError(
                    f"a rendering process died (out of memory?); use fewer --workers and {GO_ON}"
                ) from error


def _start_worker(counter: Synchronized[int]) -> None:
    global _frames_done
    _frames_done = counter
    # The keyboard interrupts every process of a terminal; the first one answers, and ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """So that a worker whose command was killed does not write into the folder of the next one."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _render_one(folder: RecordingFolder) -> None:
    def count() -> None:
        with _frames_done.get_lock():
            _frames_done.value += 1

    render_recording(folder, count)
