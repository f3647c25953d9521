"""A home: where a study lives.  Turns a URL into a job table and an artifact store."""

from __future__ import annotations

import json
import os
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.artifacts import ArtifactStore, LocalStore
from orchestrator.errors import HomeError, UsageError
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.sqlite import SqlitePlace

MEMORY_FILE = Path(".orch.toml")
"""Where `orch plan` notes the home, so that the next commands in this directory find it."""

_JOBS_FILE = "jobs.db"
_FOREIGN = ("gdrive:", "s3://", "gs://", "postgresql://")


@dataclass(frozen=True)
class Home:
    """An open home."""

    url: str
    jobs: JobTable
    artifacts: ArtifactStore

    @classmethod
    def exists(cls, url: str | Path) -> bool:
        """Whether `orch plan` has made a home there."""
        try:
            return (_directory(url) / _JOBS_FILE).is_file()
        except OSError as error:
            raise HomeError(f"{url} cannot be a home: {error.strerror}.") from None

    @classmethod
    def open(cls, url: str | Path) -> Home:
        """Open a home that `orch plan` has made; one of an older Orch is migrated.

        Raises:
            HomeError: it is not there, or of a newer schema.
        """
        directory = _directory(url)
        if not cls.exists(url):
            raise HomeError(f"There is no home at {directory}; `orch plan` makes one, --home names another.")
        home = _local(directory)
        home.jobs.check()
        return home

    @classmethod
    def create(cls, url: str | Path) -> Home:
        """Open a home, making what is missing of it; one of an older Orch is migrated.

        Raises:
            HomeError: it cannot be made, or is of a newer schema.
        """
        directory = _directory(url)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HomeError(f"The home {directory} cannot be made: {error.strerror}.") from error
        home = _local(directory)
        home.jobs.create()
        return home


def _local(directory: Path) -> Home:
    jobs = JobTable(SqlitePlace(directory / _JOBS_FILE), str(directory))
    return Home(str(directory), jobs, LocalStore(directory / "artifacts"))


def _directory(url: str | Path) -> Path:
    if isinstance(url, str) and url.startswith(_FOREIGN):
        kind = url.partition(":")[0]
        raise UsageError(f"Homes on {kind} are not in this version of Orch; give a directory of this machine.")
    return Path(url).expanduser().absolute()


def remembered(option: str | None) -> str:
    """The home that is meant: the option, else ORCH_HOME, else the one that `orch plan` noted here.

    Raises:
        HomeError: none of them says one.
    """
    url = option or os.environ.get("ORCH_HOME") or _memory().get("home")
    if not url:
        raise HomeError("No home is known here; run `orch plan` first, or give --home or ORCH_HOME.")
    return url


def home_for(study: str, option: str | None) -> str:
    """Where a study shall live: the option, ORCH_HOME, where it was planned from here before, or ./STUDY.orch."""
    memory = _memory()
    known = memory.get("home") if memory.get("study") == study else None
    return option or os.environ.get("ORCH_HOME") or known or f"{study}.orch"


def remember(study: str, url: str) -> None:
    """Note a study's home for the next commands in this directory, if it can be written to."""
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in (("study", study), ("home", url)))
    with suppress(OSError):
        MEMORY_FILE.write_text("".join(lines), encoding="utf-8")


def _memory() -> dict[str, str]:
    try:
        return tomllib.loads(MEMORY_FILE.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return {}
