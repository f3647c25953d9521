"""Statements given to PostgreSQL's own client library, below psycopg's Python layers.

psycopg's `execute` costs four times what libpq's call does, and a claim is a dozen statements.  What lives here:
preparing a statement on the server once a connection, executing it, and values as text both ways.  What does not:
connections and transactions, which are psycopg's (https://www.psycopg.org/psycopg3/docs/api/pq.html).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.generators import fetch, send
from sqlalchemy import Connection, Dialect
from sqlalchemy.dialects.postgresql.base import PGDialect

from orchestrator.jobtable.backends.prepared import Arranged, Core

_NUMBERED: Dialect = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
_numbers = itertools.count()

_READERS: Mapping[type, Callable[[bytes], Any]] = {
    int: int,
    float: float,
    str: bytes.decode,
    bool: lambda text: text == b"t",
    object: bytes.decode,  # JSON, which stays text here
}


class LibpqStatement:
    """A statement that the server parses and plans once for each connection."""

    def __init__(self, core: Core) -> None:
        compiled = core.compile(dialect=_NUMBERED)
        self.sql = str(compiled)
        self._arranged = Arranged(compiled)
        self._name = b"orch_%d" % next(_numbers)
        self._readers = tuple(_READERS[column.type.python_type] for column in core.exported_columns)

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Raises psycopg's errors, as its own cursors do."""
        return pipelined(connection, [(self, values)])[0]

    def prepare(self, server: psycopg.Connection[Any], prepared: set[bytes]) -> None:
        """Once a connection, of which `prepared` is the record."""
        if self._name not in prepared:
            checked(server, server.pgconn.prepare(self._name, self.sql.encode()))
            prepared.add(self._name)

    def send(self, server: psycopg.Connection[Any], values: Mapping[str, Any], *, prepared: bool) -> None:
        given = [_text(value) for value in self._arranged(values)]
        if prepared:
            server.pgconn.send_query_prepared(self._name, given)
        else:
            server.pgconn.send_query_params(self.sql.encode(), given)

    def read(self, result: pq.abc.PGresult) -> Sequence[Sequence[Any]]:
        columns = range(len(self._readers))
        return [
            tuple(self._read(column, result.get_value(row, column)) for column in columns)
            for row in range(result.ntuples)
        ]

    def _read(self, column: int, value: bytes | None) -> Any:
        return None if value is None else self._readers[column](value)


class _Command:
    """What takes no values and gives no rows, in a pipeline."""

    def __init__(self, sql: bytes) -> None:
        self._sql = sql

    def prepare(self, server: psycopg.Connection[Any], prepared: set[bytes]) -> None:
        """Nothing is prepared for it."""

    def send(self, server: psycopg.Connection[Any], values: Mapping[str, Any], *, prepared: bool) -> None:  # noqa: ARG002
        server.pgconn.send_query_params(self._sql, None)

    def read(self, result: pq.abc.PGresult) -> Sequence[Sequence[Any]]:  # noqa: ARG002
        return []


POOLED = "pooled"
"""The key in a connection's `info` of whether its next transaction may have another server process, where nothing is
prepared.
"""

Execution = tuple[LibpqStatement | _Command, Mapping[str, Any]]

_COMMIT = _Command(b"COMMIT")


def waiting(connection: Connection) -> list[Execution]:
    """What is still to be executed before the next statement, or as the transaction commits."""
    kept: list[Execution] = connection.info.setdefault("waiting", [])
    return kept


def commit(connection: Connection) -> None:
    """Raises psycopg.Error; the transaction can only be rolled back then."""
    pipelined(connection, [(_COMMIT, {})])


def rollback(connection: Connection) -> None:
    waiting(connection).clear()
    server: Any = connection.connection.driver_connection
    if not server.closed:
        command(server, b"ROLLBACK")


def pipelined(connection: Connection, asked: Sequence[Execution]) -> list[Sequence[Sequence[Any]]]:
    """Send what waits and these, then wait once; the rows of each of these.

    libpq's pipeline mode: https://www.postgresql.org/docs/current/libpq-pipeline-mode.html.

    Raises:
        psycopg.Error: of the first that failed; the transaction can only be rolled back then.
    """
    executions = [*waiting(connection), *asked]
    waiting(connection).clear()
    if not executions:
        return []
    server: Any = connection.connection.driver_connection
    prepares = not connection.info.get(POOLED)
    prepared = connection.info.setdefault("prepared", set())
    for statement, _ in executions if prepares else ():
        statement.prepare(server, prepared)
    libpq: pq.abc.PGconn = server.pgconn
    try:
        libpq.enter_pipeline_mode()
        for statement, values in executions:
            statement.send(server, values, prepared=prepares)
        libpq.pipeline_sync()
        # Not `get_result` alone, which would hold up all threads of the process until the server has answered.
        results: list[pq.abc.PGresult] = server.wait(_exchanged(libpq, len(executions)))
        libpq.exit_pipeline_mode()
    except BaseException:
        server.close()  # what is left unread would be taken for the answer to the next statement
        raise
    rows = [statement.read(checked(server, got)) for (statement, _), got in zip(executions, results, strict=True)]
    return rows[len(executions) - len(asked) :]


def _exchanged(libpq: pq.abc.PGconn, count: int) -> PQGen[list[pq.abc.PGresult]]:
    """What is to be sent, sent, and the results as they arrive; psycopg waits in between."""
    yield from send(libpq)
    results = []
    for _ in range(count):
        result = yield from fetch(libpq)
        if result is None:
            raise psycopg.OperationalError(libpq.get_error_message())
        results.append(result)
        assert (yield from fetch(libpq)) is None, "each statement of a pipeline has one result"
    yield from fetch(libpq)  # of the synchronisation
    return results


def command(server: psycopg.Connection[Any], sql: bytes) -> pq.abc.PGresult:
    """Execute what takes no values, such as BEGIN; several commands give the result of the last."""
    return checked(server, server.pgconn.exec_(sql))


def checked(server: psycopg.Connection[Any], result: pq.abc.PGresult) -> pq.abc.PGresult:
    """The result of a call of libpq; raises its failure as psycopg would."""
    if result.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
        return result
    # An answer without a code is libpq's own, to a connection that it has found cut and does not call bad yet.
    if server.pgconn.status == pq.ConnStatus.BAD or not result.error_field(pq.DiagnosticField.SQLSTATE):
        raise psycopg.OperationalError(server.pgconn.get_error_message())
    raise error_from_result(result)


def _text(value: Any) -> bytes | None:
    if value is None:
        return None
    return (_array(value) if isinstance(value, list) else str(value)).encode()


def _array(values: Sequence[Any]) -> str:
    """As PostgreSQL reads arrays: https://www.postgresql.org/docs/current/arrays.html, "Array Input and Output"."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if not isinstance(value, str):
        return str(value)
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'
