"""Jobs say what a worker must have, and the best ready one is found among those that a worker can do."""

from __future__ import annotations

from alembic import op
from sqlalchemy import CheckConstraint, Column, String, text

revision = "0002"
down_revision = None


def upgrade() -> None:
    # With the column, because SQLite adds no check to a table that is there.
    known = CheckConstraint("needs IN ('cpu', 'gpu')", name="needs_is_known")
    op.add_column("jobs", Column("needs", String(8), known, nullable=False, server_default="cpu"))
    op.drop_index("ready_by_path", "jobs")
    op.drop_index("ready_by_affinity", "jobs")
    is_ready = text("state = 'ready'")
    op.create_index(
        "ready_by_path",
        "jobs",
        ["needs", text("remaining_path DESC"), "id"],
        sqlite_where=is_ready,
        postgresql_where=is_ready,
    )
    is_own = text("state = 'ready' AND affinity IS NOT NULL")
    op.create_index(
        "ready_by_affinity",
        "jobs",
        ["affinity", "needs", text("remaining_path DESC"), "id"],
        sqlite_where=is_own,
        postgresql_where=is_own,
    )
