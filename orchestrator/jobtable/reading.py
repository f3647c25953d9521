"""Rows of the table as the plain data of `orchestrator.jobs`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, inspect, or_, select, true, union

from orchestrator.errors import UsageError
from orchestrator.jobs import Artifact, Attempt, Ending, Job, JobState, Stage
from orchestrator.jobtable import schema
from orchestrator.jobtable.schema import checkpoints, data, jobs, outputs, study


@dataclass(frozen=True)
class PlannedStudy:
    """What the table knows of the study that it serves."""

    name: str
    document: dict[str, Any]
    """The study as `Study.model_dump(mode="json")` wrote it."""
    notes: tuple[str, ...]
    """What every report of this study must say, such as that its data are synthetic."""
    planned_at: float


def has_tables(connection: Connection) -> bool:
    return inspect(connection).has_table(study.name)


def planned_study(connection: Connection) -> PlannedStudy | None:
    row = connection.execute(select(study)).one()
    if row.name is None:
        return None
    return PlannedStudy(row.name, row.document, tuple(row.notes), row.planned_at)


def all_jobs(connection: Connection) -> list[Job]:
    """The jobs of the plan, in the order of their names, and those that were cancelled with it."""
    shown = or_(jobs.c.planned, jobs.c.state == JobState.CANCELLED)
    return [as_job(row) for row in connection.execute(select(jobs).where(shown).order_by(jobs.c.name, jobs.c.id))]


def attempts(connection: Connection, job: str | None) -> list[Attempt]:
    """Of one job or of all, in the order of their beginning."""
    wanted = select(schema.attempts).order_by(
        schema.attempts.c.started, schema.attempts.c.job, schema.attempts.c.number
    )
    if job is not None:
        wanted = wanted.where(schema.attempts.c.job == job)
    return [_attempt(row) for row in connection.execute(wanted)]


def outputs_of(connection: Connection, job: str) -> dict[str, Artifact]:
    rows = connection.execute(select(outputs).where(outputs.c.job == job))
    return {row.name: Artifact(row.sha256, row.size, row.location) for row in rows}


def published_data(connection: Connection) -> dict[str, Artifact]:
    return {row.name: Artifact(row.sha256, row.size, row.location) for row in connection.execute(select(data))}


def named_locations(connection: Connection) -> set[str]:
    """Of all files that a row names."""
    named = union(*(select(table.c.location) for table in (outputs, checkpoints, data)))
    return set(connection.execute(named).scalars())


def unfinished(connection: Connection, besides: Collection[str]) -> bool:
    """Whether a job can be claimed, or may become so: what is blocked waits, in the end, for one of these."""
    moving = jobs.c.state.in_([JobState.READY, JobState.RUNNING])
    others = jobs.c.id.not_in(besides) if besides else true()
    return connection.execute(select(jobs.c.id).where(jobs.c.planned, moving, others).limit(1)).first() is not None


def find(connection: Connection, job: str) -> Row[Any]:
    """The row of a job by its name, its id or the beginning of its id.  Raises UsageError unless exactly one fits."""
    by_name = connection.execute(select(jobs).where(jobs.c.name == job, jobs.c.planned)).all()
    found = by_name or connection.execute(select(jobs).where(jobs.c.id.startswith(job, autoescape=True)).limit(2)).all()
    if len(found) == 1:
        return found[0]
    fault = "fits more than one job" if found else "is no job of this study"
    raise UsageError(f"{job!r} {fault}; `orch status --jobs` lists their names.")


def as_job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        name=row.name,
        stage=Stage(row.stage),
        state=JobState(row.state),
        spec=row.spec,
        attempts=row.attempts,
        failures=row.failures,
        worker=row.worker,
        progress=row.progress,
        metrics=row.metrics,
        error=row.error,
    )


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        job=row.job,
        number=row.number,
        worker=row.worker,
        host=row.host,
        device=row.device,
        started=row.started,
        seen=row.seen,
        ended=row.ended,
        from_step=row.from_step,
        to_step=row.to_step,
        outcome=None if row.outcome is None else Ending(row.outcome),
        error=row.error,
        twin=row.twin,
    )
