"""Legacy Keras and tensorflow-model-optimization for a runner of their own, in a directory of their own.

What the person uses is not changed: pip writes into the directory alone, and only what this Python has not.  The
workers of one machine share the directory; it is made once, under a lock, and is there whole or not at all.
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
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from models import user_directories
from orchestrator.errors import OrchError

_PREFIX = "legacy-keras-"
_TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tf-nightly")
_TFMOT = "tensorflow-model-optimization>=0.8,<0.9"
_WANTED_BY_TFMOT = ("absl-py", "dm-tree", "numpy", "six")
_PIP_SECONDS = 900.0
"""How long pip may take: a notebook loads 3 MB in seconds, a machine with a slow line in minutes."""
_POLL_SECONDS = 0.2


class NoLegacyKeras(OrchError):
    """This machine cannot have the packages; says why in one sentence."""


def legacy_packages(stopping: Callable[[], bool] = lambda: False) -> Path | None:
    """The directory with what this Python lacks, made now if there is none; None if it lacks nothing.

    Args:
        stopping: whether to give up.

    Raises:
        NoLegacyKeras: there is no TensorFlow here, no place, no network, or pip fails.
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
    made_for = f"{sys.implementation.cache_tag} {sys.executable} {' '.join(wanted)}"
    directory = place / (_PREFIX + hashlib.sha256(made_for.encode()).hexdigest()[:16])
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(directory.with_suffix(".lock"), stopping):
        if not directory.is_dir():
            _install(wanted, directory, stopping)
    return directory


def _install(wanted: list[str], directory: Path, stopping: Callable[[], bool]) -> None:
    """Install beside `directory`, and rename at the end."""
    unfinished = directory.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of one that was killed
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
    command += ["--disable-pip-version-check", "--target", str(unfinished), *wanted]
    # A person's own wish that pip install for the user alone does not go with a directory.
    environment = {**os.environ, "PIP_USER": "0"}
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        code = _ended(process, stopping)
        said.seek(0)
        lines = [line.strip() for line in said if line.strip()]
    if code != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["it said nothing"]
        raise NoLegacyKeras(f"pip cannot install {' '.join(wanted)} here ({errors[-1]}).")
    unfinished.rename(directory)


def _ended(process: subprocess.Popen[bytes], stopping: Callable[[], bool]) -> int:
    deadline = time.monotonic() + _PIP_SECONDS
    while process.poll() is None:
        if stopping() or time.monotonic() > deadline:
            process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)
    return process.returncode


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
