"""Putting a plan into the table: set arithmetic between the jobs that are there and those that are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, case, func, insert, or_, select, update

from orchestrator.errors import OrchError, UsageError
from orchestrator.jobs import Artifact, Ending, JobState, PlannedJob
from orchestrator.jobtable.backends.statement import insert_all
from orchestrator.jobtable.schema import rows
from orchestrator.jobtable.schema.tables import data, edges, jobs, study
from orchestrator.jobtable.transactions.interventions import FORGOTTEN, is_begun
from orchestrator.jobtable.transactions.leases import CLEARED_LEASE, FEWEST_DEATHS, close_attempts

if TYPE_CHECKING:  # the planner knows models and recipes, which a worker or `orch status` need not load
    from orchestrator.planning.planner import Plan
    from orchestrator.study import LeasesSection


@dataclass(frozen=True)
class PlanChange:
    """What publishing a plan does to the jobs."""

    added: int
    kept: int
    """Jobs that were in the table before, with whatever state they have reached."""
    revived: int
    """Cancelled before, and asked for again."""
    cancelled: int
    """No longer asked for, and not done."""
    interrupted: tuple[str, ...] = ()
    """Names of those among the cancelled that a worker is at, or that have come to some step already."""
    set_aside: tuple[str, ...] = ()
    """Names of the done that are no longer asked for; their results are kept, and count when they are again."""

    @property
    def disturbs(self) -> bool:
        """Whether it touches what somebody has computed."""
        return bool(self.interrupted or self.set_aside)


class WorkAtStake(OrchError):
    """A plan was not published, because it would touch what somebody has computed."""


def preview(connection: Connection, plan: Plan) -> PlanChange:
    """What publishing the plan would do.  Raises UsageError if the home holds another study."""
    _refuse_another_study(connection, plan)
    return compare(_before(connection), plan)


def publish(
    connection: Connection,
    plan: Plan,
    published: Mapping[str, Artifact],
    notes: Sequence[str],
    now: float,
    *,
    cautious: bool = False,
) -> PlanChange:
    """Make the table hold exactly this plan.

    Raises:
        UsageError: the home holds another study.
        WorkAtStake: it is to be cautious, and would disturb.
    """
    assert plan.study.leases.seconds is not None, "a plan is published with the leases of its home"
    _refuse_another_study(connection, plan)
    before = _before(connection)
    change = compare(before, plan)
    if cautious and change.disturbs:
        raise WorkAtStake("Workers have gone on since what this plan would cancel was looked at; plan again.")
    _set_study(connection, plan, notes, now)
    _set_data(connection, published)
    _withdraw(connection, _vanished(before, plan), now)
    asked = _asked_for(before, plan)
    kept = {row.id: row for row in before if row.id in asked}
    _keep(connection, kept, plan)
    _insert(connection, [job for job in plan.jobs if job.id not in kept], plan.study.leases)
    revived = [row.id for row in kept.values() if row.state == JobState.CANCELLED]
    _each(connection, update(jobs).values(**FORGOTTEN), revived)
    _count_pending_parents(connection)
    return change


def compare(before: Sequence[Any], plan: Plan) -> PlanChange:
    """The set arithmetic between the rows that are there (of `_before`) and those asked for."""
    asked = _asked_for(before, plan)
    there = {row.id: row.state for row in before if row.id in asked}
    revived = [*there.values()].count(JobState.CANCELLED)
    vanished = _vanished(before, plan)
    cancelled = [row for row in vanished if row.state not in (JobState.DONE, JobState.CANCELLED)]
    return PlanChange(
        added=sum(job.id not in there for job in plan.jobs),
        kept=len(there) - revived,
        revived=revived,
        cancelled=len(cancelled),
        interrupted=_names(row for row in cancelled if is_begun(row)),
        set_aside=_names(row for row in vanished if row.state == JobState.DONE),
    )


def _before(connection: Connection) -> Sequence[Any]:
    columns = (jobs.c.id, jobs.c.name, jobs.c.state, jobs.c.step, jobs.c.planned, jobs.c.remaining_path, jobs.c.needs)
    return connection.execute(select(*columns, jobs.c.copy_of)).all()


def _asked_for(before: Sequence[Any], plan: Plan) -> set[str]:
    """The ids of the plan's jobs and, of the copies that workers have made, those that it still wants."""
    planned = {job.id for job in plan.jobs}
    if plan.study.benchmark.devices != "each":
        return planned
    return planned | {row.id for row in before if row.copy_of in planned}


def _names(found: Iterable[Any]) -> tuple[str, ...]:
    return tuple(sorted(rows.job_name(row.name) for row in found))


def _vanished(before: Sequence[Any], plan: Plan) -> list[Any]:
    asked = _asked_for(before, plan)
    return [row for row in before if row.planned and row.id not in asked]


