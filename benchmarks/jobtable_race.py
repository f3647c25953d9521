"""A race of worker processes over one job queue: started together, timed on one clock, every delivery counted.

What lives here: how a queue is measured, whosever it is. What does not: any queue.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from multiprocessing.synchronize import Barrier
from typing import Protocol


class Peer(Protocol):
    """A job queue under measurement; pickled into each process."""

    @property
    def name(self) -> str: ...

    @property
    def durability(self) -> str:
        """What a commit survives, in the database's own word (`NORMAL`, `FULL`, `default`)."""

    def prepare(self, jobs: int) -> None:
        """Makes an empty queue, whatever was there before, and publishes jobs 0 to `jobs` - 1."""

    def claim_all(self, race: Race) -> list[int]:
        """Opens its connection, then, inside `with race`, claims and completes until nothing is left; what it got."""


@dataclass
class Race:
    """The clock of one process: entering waits until all processes are connected, leaving notes the end.

    `time.monotonic` reads one clock for all processes of a machine (CLOCK_MONOTONIC on Linux).
    """

    start: Barrier
    started: float = field(default=0.0, init=False)
    ended: float = field(default=0.0, init=False)

    def __enter__(self) -> None:
        self.start.wait()
        self.started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.ended = time.monotonic()


@dataclass(frozen=True)
class Shift:
    """What one process did: the ids that it claimed and completed, in order, and when, in monotonic seconds."""

    claimed: list[int]
    started: float
    ended: float


@dataclass(frozen=True)
class Outcome:
    """One measurement of one peer."""

    jobs: int
    shifts: list[Shift]

    @property
    def seconds(self) -> float:
        """From the barrier to the end of the last process."""
        return max(shift.ended for shift in self.shifts) - min(shift.started for shift in self.shifts)

    @property
    def jobs_per_second(self) -> float:
        return self.jobs / self.seconds

    @property
    def delivered_twice(self) -> int:
        """Jobs that were handed out more than once, to one process or to several."""
        return sum(times > 1 for times in self._deliveries.values())

    @property
    def never_delivered(self) -> int:
        return self.jobs - len(self._deliveries)

    @property
    def _deliveries(self) -> Counter[int]:
        return Counter(chain.from_iterable(shift.claimed for shift in self.shifts))


def measure(peer: Peer, jobs: int, processes: int) -> Outcome:
    """Publishes `jobs` jobs and lets `processes` new processes drain them, started together.

    Imports and connections are over before the clock starts. Raises what any process raised.
    """
    peer.prepare(jobs)
    return Outcome(jobs, work(peer, processes))


def work(peer: Peer, processes: int) -> list[Shift]:
    """Drains a prepared peer with `processes` spawned processes; one shift each."""
    spawn = multiprocessing.get_context("spawn")
    # The time-out ends the others when one process died before the start.
    barrier = spawn.Barrier(processes, timeout=60)
    with ProcessPoolExecutor(processes, spawn, initializer=_enter, initargs=(barrier,)) as pool:
        # Nobody is done before all have begun (the barrier), so each process gets exactly one shift.
        return [shift.result() for shift in [pool.submit(_one_shift, peer) for _ in range(processes)]]


def _enter(barrier: Barrier) -> None:
    # A barrier travels only to a process being started, not inside a task.
    global _start
    _start = barrier


def _one_shift(peer: Peer) -> Shift:
    race = Race(_start)
    claimed = peer.claim_all(race)
    return Shift(claimed, race.started, race.ended)


_start: Barrier
