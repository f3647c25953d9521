"""The job table in a local SQLite file."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError

from orchestrator.errors import HomeError

# Longer than any transaction here takes, so that a writer that meets another waits instead of failing with "locked";
# short enough that a worker which is asked to end while the table is stuck can still end in good order.
BUSY_SECONDS = 10.0


class SqlitePlace:
    """A database file on a disk of this machine.  WAL: readers and the one writer do not wait for each other.

    `synchronous=NORMAL` survives any death of a process; a power cut may lose the last commits, which costs
    a repeated job and nothing else, because nothing is deleted before `make_durable`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = _engine(path)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self._explained(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._explained(), self._engine.connect().execution_options(orch_reading=True) as connection:
            yield connection

    def make_durable(self) -> None:
        # NORMAL leaves the log to the operating system until it is written into the database; a log that is
        # not there any more has been.
        with suppress(FileNotFoundError), self.path.with_name(f"{self.path.name}-wal").open("rb") as log:
            os.fsync(log.fileno())

    def now(self, connection: Connection) -> float:  # noqa: ARG002  (one machine: the process has the database's clock)
        return time.time()

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns SQLite's complaints about the file into a sentence; a broken statement stays a traceback."""
        try:
            yield
        except OperationalError as error:
            raise HomeError(
                f"The job table {self.path} cannot be used: {error.orig}; {_advice(error.orig)}."
            ) from error
        except DatabaseError as error:
            if type(error.orig) is not sqlite3.DatabaseError:
                raise
            raise HomeError(
                f"{self.path} is not a job table: {error.orig}; give the home that `orch plan` made."
            ) from error


def _advice(error: BaseException | None) -> str:
    message = str(error)
    if "full" in message:
        return "free some space on the disk and run the command again"
    if "locked" in message:
        return f"another process has held it for {BUSY_SECONDS:.0f} s; run the command again"
    return "check that the directory is there and that you may write to it"


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    # sqlite3 would otherwise open transactions by itself, deferred: two claims could read the same ready job.
    connection.isolation_level = None
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


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


def _begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get("orch_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
