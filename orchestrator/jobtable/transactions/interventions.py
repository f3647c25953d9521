"""What a person decides about a job by hand: `orch retry` and `orch cancel`.

What a new plan does to jobs stands in `orchestrator.jobtable.transactions.publish`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select, update

from orchestrator.errors import UsageError
from orchestrator.jobs import Ending, JobState
from orchestrator.jobtable.schema import rows
from orchestrator.jobtable.schema.tables import edges, jobs
from orchestrator.jobtable.transactions.leases import CLEARED_LEASE, close_attempts

FORGOTTEN: Mapping[str, Any] = {"failures": 0, "stuck_deaths": 0, "death_step": -1, "not_before": 0.0, "error": None}
"""What a job that is given another chance does not carry over from those that it had."""


@dataclass(frozen=True)
class Cancellation:
    """What cancelling a job does."""

    cancelled: int
    """The job, and all that waits for it."""
    interrupted: tuple[str, ...]
    """Names of those among them that a worker is at, or that have come to some step already."""


def retry(connection: Connection, job: Row[Any]) -> None:
    """Raises UsageError unless the job is quarantined."""
    if job.state != JobState.QUARANTINED:
        raise UsageError(f"{rows.job_name(job.name)} is {job.state}; only a quarantined job can be retried.")
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(state=JobState.READY, **FORGOTTEN))


def cancellation(connection: Connection, job: Row[Any]) -> Cancellation:
    """What `cancel` would do.  Raises UsageError if the job is done."""
    doomed = _doomed(connection, job)
    return Cancellation(len(doomed), tuple(rows.job_name(row.name) for row in doomed if is_begun(row)))


def cancel(connection: Connection, job: Row[Any], now: float) -> int:
    """Cancel a job and all that could only run after it; returns how many.  Raises UsageError if it is done."""
    doomed = _doomed(connection, job)
    close_attempts(connection, [row.id for row in doomed if row.state == JobState.RUNNING], Ending.CANCELLED, now)
    cancelled = update(jobs).where(jobs.c.id == bindparam("doomed")).values(state=JobState.CANCELLED, **CLEARED_LEASE)
    if doomed:
        connection.execute(cancelled, [{"doomed": row.id} for row in doomed])
    return len(doomed)


def is_begun(row: Any) -> bool:
    """Whether a worker is at the job, or it has come to some step already."""
    return row.state == JobState.RUNNING or bool(row.step)


def _doomed(connection: Connection, job: Row[Any]) -> Sequence[Any]:
    """The job and what waits for it, by name."""
    if job.state == JobState.DONE:
        raise UsageError(f"{rows.job_name(job.name)} is done already; a done job stays done.")
    columns = (jobs.c.id, jobs.c.name, jobs.c.state, jobs.c.step)
    undone = jobs.c.state.not_in((JobState.DONE, JobState.CANCELLED))
    wanted = select(*columns).where(jobs.c.id.in_(_with_descendants(job.id)), undone)
    return connection.execute(wanted.order_by(jobs.c.name)).all()


def _with_descendants(job: str) -> Select[tuple[str]]:
    found = select(jobs.c.id).where(jobs.c.id == job).cte("descendants", recursive=True)
    found = found.union(select(edges.c.child).where(edges.c.parent == found.c.id))
    return select(found.c.id)
