"""A home in a directory of this machine."""

from __future__ import annotations

import stat
from pathlib import Path

from orchestrator.artifacts import LocalStore
from orchestrator.errors import HomeError
from orchestrator.homes.kind import LeaseSeconds, Parts, not_made
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.sqlite import SqliteBackend

_JOBS_FILE = "jobs.db"


class DirectoryHome:
    """A directory of this machine with everything in it.

    A renewal waits for the lock for up to 10 s (`sqlite.BUSY_SECONDS`).  With a minute, a machine that swaps or stalls
    for half of it loses nothing.
    """

    _LEASES = LeaseSeconds(usual=60.0, least=30.0)

    def __init__(self, path: Path) -> None:
        self.url = str(path)
        self.absence = not_made(self.url)
        self._path = path

    def exists(self) -> bool:
        try:
            return (self._path / _JOBS_FILE).is_file()
        except OSError as error:
            raise HomeError(f"{self.url} cannot be a home: {error.strerror}.") from None

    def make(self, name: str) -> None:  # noqa: ARG002
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.mkdir()
            if self._path.stat().st_mode & stat.S_IWGRP:
                # What others of the group put there is the group's too: SQLite's files beside the table, for one.
                self._path.chmod(self._path.stat().st_mode | stat.S_ISGID)
        except FileExistsError:
            if not self._path.is_dir():
                raise HomeError(f"The home {self.url} cannot be made: there is a file of that name.") from None
        except OSError as error:
            raise HomeError(f"The home {self.url} cannot be made: {error.strerror}.") from error

    def unmake(self) -> None:
        """The directory may have been there before, with files of a person's."""

    def parts(self) -> Parts:
        jobs = JobTable(SqliteBackend(self._path / _JOBS_FILE), self.url)
        store = LocalStore(self._path / "artifacts")
        return Parts(self.url, jobs, store, self._path, shares_artifacts=False, leases=self._LEASES)
