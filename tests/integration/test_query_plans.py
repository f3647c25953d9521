"""The hot statements find their rows by index, however many jobs there are: asserted on what the databases plan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import insert

from orchestrator.jobtable import JobTable, claiming, settling
from orchestrator.jobtable.place import Place
from orchestrator.jobtable.postgresql import PostgresqlPlace
from orchestrator.jobtable.prepared import Prepared
from orchestrator.jobtable.schema import jobs
from orchestrator.jobtable.sqlite import SqlitePlace
from tests.postgres_server import fresh_database

STATEMENTS = {
    "the best ready job": (claiming.BEST_READY, "ready_by_path"),
    "the best of a worker's own": (claiming.OWN_READY, "ready_by_affinity"),
    "expired leases": (settling.EXPIRED, "running_by_expiry"),
}
VALUES = {"now": 1.0, "worker": "w", "path": 3}


def filled(place: Place) -> Place:
    """A table of mostly done jobs, as in the middle of a large study, so that an index is worth its while."""
    JobTable(place, "here").create()
    with place.transaction() as connection:
        connection.execute(insert(jobs), [row(number) for number in range(5000)])
    return place


def row(number: int) -> dict[str, Any]:
    done = number % 100 != 0
    return {
        "id": f"{number:032x}",
        "name": f"job{number}",
        "stage": "compress",
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


def plan(place: Place, statement: Prepared, explain: str) -> str:
    """What the database says it would do for the very text that the hot path sends."""
    with place.transaction() as connection:
        sql, arranged = statement.for_driver(connection.dialect)
        driver: Any = connection.connection.driver_connection
        rows = driver.execute(f"{explain} {sql}", arranged(VALUES)).fetchall()
    return "\n".join(" ".join(map(str, row)) for row in rows)


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with closing(SqlitePlace(tmp_path_factory.mktemp("plans") / "jobs.db")) as place:
        yield filled(place)


@pytest.fixture(scope="module")
def postgresql(postgres: str) -> Iterator[Place]:
    with fresh_database(postgres) as url, closing(PostgresqlPlace(url)) as place:
        filled(place)
        with place.transaction() as connection:
            connection.exec_driver_sql("ANALYZE jobs")
        yield place


@pytest.mark.parametrize("what", STATEMENTS)
def test_sqlite_finds_by_index(what: str, sqlite: Place) -> None:
    statement, index = STATEMENTS[what]
    told = plan(sqlite, statement, "EXPLAIN QUERY PLAN")
    assert f"USING INDEX {index}" in told
    assert "USE TEMP B-TREE" not in told, "the rows come in the wanted order: nothing is sorted"


@pytest.mark.parametrize("what", STATEMENTS)
def test_postgresql_finds_by_index(what: str, postgresql: Place) -> None:
    statement, index = STATEMENTS[what]
    told = plan(postgresql, statement, "EXPLAIN")
    assert index in told
    assert "Seq Scan" not in told
