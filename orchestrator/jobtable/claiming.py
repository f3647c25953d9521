"""Handing out jobs: reap the leases that have expired, then lease the best ready job, or a late one once more."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Double,
    Text,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from orchestrator import untrusted
from orchestrator.errors import StoreError
from orchestrator.jobs import Artifact, Claimant, Device, InputRef, JobState, Lease
from orchestrator.jobtable import stragglers
from orchestrator.jobtable.prepared import Prepared, PreparedRows, deferred, together
from orchestrator.jobtable.rows import as_artifact, as_stage, inputs_of, job_name, spec_of
from orchestrator.jobtable.schema import IS_READY, IS_RUNNING, attempts, data, edges, jobs, outputs
from orchestrator.jobtable.settling import (
    CLOCK_SKEW_SECONDS,
    EXPIRED,
    LONGEST_BACK_OFF_SECONDS,
    LONGEST_LEASE,
    expire,
    held_checkpoints,
    shorten_leases,
)

_READY_COLUMNS = select(
    jobs.c.id,
    jobs.c.name,
    jobs.c.stage,
    jobs.c.spec,
    jobs.c.inputs,
    jobs.c.lease_seconds,
    jobs.c.attempts,
    jobs.c.needs,
    jobs.c.remaining_path,
    jobs.c.affinity,
)
_NOW: ColumnElement[float] = bindparam("now", type_=Double)
# Much further ahead than any back-off: the clock was wrong when the job failed, and has been set back since.
_HAS_WAITED = or_(jobs.c.not_before <= _NOW, jobs.c.not_before > _NOW + 2 * LONGEST_BACK_OFF_SECONDS)
_READY = (
    _READY_COLUMNS.where(IS_READY, jobs.c.needs == bindparam("need"), _HAS_WAITED)
    .order_by(jobs.c.remaining_path.desc(), jobs.c.id)
    .limit(bindparam("most"))
    # Where several claim at once (SQLite does not let them) each takes another job, and nobody waits.
    .with_for_update(skip_locked=True)
)
BEST_READY = Prepared(_READY)
THIS_READY = Prepared(
    _READY_COLUMNS.where(IS_READY, jobs.c.id == bindparam("job"), _HAS_WAITED).with_for_update(skip_locked=True)
)
_THIS_LATE = Prepared(
    _READY_COLUMNS.where(
        IS_RUNNING,
        jobs.c.id == bindparam("job"),
        jobs.c.token == bindparam("held"),
        jobs.c.twin_token.is_(None),
    )
    # Whoever has it is just now writing.  To wait for that, having handed in another job, could be to wait in a circle.
    .with_for_update(skip_locked=True)
)
OWN_READY = Prepared(_READY.where(jobs.c.affinity == bindparam("worker")))
LEASE = PreparedRows(
    lambda given: (
        update(jobs)
        .where(jobs.c.id == given.job)
        .values(
            state=JobState.RUNNING.value,
            token=bindparam("new_token"),
            worker=bindparam("new_worker"),
            lease_expires=jobs.c.lease_seconds + _NOW,
            attempts=given.number,
            step=given.step,
            progress=given.progress,
        )
    ),
    job=str,
    number=int,
    step=int,
    progress=str,
)
_LEASE_TWIN = Prepared(
    update(jobs)
    .where(jobs.c.id == bindparam("job"))
    .values(
        twin_token=bindparam("new_token"),
        twin_worker=bindparam("new_worker"),
        twin_expires=jobs.c.lease_seconds + _NOW,
        attempts=bindparam("number"),
    )
)
_BEFORE = attempts.alias("before")


def _not_before_it_could(job: Any) -> ColumnElement[float]:
    """Now, or when the last of what this claim came after has ended.

    The clock was read as the transaction began.  One that began earlier may claim what another has made ready since:
    the history would say that a job was held before it could be.
    """
    own = select(func.max(_BEFORE.c.ended)).where(_BEFORE.c.job == job).scalar_subquery()
    of_parents = (
        select(func.max(_BEFORE.c.ended))
        .select_from(edges.join(_BEFORE, _BEFORE.c.job == edges.c.parent))
        .where(edges.c.child == job)
        .scalar_subquery()
    )
    return case((own > _NOW, own), (of_parents > _NOW, of_parents), else_=_NOW)


OPEN_ATTEMPTS = PreparedRows(
    lambda given: insert(attempts).from_select(
        ["job", "number", "from_step", "to_step", "worker", "host", "device", "started", "seen", "twin"],
        select(
            given.job,
            given.number,
            given.step,
            given.step,
            bindparam("worker", type_=Text),
            bindparam("host", type_=Text),
            bindparam("device", type_=Text),
            _not_before_it_could(given.job),
            _not_before_it_could(given.job),
            bindparam("twin", type_=Boolean),
        ),
    ),
    job=str,
    number=int,
    step=int,
)
_DATA = Prepared(select(data.c.sha256, data.c.size, data.c.location).where(data.c.name == bindparam("called")))
_OUTPUT_OF = Prepared(
    select(outputs.c.sha256, outputs.c.size, outputs.c.location).where(
        outputs.c.job == bindparam("of"), outputs.c.name == bindparam("called")
    )
)


def claim(connection: Connection, claimant: Claimant, now: float, most: int) -> tuple[Lease, ...]:
    """Lease the ready jobs with the longest remaining paths, as many as there are up to `most`.

    A worker for which none is ready is given one that is late, beside its holder.
    """
    ready = _best_ready(connection, claimant, now, most)
    if ready or not most:
        return _leased(connection, ready, claimant, now)
    return _twin(connection, claimant, now)


def claim_one(
    connection: Connection, claimant: Claimant, job: str, now: float, without: Collection[str] = ()
) -> Lease | None:
    """Lease this very job; None if it is not ready.

    Args:
        without: inputs that the worker needs no file of.
    """
    row = THIS_READY.first(connection, job=job, now=now)
    return None if row is None else _leased(connection, [row], claimant, now, without)[0]


def _leased(
    connection: Connection, rows: Iterable[Any], claimant: Claimant, now: float, without: Collection[str] = ()
) -> tuple[Lease, ...]:
    # One for all: a token is compared together with the job's id.
    token = secrets.token_hex(16)
    leases = tuple(_lease(connection, row, claimant, token, without) for row in rows)
    opened = [_opened(lease) for lease in leases]
    deferred(
        connection,
        LEASE.with_rows(connection, opened, new_token=token, new_worker=claimant.name, now=now),
        OPEN_ATTEMPTS.with_rows(connection, opened, now=now, twin=False, **_who(claimant)),
    )
    return leases


def _twin(connection: Connection, claimant: Claimant, now: float) -> tuple[Lease, ...]:
    """A lease beside the holder's of the latest job, if any is late and nobody is writing to it just now."""
    for late in stragglers.late_jobs(connection, claimant, now):
        row = _THIS_LATE.first(connection, job=late.id, held=late.token)
        if row is None:
            continue
        token = secrets.token_hex(16)
        lease = dataclasses.replace(_lease(connection, row, claimant, token, ()), twin=True)
        given = {"job": lease.job, "number": lease.attempt, "new_token": token, "new_worker": claimant.name}
        deferred(
            connection,
            _LEASE_TWIN.with_values(now=now, **given),
            OPEN_ATTEMPTS.with_rows(connection, [_opened(lease)], now=now, twin=True, **_who(claimant)),
        )
        return (lease,)
    return ()


