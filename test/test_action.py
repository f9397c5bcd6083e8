from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hands import make_person

from genego_ros.data.synthetic import action as action_module
from genego_ros.data.synthetic.action import VERBS, Action, script
from genego_ros.data.synthetic.grasp import Grasp
from genego_ros.data.synthetic.motion import Course, discomfort, minimum_jerk, still
from genego_ros.data.synthetic.object_model import ObjectModel
from genego_ros.data.synthetic.objects import OBJECT_NAMES, make_object
from genego_ros.data.synthetic.play import Play
from genego_ros.data.synthetic.wording import Teller
from genego_ros.geometry import rigid

TABLE, RATE, FRAMES = 0.75, 30.0, 240
PERSON = make_person(TABLE)
NUMBERS = {name: number for number, name in OBJECT_NAMES.items()}


def played(name: str, seed: int, frames: int = FRAMES) -> tuple[ObjectModel, Action]:
    model = make_object(NUMBERS[name], np.random.default_rng(seed))
    return model, script(np.random.default_rng(seed), PERSON, model, TABLE, frames, RATE, "an oak table")


@pytest.fixture(scope="module", params=[("bottle", 2), ("milk carton", 6)], ids=lambda p: p[0])
def recording(request: pytest.FixtureRequest) -> tuple[ObjectModel, Action]:
    return played(*request.param)


def skins(action: Action, frame: int) -> list[np.ndarray]:
    return [
        rigid.apply(action.wrists[frame, hand], rig.pose(action.fingers[frame, hand])[0].astype(np.float64))
        for hand, rig in enumerate(PERSON.rigs)
    ]


def held(action: Action, hand: int) -> np.ndarray:
    times = np.arange(len(action.wrists)) / RATE
    within = [(times >= hold.start) & (times <= hold.end) for hold in action.holds if hold.hand == hand]
    return np.logical_or.reduce(within) if within else np.zeros(len(times), bool)


def test_what_is_held_is_rigid_with_the_hand(recording: tuple[ObjectModel, Action]) -> None:
    _, action = recording
    times = np.arange(len(action.wrists)) / RATE
    assert any(hold.start < times[-1] and hold.end > 0 for hold in action.holds)
    for hold in action.holds:
        for frame in np.flatnonzero((times >= hold.start) & (times <= hold.end)):
            part = action.T_world_parts[frame, hold.grasp.grip.part]
            assert np.abs(part @ hold.grasp.T_object_wrist - action.wrists[frame, hold.hand]).max() < 1e-9
            assert np.abs(action.fingers[frame, hold.hand] - hold.grasp.angles).max() < 1e-9


def test_what_is_not_held_stands_on_the_table(recording: tuple[ObjectModel, Action]) -> None:
    model, action = recording
    free = ~(held(action, 0) | held(action, 1))
    vertices = np.concatenate([mesh.vertices for mesh in model.meshes]).astype(np.float64)
    for frame in np.flatnonzero(free):
        lowest = rigid.apply(action.T_world_object[frame], vertices)[:, 2].min()
        assert lowest == pytest.approx(TABLE, abs=1e-3)
    lowest = [rigid.apply(T, vertices)[:, 2].min() for T in action.T_world_object[::5]]
    assert min(lowest) > TABLE - 1e-3
    assert max(lowest) > TABLE + 0.05


def test_fingers_touch_and_nobody_passes_through_anything(recording: tuple[ObjectModel, Action]) -> None:
    model, action = recording
    for frame in range(0, len(action.wrists), 8):
        for hand, skin in enumerate(skins(action, frame)):
            assert skin[:, 2].min() > TABLE - 0.003
            distance = np.min(
                [
                    part.distance(rigid.apply(rigid.invert(T), skin))
                    for part, T in zip(model.parts, action.T_world_parts[frame], strict=True)
                ],
                axis=0,
            )
            assert distance.min() > -0.0105
            if held(action, hand)[frame]:
                assert distance[PERSON.rigs[hand].skin_weights[:, 4] > 0.5].min() < 0.003


def test_motion_is_smooth_and_in_reach(recording: tuple[ObjectModel, Action]) -> None:
    _, action = recording
    wrists = action.wrists[:, :, :3, 3]
    acceleration = np.diff(wrists, n=2, axis=0) * RATE**2
    # People reach at up to about 1 g; a jump of a centimetre between two frames would be 9 m/s^2 at least.
    assert np.linalg.norm(acceleration, axis=-1).max() < 12
    assert np.linalg.norm(np.diff(wrists, axis=0), axis=-1).max() * RATE < 2.0
    assert np.abs(np.diff(action.fingers, axis=0)).max() * RATE < 12
    assert np.linalg.norm(wrists - PERSON.shoulders, axis=-1).max() < PERSON.arm
    assert np.abs(np.diff(action.gaze, axis=0)).max() * RATE < 2.5
    assert (action.lean > 0).all() and (action.lean < 0.6).all()
    for rotations in (action.wrists[..., :3, :3], action.T_world_parts[..., :3, :3]):
        assert np.abs(rotations @ np.swapaxes(rotations, -1, -2) - np.eye(3)).max() < 1e-9


