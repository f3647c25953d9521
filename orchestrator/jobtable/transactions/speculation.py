"""Which jobs are late, so that an idle worker may begin a speculative attempt beside their holders.

MapReduce calls it a backup task (Dean and Ghemawat, OSDI 2004, section 3.6).

A merge waits for all trainings of its round, and so does every worker that has done its own.  Only there is a second
run worth its cost; where nobody waits it is not.  What lives here: how late is late.  What does not: what becomes of
the two leases (`orchestrator.jobtable.transactions.claim` and `orchestrator.jobtable.transactions.leases`).
"""

from __future__ import annotations

from statistics import median
from typing import Any

from sqlalchemy import Connection, and_, bindparam, false, or_, select, text

from orchestrator.jobs import Ending, JobState, Stage, WorkerInfo
from orchestrator.jobtable.backends.statement import Statement, execute
from orchestrator.jobtable.schema.tables import attempts, edges, jobs
from orchestrator.jobtable.transactions.leases import EXPIRED_SPECULATION, expire_speculation, shorten_leases

LATE_FACTOR = 2.0
"""Times what its siblings took, in the median: workers of one kind differ by less, and a second run that begins then
is over when the first has taken three times as long as it should.
"""
FEWEST_SECONDS = 30.0
"""Fetching what a job needs and making a model ready take as long: sooner than that, a second run cannot win."""

_merge, _tried = jobs.alias("merge"), attempts.alias("tried")
CANDIDATES = Statement(
    select(
        jobs.c.id,
        jobs.c.token,
        jobs.c.needs,
        jobs.c.steps,
        attempts.c.started,
        attempts.c.from_step,
        edges.c.child.label("merge"),
    )
    .select_from(jobs)
    .join(
        attempts,
        and_(attempts.c.job == jobs.c.id, attempts.c.ended.is_(None), attempts.c.twin == false()),
    )
    .join(edges, edges.c.parent == jobs.c.id)
    .join(_merge, and_(_merge.c.id == edges.c.child, _merge.c.stage == Stage.MERGE.value))
    .where(
        # As the partial index says it, and said of which of the two.
        text("jobs.state = 'running'"),
        jobs.c.stage == Stage.TRAIN.value,
        _merge.c.state == JobState.BLOCKED.value,
        or_(jobs.c.twin_token.is_(None), jobs.c.twin_expires < bindparam("now")),
        attempts.c.started < bindparam("begun_before"),
        # Neither its holder nor one that gave it up, failed or died at it: it would be given it again and again.
        ~select(_tried.c.job).where(_tried.c.job == jobs.c.id, _tried.c.worker == bindparam("worker")).exists(),
    )
)
SIBLINGS = Statement(
    select(attempts.c.started, attempts.c.ended, attempts.c.from_step, attempts.c.to_step)
    .join_from(edges, attempts, attempts.c.job == edges.c.parent)
    .where(
        edges.c.child == bindparam("merge"),
        attempts.c.outcome == Ending.DONE.value,
        attempts.c.to_step > attempts.c.from_step,
    )
)


def late_jobs(connection: Connection, worker: WorkerInfo, now: float) -> list[Any]:
    """Rows of `CANDIDATES` that this worker could do, the longest running first.

    Speculative attempts whose workers died are reaped before.
    """
    expired, running = execute(
        connection,
        EXPIRED_SPECULATION.bind(now=now),
        CANDIDATES.bind(now=now, begun_before=now - FEWEST_SECONDS, worker=worker.name),
    )
    shorten_leases(connection, jobs.c.twin_expires, now)
    for row in expired:
        expire_speculation(connection, row, now)
    mine = [row for row in running if row.id not in worker.excluded and row.needs in worker.capabilities]
    paces = {merge: _seconds_per_step(connection, merge) for merge in {row.merge for row in mine}}
    return sorted((row for row in mine if _is_late(row, paces[row.merge], now)), key=lambda row: row.started)


def _is_late(row: Any, seconds_per_step: float | None, now: float) -> bool:
    """Judged by the steps that its holder has to do: it may have begun at a checkpoint, and so may its siblings."""
    if seconds_per_step is None:
        return False
    return bool(now - row.started > LATE_FACTOR * seconds_per_step * (row.steps - row.from_step))


def _seconds_per_step(connection: Connection, merge: str) -> float | None:
    """The median of what is done of a merge's trainings; None if nothing is."""
    done = SIBLINGS.all(connection, merge=merge)
    return median((row.ended - row.started) / (row.to_step - row.from_step) for row in done) if done else None
