"""Files that are written under a temporary name, and then appear whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".incoming-"
"""How the name of a file begins that is not whole yet."""


class Incoming:
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
        sync(final.parent)
        # Where its own directory has a name: that may be as new as the file, whoever made it.
        sync(final.parent.parent)


def sync(directory: Path) -> None:
    """The names in it reach the disk too: a row of the job table must not outlive the file that it names."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def appearing_in(directory: Path) -> Iterator[Incoming]:
    """A new file in a directory (same file system, so that renaming is atomic), gone unless it was given a name.

    With the rights that the umask leaves, unlike `tempfile`'s: workers of several people may share a store.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{TEMPORARY}{uuid.uuid4().hex}"
    try:
        with path.open("xb") as stream:
            yield Incoming(stream, path)
    finally:
        path.unlink(missing_ok=True)
