"""The launcher: does what is missing, only that, and says what to do where it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from genego_ros import bootstrap

ROOT = Path(__file__).resolve().parents[1]
SITE_PACKAGES = f"lib/python3.{sys.version_info.minor}/site-packages"


class FakeRunner:
    """Stands for running commands: notes them, and makes what `python -m venv` makes."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.done: list[str] = []
        """The steps that ran commands, in order."""
        self.failing = ""
        """The step whose commands fail."""
        self.interrupted = ""
        """The step in which somebody presses Ctrl-C."""

    def __call__(self, command: Sequence[str | Path], log: Path) -> int:
        words = [str(word) for word in command]
        self.commands.append(words)
        step = log.stem
        if step == self.interrupted:
            raise KeyboardInterrupt
        if step not in self.done:
            self.done.append(step)
        log.write_text(f"$ {' '.join(words)}\nno space left on device\n")
        if words[1:3] == ["-m", "venv"]:
            venv = Path(words[-1])
            (venv / SITE_PACKAGES).mkdir(parents=True)
            (venv / "bin").mkdir()
            (venv / "bin/python").touch()
        return int(step == self.failing)

    def forget(self) -> None:
        self.commands, self.done = [], []

    def first(self, *words: str) -> list[str]:
        """The first command with all these words."""
        return next(command for command in self.commands if set(words) <= set(command))


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    monkeypatch.setattr(bootstrap, "missing_packages", lambda ros_installed: [])
    monkeypatch.delenv("GENEGO_TORCH_INDEX", raising=False)
    monkeypatch.delenv("GENEGO_WEIGHTS", raising=False)
    return FakeRunner()


@pytest.fixture
def place(tmp_path: Path, runner: FakeRunner) -> bootstrap.Place:
    """A clone in which nothing is set up."""
    root = tmp_path / "clone"
    for name in ("msg", "interfaces"):
        shutil.copytree(ROOT / name, root / name)
    (root / "models").mkdir()
    files = ["setup.py", "constraints.txt", "constraints-numpy1.txt", "CMakeLists.txt", "package.xml"]
    for name in [*files, "models/manifest.yaml"]:
        shutil.copy(ROOT / name, root / name)
    return bootstrap.Place(root, root / ".venv", "", runner)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_sets_up_once(place: bootstrap.Place, runner: FakeRunner) -> None:
    bootstrap.set_up(place)
    assert runner.done == ["venv", "dependencies", "interfaces", "weights"]
    pip = runner.first("install", "--constraint")
    assert pip[pip.index("--constraint") + 1] == str(place.root / "constraints.txt")
    assert {"torch==2.13.0", "ros-kilted-rclpy"} < set(pip)
    pth = (place.venv / SITE_PACKAGES / "genego_ros.pth").read_text()
    assert pth == f"import sys; sys.path.insert(0, '{place.root}')\n"
    assert list(bootstrap.stale(place)) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "redone"),
    [
        ("msg/Hand.msg", "uint8 LEFT=0", "uint8 LEFT=2", ["interfaces"]),
        ("models/manifest.yaml", "Apache-2.0", "MIT", ["weights"]),
        ("constraints.txt", "tqdm==", "tqdm==9", ["dependencies"]),
        ("constraints.txt", "ros-rclpy==", "ros-rclpy==9", ["dependencies", "interfaces"]),
        ("setup.py", '"PyYAML>=6"', '"PyYAML>=7"', ["dependencies"]),
    ],
)
def test_changed_file_redoes_what_depends_on_it(
    file: str, old: str, new: str, redone: list[str], place: bootstrap.Place, runner: FakeRunner
) -> None:
    bootstrap.set_up(place)
    runner.forget()
    edit(place.root / file, old, new)
    bootstrap.set_up(place)
    assert runner.done == redone
    assert list(bootstrap.stale(place)) == []


@pytest.mark.parametrize("step", ["venv", "dependencies", "interfaces", "weights"])
def test_interrupted_set_up_resumes(step: str, place: bootstrap.Place, runner: FakeRunner) -> None:
    runner.interrupted = step
    with pytest.raises(KeyboardInterrupt):
        bootstrap.set_up(place)
    before = list(runner.done)
    assert step not in before
    runner.interrupted = ""
    bootstrap.set_up(place)
    assert runner.done == ["venv", "dependencies", "interfaces", "weights"]
    assert runner.done[: len(before)] == before


def test_failing_step_shows_its_log_and_cure(place: bootstrap.Place, runner: FakeRunner) -> None:
    runner.failing = "dependencies"
    with pytest.raises(bootstrap.SetupError) as failure:
        bootstrap.set_up(place)
    text = str(failure.value)
    assert "no space left on device" in text
    assert str(place.venv / ".genego/dependencies.log") in text
    assert "Cure: check the network and the free disk space" in text
    assert next(bootstrap.stale(place)).name == "dependencies"


