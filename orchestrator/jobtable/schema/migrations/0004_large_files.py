"""Files may be larger than 2 GiB, on PostgreSQL too."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, text

from orchestrator.errors import HomeError

revision = "0004"
down_revision = "0003"

_AT_WORK = text("SELECT count(*) FROM jobs WHERE lease_expires > extract(epoch from clock_timestamp())")


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    # Of a column with another type the server refuses the statements that older workers have prepared.
    if working := op.get_bind().execute(_AT_WORK).scalar_one():
        raise HomeError(
            f"{working} jobs are held by workers of an older Orch, which this one's table would end; stop those "
            "workers, or wait until they are done, and run the command again."
        )
    for table in ("checkpoints", "outputs", "data"):
        op.alter_column(table, "size", type_=BigInteger)
