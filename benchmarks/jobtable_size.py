"""What the number of jobs costs: publishing, claiming and summing up tables of 1,000 to 1,000,000 jobs.

    python benchmarks/jobtable_size.py [--largest 1000000]

Aims: 100,000 jobs published in under 10 s; a claim from a million at most twice the time of one from a thousand;
the overview that `orch status` shows in under 1 s.  The jobs come in chains of ten, so that nine in ten have an edge;
PostgreSQL is not given more than 100,000.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from jobtable import STUDY

from models import datasets
from orchestrator.jobs import (
    InputRef,
    PlannedJob,
    Stage,
    WorkerInfo,
)
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.backend import Backend
from orchestrator.jobtable.backends.postgresql import PostgresqlBackend
from orchestrator.jobtable.backends.sqlite import SqliteBackend
from orchestrator.planning.planner import Plan

sys.path.append(str(Path(__file__).parent.parent))
from tests.support.postgres_server import fresh_database, postgres_server

CLAIMS = 100
SPEC = {"model": "m", "seed": 0, "threads": 1}
CHAIN = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=1_000_000)
    largest = parser.parse_args().largest
    print(f"{'table':10} {'jobs':>10} {'publish':>10} {'again':>10} {'claim, median':>14} {'overview':>10}")
    for jobs in (1_000, 100_000, 1_000_000):
        if jobs <= largest:
            with TemporaryDirectory(prefix="orch-size-") as directory:
                _measure("sqlite", SqliteBackend(Path(directory) / "j.db"), jobs)
    with postgres_server() as server:
        for jobs in (1_000, 100_000):
            if jobs <= largest:
                with fresh_database(server) as own:
                    _measure("postgresql", PostgresqlBackend(own), jobs)


def _measure(name: str, backend: Backend, jobs: int) -> None:
    plan = Plan(STUDY, datasets.describe("synthetic"), tuple(map(_job, range(jobs))))
    with closing(backend):
        table = JobTable(backend, name)
        table.create()
        publishing = _seconds(lambda: table.publish(plan))
        again = _seconds(lambda: table.publish(plan))
        claims = [_seconds(lambda: table.claim(WorkerInfo("w"))) for _ in range(CLAIMS)]
        overview = _seconds(table.overview)
    claim = f"{median(claims) * 1e6:11.0f} us"
    print(f"{name:10} {jobs:10,} {publishing:8.2f} s {again:8.2f} s {claim} {overview:8.3f} s", flush=True)


def _job(number: int) -> PlannedJob:
    nth = number % CHAIN
    before = (f"{number - 1:032x}",) if nth else ()
    inputs = {"state": InputRef("state", *before)} if before else {}
    return PlannedJob(f"{number:032x}", f"job{number}", Stage.TRAIN, "m", 40, SPEC, inputs, before, CHAIN - nth)


def _seconds(operation: Callable[[], object]) -> float:
    began = time.perf_counter()
    operation()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
