"""Artifacts in a folder of Google Drive, each under the id that Drive gave it."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from models.files import incoming_file
from orchestrator import untrusted
from orchestrator.artifacts.store import ArtifactDamaged, Stored, StoreFull
from orchestrator.errors import DiskError, OrchError, SignInNeeded, StoreError
from orchestrator.google_drive.client import Account, DriveClient, Metadata
from orchestrator.google_drive.refusals import DriveRefused, Reason
from orchestrator.jobs import Artifact

_SECONDS_BETWEEN_LOOKS = 600.0

_KNOWN_SECONDS = 6 * 3600.0
"""How long a file that was put is given again for equal bytes: one that is a day old and unreferenced may be swept at
any moment by another worker of the account.
"""
_OWNS_NONE = "{} is a service account, which owns no storage; sign in as a person, or keep the study in a shared drive."

_DOWNLOADS = 2
"""Before a file is believed to be damaged there, and not on its way."""


class DriveStore:
    """Files of one folder, called by their SHA-256.  Whoever puts one owns it: it counts against their storage.

    The same bytes are kept once by one store, and once more by every other: names on Drive are not unique, and a look
    whether a file is there already would be minutes late.
    """

    def __init__(
        self, client: DriveClient, folder: str, where: str, notes: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        """`notes` gives the properties of a file that is uploaded now."""
        self._client = client
        self._notes = notes
        self._folder = folder
        self._where = where
        self._put: dict[str, tuple[Artifact, float]] = {}
        """What this process has put, and when, on the monotonic clock."""
        self._lock = threading.Lock()
        self._shortage: str | None = None
        self._shortage_due = -math.inf

    def __str__(self) -> str:
        return self._where

    def put(self, file: Path) -> Artifact:
        """Raises StoreFull if the account's storage is full."""
        try:
            sha256, md5 = _digests(file)
            known = self._put_lately(sha256)
            if known is not None and self.has(known):
                return known
            return self._uploaded(file, sha256, md5)
        except (DriveRefused, SignInNeeded) as refused:
            if _reason(refused) is Reason.FULL:
                raise self._full(file, refused) from refused
            raise StoreError(f"{file.name} could not be kept in {self}: {refused}") from refused
        except OSError as error:
            raise DiskError(f"{file} cannot be read: {error.strerror or error}.") from error

    def _put_lately(self, sha256: str) -> Artifact | None:
        with self._lock:
            artifact, put = self._put.get(sha256, (None, -math.inf))
        return artifact if time.monotonic() - put < _KNOWN_SECONDS else None

    def fetch(self, artifact: Artifact, to: Path) -> None:
        try:
            self._fetch_whole(artifact, to)
        except (DriveRefused, SignInNeeded) as refused:
            if _reason(refused) is Reason.MISSING:
                raise ArtifactDamaged(f"The artifact {artifact.location} is missing from {self}.") from None
            raise StoreError(f"The artifact {artifact.location} cannot be read: {refused}") from refused
        except OSError as error:
            raise DiskError(f"{to} could not be written: {error.strerror or error}.") from error

    def _fetch_whole(self, artifact: Artifact, to: Path) -> None:
        for _ in range(_DOWNLOADS):
            with incoming_file(to.parent) as incoming:
                hashed = _Hashed(incoming.stream, artifact)
                with suppress(_TooLong):  # another's page, perhaps, on the way
                    self._client.download(artifact.location, hashed)  # type: ignore[arg-type]
                if (hashed.sha256, hashed.size) == (artifact.sha256, artifact.size):
                    incoming.appear_as(to)
                    return
        raise ArtifactDamaged(
            f"The artifact {artifact.location} is damaged: {'at least ' if hashed.size > artifact.size else ''}"
            f"{hashed.size} bytes with SHA-256 {hashed.sha256[:12]}..., {artifact.size} with {artifact.sha256[:12]}... "
            "were kept."
        )

    def has(self, artifact: Artifact) -> bool:
        found = self._kept(artifact)
        return found is not None and found.size == artifact.size

    def is_whole(self, artifact: Artifact) -> bool:
        found = self._kept(artifact)
        # Drive tells no SHA-256 of a file that it has not looked at yet.
        return found is not None and found.size == artifact.size and found.sha256 in ("", artifact.sha256)

    def _kept(self, artifact: Artifact) -> Metadata | None:
        """What Drive tells of it; None of what is not there, or in the bin."""
        try:
            found = self._client.metadata(artifact.location)
        except DriveRefused as refused:
            if refused.reason is Reason.MISSING:
                return None
            raise StoreError(f"The artifacts in {self} cannot be read: {refused}") from refused
        return None if found.trashed else found

    def delete(self, artifact: Artifact) -> None:
        """Another account's file stays: only its owner may delete it, and does."""
        with self._lock:
            self._put.pop(artifact.sha256, None)
        try:
            if self._is_own(artifact):
                self._client.delete(artifact.location)
        except DriveRefused as refused:
            if refused.reason not in (Reason.FORBIDDEN, Reason.MISSING):
                raise StoreError(f"The artifact {artifact.location} cannot be deleted: {refused}") from refused

    def _is_own(self, artifact: Artifact) -> bool:
        """A row may name any file that this account can see, and the account's own are its to delete."""
        found = self._client.metadata(artifact.location)
        return found.mine and found.name == artifact.sha256 and self._folder in found.parents

    def discard(self, stored: Stored, is_garbage: Callable[[Stored], bool]) -> bool:
        if not is_garbage(stored):
            return False
        self.delete(stored.artifact)
        return True

    def shortage(self) -> str | None:
        """What the account that is signed in lacks in storage; asked for now and then."""
        now = time.monotonic()
        if now >= self._shortage_due:
            self._shortage_due = now + _SECONDS_BETWEEN_LOOKS
            with suppress(DriveRefused, SignInNeeded):
                account = self._client.account()
                self._shortage = self._lack(account) or _shortage_of(account)
        return self._shortage

    def stored(self) -> Iterator[Stored]:
        try:
            for file in self._client.children(self._folder):
                if file.mine and untrusted.is_sha256(file.name):
                    age = self._client.clock.now() - datetime.fromisoformat(file.modified).timestamp()
                    yield Stored(Artifact(file.name, file.size, file.id), age)
        except DriveRefused as refused:
            raise StoreError(f"The artifacts in {self} cannot be listed: {refused}") from refused

    def _full(self, file: Path, refused: OrchError) -> StoreFull:
        """With whose storage it is: several people's workers put files here."""
        self._shortage_due = -math.inf
        told, lack = str(refused), None
        with suppress(DriveRefused, SignInNeeded):
            account = self._client.account()
            lack = self._lack(account)
            told = lack or f"{told} It is the storage of {account.email}."
        told = f"{file.name} could not be kept in {self}: {told}"
        return StoreFull(told, file.stat().st_size, for_good=lack is not None)

    def _lack(self, account: Account) -> str | None:
        """In a shared drive a service account can keep files: they are nobody's own there."""
        if account.owns_storage or not self._client.metadata(self._folder).owner:
            return None
        return _OWNS_NONE.format(account.email)

    def _uploaded(self, file: Path, sha256: str, md5: str) -> Artifact:
        artifact = Artifact(sha256, file.stat().st_size, self._client.new_id())
        self._client.upload(file, artifact.location, sha256, self._folder, md5, self._notes())
        with self._lock:
            self._put[sha256] = artifact, time.monotonic()
        return artifact


def _reason(refused: DriveRefused | SignInNeeded) -> Reason | None:
    return refused.reason if isinstance(refused, DriveRefused) else None


def _shortage_of(account: Account) -> str | None:
    if account.limit_bytes is None or not account.nearly_full:
        return None
    left = max(0, account.limit_bytes - account.used_bytes) / 1e9
    return f"{left:.1f} GB of {account.limit_bytes / 1e9:.1f} GB are left in the Google storage of {account.email}."


class _TooLong(Exception):
    """More bytes came than an artifact has."""


class _Hashed:
    """Writes to a stream, and knows what it wrote; a file that is longer than the artifact is not read to its end."""

    def __init__(self, stream: BinaryIO, artifact: Artifact) -> None:
        self._stream = stream
        self._artifact = artifact
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> int:
        self._digest.update(chunk)
        self.size += len(chunk)
        if self.size > self._artifact.size:
            raise _TooLong
        return self._stream.write(chunk)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _digests(file: Path) -> tuple[str, str]:
    """SHA-256, by which an artifact is known, and MD5, which Drive confirms for every file."""
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        return sha256, hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
