"""Whether a database that somebody else wrote is made of a job table's parts, before anything in it is believed.

What stands in its rows is checked as they are read: `orchestrator.jobtable.schema.rows`.
"""

from __future__ import annotations

import sqlite3

from orchestrator.jobtable.schema import tables

LARGEST_BYTES = 1 << 30
"""A million jobs take less; a few kilobytes can unpack to any size."""

_GENERATED = (2, 3)
"""How `PRAGMA table_xinfo` marks columns that are expressions, which run as rows are read."""


class NotAJobTable(Exception):
    """The database has parts that no Orch makes."""


def vet(database: sqlite3.Connection) -> None:
    """Nothing happens if there are only tables and indexes of a job table, of whichever version, or nothing at all.

    Views, triggers, virtual tables and generated columns are code of whoever wrote them.

    Raises:
        NotAJobTable: there is something else.
        sqlite3.DatabaseError: SQLite cannot read it.
    """
    for kind, name, table, sql in database.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema"):
        if kind not in ("table", "index") or table not in tables.metadata.tables or _is_virtual(sql):
            raise NotAJobTable(f"it has a {kind} {ascii(name)[:60]} that no Orch makes")
    for table in tables.metadata.tables:
        for _, name, *_, hidden in database.execute(f"PRAGMA table_xinfo({table})"):
            if hidden in _GENERATED:
                raise NotAJobTable(f"its column {ascii(name)[:60]} is computed, which none of Orch's is")


def _is_virtual(sql: object) -> bool:
    return isinstance(sql, str) and sql.lstrip().upper().startswith("CREATE VIRTUAL")
