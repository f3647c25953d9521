"""What befalls requests: deterministic, and counted from the moment it is asked for."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection
from enum import Enum


class Fault(Enum):
    ERROR_BEFORE = "503, and nothing has happened"
    ERROR_AFTER = "503, although it was done"
    CUT_BEFORE = "the connection is closed, and nothing has happened"
    CUT_AFTER = "it was done, and the connection is closed without an answer"
    CUT_IN_BODY = "half of the answer's body, then the connection is closed"
    CORRUPT = "one bit of what is downloaded is another"
    RATE_LIMIT = "403 userRateLimitExceeded"
    TOO_MANY = "429"
    FULL = "403 storageQuotaExceeded"
    UNAUTHORIZED = "401"
    STALE_ETAG = "the file has another version, without cause"
    HTML = "502 with a page for people"
    PORTAL = "200 with a page for people, and nothing has happened"
    SLOW = "the answer takes long"


Predicate = Callable[[str, str], bool]
"""Whether a request with this method and path is meant."""


class Faults:
    """Asked once for every request, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.slow_seconds = 0.2
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._asked = 0
            self._at: dict[int, Fault] = {}
            self._every: list[tuple[Predicate, Fault]] = []
            self._random: tuple[random.Random, float, list[Fault]] | None = None
            self.met = 0
            """How many requests a fault has befallen."""

    def at(self, number: int, fault: Fault) -> None:
        """The request of this number from now on; 1 is the next."""
        with self._lock:
            self._at[self._asked + number] = fault

    def every(self, predicate: Predicate, fault: Fault) -> None:
        with self._lock:
            self._every.append((predicate, fault))

    def at_random(self, rate: float, seed: int, kinds: Collection[Fault]) -> None:
        with self._lock:
            self._random = random.Random(seed), rate, list(kinds)

    def next(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self._asked += 1
            fault = self._at.pop(self._asked, None) or self._of_all(method, path)
            self.met += fault is not None
            return fault

    def _of_all(self, method: str, path: str) -> Fault | None:
        for predicate, fault in self._every:
            if predicate(method, path):
                return fault
        if self._random is not None:
            generator, rate, kinds = self._random
            if generator.random() < rate:
                return generator.choice(kinds)
        return None
