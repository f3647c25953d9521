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
    """There is no room left, and there will be when a person has made some."""


@dataclass(frozen=True)
class Stored:
    """A file that a store has, whether anybody names it or not."""

    artifact: Artifact
    """Of a file that was never finished the SHA-256 is empty."""
    age_seconds: float


class ArtifactStore(Protocol):
    """Keeps files.  A file that no row of the job table names is garbage, never damage."""

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

    def delete(self, artifact: Artifact) -> None:
        """Remove the artifact; nothing happens if it is not there."""
        ...

    def stored(self) -> Iterator[Stored]:
        """All files of the store that this account may delete; those of the last minutes may be left out.

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


def copy_hashed(source: Readable, target: BinaryIO, sink: Callable[[int], None] | None = None) -> tuple[str, int]:
    """Copy a stream to its end; returns the SHA-256 in hexadecimal and the number of bytes."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += target.write(chunk)
        if sink is not None:
            sink(size)
    return digest.hexdigest(), size