def test_labels_and_words_follow_the_deed(recording: tuple[ObjectModel, Action]) -> None:
    model, action = recording
    assert len(action.descriptions) == len(action.verb) == len(action.wrists)
    assert {"grab", "place"} & {VERBS[verb] for verb in action.verb}
    for sentence in action.descriptions:
        assert "oak table" in sentence and sentence.endswith(".")
        assert f"{model.color} {model.name}" in sentence
    lifted = action.T_world_object[:, 2, 3] > TABLE - model.base + 0.02
    assert (held(action, 0) | held(action, 1))[lifted].all()
    assert all("hand" in sentence for sentence, up in zip(action.descriptions, lifted, strict=True) if up)


def test_both_hands_work(recording: tuple[ObjectModel, Action]) -> None:
    _, action = recording
    assert (held(action, 0) & held(action, 1)).mean() > 0.1


def test_the_same_seed_gives_the_same_action(monkeypatch: pytest.MonkeyPatch) -> None:
    # One hand alone, for the time it takes.
    monkeypatch.setattr(action_module, "HELP", 0.0)
    (_, a), (_, b) = (played("squeeze bottle", 2, 60) for _ in range(2))
    assert np.array_equal(a.wrists, b.wrists)
    assert np.array_equal(a.fingers, b.fingers)
    assert a.descriptions == b.descriptions


def test_the_least_faulty_of_four_scripts_is_taken_and_says_how_faulty_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action_module, "HELP", 0.0)
    written = []

    def faulty(action: Action, *_: object) -> float:
        written.append(action)
        return (0.5, 0.02, 0.3, 0.02)[len(written) - 1]

    monkeypatch.setattr(action_module, "faults", faulty)
    _, action = played("squeeze bottle", 2, 5)
    assert len(written) == 4 and action.fault == 0.02
    assert np.array_equal(action.wrists, written[1].wrists)


def test_a_fault_is_what_hands_pass_through(recording: tuple[ObjectModel, Action]) -> None:
    model, action = recording
    assert action.fault == pytest.approx(action_module.faults(action, PERSON, model, TABLE))
    sunk = action.wrists.copy()
    sunk[:, 0, 2, 3] = TABLE - 1.0
    # Fifty frames are looked at, in each of which the left hand is most of a metre under the table.
    assert action_module.faults(replace(action, wrists=sunk), PERSON, model, TABLE) > 40


@pytest.mark.parametrize("hand", (0, 1))
def test_lids_go_to_the_side_of_the_hand_that_took_them(hand: int) -> None:
    model = make_object(NUMBERS["bottle"], np.random.default_rng(1))
    play = Play(np.random.default_rng(1), PERSON, model, TABLE, Teller(0, "bottle", "a table"))
    cap = Grasp(model.grips[-1], rigid.compose(np.eye(3), [0, -0.1, 0.1]), np.zeros(20), np.zeros(5), 0.0)
    lid = rigid.compose(np.eye(3), [0.0, -0.1, TABLE + 0.2])
    away = action_module._aside(play, hand, cap, lid)[:3, 3] - lid[:3, 3]
    assert 0.09 < away[0] * (2 * hand - 1) < 0.17


def test_one_frame_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action_module, "HELP", 0.0)
    _, action = played("squeeze bottle", 2, 1)
    assert action.wrists.shape == (1, 2, 4, 4)
    assert np.isfinite(action.gaze).all()


def test_minimum_jerk_starts_and_ends_at_rest() -> None:
    times = np.linspace(-1, 3, 4001)
    share = minimum_jerk(times, 0.0, 2.0)
    speed = np.gradient(share, times)
    assert share[0] == 0.0 and share[-1] == 1.0
    assert minimum_jerk(np.array([1.0]), 0.0, 2.0)[0] == pytest.approx(0.5)
    # Flash and Hogan 1985: the peak is 1.875 of the mean speed.
    assert speed.max() == pytest.approx(1.875 / 2.0, rel=1e-3)
    assert np.abs(np.gradient(speed, times)).max() < 5.8 / 2.0**2


def test_a_course_arrives_exactly() -> None:
    goal = rigid.compose(np.eye(3)[[1, 2, 0]], [0.1, -0.2, 0.3])
    course = Course(still(np.eye(4)))
    course.to(0.5, 1.0, still(goal), 0.05)
    poses = course(np.array([0.0, 0.75, 1.0, 2.0]))
    assert np.array_equal(poses[0], np.eye(4))
    assert np.array_equal(poses[2], goal) and np.array_equal(poses[3], goal)
    assert poses[1, 2, 3] == pytest.approx(0.15 + 0.05)


def test_arms_like_a_handshake_and_not_a_twist() -> None:
    shoulder = np.array([0.19, -0.4, 1.1])

    def pose(x: tuple, y: tuple) -> np.ndarray:
        return rigid.compose(np.stack([x, y, np.cross(x, y)], axis=1), [0.15, -0.05, 0.95])[None]

    handshake = discomfort(pose((0, 0, 1), (0, 1, 0)), 1.0, shoulder, 0.57)[0]
    palm_down = discomfort(pose((-1, 0, 0), (0, 1, 0)), 1.0, shoulder, 0.57)[0]
    thumb_down = discomfort(pose((0, 0, -1), (0, 1, 0)), 1.0, shoulder, 0.57)[0]
    backwards = discomfort(pose((0, 0, 1), (0, -1, 0)), 1.0, shoulder, 0.57)[0]
    assert handshake < 1 and palm_down < 2
    assert thumb_down > 4 and backwards > 4
