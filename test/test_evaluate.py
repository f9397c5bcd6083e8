"""`genego evaluate`, as it is called: what it writes, how it goes on, and what it refuses."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_pipeline
from mock_datasets import write_h2o
from scene import sample as recorded

import genego_ros
from genego_ros import weights
from genego_ros.cli import main
from genego_ros.data.h2o import H2O
from genego_ros.data.sample import Sample, SampleId, View
from genego_ros.data.splits import h2o_splits
from genego_ros.errors import GenEgoError
from genego_ros.evaluation import intervals
from genego_ros.evaluation import methods as method_table
from genego_ros.evaluation.inputs import Case, CaseMaker
from genego_ros.evaluation.methods import load_method
from genego_ros.evaluation.metrics import Ruler
from genego_ros.evaluation.run import code, evaluate, settings, spread
from genego_ros.evaluation.store import TRUTH, Store
from genego_ros.geometry.squeeze import squeeze
from genego_ros.parameters import Parameters
from genego_ros.reconstruction import lite_file
from genego_ros.types import ByteArray, EgoView

WEIGHT = weights.manifest()["efficientnet_lite0"]
pytestmark = pytest.mark.skipif(not WEIGHT.path.is_file(), reason=f"{WEIGHT.path} is missing: {WEIGHT.cure}")
METRICS = ["psnr", "ssim", "fd_effnet", "kd_effnet", "pd_effnet"]
HANDS = ["hands", "hands_pa_mpjpe"]
SEEN = ["seen_2cm", "seen_20_grey"]
RECORDINGS = ("subject1/h1/1", "subject1/h1/7", "subject2/h1/1")


@pytest.fixture(autouse=True)
def _no_backbones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LPIPS and FID are left out on every machine alike."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("GENEGO_BACKBONES", raising=False)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings of two frames by one camera; `objects` tests the second, `subjects` the third."""
    root = tmp_path_factory.mktemp("h2o")
    write_h2o(root, RECORDINGS, range(2), ("cam0", "cam4"))
    h2o_splits(H2O(root).ids).write(root / "splits.json")
    return root


