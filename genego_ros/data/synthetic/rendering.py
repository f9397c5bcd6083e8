"""Renders a whole data set: recordings side by side in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from genego_ros.data import splits
from genego_ros.data.synthetic.recipe import Recipe
from genego_ros.data.synthetic.recording import RecordingFolder, render_recording
from genego_ros.errors import GenEgoError

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

_frames_done: Synchronized[int]


def render(recipe: Recipe, out: Path, size: tuple[int, int], workers: int) -> None:
    """Renders the recordings of `recipe` that `out` does not hold yet, and then writes the splits beside them.

    A recording appears under its name when all of it is there. One that was broken off goes on where it stopped.

    Raises:
        GenEgoError: see `RecordingFolder` and `render_recording`; a worker that died.
    """
    folders = [RecordingFolder(out, plan, size) for plan in recipe.recordings]
    missing = [folder for folder in folders if not folder.is_complete()]
    if missing:
        _render_all(missing, workers)
    if recipe.splits:
        recipe.splits.write(out / splits.FILE)


def _render_all(folders: list[RecordingFolder], workers: int) -> None:
    # Before the workers start: libraries read them when they are loaded. Software OpenGL takes further threads, numpy's
    # number of all.
    further = max((os.cpu_count() or 1) // workers - 1, 0)
    os.environ.update(LP_NUM_THREADS=str(further), OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    with (
        ProcessPoolExecutor(min(workers, len(folders)), context, _start_worker, (counter,)) as pool,
        tqdm(total=sum(len(folder.plan.frames) for folder in folders), unit="frame", smoothing=0.05) as bar,
    ):
        try:
            futures = [pool.submit(_render_one, folder) for folder in folders]
            _watch(futures, counter, bar)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


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
                    "a rendering process died (out of memory?); use fewer --workers. "
                    "Run the same command again: it goes on where it stopped"
                ) from error


def _start_worker(counter: Synchronized[int]) -> None:
    global _frames_done
    _frames_done = counter


def _render_one(folder: RecordingFolder) -> None:
    def count() -> None:
        with _frames_done.get_lock():
            _frames_done.value += 1

    render_recording(folder, count)
