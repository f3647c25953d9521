"""Handing in what is done: the one commit of a job, and what follows from it for its children and its files."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
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

from orchestrator.jobs import Artifact, Completion, Ending, JobState, Lease, Stage
from orchestrator.jobtable.prepared import PreparedRows, Row, together
from orchestrator.jobtable.rows import as_artifact
from orchestrator.jobtable.schema import attempts, checkpoints, edges, jobs, outputs
from orchestrator.jobtable.settling import CLEARED_LEASE, ended, is_held_under, lost_by, unnamed

_LEASE_SECONDS = select(jobs.c.lease_seconds).where(jobs.c.id == attempts.c.job).scalar_subquery()

_READS_STATES_ONCE = (Stage.TRAIN, Stage.MERGE)
"""Stages whose jobs are planned from a training's beginning: no other of them comes to read a state later."""

DONE = PreparedRows(
    lambda given: (
        update(jobs)
        .where(jobs.c.id == given.job, is_held_under(given.token))
        .values(
            state=JobState.DONE.value,
            metrics=given.metrics,
            step=case((jobs.c.steps > 0, jobs.c.steps), else_=jobs.c.step),
            error=null(),
            **dict.fromkeys(CLEARED_LEASE, null()),
        )
        .returning(jobs.c.id, jobs.c.attempts)
    ),
    job=str,
    token=str,
    metrics=str,
)
OUTRUN = PreparedRows(
    lambda given: (
        update(attempts)
        .where(attempts.c.job == given.job, attempts.c.ended.is_(None))
        .values(
            ended=bindparam("now", type_=Double),
            # One that was silent for longer than its lease was not slow but dead.
            outcome=case(
                (attempts.c.seen < bindparam("now", type_=Double) - _LEASE_SECONDS, Ending.EXPIRED.value),
                else_=Ending.OUTRUN.value,
            ),
        )
    ),
    job=str,
)
CHILDREN = PreparedRows(
    lambda given: select(edges.c.child, edges.c.parent).where(edges.c.parent == given.job),
    job=str,
)
_LOCKED = PreparedRows(
    lambda given: select(jobs.c.id).where(jobs.c.id == given.job).order_by(jobs.c.id).with_for_update(of=jobs),
    job=str,
)


def _last_parents(given: Any) -> ColumnElement[bool]:
    return and_(jobs.c.undone_parents == given.parents, jobs.c.state == JobState.BLOCKED.value)


PARENTS_DONE = PreparedRows(
    lambda given: (
        update(jobs)
        .where(jobs.c.id == given.job)
        .values(
            undone_parents=jobs.c.undone_parents - given.parents,
            state=case((_last_parents(given), JobState.READY.value), else_=jobs.c.state),
            affinity=case((_last_parents(given), given.worker), else_=jobs.c.affinity),
        )
    ),
    job=str,
    parents=int,
    worker=str,
)


DROP_CHECKPOINTS = PreparedRows(
    lambda given: (
        delete(checkpoints)
        # Of a lease that was lost they are the next holder's.
        .where(
            checkpoints.c.job == given.job,
            exists().where(jobs.c.id == checkpoints.c.job, jobs.c.state == JobState.DONE.value),
        )
        .returning(checkpoints.c.sha256, checkpoints.c.size, checkpoints.c.location)
    ),
    job=str,
)
_ADD_OUTPUTS = PreparedRows(
    lambda given: insert(outputs).from_select(
        ["job", "name", "sha256", "size", "location"],
        select(given.job, given.name, given.sha256, given.size, given.location),
    ),
    job=str,
    name=str,
    sha256=str,
    size=int,
    location=str,
)


