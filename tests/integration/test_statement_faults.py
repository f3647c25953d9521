"""A statement that fails, BEGIN and COMMIT included, has not happened, and the next call works."""

from __future__ import annotations

import itertools
import resource
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy

from orchestrator.errors import HomeError
from orchestrator.jobs import (
    Checkpoint,
    Completed,
    Ending,
    Finished,
    JobState,
    Lease,
    PlannedJob,
    Stage,
    WorkerInfo,
)
from orchestrator.jobtable import JobTable, LeaseLost
from orchestrator.jobtable.backends.postgresql import PostgresqlBackend
from orchestrator.jobtable.backends.sqlite import SqliteBackend
from tests.support.conditional_files import FileOnDisk
from tests.support.cutting_proxy import CuttingProxy
from tests.support.jobtable_backends import (
    PostgresqlBackendOf,
    SettablePostgresqlBackend,
    SettableSnapshotBackend,
    SettableSqliteBackend,
    artifact,
    output_names,
    plan_of,
    planned_job,
)
from tests.support.postgres_server import fresh_database, own_postgres_server

WORKER = WorkerInfo("w1")
LEASE_SECONDS = 5.0
T = TypeVar("T")


class Fault:
    """What befalls the statement of a number, counted from when it is armed; none before."""

    def __init__(self) -> None:
        self.at = -1
        self.count = 0

    def arm(self, at: int) -> None:
        self.at, self.count = at, 0

    def strike(self) -> None:
        self.count += 1
        if self.count - 1 == self.at:
            raise sqlite3.OperationalError("disk I/O error")


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    """Strikes at statements of connections to SQLite that are made from here on."""
    fault = Fault()

    class Cursor(sqlite3.Cursor):
        def execute(self, *arguments: Any) -> Any:
            fault.strike()
            return super().execute(*arguments)

        def executemany(self, *arguments: Any) -> Any:
            fault.strike()
            return super().executemany(*arguments)

    class Connection(sqlite3.Connection):
        def cursor(self, *_: Any) -> Any:
            return super().cursor(Cursor)

        def execute(self, *arguments: Any) -> Any:
            return self.cursor().execute(*arguments)

        def commit(self) -> None:
            fault.strike()
            super().commit()

        def rollback(self) -> None:
            fault.strike()
            super().rollback()

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3.dbapi2, "connect", lambda *args, **named: connect(*args, factory=Connection, **named))
    return fault


def chain() -> list[PlannedJob]:
    first = planned_job("a", Stage.TRAIN)
    second = planned_job("b", Stage.TRAIN, [first])
    return [first, second, planned_job("c", Stage.COMPRESS, [second])]


def again(operation: Callable[[], T]) -> T:
    """The next call works: one that fails twice would fail for ever."""
    try:
        return operation()
    except HomeError:
        return operation()


def worked_off(table: JobTable, wait: Callable[[], None]) -> None:
    """All that a worker does: publish, claim, fail once, renew with a checkpoint, complete and claim, read."""
    again(table.create)
    again(lambda: table.publish(plan_of(chain(), seconds=LEASE_SECONDS, tries=9)))
    failed = False
    following: Lease | None = None
    while again(table.unfinished):
        lease, following = following or again(lambda: table.claim(WORKER)), None
        if lease is None:
            wait()
        elif not failed:
            failed = True
            with suppress(LeaseLost):  # it had happened, and the answer was lost
                again(partial(table.fail, lease, "once"))
        else:
            with suppress(LeaseLost):
                following = _done(table, lease)
    again(table.overview)
    again(table.attempts)


def _done(table: JobTable, lease: Lease) -> Lease | None:
    checkpoint = Checkpoint(1, artifact(f"step of {lease.job}"))
    lease = again(partial(table.renew, lease, {"step": 1}, checkpoint))
    return again(partial(_complete, table, lease)).next


def all_done_once(table: JobTable) -> None:
    assert {job.state for job in table.jobs()} == {JobState.DONE}
    done = [attempt.job for attempt in table.attempts() if attempt.outcome is Ending.DONE]
    assert sorted(done) == sorted(job.id for job in chain())
    assert all(table.outputs(job.id) for job in chain())


@pytest.mark.parametrize("kind", ["file", "snapshot"])
@pytest.mark.parametrize("every", [23, pytest.param(3, marks=pytest.mark.slow)])
def test_whichever_statement_fails_the_next_call_works_and_nothing_is_done_twice(
    kind: str, every: int, fault: Fault, tmp_path: Path
) -> None:
    for number in itertools.count(step=every):
        file = tmp_path / f"{number}.db"
        backend = SettableSqliteBackend(file) if kind == "file" else SettableSnapshotBackend(FileOnDisk(file))
        with closing(backend):
            table = JobTable(backend, "here")
            table.exists()
            fault.arm(number)
            worked_off(table, lambda backend=backend: _pass_time(backend))  # type: ignore[misc]
            struck = fault.count > number
            fault.arm(-1)
            all_done_once(table)
        if not struck:
            assert number > 50, "a worker's way has many statements"
            return
    raise AssertionError("a way without a fault ends")


def _pass_time(backend: Any) -> None:
    backend.clock += LEASE_SECONDS + 1


