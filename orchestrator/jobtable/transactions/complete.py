"""Completing jobs: the commit of each, and what follows from it for its children and its files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    Connection,
    Double,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    insert,
    null,
    select,
    update,
)

from orchestrator.errors import OrchError
from orchestrator.jobs import Artifact, Completed, Ending, Finished, JobState, Lease, Stage, WorkerInfo
from orchestrator.jobtable.backends.statement import BoundStatement, Statement, execute
from orchestrator.jobtable.schema.rows import as_artifact
from orchestrator.jobtable.schema.tables import attempts, checkpoints, edges, jobs, outputs
from orchestrator.jobtable.transactions import claim
from orchestrator.jobtable.transactions.leases import CLEARED_LEASE, ended, is_held_under, lost_by, unreferenced

_LEASE_SECONDS = select(jobs.c.lease_seconds).where(jobs.c.id == attempts.c.job).scalar_subquery()

_READS_STATES_ONCE = (Stage.TRAIN, Stage.MERGE)
"""Stages whose jobs are planned from a training's beginning: no other of them comes to read a state later."""

DONE = Statement(
    update(jobs)
    .where(jobs.c.id == bindparam("job"), is_held_under(bindparam("held")))
    .values(
        state=JobState.DONE.value,
        metrics=bindparam("measured"),
        step=case((jobs.c.steps > 0, jobs.c.steps), else_=jobs.c.step),
        error=null(),
        **dict.fromkeys(CLEARED_LEASE, null()),
    )
    .returning(jobs.c.attempts)
)
SUPERSEDE = Statement(
    update(attempts)
    .where(attempts.c.job == bindparam("of"), attempts.c.ended.is_(None))
    .values(
        ended=bindparam("now", type_=Double),
        # One that was silent for longer than its lease was not slow but dead.
        outcome=case(
            (attempts.c.seen < bindparam("now", type_=Double) - _LEASE_SECONDS, Ending.EXPIRED.value),
            else_=Ending.SUPERSEDED.value,
        ),
    )
)
CHILDREN = Statement(select(edges.c.child).where(edges.c.parent == bindparam("job")))
_LAST_PARENT = and_(jobs.c.undone_parents == 1, jobs.c.state == JobState.BLOCKED.value)
PARENT_DONE = Statement(
    update(jobs)
    .where(jobs.c.id == bindparam("child"))
    .values(
        undone_parents=jobs.c.undone_parents - 1,
        state=case((_LAST_PARENT, JobState.READY.value), else_=jobs.c.state),
        affinity=case((_LAST_PARENT, bindparam("by", type_=Text)), else_=jobs.c.affinity),
    )
)
DROP_CHECKPOINTS = Statement(
    delete(checkpoints)
    # Of a lease that was lost they are the next holder's.
    .where(
        checkpoints.c.job == bindparam("of"),
        exists().where(jobs.c.id == checkpoints.c.job, jobs.c.state == JobState.DONE.value),
    )
    .returning(checkpoints.c.sha256, checkpoints.c.size, checkpoints.c.location)
)
_ADD_OUTPUT = Statement(insert(outputs))


class ChainBroken(OrchError):
    """A job in the middle of what was to be completed is not this worker's to do; nothing was completed."""


def complete(
    connection: Connection,
    lease: Lease,
    finished: Sequence[Finished],
    worker: WorkerInfo,
    now: float,
    *,
    then: str | None,
    or_best: bool,
) -> Completed:
    """Complete the lease's job and those that were done after it, and claim the one after them, or what is best.

    Raises:
        LeaseLost: the lease's job is somebody else's.
        ChainBroken: one of the others is not ready although the one before it is done.
    """
    assert finished and finished[0].job == lease.job, "a run begins with the job whose lease it is"
    obsolete: tuple[Artifact, ...] = ()
    held: Lease | None = lease
    for number, done in enumerate(finished):
        if held is None:
            raise ChainBroken(f"The job after {finished[number - 1].job} is not to be had any more.")
        obsolete += _complete_one(connection, held, done, now)
        is_last = number + 1 == len(finished)
        after = then if is_last else finished[number + 1].job
        # Whoever completes the next one too needs no file of the state in between, and has not kept one.
        without = () if is_last else ("state",)
        held = None if after is None else claim.claim_one(connection, worker, after, now, without)
    if held is None and or_best:
        held = claim.claim(connection, worker, now)
    return Completed(held, obsolete)


def _complete_one(connection: Connection, lease: Lease, done: Finished, now: float) -> tuple[Artifact, ...]:
    """The commit of one job; returns the artifacts that nobody will read again.  Raises LeaseLost."""
    measured = json.dumps(dict(done.metrics), sort_keys=True)
    completed, _, children, dropped = execute(
        connection,
        DONE.bind(job=lease.job, held=lease.token, measured=measured),
        ended(lease, Ending.DONE, now),
        CHILDREN.bind(job=lease.job),
        DROP_CHECKPOINTS.bind(of=lease.job),
    )
    if not completed:
        raise lost_by(lease)
    if completed[0].attempts > 1:  # beside the only attempt there is no other: most jobs are not asked
        SUPERSEDE.all(connection, of=lease.job, now=now)
    execute(connection, *_outputs_added(lease.job, done.outputs), *_unblocked(children, lease.worker))
    obsolete = tuple(as_artifact(row) for row in dropped)
    if _read_states(lease):
        obsolete += _drop_states_before(connection, lease.job)
    return unreferenced(connection, obsolete)


def _outputs_added(job: str, kept: Mapping[str, Artifact]) -> list[BoundStatement]:
    return [_ADD_OUTPUT.bind(job=job, name=name, **asdict(artifact)) for name, artifact in kept.items()]


def _unblocked(children: Sequence[Any], worker: str) -> list[BoundStatement]:
    """Count a parent that is done off its children (rows of `CHILDREN`).

    All transactions lock children in one order: two whose jobs end at once must not lock crosswise.

    Args:
        worker: who did the parent.
    """
    return [PARENT_DONE.bind(child=row.child, by=worker) for row in sorted(children)]


def _read_states(lease: Lease) -> bool:
    return lease.stage is Stage.MERGE or (lease.stage is Stage.TRAIN and "state" in lease.inputs)


def _drop_states_before(connection: Connection, job: str) -> tuple[Artifact, ...]:
    """States of parents that only trainings and merges read, all of which are done: the middle is not kept.

    The end of a training has children of other stages, or of a model that it teaches (and may get more when the study
    is edited): it stays.
    """
    child, parent, own = jobs.alias("child"), jobs.alias("parent"), jobs.alias("own")
    still_read = exists().where(
        edges.c.parent == outputs.c.job,
        child.c.id == edges.c.child,
        (child.c.state != JobState.DONE) | child.c.stage.not_in(_READS_STATES_ONCE),
    )
    parents = (
        select(edges.c.parent)
        .join(parent, parent.c.id == edges.c.parent)
        .join(own, own.c.id == edges.c.child)
        .where(edges.c.child == job, parent.c.model == own.c.model)
    )
    finished = and_(outputs.c.job.in_(parents), outputs.c.name == "state", ~still_read)
    rows = connection.execute(select(outputs).where(finished)).all()
    for row in rows:
        connection.execute(delete(outputs).where(outputs.c.job == row.job, outputs.c.name == row.name))
    return tuple(as_artifact(row) for row in rows)
