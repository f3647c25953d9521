"""Which states of a job table were seen before: a snapshot that somebody restored must not be taken for the newest.

Only of tables that are swapped as a whole; a database has no older version to be put back unseen.
"""

from __future__ import annotations

from typing import Protocol


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
