"""A home in a folder of Google Drive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.address import drive_folder
from orchestrator.errors import HomeError
from orchestrator.homes.kind import READS_GOOD_FOR_SECONDS, LeaseSeconds, Parts
from orchestrator.jobtable import JobTable

if TYPE_CHECKING:  # only a home on Drive needs its libraries
    from orchestrator.google_drive.client import DriveClient
    from orchestrator.google_drive.folder import StudyFolder


class DriveHome:
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

    def parts(self) -> Parts:
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
        return Parts(self.url, JobTable(backend, self.url), store, None, shares_artifacts=False, leases=self._LEASES)


@contextmanager
def _reaching_drive() -> Iterator[None]:
    from orchestrator.google_drive.refusals import DriveRefused

    try:
        yield
    except DriveRefused as refused:
        raise HomeError(str(refused)) from refused
