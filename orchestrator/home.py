"""A home: where a study lives.  Turns a URL into a job table and an artifact store.

Which URL is meant, when a command is not told, stands in `orchestrator.address`.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orchestrator import google_drive
from orchestrator.address import directory, drive_folder, scheme
from orchestrator.artifacts import ArtifactStore, LocalStore
from orchestrator.errors import HomeError, UsageError
from orchestrator.installation import distribution
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends import postgresql_url
from orchestrator.jobtable.backends.backend import Backend
from orchestrator.jobtable.backends.sqlite import SqliteBackend

if TYPE_CHECKING:  # only a home on Drive needs its libraries
    from orchestrator.google_drive.client import DriveClient
    from orchestrator.google_drive.folder import StudyFolder

_JOBS_FILE = "jobs.db"

_OWN_DIRECTORY = "orch-artifacts"
"""In a directory that was given for artifacts: a person's own files may lie beside it."""

# A worker reads the table several times between two claims; every look that is younger costs no request.
READS_GOOD_FOR_SECONDS = 10.0


@dataclass(frozen=True)
class LeaseSeconds:
    """For how long a worker of this home may be silent and still keep its job.

    Short leases let a dead worker's job go on sooner.  Of the three renewals that fit into one, two may fail: so each
    must have come to its end, well or not, before the next is due.
    """

    usual: float
    """If the study does not say."""
    least: float
    """With less, a worker that is alive but slow loses its job."""


@dataclass(frozen=True)
class Home:
    """An open home.

    Where it is, is said by a URL or directory, and `artifacts`: where the files are of a home that does not keep
    them itself.  Every method that is told so raises UsageError if there can be no home of that kind.
    """

    url: str
    """As anybody may see it: without a password."""
    jobs: JobTable
    """On Google Drive a read may be `READS_GOOD_FOR_SECONDS` old; after `jobs.refresh()` the next one is of now."""
    artifacts: ArtifactStore
    directory: Path | None
    """What the home is on this machine, if it is a directory."""
    shares_artifacts: bool
    """Whether other homes may have files in the same store."""
    leases: LeaseSeconds

    @classmethod
    def exists(cls, url: str | Path, artifacts: str | Path | None = None) -> bool:
        """Whether `orch plan` has made a home there.  Raises HomeError if that cannot be told."""
        return _kind(url, artifacts).exists()

    @classmethod
    def open(cls, url: str | Path, artifacts: str | Path | None = None) -> Home:
        """Open a home that `orch plan` has made; one of an older Orch is migrated.

        Raises:
            HomeError: it is not there, cannot be reached, or is of a newer schema.
        """
        kind = _kind(url, artifacts)
        if not kind.exists():
            raise HomeError(kind.absence)
        home = kind.home()
        with _closed_unless_good(home.jobs):
            home.jobs.check()
        return home

    @classmethod
    def create(
        cls,
        url: str | Path,
        artifacts: str | Path | None = None,
        name: str = "study",
        *,
        accept_rollback: bool = False,
    ) -> Home:
        """Open a home, making what is missing of it; one of an older Orch is migrated.

        Args:
            name: of the study, for people who come across the home somewhere else.
            accept_rollback: go on from a job table that is in an older state than was seen before.

        Raises:
            HomeError: it cannot be made or reached, or is of a newer schema.
        """
        with cls.creating(url, artifacts, name, accept_rollback=accept_rollback) as home:
            return home

    @classmethod
    @contextmanager
    def creating(
        cls,
        url: str | Path,
        artifacts: str | Path | None = None,
        name: str = "study",
        *,
        accept_rollback: bool = False,
    ) -> Iterator[Home]:
        """`create` for a block that fills it: if that fails, a folder that was made for it on Drive is gone again."""
        kind = _kind(url, artifacts, accept_rollback=accept_rollback)
        kind.make(name)
        try:
            home = kind.home()
            with _closed_unless_good(home.jobs):
                home.jobs.create()
            yield home
        except BaseException:
            kind.unmake()
            raise

    def check_artifacts(self) -> None:
        """Nothing happens if the store can be this home's.  One of its own is; what that lost is planned again.

        Raises:
            HomeError: it has nothing that the job table names: it is another home's, and jobs would lack their files.
            StoreError: it cannot be looked into.
        """
        if self.shares_artifacts and not self._store_is_known():
            raise HomeError(
                f"None of the data of {self.url} is in {self.artifacts}; give the --artifacts (or ORCH_ARTIFACTS) that "
                "the study was planned with, or plan it into a new database if its files are lost."
            )

    def _repr_html_(self) -> str:
        """In a notebook a home shows how far its study is."""
        from orchestrator.progress import inline  # templates, of which nothing else needs any

        return inline.status(self)

    def _store_is_known(self) -> bool:
        published = self.jobs.data().values()
        if not published or any(map(self.artifacts.has, published)):
            return True
        referenced = self.jobs.referenced_locations()
        return any(stored.artifact.location in referenced for stored in self.artifacts.stored())