def test_missing_library_names_the_apt_line(
    place: bootstrap.Place, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # look for real, for a library that no system has
    monkeypatch.setattr(bootstrap, "LIBRARIES", {"libnowhere.so.9": "libnowhere9", "libc.so.6": "libc6"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(bootstrap.SetupError, match="apt-get update && apt-get install -y libnowhere9'"):
        bootstrap.set_up(place)
    assert runner.commands == []


def test_root_installs_missing_packages(
    place: bootstrap.Place, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([["libusb-1.0-0", "ninja-build"], []])
    monkeypatch.setattr(bootstrap, "missing_packages", lambda ros_installed: next(answers))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    bootstrap.set_up(place)
    assert runner.commands[0] == ["apt-get", "update"]
    assert runner.commands[1][:3] == ["apt-get", "install", "-y"]
    assert runner.commands[1][-2:] == ["libusb-1.0-0", "ninja-build"]


def test_moved_clone_is_set_up_anew(
    place: bootstrap.Place, runner: FakeRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    bootstrap.set_up(place)
    (place.venv / "left-over").touch()
    moved = place.root.rename(place.root.with_name("moved"))
    runner.forget()
    bootstrap.set_up(place._replace(root=moved, venv=moved / ".venv"))
    assert "made by another Python or for another folder" in capsys.readouterr().out
    assert runner.done == ["venv", "dependencies", "interfaces", "weights"]
    assert not (moved / ".venv/left-over").exists()


def test_venv_whose_python_is_gone_is_made_anew(place: bootstrap.Place, runner: FakeRunner) -> None:
    bootstrap.set_up(place)
    place.python.unlink()
    runner.forget()
    bootstrap.set_up(place)
    assert runner.done == ["venv", "dependencies", "interfaces", "weights"]
    assert list(bootstrap.stale(place)) == []


def test_somebody_elses_venv_is_left_alone(place: bootstrap.Place, runner: FakeRunner) -> None:
    theirs = place.venv / "bin/python"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    with pytest.raises(bootstrap.SetupError, match=r"was not made by \./genego: move it away"):
        bootstrap.set_up(place)
    assert theirs.exists()
    assert runner.commands == []


def test_a_link_to_another_clones_venv_is_not_followed(place: bootstrap.Place, runner: FakeRunner) -> None:
    bootstrap.set_up(place)
    runner.forget()
    other = place.root.with_name("other")
    other.mkdir()
    (other / ".venv").symlink_to(place.venv)
    with pytest.raises(bootstrap.SetupError, match="leads to the environment of another clone: remove the link"):
        bootstrap.set_up(place._replace(root=other, venv=other / ".venv"))
    assert place.python.exists() and runner.commands == []
    assert list(bootstrap.stale(place)) == []


def test_torch_from_a_chosen_index(place: bootstrap.Place, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap.set_up(place)
    runner.forget()
    monkeypatch.setenv("GENEGO_TORCH_INDEX", "https://torch.example/whl")
    bootstrap.set_up(place)
    assert runner.done == ["torch", "dependencies"]
    torch = runner.first("--index-url", "https://torch.example/whl")
    assert torch[-1] == "torch==2.13.0"
    assert "--no-deps" in torch
    monkeypatch.delenv("GENEGO_TORCH_INDEX")
    assert list(bootstrap.stale(place)) == []  # it is asked for once


def test_a_ros_install_is_used_as_it_is(
    place: bootstrap.Place,
    runner: FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bootstrap, "check_ros", lambda place: None)
    monkeypatch.setattr(bootstrap, "has_numpy_1", lambda: True)
    runner.failing = "msg"  # the workspace is not built yet
    place = place._replace(ros="jazzy", venv=place.root / ".venv-jazzy")
    bootstrap.set_up(place)
    assert runner.done == ["venv", "dependencies", "weights", "msg"]
    assert "colcon build --packages-select genego_ros" in capsys.readouterr().out
    assert "--system-site-packages" in runner.first("venv")
    pip = runner.first("install", "--constraint")
    assert pip[pip.index("--constraint") + 1] == str(place.root / "constraints-numpy1.txt")
    assert [word for word in pip if word.startswith(("ros-", "colcon"))] == []
    assert "numpy==1.26.4" in (place.root / "constraints-numpy1.txt").read_text()


def test_ros_of_another_python_is_refused(place: bootstrap.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(bootstrap.SetupError, match="ROS_DISTRO is humble, but /bin/false cannot import rclpy"):
        bootstrap.set_up(place._replace(ros="humble"))


def test_include_paths_are_mended(tmp_path: Path) -> None:
    cmake = tmp_path / "share/std_msgs/cmake/export_std_msgs__rosidl_generator_pyExport.cmake"
    cmake.parent.mkdir(parents=True)
    wrong = "/opt/python/cp311-cp311/include/python3.11;/opt/python/cp311-cp311/lib/numpy/core/include"
    cmake.write_text(f'  INTERFACE_INCLUDE_DIRECTORIES "${{PREFIX}}/include;{wrong}"\n')
    bootstrap.mend_include_paths(tmp_path)
    assert cmake.read_text() == '  INTERFACE_INCLUDE_DIRECTORIES "${PREFIX}/include;"\n'


def test_second_launcher_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = []

    def second() -> None:
        with bootstrap.locked(tmp_path / "lock"):
            order.append("second")

    thread = threading.Thread(target=second)
    with bootstrap.locked(tmp_path / "lock"):
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]
    assert "waiting for another ./genego" in capsys.readouterr().out


def test_run_logs_what_a_command_prints(tmp_path: Path) -> None:
    log = tmp_path / "step.log"
    status = bootstrap.run(["sh", "-c", "echo said; echo complained >&2; exit 3"], log)
    assert status == 3
    assert log.read_text().splitlines()[1:] == ["said", "complained"]
    assert bootstrap.last_line(log) == "complained"


def test_help_is_there_before_anything_is_set_up() -> None:
    command = ["sh", ROOT / "genego", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr
    assert "weights" in done.stdout
