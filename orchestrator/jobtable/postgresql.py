"""The job table in a PostgreSQL database, for teams whose workers share a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import ArgumentError, DBAPIError

from orchestrator.errors import HomeError
from orchestrator.jobtable import postgresql_url

# A server that was switched off, or a network that swallows packets, answers nothing.  The system waits for hours
# then; a worker would neither notice that the server is back nor end when it is asked to.
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""libpq's parameters, in seconds (the last in milliseconds); what the URL says goes before."""

_FORESEEABLE = (
    psycopg.OperationalError,
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.ReadOnlySqlTransaction,
)
"""What a healthy program meets: others are faults of a statement, and stay tracebacks."""

_LOCK = 0x6F726368
"""Of the plan, among PostgreSQL's advisory locks: the letters `orch`."""


class PostgresqlPlace:
    """A database on a server.  Claims take different rows at once (`FOR UPDATE SKIP LOCKED`) instead of waiting.

    Every transaction reads what was committed before each of its statements (READ COMMITTED) and locks the rows
    that it decides about; a plan is published while nobody else writes.
    """

    def __init__(self, url: str) -> None:
        """Raises UsageError if the URL cannot be understood."""
        parts = postgresql_url.parsed(url)
        patience = {key: value for key, value in _PATIENCE.items() if key not in parts.query}
        self._shown = postgresql_url.shown(url)
        self._engine = create_engine(parts.set(drivername="postgresql+psycopg"), connect_args=patience)
        # One open connection a thread: taking one from SQLAlchemy's pool costs more than most transactions.
        self._own = threading.local()
        self._opened: list[Connection] = []

    def transaction(self, *, exclusive: bool = False) -> AbstractContextManager[Connection]:
        return self._begun(exclusive)

    def reading(self) -> AbstractContextManager[Connection]:
        return self._begun(exclusive=False)

    def make_durable(self) -> None:
        """Nothing is left to do: with `synchronous_commit`, the server's default, a commit is on the disk."""

    def now(self, connection: Connection) -> float:
        driver: Any = connection.connection.driver_connection
        row = driver.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        return float(row[0])

    def close(self) -> None:
        for connection in self._opened:
            connection.close()
        self._engine.dispose()

    @contextmanager
    def _begun(self, exclusive: bool) -> Iterator[Connection]:
        connection = self._connection()
        try:
            with connection.begin():
                if exclusive:
                    _alone(connection)
                yield connection
        except (DBAPIError, psycopg.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            if not isinstance(cause, _FORESEEABLE):
                raise
            self._forget()
            raise self._unusable(cause) from error

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._own, "connection", None)
        if connection is None or connection.closed:
            try:
                connection = self._own.connection = self._engine.connect()
            except (DBAPIError, psycopg.Error, ArgumentError) as error:
                raise self._unusable(getattr(error, "orig", error)) from error
            self._opened.append(connection)
        return connection

    def _unusable(self, error: BaseException) -> HomeError:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        return HomeError(f"The job table at {self._shown} cannot be used: {reason}; {_advice(reason)}.")

    def _forget(self) -> None:
        """A connection that broke is not used again."""
        connection: Connection | None = getattr(self._own, "connection", None)
        self._own.connection = None
        if connection is not None:
            self._opened.remove(connection)
            connection.invalidate()
            connection.close()


def _advice(reason: str) -> str:
    """The server's words, because a connection that is refused has no code that could be asked."""
    if "password" in reason:
        return "give the password in PGPASSWORD or ~/.pgpass"
    if "permission denied" in reason:
        return "ask its owner for the right to make and change tables in it"
    if 'database "' in reason and "does not exist" in reason:
        return "make it with createdb, or name another"
    return "check that the server is up, and run the command again"


def _alone(connection: Connection) -> None:
    """Wait until nobody else writes, and keep others from it: planning looks at all jobs.

    The advisory lock keeps two plans apart before there are tables to lock.  EXCLUSIVE, because a weaker lock lets
    a claim lock its row first and then wait for the plan, which waits for that row.
    """
    driver: Any = connection.connection.driver_connection
    driver.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    if driver.execute("SELECT to_regclass('jobs')").fetchone()[0] is not None:
        driver.execute("LOCK TABLE jobs IN EXCLUSIVE MODE")
