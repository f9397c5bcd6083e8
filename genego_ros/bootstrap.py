"""Makes the environment that `./genego` runs in, then runs it.

The system's python3 runs this file as a plain script: it uses the standard library alone and imports
nothing of the package. The environment is made in steps. Each leaves a stamp under
`<venv>/.genego/` with a hash of what it depends on, written when the step is done: an interrupted
set-up resumes with the step it was in, and a changed file redoes only the steps that depend on it.

Without ROS everything goes into `.venv`, ROS 2 included (as wheels). Where a ROS 2 install is sourced
the environment is `.venv-$ROS_DISTRO`: it sees that install's packages and adds only what is missing.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

LIBRARIES = {
    "libusb-1.0.so.0": "libusb-1.0-0",  # Open3D
    "libEGL.so.1": "libegl1",  # MediaPipe, rendering
    "libEGL_mesa.so.0": "libegl-mesa0",  # rendering without a graphics card
    "libGLX_mesa.so.0": "libglx-mesa0",  # the same: it brings the driver, libgl1-mesa-dri
    "libGLESv2.so.2": "libgles2",  # MediaPipe
    "libGL.so.1": "libgl1",  # OpenCV, Open3D
    "libglib-2.0.so.0": "libglib2.0-0",  # OpenCV
}
"""Shared libraries that the wheels need but do not carry, and the Debian packages that hold them."""
BUILD_TOOLS = {"cmake": "cmake", "ninja": "ninja-build", "g++": "g++"}

DOWNLOAD = (
    "the first time about 0.7 GB to download (PyTorch's CPU build is 0.2 GB of it), or 3.2 GB where the "
    "package index offers only PyTorch's CUDA build. GENEGO_TORCH_INDEX=URL takes PyTorch from another index"
)


class SetupError(Exception):
    """A step failed; the text names the cure."""


class Place(NamedTuple):
    """What is set up, and where."""

    root: Path
    venv: Path
    ros: str
    """Name of the ROS 2 distribution that is sourced, empty without one."""
    run: Callable[[Sequence[str | Path], Path], int]
    """Runs a command, appends what it prints to a log file and returns its exit status."""

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def state(self) -> Path:
        return self.venv / ".genego"


class Step(NamedTuple):
    name: str
    says: str
    depends_on: str
    """Hash of everything that makes the step stale when it changes."""
    act: Callable[[], None]


def main(arguments: list[str]) -> int:
    """Sets up what is missing and runs the command; returns only where there is no command to run."""
    if sys.version_info < (3, 10):  # noqa: UP036
        raise SetupError(
            f"this is Python {sys.version.split()[0]}: 3.10 or newer is needed; "
            "choose one with GENEGO_PYTHON=/path/to/python3"
        )
    if not arguments or arguments[0] in ("-h", "--help"):
        show_help()
    # A parent process on the ROS wheels of another environment must not pass for this one.
    os.environ.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    ros = os.environ.get("ROS_DISTRO", "")
    place = Place(ROOT, ROOT / (f".venv-{ros}" if ros else ".venv"), ros, run)
    if next(stale(place), None):
        set_up(place)
    if arguments[0] == "setup":
        print(f"ready: {place.venv}")
        return 0
    os.execv(place.python, [str(place.python), "-m", "genego_ros", *arguments])


def show_help() -> None:
    """Shows the commands' help at once, also before anything is set up."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from genego_ros.cli import main; main(['--help'])"
    os.execv(sys.executable, [sys.executable, "-I", "-c", code])


def set_up(place: Place) -> None:
    """Does the stale steps, one launcher at a time."""
    with locked(place.root / ".venv.lock"):
        check_ros(place)
        discard_foreign_venv(place)
        # One at a time: a step may change what the next ones depend on.
        while step := next(stale(place), None):
            print(f"genego: {step.says}", flush=True)
            (place.state / step.name).unlink(missing_ok=True)
            step.act()
            (place.state / step.name).write_text(step.depends_on)
        if place.ros and place.run([place.python, "-c", "import genego_ros.msg"], place.state / "msg.log"):
            print("genego: colcon builds the ROS part; in your workspace:")
            print("    colcon build --packages-select genego_ros && source install/setup.bash")