def _refuse_another_study(connection: Connection, plan: Plan) -> None:
    held = connection.execute(select(study.c.name)).scalar_one()
    if held is not None and held != plan.study.name:
        raise UsageError(f"This home holds the study {held!r}; give {plan.study.name!r} a home of its own with --home.")


def _set_study(connection: Connection, plan: Plan, notes: Sequence[str], now: float) -> None:
    document = plan.study.model_dump(mode="json")
    connection.execute(update(study).values(name=plan.study.name, document=document, notes=list(notes), planned_at=now))


def _set_data(connection: Connection, published: Mapping[str, Artifact]) -> None:
    """Name what was published, and, of what was put again because it was lost or damaged, where it is now."""
    known = set(connection.execute(select(data.c.name)).scalars())
    for name, artifact in published.items():
        if name in known:
            connection.execute(update(data).where(data.c.name == name).values(**asdict(artifact)))
        else:
            connection.execute(insert(data).values(name=name, **asdict(artifact)))


def _withdraw(connection: Connection, vanished: Sequence[Any], now: float) -> None:
    """Set aside what the plan no longer has, and cancel what of it is not done."""
    undone = [row.id for row in vanished if row.state not in (JobState.DONE, JobState.CANCELLED)]
    close_attempts(connection, [row.id for row in vanished if row.state == JobState.RUNNING], Ending.CANCELLED, now)
    _each(connection, update(jobs).values(planned=False), [row.id for row in vanished])
    _each(connection, update(jobs).values(state=JobState.CANCELLED, **CLEARED_LEASE), undone)


def _each(connection: Connection, statement: Any, ids: Sequence[str]) -> None:
    if ids:
        connection.execute(statement.where(jobs.c.id == bindparam("job_id")), [{"job_id": id_} for id_ in ids])


def _insert(connection: Connection, fresh: Sequence[PlannedJob], leases: LeasesSection) -> None:
    insert_all(connection, jobs, (_row(job, leases) for job in fresh))
    insert_all(connection, edges, ({"parent": parent, "child": job.id} for job in fresh for parent in job.parents))


def _row(job: PlannedJob, leases: LeasesSection) -> Mapping[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "stage": job.stage.value,
        "model": job.model,
        "steps": job.steps,
        "spec": json.dumps(job.spec, sort_keys=True),
        "inputs": json.dumps({name: asdict(ref) for name, ref in job.inputs.items()}, sort_keys=True),
        "remaining_path": job.critical_path,
        "needs": job.requires.value,
        "planned": True,
        # Until the parents are counted, which gives every job of the plan its state.
        "state": JobState.CANCELLED.value,
        "undone_parents": 0,
        "lease_seconds": leases.seconds,
        "tries": leases.tries,
    }


def _keep(connection: Connection, kept: Mapping[str, Any], plan: Plan) -> None:
    """Bring what may change of a kept job up to date: its place in the graph and the rules of its lease.

    Args:
        kept: their rows as they were before, by id.
    """
    moved = [
        {"job_id": job.id, "remaining_path": job.critical_path, "needs": job.requires}
        for job in plan.jobs
        if job.id in kept and (job.critical_path, job.requires) != (kept[job.id].remaining_path, kept[job.id].needs)
    ]
    if moved:
        connection.execute(update(jobs).where(jobs.c.id == bindparam("job_id")), moved)
    _each(connection, update(jobs).values(planned=True), [job for job, row in kept.items() if not row.planned])
    _set_rules(connection, plan.study.leases)


def _set_rules(connection: Connection, leases: LeasesSection) -> None:
    deaths = max(leases.tries, FEWEST_DEATHS)
    differ = or_(jobs.c.lease_seconds != leases.seconds, jobs.c.tries != leases.tries)
    connection.execute(
        update(jobs)
        .where(jobs.c.planned, differ)
        .values(
            lease_seconds=leases.seconds,
            tries=leases.tries,
            # Fewer tries than were used already: one more failure, or death, is the last.
            failures=case((jobs.c.failures > leases.tries, leases.tries), else_=jobs.c.failures),
            stuck_deaths=case((jobs.c.stuck_deaths > deaths, deaths), else_=jobs.c.stuck_deaths),
        )
    )


def _count_pending_parents(connection: Connection) -> None:
    """Give every planned job that waits or was cancelled its count of pending parents, and the state that follows."""
    parent = jobs.alias("parent")
    pending = (
        select(func.count())
        .select_from(edges.join(parent, parent.c.id == edges.c.parent))
        .where(edges.c.child == jobs.c.id, parent.c.state != JobState.DONE)
        .correlate(jobs)
        .scalar_subquery()
    )
    waiting = jobs.c.planned & jobs.c.state.in_([JobState.BLOCKED, JobState.READY, JobState.CANCELLED])
    state = case((pending == 0, JobState.READY.value), else_=JobState.BLOCKED.value)
    connection.execute(update(jobs).where(waiting).values(undone_parents=pending, state=state))
