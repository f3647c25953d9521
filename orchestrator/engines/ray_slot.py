"""When another worker takes the place of one that has ended, in a pool on Ray; needs no Ray.

Ray itself starts a task again whose node or process was lost.  Of a worker's own exit code it knows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.errors import ExitCode

_LONG_SECONDS = 600.0
"""A worker that has lived so long was well: what came before it is forgotten."""

_BRIEF_SECONDS = 60.0
"""One that ends sooner has done nothing, though it be with 75: it can do none of what is left, for example."""

_LONGEST_PAUSE_SECONDS = 300.0

_FAILURES = 10
"""After so many in a row, eight minutes of pauses, the slot is given up: a person should look."""


@dataclass(frozen=True)
class Slot:
    """The place of one worker in a pool, and how those that had it ended."""

    strikes: int = 0
    """How many in a row failed or ended at once."""
    failed: bool = False
    """Whether the last one did."""

    def after(self, code: int, seconds: float) -> Slot:
        """One more has ended with this exit code, after so long."""
        failed = code not in (ExitCode.DONE, ExitCode.TRY_LATER)
        before = 0 if seconds >= _LONG_SECONDS else self.strikes
        return Slot(before + 1 if failed or seconds < _BRIEF_SECONDS else 0, failed)

    @property
    def pause_seconds(self) -> float:
        """How long the slot is left empty."""
        return min(2.0 ** (self.strikes - 1), _LONGEST_PAUSE_SECONDS) if self.strikes else 0.0

    @property
    def is_given_up(self) -> bool:
        return self.failed and self.strikes >= _FAILURES
