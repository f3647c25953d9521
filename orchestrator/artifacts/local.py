"""Artifacts in a directory of this machine."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from models import files
from models.files import TEMPORARY, incoming_file
from orchestrator.artifacts.store import ArtifactDamaged, Stored, copy_hashed
from orchestrator.errors import DiskError, OrchError, StoreError
from orchestrator.jobs import Artifact

SHORT_BYTES = 1e9

_OWN_NAME = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})")
"""What the store calls a file: nothing that is called otherwise is read or deleted."""
_OWN_TEMPORARY = re.compile(rf"{re.escape(TEMPORARY)}[0-9a-f]{{32}}")

_ASIDE = re.compile(r"\.discarding-([0-9a-f]{64})-[0-9a-f]{32}")
_ASIDE_SECONDS = 3600.0
"""After so long whoever was about to discard a file is dead, and the file is put back to be judged again."""


class LocalStore:
    """`DIRECTORY/ab/abcdef...`: each file under the first two digits of its SHA-256, and then the whole of it.

    The directory is the store's own.  Whoever may write there may put anything in it: files are read only under the
    store's own names, never through a link, and no further than they should be long.

    Args:
        before: where an older Orch kept files of the same names, among a person's own: read, and never deleted.
    """

    def __init__(self, directory: Path, before: Path | None = None) -> None:
        self.directory = directory
        self._before = before
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
            with source, incoming_file(self.directory) as incoming:
                sha256, size = copy_hashed(_Source(source, partial(_unreadable, file)), incoming.stream)
                incoming.appear_as(self.directory / _location(sha256))
                # The file's directory may be as new as the file: a row of the job table must not outlive either.
                files.sync_directory(self.directory)
        except OSError as error:
            raise StoreError(
                f"{file.name} could not be kept in {self.directory}: {error.strerror or error}; "
                "free some space or mend the directory, and it will be tried again."
            ) from error
        self._has_files = True
        return Artifact(sha256, size, _location(sha256))

    def fetch(self, artifact: Artifact, to: Path) -> None:
        def refused(error: OSError) -> StoreError:
            return StoreError(f"The artifact {artifact.location} cannot be read: {error.strerror or error}.")

        try:
            source = _opened(self._path(artifact))
        except FileNotFoundError:
            if self._is_gone():
                raise self._gone() from None
            raise ArtifactDamaged(f"The artifact {artifact.location} is missing from {self.directory}.") from None
        except OSError as error:
            raise refused(error) from error
        try:
            with source, incoming_file(to.parent) as incoming:
                sha256, size = copy_hashed(_Source(source, refused), incoming.stream, most=artifact.size)
                if (sha256, size) != (artifact.sha256, artifact.size):
                    raise ArtifactDamaged(
                        f"The artifact {artifact.location} is damaged: {size} bytes with SHA-256 {sha256[:12]}..., "
                        f"{artifact.size} with {artifact.sha256[:12]}... were kept."
                    )
                incoming.appear_as(to)
        except OSError as error:
            raise DiskError(f"{to} could not be written: {error.strerror or error}.") from error
        self._has_files = True

    def has(self, artifact: Artifact) -> bool:
        try:
            found = self._path(artifact).lstat()
            return stat.S_ISREG(found.st_mode) and found.st_size == artifact.size
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise StoreError(f"The artifacts in {self.directory} cannot be read: {error.strerror}.") from error

    def is_whole(self, artifact: Artifact) -> bool:
        try:
            with _opened(self._path(artifact)) as source:
                return copy_hashed(source, most=artifact.size) == (artifact.sha256, artifact.size)
        except (FileNotFoundError, NotADirectoryError, ArtifactDamaged):
            return False
        except OSError as error:
            raise StoreError(f"The artifact {artifact.location} cannot be read: {error.strerror}.") from error

    def delete(self, artifact: Artifact) -> None:
        with suppress(ArtifactDamaged):
            self._own(artifact).unlink(missing_ok=True)

    def discard(self, stored: Stored, is_garbage: Callable[[Stored], bool]) -> bool:
        path = self.directory / stored.artifact.location
        if not stored.artifact.sha256:
            path.unlink(missing_ok=True)
            return True
        # Out of the way first: whoever puts the same bytes from here on makes a file of its own, and what was put or
        # named until now is seen below.
        aside = self.directory / f".discarding-{stored.artifact.sha256}-{uuid.uuid4().hex}"
        try:
            path.rename(aside)
        except FileNotFoundError:
            return False
        if not is_garbage(Stored(stored.artifact, time.time() - aside.stat().st_mtime)):
            _put_back(aside, path)
            return False
        aside.unlink()
        return True

    def stored(self) -> Iterator[Stored]:
        try:
            self._put_back_what_was_left_aside()
            for path in (*self.directory.glob("[0-9a-f][0-9a-f]/*"), *self.directory.glob(f"{TEMPORARY}*")):
                location = path.relative_to(self.directory).as_posix()
                named = _OWN_NAME.fullmatch(location)
                if named is None and not _OWN_TEMPORARY.fullmatch(location):
                    continue
                with suppress(FileNotFoundError):  # deleted since, as obsolete files are at any time
                    found = path.lstat()
                    if stat.S_ISREG(found.st_mode):
                        artifact = Artifact(named[2] if named else "", found.st_size, location)
                        yield Stored(artifact, time.time() - found.st_mtime)
        except OSError as error:
            raise StoreError(f"The artifacts in {self.directory} cannot be listed: {error.strerror}.") from error

    def shortage(self) -> str | None:
        try:
            free = shutil.disk_usage(self.directory).free
        except OSError:
            return None
        return f"{free / 1e9:.1f} GB are left on the disk of {self.directory}." if free < SHORT_BYTES else None

    def _path(self, artifact: Artifact) -> Path:
        """Where the file is, or should be.  Raises ArtifactDamaged if the location is not one that a store gives."""
        own = self._own(artifact)
        if self._before is None or own.exists():
            return own
        older = self._before / artifact.location
        return older if older.exists() else own

    def _own(self, artifact: Artifact) -> Path:
        if artifact.location != _location(artifact.sha256):
            raise ArtifactDamaged(
                f"The home says that {artifact.sha256[:12]}... is at {artifact.location!r}, where {self.directory} "
                "keeps no file of that name: somebody has altered the row; run `orch plan` again."
            )
        path = self.directory / artifact.location
        if path.parent.is_symlink():
            raise ArtifactDamaged(f"{path.parent} is a link that leads out of the store; remove it.")
        return path

    def _is_gone(self) -> bool:
        """As a whole: its files are not damaged one by one, and will be there again."""
        return all(path.name.startswith(TEMPORARY) for path in self.directory.glob("*"))

    def _gone(self) -> StoreError:
        return StoreError(f"There is nothing at all in {self.directory}; is its disk mounted?")

    def _put_back_what_was_left_aside(self) -> None:
        for aside in self.directory.glob(".discarding-*"):
            named = _ASIDE.fullmatch(aside.name)
            with suppress(FileNotFoundError):
                if named is not None and time.time() - aside.lstat().st_ctime > _ASIDE_SECONDS:
                    _put_back(aside, self.directory / _location(named[1]))


def _location(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


def _opened(path: Path) -> BinaryIO:
    """A regular file, and no link to one: what else lies under its name was put there by somebody else.

    Raises:
        ArtifactDamaged: it is something else.
        OSError: it cannot be opened.
    """
    try:
        # A pipe that nobody writes to would hold the opening up for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            raise ArtifactDamaged(f"{path} is a link; the artifact is missing.") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ArtifactDamaged(f"{path} is no file; the artifact is missing.")
    return os.fdopen(descriptor, "rb")


def _put_back(aside: Path, path: Path) -> None:
    """Equal bytes may have been put there meanwhile: either file will do."""
    with suppress(FileExistsError):
        path.hardlink_to(aside)
        files.sync_directory(path.parent)
    aside.unlink()


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
