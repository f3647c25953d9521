"""Artifacts in an object store, each under its SHA-256 and a name that no other upload has."""

from __future__ import annotations

import hashlib
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from models.files import incoming_file
from orchestrator.artifacts.store import ArtifactDamaged, Stored, copy_hashed
from orchestrator.errors import DiskError, SignInNeeded, StoreError
from orchestrator.jobs import Artifact
from orchestrator.object_stores.client import PART_BYTES, Found, ObjectClient
from orchestrator.object_stores.refusals import ObjectsRefused, Reason

OWN_DIRECTORY = "artifacts"
"""Of a home's own files."""
SHARED_DIRECTORY = "orch-artifacts"
"""Of the files of homes on PostgreSQL, of which several may be given one place."""

# Whoever deletes what nobody names must not meet somebody who puts the same bytes again: no two uploads share a name.
_LOCATION = re.compile(r"([0-9a-f]{64})/[0-9a-f]{32}")

_KNOWN_SECONDS = 6 * 3600.0
"""How long an object that was put is given again for equal bytes: one that is a day old and unreferenced may be swept
at any moment by another worker.
"""
_UPLOADS = 2
"""Before a file is believed not to arrive whole."""
_DOWNLOADS = 2
"""Before an object is believed to be damaged there, and not on its way."""


