"""A chain of trainings that one worker does without a gap: what comes next, and handing in several at once.

A job is claimable when its parents are done, also here: what a worker computes ahead of that is its own risk, and
counts when, and only if, it is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from orchestrator import untrusted
from orchestrator.errors import OrchError
from orchestrator.jobs import Artifact, Claimant, Completion, Finished, InputRef, JobState, Lease, Stage, Upcoming
from orchestrator.jobtable import claiming, handing_in
from orchestrator.jobtable.prepared import Prepared
from orchestrator.jobtable.rows import inputs_of, job_name, spec_of
from orchestrator.jobtable.schema import edges, jobs

_GOING_ON = Prepared(
    select(jobs.c.id, jobs.c.name, jobs.c.stage, jobs.c.spec, jobs.c.inputs, jobs.c.undone_parents)
    .join_from(edges, jobs, jobs.c.id == edges.c.child)
    .where(
        edges.c.parent == bindparam("job"),
        jobs.c.stage == bindparam("train"),
        jobs.c.state == bindparam("blocked"),
    )
)


class ChainBroken(OrchError):
    """A job in the middle of what was to be handed in is not this worker's to do; nothing was handed in."""


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
    inputs = {called: claiming.resolve(connection, name, ref) for called, ref in refs.items()}
    spec = spec_of(Stage.TRAIN, untrusted.parsed("a job's spec", row.spec))
    return Upcoming(untrusted.job_id(row.id), name, Stage.TRAIN, spec, inputs)


def hand_on(
    connection: Connection,
    lease: Lease,
    finished: Sequence[Finished],
    then: str | None,
    claimant: Claimant,
    now: float,
    *,
    or_another: bool,
) -> tuple[Lease | None, tuple[Artifact, ...]]:
    """Hand in the lease's job and those that were done after it, and claim the one after them, or what is best.

    Returns:
        the lease, None if there is none to be had, and the artifacts that nobody will read again.

    Raises:
        LeaseLost: the lease's job is somebody else's.
        ChainBroken: one of the others is not ready although the one before it is done.
    """
    superseded: tuple[Artifact, ...] = ()
    held: Lease | None = lease
    for number, done in enumerate(finished):
        if held is None:
            raise ChainBroken(f"The job after {finished[number - 1].job} is not to be had any more.")
        superseded += handing_in.complete(connection, Completion(held, done.outputs, done.metrics), now)
        is_last = number + 1 == len(finished)
        after = then if is_last else finished[number + 1].job
        # Whoever hands in the next one too needs no file of the state in between, and has not kept one.
        without = () if is_last else ("state",)
        held = None if after is None else claiming.claim_one(connection, claimant, after, now, without)
    if held is None and or_another:
        held = next(iter(claiming.claim(connection, claimant, now, most=1)), None)
    return held, superseded
