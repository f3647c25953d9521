"""A chain of trainings that one worker does without a gap: what comes next.

A job is claimable when its parents are done, also here: what a worker computes ahead of that is its own risk, and
counts when, and only if, it is completed.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from orchestrator import untrusted
from orchestrator.jobs import InputRef, JobState, Stage, Upcoming
from orchestrator.jobtable.backends.statement import Statement
from orchestrator.jobtable.schema.rows import inputs_of, job_name, spec_of
from orchestrator.jobtable.schema.tables import edges, jobs
from orchestrator.jobtable.transactions import claim

_GOING_ON = Statement(
    select(jobs.c.id, jobs.c.name, jobs.c.stage, jobs.c.spec, jobs.c.inputs, jobs.c.undone_parents)
    .join_from(edges, jobs, jobs.c.id == edges.c.child)
    .where(
        edges.c.parent == bindparam("job"),
        jobs.c.stage == bindparam("train"),
        jobs.c.state == bindparam("blocked"),
    )
)


def following(connection: Connection, job: str) -> Upcoming | None:
    """The one training that waits for this job alone and goes on from its state; None if there is none or several."""
    rows = _GOING_ON.all(connection, job=job, train=Stage.TRAIN.value, blocked=JobState.BLOCKED.value)
    if len(rows) != 1 or rows[0].undone_parents != 1:
        return None
    (row,) = rows
    refs = inputs_of(untrusted.parsed("a job's inputs", row.inputs))
    if refs.pop("state", None) != InputRef("state", job):
        return None
    name = job_name(row.name)
    inputs = {called: claim.resolve(connection, name, ref) for called, ref in refs.items()}
    spec = spec_of(Stage.TRAIN, untrusted.parsed("a job's spec", row.spec))
    return Upcoming(untrusted.job_id(row.id), name, Stage.TRAIN, spec, inputs)
