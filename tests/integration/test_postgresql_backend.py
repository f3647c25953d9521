"""A job table on a PostgreSQL server whose other users hold it up, or use its database for something else."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from orchestrator.errors import HomeError, UsageError
from orchestrator.jobs import (
    JobState,
    Lease,
    WorkerInfo,
)
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends import postgresql
from orchestrator.jobtable.backends.postgresql import PostgresqlBackend
from orchestrator.jobtable.schema.tables import metadata
from orchestrator.planning.planner import Plan
from tests.support.jobtable_backends import artifact
from tests.support.postgres_server import fresh_database
from tests.support.processes import PATIENCE_SECONDS, wait_until


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    with fresh_database(postgres) as url:
        yield url


@contextmanager
def opened(database: str) -> Iterator[JobTable]:
    with closing(PostgresqlBackend(database)) as backend:
        yield JobTable(backend, "the database")


@pytest.fixture
def table(database: str, small_plan: Plan) -> Iterator[JobTable]:
    with opened(database) as table:
        table.create()
        table.publish(small_plan, {name: artifact(name) for name in (*small_plan.shard_names, small_plan.test_name)})
        yield table


def claimed(table: JobTable) -> Lease:
    lease = table.claim(WorkerInfo("w1"))
    assert lease is not None, "there should be a job to claim"
    return lease


class OtherUser:
    """A session of somebody else's, who locks the jobs until `let_go`."""

    def __init__(self, database: str) -> None:
        self._holding = psycopg.connect(database)
        self._watching = psycopg.connect(database, autocommit=True)

    def lock(self) -> None:
        self.execute("LOCK TABLE jobs IN EXCLUSIVE MODE")

    def is_waited_for(self) -> bool:
        sessions = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        found = self._watching.execute(f"SELECT count(*) {sessions}".encode()).fetchone()
        return found is not None and found[0] > 0

    def execute(self, statement: str) -> None:
        self._holding.execute(statement.encode())

    def let_go(self) -> None:
        self._holding.commit()

    def close(self) -> None:
        self._holding.close()
        self._watching.close()


@pytest.fixture
def other(table: JobTable, database: str) -> Iterator[OtherUser]:  # noqa: ARG001  (there is a table to lock)
    with closing(OtherUser(database)) as other:
        yield other


def test_a_retry_that_waited_finds_the_job_as_others_left_it(table: JobTable, other: OtherUser, database: str) -> None:
    job = table.jobs()[0]
    other.execute(f"UPDATE jobs SET state = 'quarantined' WHERE id = '{job.id}'")
    other.let_go()
    other.lock()
    other.execute(f"UPDATE jobs SET state = 'cancelled' WHERE id = '{job.id}'")
    told: list[str] = []

    def retry() -> None:
        with opened(database) as another, pytest.raises(UsageError) as refused:
            another.retry(job.id)
        told.append(str(refused.value))

    thread = threading.Thread(target=retry)
    thread.start()
    wait_until(other.is_waited_for, "the retry's turn")
    other.let_go()
    thread.join(PATIENCE_SECONDS)
    assert "only a quarantined job can be retried" in told[0]
    assert table.job(job.id).state is JobState.CANCELLED


def test_while_a_claim_waits_for_the_server_the_other_threads_go_on(table: JobTable, other: OtherUser) -> None:
    other.lock()
    seen: list[bool] = []

    def look_and_let_go() -> None:
        wait_until(other.is_waited_for, "the claim's turn")
        seen.append(True)
        other.let_go()

    thread = threading.Thread(target=look_and_let_go)
    thread.start()
    claimed(table)
    thread.join(PATIENCE_SECONDS)
    assert seen == [True]


def test_what_others_hold_for_long_is_told_and_can_be_used_afterwards(
    other: OtherUser, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "LOCKED_SECONDS", 0.2)
    with opened(database) as table:
        other.lock()
        with pytest.raises(HomeError, match=r"others have held it for 0\.2 s; run the command again"):
            table.claim(WorkerInfo("w1"))
        other.let_go()
        claimed(table)


@pytest.mark.usefixtures("table")
def test_what_sqlite_indexes_in_part_is_indexed_in_part(database: str) -> None:
    indexes = (index for table in metadata.tables.values() for index in table.indexes)
    partial = {index.name for index in indexes if index.dialect_options["sqlite"]["where"] is not None}
    with psycopg.connect(database) as connection:
        told = connection.execute("SELECT indexname FROM pg_indexes WHERE indexdef LIKE '% WHERE %'")
        assert {name for (name,) in told} == partial != set()


INTERRUPTED = """
import sys
from orchestrator.jobs import WorkerInfo
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.postgresql import PostgresqlBackend
table = JobTable(PostgresqlBackend(sys.argv[1]), "the database")
table.release(table.claim(WorkerInfo("w1")))
print("ready", flush=True)
sys.stdin.readline()
try:
    table.claim(WorkerInfo("w1"))
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.stdin.readline()
    print(table.claim(WorkerInfo("w1")) is not None)
"""


def test_a_claim_that_is_interrupted_while_it_waits_leaves_nothing_behind(other: OtherUser, database: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as claiming:
        assert claiming.stdout is not None and claiming.stdin is not None
        assert claiming.stdout.readline() == "ready\n"
        other.lock()
        claiming.stdin.write("\n")
        claiming.stdin.flush()
        wait_until(other.is_waited_for, "the claim's turn")
        claiming.send_signal(signal.SIGINT)
        assert claiming.stdout.readline() == "interrupted\n"
        other.let_go()
        told, _ = claiming.communicate("\n", timeout=PATIENCE_SECONDS)
    assert told == "True\n"


@pytest.mark.parametrize("foreign", ["jobs", "study", "outputs"])
def test_a_database_with_tables_of_another_program_is_left_alone(database: str, foreign: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {foreign} (subject text)".encode())
    with opened(database) as table, pytest.raises(HomeError, match="another program's"):
        table.create()


def test_a_table_that_was_changed_under_a_connection_is_told_and_can_be_used_afterwards(
    table: JobTable, database: str
) -> None:
    for _ in range(10):  # psycopg has the server prepare what came five times
        table.release(claimed(table))
    with psycopg.connect(database) as newer:
        newer.execute("ALTER TABLE data ALTER size TYPE numeric")
        newer.execute("ALTER TABLE data ALTER size TYPE integer")
    with pytest.raises(HomeError, match="newer Orch has changed the table meanwhile; run the command again"):
        table.claim(WorkerInfo("w1"))
    claimed(table)
