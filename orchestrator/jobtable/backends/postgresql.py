"""The job table in a PostgreSQL database, for teams whose workers share a server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from orchestrator.errors import HomeError
from orchestrator.jobtable.backends import postgresql_url
from orchestrator.jobtable.backends.backend import T

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

LOCKED_SECONDS = 10.0
"""How long to wait while others publish; a worker that is asked to end must not wait for ever."""

_FORESEEABLE = (
    psycopg.OperationalError,
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.ReadOnlySqlTransaction,
    # A newer Orch has changed the type of a column that this connection has prepared statements for.
    psycopg.errors.FeatureNotSupported,
    # A pooler that hides itself has given the transaction another server process than the one that prepared them.
    psycopg.errors.InvalidSqlStatementName,
    psycopg.errors.DuplicatePreparedStatement,
)
"""What a healthy program meets: others are faults of a statement, and stay tracebacks."""

# Of a pipeline whose connection was cut psycopg tells twice, as an error and as a warning.
logging.getLogger("psycopg").setLevel(logging.ERROR)

_LOCK = 0x6F726368
"""The number of the plan's lock among PostgreSQL's advisory locks: the letters `orch`."""

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# The plan of a prepared statement stays for hours: one that reads all of a table which is small just now would be slow
# by the evening.
_WRITE = "BEGIN; SET LOCAL enable_seqscan = off"
_WRITE_ALONE = "BEGIN"


class PostgresqlBackend:
    """A database on a server.  Claims take different rows at once (`FOR UPDATE SKIP LOCKED`) instead of waiting.

    Every transaction reads what was committed before each of its statements (READ COMMITTED) and locks the rows
    that it decides about; a plan is published while nobody else writes.
    """

    def __init__(self, url: str) -> None:
        """Raises UsageError if the URL cannot be understood."""
        parts = postgresql_url.parsed(url)
        patience: dict[str, Any] = {key: value for key, value in _PATIENCE.items() if key not in parts.query}
        self._shown = postgresql_url.shown(url)
        # Transactions are begun here, with all that they need in one message: psycopg sends no BEGIN of its own then.
        self._engine = create_engine(
            parts.set(drivername="postgresql+psycopg"), connect_args=patience, isolation_level="AUTOCOMMIT"
        )
        event.listen(self._engine, "connect", _prepare)
        # One open connection a thread: taking one from SQLAlchemy's pool costs more than most transactions.
        self._own = threading.local()
        self._opened: list[Connection] = []

    def transact(self, change: Callable[[Connection], T], *, exclusive: bool = False) -> T:
        with self._begun(_WRITE_ALONE if exclusive else _WRITE) as connection:
            if exclusive:
                _alone(connection)
            return change(connection)

    def reading(self) -> AbstractContextManager[Connection]:
        return self._begun(_READ)

    def forget_reads(self) -> None:
        """Nothing is left to do: every reader sees the newest state."""

    def analyze(self, connection: Connection) -> None:
        # Statements that are prepared are planned again after this.  Only what a plan fills: of an empty table it
        # would be remembered that reading all of it costs nothing, long after the workers have filled it.
        connection.exec_driver_sql("ANALYZE jobs, edges")

    def make_durable(self) -> None:
        """Nothing is left to do: with `synchronous_commit`, the server's default, a commit is on the disk."""

    def now(self, connection: Connection) -> float:  # noqa: ARG002  (asked for as the transaction began)
        return float(self._own.began)

    def close(self) -> None:
        for connection in self._opened:
            connection.close()
        self._engine.dispose()

    @contextmanager
    def _begun(self, begin: str) -> Iterator[Connection]:
        connection = self._connection()
        try:
            driver: Any = connection.connection.driver_connection
            self._own.began = _begin(driver, begin)
            yield connection
            driver.commit()
            # SQLAlchemy believes that its first statement began something; to the server this says nothing.
            connection.rollback()
        except BaseException as error:
            self._undo(connection)
            cause = error.orig if isinstance(error, DBAPIError) else error
            if isinstance(cause, psycopg.IntegrityError | psycopg.DataError):
                raise HomeError(
                    f"The job table at {self._shown} cannot be used: it holds what no Orch writes ({_reason(cause)}); "
                    "run the command again with --debug, and report what it says."
                ) from error
            if isinstance(cause, _FORESEEABLE):
                self._forget()
                raise self._unusable(cause) from error
            raise

    def _undo(self, connection: Connection) -> None:
        """Whichever statement failed, BEGIN and COMMIT included, the next one has a connection that is clean."""
        try:
            if not connection.invalidated:
                connection.connection.driver_connection.rollback()  # type: ignore[union-attr]
                connection.rollback()
                if not connection.connection.driver_connection.closed:  # type: ignore[union-attr]
                    return
        except (SQLAlchemyError, psycopg.Error):
            pass
        self._forget()

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
        reason = _reason(error)
        return HomeError(f"The job table at {self._shown} cannot be used: {reason}; {_advice(reason)}.")

    def _forget(self) -> None:
        """A connection that broke is not used again."""
        connection: Connection | None = getattr(self._own, "connection", None)
        self._own.connection = None
        if connection is not None:
            self._opened.remove(connection)
            connection.invalidate()
            connection.close()


