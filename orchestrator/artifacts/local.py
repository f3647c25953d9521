"""Artifacts in a directory of this machine."""

from __future__ import annotations

import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from orchestrator.artifacts.incoming import TEMPORARY, appearing_in
from orchestrator.artifacts.store import ArtifactDamaged, Stored, copy_hashed
from orchestrator.errors import DiskError, OrchError, StoreError
from orchestrator.jobs import Artifact

SHORT_BYTES = 1e9


class LocalStore:
    """`DIRECTORY/ab/abcdef...`: each file under the first two digits of its SHA-256, and then the whole of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._has_files = False
        """Whether any were seen: an empty directory is then the place where the store's disk is to be mounted."""

    def __str__(self) -> str:
        return str(self.directory)

    def put(self, file: Path) -> Artifact:
        if self._has_files and self._is_gone():
            raise self._gone()
        try:
            source = file.open("rb")
        except OSError as error:
            raise _unreadable(file, error) from error
        try:
            with source, appearing_in(self.directory) as incoming:
                sha256, size = copy_hashed(_Source(source, partial(_unreadable, file)), incoming.stream)
                location = f"{sha256[:2]}/{sha256}"
                incoming.appear_as(self.directory / location)
        except OSError as error:
            raise StoreError(
                f"{file.name} could not be kept in {self.directory}: {error.strerror or error}; "
                "free some space or mend the directory, and it will be tried again."
            ) from error
        self._has_files = True
        return Artifact(sha256, size, location)

    def fetch(self, artifact: Artifact, to: Path) -> None:
        def refused(error: OSError) -> StoreError:
            return StoreError(f"The artifact {artifact.location} cannot be read: {error.strerror or error}.")

        try:
            source = (self.directory / artifact.location).open("rb")
        except FileNotFoundError:
            if self._is_gone():
                raise self._gone() from None
            raise ArtifactDamaged(f"The artifact {artifact.location} is missing from {self.directory}.") from None
        except OSError as error:
            raise refused(error) from error
        try:
            with source, appearing_in(to.parent) as incoming:
                sha256, size = copy_hashed(_Source(source, refused), incoming.stream)
                if (sha256, size) != (artifact.sha256, artifact.size):
                    raise ArtifactDamaged(
                        f"The artifact {artifact.location} is damaged: {size} bytes with SHA-256 {sha256[:12]}..., "
                        f"{artifact.size} with {artifact.sha256[:12]}... were kept."
                    )
                incoming.appear_as(to)
        except OSError as error:
            raise DiskError(f"{to} could not be written: {error.strerror or error}.") from error
        self._has_files = True

    def _is_gone(self) -> bool:
        """As a whole: its files are not damaged one by one, and will be there again."""
        return all(path.name.startswith(TEMPORARY) for path in self.directory.glob("*"))

    def _gone(self) -> StoreError:
        return StoreError(f"There is nothing at all in {self.directory}; is its disk mounted?")

    def has(self, artifact: Artifact) -> bool:
        try:
            return (self.directory / artifact.location).stat().st_size == artifact.size
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise StoreError(f"The artifacts in {self.directory} cannot be read: {error.strerror}.") from error

    def delete(self, artifact: Artifact) -> None:
        (self.directory / artifact.location).unlink(missing_ok=True)

    def shortage(self) -> str | None:
        try:
            free = shutil.disk_usage(self.directory).free
        except OSError:
            return None
        return f"{free / 1e9:.1f} GB are left on the disk of {self.directory}." if free < SHORT_BYTES else None

    def stored(self) -> Iterator[Stored]:
        now = time.time()
        try:
            for path in self.directory.glob("**/*"):
                with suppress(FileNotFoundError):  # deleted since, as superseded files are at any time
                    found = path.stat()
                    if stat.S_ISREG(found.st_mode):
                        sha256 = "" if path.name.startswith(TEMPORARY) else path.name
                        location = path.relative_to(self.directory).as_posix()
                        yield Stored(Artifact(sha256, found.st_size, location), now - found.st_mtime)
        except OSError as error:
            raise StoreError(f"The artifacts in {self.directory} cannot be listed: {error.strerror}.") from error


class _Source:
    """A stream whose failures are told apart from those of what it is copied to."""

    def __init__(self, stream: BinaryIO, refused: Callable[[OSError], OrchError]) -> None:
        self._stream = stream
        self._refused = refused

    def read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except OSError as error:
            raise self._refused(error) from error


def _unreadable(file: Path, error: OSError) -> DiskError:
    return DiskError(f"{file} cannot be read: {error.strerror or error}.")
