"""Artifacts in a directory of this machine."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from orchestrator.artifacts.store import ArtifactDamaged, copy_hashed
from orchestrator.errors import StoreError
from orchestrator.jobs import Artifact


class LocalStore:
    """`DIRECTORY/ab/abcdef...`: each file under the first two digits of its SHA-256, and then the whole of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __str__(self) -> str:
        return str(self.directory)

    def put(self, file: Path) -> Artifact:
        try:
            with file.open("rb") as source, _appearing_in(self.directory) as incoming:
                sha256, size = copy_hashed(source, incoming.stream)
                location = f"{sha256[:2]}/{sha256}"
                incoming.appear_as(self.directory / location)
        except OSError as error:
            raise StoreError(
                f"{file.name} could not be kept in {self.directory}: {error.strerror or error}; "
                "free some space or mend the directory, and it will be tried again."
            ) from error
        return Artifact(sha256, size, location)

    def fetch(self, artifact: Artifact, to: Path) -> None:
        try:
            source = (self.directory / artifact.location).open("rb")
        except FileNotFoundError:
            raise ArtifactDamaged(f"The artifact {artifact.location} is missing from {self.directory}.") from None
        except OSError as error:
            raise StoreError(f"The artifact {artifact.location} cannot be read: {error.strerror}.") from error
        try:
            with source, _appearing_in(to.parent) as incoming:
                sha256, size = copy_hashed(source, incoming.stream)
                if (sha256, size) != (artifact.sha256, artifact.size):
                    raise ArtifactDamaged(
                        f"The artifact {artifact.location} is damaged: {size} bytes with SHA-256 {sha256[:12]}..., "
                        f"{artifact.size} with {artifact.sha256[:12]}... were kept."
                    )
                incoming.appear_as(to)
        except OSError as error:
            raise StoreError(f"{to} could not be written: {error.strerror or error}.") from error

    def has(self, artifact: Artifact) -> bool:
        try:
            return (self.directory / artifact.location).stat().st_size == artifact.size
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise StoreError(f"The artifacts in {self.directory} cannot be read: {error.strerror}.") from error

    def delete(self, artifact: Artifact) -> None:
        (self.directory / artifact.location).unlink(missing_ok=True)


class _Incoming:
    """A file that is being written under a temporary name."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self.stream = stream
        self._path = path

    def appear_as(self, final: Path) -> None:
        """Give the file its name, after its bytes have reached the disk: a power cut leaves it whole or absent."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        final.parent.mkdir(parents=True, exist_ok=True)
        self._path.replace(final)
        _sync(final.parent)


def _sync(directory: Path) -> None:
    """The name reaches the disk too: a row of the job table must not outlive the file that it names."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _appearing_in(directory: Path) -> Iterator[_Incoming]:
    """A new file in a directory (same file system, so that renaming is atomic), gone unless it was given a name.

    With the rights that the umask leaves, unlike `tempfile`'s: workers of several people may share a store.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f".incoming-{uuid.uuid4().hex}"
    try:
        with path.open("xb") as stream:
            yield _Incoming(stream, path)
    finally:
        path.unlink(missing_ok=True)
