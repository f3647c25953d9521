"""Changes of tables for which SQLite has no ALTER: for the revisions in `migrations/`, in their transaction."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Connection


def replace_check(name: str, table: str, old: str, new: str) -> None:
    """Put another condition in the place of a check's.

    Args:
        old: the condition as the schema before said it, to the letter.

    Raises:
        LookupError: the table has no such check (SQLite).
    """
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        _rebuild(connection, table, f"CONSTRAINT {name} CHECK ({old})", f"CONSTRAINT {name} CHECK ({new})")
    else:
        op.drop_constraint(name, table, type_="check")
        op.create_check_constraint(name, table, new)


def _rebuild(connection: Connection, table: str, old: str, new: str) -> None:
    """Make a table anew with one piece of its text replaced; its rows and indexes stay, and references to it hold.

    Alembic's batch mode cannot do that here: foreign keys are on, and a transaction cannot switch them off.  It can
    have them judged at its end.  The DROP then counts every row that referred to the table, and each row that is
    inserted under the same key takes back what it cost; a table that was filled first and renamed into the place, as
    in batch mode, takes back nothing, and the commit fails.
    """
    run = connection.exec_driver_sql
    made = run("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,)).scalar_one()
    if made.count(old) != 1:
        raise LookupError(f"{table} has no {old!r}")
    indexes = run("SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL", (table,))
    again = [made.replace(old, new), f"INSERT INTO {table} SELECT * FROM temp.kept", *indexes.scalars()]
    run("PRAGMA defer_foreign_keys = ON")
    run(f"CREATE TEMP TABLE kept AS SELECT * FROM {table}")
    run(f"DROP TABLE {table}")
    for statement in again:
        run(statement)
    run("DROP TABLE temp.kept")
