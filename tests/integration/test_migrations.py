"""A home that an older Orch made is brought to this one's schema when it is opened, wholly or not at all.

`schemas/` holds such homes, frozen: the tables of schemas 1 and 4 in each database, and the rows of a study half-way.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, Engine, event, inspect
from sqlalchemy.exc import ProgrammingError

from orchestrator.errors import HomeError
from orchestrator.jobs import (
    JobState,
    WorkerInfo,
)
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.backend import Backend
from orchestrator.jobtable.backends.postgresql import PostgresqlBackend
from orchestrator.jobtable.backends.sqlite import SqliteBackend
from orchestrator.jobtable.schema import tables
from orchestrator.jobtable.schema.rebuilding import replace_check
from tests.support.jobtable_backends import complete
from tests.support.postgres_server import fresh_database
from tests.support.processes import PATIENCE_SECONDS

SCHEMAS = Path(__file__).with_name("schemas")
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["pytest", "orchestrator.jobtable.schema.migration", "orchestrator.jobtable.backends.postgresql"]
)

NEW_NUMBER = "UPDATE study"
"""How the statement begins that ends every revision."""


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes an empty database at each call and returns its address: a path, or a PostgreSQL URL."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            numbers = iter(range(9))
            yield lambda: str(tmp_path / f"{next(numbers)}.db")
        else:
            server = request.getfixturevalue("postgres")
            yield lambda: stack.enter_context(fresh_database(server))


@pytest.fixture
def version() -> int:
    """The old schema: the first, unless a test names others."""
    return 1


@pytest.fixture
def old(new_database: Callable[[], str], version: int) -> str:
    """The address of a database that holds a study half-way in an old schema."""
    address = new_database()
    if on_postgresql(address):
        with psycopg.connect(address) as server:
            server.execute((SCHEMAS / f"{version}.postgresql.sql").read_bytes())
    else:
        with closing(sqlite3.connect(address)) as file:
            file.executescript(f"BEGIN; {(SCHEMAS / f'{version}.sqlite.sql').read_text()} COMMIT;")
    return address


@pytest.fixture
def backend(old: str) -> Iterator[Backend]:
    with closing(opened(old)) as backend:
        yield backend


def on_postgresql(address: str) -> bool:
    return address.startswith("postgresql:")


def opened(address: str) -> Backend:
    return PostgresqlBackend(address) if on_postgresql(address) else SqliteBackend(Path(address))


# --- what a database holds, told by itself and not by the code ---

Rows = Mapping[str, list[Mapping[str, Any]]]


def rows(backend: Backend) -> Rows:
    """All rows of all tables, by table."""
    with backend.reading() as connection:
        return {
            table: sorted(map(dict, connection.exec_driver_sql(f"SELECT * FROM {table}").mappings()), key=repr)
            for table in inspect(connection).get_table_names()
        }


IN_JOBS = {
    "needs": "cpu",
    "twin_token": None,
    "twin_worker": None,
    "twin_expires": None,
    "copy_of": None,
    "device": None,
}


def in_this_schema(old: Rows) -> Rows:
    """What an old schema's rows are after all revisions."""
    (study,) = old["study"]
    return {
        **old,
        "study": [{**study, "schema_version": tables.VERSION}],
        "jobs": [{**IN_JOBS, **job} for job in old["jobs"]],
        "attempts": [{"twin": False, **attempt} for attempt in old["attempts"]],
    }


def shape(backend: Backend) -> Mapping[str, Mapping[str, Any]]:
    """Everything about each table but the order of its columns, to which ALTER only appends."""
    with backend.reading() as connection:
        told = inspect(connection)
        return {
            table: {
                "columns": {
                    column["name"]: {**column, "type": repr(column["type"])} for column in told.get_columns(table)
                },
                "key": told.get_pk_constraint(table),
                "foreign keys": sorted(told.get_foreign_keys(table), key=repr),
                "checks": {check["name"]: check["sqltext"] for check in told.get_check_constraints(table)},
                "unique": told.get_unique_constraints(table),
                "indexes": indexes(connection, table),
                "options": told.get_table_options(table),
            }
            for table in told.get_table_names()
        }


def indexes(connection: Connection, table: str) -> Mapping[str, str]:
    """Their whole text by name: reflection leaves out which columns descend."""
    texts = {
        "sqlite": "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = '{}'",
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = '{}'",
    }
    found = connection.exec_driver_sql(texts[connection.dialect.name].format(table))
    return {row[0]: row[1] for row in found}


# --- what opening does ---


