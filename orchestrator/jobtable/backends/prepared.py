"""Statements of the hot path: written with SQLAlchemy, compiled once, and executed by the driver itself.

A claim and a completion are a dozen statements that the database does in a few microseconds each; building,
caching and executing them through SQLAlchemy's layers took ten times that, all of it while other workers wait
for the write lock.  They run on the connection that SQLAlchemy holds, inside its transaction.
How PostgreSQL is spoken to below its driver's layers stands in `orchestrator.jobtable.backends.libpq`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, Protocol

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Delete,
    Double,
    Insert,
    Select,
    Text,
    Update,
    bindparam,
    cast,
    func,
)
from sqlalchemy.engine.interfaces import Compiled

Core = Select[Any] | Insert | Update | Delete


Row = Mapping[str, str | int | float | None]


class Statement(Protocol):
    """One statement as one kind of database is given it."""

    sql: str

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Execute; all rows of a SELECT or of what RETURNING gives, none otherwise."""
        ...


@dataclass(frozen=True)
class Asked:
    """A statement with all its values, to be executed `together` with others."""

    prepared: Prepared
    values: Sequence[Mapping[str, Any]]
    """The values of each of its executions."""


class Prepared:
    """One statement with `bindparam`s for what changes.

    Values go to the driver as they are: JSON columns take and give text here, enumerations their values.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._statements: dict[str, Statement] = {}
        self.row: Any = namedtuple("Row", [str(column.key) for column in core.exported_columns])  # type: ignore[misc]

    def with_values(self, **values: Any) -> Asked:
        return Asked(self, (values,))

    def all(self, connection: Connection, **values: Any) -> list[Any]:
        """The rows that it selects or returns, as named tuples."""
        return self.found(connection, values)

    def found(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """The same, of values that are a mapping already."""
        make = self.row._make
        return [make(row) for row in self.on(connection).rows(connection, values)]

    def first(self, connection: Connection, **values: Any) -> Any | None:
        """The first of them, or None."""
        rows = self.found(connection, values)
        return rows[0] if rows else None

    def on(self, connection: Connection) -> Statement:
        """The statement for the kind of database that this connection is to."""
        kind = connection.dialect.name
        known = self._statements.get(kind)
        if known is None:
            known = self._statements[kind] = self._compiled(connection, kind)
        return known

    def _compiled(self, connection: Connection, kind: str) -> Statement:
        if kind == "postgresql":
            from orchestrator.jobtable.backends.libpq import LibpqStatement

            return LibpqStatement(self._core_for(kind))
        return _DriverStatement(self._core_for(kind).compile(dialect=connection.dialect))

    def _core_for(self, kind: str) -> Core:  # noqa: ARG002  (the same for all; not so for rows)
        return self._core


class PreparedRows(Prepared):
    """One statement for many rows of values, whose number may be another every time.

    PostgreSQL is sent all rows at once, because asking it costs more than what it then does; SQLite, where it is the
    other way round, takes them one after another.

    Args:
        build: the statement, given an object whose attributes are the columns of a row.
        columns: their types.
    """

    def __init__(self, build: Callable[[Any], Core], **columns: type[str | int | float]) -> None:
        super().__init__(build(_one_row(columns)))
        self._build = build
        self._columns = columns
        # The names of columns belong to SQLAlchemy, which makes parameters of its own of them.
        self._names = [(f"its_{name}", name) for name in columns]

    def with_rows(self, connection: Connection, rows: Sequence[Row], **values: Any) -> Asked:
        """The statement for these rows, which have all the columns, and values that are the same for all."""
        if rows and connection.dialect.name == "postgresql":
            return self.with_values(**{its: [row[name] for row in rows] for its, name in self._names}, **values)
        return Asked(self, [{**values, **{its: row[name] for its, name in self._names}} for row in rows])

    def _core_for(self, kind: str) -> Core:
        return self._build(_all_rows(self._columns)) if kind == "postgresql" else self._core


def together(connection: Connection, *asked: Asked) -> list[list[Any]]:
    """Execute in this order; the rows of each as named tuples.  PostgreSQL is waited for once, after the last."""
    if connection.dialect.name == "postgresql":
        from orchestrator.jobtable.backends.libpq import pipelined

        found = iter(pipelined(connection, _executions(connection, asked)))
        return [[one.prepared.row._make(row) for _ in one.values for row in next(found)] for one in asked]
    return [[row for values in one.values for row in one.prepared.found(connection, values)] for one in asked]


def deferred(connection: Connection, *asked: Asked) -> None:
    """Execute together with the next prepared statement or the commit: PostgreSQL is not waited for on its own.

    SQLAlchemy's own statements do not see what these write before that.
    """
    if connection.dialect.name == "postgresql":
        from orchestrator.jobtable.backends.libpq import waiting

        waiting(connection).extend(_executions(connection, asked))
    else:
        together(connection, *asked)


def _executions(connection: Connection, asked: Iterable[Asked]) -> list[tuple[Any, Mapping[str, Any]]]:
    return [(one.prepared.on(connection), values) for one in asked for values in one.values]


_TYPES = {str: Text, int: BigInteger, float: Double}


def _one_row(columns: Mapping[str, type]) -> Any:
    return SimpleNamespace(**{name: bindparam(f"its_{name}", type_=_TYPES[kind]()) for name, kind in columns.items()})


def _all_rows(columns: Mapping[str, type]) -> Any:
    """An array a column: PostgreSQL knows their lengths when it plans, of JSON it would guess a hundred rows."""
    arrays: list[Any] = [cast(bindparam(f"its_{name}"), ARRAY(_TYPES[kind])) for name, kind in columns.items()]
    return func.unnest(*arrays).table_valued(*columns).render_derived(name="given").c


class Arranged:
    """Values by name as a compiled statement wants them: in its order, with its constants between them."""

    def __init__(self, compiled: Compiled) -> None:
        self._constants = {key: value for key, value in compiled.params.items() if value is not None}
        order: Sequence[str] = getattr(compiled, "positiontup", None) or ()
        self._pick = itemgetter(*order) if len(order) > 1 else lambda values: tuple(values[name] for name in order)

    def __call__(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        picked: tuple[Any, ...] = self._pick({**self._constants, **values})
        return picked


class _DriverStatement:
    """A statement as SQLite's driver takes it; the driver keeps it prepared."""

    def __init__(self, compiled: Compiled) -> None:
        self.sql = str(compiled)
        self._arranged = Arranged(compiled)

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        driver: Any = connection.connection.driver_connection
        rows: Sequence[Sequence[Any]] = driver.execute(self.sql, self._arranged(values)).fetchall()
        return rows