def _who(claimant: Claimant) -> dict[str, str]:
    return {"worker": claimant.name, "host": claimant.host, "device": claimant.device}


def _best_ready(connection: Connection, claimant: Claimant, now: float, most: int) -> Sequence[Any]:
    """The longest remaining paths first; among equals those whose inputs this worker holds already.

    The jobs whose holders have been silent for longer than their leases are taken back before.
    """
    here = {"now": now, "most": most + len(claimant.cannot)}
    asked = [BEST_READY.with_values(need=device.value, **here) for device in claimant.has]
    asked += [OWN_READY.with_values(need=device.value, worker=claimant.name, **here) for device in claimant.has]
    longest, expired, *ready = together(connection, LONGEST_LEASE.with_values(), EXPIRED.with_values(now=now), *asked)
    if longest and longest[0].lease_expires > now + longest[0].lease_seconds + CLOCK_SKEW_SECONDS:
        shorten_leases(connection, jobs.c.lease_expires, now)
    if expired:
        for row in expired:
            expire(connection, row, now)
        ready = together(connection, *asked)
    found = {row.id: row for rows in ready for row in rows if row.id not in claimant.cannot}
    return sorted(found.values(), key=lambda row: _rank(row, claimant))[:most]


def _rank(row: Any, claimant: Claimant) -> tuple[int, bool, bool, str]:
    """Least is best.  A worker with a GPU takes what needs one before what others could do."""
    return -row.remaining_path, row.affinity != claimant.name, row.needs == Device.CPU, row.id


def _lease(connection: Connection, row: Any, claimant: Claimant, token: str, without: Collection[str]) -> Lease:
    stage, name = as_stage(row.stage), job_name(row.name)
    refs = inputs_of(untrusted.parsed("a job's inputs", row.inputs))
    return Lease(
        job=untrusted.job_id(row.id),
        name=name,
        stage=stage,
        spec=spec_of(stage, untrusted.parsed("a job's spec", row.spec)),
        worker=claimant.name,
        attempt=row.attempts + 1,
        token=token,
        seconds=untrusted.number("a lease's length", row.lease_seconds),
        inputs={called: resolve(connection, name, ref) for called, ref in refs.items() if called not in without},
        checkpoints=held_checkpoints(connection, row.id) if row.attempts else (),
    )


def _opened(lease: Lease) -> dict[str, str | int]:
    step = lease.checkpoints[0].step if lease.checkpoints else 0
    return {"job": lease.job, "number": lease.attempt, "step": step, "progress": json.dumps({"step": step})}


def resolve(connection: Connection, job: str, ref: InputRef) -> Artifact:
    """The artifact that an input refers to.

    Args:
        job: the name of the job that needs it.

    Raises:
        StoreError: nothing was published under the input's name.
    """
    if ref.job is None:
        row = _DATA.first(connection, called=ref.name)
    else:
        row = _OUTPUT_OF.first(connection, of=ref.job, called=ref.name)
    if row is None:
        raise StoreError(f"{job} needs {ref.name!r}, which is not in the home; run `orch plan` again.")
    return as_artifact(row)
