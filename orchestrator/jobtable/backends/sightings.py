"""Which states of a job table were seen before: a snapshot that somebody restored must not be taken for the newest.

Only of tables that are swapped as a whole; a database has no older version to be put back unseen.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from models.files import replace_file


class Sightings(Protocol):
    """What is remembered, and where, is for who makes it.

    Threads: a backend calls one method after another, though not always on the same thread.
    """

    accept_rollback: bool
    """Whether a person has said that an older state is meant."""

    def highest(self) -> int:
        """The highest generation that anybody is known to have seen; 0 if nothing is known.  Raises HomeError."""
        ...

    def note(self, generation: int) -> None:
        """This one is seen now."""
        ...


class _NoSightings:
    accept_rollback = False

    def highest(self) -> int:
        return 0

    def note(self, generation: int) -> None:
        """Nobody asks for it."""


NO_SIGHTINGS: Sightings = _NoSightings()

SEEN_FILE = Path(".orch.seen.json")
"""Beside the note of `orch plan`: the highest generation of each home that a command here was shown."""


class SeenHere:
    """What the commands in this directory were shown of one home."""

    def __init__(self, url: str, *, accept_rollback: bool = False) -> None:
        self.accept_rollback = accept_rollback
        self._url = url
        self._kept = False
        """Whether what this process was shown first is kept for the next one."""

    def highest(self) -> int:
        return _kept().get(self._url, 0)

    def note(self, generation: int) -> None:
        """Once a process, which every command is."""
        if not self._kept:
            self._kept = True
            _keep(self._url, generation)


def _kept() -> dict[str, int]:
    with suppress(OSError, ValueError):
        kept = json.loads(SEEN_FILE.read_text(encoding="utf-8"))
        return {url: seen for url, seen in kept.items() if isinstance(seen, int)} if isinstance(kept, dict) else {}
    return {}


def _keep(url: str, generation: int) -> None:
    """Where a command may write; elsewhere nothing is remembered."""
    with suppress(OSError):
        replace_file(SEEN_FILE, (json.dumps({**_kept(), url: generation}) + "\n").encode(), parents=False)
