"""An outage of the home: it is told once, tried ever more rarely, and given up where only a person could end it."""

from __future__ import annotations

import time
from collections.abc import Callable

from orchestrator.backoff import longest_pause
from orchestrator.errors import HomeClosed, HomeError, SignInNeeded
from workers.console import Console

_FIRST_PAUSE_SECONDS = 2.0
"""The first pause is short, because a lease may be of seconds."""
_LONGEST_PAUSE_SECONDS = 60.0
"""The last pauses are long enough that hundreds of workers hinder no recovery."""

PERSON_SECONDS = 3600.0
"""How long a worker waits for what only a person can do: sign in again, share or restore the folder, make room.

The person may be at lunch; a GPU that is idle for longer is worse than a worker that has to be started again.
"""
UNMENDABLE_SECONDS = 60.0
"""How long a worker waits for a sign-in in a notebook, where signing in runs the cell again and so ends this worker.

The worker does not end at once, because a service may be wrong about one request.
"""


class Outage:
    """What a worker knows of its home's trouble, if there is any.  For the main thread."""

    def __init__(self, console: Console, wait: Callable[[float], None], *, in_notebook: bool) -> None:
        """`wait` is for so many seconds, or until the worker is asked to stop."""
        self._console = console
        self._in_notebook = in_notebook
        self.wait = wait
        self._failures = 0
        """How many operations in a row have failed."""
        self._closed_since: float | None = None
        self._told: set[type[HomeError]] = set()

    def met(self, error: HomeError, lease_seconds: float | None = None) -> float:
        """Note that an operation failed.  Returns the seconds after which to try again: a lease is renewed in time.

        Raises:
            the error, if nobody has mended it for so long that nobody will.
        """
        now = time.monotonic()
        if isinstance(error, HomeClosed):
            self._closed_since = now if self._closed_since is None else self._closed_since
            if now - self._closed_since >= self._patience(error):
                raise error
        if type(error) not in self._told:
            self._told.add(type(error))
            lasts = f" for {self._patience(error) / 60:.0f} min" if isinstance(error, HomeClosed) else ""
            self._console.say(f"{error} This worker tries again{lasts}, ever more rarely.")
        self._failures += 1
        pause = longest_pause(self._failures, _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        return pause if lease_seconds is None else min(pause, max(_FIRST_PAUSE_SECONDS, lease_seconds / 3))

    def over(self) -> None:
        """Note that an operation succeeded."""
        if self._told:
            self._console.say("The home can be reached again.")
        self._failures, self._closed_since = 0, None
        self._told.clear()

    def _patience(self, error: HomeClosed) -> float:
        return UNMENDABLE_SECONDS if self._in_notebook and isinstance(error, SignInNeeded) else PERSON_SECONDS