@contextmanager
def _closed_unless_good(jobs: JobTable) -> Iterator[None]:
    try:
        yield
    except BaseException:
        jobs.close()
        raise


class _Kind(Protocol):
    """A home that is not open yet, and perhaps not there."""

    url: str

    @property
    def absence(self) -> str:
        """What to tell somebody who takes it for there when it is not, in a sentence."""
        ...

    def exists(self) -> bool: ...

    def make(self, name: str) -> None:
        """All that the job table and the store need to be made in."""
        ...

    def unmake(self) -> None:
        """Take back what `make` made, where nobody can have anything of their own in it."""
        ...

    def home(self) -> Home: ...


def _kind(url: str | Path, artifacts: str | Path | None, *, accept_rollback: bool = False) -> _Kind:
    named = scheme(url) if isinstance(url, str) else None
    if named in postgresql_url.SCHEMES:
        return _Database(str(url), artifacts)
    if named not in (None, "gdrive"):
        raise UsageError(
            f"Homes on {named} are not in this version of Orch; give a directory, gdrive: or postgresql://..."
        )
    if artifacts is not None:
        raise UsageError(f"{url} keeps its own files; --artifacts is for a home on PostgreSQL.")
    if named == "gdrive":
        return _DriveHome(str(url), google_drive.connect(), accept_rollback=accept_rollback)
    return _Directory(directory(url))


def _not_made(url: str) -> str:
    return f"There is no home at {url}; `orch plan` makes one, --home names another."


class _Directory:
    """A directory of this machine with everything in it.

    A renewal waits for the lock for up to 10 s (`sqlite.BUSY_SECONDS`).  With a minute, a machine that swaps or stalls
    for half of it loses nothing.
    """

    _LEASES = LeaseSeconds(usual=60.0, least=30.0)

    def __init__(self, path: Path) -> None:
        self.url = str(path)
        self.absence = _not_made(self.url)
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

    def home(self) -> Home:
        jobs = JobTable(SqliteBackend(self._path / _JOBS_FILE), self.url)
        store = LocalStore(self._path / "artifacts")
        return Home(self.url, jobs, store, self._path, shares_artifacts=False, leases=self._LEASES)


class _Database:
    """A PostgreSQL database with the jobs, and a store that every worker reaches with the files.

    A statement is given up after 25 s without an answer, and connecting again after 10 s (`postgresql._PATIENCE`).  In
    two minutes a server restarts, or another takes its place.
    """

    _LEASES = LeaseSeconds(usual=120.0, least=75.0)

    def __init__(self, url: str, artifacts: str | Path | None) -> None:
        self.url = postgresql_url.shown(url)
        self.absence = _not_made(self.url)
        self._store = _store(artifacts)
        self._jobs = JobTable(_postgresql(url), self.url)

    def exists(self) -> bool:
        return self._jobs.exists()

    def make(self, name: str) -> None:
        """A database is made by whoever runs the server, a store when the first file is put."""

    def unmake(self) -> None:
        """Nothing was made."""

    def home(self) -> Home:
        return Home(self.url, self._jobs, self._store, None, shares_artifacts=True, leases=self._LEASES)


