"""What befalls requests to a server of the tests: deterministic, and counted from the moment it is asked for."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

F = TypeVar("F")

Predicate = Callable[[str, str], bool]
"""Whether a request with this method and path is meant."""


class RequestFaults(Generic[F]):
    """Asked once for every request, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.slow_seconds = 0.2
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._asked = 0
            self._at: dict[int, F] = {}
            self._every: list[tuple[Predicate, F]] = []
            self._random: tuple[random.Random, float, list[F]] | None = None
            self.met = 0
            """How many requests a fault has befallen."""

    def at(self, number: int, fault: F) -> None:
        """The request of this number from now on; 1 is the next."""
        with self._lock:
            self._at[self._asked + number] = fault

    def every(self, predicate: Predicate, fault: F) -> None:
        with self._lock:
            self._every.append((predicate, fault))

    def at_random(self, rate: float, seed: int, kinds: Collection[F]) -> None:
        with self._lock:
            self._random = random.Random(seed), rate, list(kinds)

    def next(self, method: str, path: str) -> F | None:
        with self._lock:
            self._asked += 1
            fault = self._at.pop(self._asked, None) or self._of_all(method, path)
            self.met += fault is not None
            return fault

    def _of_all(self, method: str, path: str) -> F | None:
        for predicate, fault in self._every:
            if predicate(method, path):
                return fault
        if self._random is not None:
            generator, rate, kinds = self._random
            if generator.random() < rate:
                return generator.choice(kinds)
        return None
