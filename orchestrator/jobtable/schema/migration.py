"""Brings the tables that an older Orch made to this one's schema, by Alembic's revisions in `migrations/`.

What the tables are now stands in `tables`.  `study.schema_version` is the one note of where a database stands: a
revision's id is the number of the schema that it makes, and Alembic's own table is not used.
"""

from __future__ import annotations

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, select, update

from orchestrator.jobtable.schema.tables import study

_REVISIONS = Path(__file__).with_name("migrations")


def migrate(connection: Connection) -> None:
    """Run all revisions that the tables do not have yet.

    The connection's transaction must be exclusive; nothing has happened until it is committed.
    """
    held = connection.execute(select(study.c.schema_version)).scalar_one()
    with Operations.context(MigrationContext.configure(connection)):
        for revision in _oldest_first():
            number = int(revision.revision)
            if number > held:
                revision.module.upgrade()
                connection.execute(update(study).values(schema_version=number))


def _oldest_first() -> list[Script]:
    scripts = ScriptDirectory(str(_REVISIONS), version_locations=[str(_REVISIONS)])
    return list(scripts.walk_revisions())[::-1]
