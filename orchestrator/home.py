"""A home: where a study lives.  Turns a URL into a job table and an artifact store.

Which URL is meant, when a command is not told, stands in `orchestrator.address`; what each kind of home is made of, in
`orchestrator.homes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator import google_drive
from orchestrator.address import directory, scheme, without_password
from orchestrator.errors import HomeError, UsageError
from orchestrator.homes.database import DatabaseHome
from orchestrator.homes.directory import DirectoryHome
from orchestrator.homes.drive import DriveHome
from orchestrator.homes.kind import Kind, LeaseSeconds, Parts
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends import postgresql_url
from orchestrator.object_stores import places

__all__ = ["Home", "LeaseSeconds"]


@dataclass(frozen=True)
class Home(Parts):
    """An open home.

    Where it is, is said by a URL or directory, and `artifacts`: where the files are of a home that does not keep
    them itself.  Every method that is told so raises UsageError if there can be no home of that kind.
    """

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
        home = cls(**vars(kind.parts()))
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
            home = cls(**vars(kind.parts()))
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


def _kind(url: str | Path, artifacts: str | Path | None, *, accept_rollback: bool = False) -> Kind:
    named = scheme(url) if isinstance(url, str) else None
    if named in postgresql_url.SCHEMES:
        return DatabaseHome(str(url), artifacts)
    if named not in (None, "gdrive", *places.SCHEMES):
        raise UsageError(
            f"Homes on {named} are not in this version of Orch; give a directory, gdrive:, s3://, gs://, hf:// or "
            "postgresql://..."
        )
    if artifacts is not None:
        raise UsageError(f"{without_password(str(url))} keeps its own files; --artifacts is for a home on PostgreSQL.")
    if named in places.SCHEMES:
        from orchestrator.homes.objects import ObjectsHome

        return ObjectsHome(str(url), accept_rollback=accept_rollback)
    if named == "gdrive":
        return DriveHome(str(url), google_drive.connect(), accept_rollback=accept_rollback)
    return DirectoryHome(directory(url))