def stale(place: Place) -> Iterator[Step]:
    """The steps that have to be done, in order."""
    return (step for step in steps(place) if read(place.state / step.name) != step.depends_on)


def steps(place: Place) -> Iterator[Step]:
    """All steps that apply to this machine, in order."""
    root, ros = place.root, place.ros
    pins = root / ("constraints-numpy1.txt" if ros and has_numpy_1() else "constraints.txt")
    torch_index = os.environ.get("GENEGO_TORCH_INDEX", "")

    yield Step(
        "system",
        "looking for system libraries and build tools",
        # The linker's cache changes whenever a library comes or goes.
        digest(modified(Path("/etc/ld.so.cache")), *LIBRARIES, *BUILD_TOOLS),
        lambda: install_system_packages(place),
    )
    yield Step("venv", f"making {place.venv}", venv_identity(place), lambda: make_venv(place))
    if torch_index:
        yield Step(
            "torch",
            f"installing PyTorch from {torch_index}",
            digest(torch_index, *pinned(pins, "torch")),
            lambda: install_torch(place, pins, torch_index),
        )
    yield Step(
        "dependencies",
        f"installing the Python packages: {DOWNLOAD}",
        digest(read(pins), read(root / "setup.py"), read(place.state / "torch")),
        lambda: install_dependencies(place, pins),
    )
    if not ros:
        yield Step(
            "include_paths",
            "mending the include paths of the ROS wheels",
            read(place.state / "dependencies"),
            lambda: mend_include_paths(place.venv),
        )
        sources = [root / "CMakeLists.txt", root / "package.xml", *sorted(root.glob("msg/*.msg"))]
        sources += sorted(path for path in root.glob("interfaces/**/*") if path.is_file())
        yield Step(
            "interfaces",
            "building the ROS interfaces",
            digest(*pinned(pins, "ros-"), *pinned(pins, "numpy=="), *map(read, sources)),
            lambda: build_interfaces(place),
        )
    yield Step("path", "putting the source tree on the path", digest(str(root)), lambda: add_path(place))
    yield Step(
        "weights",
        "installing the weights of the default models",
        digest(read(root / "models/manifest.yaml"), os.environ.get("GENEGO_WEIGHTS", "")),
        lambda: install_weights(place),
    )


# --- the steps -------------------------------------------------------------------------------------


def install_system_packages(place: Place) -> None:
    packages = missing_packages(bool(place.ros))
    if not packages:
        return
    from shutil import which

    apt = f"apt-get update && apt-get install -y {' '.join(packages)}"
    if not which("apt-get"):
        raise SetupError(f"system packages are missing; install what Debian calls: {' '.join(packages)}")
    if os.geteuid() != 0:
        raise SetupError(f"system packages are missing; run this, then ./genego again:\n    sudo sh -c '{apt}'")
    print(f"  {apt}", flush=True)
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        succeed(place, "system", ["apt-get", *command], f"run: {apt}")
    if packages := missing_packages(bool(place.ros)):
        raise SetupError(f"still missing after apt-get has installed them: {', '.join(packages)}")


def missing_packages(ros_installed: bool) -> list[str]:
    """Debian's names of the missing libraries and tools; a ROS install brings its own build tools."""
    import ctypes
    import importlib.util
    import shutil
    import sysconfig

    packages = []
    for library, package in LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            packages.append(package)
    version = f"python3.{sys.version_info.minor}"
    if not importlib.util.find_spec("ensurepip"):
        packages.append(f"{version}-venv")
    if not ros_installed:
        packages += [package for tool, package in BUILD_TOOLS.items() if not shutil.which(tool)]
        if not Path(sysconfig.get_path("include"), "Python.h").exists():
            packages.append(f"{version}-dev")
    return packages


def make_venv(place: Place) -> None:
    options = ["--system-site-packages"] if place.ros else []
    succeed(
        place,
        "venv",
        [sys.executable, "-m", "venv", *options, place.venv],
        "install Python's venv module (Debian: python3-venv)",
    )


