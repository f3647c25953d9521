"""What every kind of home offers before it is open, and what it is made of when it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.artifacts import ArtifactStore
from orchestrator.jobtable import JobTable

READS_GOOD_FOR_SECONDS = 10.0
"""A worker reads the table several times between two claims; of a table that is swapped as a whole, every look that is
younger costs no request.
"""


@dataclass(frozen=True)
class LeaseSeconds:
    """For how long a worker of this home may be silent and still keep its job.

    Short leases let a dead worker's job go on sooner.  Of the three renewals that fit into one, two may fail: so each
    must have come to its end, well or not, before the next is due.
    """

    usual: float
    """If the study does not say."""
    least: float
    """With less, a worker that is alive but slow loses its job."""


@dataclass(frozen=True)
class Parts:
    """What an open home consists of."""

    url: str
    """As anybody may see it: without a password."""
    jobs: JobTable
    """On a service that swaps it a read may be `READS_GOOD_FOR_SECONDS` old; after `jobs.refresh()` the next one is of
    now.
    """
    artifacts: ArtifactStore
    directory: Path | None
    """What the home is on this machine, if it is a directory."""
    shares_artifacts: bool
    """Whether other homes may have files in the same store."""
    leases: LeaseSeconds


class Kind(Protocol):
    """A home that is not open yet, and perhaps not there."""

    url: str

    @property
    def absence(self) -> str:
        """What to tell somebody who takes it for there when it is not, in a sentence."""
        ...

    def exists(self) -> bool: ...

    def make(self, name: str) -> None:
        """All that the job table and the store need to be made in."""
        ...

    def unmake(self) -> None:
        """Take back what `make` made, where nobody can have anything of their own in it."""
        ...

    def parts(self) -> Parts: ...


def not_made(url: str) -> str:
    """The usual `absence`."""
    return f"There is no home at {url}; `orch plan` makes one, --home names another."
