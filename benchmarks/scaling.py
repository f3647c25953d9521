"""What coordination costs 10, 100 and 1,000 workers, on a job table in a directory, in PostgreSQL, and on Google Drive.

    python benchmarks/scaling.py [--minutes M] [--workers N ...]

The job table is the real one, with all of its transactions; the clock is simulated.  Jobs take two minutes, a worker
names a checkpoint every minute, and renews its lease three times in its length.  In a directory and in PostgreSQL one
transaction at a time holds the table, for as long as `benchmarks/jobtable.py` measured of a job that is completed while
the next is claimed, which is the costliest: so what is told here is an upper bound, but for the network between a
worker and its database.  Of Drive see `benchmarks/drive.py`: a request takes 150 ms.

*lost* is the share of their time that workers wait for the table; *busy* the share of the time that somebody holds it.
With `--idle N` as many workers have nothing to do, since `--idle-for S` seconds, and look whether there is something.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from drive import CHECKPOINT_SECONDS, JOB_SECONDS, SPEC, STUDY, Crew
from sqlalchemy import Connection

from models import datasets
from orchestrator.jobs import Device, Finished, Lease, PlannedJob, Stage, WorkerInfo
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.sqlite import SqliteBackend
from orchestrator.planning.planner import Plan
from workers.idleness import Idleness

MOST_ON_DRIVE = 100
"""With more, all that can be told is that it does not work: a swap of the table takes half a second."""

T = TypeVar("T")
Course = Generator[float, None, None]
"""The life of a worker: it yields how long it does something before it goes on."""


@dataclass(frozen=True)
class Place:
    """Where a table is: for how long a transaction holds it, and how long leases are there."""

    name: str
    transaction_seconds: float
    lease_seconds: float


PLACES = (Place("directory", 1 / 5017, 60.0), Place("PostgreSQL", 1 / 739, 120.0))
"""As the README's figures have it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15.0, help="of the simulated clock")
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--idle", type=int, default=0, help="so many more have nothing to do")
    parser.add_argument("--idle-for", type=float, default=0.0, metavar="S")
    parser.add_argument("--homes", nargs="+", default=["directory", "PostgreSQL", "Drive"])
    options = parser.parse_args()
    print(
        f"{'home':<12} {'workers':>7} {'idle':>5} {'transactions/s':>15} {'busy':>7} {'lost':>8} {'longest wait':>13}"
    )
    places = [place for place in PLACES if place.name in options.homes]
    for place, workers in itertools.product(places, options.workers):
        with TemporaryDirectory(prefix="orch-scaling-") as directory:
            pool = Pool(place, Path(directory), workers, options.idle, options.idle_for, options.minutes * 60)
            pool.run()
        print(
            f"{place.name:<12} {workers:>7,} {options.idle:>5} {pool.transactions / pool.seconds:>15.1f} "
            f"{pool.busy_share:>7.2%} {pool.lost_share:>8.4%} {pool.longest_wait * 1000:>10.1f} ms",
            flush=True,
        )
    on_drive = options.workers if "Drive" in options.homes and not options.idle else ()
    for workers in (each for each in on_drive if each <= MOST_ON_DRIVE):
        crew = Crew(workers, options.minutes * 60)
        crew.run()
        rate = crew.transactions / (options.minutes * 60)
        print(f"{'Drive':<12} {workers:>7,} {0:>5} {rate:>15.1f} {'':>7} {crew.lost_share:>8.4%}", flush=True)


class _Clocked(SqliteBackend):
    """A table whose clock is the simulation's."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        super().__init__(path)
        self._now = now

    def now(self, connection: Connection) -> float:  # noqa: ARG002
        return 1e9 + self._now()


class Pool:
    """Workers on one table for some time."""

    def __init__(self, place: Place, directory: Path, workers: int, idle: int, idle_for: float, seconds: float) -> None:
        self.seconds = seconds
        self.transactions = 0
        self.longest_wait = 0.0
        self._place = place
        self._workers, self._idle, self._idle_for = workers, idle, idle_for
        self._now = 0.0
        self._free_at = 0.0
        self._lost = 0.0
        self._table = JobTable(_Clocked(directory / "jobs.db", lambda: self._now), "here")

    @property
    def busy_share(self) -> float:
        return self.transactions * self._place.transaction_seconds / self.seconds

    @property
    def lost_share(self) -> float:
        return self._lost / (self._workers * self.seconds)

    def run(self) -> None:
        """Have all work until the time is over."""
        self._table.create()
        self._table.publish(_plan(self._workers * (int(self.seconds / (0.8 * JOB_SECONDS)) + 2), self._place))
        order = itertools.count()
        courses = [self._work(f"w{number}") for number in range(self._workers)]
        courses += [self._look(f"i{number}") for number in range(self._idle)]
        turns = [(0.0, next(order), course) for course in courses]
        while turns[0][0] < self.seconds:
            self._now, _, course = heapq.heappop(turns)
            heapq.heappush(turns, (self._now + next(course), next(order), course))
        self._table.close()

    def _work(self, name: str) -> Course:
        chance, worker = random.Random(name), WorkerInfo(name, capabilities=frozenset({Device.CPU, Device.GPU}))
        yield chance.uniform(0, JOB_SECONDS)  # nobody starts a thousand at the same moment
        lease: Lease | None = yield from self._timed(partial(self._table.claim, worker))
        while True:
            assert lease is not None, "there are more jobs than there is time"
            left = JOB_SECONDS * chance.uniform(0.8, 1.2)
            while left > 0:
                step = min(left, self._place.lease_seconds / 3, CHECKPOINT_SECONDS * chance.uniform(0.8, 1.0))
                yield step
                left -= step
                if left > 0:
                    lease = yield from self._timed(partial(self._table.renew, lease, {"left": left}))
            done = [Finished(lease.job, {}, {})]
            lease = (yield from self._timed(partial(self._table.complete, lease, done, worker, or_best=True))).next

    def _look(self, name: str) -> Course:
        """What a supervisor does between two jobs, with nothing that this worker could be given."""
        worker, began = WorkerInfo(name), -self._idle_for
        idleness = Idleness(lambda: self._now or began)  # at the simulation's beginning it has waited already
        yield random.Random(name).uniform(0, idleness.pause() + self._idle_for * 0.05)
        while True:
            yield from self._timed(self._table.study, of_a_worker=False)
            yield from self._timed(partial(self._table.unfinished, frozenset(), worker.capabilities), of_a_worker=False)
            claimed = yield from self._timed(partial(self._table.claim, worker), of_a_worker=False)
            assert claimed is None, "the jobs are for other devices"
            yield idleness.pause()

    def _timed(self, transaction: Callable[[], T], *, of_a_worker: bool = True) -> Generator[float, None, T]:
        """Do a transaction when those that came before are over; it takes effect at its end."""
        self._free_at = max(self._now, self._free_at) + self._place.transaction_seconds
        wait = self._free_at - self._now
        self.transactions += 1
        if of_a_worker:
            self._lost += wait
            self.longest_wait = max(self.longest_wait, wait)
        yield wait
        return transaction()


def _plan(jobs: int, place: Place) -> Plan:
    planned = (
        PlannedJob(f"{number:032x}", f"job{number}", Stage.COMPRESS, "m", 0, SPEC, {}, (), 1, requires=Device.GPU)
        for number in range(jobs)
    )
    return Plan(STUDY.with_lease_seconds(place.lease_seconds), datasets.describe("synthetic"), tuple(planned))


if __name__ == "__main__":
    main()
