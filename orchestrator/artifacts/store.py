"""The contract of an artifact store: immutable files, addressed by their SHA-256, believed only when checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from orchestrator.errors import StoreError
from orchestrator.jobs import Artifact

_CHUNK_BYTES = 1 << 20


class ArtifactDamaged(StoreError):
    """The store has no file of this content any more: it is missing, shorter, or other bytes."""


class StoreFull(StoreError):
    """The account that puts files has no room left for this one; another that puts files there may have."""

    def __init__(self, told: str, size: int = 0, *, for_good: bool = False) -> None:
        super().__init__(told)
        self.size = size
        """Bytes that could not be kept."""
        self.for_good = for_good
        """Whether nobody can make room: the account owns no storage."""


@dataclass(frozen=True)
class Stored:
    """A file that a store has, whether anybody names it or not."""

    artifact: Artifact
    """What the file is; the SHA-256 of one that was never finished is empty."""
    age_seconds: float


class ArtifactStore(Protocol):
    """Keeps files.  A file that no row of the job table names is garbage, never damage.

    Threads: any thread may call any method at any time, as may other processes and machines; two that put the same
    bytes at once keep one file.  What `stored` returns is for one thread.
    """

    def put(self, file: Path) -> Artifact:
        """Keep a copy of the file; returns only after the store has confirmed size and checksum.

        Keeping the same bytes again keeps one file.

        Raises:
            StoreError: it could not be written; nothing of it is left under the artifact's name.
            DiskError: the file cannot be read.
        """
        ...

    def fetch(self, artifact: Artifact, to: Path) -> None:
        """Write the artifact's bytes to `to`, checked while they are read; `to` appears whole or not at all.

        Raises:
            ArtifactDamaged: what the store has is not this artifact.
            StoreError: it could not be read.
            DiskError: `to` could not be written.
        """
        ...

    def has(self, artifact: Artifact) -> bool:
        """Whether a file of the artifact's size is there; only `fetch` tells whether it is undamaged.

        Raises:
            StoreError: that cannot be told.
        """
        ...

    def is_whole(self, artifact: Artifact) -> bool:
        """Whether a file of the artifact's content is there, as far as the store can tell without sending it here.

        Raises:
            StoreError: that cannot be told.
        """
        ...

    def delete(self, artifact: Artifact) -> None:
        """Remove the artifact, which no row names any more; nothing happens if it is not there."""
        ...

    def discard(self, stored: Stored, is_garbage: Callable[[Stored], bool]) -> bool:
        """Remove a file that was listed, if it is garbage still at the moment of its removal.

        Somebody may have put the same bytes since, and named them.

        Args:
            is_garbage: asked again with what the file is now.

        Returns:
            whether it was removed.
        """
        ...

    def stored(self) -> Iterator[Stored]:
        """All files that the store can tell to be its own, and this account's to delete.

        A person's files beside them are none; those of the last minutes may be left out.

        Raises:
            StoreError: they cannot be listed.
        """
        ...

    def shortage(self) -> str | None:
        """A sentence when there is hardly any room left for more files; None if there is, or nobody can tell."""
        ...

    def __str__(self) -> str:
        """Where it is, as a person names it."""
        ...


class Readable(Protocol):
    """What bytes are copied from."""

    def read(self, size: int, /) -> bytes: ...


def copy_hashed(source: Readable, target: BinaryIO | None = None, most: int | None = None) -> tuple[str, int]:
    """Copy a stream to its end; returns the SHA-256 in hexadecimal and the number of bytes.

    Args:
        target: None only to read it.
        most: bytes beyond which nobody need read on: a file that is longer than it should be is damaged.
    """
    digest, size = hashlib.sha256(), 0
    while (most is None or size <= most) and (chunk := source.read(_CHUNK_BYTES)):
        digest.update(chunk)
        size += len(chunk)
        if target is not None:
            target.write(chunk)
    return digest.hexdigest(), size