def _begin(driver: psycopg.Connection[Any], begin: str) -> float:
    """Begin a transaction with all that it needs, for behind a connection pooler the next one is another session.

    Returns the server's clock, in seconds since 1970.
    """
    settings = f"SET LOCAL lock_timeout = '{LOCKED_SECONDS:g}s'"
    clock = "SELECT extract(epoch FROM clock_timestamp())::float8"
    cursor = driver.execute(f"{begin}; {settings}; {clock}".encode(), prepare=False)
    while cursor.nextset():
        pass
    ((now,),) = cursor.fetchall()
    return float(now)


def _prepare(driver: psycopg.Connection[Any], record: ConnectionPoolEntry) -> None:  # noqa: ARG001
    if _is_pooled(driver):
        driver.prepare_threshold = None  # the next transaction may have another server process
    else:
        # All that is done often is found by keys and indexes: planning it anew each time took longer than doing it.
        driver.execute("SET plan_cache_mode = force_generic_plan")


def _is_pooled(driver: psycopg.Connection[Any]) -> bool:
    """Whether a connection pooler stands between: the process that greeted us is not the one that does the work.

    PgBouncer makes up what it sends as the server process's number.  In which mode it pools cannot be asked.
    """
    ((process,),) = driver.execute("SELECT pg_backend_pid()").fetchall()
    return bool(process != driver.info.backend_pid)


def _reason(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


_ADVICE = (
    ("password", "give the password in PGPASSWORD or ~/.pgpass"),
    ("permission denied", "ask its owner for the right to make and change tables in it"),
    ("lock timeout", "others have held it for {locked:g} s; run the command again"),
    ("prepared statement", "a connection pooler is in the way; connect to the server itself, or have it keep sessions"),
    ("cached plan", "a newer Orch has changed the table meanwhile; run the command again"),
    ("too many c", "close some of its connections, or have its limit raised, and run the command again"),
    ("connection slots", "close some of its connections, or have its limit raised, and run the command again"),
    ("read-only", "it takes no writes, as a standby does and who is not let write; name the server that does"),
    ("No space left", "free some space on the server's disk, and run the command again"),
    ("starting up", "wait until the server has started, and run the command again"),
    ("shutting down", "wait until the server is up again, and run the command again"),
    ("pg_hba.conf", "have the server admit this user from this machine, in its pg_hba.conf"),
    ("translate host name", "check the name of the host"),
    ('database "', "make it with createdb, or name another"),
    ('role "', "make it with createuser, or name another user"),
)
"""What to do about the server's words, because a connection that is refused has no code that could be asked."""


def _advice(reason: str) -> str:
    known = (advice.format(locked=LOCKED_SECONDS) for words, advice in _ADVICE if words in reason)
    return next(known, "check that the server is up, and run the command again")


def _alone(connection: Connection) -> None:
    """Wait until nobody else writes, and keep others from it: planning looks at all jobs.

    The advisory lock keeps two plans apart before there are tables to lock.  EXCLUSIVE, because a weaker lock lets
    a claim lock its row first and then wait for the plan, which waits for that row.
    """
    driver: Any = connection.connection.driver_connection
    driver.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    if driver.execute("SELECT to_regclass('jobs')").fetchone()[0] is not None:
        driver.execute("LOCK TABLE jobs IN EXCLUSIVE MODE")
