"""The job table's file on Google Drive, replaced by the compare-and-set of version 2 of Drive's API."""

from __future__ import annotations

from contextlib import suppress

from orchestrator.errors import HomeClosed, HomeError
from orchestrator.google_drive.client import DriveClient, md5
from orchestrator.google_drive.refusals import DriveRefused, Reason
from orchestrator.jobtable.backends.conditional_file import Conflict, Version

# Of a table that others swap several times a second every other read may be of a version in between; one that never is
# of any is broken by the network.
_READS = 12


class DriveFile:
    """One file by its id.  `replace` needs the right to write it, and its owner's storage room for what it grows by."""

    def __init__(self, client: DriveClient, file: str, where: str) -> None:
        self._client = client
        self._file = file
        self._where = where

    def __str__(self) -> str:
        return f"The job table of {self._where}"

    def version(self) -> Version:
        try:
            return Version(*self._client.etag(self._file))
        except DriveRefused as refused:
            raise self._trouble(refused) from refused

    def read(self) -> tuple[bytes, Version]:
        version = self.version()
        for _ in range(_READS):
            # No request gives both: what arrives is of the version asked for before it, after it, or one in between.
            digest, content = self._content()
            if digest != version.digest:
                version = self.version()
            if digest == version.digest:
                return content, version
        raise HomeError(f"{self} does not arrive whole; check the network, and try again.")

    def _content(self) -> tuple[str, bytes]:
        try:
            content = self._client.read(self._file)
        except DriveRefused as refused:
            raise self._trouble(refused) from refused
        return md5(content), content

    def replace(self, content: bytes, version: Version) -> Version:
        try:
            new = Version(*self._client.swap(self._file, content, version.tag))
        except DriveRefused as refused:
            if refused.reason in (Reason.STALE, Reason.UNREACHABLE, Reason.BUSY):
                # Perhaps it has happened, at the first of several tries: who reads again will know.
                raise Conflict from refused
            raise self._trouble(refused) from refused
        if new.digest != md5(content):
            raise Conflict  # what arrived is not what was sent, or was replaced before the answer was written
        return new

    def now(self) -> float:
        return self._client.clock.now()

    def _trouble(self, refused: DriveRefused) -> HomeError:
        """What a refusal means for the home, and who can do what about it."""
        match refused.reason:
            case Reason.FULL:
                return HomeClosed(
                    f"{self} cannot grow: {self._whose_storage()} is full; free some space there, and empty the bin."
                )
            case Reason.MISSING:
                return HomeClosed(
                    f"{self} is not to be found: its owner has deleted it, has put it into the bin (where it can be "
                    "restored, at drive.google.com/drive/trash), or does not share it with this account (orch share "
                    "ACCOUNT)."
                )
            case Reason.FORBIDDEN | Reason.TRASHED:
                return HomeClosed(f"{self}: {refused}")
            case _:
                return HomeError(str(refused))

    def _whose_storage(self) -> str:
        """The file is its owner's and counts against their storage, whoever writes it."""
        with suppress(DriveRefused):
            found = self._client.metadata(self._file)
            return f"the Google storage of {'this account' if found.mine else found.owner or 'the shared drive'}"
        return "the Google storage of its owner"
