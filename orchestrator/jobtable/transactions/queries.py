"""What is asked of the table without changing it: the study, jobs, attempts, outputs, data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, inspect, or_, select, true, union

from orchestrator import untrusted
from orchestrator.errors import UsageError
from orchestrator.jobs import Artifact, Attempt, Job, JobState, Stage
from orchestrator.jobtable.schema import rows, tables
from orchestrator.jobtable.schema.rows import as_artifact, as_attempt, as_job
from orchestrator.jobtable.schema.tables import checkpoints, data, jobs, outputs, study
from orchestrator.untrusted import Altered


@dataclass(frozen=True)
class PlannedStudy:
    """What the table knows of the study that it serves."""

    name: str
    document: Mapping[str, Any]
    """The study as `Study.model_dump(mode="json")` wrote it; but for what stands here beside it, unchecked."""
    dataset: str
    threads: int
    """Cores that a training step computes with."""
    measures_on_each_device: bool
    """Whether workers measure on their own device what was measured on another."""
    notes: tuple[str, ...]
    """What every report of this study must say, such as that its data are synthetic."""
    planned_at: float


def has_tables(connection: Connection) -> bool:
    return inspect(connection).has_table(study.name)


def planned_study(connection: Connection) -> PlannedStudy | None:
    row = connection.execute(select(study)).one()
    if row.name is None:
        return None
    document = untrusted.mapping("a study", row.document)
    training = untrusted.mapping("a study's training", untrusted.member(document, "training", "a study"))
    if not isinstance(row.notes, list):
        raise Altered("a study's notes", row.notes)
    return PlannedStudy(
        name=untrusted.name("a study's name", row.name),
        document=document,
        dataset=untrusted.text("a data set", untrusted.member(document, "dataset", "a study")),
        threads=untrusted.whole("a number of threads", untrusted.member(training, "threads", "a training"), least=1),
        measures_on_each_device=_measures_on_each_device(document),
        notes=tuple(untrusted.text("a note", note) for note in row.notes),
        planned_at=rows.moment(row.planned_at),
    )


def _measures_on_each_device(document: Mapping[str, Any]) -> bool:
    """Of a study that an older Orch planned nothing is said about that."""
    return untrusted.mapping("a study's benchmark", document.get("benchmark", {})).get("devices") == "each"


def all_jobs(connection: Connection) -> list[Job]:
    """The jobs of the plan, in the order of their names, and those that were cancelled with it."""
    shown = or_(jobs.c.planned, jobs.c.state == JobState.CANCELLED)
    return [as_job(row) for row in connection.execute(select(jobs).where(shown).order_by(jobs.c.name, jobs.c.id))]


def some_jobs(connection: Connection, stage: Stage | None, state: JobState | None, after: int, most: int) -> list[Job]:
    """A page of what `all_jobs` would give, of one stage and in one state if they are named."""
    wanted = [or_(jobs.c.planned, jobs.c.state == JobState.CANCELLED)]
    wanted += [jobs.c.stage == stage] if stage is not None else []
    wanted += [jobs.c.state == state] if state is not None else []
    # By their ids first: sorting whole rows, specs and all, would take longer than the rest.
    ids = select(jobs.c.id).where(*wanted).order_by(jobs.c.name, jobs.c.id).offset(after).limit(most)
    found = select(jobs).where(jobs.c.id.in_(connection.execute(ids).scalars().all()))
    return [as_job(row) for row in connection.execute(found.order_by(jobs.c.name, jobs.c.id))]


def attempts(connection: Connection, job: str | None) -> list[Attempt]:
    """The attempts at one job or at all, in the order of their beginning."""
    wanted = select(tables.attempts).order_by(
        tables.attempts.c.started, tables.attempts.c.job, tables.attempts.c.number
    )
    if job is not None:
        wanted = wanted.where(tables.attempts.c.job == job)
    return [as_attempt(row) for row in connection.execute(wanted)]


def outputs_of(connection: Connection, job: str) -> dict[str, Artifact]:
    rows = connection.execute(select(outputs).where(outputs.c.job == job))
    return {untrusted.path("an output's name", row.name): as_artifact(row) for row in rows}


def published_data(connection: Connection) -> dict[str, Artifact]:
    rows = connection.execute(select(data))
    return {untrusted.path("published data's name", row.name): as_artifact(row) for row in rows}


def referenced_locations(connection: Connection) -> set[str]:
    """The locations of all files that a row refers to."""
    named = union(*(select(table.c.location) for table in (outputs, checkpoints, data)))
    return set(connection.execute(named).scalars())


def is_referenced(connection: Connection, location: str) -> bool:
    """Whether a row names the file at this location of the store."""
    named = (select(table.c.location).where(table.c.location == location) for table in (outputs, checkpoints, data))
    return connection.execute(union(*named).limit(1)).first() is not None


def unfinished(
    connection: Connection, besides: Collection[str], capabilities: Collection[str] | None, now: float
) -> bool:
    """Whether a job can be claimed, or may become so: what is blocked waits, in the end, for one of these.

    Nothing waits for a copy, and the device that it is for may never come back.  So it counts for workers on that
    device; for those who only look (without `capabilities`), as long as one of these is at it.
    """
    moving = jobs.c.state.in_([JobState.READY, JobState.RUNNING])
    others = jobs.c.id.not_in(besides) if besides else true()
    counts = jobs.c.lease_expires >= now if capabilities is None else jobs.c.needs.in_([*map(str, capabilities)])
    found = select(jobs.c.id).where(jobs.c.planned, moving, others, or_(jobs.c.copy_of.is_(None), counts))
    return connection.execute(found.limit(1)).first() is not None


def find(connection: Connection, job: str) -> Row[Any]:
    """The row of a job by its name, its id or the beginning of its id.  Raises UsageError unless exactly one fits."""
    by_name = connection.execute(select(jobs).where(jobs.c.name == job, jobs.c.planned)).all()
    found = by_name or connection.execute(select(jobs).where(jobs.c.id.startswith(job, autoescape=True)).limit(2)).all()
    if len(found) == 1:
        return found[0]
    fault = "fits more than one job" if found else "is no job of this study"
    raise UsageError(f"{job!r} {fault}; `orch status --jobs` lists their names.")
