"""Files may be larger than 2 GiB, on PostgreSQL too."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in ("checkpoints", "outputs", "data"):
            op.alter_column(table, "size", type_=BigInteger)