class _DriveHome:
    """A folder of Google Drive with everything in it, for workers of several accounts.

    A renewal swaps the whole table, which delays everybody else's.  It is tried against others for 15 s
    (`snapshot.PATIENCE_SECONDS`), its last try with requests that are each waited for 20 s and repeated.
    """

    _LEASES = LeaseSeconds(usual=900.0, least=300.0)

    def __init__(self, url: str, client: DriveClient, *, accept_rollback: bool) -> None:
        self.url = url
        self._client = client
        self._accept_rollback = accept_rollback
        self._folder: StudyFolder | None = None
        self._made = False

    @property
    def absence(self) -> str:
        if not drive_folder(self.url):
            return f"{self.url} names no folder yet; `orch plan --home gdrive:` makes one, and notes which."
        return (
            f"There is no home at {self.url} that this account may see; check the id, "
            "or have the folder's owner share it: orch share ACCOUNT."
        )

    def exists(self) -> bool:
        from orchestrator.google_drive import folder

        known = drive_folder(self.url)
        with _reaching_drive():
            if not known and self._folder is None:
                self._client.account()  # nothing is there yet, but Drive and a sign-in must be
            elif self._folder is None:
                self._folder = folder.found(self._client, known)
        return self._folder is not None

    def make(self, name: str) -> None:
        from orchestrator.google_drive import folder

        if self.exists():
            return
        if drive_folder(self.url):
            raise HomeError(f"{self.absence.removesuffix('.')}; a new one is made by --home gdrive:.")
        with _reaching_drive():
            self._folder = folder.made(self._client, name)
        self.url, self._made = f"gdrive://{self._folder.id}", True

    def unmake(self) -> None:
        from orchestrator.google_drive import folder

        if self._made and self._folder is not None:
            folder.discard(self._client, self._folder)

    def home(self) -> Home:
        from orchestrator.google_drive.artifact_store import DriveStore
        from orchestrator.google_drive.generations import SeenGenerations, notes_of
        from orchestrator.google_drive.table_file import DriveFile
        from orchestrator.jobtable.backends.snapshot import SnapshotBackend

        assert self._folder is not None, "a home is opened when it exists or was made"
        client, artifacts = self._client, self._folder.artifacts
        seen = SeenGenerations(client, artifacts, self.url, accept_rollback=self._accept_rollback)
        file = DriveFile(client, self._folder.jobs, self.url)
        backend = SnapshotBackend(file, READS_GOOD_FOR_SECONDS, sightings=seen)
        store = DriveStore(client, artifacts, self.url, notes_of(backend.generation))
        return Home(self.url, JobTable(backend, self.url), store, None, shares_artifacts=False, leases=self._LEASES)


@contextmanager
def _reaching_drive() -> Iterator[None]:
    from orchestrator.google_drive.refusals import DriveRefused

    try:
        yield
    except DriveRefused as refused:
        raise HomeError(str(refused)) from refused


def _store(artifacts: str | Path | None) -> ArtifactStore:
    if not artifacts:
        raise UsageError(
            "A home on PostgreSQL keeps its files elsewhere; "
            "give --artifacts (or ORCH_ARTIFACTS), a directory that every worker reaches."
        )
    if isinstance(artifacts, str) and (named := scheme(artifacts)):
        raise UsageError(f"Artifacts on {named} are not in this version of Orch; give a directory.")
    place = directory(artifacts)
    return LocalStore(place / _OWN_DIRECTORY, before=place)


def _postgresql(url: str) -> Backend:
    try:
        import_module("psycopg")
    except ImportError:
        told = f"A home on PostgreSQL needs psycopg; install it: pip install '{distribution.requirement('postgres')}'."
        raise HomeError(told) from None
    from orchestrator.jobtable.backends.postgresql import PostgresqlBackend

    return PostgresqlBackend(url)
