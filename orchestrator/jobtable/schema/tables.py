"""The tables, with every invariant that SQL can say as a check, a key or an index.

The statements that move rows live in `orchestrator.jobtable.transactions`; where the database lives, in
`orchestrator.jobtable.backends`.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)

from orchestrator.jobs import Device, Ending, JobState, Stage

VERSION = 5
"""The schema's number.  A home with a lower one is migrated when it is opened; a higher one was made by a newer Orch
and is left alone.
"""


class JsonText(TypeDecorator[Any]):
    """JSON kept as text: databases' own JSON types refuse the NaN and infinity that a diverged loss is."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else json.dumps(value, sort_keys=True)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        return None if value is None else json.loads(value)


def _one_of(column: str, values: type[Stage | JobState | Ending]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({_listed(values)})", name=f"{column}_is_known")


def _listed(values: type[Stage | Device | JobState | Ending]) -> str:
    return ", ".join(f"'{value}'" for value in values)


metadata = MetaData()

study = Table(
    "study",
    metadata,
    # One home, one study: a second row would make "the plan" ambiguous.
    Column("id", Integer, CheckConstraint("id = 1", name="one_study"), primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("name", String(100)),
    Column("document", JsonText),
    Column("notes", JsonText, nullable=False),
    Column("planned_at", Double),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("model", Text, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("spec", JsonText, nullable=False),
    Column("inputs", JsonText, nullable=False),
    # The capability that a worker must have to be given the job: `PlannedJob.requires`, or a copy's `device_key`.
    Column("needs", String(8), nullable=False, server_default=Device.CPU.value),
    # False for a job that is done but no longer asked for: its result is kept, not shown.
    Column("planned", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    # Pending parents: how many are not done yet.
    Column("undone_parents", Integer, nullable=False),
    # The critical path: `PlannedJob.critical_path`.
    Column("remaining_path", Integer, nullable=False),
    # The worker that finished the last parent, which holds this job's inputs already.
    Column("affinity", Text),
    Column("not_before", Double, nullable=False, server_default="0"),
    Column("lease_seconds", Double, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    # Deaths without progress: in a row, with no checkpoint gained between them; and where it stood at the last of them.
    Column("stuck_deaths", Integer, nullable=False, server_default="0"),
    Column("death_step", Integer, nullable=False, server_default="-1"),
    Column("token", String(32)),
    Column("worker", Text),
    Column("lease_expires", Double),
    # Of a speculative attempt: a second worker on the same job, because the first is late.
    Column("twin_token", String(32)),
    Column("twin_worker", Text),
    Column("twin_expires", Double),
    Column("step", Integer, nullable=False, server_default="0"),
    Column("progress", JsonText, nullable=False, server_default="{}"),
    Column("metrics", JsonText),
    Column("error", Text),
    # Of a copy: the benchmark that it measures once more, and the name of the device that it is for.
    Column("copy_of", ForeignKey("jobs.id")),
    Column("device", Text),
    _one_of("stage", Stage),
    CheckConstraint(f"(device IS NULL) = (needs IN ({_listed(Device)}))", name="needs_is_known"),
    CheckConstraint(
        "(copy_of IS NULL) = (device IS NULL) AND (copy_of IS NULL OR stage = 'benchmark')",
        name="a_copy_is_a_benchmark_for_a_device",
    ),
    _one_of("state", JobState),
    CheckConstraint(
        "(state = 'running') = (token IS NOT NULL) AND (token IS NULL) = (worker IS NULL)"
        " AND (token IS NULL) = (lease_expires IS NULL)",
        name="running_means_leased",
    ),
    CheckConstraint(
        "(twin_token IS NULL) = (twin_worker IS NULL) AND (twin_token IS NULL) = (twin_expires IS NULL)"
        " AND (twin_token IS NULL OR (token IS NOT NULL AND twin_token <> token AND twin_worker <> worker))",
        name="a_twin_only_beside_a_holder",
    ),
    CheckConstraint("state <> 'ready' OR undone_parents = 0", name="ready_after_all_parents"),
    CheckConstraint("state <> 'blocked' OR undone_parents > 0", name="blocked_by_a_parent"),
    CheckConstraint("undone_parents >= 0", name="parents_are_counted_once"),
    # One death alone never quarantines a job, whatever `tries` says: see `transactions.leases.expire`.
    CheckConstraint("failures <= tries AND stuck_deaths <= tries + 1", name="tries_are_a_limit"),
    CheckConstraint("(state = 'done') = (metrics IS NOT NULL)", name="done_has_metrics"),
)

# Partial indexes are used only by statements that say the same words: a bound parameter could be another state.  Their
# condition stands here as SQLite's, and `creation` gives it to PostgreSQL: if it were named here, SQLAlchemy would load
# that dialect for every command on SQLite.
IS_READY = text("state = 'ready'")
IS_RUNNING = text("state = 'running'")

# `claim` reads the best ready job from here without looking at the others.  It begins with what the jobs need: a worker
# without a GPU would otherwise walk past a million jobs for GPUs to find its own.
Index(
    "ready_by_path",
    jobs.c.needs,
    jobs.c.remaining_path.desc(),
    jobs.c.id,
    sqlite_where=IS_READY,
)
# ... and the best one among those whose inputs a worker holds; the others need not be written here.
_IS_OWN = text("state = 'ready' AND affinity IS NOT NULL")
Index(
    "ready_by_affinity",
    jobs.c.affinity,
    jobs.c.needs,
    jobs.c.remaining_path.desc(),
    jobs.c.id,
    sqlite_where=_IS_OWN,
)
# Reaping looks at the leases that could have expired, not at every job.
Index("running_by_expiry", jobs.c.lease_expires, sqlite_where=IS_RUNNING)
# Benchmarks by what they are copies of, the others first: a worker with nothing to do looks for what it could copy.
IS_BENCHMARK = text("stage = 'benchmark'")
Index("benchmarks", jobs.c.copy_of, sqlite_where=IS_BENCHMARK)
# Two planned jobs of one name would make `orch logs NAME` ambiguous.
Index("planned_names", jobs.c.name, unique=True, sqlite_where=text("planned"))

# Tables that are read by their keys alone are kept in the order of the keys (`WITHOUT ROWID`): half the pages to write.
edges = Table(
    "edges",
    metadata,
    Column("parent", ForeignKey("jobs.id"), primary_key=True),
    Column("child", ForeignKey("jobs.id"), primary_key=True),
    CheckConstraint("parent <> child", name="no_job_waits_for_itself"),
    Index("edges_by_child", "child"),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("job", ForeignKey("jobs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("worker", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("seen", Double, nullable=False),
    Column("ended", Double),
    Column("from_step", Integer, nullable=False),
    Column("to_step", Integer, nullable=False),
    Column("outcome", String(16)),
    Column("error", Text),
    # Whether its token is, or was when it ended, `twin_token`: a speculative attempt.
    Column("twin", Boolean, nullable=False, server_default=false()),
    CheckConstraint("(ended IS NULL) = (outcome IS NULL)", name="ended_means_an_outcome"),
    _one_of("outcome", Ending),
    sqlite_with_rowid=False,
)
# A job has one holder and one speculative attempt at most: another open attempt would be another live token.
Index(
    "one_open_attempt",
    attempts.c.job,
    attempts.c.twin,
    unique=True,
    sqlite_where=text("ended IS NULL"),
)

# Integers of SQLite have 64 bits, of PostgreSQL 32 unless they are asked for more: a file may be larger than 2 GiB.
_BYTES = BigInteger().with_variant(Integer(), "sqlite")
_ARTIFACT = ("sha256", String(64)), ("size", _BYTES), ("location", Text)


def _artifact_columns() -> list[Column[Any]]:
    return [Column(name, kind, nullable=False) for name, kind in _ARTIFACT]


checkpoints = Table(
    "checkpoints",
    metadata,
    Column("job", ForeignKey("jobs.id"), primary_key=True),
    Column("step", Integer, primary_key=True),
    *_artifact_columns(),
    sqlite_with_rowid=False,
)

outputs = Table(
    "outputs",
    metadata,
    Column("job", ForeignKey("jobs.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    *_artifact_columns(),
    sqlite_with_rowid=False,
)

data = Table(
    "data",
    metadata,
    Column("name", String(200), primary_key=True),
    *_artifact_columns(),
)
