"""The contract of a file that is replaced by compare-and-set: all that the snapshot backend needs of a service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Conflict(Exception):
    """The file is not, or perhaps not, the version that was to be replaced: read it, and decide again.

    A service may say so without another's doing, and of a replacement that did happen but whose answer was lost.
    """


@dataclass(frozen=True)
class Version:
    """One state of the file, as the service tells it apart from those before."""

    tag: str
    """What `replace` is bound to.  A service may give a new one to the same content."""
    digest: str
    """The digest of the content: who has read one of this digest need not read it again."""


class ConditionalFile(Protocol):
    """One small file that several machines replace.

    Every method raises HomeError when the service cannot be reached or refuses; after one by `replace` it has happened
    or not, and may even happen later.

    Threads: a backend calls one method after another, though not always on the same thread; only `__str__` may be
    called by any thread at any time.
    """

    def version(self) -> Version:
        """What is there now: never one from before a replacement that was confirmed to anybody."""
        ...

    def read(self) -> tuple[bytes, Version]:
        """The content, checked against the service's checksum, and its version."""
        ...

    def replace(self, content: bytes, version: Version) -> Version:
        """Put a new content in the place of this version; returns the new version.  Raises Conflict."""
        ...

    def now(self) -> float:
        """Seconds since 1970 by the service's clock, which all machines share."""
        ...

    def __str__(self) -> str:
        """Where it is, as a person names it."""
        ...
