"""`genego evaluate observation`: each part on known errors, and the command as it is called."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mock_datasets import write_h2o
from scipy.spatial.transform import Rotation

from genego_ros import weights
from genego_ros.cli import main
from genego_ros.data.h2o import H2O
from genego_ros.data.sample import Sample
from genego_ros.data.splits import h2o_splits
from genego_ros.data.truth import true_observation
from genego_ros.errors import GenEgoError
from genego_ros.evaluation import intervals
from genego_ros.evaluation.observation import phi_ego, words
from genego_ros.evaluation.observation.case import Case
from genego_ros.evaluation.observation.report import markdown
from genego_ros.evaluation.observation.run import Measured, Measurements, measure, results
from genego_ros.evaluation.observation.summary import PARTS, summarise
from genego_ros.evaluation.observation.truth import hand_region, touches, visible_hands
from genego_ros.geometry import rigid
from genego_ros.geometry.camera import rays
from genego_ros.geometry.hand_model import HandModel, mean_pose
from genego_ros.observation.depth import DepthMap
from genego_ros.observation.description.template import TemplateDescription
from genego_ros.parameters import DepthParameters
from genego_ros.types import EgoHands, ExoObservation, Scale, Viewpoint

LIMITS = DepthParameters()
STAGES = {"depth": 20.0, "hands": 30.0, "description": 0.01}
"""Milliseconds of a frame that comes while no description is due."""
TEXT = "The person's left hand is open. The person's right hand is closed and touches something red."


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """One moment, seen by cam2 from 1.3 m, large enough for hands of 40 pixels."""
    root = tmp_path_factory.mktemp("h2o")
    write_h2o(root, frames=range(1), cameras=("cam2", "cam4"), size=(480, 270), rendered=True)
    return H2O(root)[0]


def perfect(sample: Sample) -> ExoObservation:
    """Stage 1 without a mistake, as if its depth had come from a network and s* from the hands."""
    truth = true_observation(sample, LIMITS)
    scale = Scale(1.0, 0.01, 500, "hands")
    return replace(truth, description=TEXT, scale=scale, depth_source="lite", stage_ms=STAGES)


def case_of(sample: Sample, observation: ExoObservation, **other: object) -> Case:
    view = sample.exo[0]
    ego = EgoHands(np.nan_to_num(phi_ego.all_hands(sample)).astype(np.float32), np.ones(2), np.full(2, 0.01))
    given = {
        "sample": sample,
        "observation": observation,
        "description_ms": 12.0,
        "known_length": observation,
        "depth_topic": observation,
        "depth_map": DepthMap(observation.exo_depth, "lite", "relative"),
        "viewpoints": {"nominal": observation.viewpoint, "auto": "no weights"},
        "ego_hands": ego,
        "visible": visible_hands(view),
        "touching": {"left": False, "right": True},
        "region": hand_region(view, HandModel.load(weights.locate("hand_mesh"))),
        "head": "cropped",
    }
    return Case(**{**given, **other})


def moved(observation: ExoObservation, shift: tuple[float, float, float]) -> ExoObservation:
    hands = [replace(hand, keypoints=hand.keypoints + np.float32(shift)) for hand in observation.hands_exo]
    return replace(observation, hands_exo=tuple(hands))


def test_without_a_mistake_every_error_is_zero_and_every_share_whole(sample: Sample) -> None:
    found = measure(case_of(sample, perfect(sample)), LIMITS)
    zero = [
        *(f"depth/{row}/{name}" for row in ("before", "after", "aligned") for name in ("abs_rel", "rmse_m")),
        *(
            f"scale/{length}_length/{where}/absolute"
            for length in ("known", "unknown")
            for where in ("picture", "hands")
        ),
        "scale/from_hand_size/error",
        *(
            f"hands/{run}/{side}/mpjpe_mm"
            for run in ("rgb", "known_length", "depth_topic")
            for side in ("left", "right")
        ),
        *("hands/rgb/grasping/wrist_cm", "hands/rgb/free/wrist_share", "hands/wrong_side", "hands/false"),
        *(f"phi_ego/{name}/{group}/mpjpe_mm" for name in ("estimate", "nominal") for group in ("all", "cropped")),
        *(f"x/{name}/cropped/{unit}" for name in ("configured", "nominal") for unit in ("degrees", "cm")),
        *(f"sparse/estimated_depth_estimated_x/{name}" for name in ("error_cm", "shift_px")),
        *("description/missed", "description/invented"),
    ]
    for path in zero:
        assert found[path], path
        np.testing.assert_allclose(found[path], 0.0, atol=2e-3, err_msg=path)
    whole = ("depth/after/delta", "hands/detected", "x/configured/all/found", "phi_ego/shown", "description/right")
    for path in (*whole, "description/contact", "depth/constant/covered"):
        assert found[path] and set(found[path]) == {1.0}, path
    for name in ("within_2cm", "visible_right_2cm", "within_20_grey"):
        assert found[f"sparse/estimated_depth_estimated_x/{name}"] == found[f"sparse/true_depth_true_x/{name}"]
    assert found["sparse/true_depth_true_x/visible_right_2cm"][0] > 0.9
    # Two predictors that do not look at the picture, of which the first is a constant.
    truth = sample.exo[0].frame.depth
    known = truth[np.isfinite(truth)]
    expected = np.mean(np.abs(np.median(known) - known) / known)
    np.testing.assert_allclose(found["depth/constant/abs_rel"], [expected], rtol=1e-5)
    assert (
        found["time_ms/description"] == [12.0]
        and found["time_ms/total"] == [50.0]
        and found["time_ms/frames_per_second"] == [20.0]
    )
    assert found["x/configured/source"] == "truth" and found["x/auto/unavailable"] == "no weights"
    for absent in ("visible", "absent"):  # the head is cropped
        assert found[f"x/configured/{absent}/found"] == found[f"phi_ego/estimate/{absent}/mpjpe_mm"] == []


def test_depth_that_is_a_tenth_too_far_is_that_and_no_more(sample: Sample) -> None:
    right = perfect(sample)
    far = replace(right, exo_depth=right.exo_depth * np.float32(1.1), scale=replace(right.scale, factor=1.1))
    raw = DepthMap(right.exo_depth * np.float32(3.0), "lite", "relative")
    found = measure(case_of(sample, far, known_length=right, depth_map=raw), LIMITS)
    expected = {
        "depth/before/abs_rel": 2.0,
        "depth/before/delta": 0.0,
        "depth/after/abs_rel": 0.1,
        "depth/after/delta": 1.0,
        "depth/aligned/abs_rel": 0.0,
        "scale/unknown_length/picture/error": 0.1,
        "scale/unknown_length/hands/error": 0.1,
        "scale/known_length/picture/error": 0.0,
        "scale/from_hand_size/error": 0.1,
    }
    for path, value in expected.items():
        np.testing.assert_allclose(found[path], [value], atol=1e-5, err_msg=path)
    # Each point is off along its ray by a tenth of its distance.
    truth, ego = sample.exo[0].frame.depth, sample.ego.frame.camera
    points = (rays(sample.exo[0].frame.camera) * truth[..., None])[::4, ::4].reshape(-1, 3).astype(np.float64)
    seen = rigid.apply(sample.T_ego_exo, points)
    u, v = ego.fx * seen[:, 0] / seen[:, 2] + ego.cx, ego.fy * seen[:, 1] / seen[:, 2] + ego.cy
    inside = (seen[:, 2] > 0) & (np.abs(u - 239.5) < 240) & (np.abs(v - 134.5) < 135)
    error = 10.0 * np.median(np.linalg.norm(points[inside], axis=1))
    np.testing.assert_allclose(found["sparse/estimated_depth_true_x/error_cm"], [error], rtol=1e-4)
    assert found["sparse/true_depth_true_x/error_cm"] == [0.0]


def test_hands_that_are_off_or_taken_for_the_other_one(sample: Sample) -> None:
    off = moved(perfect(sample), (0.03, 0.0, 0.04))
    found = measure(case_of(sample, off, depth_topic=None), LIMITS)
    for path, value in (("mpjpe_mm", 50.0), ("pa_mpjpe_mm", 0.0), ("wrist_cm", 5.0)):
        np.testing.assert_allclose(found[f"hands/rgb/all/{path}"], [value] * 2, atol=1e-3)
    wrists = np.linalg.norm(sample.exo[0].keypoints[:, 0], axis=1)
    np.testing.assert_allclose(found["hands/rgb/all/wrist_share"], 0.05 / wrists, rtol=1e-4)
    assert "hands/depth_topic/all/mpjpe_mm" not in found
    right = perfect(sample)
    other = {"left": "right", "right": "left"}
    swapped = tuple(replace(hand, side=other[hand.side]) for hand in right.hands_exo)
    found = measure(case_of(sample, replace(right, hands_exo=swapped)), LIMITS)
    assert found["hands/wrong_side"] == [1.0, 1.0] and found["hands/detected"] == [1.0, 1.0]
    np.testing.assert_allclose(found["hands/rgb/left/mpjpe_mm"], [0.0], atol=1e-3)
    # One of them somewhere else in the picture is no find, and a false hand.
    lost = replace(right.hands_exo[0], keypoints_2d=right.hands_exo[0].keypoints_2d + np.float32(150.0))
    found = measure(case_of(sample, replace(right, hands_exo=(lost, right.hands_exo[1]))), LIMITS)
    assert found["hands/detected"] == [0.0, 1.0] and found["hands/false"] == [1.0, 0.0]
    assert len(found["hands/rgb/all/mpjpe_mm"]) == 1


def test_a_viewpoint_that_is_off(sample: Sample) -> None:
    right = perfect(sample)
    T_exo_ego = rigid.invert(sample.T_ego_exo)
    turned = T_exo_ego.copy()
    turned[:3, :3] = turned[:3, :3] @ Rotation.from_rotvec([0.0, np.radians(10.0), 0.0]).as_matrix()
    turned[:3, 3] += [0.03, 0.0, 0.04]
    off = replace(right, viewpoint=Viewpoint(rigid.invert(turned), "nominal"))
    found = measure(case_of(sample, off, viewpoints={"head": None}), LIMITS)
    np.testing.assert_allclose(found["x/configured/all/degrees"], [10.0], rtol=1e-6)
    np.testing.assert_allclose(found["x/configured/by_source/nominal/cm"], [5.0], rtol=1e-6)
    assert found["x/head/all/found"] == [0.0] and "x/head/all/cm" not in found
    # The eyes moved sideways alone: every point by as much, in pixels by f / z.
    beside = sample.T_ego_exo.copy()
    beside[0, 3] += 0.05
    found = measure(case_of(sample, replace(right, viewpoint=Viewpoint(beside, "nominal"))), LIMITS)
    np.testing.assert_allclose(found["sparse/true_depth_estimated_x/error_cm"], [5.0], rtol=1e-6)
    z = sample.ego.frame.depth[np.isfinite(sample.ego.frame.depth)]
    shift = found["sparse/true_depth_estimated_x/shift_px"][0] / (sample.ego.frame.camera.fx * 0.05)
    assert 1 / z.max() < shift < 1 / z.min()
    # Nobody was seen: nothing is covered, and nothing else is said.
    found = measure(case_of(sample, replace(right, valid=False, hands_exo=())), LIMITS)
    assert found["sparse/true_depth_estimated_x/visible_right_5cm"] == [0.0]
    assert "sparse/true_depth_estimated_x/within_2cm" not in found
    assert found["hands/detected"] == [0.0, 0.0] and found["x/configured/all/found"] == [0.0]


def test_phi_ego_stands_beside_the_mean_pose(sample: Sample) -> None:
    truth = phi_ego.all_hands(sample)
    np.testing.assert_allclose(truth, sample.ego.keypoints)
    off = EgoHands((truth + [0.0, 0.02, 0.0]).astype(np.float32), np.array([0.9, 0.1]), np.full(2, 0.01))
    found = measure(case_of(sample, perfect(sample), ego_hands=off), LIMITS)
    np.testing.assert_allclose(found["phi_ego/estimate/cropped/mpjpe_mm"], [20.0, 20.0], rtol=1e-4)
    np.testing.assert_allclose(found["phi_ego/estimate/all/pa_mpjpe_mm"], [0.0, 0.0], atol=1e-3)
    assert found["phi_ego/shown"] == [1.0, 0.0]
    none = np.full((21, 3), np.nan)
    mean = mean_pose([truth, np.stack([truth[0] + 0.1, none])])
    np.testing.assert_allclose(mean, np.stack([truth[0] + 0.05, truth[1]]))
    found = measure(case_of(sample, perfect(sample), ego_hands="weights are missing"), LIMITS)
    assert found["phi_ego/unavailable"] == "weights are missing" and "phi_ego/estimate/all/mpjpe_mm" not in found


def test_what_lacks_its_truth_says_so(sample: Sample) -> None:
    exo = replace(sample.exo[0], frame=replace(sample.exo[0].frame, depth=None))
    blind = replace(sample, exo=(replace(exo, keypoints=np.full((2, 21, 3), np.nan)),))
    found = measure(case_of(blind, perfect(sample), visible=(), region=None), LIMITS)
    assert {path for path in found if path.endswith("unavailable")} == {
        *("depth/unavailable", "scale/unavailable", "hands/unavailable", "sparse/unavailable", "x/auto/unavailable")
    }


# What the truth says --------------------------------------------------------------------------------


def test_hands_are_visible_unless_hidden_far_or_out_of_the_picture(sample: Sample) -> None:
    view = sample.exo[0]
    assert visible_hands(view) == ("left", "right")
    assert visible_hands(replace(view, frame=replace(view.frame, depth=None))) == ("left", "right")
    curtain = np.full_like(view.frame.depth, view.keypoints[..., 2].min() - 0.1)
    assert visible_hands(replace(view, frame=replace(view.frame, depth=curtain))) == ()
    aside = view.keypoints.copy()
    aside[0, :, 0] += 1.5
    assert visible_hands(replace(view, keypoints=aside)) == ("right",)
    away = view.keypoints * np.array([1.0, 2.0])[:, None, None]  # on the same rays, behind what is seen there
    assert visible_hands(replace(view, keypoints=away)) == ("left",)
    absent = view.keypoints.copy()
    absent[1] = np.nan
    assert visible_hands(replace(view, keypoints=absent)) == ("left",)


def test_touching_is_a_matter_of_millimetres() -> None:
    steps = np.stack(np.meshgrid(*[(-1.0, 0.0, 1.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    kind = np.abs(steps).sum(axis=1)
    box = np.concatenate([steps[kind == wanted] for wanted in (0, 3, 2)]) * [0.05, 0.03, 0.09]
    hand = np.tile([0.0, 0.0, 0.2], (21, 1))
    T = rigid.compose(Rotation.from_rotvec([0.3, -1.0, 0.5]).as_matrix(), (0.1, 0.2, 1.0))
    for gap, expected in ((0.014, True), (0.016, False)):
        hand[[4, 8, 12]] = [0.05 + gap, 0.02, -0.08]
        assert touches(rigid.apply(T, hand), rigid.apply(T, box)) is expected
    hand[[4, 8, 12]] = [0.0, 0.0, 0.0]  # within it
    assert touches(hand, box)
    hand[12] = [0.0, 0.0, 0.2]  # two fingers alone
    assert not touches(hand, box)


def test_the_box_around_the_object_is_read(tmp_path: Path) -> None:
    scene = write_h2o(tmp_path, frames=range(2), cameras=("cam0", "cam4"))["subject1/h1/0"]
    dataset = H2O(tmp_path)
    box = dataset.object_box(dataset.ids[1])
    T = rigid.invert(scene.camera_pose("cam0", 1)) @ scene.object_pose(1)
    np.testing.assert_allclose(box[0], T[:3, 3], atol=1e-9)
    np.testing.assert_allclose(np.ptp(rigid.apply(rigid.invert(T), box), axis=0), [0.1, 0.06, 0.18], atol=1e-8)


@pytest.mark.parametrize(
    ("text", "named", "touching"),
    [
        (TEXT, "left right", "right"),
        ("No hands are visible.", "", ""),
        ("Both hands hold it", "left right", "left right"),
        ("The hands hold a mug", "left right", "left right"),
        ("The left and right hand are carrying a box", "left right", "left right"),
        ("The left hand and the right hand lift the lid", "left right", "left right"),
        ("The right hand rests", "right", ""),
        ("The left hand is free while the right one holds a cup.", "left", ""),
        ("The left hand is open and the right hand holds a cup.", "left right", "right"),
        ("A mug is held in the left hand, a knife in the right hand.", "left right", "left right"),
        # A place is no hand, and a carrot is not carried.
        ("A mug stands on the left of the table, a carrot on its left hand side.", "", ""),
        ("The left hand is near a carrot and a candle holder.", "left", ""),
        # What is denied.
        ("The left hand is not touching anything.", "left", ""),
        ("The left hand doesn't seem to hold the mug or touch the lid.", "left", ""),
        ("The right hand holds nothing; nothing is held by the left hand.", "left right", ""),
        ("Neither the left nor the right hand touches the mug.", "left right", ""),
        ("The right hand is closed without touching anything.", "right", ""),
        ("The left hand is not open and holds a mug.", "left", "left"),
        ("The left hand is not visible. The person's right hand grips a mug.", "right", "right"),
        ("There is no left hand, and the person hands over a mug.", "", ""),
    ],
)
def test_words(text: str, named: str, touching: str) -> None:
    text = text.lower()
    assert " ".join(words.named_hands(text)) == named
    assert " ".join(side for side in ("left", "right") if words.says_contact(text, side)) == touching


# From samples to numbers ----------------------------------------------------------------------------


def test_numbers_are_summed_up_over_recordings() -> None:
    values = [{"x/a/cm": [1.0, 3.0], "x/source": "head"}, {"x/a/cm": [8.0], "x/source": "nominal"}, {"x/a/cm": []}]
    found = summarise(values, ["r1", "r2", "r2"], seed=0)
    assert list(found) == list(PARTS)
    number = found["x"]["a"]["cm"]
    assert (number["mean"], number["median"], number["n"]) == (4.0, 3.0, 3)
    # Drawn alone, the first recording has the median 2, the second 8.
    assert (number["median_low"], number["median_high"]) == (2.0, 8.0)
    assert number["low"] < 4.0 < number["high"]
    assert found["x"]["source"] == {"head": 1, "nominal": 1}
    assert found["depth"] == {"unavailable": "no sample tells"}
    assert summarise(values[:1], ["r1"], seed=0)["x"]["a"]["cm"]["low"] is None


def test_the_mean_pose_is_that_of_all_hands_wherever_it_is_learned(tmp_path: Path) -> None:
    write_h2o(tmp_path / "h2o", frames=range(0, 20, 10), cameras=("cam2", "cam4"))
    dataset = H2O(tmp_path / "h2o")
    ids, kept = list(dataset.ids), Measurements(tmp_path / "out", {})
    hands = [phi_ego.all_hands(dataset.sample(id)) for id in ids]
    for id, pose, visible in zip(ids, hands, (["left"], []), strict=True):
        kept.write(id, Measured({}, pose, visible))
    off = 1e3 * np.linalg.norm(hands[0][0] - hands[1][0], axis=1).mean() / 2  # one of the two is hidden, and counts
    without = results(dataset, {"all": ids}, {}, kept, 0)["all"]["phi_ego"]["mean_pose"]
    learned = results(dataset, {"all": ids}, {"all": ids}, kept, 0)["all"]["phi_ego"]["mean_pose"]
    assert without["all"]["mpjpe_mm"] == learned["all"]["mpjpe_mm"]
    assert without["all"]["mpjpe_mm"]["n"] == 1
    assert off > 1.0 and without["all"]["mpjpe_mm"]["mean"] == pytest.approx(off, abs=2e-3)
    assert learned["of"] == "the train list" and "no train list" in without["of"]
    # Decoding the pictures of a train list takes long: once is enough.
    for picture in (tmp_path / "h2o").rglob("*.png"):
        picture.unlink()
    assert results(dataset, {"all": ids}, {"all": ids}, kept, 0)["all"]["phi_ego"]["mean_pose"] == learned
    kept.path(ids[0], "learned").write_text("[")
    with pytest.raises(GenEgoError, match=r"learned.*cannot be read.*delete it"):
        results(dataset, {"all": ids}, {"all": ids}, kept, 0)


def test_no_two_columns_of_a_table_have_one_title(sample: Sample) -> None:
    values = [measure(case_of(sample, perfect(sample)), LIMITS)]
    page = markdown({"all": {"samples": 1, **summarise(values, ["r1"], 0)}}, "command")
    heads = [line.split(" | ") for line in page.splitlines() if line.startswith("| |")]
    assert len(heads) == len(PARTS)
    for head in heads:
        assert len(set(head)) == len(head), head


def test_the_interval_of_a_median_is_that_of_a_plain_bootstrap() -> None:
    rng = np.random.default_rng(5)
    groups, scores = rng.integers(0, 12, 301), rng.normal(3.0, 1.0, 301)
    drawn = intervals.draw(12, 3)
    found = intervals.median(scores, groups, drawn)
    medians = [np.median(np.repeat(scores, counts[groups])) for counts in drawn[:200]]
    assert found.mean == np.median(scores)
    np.testing.assert_allclose([found.low, found.high], np.quantile(medians, (0.025, 0.975)))


# The command ----------------------------------------------------------------------------------------

LANDMARKER = weights.manifest()["mediapipe_hands"]


@pytest.mark.skipif(not LANDMARKER.path.is_file(), reason=f"{LANDMARKER.path} is missing: {LANDMARKER.cure}")
def test_the_command_writes_both_files_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    describe = TemplateDescription.describe
    monkeypatch.setattr(TemplateDescription, "describe", lambda *given: time.sleep(0.03) or describe(*given))
    root, out = tmp_path / "h2o", tmp_path / "out"
    write_h2o(root, ("subject1/h1/1", "subject2/h1/7"), range(2), ("cam0", "cam4"))
    h2o_splits(H2O(root).ids).write(root / "splits.json")

    def run(split: str, *more: str) -> int:
        return main(["evaluate", "observation", "--dataset", str(root), "--split", split, "--out", str(out), *more])

    assert run("subjects", "depth.backend:=topic") == 0
    said = json.loads((out / "observation.json").read_text(), parse_constant=pytest.fail)
    assert list(said) == ["samples", *PARTS] and said["samples"] == 2
    assert said["depth"]["constant"]["abs_rel"]["n"] == 2
    assert len(list((out / "learned").rglob("*.json"))) == 2
    assert 30 <= said["time_ms"]["description"]["median"] < 1000
    page = (out / "observation.md").read_text()
    assert page in capsys.readouterr().out and "### S_ego" in page and "| true depth true x |" in page
    # What is there is not measured again; what is missing is.
    kept = sorted((out / "measurements").rglob("*.json"))
    assert [path.name for path in kept] == ["000000.json", "000001.json"]
    before = kept[0].stat().st_mtime_ns
    kept[1].unlink()
    assert run("subjects,objects", "depth.backend:=topic") == 0
    said = json.loads((out / "observation.json").read_text())
    assert list(said) == ["subjects", "objects"] and said["objects"]["samples"] == 2
    assert kept[1].is_file() and kept[0].stat().st_mtime_ns == before
    capsys.readouterr()
    assert run("subjects", "depth.near:=0.2") == 1
    assert f"'{out}' holds measurements made with other parameters" in capsys.readouterr().err
    assert run("subjects", "--limit", "-1") == 1 and "--limit is -1" in capsys.readouterr().err
    assert run("") == 1 and "--split names nothing" in capsys.readouterr().err
    assert run("actors") == 1 and "no split 'actors' here" in capsys.readouterr().err
