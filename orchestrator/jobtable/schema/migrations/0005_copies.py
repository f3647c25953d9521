"""A benchmark may have copies, each for a device by name; jobs may need a TPU, or either of GPU and TPU."""

from __future__ import annotations

from alembic import op
from sqlalchemy import CheckConstraint, Column, Text, text

from orchestrator.jobtable.schema.rebuilding import replace_check

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # In words that both databases know: Alembic makes the reference a constraint of its own, which SQLite cannot add.
    op.execute("ALTER TABLE jobs ADD COLUMN copy_of VARCHAR(64) REFERENCES jobs (id)")
    # With the last of the columns, because SQLite adds no check to a table that is there.
    copies = CheckConstraint(
        "(copy_of IS NULL) = (device IS NULL) AND (copy_of IS NULL OR stage = 'benchmark')",
        name="a_copy_is_a_benchmark_for_a_device",
    )
    op.add_column("jobs", Column("device", Text, copies))
    replace_check(
        "needs_is_known",
        "jobs",
        old="needs IN ('cpu', 'gpu')",
        new="(device IS NULL) = (needs IN ('cpu', 'gpu', 'tpu', 'gpu|tpu'))",
    )
    is_benchmark = text("stage = 'benchmark'")
    op.create_index("benchmarks", "jobs", ["copy_of"], sqlite_where=is_benchmark, postgresql_where=is_benchmark)