def hand_in(
    connection: Connection, completions: Sequence[Completion], now: float
) -> tuple[tuple[Artifact, ...], tuple[Lease, ...]]:
    """The one commit of jobs, of those whose leases still hold them.

    Returns:
        the artifacts that nobody will read again, and the leases that were lost.
    """
    of = {completion.lease.job for completion in completions}
    assert len(of) == len(completions), "a job is handed in once in a batch: of two leases one is lost"
    taken_rows, _, children, checkpoints_of = together(
        connection,
        DONE.with_rows(connection, [_handed_in(completion) for completion in completions]),
        ended(connection, [completion.lease for completion in completions], Ending.DONE, now),
        CHILDREN.with_rows(connection, [{"job": completion.lease.job} for completion in completions]),
        DROP_CHECKPOINTS.with_rows(connection, [{"job": completion.lease.job} for completion in completions]),
    )
    taken = {row.id for row in taken_rows}
    # Beside the only attempt there is no other: most jobs are not asked.
    tried_again = [{"job": row.id} for row in taken_rows if row.attempts > 1]
    if tried_again:
        together(connection, OUTRUN.with_rows(connection, tried_again, now=now))
    done = [completion for completion in completions if completion.lease.job in taken]
    _add_outputs(connection, done)
    _unblock(connection, {completion.lease.job: completion.lease.worker for completion in done}, children)
    superseded = tuple(as_artifact(row) for row in checkpoints_of)
    for completion in done:
        if _read_states(completion.lease):
            superseded += _drop_states_before(connection, completion.lease.job)
    lost = tuple(completion.lease for completion in completions if completion.lease.job not in taken)
    return unnamed(connection, superseded), lost


def complete(connection: Connection, completion: Completion, now: float) -> tuple[Artifact, ...]:
    """One job handed in; returns the artifacts that nobody will read again.  Raises LeaseLost."""
    superseded, lost = hand_in(connection, [completion], now)
    if lost:
        raise lost_by(completion.lease)
    return superseded


def _handed_in(completion: Completion) -> dict[str, Any]:
    lease = completion.lease
    return {"job": lease.job, "token": lease.token, "metrics": json.dumps(dict(completion.metrics), sort_keys=True)}


def _add_outputs(connection: Connection, completions: Iterable[Completion]) -> None:
    rows = [
        {"job": completion.lease.job, "name": name, **asdict(artifact)}
        for completion in completions
        for name, artifact in completion.outputs.items()
    ]
    if rows:
        together(connection, _ADD_OUTPUTS.with_rows(connection, rows))


def _unblock(connection: Connection, workers: Mapping[str, str], edges_down: Iterable[Any]) -> None:
    """Count parents that are done off their children.

    The children are locked in one order: two transactions whose parents end at once must not lock crosswise.

    Args:
        workers: who did each parent, by its id.
        edges_down: rows of `child` and `parent`.
    """
    parents: dict[str, list[str]] = defaultdict(list)
    for edge in edges_down:
        if edge.parent in workers:
            parents[edge.child].append(edge.parent)
    if parents:
        freed = [_freed(child, done, workers) for child, done in parents.items()]
        together(connection, _LOCKED.with_rows(connection, freed), PARENTS_DONE.with_rows(connection, freed))


def _freed(child: str, parents: Sequence[str], workers: Mapping[str, str]) -> Row:
    return {"job": child, "parents": len(parents), "worker": workers[parents[-1]]}


def _read_states(lease: Lease) -> bool:
    return lease.stage is Stage.MERGE or (lease.stage is Stage.TRAIN and "state" in lease.inputs)


def _drop_states_before(connection: Connection, job: str) -> tuple[Artifact, ...]:
    """States of parents that only trainings and merges read, all of which are done: the middle is not kept.

    The end of a training has children of other stages (and may get more when the study is edited): it stays.
    """
    child = jobs.alias("child")
    still_read = exists().where(
        edges.c.parent == outputs.c.job,
        child.c.id == edges.c.child,
        (child.c.state != JobState.DONE) | child.c.stage.not_in(_READS_STATES_ONCE),
    )
    parents = select(edges.c.parent).where(edges.c.child == job)
    finished = and_(outputs.c.job.in_(parents), outputs.c.name == "state", ~still_read)
    rows = connection.execute(select(outputs).where(finished)).all()
    for row in rows:
        connection.execute(delete(outputs).where(outputs.c.job == row.job, outputs.c.name == row.name))
    return tuple(as_artifact(row) for row in rows)