@pytest.mark.parametrize(
    ("version", "open_"), [(1, JobTable.check), (4, JobTable.create)], ids=["1, a worker", "4, a plan"]
)
def test_whoever_opens_an_old_home_finds_every_row_in_this_schema(
    open_: Callable[[JobTable], None], backend: Backend
) -> None:
    before = rows(backend)
    assert all(before.values()), "every table has rows to lose"
    assert {job["state"] for job in before["jobs"]} == set(JobState)
    open_(JobTable(backend, "here"))
    assert rows(backend) == in_this_schema(before)


def test_on_a_server_no_column_changes_its_type_under_the_hands_of_workers(old: str, backend: Backend) -> None:
    if not on_postgresql(old):
        JobTable(backend, "here").check()  # of a file there are no statements that a server has prepared
        return
    with psycopg.connect(old) as server:
        server.execute("UPDATE jobs SET lease_expires = extract(epoch from now()) + 60 WHERE state = 'running'")
    with pytest.raises(HomeError, match="held by workers of an older Orch"):
        JobTable(backend, "here").check()
    with psycopg.connect(old) as server:
        server.execute("UPDATE jobs SET lease_expires = 0 WHERE state = 'running'")
    JobTable(backend, "here").check()


@pytest.mark.parametrize("version", [1, 4])
def test_a_migrated_schema_is_the_one_that_a_new_home_gets(backend: Backend, new_database: Callable[[], str]) -> None:
    """Fails for a change of `schema.py` that came without a revision, and for a revision that does another thing."""
    JobTable(backend, "here").check()
    with closing(opened(new_database())) as fresh:
        JobTable(fresh, "there").create()
        assert shape(backend) == shape(fresh)


def test_a_study_goes_on_in_a_migrated_home(backend: Backend) -> None:
    table = JobTable(backend, "here")
    table.check()
    lease = table.claim(WorkerInfo("w9"))
    assert lease is not None
    assert lease.name == "vit-tiny/seed0/train/r00.s0", "the worker that had it in schema 1 is long gone"
    assert [checkpoint.step for checkpoint in lease.checkpoints] == [3]
    complete(table, lease, {}, {"loss": 1.0})
    child = table.job("vit-tiny/seed0/train/r00.s1")
    assert child.state is JobState.READY


REFUSED = (
    "UPDATE jobs SET needs = 'lunch'",
    "UPDATE jobs SET needs = '1c0ffee1', device = 'a Xeon', copy_of = id WHERE stage = 'train'",
    "UPDATE jobs SET needs = '1c0ffee1', device = 'a Xeon' WHERE stage = 'benchmark'",
    "UPDATE jobs SET copy_of = id WHERE stage = 'benchmark'",
    "UPDATE jobs SET device = 'a Xeon', copy_of = id WHERE stage = 'benchmark'",
    "UPDATE jobs SET needs = '1c0ffee1', device = 'a Xeon', copy_of = 'nobody' WHERE stage = 'benchmark'",
    "UPDATE jobs SET needs = NULL",
    "UPDATE jobs SET stage = 'lunch'",
    "UPDATE jobs SET twin_token = 'a', twin_worker = 'w', twin_expires = 1 WHERE state = 'ready'",
    "UPDATE jobs SET twin_token = 'a' WHERE state = 'running'",
    "UPDATE attempts SET outcome = 'lunch' WHERE ended IS NOT NULL",
    "UPDATE attempts SET twin = NULL",
    "INSERT INTO edges (parent, child) VALUES ('nobody', 'nothing')",
    "DELETE FROM jobs",
)


def test_a_migrated_home_refuses_what_a_new_one_refuses(backend: Backend) -> None:
    JobTable(backend, "here").check()
    before = rows(backend)
    for statement in REFUSED:
        with pytest.raises(HomeError, match="holds what no Orch writes"):
            backend.transact(partial(_executed, statement))
    assert rows(backend) == before


def _executed(statement: str, connection: Connection) -> None:
    connection.exec_driver_sql(statement)


