"""How long a worker that was given no job waits until it looks for one again."""

from __future__ import annotations

import time
from collections.abc import Callable

_LEAST_SECONDS = 1.0
"""A hundred workers that look so often do not burden the table, and nobody sees the delay."""

_MOST_SECONDS = 10.0
"""A thousand workers that have long had nothing to do leave the table to those that have."""

_SHARE = 0.05
"""Of the time that was waited already: so much longer does a worker wait in the end for what it waits for."""


class Idleness:
    """Grows while there is nothing to do.  For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def pause(self) -> float:
        """The seconds until the next look; the first call begins the wait."""
        if self._since is None:
            self._since = self._clock()
        return min(_MOST_SECONDS, max(_LEAST_SECONDS, _SHARE * (self._clock() - self._since)))

    def over(self) -> None:
        """There was something to do."""
        self._since = None
