"""The room of a store: whether the account that a worker is signed in with can keep what jobs make."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestrator.artifacts import ArtifactStore, StoreFull
from orchestrator.errors import OrchError
from workers.outage import PERSON_SECONDS

_SECONDS_BETWEEN_LOOKS = 600.0
"""A look takes as long as an upload, and whoever makes room does so within minutes or not today."""


class Room:
    """There is room until a store says otherwise; from then on it is looked at now and then.  For one thread."""

    def __init__(self, store: ArtifactStore, directory: Callable[[], Path]) -> None:
        """`directory` tells where on this machine a file to try with may lie."""
        self._store = store
        self._directory = directory
        self._full: StoreFull | None = None
        self._since = 0.0
        self._looked = 0.0

    def lacks(self, full: StoreFull) -> None:
        """Note that a file could not be kept."""
        self._full = full
        self._since = self._looked = time.monotonic()

    def doubt(self) -> None:
        """The store says that it is short: see whether it takes anything at all, before a job is done for nothing."""
        if (full := self._refusal(1)) is not None:
            self.lacks(full)

    def is_lacking(self) -> bool:
        """Whether no job can be taken now; the store is asked when it is time for that."""
        now = time.monotonic()
        if self._full is not None and now - self._looked >= _SECONDS_BETWEEN_LOOKS:
            self._looked = now
            self._full = self._refusal(self._full.size)
        return self._full is not None

    @property
    def is_hopeless(self) -> bool:
        """Whether nobody can make room, or nobody has for long."""
        return self._full is not None and (self._full.for_good or time.monotonic() - self._since >= PERSON_SECONDS)

    def _refusal(self, size: int) -> StoreFull | None:
        """How the store refuses a file of this size, if it does; what it said last, if it cannot be asked now.

        The file is put and deleted again: what an account says of its storage is late, and leaves out what it has in
        common with others.
        """
        file = self._directory() / "probe"
        try:
            with file.open("wb") as stream:
                stream.truncate(size)
            kept = self._store.put(file)
        except StoreFull as full:
            return full
        except (OSError, OrchError):
            return self._full
        finally:
            file.unlink(missing_ok=True)
        with suppress(OrchError):  # it is garbage then, and never damage
            self._store.delete(kept)
        return None
