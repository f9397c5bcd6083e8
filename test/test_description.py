from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scene import CAMERA, as_hand, curled_hand, rest_hand
from scipy.spatial.transform import Rotation

from genego_ros.observation.description import load_describer
from genego_ros.observation.description.stream import DescriptionStream
from genego_ros.observation.description.template import posture
from genego_ros.parameters import Parameters
from genego_ros.types import FloatArray, Frame, Hand

BLANK = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
NOTHING = np.full((CAMERA.height, CAMERA.width), np.nan, np.float32)


def pinching(curl: float) -> np.ndarray:
    """Thumb and index meet; the other fingers are curled by this much."""
    keypoints = curled_hand(curl)
    keypoints[5:9] = curled_hand(35.0)[5:9]
    keypoints[4] = keypoints[8] + [0.005, 0.0, 0.0]
    return keypoints


def fist() -> np.ndarray:
    """Fingers curled into the palm, the thumb laid over the middle bones of index and middle finger."""
    keypoints = curled_hand(85.0)
    outwards = np.cross(keypoints[5] - keypoints[0], keypoints[17] - keypoints[0])
    outwards = -outwards / np.linalg.norm(outwards)
    keypoints[4] = (keypoints[6] + keypoints[7]) / 2 + 0.02 * outwards
    keypoints[3] = (keypoints[2] + keypoints[4]) / 2
    return keypoints


@pytest.mark.parametrize(
    ("keypoints", "expected"),
    [
        (rest_hand(), "open"),
        (rest_hand("left"), "open"),
        (curled_hand(35.0), "half closed"),
        (curled_hand(80.0), "closed"),
        (curled_hand(80.0, "left"), "closed"),
        (fist(), "closed"),
        (pinching(0.0), "pinching"),
        (pinching(40.0), "pinching"),
    ],
    ids=["open", "open left", "half", "curled", "curled left", "fist", "ok sign", "pinch"],
)
def test_postures(keypoints: np.ndarray, expected: str) -> None:
    assert posture(keypoints.astype(np.float32)) == expected


@given(st.integers(0, 2**32 - 1), st.floats(0.3, 3.0), st.sampled_from(["open", "closed", "pinching"]))
def test_a_posture_is_the_same_from_everywhere_and_at_every_size(seed: int, size: float, name: str) -> None:
    rng = np.random.default_rng(seed)
    keypoints = {"open": rest_hand(), "closed": curled_hand(80.0), "pinching": pinching(20.0)}[name]
    moved = size * Rotation.random(random_state=rng).apply(keypoints) + rng.uniform(-1, 1, 3)
    assert posture(moved.astype(np.float32)) == name


@pytest.mark.filterwarnings("error")
def test_a_hand_without_extent_has_a_posture_too() -> None:
    assert posture(np.zeros((21, 3), np.float32)) in ("open", "closed", "half closed", "pinching")


def test_sentences_say_what_is_measured() -> None:
    describer = load_describer(Parameters())
    frame = Frame(BLANK, CAMERA)
    left = as_hand(rest_hand("left") + np.array([0.0, 0.0, 0.6]), "left")
    right = as_hand(curled_hand(80.0) + left.keypoints[9] - curled_hand(80.0)[9] + [-0.3, 0.0, 0.0], "right")
    assert describer.describe(frame, (), NOTHING) == "No hands are visible."
    assert describer.describe(frame, (left,), NOTHING) == "The person's left hand is open."
    assert describer.describe(frame, (left, right), NOTHING) == (
        "The person's left hand is open. The person's right hand is closed. The hands are 30 cm apart."
    )
    near = as_hand(right.keypoints + np.array([0.2, 0.0, 0.0]), "right")
    assert describer.describe(frame, (left, near), NOTHING).endswith("Both hands are close together.")


def test_a_given_description_is_said_as_it_is_and_may_change() -> None:
    parameters = Parameters.from_mapping({"description.backend": "parameter", "description.text": "cutting bread"})
    describer = load_describer(parameters)
    frame = Frame(BLANK, CAMERA)
    assert describer.describe(frame, (), NOTHING) == "cutting bread"
    describer.parameters = parameters.changed({"description.text": "washing up"})
    assert describer.describe(frame, (), NOTHING) == "washing up"


# The stream ------------------------------------------------------------------------------------------


PAUSE = 0.04
"""Seconds; at 30 descriptions a second the next one is due."""


class ByStamp:
    """Describes a frame by its stamp, as soon as it is let."""

    def __init__(self, **setting: float) -> None:
        values = {f"description.{name}": value for name, value in setting.items()}
        self.parameters = Parameters.from_mapping({"description.rate_hz": 30.0, **values})
        self.let = threading.Event()
        self.let.set()
        self.busy = threading.Event()
        self.described: list[int] = []

    def describe(self, frame: Frame, hands: tuple[Hand, ...], depth: FloatArray) -> str:
        self.busy.set()
        assert self.let.wait(5)
        self.described.append(frame.stamp_ns)
        if frame.stamp_ns < 0:
            raise ValueError(f"cannot describe {frame.stamp_ns}")
        return f"frame {frame.stamp_ns}"