def install_torch(place: Place, pins: Path, index: str) -> None:
    # Without dependencies, which that index may lack at the pinned versions; the next step adds them.
    # By force, since another build of the same version satisfies the pin.
    requirement = pinned(pins, "torch==")[0]
    options = ["--index-url", index, "--no-deps", "--force-reinstall"]
    pip_install(place, "torch", *options, requirement, cure="check the address in GENEGO_TORCH_INDEX")


def install_dependencies(place: Place, pins: Path) -> None:
    cure = "check the network and the free disk space (4 GB are needed), then run ./genego again: it resumes"
    pip_install(place, "dependencies", "--constraint", pins, *requirements(place), cure=cure)


def mend_include_paths(venv: Path) -> None:
    """Takes the include path of the machine that built the wheels out of their CMake files."""
    import re

    for path in venv.glob("share/**/*_pyExport.cmake"):
        text = path.read_text()
        path.write_text(re.sub(r'/opt/python/cp[0-9a-z-]+/include/[^;"]*;/opt/python/[^;"]*', "", text))


def build_interfaces(place: Place) -> None:
    build_package(place, place.root, "-DGENEGO_INTERFACES_ONLY=ON")
    log = place.state / "interfaces.log"
    if place.run([place.python, "-c", "import tf2_msgs.msg"], log) != 0:
        build_package(place, place.root / "interfaces/tf2_msgs")


def build_package(place: Place, source: Path, *options: str) -> None:
    """Builds one ROS package of interfaces with CMake into the environment's own prefix."""
    import shutil

    venv, build = place.venv, place.state / "build" / source.name
    shutil.rmtree(build, ignore_errors=True)
    environment = [
        f"AMENT_PREFIX_PATH={venv}",
        f"VIRTUAL_ENV={venv}",
        f"PATH={venv}/bin:{os.environ['PATH']}",
    ]
    configure: list[str | Path] = [
        "cmake",
        "-S",
        source,
        "-B",
        build,
        "-G",
        "Ninja",
        f"-DCMAKE_PREFIX_PATH={venv}",
    ]
    configure += [f"-DCMAKE_INSTALL_PREFIX={venv}", "-DBUILD_TESTING=OFF", *options]
    cure = "the log's first error says what CMake or the compiler lacks"
    for command in (configure, ["cmake", "--build", build, "--target", "install"]):
        succeed(place, "interfaces", ["env", *environment, *command], cure)
    shutil.rmtree(build, ignore_errors=True)


def add_path(place: Place) -> None:
    # First in sys.path: the interfaces' build has put a package of the same name into site-packages.
    line = f"import sys; sys.path.insert(0, {str(place.root)!r})\n"
    (site_packages(place) / "genego_ros.pth").write_text(line)


def install_weights(place: Place) -> None:
    cure = "run ./genego weights install"
    succeed(place, "weights", [place.python, "-m", "genego_ros", "weights", "install"], cure)


# --- the environment -------------------------------------------------------------------------------


def check_ros(place: Place) -> None:
    import subprocess

    if place.ros and subprocess.run([sys.executable, "-c", "import rclpy"], capture_output=True).returncode:
        raise SetupError(
            f"ROS_DISTRO is {place.ros}, but {sys.executable} cannot import rclpy: choose that ROS's Python "
            "(GENEGO_PYTHON=/usr/bin/python3 ./genego ...) or a shell where no ROS is sourced"
        )


