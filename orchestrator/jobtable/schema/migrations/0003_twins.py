"""Merging is a stage, and a job that is late may be run by a second worker beside its holder."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, CheckConstraint, Column, Double, String, Text, false, text

from orchestrator.jobtable.schema.rebuilding import replace_check

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    replace_check(
        "stage_is_known",
        "jobs",
        old="stage IN ('train', 'compress', 'benchmark')",
        new="stage IN ('train', 'merge', 'compress', 'benchmark')",
    )
    op.add_column("jobs", Column("twin_token", String(32)))
    op.add_column("jobs", Column("twin_worker", Text))
    # With the last of the columns, because SQLite adds no check to a table that is there.
    beside = CheckConstraint(
        "(twin_token IS NULL) = (twin_worker IS NULL) AND (twin_token IS NULL) = (twin_expires IS NULL)"
        " AND (twin_token IS NULL OR (token IS NOT NULL AND twin_token <> token AND twin_worker <> worker))",
        name="a_twin_only_beside_a_holder",
    )
    op.add_column("jobs", Column("twin_expires", Double, beside))
    replace_check(
        "outcome_is_known",
        "attempts",
        old="outcome IN ('done', 'failed', 'released', 'expired', 'cancelled')",
        new="outcome IN ('done', 'failed', 'released', 'expired', 'outrun', 'cancelled')",
    )
    op.add_column("attempts", Column("twin", Boolean, nullable=False, server_default=false()))
    op.drop_index("one_open_attempt", "attempts")
    is_open = text("ended IS NULL")
    op.create_index(
        "one_open_attempt", "attempts", ["job", "twin"], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )
