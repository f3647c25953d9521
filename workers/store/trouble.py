"""Trouble with the store: what a session asks it again and when, and for how long the store has had no room."""

from __future__ import annotations

import math
import time

from orchestrator.artifacts import StoreFull
from orchestrator.errors import OrchError
from workers.inbox import FetchDue, UploadDue


class StoreTrouble:
    """Pure bookkeeping, in times of the monotonic clock; what is done about it is `workers.session`."""

    def __init__(self) -> None:
        self.shortage: str | None = None
        """What the store said that is full, or nearly, for `orch status` to tell."""
        self.full: StoreFull | None = None
        """What the store said when it first had no room for a file, if it has taken none since."""
        self._full_since = math.inf
        self._due: dict[UploadDue | FetchDue, float] = {}

    def answered(self, shortage: str | None, refused: OrchError | None = None) -> None:
        """Note that the store has taken what was uploaded, or that it refused it and how."""
        self.shortage = shortage
        if refused is None:
            self.full, self._full_since = None, math.inf
        elif isinstance(refused, StoreFull) and self.full is None:
            self.full, self._full_since = refused, time.monotonic()

    def gives_up_at(self, patience: float) -> float:
        """When there will have been no room for `patience` seconds; at once, if nobody can make any."""
        return self._full_since if self.full is not None and self.full.for_good else self._full_since + patience

    def ask_again(self, again: UploadDue | FetchDue, seconds: float) -> None:
        self._due[again] = time.monotonic() + seconds

    def is_waiting(self, again: UploadDue | FetchDue) -> bool:
        return again in self._due

    @property
    def next_due(self) -> float:
        return min(self._due.values(), default=math.inf)

    def take_due(self) -> UploadDue | FetchDue | None:
        """What is due by now; it is given once."""
        now = time.monotonic()
        again = next((again for again, due in self._due.items() if now >= due), None)
        if again is not None:
            del self._due[again]
        return again