class ObjectArtifacts:
    """Objects of one directory below a place.

    The same bytes are kept once by one store, and once more by every other.
    """

    def __init__(self, client: ObjectClient, where: str, directory: str = OWN_DIRECTORY) -> None:
        self._client = client
        self._where = where
        self._directory = directory
        self._put: dict[str, tuple[Artifact, float]] = {}
        """What this process has put, and when, on the monotonic clock."""
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return self._where

    def put(self, file: Path) -> Artifact:
        try:
            digests = _digests(file)
            known = self._put_lately(digests.sha256)
            if known is not None and self.has(known):
                return known
            return self._uploaded(file, digests)
        except (ObjectsRefused, SignInNeeded) as refused:
            raise StoreError(f"{file.name} could not be kept in {self}: {refused}") from refused
        except OSError as error:
            raise DiskError(f"{file} cannot be read: {error.strerror or error}.") from error

    def _put_lately(self, sha256: str) -> Artifact | None:
        with self._lock:
            artifact, put = self._put.get(sha256, (None, 0.0))
        return artifact if artifact and time.monotonic() - put < _KNOWN_SECONDS else None

    def _uploaded(self, file: Path, digests: _Digests) -> Artifact:
        for _ in range(_UPLOADS):
            artifact = Artifact(digests.sha256, digests.size, f"{digests.sha256}/{uuid.uuid4().hex}")
            key = self._key(artifact)
            if self._client.upload(file, key, digests.sha256, digests.etag) or self._is_kept(artifact):
                with self._lock:
                    self._put[digests.sha256] = artifact, time.monotonic()
                return artifact
            self._client.delete(key)
        raise ObjectsRefused(self._client.place, Reason.UNREACHABLE, f"{file.name} did not arrive whole")

    def fetch(self, artifact: Artifact, to: Path) -> None:
        key = self._key(artifact)
        try:
            self._fetch_whole(artifact, key, to)
        except (ObjectsRefused, SignInNeeded) as refused:
            if _is_missing(refused):
                raise ArtifactDamaged(f"The artifact {artifact.location} is missing from {self}.") from None
            raise StoreError(f"The artifact {artifact.location} cannot be read: {refused}") from refused
        except OSError as error:
            raise DiskError(f"{to} could not be written: {error.strerror or error}.") from error

    def _fetch_whole(self, artifact: Artifact, key: str, to: Path) -> None:
        trouble: ObjectsRefused | None = None
        for _ in range(_DOWNLOADS):
            with incoming_file(to.parent) as incoming:
                try:
                    sha256, size = copy_hashed(self._client.download(key), incoming.stream, most=artifact.size)
                except ObjectsRefused as refused:
                    if refused.reason not in (Reason.UNREACHABLE, Reason.BUSY):
                        raise
                    trouble = refused
                    continue
                if (sha256, size) == (artifact.sha256, artifact.size):
                    incoming.appear_as(to)
                    return
                trouble = None
        if trouble is not None:
            raise trouble
        raise ArtifactDamaged(
            f"The artifact {artifact.location} is damaged: {'at least ' if size > artifact.size else ''}{size} bytes "
            f"with SHA-256 {sha256[:12]}..., {artifact.size} with {artifact.sha256[:12]}... were kept."
        )

    def has(self, artifact: Artifact) -> bool:
        found = self._found(artifact)
        return found is not None and found.size == artifact.size

    def is_whole(self, artifact: Artifact) -> bool:
        """Reads the object if its ETag is not made of its content: nothing else would tell a changed one."""
        found = self._found(artifact)
        if found is None or found.size != artifact.size:
            return False
        if found.is_intact and found.sha256 == artifact.sha256:
            return True
        try:
            return self._is_kept(artifact)
        except (ObjectsRefused, SignInNeeded) as refused:
            if _is_missing(refused):
                return False
            raise StoreError(f"The artifacts in {self} cannot be read: {refused}") from refused

    def _is_kept(self, artifact: Artifact) -> bool:
        """Whether the artifact's bytes are there: all of them are read."""
        kept = copy_hashed(self._client.download(self._key(artifact)), most=artifact.size)
        return kept == (artifact.sha256, artifact.size)

    def _found(self, artifact: Artifact) -> Found | None:
        try:
            return self._client.head(self._key(artifact))
        except ArtifactDamaged:
            return None
        except (ObjectsRefused, SignInNeeded) as refused:
            if _is_missing(refused):
                return None
            raise StoreError(f"The artifacts in {self} cannot be read: {refused}") from refused

    def delete(self, artifact: Artifact) -> None:
        with self._lock:
            self._put.pop(artifact.sha256, None)
        try:
            with suppress(ArtifactDamaged):
                self._client.delete(self._key(artifact))
        except (ObjectsRefused, SignInNeeded) as refused:
            raise StoreError(f"The artifact {artifact.location} cannot be deleted: {refused}") from refused

    def discard(self, stored: Stored, is_garbage: Callable[[Stored], bool]) -> bool:
        if not is_garbage(stored):
            return False
        self.delete(stored.artifact)
        return True

    def stored(self) -> Iterator[Stored]:
        try:
            now = self._client.now()
            for found in self._client.listed(self._directory):
                location = found.key.removeprefix(f"{self._directory}/")
                if named := _LOCATION.fullmatch(location):
                    yield Stored(Artifact(named[1], found.size, location), now - found.modified)
        except (ObjectsRefused, SignInNeeded) as refused:
            raise StoreError(f"The artifacts in {self} cannot be listed: {refused}") from refused

    def shortage(self) -> str | None:
        """Object stores tell of no limit."""
        return None

    def _key(self, artifact: Artifact) -> str:
        """Raises ArtifactDamaged if the location is not one that a store gives."""
        named = _LOCATION.fullmatch(artifact.location)
        if named is None or named[1] != artifact.sha256:
            raise ArtifactDamaged(
                f"The home says that {artifact.sha256[:12]}... is at {artifact.location!r}, where {self} keeps no file "
                "of that name: somebody has altered the row; run `orch plan` again."
            )
        return f"{self._directory}/{artifact.location}"


def _is_missing(refused: Exception) -> bool:
    return isinstance(refused, ObjectsRefused) and refused.reason is Reason.MISSING


@dataclass(frozen=True)
class _Digests:
    sha256: str
    size: int
    etag: str
    """What a service calls the object whose ETags are made of the content: the MD5, or of an upload in parts the MD5 of
    the parts' and their number (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
    """


def _digests(file: Path) -> _Digests:
    """Reads the file once.  Raises OSError."""
    sha256, size, parts = hashlib.sha256(), 0, list[bytes]()
    with file.open("rb") as stream:
        while part := stream.read(PART_BYTES):
            sha256.update(part)
            size += len(part)
            parts.append(hashlib.md5(part, usedforsecurity=False).digest())
    if size <= PART_BYTES:
        etag = parts[0].hex() if parts else hashlib.md5(usedforsecurity=False).hexdigest()
    else:
        etag = f"{hashlib.md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"
    return _Digests(sha256.hexdigest(), size, etag)
