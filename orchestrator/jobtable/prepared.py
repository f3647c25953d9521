"""Statements of the hot path: written with SQLAlchemy, compiled once, and executed by the driver itself.

A claim and a completion are a dozen statements that the database does in a few microseconds each; building,
caching and executing them through SQLAlchemy's layers took ten times that, all of it while other workers wait
for the write lock.  They run on the connection that SQLAlchemy holds, inside its transaction.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update

Core = Select[Any] | Insert | Update | Delete


class Prepared:
    """One statement with `bindparam`s for what changes.

    Values go to the driver as they are: JSON columns take and give text here, enumerations their values.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._compiled: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {}
        columns = [str(column.key) for column in core.selected_columns] if isinstance(core, Select) else []
        self._row: Any = namedtuple("Row", columns)  # type: ignore[misc]

    def all(self, connection: Connection, **values: Any) -> list[Any]:
        """The rows of a SELECT, as named tuples."""
        return [self._row._make(row) for row in self._cursor(connection, values).fetchall()]

    def first(self, connection: Connection, **values: Any) -> Any | None:
        """The first row of a SELECT, or None."""
        row = self._cursor(connection, values).fetchone()
        return None if row is None else self._row._make(row)

    def run(self, connection: Connection, **values: Any) -> None:
        """An INSERT, UPDATE or DELETE."""
        self._cursor(connection, values)

    def _cursor(self, connection: Connection, values: dict[str, Any]) -> Any:
        sql, arranged = self.for_driver(connection.dialect)
        driver: Any = connection.connection.driver_connection
        return driver.execute(sql, arranged(values))

    def for_driver(self, dialect: Dialect) -> tuple[str, Callable[[dict[str, Any]], Any]]:
        """The text that the driver is given, and what arranges values by name as that text wants them."""
        known = self._compiled.get(dialect.name)
        if known is None:
            known = self._compiled[dialect.name] = self._compile(dialect)
        return known

    def _compile(self, dialect: Dialect) -> tuple[str, Callable[[dict[str, Any]], Any]]:
        compiled = self._core.compile(dialect=dialect)
        constants = {key: value for key, value in compiled.params.items() if value is not None}
        order: list[str] | None = getattr(compiled, "positiontup", None)
        if order is None:
            return str(compiled), lambda values: {**constants, **values}
        if len(order) == 1:
            (only,) = order
            return str(compiled), lambda values: ({**constants, **values}[only],)
        arranged = itemgetter(*order)
        return str(compiled), lambda values: arranged({**constants, **values})
