"""A home in a PostgreSQL database, with its files in a store that every worker reaches."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from orchestrator.address import directory, scheme
from orchestrator.artifacts import ArtifactStore, LocalStore
from orchestrator.errors import HomeError, UsageError
from orchestrator.homes.kind import LeaseSeconds, Parts, not_made
from orchestrator.installation import distribution
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends import postgresql_url
from orchestrator.jobtable.backends.backend import Backend
from orchestrator.object_stores import places

_OWN_DIRECTORY = "orch-artifacts"
"""In a directory that was given for artifacts: a person's own files may lie beside it."""


class DatabaseHome:
    """A PostgreSQL database with the jobs, and a store that every worker reaches with the files.

    A statement is given up after 25 s without an answer, and connecting again after 10 s (`postgresql._PATIENCE`).  In
    two minutes a server restarts, or another takes its place.
    """

    _LEASES = LeaseSeconds(usual=120.0, least=75.0)

    def __init__(self, url: str, artifacts: str | Path | None) -> None:
        self.url = postgresql_url.shown(url)
        self.absence = not_made(self.url)
        self._store = _store(artifacts)
        self._jobs = JobTable(_postgresql(url), self.url)

    def exists(self) -> bool:
        return self._jobs.exists()

    def make(self, name: str) -> None:
        """A database is made by whoever runs the server, a store when the first file is put."""

    def unmake(self) -> None:
        """Nothing was made."""

    def parts(self) -> Parts:
        return Parts(self.url, self._jobs, self._store, None, shares_artifacts=True, leases=self._LEASES)


def _store(artifacts: str | Path | None) -> ArtifactStore:
    if not artifacts:
        raise UsageError(
            "A home on PostgreSQL keeps its files elsewhere; give --artifacts (or ORCH_ARTIFACTS), a directory or an "
            "object store that every worker reaches."
        )
    if isinstance(artifacts, str) and (named := scheme(artifacts)):
        if named not in places.SCHEMES:
            raise UsageError(f"Artifacts on {named} are not in this version of Orch; give a directory, s3:// or gs://.")
        return _in_object_store(artifacts)
    place = directory(artifacts)
    return LocalStore(place / _OWN_DIRECTORY, before=place)


def _in_object_store(url: str) -> ArtifactStore:
    from orchestrator.object_stores.artifact_store import SHARED_DIRECTORY, ObjectArtifacts
    from orchestrator.object_stores.client import ObjectClient

    place = places.parsed(url)
    return ObjectArtifacts(ObjectClient(place), place.url, SHARED_DIRECTORY)


def _postgresql(url: str) -> Backend:
    try:
        import_module("psycopg")
    except ImportError:
        told = f"A home on PostgreSQL needs psycopg; install it: pip install '{distribution.requirement('postgres')}'."
        raise HomeError(told) from None
    from orchestrator.jobtable.backends.postgresql import PostgresqlBackend

    return PostgresqlBackend(url)
