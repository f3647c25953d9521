"""The job table in a local SQLite file."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from orchestrator.errors import HomeError
from orchestrator.jobtable.backends import mounts, sqlite_files
from orchestrator.jobtable.backends.backend import T

# Longer than any transaction here takes, so that a writer that meets another waits instead of failing with "locked";
# short enough that a worker which is asked to end while the table is stuck can still end in good order.
BUSY_SECONDS = 10.0

# Writing the log into the database syncs both.  At SQLite's 1,000 pages that came after every hundred short jobs.
_PAGES_OF_LOG = 8000


class SqliteBackend:
    """A database file on a disk of this machine.  WAL: readers and the one writer do not wait for each other.

    `synchronous=NORMAL` survives any death of a process; a power cut may lose the last commits, which costs
    a repeated job and nothing else, because nothing is deleted before `make_durable`.
    """

    def __init__(self, path: Path, synchronous: str = "NORMAL") -> None:
        """Raises HomeError if the path is on a network or FUSE mount."""
        _refuse_mounts(path)
        self.path = path
        self._told = f"The job table {path}"
        self._engine = _engine(path, synchronous)
        # One open connection a thread: taking one from SQLAlchemy's pool costs more than most transactions.
        self._own = threading.local()
        self._all: list[_OwnConnection] = []

    def transact(self, change: Callable[[Connection], T], *, exclusive: bool = False) -> T:  # noqa: ARG002
        # SQLite has one writer at a time: every transaction is exclusive.
        with self._begun("BEGIN IMMEDIATE") as connection:
            return change(connection)

    def reading(self) -> AbstractContextManager[Connection]:
        return self._begun("BEGIN")

    @contextmanager
    def _begun(self, begin: str) -> Iterator[Connection]:
        own = self._of_this_thread()
        with explained(self._told, self.path), own.busy:
            try:
                with begun(self._connection(own), begin) as connection:
                    yield connection
            except (DatabaseError, sqlite3.Error):
                self._open_anew()
                raise

    def _of_this_thread(self) -> _OwnConnection:
        own: _OwnConnection | None = getattr(self._own, "connection", None)
        if own is None:
            own = self._own.connection = _OwnConnection()
            self._all.append(own)
        return own

    def _connection(self, own: _OwnConnection) -> Connection:
        if own.connection is None or own.connection.closed:
            sqlite_files.make_ready(self.path)
            own.connection = self._engine.connect()
        return own.connection

    def _open_anew(self) -> None:
        """Close every connection of this process that is not at work.

        SQLite keeps what it found when it opened the files, that one was read-only perhaps, and shares it among all
        connections of a process: it looks again when the last of them is closed.
        """
        for own in list(self._all):
            if own.busy.acquire(blocking=False):
                try:
                    own.clear()
                finally:
                    own.busy.release()

    def forget_reads(self) -> None:
        """Nothing is left to do: every reader sees the newest state."""

    def analyze(self, connection: Connection) -> None:
        """Nothing is left to do: SQLite takes the index that a statement names all columns of."""

    def make_durable(self) -> None:
        # NORMAL leaves the log to the operating system until it is written into the database; a log that is
        # not there any more has been.
        try:
            with self.path.with_name(f"{self.path.name}-wal").open("rb") as log:
                os.fsync(log.fileno())
        except FileNotFoundError:
            return
        except OSError as error:
            raise HomeError(f"The job table {self.path} cannot be brought to the disk: {error.strerror}.") from error

    def now(self, connection: Connection) -> float:  # noqa: ARG002  (one machine: the process has the database's clock)
        return time.time()

    def close(self) -> None:
        for own in self._all:
            own.clear()
        self._engine.dispose()


class _OwnConnection:
    """A thread's connection."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.busy = threading.RLock()
        """Held for as long as the thread uses its connection."""

    def clear(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None and not connection.closed:
            connection.close()


@contextmanager
def explained(where: str, database: Path | None = None) -> Iterator[None]:
    """Turns SQLite's complaints about what is in a database, or about its file, into a sentence.

    A statement that is wrong stays a traceback.  `where` names the job table, at the beginning of the sentence;
    `database` is its file, if it has one.
    """
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:
        match error.orig if isinstance(error, DatabaseError) else error:
            case sqlite3.OperationalError() as cause:
                raise HomeError(f"{where} cannot be used: {cause}; {_advice(cause, database)}.") from error
            case sqlite3.IntegrityError() | sqlite3.DataError() as cause:
                raise HomeError(
                    f"{where} cannot be used: it holds what no Orch writes ({cause}); "
                    "run the command again with --debug, and report what it says."
                ) from error
            case cause if type(cause) is sqlite3.DatabaseError:
                raise HomeError(f"{where} is no job table: {cause}; give the home that `orch plan` made.") from error
        raise


@contextmanager
def begun(connection: Connection, begin: str) -> Iterator[Connection]:
    """A transaction on a connection whose driver begins none by itself: committed, or rolled back by an exception.

    Whichever statement fails, BEGIN and COMMIT included, the next transaction starts clean: on this connection, or on a
    new one where this one could not be rolled back and is closed.
    """
    driver: Any = connection.connection.driver_connection
    try:
        driver.execute(begin)
        yield connection
        # SQLAlchemy ends what it knows of; a transaction of prepared statements alone is the driver's, and quicker.
        (connection if connection.in_transaction() else driver).commit()
    except BaseException:
        _undo(connection, driver)
        raise


def _undo(connection: Connection, driver: Any) -> None:
    """A COMMIT that failed leaves the driver's transaction open, and SQLAlchemy's in a state that refuses all else."""
    try:
        connection.rollback()
        driver.rollback()
    except (DatabaseError, sqlite3.Error):
        connection.invalidate()
        connection.close()


def _refuse_mounts(path: Path) -> None:
    if not mounts.MOUNTS.exists():
        return
    kind = mounts.unsafe_file_system(path.resolve(), mounts.MOUNTS.read_text(encoding="utf-8", errors="replace"))
    if kind is not None:
        raise HomeError(
            f"{path} is on {kind}, where SQLite's locks do not hold and two workers could be given one job; "
            "choose a home on a local disk."
        )


def _advice(error: sqlite3.Error, database: Path | None) -> str:
    if "locked" in str(error):
        return f"another process has held it for {BUSY_SECONDS:.0f} s; run the command again"
    return "give the home that `orch plan` made" if database is None else sqlite_files.advice(error, database)


def _engine(path: Path, synchronous: str) -> Engine:
    # Not as text: "?" and "%" mean something in a URL, and are letters in a path.
    url = URL.create("sqlite", database=str(path))
    # No pool: a connection that a thread gives up is closed.
    arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments)
    event.listen(engine, "connect", lambda connection, _record: _prepare_or_close(connection, synchronous))
    return engine


def _prepare_or_close(connection: sqlite3.Connection, synchronous: str) -> None:
    try:
        _prepare(connection, synchronous)
    except BaseException:
        connection.close()  # nobody else knows it; SQLAlchemy does so itself from 2.1 on
        raise


def _prepare(connection: sqlite3.Connection, synchronous: str) -> None:
    # sqlite3 would otherwise open transactions by itself, deferred: two claims could read the same ready job.
    connection.isolation_level = None
    _switch_to_wal(connection)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")
    # Whoever else may write to the file may have put functions with effects into its views, triggers and checks.
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_OF_LOG}")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """SQLite answers "locked" at once, whatever the time-out, to two processes that switch a new file together."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