def has_numpy_1() -> bool:
    """Whether the system's numpy is older than 2: a ROS install was compiled for it and needs the same."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("numpy").startswith("1.")
    except PackageNotFoundError:
        return False


def venv_identity(place: Place) -> str:
    """Hash of what ties an environment to this Python and this folder; empty where its Python is gone."""
    if (place.state / "venv").exists() and not place.python.exists():
        return ""
    return digest(f"3.{sys.version_info.minor}", str(place.venv), place.ros)


def discard_foreign_venv(place: Place) -> None:
    """Empties an environment that another Python made, or that was made before the clone was moved."""
    import shutil

    place.state.parent.mkdir(exist_ok=True)
    contents = [path for path in place.venv.iterdir() if path != place.state]
    if contents and not place.state.exists():
        raise SetupError(f"{place.venv} was not made by ./genego: move it away, then run ./genego again")
    place.state.mkdir(exist_ok=True)
    stamp = place.state / "venv"
    if read(stamp) == venv_identity(place) or not contents:
        return
    if place.venv.is_symlink():
        raise SetupError(
            f"{place.venv} leads to the environment of another clone: remove the link, then run ./genego again"
        )
    if stamp.exists():
        print(f"genego: {place.venv} was made by another Python or for another folder: making it anew")
    # The stamps go first and their folder stays, so that an interrupted removal is seen.
    for path in [*place.state.iterdir(), *contents]:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def site_packages(place: Place) -> Path:
    return place.venv / f"lib/python3.{sys.version_info.minor}/site-packages"


def requirements(place: Place) -> list[str]:
    """What pip has to install, from the one list in setup.py."""
    import runpy

    listed = runpy.run_path(str(place.root / "setup.py"))
    extras = ("cpu", "synth", "train", "dev", "bags" if place.ros else "ros")
    return [*listed["CORE"], *(line for extra in extras for line in listed["EXTRAS"][extra])]


# --- running commands ------------------------------------------------------------------------------


def pip_install(place: Place, step: str, *arguments: str | Path, cure: str) -> None:
    pip: list[str | Path] = [
        place.python,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "install",
    ]
    succeed(place, step, [*pip, *arguments], cure)


def succeed(place: Place, step: str, command: Sequence[str | Path], cure: str) -> None:
    """Runs a command of a step.

    Raises:
        SetupError: it failed; the text holds the end of the log, where the log is, and the cure.
    """
    log = place.state / f"{step}.log"
    if status := place.run(command, log):
        tail = "\n".join("    " + line for line in read(log).splitlines()[-15:])
        raise SetupError(f"this failed (exit status {status}). The end of {log}:\n{tail}\nCure: {cure}")


def run(command: Sequence[str | Path], log: Path) -> int:
    """Runs a command into a log; while it runs, shows the log's last line and the seconds gone by."""
    import shutil
    import subprocess
    import time

    on_terminal = sys.stdout.isatty()
    start = time.monotonic()
    with log.open("ab") as output:
        output.write(f"$ {' '.join(map(str, command))}\n".encode())
        output.flush()
        # The command inherits the lock: if this process is killed, the next launcher waits for it.
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, close_fds=False
        )
    while True:
        try:
            status = process.wait(timeout=0.5 if on_terminal else 10)
            break
        except subprocess.TimeoutExpired:
            line = f"  [{time.monotonic() - start:3.0f} s] {last_line(log)}"[: shutil.get_terminal_size().columns - 1]
            print(f"\r\x1b[K{line}" if on_terminal else line, end="" if on_terminal else "\n", flush=True)
    if on_terminal:
        print("\r\x1b[K", end="", flush=True)
    return status


def last_line(log: Path) -> str:
    """The last line of a log that says what is being done; pip's side remarks are skipped."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 65536))
        lines = file.read().decode(errors="replace").splitlines()
    remarks = ("WARNING", "Attempting", "Found existing", "Uninstalling", "Successfully uninstalled")
    lines = [line for line in map(str.strip, lines) if line and not line.startswith(remarks)]
    return lines[-1] if lines else ""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock file, so that two launchers do not set up the same environment at once."""
    import fcntl

    with path.open("w") as file:
        os.set_inheritable(file.fileno(), True)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("genego: waiting for another ./genego that is setting up", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


# --- hashes ----------------------------------------------------------------------------------------


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read(path: Path) -> str:
    """The text of a file, empty where there is none."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def modified(path: Path) -> str:
    try:
        return str(path.stat().st_mtime_ns)
    except FileNotFoundError:
        return ""


def pinned(pins: Path, start: str) -> list[str]:
    """The lines of a constraints file that begin so."""
    return [line for line in read(pins).splitlines() if line.startswith(start)]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupError as error:
        sys.exit(f"genego: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
