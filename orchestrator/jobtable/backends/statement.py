"""A statement written with SQLAlchemy Core, compiled once and executed by the database's driver itself.

A claim and a completion are a dozen statements that the database does in a few microseconds each; through SQLAlchemy's
own execution they took ten times that on SQLite, all of it while other workers wait for the write lock.  They run on
the connection that SQLAlchemy holds, inside its transaction, and what needs no hurry is executed by SQLAlchemy beside
them.  Preparing is left to the drivers, which both keep a statement that comes again prepared.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Table, Update
from sqlalchemy.sql.compiler import SQLCompiler

Core = Select[Any] | Insert | Update | Delete


class Statement:
    """A statement of Core with `bindparam`s for what changes.

    Values go to the driver as they are: JSON columns take and give text here, enumerations their values.
    Threads: any, at any time.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._compiled: dict[str, _Compiled] = {}
        self._row: Any = namedtuple("Row", [str(column.key) for column in core.exported_columns])  # type: ignore[misc]

    def bind(self, **values: Any) -> BoundStatement:
        """The statement with a value for each of its parameters, to be executed with others."""
        return BoundStatement(self, values)

    def all(self, connection: Connection, **values: Any) -> list[Any]:
        """Execute; the rows that it selects or returns, as named tuples."""
        return self.rows(self.sent(connection, values))

    def first(self, connection: Connection, **values: Any) -> Any | None:
        """Execute; the first of its rows, or None."""
        return next(iter(self.all(connection, **values)), None)

    def sql(self, dialect: Dialect) -> str:
        """The text that the driver is given."""
        return self._for(dialect).sql

    def sent(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Have the driver execute it; the cursor, from which `rows` reads.  Raises the driver's own errors."""
        compiled = self._for(connection.dialect)
        driver: Any = connection.connection.driver_connection
        return driver.execute(compiled.sql, compiled.parameters(values))

    def rows(self, cursor: Any) -> list[Any]:
        # psycopg raises an error when it is asked for the rows of a statement that gives none.
        return [self._row._make(row) for row in cursor.fetchall()] if self._row._fields else []

    def _for(self, dialect: Dialect) -> _Compiled:
        known = self._compiled.get(dialect.name)
        if known is None:
            known = self._compiled[dialect.name] = _Compiled(self._core, dialect)
        return known


@dataclass(frozen=True)
class BoundStatement:
    """A statement with its values."""

    statement: Statement
    values: Mapping[str, Any]


def execute(connection: Connection, *bound: BoundStatement) -> list[list[Any]]:
    """Execute in this order; the rows of each as named tuples.

    PostgreSQL is sent all of them before it is waited for, once: asking it costs more than what it then does
    (https://www.psycopg.org/psycopg3/docs/advanced/pipeline.html).

    Raises the driver's error of the first that failed; the transaction can only be rolled back then.
    """
    if len(bound) < 2 or connection.dialect.name != "postgresql":
        return [one.statement.all(connection, **one.values) for one in bound]
    driver: Any = connection.connection.driver_connection
    with driver.pipeline():
        cursors = [one.statement.sent(connection, one.values) for one in bound]
    return [one.statement.rows(cursor) for one, cursor in zip(bound, cursors, strict=True)]


def insert_all(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns, in one order; they are never all in memory.

    PostgreSQL copies them in, which takes a quarter of what as many INSERTs take
    (https://www.psycopg.org/psycopg3/docs/basic/copy.html).  Raises the driver's errors.
    """
    left = iter(rows)
    first = next(left, None)
    if first is None:
        return
    columns = ", ".join(first)
    values = (tuple(row.values()) for row in chain([first], left))
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "postgresql":
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
            for row in values:
                copy.write_row(row)
    else:
        marks = ", ".join("?" * len(first))
        driver.executemany(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", values)


class _Compiled:
    """A statement as one kind of database is given it."""

    def __init__(self, core: Core, dialect: Dialect) -> None:
        compiled = core.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler), "what has parameters is a statement and no DDL"
        self.sql = str(compiled)
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}
        self._order: Sequence[str] | None = compiled.positiontup

    def parameters(self, values: Mapping[str, Any]) -> Mapping[str, Any] | Sequence[Any]:
        """As the driver's style of parameters wants them: by name, or in their order."""
        given = {**self._constants, **values}
        return given if self._order is None else [given[name] for name in self._order]
