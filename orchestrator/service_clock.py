"""A service's clock, told by the `Date` of its answers (RFC 9110, section 6.6.1)."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime


class ServiceClock:
    """What time it is at a service, from its last answer and this machine's monotonic clock since then."""

    def __init__(self) -> None:
        self._ahead: float | None = None
        """Seconds that the service's clock is ahead of the monotonic clock."""

    def note(self, date: str | None) -> None:
        """An answer with this header has just arrived; one without it, or with nonsense in it, says nothing."""
        try:
            told = parsedate_to_datetime(date or "").timestamp()
        except ValueError:
            return
        # The header has no fractions: on average half a second has passed since its second began.
        self._ahead = told + 0.5 - time.monotonic()

    def now(self) -> float:
        """Seconds since 1970; by this machine's clock before the first answer."""
        return time.time() if self._ahead is None else self._ahead + time.monotonic()
