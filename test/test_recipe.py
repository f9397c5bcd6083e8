"""The fixed recipes: how much they hold, and that what tests is new in what it is said to be new in."""

from __future__ import annotations

from collections import defaultdict

import pytest

from genego_ros.data.h2o_format import HEADS
from genego_ros.data.splits import GAP
from genego_ros.data.synthetic.recipe import Recipe, rendered_h2o, sequences
from genego_ros.errors import GenEgoError

TESTS = ("objects", "actions", "scenes", "subjects")


@pytest.fixture(scope="module", params=["v1", "mini"])
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return rendered_h2o(request.param)


def lists(recipe: Recipe) -> dict[str, list[tuple[str, str, int]]]:
    assert recipe.splits is not None
    return {name: [tuple(id) for id in ids] for name, ids in recipe.splits.lists.items()}


def parts(sequence: str) -> tuple[str, str, str]:
    subject, scene, number = sequence.split("/")
    return number, scene, subject


def test_the_lists_are_as_long_as_promised(recipe: Recipe) -> None:
    lengths = {name: len(ids) for name, ids in lists(recipe).items()}
    if recipe.name.endswith("mini"):
        assert lengths == {"train": 200, **dict.fromkeys(TESTS, 40)}
    else:
        assert lengths["train"] >= 6000
        assert all(lengths[name] >= 200 for name in TESTS)


def test_every_pair_is_rendered_and_in_one_list(recipe: Recipe) -> None:
    rendered = {
        (plan.sequence, camera, frame) for plan in recipe.recordings for camera in plan.cameras for frame in plan.frames
    }
    listed = [id for ids in lists(recipe).values() for id in ids]
    assert len(set(listed)) == len(listed)
    assert set(listed) <= rendered
    assert len({plan.sequence for plan in recipe.recordings}) == len(recipe.recordings)


def test_held_out_recordings_are_new_in_one_respect_alone(recipe: Recipe) -> None:
    found = lists(recipe)
    known = [set(values) for values in zip(*(parts(sequence) for sequence, _, _ in found["train"]), strict=True)]
    for respect, name in enumerate(("objects", "scenes", "subjects")):
        for sequence, _, _ in found[name]:
            new = [part not in seen for part, seen in zip(parts(sequence), known, strict=True)]
            assert new == [index == respect for index in range(3)], sequence


def test_unseen_actions_are_the_end_of_train_recordings_after_a_gap(recipe: Recipe) -> None:
    found = lists(recipe)
    last: dict[str, int] = defaultdict(int)
    for sequence, _, frame in found["train"]:
        last[sequence] = max(last[sequence], frame)
    lengths = {plan.sequence: plan.length for plan in recipe.recordings}
    for sequence, _, frame in found["actions"]:
        assert frame - last[sequence] > GAP
        assert frame >= 0.8 * lengths[sequence]


def test_half_of_every_test_list_of_v1_is_path_traced() -> None:
    recipe = rendered_h2o("v1")
    traced = {plan.sequence for plan in recipe.recordings if plan.renderer == "cycles"}
    found = lists(recipe)
    for name in TESTS:
        assert sum(sequence in traced for sequence, _, _ in found[name]) == len(found[name]) / 2
    assert traced & {sequence for sequence, _, _ in found["train"]}


def test_heads_are_seen_whole_cropped_and_not_at_all_in_a_third_of_the_recordings_each(recipe: Recipe) -> None:
    kinds = [plan.head for plan in recipe.recordings]
    for head in HEADS:
        assert abs(kinds.count(head) - len(kinds) / 3) < 1


def test_a_wish_for_one_renderer_changes_no_sample() -> None:
    drawn = rendered_h2o("v1", "raster")
    assert {plan.renderer for plan in drawn.recordings} == {"raster"}
    assert lists(drawn) == lists(rendered_h2o("v1"))


def test_sequences_are_different_and_another_seed_gives_others() -> None:
    one, other = sequences(20, 3, 0), sequences(20, 3, 1)
    names = [plan.sequence for plan in one.recordings]
    assert len(set(names)) == 20
    assert names != [plan.sequence for plan in other.recordings]
    assert names[:5] != sorted(names[:5])


def test_too_many_sequences_are_refused() -> None:
    with pytest.raises(GenEgoError, match="render with another --seed"):
        sequences(100_000, 1, 0)


def test_the_order_in_which_cameras_are_named_makes_no_other_recording() -> None:
    assert sequences(2, 3, 0, ("cam4", "cam2", "cam0")) == sequences(2, 3, 0, ("cam0", "cam2", "cam4"))
