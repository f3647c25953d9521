"""Making the tables in an empty database; telling them from an older Orch's, a newer Orch's and another program's."""

from __future__ import annotations

from sqlalchemy import Connection, insert, inspect, select
from sqlalchemy.exc import NoResultFound, ProgrammingError

from orchestrator.errors import HomeError
from orchestrator.jobtable.schema.tables import VERSION, metadata, study


def create_tables(connection: Connection, where: str) -> None:
    """Make the tables in an empty database; leaves existing ones as they are, of whatever schema.

    Raises:
        HomeError: another program's tables are there.
    """
    there = inspect(connection)
    if not there.has_table(study.name):
        if any(map(there.has_table, metadata.tables)):
            raise _of_another_program(where)
        _give_conditions_to(connection.dialect.name)
        metadata.create_all(connection)
        connection.execute(insert(study).values(id=1, schema_version=VERSION, notes=[]))


def _give_conditions_to(dialect: str) -> None:
    """Make the partial indexes, whose conditions are declared for SQLite, partial in this dialect, too."""
    for table in metadata.tables.values():
        for index in table.indexes:
            index.dialect_options[dialect]["where"] = index.dialect_options["sqlite"]["where"]


def is_current(connection: Connection, where: str) -> bool:
    """Whether the tables have this schema; False if an older one, to be migrated.

    Raises:
        HomeError: a newer Orch made them, another program did, or they are not there.
    """
    if not inspect(connection).has_table(study.name):
        raise HomeError(f"There is no job table in {where}; `orch plan` makes one.")
    try:
        version = connection.execute(select(study.c.schema_version)).scalar_one()
    except (ProgrammingError, NoResultFound) as error:
        raise _of_another_program(where) from error
    if version > VERSION:
        raise HomeError(
            f"The job table in {where} has schema {version} and this Orch knows schemas up to {VERSION}; "
            "upgrade Orch to use this home."
        )
    return bool(version == VERSION)


def _of_another_program(where: str) -> HomeError:
    return HomeError(f"The tables in {where} are another program's; give Orch a database of its own.")
