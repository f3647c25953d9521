"""What happens to a job that is held: renewed, completed, failed, released, expired.

Every function that acts for a worker takes its lease and raises `LeaseLost` when the token is no longer the
job's: the row is then another worker's, and is not touched.

A job that is late may be held twice, by its holder and by a speculative attempt (`speculation` says when).  What is
said here of a job that is let go holds for the last of them: until then the other goes on with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from orchestrator import untrusted
from orchestrator.errors import OrchError
from orchestrator.jobs import Artifact, Checkpoint, Ending, JobState, Lease
from orchestrator.jobtable.backends.statement import BoundStatement, Statement, execute
from orchestrator.jobtable.schema import rows
from orchestrator.jobtable.schema.rows import as_artifact
from orchestrator.jobtable.schema.tables import IS_RUNNING, attempts, checkpoints, data, jobs, outputs

KEPT_CHECKPOINTS = 2
"""The newest, and the one before in case the newest turns out damaged."""

FIRST_BACK_OFF_SECONDS = 5.0
LONGEST_BACK_OFF_SECONDS = 300.0
"""A job that fails at once must not be claimed in a tight loop; one that a passing fault hit must not wait long."""

FEWEST_DEATHS = 2
"""One worker's death says nothing about the job that it held."""

CLOCK_SKEW_SECONDS = 30.0
"""A lease may outlast now and its length by so much: another's transaction may have read the clock that much later."""

NO_SPECULATION: Mapping[str, None] = {"twin_token": None, "twin_worker": None, "twin_expires": None}
CLEARED_LEASE: Mapping[str, None] = {"token": None, "worker": None, "lease_expires": None, **NO_SPECULATION}


def is_held_under(token: Any) -> ColumnElement[bool]:
    return or_(jobs.c.token == token, jobs.c.twin_token == token)


_HELD = Statement(
    select(
        jobs.c.step,
        jobs.c.lease_seconds,
        jobs.c.failures,
        jobs.c.tries,
        jobs.c.progress,
        jobs.c.twin_token,
    )
    .where(jobs.c.id == bindparam("job"), is_held_under(bindparam("token")))
    .with_for_update()
)
_STEP_WHEN_DONE = (
    select(jobs.c.step).where(jobs.c.id == attempts.c.job, jobs.c.state == JobState.DONE.value).scalar_subquery()
)
CLOSE_ATTEMPT = Statement(
    update(attempts)
    # Of a lease that was lost it is closed already.
    .where(attempts.c.job == bindparam("of"), attempts.c.number == bindparam("which"), attempts.c.ended.is_(None))
    .values(
        seen=bindparam("now"),
        ended=bindparam("now"),
        outcome=bindparam("how"),
        error=bindparam("why"),
        to_step=func.coalesce(_STEP_WHEN_DONE, attempts.c.to_step),
    )
)
_HELD_CHECKPOINTS = Statement(
    select(checkpoints.c.step, checkpoints.c.sha256, checkpoints.c.size, checkpoints.c.location)
    .where(checkpoints.c.job == bindparam("job"))
    .order_by(checkpoints.c.step.desc())
)
_OF_DEATHS = (jobs.c.id, jobs.c.tries, jobs.c.stuck_deaths, jobs.c.death_step)
EXPIRED = Statement(
    select(
        *_OF_DEATHS,
        jobs.c.worker,
        (jobs.c.twin_expires >= bindparam("now")).label("other_lives"),
    )
    .where(IS_RUNNING, jobs.c.lease_expires < bindparam("now"))
    # Somebody else is reaping, or its holder is just now renewing: either way it is not ours to take.
    .with_for_update(skip_locked=True)
)
EXPIRED_SPECULATION = Statement(
    select(*_OF_DEATHS).where(IS_RUNNING, jobs.c.twin_expires < bindparam("now")).with_for_update(skip_locked=True)
)
LONGEST_LEASE = Statement(
    select(jobs.c.lease_expires, jobs.c.lease_seconds).where(IS_RUNNING).order_by(jobs.c.lease_expires.desc()).limit(1)
)


