"""The hot statements find their rows by index, however many jobs there are: asserted on what the databases plan."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.backend import Backend
from orchestrator.jobtable.backends.postgresql import PostgresqlBackend
from orchestrator.jobtable.backends.sqlite import SqliteBackend
from orchestrator.jobtable.backends.statement import Statement
from orchestrator.jobtable.schema.tables import edges, jobs
from orchestrator.jobtable.transactions import claim, complete, copies, leases, speculation
from tests.support.postgres_server import fresh_database

STATEMENTS = {
    "the best ready job": (claim.BEST_READY, "ready_by_path"),
    "the best of a worker's own": (claim.OWN_READY, "ready_by_affinity"),
    "expired leases": (leases.EXPIRED, "running_by_expiry"),
    "longest lease": (leases.LONGEST_LEASE, "running_by_expiry"),
    "expired speculative attempts": (leases.EXPIRED_SPECULATION, "running_by_expiry"),
    "what could be late": (speculation.CANDIDATES, "running_by_expiry"),
}
NOW_AND_THEN = {
    "benchmarks to copy": copies.ORIGINALS,
    "copies of benchmarks": copies.COPIES,
}
"""What an idle worker looks at: all that there are, and no other job."""
BY_KEY = {
    "leasing": claim.LEASE,
    "opening an attempt": claim.OPEN_ATTEMPT,
    "completing": complete.DONE,
    "closing an attempt": leases.CLOSE_ATTEMPT,
    "closing the attempts of others": complete.SUPERSEDE,
    "what the trainings of a merge took": speculation.SIBLINGS,
    "finding children": complete.CHILDREN,
    "counting a parent off": complete.PARENT_DONE,
    "dropping checkpoints": complete.DROP_CHECKPOINTS,
}


def filled(backend: Backend) -> Backend:
    """A table of mostly done jobs, as in the middle of a large study, so that an index is worth its while."""
    JobTable(backend, "here").create()

    def fill(connection: Connection) -> None:
        connection.execute(insert(jobs), [row(number) for number in range(5000)])
        chain = [{"parent": f"{number:032x}", "child": f"{number + 1:032x}"} for number in range(4999)]
        connection.execute(insert(edges), chain)
        backend.analyze(connection)

    backend.transact(fill)
    return backend


def row(number: int) -> dict[str, Any]:
    done = number % 100 != 0
    return {
        "id": f"{number:032x}",
        "name": f"job{number}",
        "stage": "compress" if number % 500 else "benchmark",
        "model": "m",
        "steps": 0,
        "spec": {},
        "inputs": {},
        "planned": True,
        "state": "done" if done else "ready",
        "metrics": {} if done else None,
        "undone_parents": 0,
        "remaining_path": number % 7,
        "lease_seconds": 60.0,
        "tries": 3,
    }


def sqlite_plan(backend: Backend, statement: Statement) -> str:
    with backend.reading() as connection:
        sql = statement.sql(connection.dialect)
        found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (None,) * sql.count("?")).all()
    return "\n".join(row.detail for row in found)


def postgresql_plan(backend: Backend, statement: Statement) -> str:
    """The plan of the statement as the server keeps it prepared: one plan for all values."""

    def explained(connection: Connection) -> Sequence[str]:
        sql = statement.sql(connection.dialect)
        names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
        numbered = sql % {name: f"${number}" for number, name in enumerate(names, 1)}
        connection.exec_driver_sql(f"PREPARE explained AS {numbered}")
        values = f"({', '.join(['NULL'] * len(names))})" if names else ""
        found = connection.exec_driver_sql(f"EXPLAIN EXECUTE explained{values}").scalars().all()
        connection.exec_driver_sql("DEALLOCATE explained")
        return found

    return "\n".join(backend.transact(explained))


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with closing(SqliteBackend(tmp_path_factory.mktemp("plans") / "jobs.db")) as backend:
        yield filled(backend)


@pytest.fixture(scope="module")
def postgresql(postgres: str) -> Iterator[Backend]:
    with fresh_database(postgres) as url, closing(PostgresqlBackend(url)) as backend:
        filled(backend)
        yield backend


@pytest.mark.parametrize("what", STATEMENTS)
def test_sqlite_finds_by_index(what: str, sqlite: Backend) -> None:
    statement, index = STATEMENTS[what]
    told = sqlite_plan(sqlite, statement)
    assert f"USING INDEX {index}" in told
    assert "USE TEMP B-TREE" not in told, "the rows come in the wanted order: nothing is sorted"


@pytest.mark.parametrize("what", STATEMENTS)
def test_postgresql_finds_by_index(what: str, postgresql: Backend) -> None:
    statement, index = STATEMENTS[what]
    told = postgresql_plan(postgresql, statement)
    assert index in told
    assert "Seq Scan" not in told and "Sort" not in told


@pytest.mark.parametrize("what", NOW_AND_THEN)
def test_an_idle_worker_looks_at_benchmarks_alone(what: str, sqlite: Backend, postgresql: Backend) -> None:
    assert "INDEX benchmarks" in sqlite_plan(sqlite, NOW_AND_THEN[what])
    told = postgresql_plan(postgresql, NOW_AND_THEN[what])
    assert "benchmarks" in told and "Seq Scan" not in told


@pytest.mark.parametrize("what", BY_KEY)
def test_sqlite_writes_by_key(what: str, sqlite: Backend) -> None:
    told = sqlite_plan(sqlite, BY_KEY[what]).replace("SCAN CONSTANT ROW", "")
    assert "SEARCH" in told and "SCAN" not in told


@pytest.mark.parametrize("what", BY_KEY)
def test_postgresql_writes_by_key(what: str, postgresql: Backend) -> None:
    told = postgresql_plan(postgresql, BY_KEY[what])
    assert "Index" in told and "Seq Scan" not in told
