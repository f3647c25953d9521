"""Legacy Keras and tensorflow-model-optimization for a runner of their own, in a directory of their own.

What the person uses is not changed: pip writes into the directory alone, and only what this Python has not.  The
workers of one machine share the directory; it is made once, under a lock, and is there whole or not at all: before it
is kept, a process like a runner has loaded what lies in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from models import user_directories
from orchestrator.errors import OrchError
from workers.runner.environment import runner_environment
from workers.runner.libraries import Libraries, RunnerKind

_PREFIX = "legacy-keras-"
_TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tf-nightly")
_TFMOT = "tensorflow-model-optimization>=0.8,<0.9"
_WANTED_BY_TFMOT = ("absl-py", "dm-tree", "numpy", "six")
_LOADED_WITH = ("numpy", "tensorflow", "tensorflow-cpu", "tf-nightly", "tf-keras")
"""Whose versions decide whether the packages load: after another of them was installed, others are made."""
_LOAD = "import tensorflow_model_optimization"
_PIP_SECONDS = 900.0
"""How long pip may take: a notebook loads 3 MB in seconds, a machine with a slow line in minutes."""
_LOAD_SECONDS = 600.0
"""How long loading may take: 20 s where nothing else runs."""
_POLL_SECONDS = 0.2


class NoLegacyKeras(OrchError):
    """This machine cannot have the packages; says why in one sentence."""


def legacy_packages(stopping: Callable[[], bool] = lambda: False) -> Path | None:
    """The directory with what this Python lacks, made now if there is none; None if it lacks nothing.

    Args:
        stopping: whether to give up.

    Raises:
        NoLegacyKeras: there is no TensorFlow here, no place, no network, pip fails, or what it installs does not load.
    """
    if not (wanted := missing()):
        return None
    cache = user_directories.cache()
    try:
        return packages_in(cache / "orch" if cache else Path(tempfile.gettempdir(), f"orch-{os.getuid()}"), stopping)
    except OSError as error:
        raise NoLegacyKeras(f"There is no place for {wanted[0]}: {error}.") from error


def missing() -> list[str]:
    """What pip should install, as requirements; nothing if this Python has all of it.

    Raises:
        NoLegacyKeras: there is no TensorFlow that it could be for.
    """
    found = next(filter(None, map(_version, _TENSORFLOW)), None)
    if found is None:
        raise NoLegacyKeras("There is no TensorFlow here, which tensorflow-model-optimization works with.")
    minor = ".".join(found.split(".")[:2])
    wanted = []
    if ".".join((_version("tf-keras") or "").split(".")[:2]) != minor:
        wanted.append(f"tf-keras=={minor}.*")
    if _version("tensorflow-model-optimization") is None:
        wanted.append(_TFMOT)
        wanted += [name for name in _WANTED_BY_TFMOT if _version(name) is None]
    return wanted


def packages_in(place: Path, stopping: Callable[[], bool] = lambda: False) -> Path | None:
    """As `legacy_packages`, in a directory within `place`.  Raises OSError besides, if `place` cannot be written."""
    wanted = missing()
    if not wanted:
        return None
    beside = [f"{name}={_version(name)}" for name in _LOADED_WITH]
    made_for = " ".join((sys.implementation.cache_tag or "", sys.executable, *wanted, *beside))
    directory = place / (_PREFIX + hashlib.sha256(made_for.encode()).hexdigest()[:16])
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(directory.with_suffix(".lock"), stopping):
        if not directory.is_dir():
            _install(wanted, directory, stopping)
    return directory


def _install(wanted: list[str], directory: Path, stopping: Callable[[], bool]) -> None:
    """Install beside `directory`, load what is there, and rename at the end."""
    unfinished = directory.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of one that was killed
    try:
        _run_pip(wanted, unfinished, stopping)
        _load(unfinished, stopping)
    except NoLegacyKeras:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    unfinished.rename(directory)


def _run_pip(wanted: list[str], directory: Path, stopping: Callable[[], bool]) -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--only-binary=:all:",
        "--no-input",
        "--quiet",
    ]
    command += ["--disable-pip-version-check", "--target", str(directory), *wanted]
    # A person's own wish that pip install for the user alone does not go with a directory.
    code, lines = _ended(command, {**os.environ, "PIP_USER": "0"}, _PIP_SECONDS, stopping)
    if code != 0:
        errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["it said nothing"]
        raise NoLegacyKeras(f"pip cannot install {' '.join(wanted)} here ({errors[-1]}).")


def _load(packages: Path, stopping: Callable[[], bool]) -> None:
    """Load the packages where it harms nobody: in a process of its own, in the environment of a runner."""
    with tempfile.TemporaryDirectory() as directory:
        environment = runner_environment(os.environ, Path(directory), Libraries(RunnerKind.LEGACY, packages))
        code, lines = _ended([sys.executable, "-P", "-c", _LOAD], environment, _LOAD_SECONDS, stopping)
    if code != 0:
        raise NoLegacyKeras(
            f"tensorflow-model-optimization was installed, and does not load beside what this Python has "
            f"({lines[-1] if lines else 'it said nothing'})."
        )


def _ended(
    command: list[str], environment: Mapping[str, str], seconds: float, stopping: Callable[[], bool]
) -> tuple[int, list[str]]:
    """The exit code of a command and the lines that it said; it is killed after so many seconds, or when asked to."""
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        while process.poll() is None:
            if stopping() or time.monotonic() > deadline:
                process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_SECONDS)
        said.seek(0)
        return process.returncode, [line.strip() for line in said if line.strip()]


@contextlib.contextmanager
def _locked(path: Path, stopping: Callable[[], bool]) -> Iterator[None]:
    """Hold the lock, which ends with its holder however that dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _taken(descriptor):
            if stopping():
                raise NoLegacyKeras("Another worker is still installing the packages of legacy Keras.")
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