def frame_at(stamp_ns: int) -> Frame:
    return Frame(BLANK, CAMERA, stamp_ns=stamp_ns, frame_id=f"camera {stamp_ns}")


def offered_until(stream: DescriptionStream, stamp_ns: int, wanted: Callable[[str], bool]) -> str:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if wanted(text := stream.offer(frame_at(stamp_ns), (), NOTHING)):
            return text
        time.sleep(PAUSE)
    raise AssertionError(f"still '{text}'")


def test_the_first_frame_waits_for_its_own_text_and_the_rest_never_wait() -> None:
    describer = ByStamp()
    stream = DescriptionStream(describer)
    assert stream.offer(frame_at(1), (), NOTHING) == "frame 1"
    assert stream.latest is not None and (stream.latest.stamp_ns, stream.latest.frame_id) == (1, "camera 1")
    describer.let.clear()
    time.sleep(PAUSE)
    start = time.monotonic()
    for stamp in range(2, 200):
        assert stream.offer(frame_at(stamp), (), NOTHING) == "frame 1"
    assert time.monotonic() - start < 1.0
    describer.let.set()
    # What was asked while it was busy is not queued: after frame 2, the next is one from now.
    assert offered_until(stream, 500, lambda text: text != "frame 1") == "frame 2"
    assert offered_until(stream, 501, lambda text: text != "frame 2") in ("frame 500", "frame 501")
    assert set(describer.described) <= {1, 2, 500, 501}
    stream.close()


def test_the_rate_bounds_how_often_it_describes_and_may_change() -> None:
    describer = ByStamp()
    describer.parameters = describer.parameters.changed({"description.rate_hz": 0.01})
    stream = DescriptionStream(describer)
    for stamp in range(1, 50):
        assert stream.offer(frame_at(stamp), (), NOTHING) == "frame 1"
    assert describer.described == [1]
    stream.close()
    describer.parameters = describer.parameters.changed({"description.rate_hz": 20.0})
    quick = DescriptionStream(describer)
    end = time.monotonic() + 0.4
    describer.described.clear()
    while time.monotonic() < end:
        quick.offer(frame_at(7), (), NOTHING)
        time.sleep(0.001)
    assert 3 <= len(describer.described) <= 9
    quick.close()


@pytest.mark.parametrize("first", [True, False])
def test_a_failure_is_said_once_and_the_last_text_stays(first: bool) -> None:
    describer, said = ByStamp(), list[str]()
    stream = DescriptionStream(describer, said.append)
    if not first:
        assert stream.offer(frame_at(1), (), NOTHING) == "frame 1"
        time.sleep(PAUSE)
    end = time.monotonic() + 5
    while not said and time.monotonic() < end:
        assert stream.offer(frame_at(-1), (), NOTHING) == ("" if first else "frame 1")
        time.sleep(PAUSE / 10)
    assert len(said) == 1 and "ValueError('cannot describe -1')" in said[0]
    assert offered_until(stream, 3, lambda text: text == "frame 3") == "frame 3"
    stream.close()


def test_close_waits_for_the_text_that_is_being_written_and_leaves_no_thread() -> None:
    describer = ByStamp()
    before = set(threading.enumerate())
    stream = DescriptionStream(describer)
    stream.offer(frame_at(1), (), NOTHING)
    time.sleep(PAUSE)
    describer.let.clear()
    describer.busy.clear()
    stream.offer(frame_at(2), (), NOTHING)
    assert describer.busy.wait(5)
    threading.Timer(0.05, describer.let.set).start()
    stream.close()
    assert describer.described == [1, 2]
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("description")]


def test_a_first_text_that_takes_too_long_comes_later() -> None:
    describer = ByStamp(timeout_s=0.1)
    describer.let.clear()
    stream = DescriptionStream(describer)
    start = time.monotonic()
    assert stream.offer(frame_at(1), (), NOTHING) == stream.offer(frame_at(2), (), NOTHING) == ""
    assert 0.1 <= time.monotonic() - start < 1.0
    describer.let.set()
    assert offered_until(stream, 3, bool) == "frame 1"
    stream.close()


def test_frames_wait_for_a_text_once_however_often_there_is_none() -> None:
    """A describer that is too slow and fails in the end, as when the GPU has no memory left."""
    describer, said = ByStamp(timeout_s=0.2), list[str]()
    stream = DescriptionStream(describer, said.append)
    describer.let.clear()
    assert stream.offer(frame_at(-1), (), NOTHING) == ""
    describer.let.set()
    while not said:
        stream.offer(frame_at(-1), (), NOTHING)
    time.sleep(PAUSE)
    describer.let.clear()
    start = time.monotonic()
    assert stream.offer(frame_at(-1), (), NOTHING) == ""
    assert time.monotonic() - start < 0.1
    describer.let.set()
    stream.close()


def test_a_forgotten_stream_waits_for_its_own_text_again() -> None:
    describer = ByStamp(rate_hz=0.01)
    stream = DescriptionStream(describer)
    assert stream.offer(frame_at(1), (), NOTHING) == stream.offer(frame_at(2), (), NOTHING) == "frame 1"
    stream.forget()
    assert stream.offer(frame_at(3), (), NOTHING) == "frame 3"
    stream.close()
