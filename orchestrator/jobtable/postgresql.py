"""The job table in a PostgreSQL database, for teams whose workers share a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.exc import DBAPIError

from orchestrator.errors import HomeError

_LOCK = 0x6F726368
"""Of the plan, among PostgreSQL's advisory locks: the letters `orch`."""


class PostgresqlPlace:
    """A database on a server.  Claims take different rows at once (`FOR UPDATE SKIP LOCKED`) instead of waiting.

    Every transaction reads what was committed before each of its statements (READ COMMITTED) and locks the rows
    that it decides about; a plan is published while nobody else writes.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="postgresql+psycopg")
        self._engine = create_engine(self._url)
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
        try:
            connection = self._connection()
            with connection.begin():
                if exclusive:
                    _alone(connection)
                yield connection
        except (DBAPIError, psycopg.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            if not isinstance(cause, psycopg.OperationalError):
                raise
            self._forget()
            where = self._url.render_as_string(hide_password=True)
            reason = str(cause).strip().splitlines()[0]
            raise HomeError(f"The job table at {where} cannot be reached: {reason}; run the command again.") from error

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._own, "connection", None)
        if connection is None or connection.closed:
            connection = self._own.connection = self._engine.connect()
            self._opened.append(connection)
        return connection

    def _forget(self) -> None:
        """A connection that broke is not used again."""
        connection: Connection | None = getattr(self._own, "connection", None)
        self._own.connection = None
        if connection is not None:
            self._opened.remove(connection)
            connection.invalidate()
            connection.close()


def _alone(connection: Connection) -> None:
    """Wait until nobody else writes, and keep others from it: planning looks at all jobs.

    The advisory lock keeps two plans apart before there are tables to lock.  EXCLUSIVE, because a weaker lock lets
    a claim lock its row first and then wait for the plan, which waits for that row.
    """
    driver: Any = connection.connection.driver_connection
    driver.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    if driver.execute("SELECT to_regclass('jobs')").fetchone()[0] is not None:
        driver.execute("LOCK TABLE jobs IN EXCLUSIVE MODE")