class LeaseLost(OrchError):
    """The job is no longer this worker's: the lease expired and was taken, the job was cancelled, or another did it."""


def renew(
    connection: Connection,
    lease: Lease,
    progress: Mapping[str, Any] | None,
    checkpoint: Checkpoint | None,
    now: float,
) -> Lease:
    """Count the lease from now on again; the new one tells which checkpoints are obsolete."""
    held = _held(connection, lease)
    is_speculative = held.twin_token == lease.token
    expires = {"twin_expires" if is_speculative else "lease_expires": now + held.lease_seconds}
    shown, reached = _reached(held, progress, checkpoint)
    connection.execute(update(jobs).where(jobs.c.id == lease.job).values(**expires, **shown))
    connection.execute(_attempt_of(lease).values(seen=now, **reached))
    # A study that was planned again may have changed the lease: its holder must know how often to renew.
    lease = dataclasses.replace(lease, seconds=held.lease_seconds, obsolete=(), speculative=is_speculative)
    if checkpoint is None:
        return lease
    dropped = _add_checkpoint(connection, lease.job, checkpoint)
    return dataclasses.replace(
        lease, checkpoints=held_checkpoints(connection, lease.job), obsolete=unreferenced(connection, dropped)
    )


def _reached(
    held: Any, progress: Mapping[str, Any] | None, checkpoint: Checkpoint | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a renewal says of the job, and of the attempt.  Of two at a job the one that is further along is shown."""
    if progress is None and checkpoint is None:
        return {}, {}
    alone = held.twin_token is None
    said = progress if progress is not None else _said(held) if alone else {}
    step = max(said.get("step", 0), checkpoint.step if checkpoint else 0)
    shown = {"step": step, "progress": {**said, "step": step}} if alone or step >= held.step else {}
    return shown, {"to_step": step}


def _said(held: Any) -> Mapping[str, Any]:
    """What was said of the job before."""
    return rows.progress(untrusted.parsed("a job's progress", held.progress))


def discard(connection: Connection, lease: Lease, checkpoint: Checkpoint) -> Lease:
    """Forget a checkpoint that turned out damaged, so that it does not push out a good one."""
    held = _held(connection, lease)
    # Equal bytes elsewhere are another's, who may have named them since, and undamaged.
    wrong = and_(
        checkpoints.c.job == lease.job,
        checkpoints.c.sha256 == checkpoint.artifact.sha256,
        checkpoints.c.location == checkpoint.artifact.location,
    )
    connection.execute(delete(checkpoints).where(wrong))
    left = held_checkpoints(connection, lease.job)
    step = left[0].step if left else 0
    if held.twin_token is None:
        connection.execute(update(jobs).where(jobs.c.id == lease.job).values(step=step, progress={"step": step}))
    connection.execute(_attempt_of(lease).values(from_step=step, to_step=step))
    return dataclasses.replace(lease, checkpoints=left, obsolete=())


def fail(connection: Connection, lease: Lease, error: str, now: float, *, final: bool = False) -> JobState:
    """One failure more: try again after a back-off, or quarantine; at once, if the failure is final.

    A speculative attempt's failure costs the job nothing, since its holder may be as well as it was.  The holder's
    costs a try, but quarantines nothing that the other may still bring to an end.
    """
    held = _held(connection, lease)
    error = _storable(error)
    execute(connection, ended(lease, Ending.FAILED, now, error))
    failures = held.tries if final else min(held.failures + 1, held.tries)
    if _left_to_the_other(connection, lease, held, {"failures": failures, "error": error}):
        return JobState.RUNNING
    wait = min(LONGEST_BACK_OFF_SECONDS, FIRST_BACK_OFF_SECONDS * 2 ** (failures - 1))
    state = JobState.QUARANTINED if failures >= held.tries else JobState.READY
    _let_go(
        connection,
        lease.job,
        {"state": state, "failures": failures, "error": error, "not_before": now + wait},
    )
    return state


def release(connection: Connection, lease: Lease, reason: str | None, now: float, *, rejected: bool) -> None:
    """Give a job back undone; this costs it no try."""
    held = _held(connection, lease)
    reason = None if reason is None else _storable(reason)
    execute(connection, ended(lease, Ending.RELEASED, now, reason))
    if _left_to_the_other(connection, lease, held):
        return
    told = {"error": f"{lease.worker} cannot do it: {reason}"} if rejected else {}
    _let_go(connection, lease.job, {"state": JobState.READY, **told})


def _storable(text: str) -> str:
    """What a job printed may have a NUL, which PostgreSQL does not keep, or half a character, which nobody does."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def shorten_leases(connection: Connection, expires: Column[float], now: float) -> None:
    """Nobody holds a job for longer than a lease from now on.

    The clock was ahead when those leases were counted, and has been set back since.  Whoever lives renews in time.

    Args:
        expires: `lease_expires` or `twin_expires`.
    """
    ahead = select(jobs.c.id).where(IS_RUNNING, expires > jobs.c.lease_seconds + now + CLOCK_SKEW_SECONDS)
    # A row that is locked is being renewed, completed or reaped by the clock as it is now.
    ahead = ahead.with_for_update(skip_locked=True)
    connection.execute(update(jobs).where(jobs.c.id.in_(ahead)).values({expires.name: jobs.c.lease_seconds + now}))


def expire(connection: Connection, row: Any, now: float) -> None:
    """Sessions end, that is no fault of the job; but one that never gains a checkpoint may be what kills them.

    A death counts also while another worker is at the job beside it: only the quarantine waits for the last of them.
    """
    if row.other_lives:
        _close_attempts(connection, _open_attempt(row.id, speculative=False), Ending.EXPIRED, now)
        _hand_over(connection, row.id, _one_more_death(connection, row))
        return
    values = _one_more_death(connection, row)
    deaths, saved = values["stuck_deaths"], values["death_step"]
    if deaths == _most_deaths(row):
        values["state"] = JobState.QUARANTINED
        values["error"] = (
            f"{deaths} workers in a row died without getting past the checkpoint at step {saved}, {row.worker} last; "
            "the job may need more memory than they have."
        )
    else:
        values["state"] = JobState.READY
    _let_go(connection, row.id, values)
    close_attempts(connection, [row.id], Ending.EXPIRED, now)


def _one_more_death(connection: Connection, row: Any) -> dict[str, Any]:
    """What the job's row says after another death: how many in a row since the last checkpoint.

    Two workers that fall silent together are one: what they have in common may be the network.
    """
    held = held_checkpoints(connection, row.id)
    saved = held[0].step if held else 0
    before = row.stuck_deaths if saved <= row.death_step else 0
    return {"stuck_deaths": min(before + 1, _most_deaths(row)), "death_step": saved}


def _most_deaths(row: Any) -> int:
    return max(int(row.tries), FEWEST_DEATHS)


def close_attempts(connection: Connection, ids: Sequence[str], ending: Ending, now: float) -> None:
    """End the open attempts of jobs that are taken from their holders."""
    for job in ids:
        _close_attempts(connection, (attempts.c.job == job) & attempts.c.ended.is_(None), ending, now)


def expire_speculation(connection: Connection, row: Any, now: float) -> None:
    """A worker died, and the job's holder goes on."""
    _close_attempts(connection, _open_attempt(row.id, speculative=True), Ending.EXPIRED, now)
    deaths = _one_more_death(connection, row)
    connection.execute(update(jobs).where(jobs.c.id == row.id).values(**NO_SPECULATION, **deaths))


def _left_to_the_other(
    connection: Connection, lease: Lease, held: Any, of_the_holder: Mapping[str, Any] | None = None
) -> bool:
    """Whether another worker is at the job too; it goes on alone then.

    Args:
        of_the_holder: what becomes of the job's row if it is the holder that leaves.
    """
    if held.twin_token is None:
        return False
    if held.twin_token == lease.token:
        connection.execute(update(jobs).where(jobs.c.id == lease.job).values(**NO_SPECULATION))
    else:
        _hand_over(connection, lease.job, of_the_holder or {})
    return True


def _hand_over(connection: Connection, job: str, values: Mapping[str, Any] | None = None) -> None:
    """The speculative attempt becomes the holder's; the holder's own is closed already."""
    holder = {"token": jobs.c.twin_token, "worker": jobs.c.twin_worker, "lease_expires": jobs.c.twin_expires}
    connection.execute(update(jobs).where(jobs.c.id == job).values(**holder, **NO_SPECULATION, **(values or {})))
    connection.execute(update(attempts).where(_open_attempt(job, speculative=True)).values(twin=False))


def _open_attempt(job: str, *, speculative: bool) -> ColumnElement[bool]:
    return and_(attempts.c.job == job, attempts.c.twin == speculative, attempts.c.ended.is_(None))


def _close_attempts(connection: Connection, which: ColumnElement[bool], ending: Ending, now: float) -> None:
    """End attempts whose workers did not end them: `seen` stays when those were last heard of."""
    connection.execute(update(attempts).where(which).values(ended=now, outcome=ending))


def _held(connection: Connection, lease: Lease) -> Any:
    """What is needed of the job's row, if this lease still holds it.  Raises LeaseLost."""
    row = _HELD.first(connection, job=lease.job, token=lease.token)
    if row is None:
        raise lost_by(lease)
    return row


def lost_by(lease: Lease) -> LeaseLost:
    return LeaseLost(
        f"{lease.name} is no longer {lease.worker}'s: its lease expired, the job was cancelled, or another was quicker."
    )


def _let_go(connection: Connection, job: str, values: Mapping[str, Any]) -> None:
    connection.execute(update(jobs).where(jobs.c.id == job).values(**CLEARED_LEASE, **values))


def _attempt_of(lease: Lease) -> Any:
    return update(attempts).where(attempts.c.job == lease.job, attempts.c.number == lease.attempt)


def ended(lease: Lease, ending: Ending, now: float, error: str | None = None) -> BoundStatement:
    """Closes its attempt at the step where the job stands."""
    return CLOSE_ATTEMPT.bind(of=lease.job, which=lease.attempt, now=now, how=ending.value, why=error)


def held_checkpoints(connection: Connection, job: str) -> tuple[Checkpoint, ...]:
    """The checkpoints that a job can go on from, newest first."""
    rows = _HELD_CHECKPOINTS.all(connection, job=job)
    return tuple(Checkpoint(untrusted.whole("a step", row.step), as_artifact(row)) for row in rows)


def _add_checkpoint(connection: Connection, job: str, checkpoint: Checkpoint) -> tuple[Artifact, ...]:
    """Keeps the newest two, whoever made them; returns what is not kept, which this one may be.

    The same step again (a resumed attempt repeats steps) replaces what was there.  A step before those two comes from
    the slower of two workers; the other may have named it and be deleting the file, which equal bits share.
    """
    held = held_checkpoints(connection, job)
    others = [other for other in held if other.step != checkpoint.step]
    kept = sorted([*others, checkpoint], key=lambda each: each.step, reverse=True)[:KEPT_CHECKPOINTS]
    dropped = [each for each in (*held, checkpoint) if each not in kept]
    for each in set(held) - set(kept):
        connection.execute(delete(checkpoints).where(checkpoints.c.job == job, checkpoints.c.step == each.step))
    for each in set(kept) - set(held):
        connection.execute(insert(checkpoints).values(job=job, step=each.step, **asdict(each.artifact)))
    return tuple(each.artifact for each in dropped)


def unreferenced(connection: Connection, dropped: Sequence[Artifact]) -> tuple[Artifact, ...]:
    """The artifacts that no row refers to any more: equal bytes are one file, to which more than one row may refer."""
    if not dropped:
        return ()
    named = {
        digest
        for table in (outputs, checkpoints, data)
        for digest in connection.execute(
            select(table.c.sha256).where(table.c.sha256.in_([artifact.sha256 for artifact in dropped]))
        ).scalars()
    }
    return tuple(artifact for artifact in dropped if artifact.sha256 not in named)
