"""Files that appear whole or not at all: written under a temporary name, and then given their own."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".incoming-"
"""How the name of a file begins that is not whole yet."""


class IncomingFile:
    """A file that is being written under a temporary name."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self.stream = stream
        self._path = path

    def appear_as(self, final: Path) -> None:
        """Give the file its name, on the same file system, in the place of what was there before.

        The bytes reach the disk before the name does: without the first fsync a power cut can leave the new name
        on an empty file, without the second the name itself may be lost.
        """
        self.stream.flush()
        os.fsync(self.stream.fileno())
        final.parent.mkdir(parents=True, exist_ok=True)
        self._path.replace(final)
        sync_directory(final.parent)


@contextmanager
def incoming_file(directory: Path, *, mode: int = 0o666, parents: bool = True) -> Iterator[IncomingFile]:
    """A new file in a directory, gone at the end unless it was given a name.

    Args:
        mode: who may do what with the file, less what the umask takes: unlike `tempfile`'s 0600, which hides a file
            from the others that its directory is shared with.
        parents: make the directory if it is not there.

    Raises:
        OSError: whatever had the name that this file was to have is there still.
    """
    if parents:
        directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{TEMPORARY}{uuid.uuid4().hex}"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            yield IncomingFile(stream, path)
    finally:
        path.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes, *, mode: int = 0o666, parents: bool = True) -> None:
    """Put `content` at `path` in one step; a crash, a full disk or a power cut leaves the file that was there before.

    The arguments and what is raised are those of `incoming_file`.
    """
    with incoming_file(path.parent, mode=mode, parents=parents) as incoming:
        incoming.stream.write(content)
        incoming.appear_as(path)


def sync_directory(directory: Path) -> None:
    """Have the names in a directory reach the disk.  Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what file systems of networks say that cannot
            raise
    finally:
        os.close(descriptor)