@pytest.fixture(scope="module")
def done(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished evaluation with true inputs; not to be changed."""
    out = tmp_path_factory.mktemp("done") / "deep" / "out"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TORCH_HOME", str(out.parent))
        patched.delenv("GENEGO_BACKBONES", raising=False)
        assert run(dataset, out, "--splits", "all,objects", "--methods", "geometric,splat,copy") == 0
    return out


@pytest.fixture
def out(done: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(done, tmp_path / "out"))


def run(dataset: Path, out: Path, *options: str, inputs: str = "true") -> int:
    return main(["evaluate", "--dataset", str(dataset), "--out", str(out), "--inputs", inputs, *options])


def strict(text: str) -> dict:
    """JSON as other languages read it, where NaN is none."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def rgb(path: Path) -> np.ndarray:
    return cv2.imread(str(path))[..., ::-1]


def prediction(out: Path, method: str, id: SampleId) -> Path:
    return out / "predictions" / method / id.sequence / id.camera / f"{id.frame:06d}.png"


def test_everything_that_is_asked_for_is_written(dataset: Path, done: Path) -> None:
    out = done
    table = strict((out / "table.json").read_text())
    assert list(table) == ["all", "objects"]
    for split, count in (("all", 6), ("objects", 2)):
        assert list(table[split]) == ["geometric", "splat", "copy"]
        for method, row in table[split].items():
            assert list(row) == METRICS + HANDS + (SEEN if method != "copy" else [])
            for name in HANDS:  # these pictures show none that a detector finds
                assert row[name] == {"mean": None, "low": None, "high": None, "n": 0}
            for cell in (row[name] for name in METRICS):
                assert list(cell) == ["mean", "low", "high", "n"] and cell["n"] == count
                if split == "all":
                    assert cell["low"] <= cell["mean"] <= cell["high"]
                else:  # one recording
                    assert cell["low"] is cell["high"] is None
    # The figures are those of the pictures that lie there, and those are what the sample says.
    reader = H2O(dataset)
    errors = {"copy": [], "splat": []}
    for id in reader.ids:
        sample = reader.sample(id)
        truth = rgb(prediction(out, TRUTH, id))
        assert truth.shape == (256, 256, 3)
        grown = cv2.resize(sample.ego.frame.rgb, (256, 256), interpolation=cv2.INTER_LINEAR)
        assert np.abs(truth.astype(int) - grown).max() <= 1
        grown = cv2.resize(sample.exo[0].frame.rgb, (256, 256), interpolation=cv2.INTER_LINEAR)
        assert np.abs(rgb(prediction(out, "copy", id)).astype(int) - grown).max() <= 1
        for method, found in errors.items():
            difference = rgb(prediction(out, method, id)) / 255.0 - truth / 255.0
            found.append(-10 * np.log10(np.mean(difference**2)))
    for method, found in errors.items():
        assert table["all"][method]["psnr"]["mean"] == pytest.approx(np.mean(found), abs=1e-6)
    lines = [strict(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    assert len(lines) == 3 * (6 + 2)
    copied = [line for line in lines if line["split"] == "all" and line["method"] == "copy"]
    assert [line["sample"] for line in copied] == [str(id) for id in reader.ids]
    assert [line["psnr"] for line in copied] == pytest.approx(errors["copy"], abs=1e-6)
    assert all(line["observed"] for line in lines)
    # True depth and true X: what was filled from a true splat is nearer the truth than another camera's picture.
    means = {method: row["psnr"]["mean"] for method, row in table["all"].items()}
    assert means["geometric"] > means["copy"] and means["geometric"] > means["splat"]
    text = (out / "table.md").read_text()
    assert "kd_effnet is an unbiased estimate" in text and "may be negative" in text
    assert text.count("lpips is left out") == text.count("fid is left out") == 1
    assert "6 samples of 3 recordings" in text and "2 samples of one recording, which says nothing of others" in text
    # True depth and true X again: what landed is where the truth has it, but for edges.
    assert 0.9 < table["all"]["splat"]["seen_2cm"]["mean"] < 1
    assert table["all"]["splat"]["seen_2cm"] == table["all"]["geometric"]["seen_2cm"]
    (copy_line,) = (line for line in text[: text.index("## objects")].splitlines() if line.startswith("| copy |"))
    assert copy_line.endswith("| none | none | - | - |")
    tex = (out / "table.tex").read_text()
    assert rf"geometric & \textbf{{{means['geometric']:.2f}}} &" in tex and f"copy & {means['copy']:.2f} &" in tex
    assert f"| copy | {means['copy']:.2f} (" in text and f"| geometric | **{means['geometric']:.2f}** (" in text
    sheet = cv2.imread(str(out / "sheet.png"))
    assert sheet.shape[1] == 5 * 326 and sheet.shape[0] > 6 * 180  # a column a picture, a row a sample


def test_the_same_command_gives_the_same_bytes_and_predicts_nothing_anew(
    dataset: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    again = tmp_path / "again"
    assert run(dataset, again, "--splits", "all,objects", "--methods", "geometric,splat,copy") == 0
    for name in ("table.json", "scores.jsonl", "sheet.png"):
        assert (again / name).read_bytes() == (done / name).read_bytes()
    assert (again / "table.md").read_text() in capsys.readouterr().out
    monkeypatch.setattr(CaseMaker, "case", None)  # nothing may be asked for again
    assert run(dataset, again, "--methods", "copy,geometric") == 0
    fewer, all_of_them = (strict((folder / "table.json").read_text())["all"] for folder in (again, done))
    assert list(fewer.items()) == [(name, all_of_them[name]) for name in ("copy", "geometric")]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A diffusion pipeline of random weights for `genego`, as a parameter."""
    parts = tiny_pipeline.genego()
    monkeypatch.setattr(lite_file, "load_minilm", lambda: (parts.text_encoder, parts.tokenizer))
    lite_file.save_lite(parts, tmp_path / "lite.safetensors")
    return f"reconstruction.weights:={tmp_path / 'lite.safetensors'}"


def test_the_same_seeds_give_the_same_figures_and_others_do_not(dataset: Path, tmp_path: Path, tiny: str) -> None:
    """With a network that begins at noise: what it makes depends on its seed, intervals on the bootstrap's."""

    def table(name: str, *options: str) -> dict:
        out = tmp_path / name
        options = ("--methods", "genego,copy", "reconstruction.backend:=lite", tiny, *options)
        assert run(dataset, out, *options) == 0
        return {file: (out / file).read_bytes() for file in ("table.json", "differences.json", "scores.jsonl")}

    first = table("one")
    assert table("two") == first
    drawn_anew = strict(table("three", "--seed", "1")["table.json"].decode())["all"]["genego"]["psnr"]
    made_anew = strict(table("four", "reconstruction.seed:=1")["table.json"].decode())["all"]["genego"]["psnr"]
    before = strict(first["table.json"].decode())["all"]["genego"]["psnr"]
    assert drawn_anew["mean"] == before["mean"] and drawn_anew["low"] != before["low"]
    assert made_anew["mean"] != before["mean"]


def test_differences_are_those_of_the_scores(dataset: Path, tmp_path: Path, tiny: str, capsys) -> None:
    out = tmp_path / "out"
    options = ("--splits", "all,objects", "--methods", "copy,genego,geometric", "reconstruction.backend:=lite", tiny)
    assert run(dataset, out, *options) == 0
    found, table = (strict((out / name).read_text()) for name in ("differences.json", "table.json"))
    assert list(found) == ["all", "objects"] and list(found["all"]) == [*METRICS, *SEEN]
    lines = [strict(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    psnr = {
        name: np.array([line["psnr"] for line in lines if line["method"] == name and line["split"] == "all"])
        for name in ("copy", "genego", "geometric")
    }
    assert found["all"]["psnr"]["best_other"] == max(("copy", "geometric"), key=lambda name: psnr[name].mean())
    for other, cell in found["all"]["psnr"]["minus"].items():
        apart = (psnr["genego"] - psnr[other]).reshape(3, 2).mean(axis=1)  # by recording
        drawn = intervals.draw(3, 0) @ apart / 3
        ends = np.quantile(drawn, (0.025, 0.975)) - drawn.mean() + apart.mean()
        assert (cell["mean"], cell["low"], cell["high"]) == pytest.approx((apart.mean(), *ends)) and cell["n"] == 6
    assert list(found["all"]["fd_effnet"]["minus"]) == ["copy", "geometric"]
    for other, cell in found["all"]["fd_effnet"]["minus"].items():
        means = [table["all"][name]["fd_effnet"]["mean"] for name in ("genego", other)]
        assert cell["mean"] == pytest.approx(means[0] - means[1]) and cell["low"] < cell["mean"] < cell["high"]
    assert list(found["all"]["seen_2cm"]["minus"]) == ["geometric"]  # `copy` does not say what it saw
    assert found["objects"]["psnr"]["minus"]["copy"]["low"] is None  # one recording
    text = (out / "table.md").read_text()
    cell = found["all"]["psnr"]["minus"]["copy"]
    shown = f"{cell['mean']:+.2f} ({cell['low']:+.2f} to {cell['high']:+.2f})"
    assert "| genego minus | best other | copy | geometric |" in text
    assert f"| PSNR (dB), higher is better | {found['all']['psnr']['best_other']} | {shown} | " in text
    # Without `genego` there is nothing to compare with, and nothing is left of what was.
    assert run(dataset, out, "--methods", "copy,geometric", "reconstruction.backend:=lite", tiny) == 0
    assert strict((out / "differences.json").read_text()) == {"all": {}}
    assert "genego minus" not in (out / "table.md").read_text()


class Interrupted:
    """Somebody presses Ctrl-C while the fourth sample is made."""

    calls = 0

    def __init__(self, parameters: Parameters) -> None:
        pass

    def predict(self, case: Case) -> ByteArray:
        Interrupted.calls += 1
        if Interrupted.calls == 4:
            raise KeyboardInterrupt
        return case.frame.rgb // 2


def test_an_interrupted_run_goes_on_where_it_stopped(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(method_table.METHODS, "dim", f"{__name__}:Interrupted")
    assert run(dataset, tmp_path / "out", "--methods", "dim") == 130
    assert not (tmp_path / "out/table.json").exists()
    # What a run that was killed in the middle of a file leaves does not pass for a prediction.
    fourth = prediction(tmp_path / "out", "dim", H2O(dataset).ids[3])
    fourth.parent.mkdir(parents=True, exist_ok=True)
    fourth.with_name(f".{fourth.name}.123").write_bytes(b"half a pict")
    assert run(dataset, tmp_path / "out", "--methods", "dim") == 0
    assert Interrupted.calls == 4 + 3
    for id in H2O(dataset).ids:
        np.testing.assert_array_equal(
            rgb(prediction(tmp_path / "out", "dim", id)),
            squeeze(H2O(dataset).sample(id).exo[0].frame.rgb // 2, 256, 256),
        )


def test_a_folder_holds_predictions_of_one_kind(dataset: Path, out: Path, capsys) -> None:
    before = (out / "table.json").read_bytes()
    assert run(dataset, out, "--methods", "copy", inputs="estimated") == 1
    assert f"'{out}' holds predictions made with other inputs (see settings.json" in capsys.readouterr().err
    assert run(dataset, out, "--methods", "copy", "depth.far:=3.0") == 1
    assert "made with other parameters" in capsys.readouterr().err
    made_with = json.loads((out / "settings.json").read_text())
    (out / "settings.json").write_text(json.dumps({**made_with, "code": "of last week"}))
    assert run(dataset, out, "--methods", "copy") == 1
    assert f"'{out}' holds predictions made with other code" in capsys.readouterr().err
    (out / "settings.json").write_text("{")
    assert run(dataset, out, "--methods", "copy") == 1
    assert f"'{out}/settings.json' cannot be read" in capsys.readouterr().err
    assert (out / "table.json").read_bytes() == before


def test_other_sources_of_a_method_are_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path(genego_ros.__file__).parent
    before = code()
    shutil.copytree(own, tmp_path / "genego_ros", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(genego_ros, "__file__", str(tmp_path / "genego_ros/__init__.py"))
    assert code() == before  # wherever it lies
    (tmp_path / "genego_ros/ros/stages.py").write_text("")
    assert code() == before
    for name in ("geometry/umeyama.py", "observation/observer.py", "data/truth.py", "genego.py"):
        source = tmp_path / "genego_ros" / name
        text = source.read_text()
        source.write_text(text + "\n")
        assert code() != before, name
        source.write_text(text)
    assert code() == before


def test_a_bad_prediction_is_named_and_never_averaged(dataset: Path, out: Path, capsys) -> None:
    (out / "table.json").unlink()
    third = prediction(out, "copy", H2O(dataset).ids[2])
    whole = third.read_bytes()
    for content, said in (
        (whole[: len(whole) // 2], "is damaged; delete it and run the command again"),
        (b"", "is damaged"),
        (cv2.imencode(".png", np.zeros((256, 128, 3), np.uint8))[1].tobytes(), "has 128 x 256 pixels instead of 256"),
    ):
        third.write_bytes(content)
        assert run(dataset, out, "--methods", "copy") == 1
        assert f"prediction '{third}' {said}" in capsys.readouterr().err
        assert not (out / "table.json").exists()
    third.unlink()
    with pytest.raises(GenEgoError, match=f"prediction '{third}' is missing"):
        Store(out, settings(dataset, "true", Parameters())).read("copy", H2O(dataset).ids[2])
    assert run(dataset, out, "--methods", "copy", "--splits", "objects") == 0  # the cure
    assert third.read_bytes() == whole


def seen_file(out: Path, method: str, id: SampleId) -> Path:
    return out / "seen" / method / id.sequence / id.camera / f"{id.frame:06d}.json"


def test_what_a_method_saw_is_never_averaged_over_some_pictures_alone(dataset: Path, out: Path, capsys) -> None:
    (out / "table.json").unlink()
    id = H2O(dataset).ids[2]
    file, picture = seen_file(out, "splat", id), prediction(out, "splat", id)
    whole = file.read_bytes()
    for content, said in (
        (whole[:9], f"'{file}' is damaged"),
        (b"[1]", f"'{file}' is damaged"),
        (b"{}", f"what method 'splat' saw of {id} is missing"),
        (None, f"what method 'splat' saw of {id} is missing"),
    ):
        file.unlink() if content is None else file.write_bytes(content)
        assert run(dataset, out, "--methods", "splat") == 1
        error = capsys.readouterr().err
        assert said in error and f"delete '{picture}'" in error
        assert not (out / "table.json").exists()
    picture.unlink()
    assert run(dataset, out, "--methods", "splat") == 0  # the cure
    assert file.read_bytes() == whole


@contextmanager
def full_disk(left: int) -> Iterator[None]:
    """No file can grow beyond `left` bytes, which the system says as it says that a disk is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_said_and_leaves_nothing_half(dataset: Path, tmp_path: Path, capfd) -> None:
    out = tmp_path / "out"
    store = Store(out, settings(dataset, "true", Parameters()))
    with full_disk(3000):
        assert run(dataset, out, "--methods", "copy") == 1
    said = capfd.readouterr().err
    assert f"'{out}/predictions/" in said and "cannot be written" in said and "make room" in said
    assert [path.name for path in (out / "predictions").rglob("*") if path.is_file()] == []
    assert not store.has("copy", H2O(dataset).ids[0])


class NeedsWeights:
    def __init__(self, parameters: Parameters) -> None:
        weights.locate("feet")


class WrongShape:
    def __init__(self, parameters: Parameters) -> None:
        pass

    def predict(self, case: Case) -> ByteArray:
        return case.frame.rgb[..., 0]


class WrongMask(WrongShape):
    def predict(self, case: Case) -> EgoView:
        observed = case.observation
        return EgoView(observed.sparse.rgb, observed.sparse.projected[::2], observed, "half")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--splits", "scenes"], "no split 'scenes' here; there is train-objects, objects, train-subjects, subjects"),
        (["--splits", "paper"], "no split 'actions' here"),
        (["--splits", ","], "--splits names nothing"),
        (["--methods", "copy,cpoy"], "unknown method backend 'cpoy'; known: .*copy, .*genego, .*geometric, .*splat"),
        (["--methods", "copy,learned"], "there are no weights 'feet'"),
        (["--methods", "genego", "reconstruction.backend:=sdd"], "unknown reconstruction backend 'sdd'"),
        (["depth.faar:=2"], "did you mean 'depth.far'"),
        (["sparse"], "'sparse' is not of the form name:=value"),
        (["--limit", "-3"], "--limit is -3"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_predicted(
    options: list[str], said: str, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setitem(method_table.METHODS, "learned", f"{__name__}:NeedsWeights")
    assert run(dataset, tmp_path / "out", *options) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("genego: ")
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(message)
    assert not list((tmp_path / "out").rglob("*.*"))


def test_what_is_no_picture_is_no_prediction(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setitem(method_table.METHODS, "flat", f"{__name__}:WrongShape")
    assert run(dataset, tmp_path / "out", "--methods", "copy,flat") == 1
    assert "method 'flat' gave uint8 (54, 96) for subject1/h1/1/cam0/000000" in capsys.readouterr().err
    monkeypatch.setitem(method_table.METHODS, "half", f"{__name__}:WrongMask")
    assert run(dataset, tmp_path / "out", "--methods", "copy,half") == 1
    said = capsys.readouterr().err
    assert "method 'half' gave an EgoView of (54, 96, 3) and seen bool (27, 96)" in said and "bool (54, 96)" in said
    assert not list((tmp_path / "out").rglob("*.png"))


def test_a_refused_command_does_not_bar_the_folder_to_the_corrected_one(dataset: Path, tmp_path: Path, capsys) -> None:
    copied = Path(shutil.copytree(dataset, tmp_path / "copied"))
    for picture in copied.rglob("cam0/rgb/*.png"):
        picture.write_bytes(b"")
    assert run(copied, tmp_path / "out", "--methods", "copy", "depth.far:=3.0") == 1
    assert "000000.png: the picture is damaged" in capsys.readouterr().err
    shutil.rmtree(copied)
    shutil.copytree(dataset, copied)
    assert run(copied, tmp_path / "out", "--methods", "copy") == 0
    assert run(copied, tmp_path / "out", "--methods", "copy", "depth.far:=3.0") == 1
    assert "made with other parameters" in capsys.readouterr().err


def test_missing_folders_are_named(dataset: Path, tmp_path: Path, capsys) -> None:
    assert run(tmp_path / "nowhere", tmp_path / "out") == 1
    assert f"{tmp_path}/nowhere: no such folder" in capsys.readouterr().err
    unsplit = tmp_path / "unsplit"
    write_h2o(unsplit, RECORDINGS[:1], range(1), ("cam0", "cam4"))
    assert run(unsplit, tmp_path / "out", "--splits", "objects") == 1
    assert f"{unsplit}/splits.json: cannot be read" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert run(dataset, tmp_path / "file") == 1
    assert f"'{tmp_path}/file/settings.json' cannot be " in capsys.readouterr().err
    assert run(unsplit, tmp_path / "out", "--methods", "copy") == 0  # `all` needs no list
    assert "One sample of one recording: no intervals" in capsys.readouterr().out


def test_a_split_without_samples_is_refused(dataset: Path, tmp_path: Path, capsys) -> None:
    copied = Path(shutil.copytree(dataset, tmp_path / "copied"))
    said = json.loads((copied / "splits.json").read_text())
    said["lists"]["objects"] = {}
    (copied / "splits.json").write_text(json.dumps(said))
    assert run(copied, tmp_path / "out", "--splits", "objects,subjects", "--methods", "copy") == 1
    assert "split 'objects' has no samples" in capsys.readouterr().err
    for recording in RECORDINGS:
        shutil.rmtree(copied / recording)
    assert run(copied, tmp_path / "out", "--methods", "copy") == 1
    assert f"{copied}: no recording" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_samples_without_anybody_count_and_are_counted(dataset: Path, tmp_path: Path, capsys) -> None:
    """MediaPipe takes the mock's hands, a few pixels of balls, for nothing."""
    out = tmp_path / "out"
    assert run(dataset, out, "--methods", "geometric,copy", inputs="estimated") == 0
    assert "In 6 of them stage 1 found nobody to look through" in capsys.readouterr().out
    assert not rgb(prediction(out, "geometric", H2O(dataset).ids[0])).any()
    table = strict((out / "table.json").read_text())["all"]
    assert table["geometric"]["psnr"]["n"] == table["copy"]["psnr"]["n"] == 6
    assert all(not strict(line)["observed"] for line in (out / "scores.jsonl").read_text().splitlines())


class Recorded:
    """The sample recording as a `Dataset`: real frames of hands that MediaPipe finds; each its own truth."""

    ids = tuple(SampleId("sample", "cam0", index) for index in range(4))
    rate_hz = 15.0

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        return self.sample(self.ids[index])

    def sample(self, id: SampleId) -> Sample:
        nothing = np.full((2, 21, 3), np.nan)
        exo, ego = (View(name, recorded(4)[id.frame], np.eye(4), nothing) for name in ("cam0", "cam4"))
        return Sample(id, (exo,), ego, None, 0, "", 0, "", 0, "s", "h", "")


def test_estimates_do_not_depend_on_what_came_before(tmp_path: Path) -> None:
    """A tracker that follows hands from sample to sample would make the result of a resumed run another one."""
    pictures = {}
    for name, chosen in (("all", Recorded.ids), ("last", Recorded.ids[-1:])):
        store = Store(tmp_path / name, {})
        with CaseMaker("estimated", Parameters()) as cases:
            methods = {"geometric": load_method("geometric", Parameters())}
            results = evaluate(Recorded(), {"all": chosen}, methods, Ruler(), store, cases, 0)
        assert results.splits["all"].nobody_seen == 0
        pictures[name] = store.read("geometric", Recorded.ids[-1])
    assert pictures["all"].any()
    np.testing.assert_array_equal(pictures["all"], pictures["last"])


@pytest.mark.parametrize(
    ("name", "posed", "told"),
    [("genego", 2, True), ("genego_pose", 2, False), ("genego_text", 0, True), ("genego_neither", 0, False)],
)
def test_an_ablation_leaves_out_what_its_name_does_not_say(name: str, posed: int, told: bool) -> None:
    sample = Recorded().sample(Recorded.ids[0])
    with CaseMaker("estimated", Parameters()) as cases:
        case = cases.case(sample)
        method = load_method(name, Parameters.from_mapping({"reconstruction.backend": "geometric"}))
        shown = method.observation(case)
        assert len(case.observation.hands_ego) == 2 and case.observation.description
        assert (len(shown.hands_ego), bool(shown.description)) == (posed, told)
        np.testing.assert_array_equal(shown.sparse.rgb, case.observation.sparse.rgb)


def test_an_ablation_is_one_word(dataset: Path, tmp_path: Path) -> None:
    assert run(dataset, tmp_path, "--methods", "ablation", "--limit", "1", "reconstruction.backend:=geometric") == 0
    table = strict((tmp_path / "table.json").read_text())["all"]
    assert list(table) == ["genego_neither", "genego_pose", "genego_text", "genego"]


def test_estimated_inputs_hide_the_depth_and_ask_for_the_samples_camera() -> None:
    sample = Recorded().sample(Recorded.ids[0])
    assert sample.exo[0].frame.depth is not None
    with CaseMaker("estimated", Parameters()) as cases:
        case = cases.case(sample)
        assert case.frame.depth is None and case.observed is None
        assert case.observation.ego_camera == sample.ego.frame.camera
        assert case.observation.depth_source == "lite" and case.observed is case.observation
    assert CaseMaker("true", Parameters()).case(sample).frame.depth is not None


def test_a_limit_is_spread_over_the_split() -> None:
    assert spread(list(range(100)), 5) == [0, 25, 50, 74, 99]
    assert spread(list(range(3)), 5) == [0, 1, 2] == spread(list(range(3)), 0)


def test_predictions_of_other_files_at_the_same_path_are_not_used_again(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changing = Path(shutil.copytree(dataset, tmp_path / "changing"))
    assert run(changing, tmp_path / "out", "--methods", "copy") == 0
    for path in (changing / RECORDINGS[0]).glob("cam4/rgb/*.png"):
        cv2.imwrite(str(path), np.zeros_like(cv2.imread(str(path))))
    assert run(changing, tmp_path / "out", "--methods", "copy") == 1
    assert f"other files than {RECORDINGS[0]} has now" in capsys.readouterr().err


# What stage 1 is made with --------------------------------------------------------------------------


@pytest.mark.parametrize("changed", ["depth.weights", "ego_hand.weights", "folder", "mano", None])
def test_what_other_weights_made_is_refused(
    changed: str | None, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained anew under the same name, downloaded anew into the same folder, imported between two runs."""
    monkeypatch.setenv("GENEGO_WEIGHTS", str(tmp_path / "installed"))
    files = {name: tmp_path / f"{name}.safetensors" for name in ("depth.weights", "ego_hand.weights")}
    files["folder"] = tmp_path / "model" / "deep" / "model.safetensors"
    files["mano"] = weights.mano_directory() / "MANO_RIGHT.npz"
    for name, file in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        if name != "mano":
            file.write_bytes(b"as it was")
    named = {name: str(files[name]) for name in ("depth.weights", "ego_hand.weights")}
    parameters = Parameters.from_mapping({**named, "description.weights": str(tmp_path / "model")})
    out, made = tmp_path / "out", SampleId("sample", "cam0", 0)
    Store(out, settings(dataset, "estimated", parameters)).write("direct", made, np.zeros((8, 8, 3), np.uint8))
    if changed is None:
        Store(out, settings(dataset, "estimated", parameters))
        return
    files[changed].write_bytes(b"as it is!")
    with pytest.raises(GenEgoError, match=r"out' holds predictions made with other weights \(see settings.json"):
        Store(out, settings(dataset, "estimated", parameters))