def test_a_home_of_this_schema_is_opened_without_loading_alembic(tmp_path: Path) -> None:
    script = (
        "import sys; from orchestrator.home import Home\n"
        f"home = {str(tmp_path / 'home')!r}; Home.create(home); Home.open(home)\n"
        "print('sqlalchemy' in sys.modules, 'alembic' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert told.stdout.split() == ["True", "False"]


# --- wholly, once, or not at all ---


@contextmanager
def at_the_new_number(do: Callable[[], None]) -> Iterator[None]:
    """Does something after a revision's changes, before they count."""

    def before(*told: Any) -> None:
        if told[2].startswith(NEW_NUMBER):
            do()

    event.listen(Engine, "before_cursor_execute", before)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", before)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stumble() -> None:
    raise RuntimeError("in the middle")


def open_home(address: str, then: Callable[[], None]) -> None:
    with closing(opened(address)) as backend, at_the_new_number(then):
        JobTable(backend, "here").check()


def test_a_process_that_is_killed_in_the_middle_leaves_the_old_home(old: str, backend: Backend) -> None:
    before = rows(backend), shape(backend)
    process = PROCESSES.Process(target=open_home, args=(old, die))
    process.start()
    process.join(PATIENCE_SECONDS)
    assert process.exitcode == -signal.SIGKILL, "it came to where it was to die"
    assert (rows(backend), shape(backend)) == before
    JobTable(backend, "here").check()
    assert rows(backend) == in_this_schema(before[0])


def test_a_revision_that_fails_leaves_the_old_home(old: str, backend: Backend) -> None:
    before = rows(backend), shape(backend)
    with pytest.raises(RuntimeError, match="in the middle"):
        open_home(old, stumble)
    assert (rows(backend), shape(backend)) == before
    JobTable(backend, "here").check()
    assert rows(backend) == in_this_schema(before[0])


def open_with_another(address: str, other: Barrier, told: SimpleQueue[str]) -> None:
    """Begins to migrate only when the other process, too, has seen that the home is old."""
    with closing(opened(address)) as backend:
        transact = backend.transact

        def together(change: Callable[[Connection], Any], *, exclusive: bool = False) -> Any:
            other.wait(PATIENCE_SECONDS)
            return transact(change, exclusive=exclusive)

        table = JobTable(backend, "here")
        with mock.patch.object(backend, "transact", together), at_the_new_number(lambda: told.put("migrated")):
            table.check()
        lease = table.claim(WorkerInfo(f"worker {os.getpid()}"))
        while lease is None:  # the other is just now taking back the expired job
            lease = table.claim(WorkerInfo(f"worker {os.getpid()}"))
        told.put(lease.name)


def test_two_processes_that_open_an_old_home_together_migrate_it_once(old: str, backend: Backend) -> None:
    before = rows(backend)
    other, told = PROCESSES.Barrier(2), PROCESSES.SimpleQueue()
    both = [PROCESSES.Process(target=open_with_another, args=(old, other, told)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(PATIENCE_SECONDS)
        assert process.exitcode == 0
    heard = []
    while not told.empty():
        heard.append(told.get())
    once = ["migrated"] * (tables.VERSION - 1)
    assert sorted(heard) == ["alexnet-tiny/seed0/benchmark/float32", *once, "vit-tiny/seed0/train/r00.s0"]
    assert len(rows(backend)["jobs"]) == len(before["jobs"])


# --- the change for which SQLite has no ALTER ---

STAGES = "stage IN ('train', 'compress', 'benchmark')"
MORE_STAGES = "stage IN ('train', 'merge', 'compress', 'benchmark')"


def as_a_revision(backend: Backend, change: Callable[[Connection], object]) -> None:
    def revise(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            change(connection)

    backend.transact(revise, exclusive=True)


def know_merges(_: Connection) -> None:
    replace_check("stage_is_known", "jobs", STAGES, MORE_STAGES)


def test_a_check_is_replaced_and_everything_else_stays(backend: Backend) -> None:
    rows_before, before = rows(backend), shape(backend)
    as_a_revision(backend, know_merges)
    after = shape(backend)
    assert "'merge'" in after["jobs"]["checks"].pop("stage_is_known")
    assert "'merge'" not in before["jobs"]["checks"].pop("stage_is_known")
    assert after == before
    assert rows(backend) == rows_before


def test_a_table_whose_check_was_replaced_refuses_what_it_refused(backend: Backend) -> None:
    as_a_revision(backend, know_merges)
    backend.transact(
        lambda connection: connection.exec_driver_sql("UPDATE jobs SET stage = 'merge' WHERE state = 'ready'")
    )
    for statement in ("UPDATE jobs SET stage = 'lunch'", "DELETE FROM jobs WHERE state = 'done'"):
        with pytest.raises(HomeError, match="holds what no Orch writes"):
            backend.transact(partial(_executed, statement))


def test_a_check_that_is_not_there_is_not_replaced(backend: Backend) -> None:
    before = shape(backend)
    with pytest.raises((LookupError, ProgrammingError)):
        as_a_revision(backend, lambda _: replace_check("lunch_is_known", "jobs", STAGES, MORE_STAGES))
    assert shape(backend) == before
