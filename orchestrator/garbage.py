"""What `orch gc` does: delete files of a home's store that no row of its job table names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.artifacts import Stored
from orchestrator.home import Home

SAFE_HOURS = 24.0
"""A worker names what it has uploaded within minutes; one that was cut off may come back within its session."""


@dataclass(frozen=True)
class Swept:
    """What was deleted, or would be."""

    files: int
    size: int
    """Bytes."""


def sweep(home: Home, older_than_hours: float = SAFE_HOURS, *, dry_run: bool = False) -> Swept:
    """Delete what nobody names, is older than that, and is this account's to delete.

    Raises:
        StoreError, HomeError: the store or the table cannot be reached; what was deleted by then was garbage.
    """
    garbage = unreferenced(home, older_than_hours)
    if dry_run:
        return _swept(garbage)

    def is_garbage(stored: Stored) -> bool:
        # It is old still: it was not put again since.  And nobody has named it since all names were read.
        return _is_old(stored, older_than_hours) and not home.jobs.is_referenced(stored.artifact.location)

    return _swept([stored for stored in garbage if home.artifacts.discard(stored, is_garbage)])


def unreferenced(home: Home, older_than_hours: float) -> list[Stored]:
    """What is old and what no row refers to: in the end the store asks again, right before it deletes."""
    # First the files, then the names: what is uploaded in between is not looked at, what is named in between is kept.
    old = [stored for stored in home.artifacts.stored() if _is_old(stored, older_than_hours)]
    referenced = home.jobs.referenced_locations()
    return [stored for stored in old if stored.artifact.location not in referenced]


def _is_old(stored: Stored, hours: float) -> bool:
    return stored.age_seconds > hours * 3600


def _swept(garbage: Sequence[Stored]) -> Swept:
    return Swept(len(garbage), sum(stored.artifact.size for stored in garbage))
