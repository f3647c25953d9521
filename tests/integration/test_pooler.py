"""Behind a connection pooler that gives every transaction another server process, workers work."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from orchestrator.jobs import (
    Ending,
    JobState,
    WorkerInfo,
)
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.postgresql import PostgresqlBackend
from tests.support.jobtable_backends import (
    artifact,
    complete,
    plan_of,
    planned_job,
)
from tests.support.pooler import needed, pooled
from tests.support.postgres_server import fresh_database

JOBS = 40
WORKERS = 6
"""More than the pooler has connections to the server."""


@pytest.fixture
def pooler(postgres: str) -> Iterator[str]:
    program = needed()
    with fresh_database(postgres) as database, pooled(database, program) as url:
        yield url


def test_every_job_is_done_once_by_workers_that_share_a_poolers_connections(pooler: str) -> None:
    with closing(PostgresqlBackend(pooler)) as backend:
        table = JobTable(backend, "here")
        table.create()
        table.publish(plan_of([planned_job(f"job{number}") for number in range(JOBS)], seconds=60.0))
        with ThreadPoolExecutor(WORKERS) as workers:
            list(workers.map(lambda number: _work(pooler, f"w{number}"), range(WORKERS)))
        assert {job.state for job in table.jobs()} == {JobState.DONE}
        assert [attempt.outcome for attempt in table.attempts()] == [Ending.DONE] * JOBS


def _work(url: str, name: str) -> None:
    with closing(PostgresqlBackend(url)) as backend:
        table = JobTable(backend, "here")
        while lease := table.claim(WorkerInfo(name)):
            lease = table.renew(lease, {"step": 1})
            complete(table, lease, {"model": artifact(lease.name)}, {"top1": 0.5})