def test_after_a_disk_was_full_at_a_commit_the_worker_keeps_what_it_has_done(tmp_path: Path) -> None:
    with closing(SqliteBackend(tmp_path / "jobs.db")) as backend:
        table = JobTable(backend, "here")
        table.create()
        table.publish(plan_of(chain(), seconds=60.0))
        lease = table.claim(WorkerInfo("w1"))
        assert lease is not None
        with full_disk(tmp_path / "jobs.db-wal"), pytest.raises(HomeError, match="cannot be used"):
            _complete(table, lease)
        _complete(table, lease)
        assert table.job(lease.job).state is JobState.DONE


@contextmanager
def full_disk(file: Path) -> Iterator[None]:
    """No file of this process may grow beyond this one's size: the kernel refuses as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _complete(table: JobTable, lease: Lease) -> Completed:
    outputs = {name: artifact(f"{name} of {lease.job}") for name in output_names(lease.stage)}
    return table.complete(lease, [Finished(lease.job, outputs, {"step": 1})], WORKER, or_best=True)


# The two ways take turns, from one message on: with every 13th one in six or seven meets a cut of either way.
@pytest.mark.parametrize(("first", "when"), list(enumerate(["before the server has it", "before its answer"])))
@pytest.mark.parametrize("every", [59, pytest.param(13, marks=pytest.mark.slow)])
def test_whichever_message_to_a_server_is_cut_off_the_next_call_works(
    postgres: str, first: int, when: str, every: int, caplog: pytest.LogCaptureFixture
) -> None:
    with fresh_database(postgres) as database, CuttingProxy(postgres) as proxy:
        for number in itertools.count(first, every):
            with closing(_through(proxy, PostgresqlBackendOf(database).schema(f"cut{number}"))) as backend:
                table = JobTable(backend, "here")
                table.exists()
                proxy.cut(number, answered=when == "before its answer")
                worked_off(table, lambda backend=backend: _pass_time(backend))  # type: ignore[misc]
                cut = proxy.has_cut
                proxy.spare()
                all_done_once(table)
            if not cut:
                assert number > 50, "a worker's way has many messages"
                assert not caplog.messages, "a person is told once, by the HomeError"
                return
    raise AssertionError("a way without a cut ends")


def _through(proxy: CuttingProxy, database: str) -> PostgresqlBackend:
    return SettablePostgresqlBackend(proxy.url(database))


def is_open(file: Path) -> bool:
    """Whether this process has the file open, or one that SQLite keeps beside it."""
    opened = [descriptor.readlink() for descriptor in Path("/proc/self/fd").iterdir() if descriptor.is_symlink()]
    return any(str(name).startswith(str(file)) for name in opened)


def test_a_file_that_cannot_be_prepared_is_closed_whoever_keeps_the_error(tmp_path: Path) -> None:
    backend = SqliteBackend(tmp_path / "jobs.db")
    backend.path.write_bytes(b"no database at all" * 100)
    with pytest.raises(HomeError, match="is no job table") as told:
        backend.transact(lambda connection: connection.exec_driver_sql("SELECT 1"))
    assert told.value.__cause__ is not None, "its traceback holds on to everything that stood in its way"
    assert not is_open(backend.path)


def test_after_trouble_no_file_stays_open_whichever_thread_has_opened_it(tmp_path: Path) -> None:
    backend = SqliteBackend(tmp_path / "jobs.db")

    def count(connection: sqlalchemy.Connection) -> int:
        return int(connection.exec_driver_sql("SELECT count(*) FROM kept").scalar_one())

    backend.transact(lambda connection: connection.exec_driver_sql("CREATE TABLE kept (content)"))
    with ThreadPoolExecutor(1) as idle:
        assert idle.submit(backend.transact, count).result() == 0
        assert is_open(backend.path)
        # SQLite tells all connections of a process what the first of them found, a read-only file perhaps.
        with pytest.raises(HomeError):
            backend.transact(lambda connection: connection.exec_driver_sql("INSERT INTO missing VALUES (1)"))
        assert not is_open(backend.path)
        assert idle.submit(backend.transact, count).result() == 0
    backend.close()
    assert not is_open(backend.path)


def test_a_backend_that_could_not_roll_back_begins_anew(fault: Fault, tmp_path: Path) -> None:
    with closing(SettableSqliteBackend(tmp_path / "jobs.db")) as backend:
        table = JobTable(backend, "here")
        table.create()
        fault.strike = _always  # type: ignore[method-assign]
        with pytest.raises(HomeError):
            table.publish(plan_of(chain()))
        del fault.strike
        table.publish(plan_of(chain()))
        assert len(table.jobs()) == 3


def test_a_connection_that_met_trouble_is_not_used_again(fault: Fault, tmp_path: Path) -> None:
    """SQLite remembers of a file that it was read-only when it was opened, and writes no more though it may."""
    with closing(SettableSqliteBackend(tmp_path / "jobs.db")) as backend:
        table = JobTable(backend, "here")
        table.create()
        with backend.reading() as before:
            used = before.connection.driver_connection
        fault.arm(0)
        with pytest.raises(HomeError):
            table.unfinished()
        with backend.reading() as after:
            assert after.connection.driver_connection is not used


def test_a_server_that_was_restarted_between_two_transactions_is_told_and_used_again() -> None:
    with (
        own_postgres_server() as server,
        closing(SettablePostgresqlBackend(PostgresqlBackendOf(server.url).schema("restarted"))) as backend,
    ):
        table = JobTable(backend, "here")
        table.create()
        table.publish(plan_of(chain()))
        server.crash()
        with pytest.raises(HomeError):
            table.claim(WorkerInfo("w1"))
        assert again(lambda: table.claim(WorkerInfo("w1"))) is not None


def _always() -> None:
    raise sqlite3.OperationalError("disk I/O error")
