"""A home in an object store: one object is the job table, the others are the artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.errors import HomeError
from orchestrator.homes.kind import READS_GOOD_FOR_SECONDS, LeaseSeconds, Parts, not_made
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.sightings import SeenHere
from orchestrator.jobtable.backends.snapshot import SnapshotBackend
from orchestrator.object_stores.artifact_store import ObjectArtifacts
from orchestrator.object_stores.client import ObjectClient
from orchestrator.object_stores.places import parsed
from orchestrator.object_stores.refusals import ObjectsRefused, Reason
from orchestrator.object_stores.table_file import KEY, ObjectFile


class ObjectsHome:
    """A prefix of a bucket with everything in it, for workers on several machines and services.

    A renewal swaps the whole table, as on Google Drive, and leases are as long: Google and Cloudflare take one write a
    second to one key (https://cloud.google.com/storage/quotas, https://developers.cloudflare.com/r2/platform/limits/).
    """

    _LEASES = LeaseSeconds(usual=900.0, least=300.0)

    def __init__(self, url: str, *, accept_rollback: bool) -> None:
        place = parsed(url)
        self.url = place.url
        self.absence = not_made(self.url)
        self._client = ObjectClient(place)
        self._accept_rollback = accept_rollback
        self._made = False

    def exists(self) -> bool:
        with _reaching():
            try:
                self._client.head(KEY)
            except ObjectsRefused as refused:
                if refused.reason is not Reason.MISSING:
                    raise
                return False
        return True

    def make(self, name: str) -> None:  # noqa: ARG002
        if self.exists():
            return
        with _reaching():
            self._client.create(KEY, b"")

    def unmake(self) -> None:
        """An empty table is left: somebody else may have begun to fill it at the same moment."""

    def parts(self) -> Parts:
        sightings = SeenHere(self.url, accept_rollback=self._accept_rollback)
        backend = SnapshotBackend(ObjectFile(self._client, self.url), READS_GOOD_FOR_SECONDS, sightings=sightings)
        store = ObjectArtifacts(self._client, self.url)
        return Parts(self.url, JobTable(backend, self.url), store, None, shares_artifacts=False, leases=self._LEASES)


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except ObjectsRefused as refused:
        raise HomeError(str(refused)) from refused
